"""What ``python main.py --validate`` says: the one line that each fault deserves, and no more."""

from collections.abc import Callable
from pathlib import Path

import pytest

from rendering.validation import build, sources, validate

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: apps
spec:
  selector:
    matchLabels:
      app: web
  template:
    metadata:
      labels:
        app: web
    spec:
      containers:
        - name: web
          image: web:1
"""
CERTIFICATE = """\
apiVersion: cert-manager.io/v1
kind: Certificate
metadata:
  name: tls
  namespace: apps
spec:
  secretName: tls
  issuerRef:
    name: letsencrypt
"""
ROUTE = """\
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata:
  name: route
  namespace: apps
spec:
  routes:
    - match: Host(`a`)
      kind: Rule
"""
IDENTITY = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: apps}\n"
IDENTITY_INLINE = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: apps}"
TARGET = "target: {kind: Deployment, name: web}"

Write = Callable[[str, str], None]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one sound component, which paths in messages are relative to."""
    monkeypatch.chdir(tmp_path)
    files = {"Deployment.web": DEPLOYMENT, "Certificate.tls": CERTIFICATE, "IngressRoute.r": ROUTE}
    folder = tmp_path / "dist/eu/web"
    folder.mkdir(parents=True)
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    names = ", ".join(f"{name}.yaml" for name in files)
    (folder / "kustomization.yaml").write_text(f"kind: Kustomization\nresources: [{names}]\n")
    return tmp_path


def found(root: Path) -> list[str]:
    assert root == Path.cwd()
    return list(sources.check(Path("dist"), Path("overlays")).lines)


def overlay(root: Path, kustomization: str, **files: str) -> None:
    folder = root / "overlays/eu/web"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kustomization.yaml").write_text(f"kind: Component\n{kustomization}")
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)


def patched(root: Path, patch: str, target: str = "") -> list[str]:
    """The problems of one patch, without the file that each begins with."""
    entry = f"{{path: patch.yaml, {target}}}" if target else "{path: patch.yaml}"
    overlay(root, f"patches: [{entry}]", patch=patch)
    prefix = "overlays/eu/web/patch.yaml: "
    lines = found(root)
    assert all(line.startswith(prefix) for line in lines), lines
    return [line.removeprefix(prefix) for line in lines]


def test_sound_objects_have_no_problem(root: Path) -> None:
    assert found(root) == []


@pytest.mark.parametrize(
    ("before", "after", "problem"),
    [
        (
            "image: web:1", "imagee: web:1",
            "spec.template.spec.containers[0].imagee: no such field (did you mean image?)",
        ),
        (
            "spec:\n  selector", "spec:\n  replicas: two\n  selector",
            "spec.replicas: two is not an integer; give a value of that type",
        ),
        (
            "spec:\n  selector", "spec:\n  replicas: '2'\n  selector",
            "spec.replicas: '2' is not an integer; write it without quotes",
        ),
        (
            "spec:\n  selector", "spec:\n  replicas: true\n  selector",
            "spec.replicas: true is not an integer; give a value of that type",
        ),
        (
            "app: web\n    spec", "app: 1\n    spec",
            "spec.template.metadata.labels.app: 1 is not a string; put it in quotes",
        ),
        (
            "- name: web\n          image", "- image",
            "spec.template.spec.containers[0]: name is missing, and is required; add it",
        ),
        (
            "image: web:1", "image: web:1\n          args: --verbose",
            ("spec.template.spec.containers[0].args: --verbose is not a list; "
            "write a list, of one item if need be"),
        ),
        (
            "image: web:1", "image:",
            ("spec.template.spec.containers[0].image: null is not a string; "
            "give it a value, or leave the field out"),
        ),
        (
            "  namespace: apps", "  namespace: apps\n  label: {}",
            "metadata.label: no such field (did you mean labels?)",
        ),
        (
            "apps/v1", "apps/v1beta1",
            ("apiVersion: apps/v1beta1 is not a version of Deployment known here "
            "(did you mean apps/v1?)"),
        ),
        (
            "kind: Deployment", "kind: Deploymnet",
            "kind: no schema of apps/v1 Deploymnet is known here (did you mean Deployment?)",
        ),
        (
            "kind: Deployment", "kind: Rollout",
            ("kind: no schema of apps/v1 Rollout is known here; if it is meant, add the URL of its "
            "CRD to imports: in cdk8s.yaml and run python -m fleet import"),
        ),
        ("kind: Deployment\n", "", "kind: null is no name; every object has one here"),
        ("  name: web\n  n", "  n", "metadata: name is missing, and is required; add it"),
    ],
)  # fmt: skip
def test_a_fault_in_an_object_is_told_in_one_line(
    root: Path, before: str, after: str, problem: str
) -> None:
    assert before in DEPLOYMENT
    text = DEPLOYMENT.replace(before, after, 1)
    (root / "dist/eu/web/Deployment.web.yaml").write_text(text)
    (line,) = found(root)
    file, label, rest = line.split(": ", 2)
    assert (file, rest) == ("dist/eu/web/Deployment.web.yaml", problem)
    assert label == f"{text.partition('kind: ')[2].partition(chr(10))[0] or ''}/" + (
        "?" if "metadata: name" in problem else "web"
    )


def test_an_enum_of_a_custom_resource_is_checked(root: Path) -> None:
    file = root / "dist/eu/web/Certificate.tls.yaml"
    file.write_text(CERTIFICATE + "  privateKey: {algorithm: DSA}\n  usages: [servr auth]\n")
    assert found(root) == [
        (
            "dist/eu/web/Certificate.tls.yaml: Certificate/tls: spec.privateKey.algorithm: "
            "DSA is not allowed (did you mean ECDSA?)"
        ),
        (
            "dist/eu/web/Certificate.tls.yaml: Certificate/tls: spec.usages[0]: 'servr auth' is "
            "not allowed (did you mean server auth?)"
        ),
    ]


def test_all_problems_are_reported_at_once(root: Path) -> None:
    """And under the name that dist is going to have."""
    (root / "dist/eu/web/Deployment.web.yaml").write_text(
        DEPLOYMENT.replace("image", "imagee").replace("selector:", "selectr:")
    )
    report = validate(Path("dist"), Path("overlays"), shown_as=Path("elsewhere"))
    assert sorted(line.split(": ")[:3] for line in report.problems) == [
        ["elsewhere/eu/web/Deployment.web.yaml", "Deployment/web", where]
        for where in ("spec", "spec.selectr", "spec.template.spec.containers[0].imagee")
    ]


def test_a_list_is_checked_by_its_items(root: Path) -> None:
    """Kustomize takes a ConfigMapList, as kube-prometheus publishes one, for its items."""
    (root / "dist/eu/web/Deployment.web.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMapList\nitems:\n"
        "  - {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {b: 1}}\n"
    )
    assert found(root) == [
        "dist/eu/web/Deployment.web.yaml: ConfigMap/a: data.b: 1 is not a string; put it in quotes"
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: [", "line 2: did not find expected node content; correct the YAML"),
        ("kind: A\nkind: B\n", "line 2: key 'kind' is given twice; correct the YAML"),
        ("- a\n", "holds something that is no Kubernetes object; write a mapping"),
    ],
)
def test_a_file_that_is_no_object_is_told(root: Path, text: str, problem: str) -> None:
    (root / "dist/eu/web/Deployment.web.yaml").write_text(text)
    assert found(root) == [f"dist/eu/web/Deployment.web.yaml: {problem}"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("resource: []\nkind: Kustomization", "resource: no such field (did you mean resources?)"),
        ("resources: a.yaml\nkind: Kustomization", ("resources: a.yaml is not a list; write a "
         "list, of one item if need be")),
        ("kind: Kustomisation", "kind: Kustomisation is not allowed; write Kustomization"),
        ("resources: []", "kind is missing, and is required; add it"),
        ("", "is not one YAML document"),
        ("- a", '["a"] is not a mapping; write a mapping of fields'),
    ],
)  # fmt: skip
def test_the_shape_of_a_kustomization_is_checked(root: Path, text: str, problem: str) -> None:
    (root / "dist/eu/web/kustomization.yaml").write_text(text)
    assert found(root) == [f"dist/eu/web/kustomization.yaml: {problem}"]


def test_files_and_their_list_agree(root: Path) -> None:
    folder = root / "dist/eu/web"
    (folder / "Deployment.web.yaml").rename(folder / "other.yaml")
    assert found(root) == [
        (
            "dist/eu/web/kustomization.yaml: resources: Deployment.web.yaml is not there; "
            "add it, or unlist it"
        ),
        (
            "dist/eu/web/other.yaml: kustomization.yaml does not name it, so it is not applied; "
            "list it, or remove the file"
        ),
    ]
    (folder / "kustomization.yaml").unlink()
    assert found(root) == [
        "dist/eu/web/kustomization.yaml: is not there, so nothing in the folder is applied; add it"
    ]


def test_a_component_that_is_not_there_is_told(root: Path) -> None:
    file = root / "dist/eu/web/kustomization.yaml"
    file.write_text(file.read_text() + "components: [../../../overlays/eu/web]\n")
    assert found(root) == [
        (
            "dist/eu/web/kustomization.yaml: components: ../../../overlays/eu/web is not there; "
            "add it, or unlist it"
        )
    ]
    overlay(root, "")
    assert found(root) == []


class TestMergePatch:
    """A strategic merge patch: part of an object."""

    def test_it_may_leave_out_what_an_object_must_have(self, root: Path) -> None:
        patch = "spec: {template: {spec: {containers: [{image: web:2}]}}}"
        assert patched(root, IDENTITY + patch) == []

    def test_it_may_delete(self, root: Path) -> None:
        """By a null, and by the instructions of its own."""
        patch = "spec: {strategy: null, template: {spec: {$patch: replace, $retainKeys: [a]}}}"
        assert patched(root, IDENTITY + patch) == []
        assert patched(root, "$patch: delete\n" + IDENTITY) == []

    def test_its_fields_types_and_enums_are_checked(self, root: Path) -> None:
        assert patched(root, IDENTITY + "spec: {replica: null, paused: 'true'}") == [
            "Deployment/web: spec.paused: 'true' is not true or false; write it without quotes",
            "Deployment/web: spec.replica: no such field (did you mean replicas?)",
        ]

    def test_its_object_must_be_there(self, root: Path) -> None:
        assert patched(root, IDENTITY.replace("name: web", "name: webb")) == [
            (
                "Deployment/webb: there is nothing to patch in dist/eu/web "
                "(did you mean Deployment/web?)"
            )
        ]
        assert patched(root, IDENTITY.replace(", namespace: apps", "")) == [
            (
                "Deployment/web: metadata.namespace: is not given, and the object in dist/eu/web "
                "has apps; write the same in both"
            )
        ]

    def test_its_object_may_come_from_a_url(self, root: Path) -> None:
        file = root / "dist/eu/web/kustomization.yaml"
        text = file.read_text().replace("[", "['https://example.org/v1.0.0/bundle.yaml', ")
        file.write_text(text)
        assert patched(root, IDENTITY.replace("name: web", "name: webb")) == []
        assert patched(root, "apiVersion: a.b/v1\nkind: Unheard\nmetadata: {name: a}\n") == []

    def test_it_needs_a_name(self, root: Path) -> None:
        assert patched(root, "apiVersion: apps/v1\nkind: Deployment\n") == [
            "Deployment/?: metadata: name is missing, and is required; add it"
        ]

    def test_what_replaces_a_list_is_checked_in_full(self, root: Path) -> None:
        """Kustomize cannot merge lists of custom resources, so it replaces them."""
        identity = ROUTE.partition("spec:")[0]
        assert patched(root, identity + "spec: {routes: [{kind: Rule}]}") == [
            "IngressRoute/route: spec.routes[0]: match is missing, and is required; add it"
        ]

    def test_it_may_be_inline_and_select_by_target(self, root: Path) -> None:
        overlay(
            root,
            "patches:\n"
            "  - patch: '{apiVersion: apps/v1, kind: Deployment, metadata: {name: any}, "
            "spec: {replica: 2}}'\n"
            "    target: {kind: Deployment, name: w.*}\n",
        )
        assert found(root) == [
            (
                "overlays/eu/web/kustomization.yaml: patches[0]: Deployment/any: spec.replica: "
                "no such field (did you mean replicas?)"
            )
        ]


class TestJsonPatch:
    """A JSON 6902 patch: a list of operations on paths."""

    def test_a_sound_one_has_no_problem(self, root: Path) -> None:
        patch = """\
- {op: replace, path: /spec/template/spec/containers/0/image, value: web:2}
- {op: add, path: /spec/template/spec/containers/-, value: {name: sidecar, image: b}}
- {op: add, path: /metadata/labels/a.b~1c, value: d}
- {op: add, path: /spec/replicas, value: 3}
- {op: remove, path: /spec/selector/matchLabels/app}
- {op: copy, from: /metadata/name, path: /metadata/labels/name}
- {op: test, path: /spec/replicas, value: 3}
"""
        assert patched(root, patch, TARGET) == []

    @pytest.mark.parametrize(
        ("operation", "problem"),
        [
            (
                "{op: replace, path: /spec/replica, value: 3}",
                "spec.replica: no such field (did you mean replicas?)",
            ),
            (
                "{op: remove, path: /spec/template/spec/container/0}",
                "spec.template.spec.container: no such field (did you mean containers?)",
            ),
            (
                "{op: replace, path: /spec/replicas, value: '3'}",
                "spec.replicas: '3' is not an integer; write it without quotes",
            ),
            (
                "{op: add, path: /spec/template/spec/containers/-, value: {image: b}}",
                "spec.template.spec.containers[-]: name is missing, and is required; add it",
            ),
            (
                (
                    "{op: add, path: /spec/template/spec/containers/1/ports, "
                    "value: [{containerPort: 1, prt: 2}]}"
                ),
                (
                    "spec.template.spec.containers[1].ports[0].prt: no such field; "
                    "write one of hostIP, hostPort, name, protocol"
                ),
            ),
            (
                "{op: add, path: /spec/template/spec/containers/web/image, value: a}",
                (
                    "spec.template.spec.containers.web: web is no position in a list; "
                    "give a number, or - for its end"
                ),
            ),
            (
                "{op: copy, from: /spec/nothing, path: /spec/replicas}",
                "spec.nothing: no such field; write one of ",
            ),
            ("{op: remove, path: spec}", "spec is no JSON pointer; write /spec/..."),
        ],
    )
    def test_paths_and_values_are_checked(self, root: Path, operation: str, problem: str) -> None:
        lines = patched(root, f"- {operation}\n", TARGET)
        assert lines
        assert lines[0].startswith(f"Deployment/web: {problem}")
        assert lines[0].endswith("(operation 0)")

    def test_it_needs_a_target_that_is_there(self, root: Path) -> None:
        patch = "[{op: remove, path: /spec/replicas}]"
        assert patched(root, patch) == [
            "a list of JSON 6902 operations needs a target; add target: with kind and name"
        ]
        assert patched(root, patch, "target: {kind: Deployment, name: we}") == [
            "Deployment/we: there is nothing to patch in dist/eu/web (did you mean Deployment/web?)"
        ]
        assert patched(root, patch, "target: {name: '('}")[0].startswith(
            "target: '(' is no regular expression"
        )

    def test_its_shape_is_checked(self, root: Path) -> None:
        assert patched(root, "[{op: delete, path: /spec}]", TARGET) == [
            "[0].op: delete is not allowed; write one of add, copy, move, remove, replace, test"
        ]


def test_an_overlays_own_objects_are_checked_in_full(root: Path) -> None:
    overlay(root, "resources: [extra.yaml]", extra=CERTIFICATE.replace("secretName: tls", "a: b"))
    assert sorted(line.split(": ", 2)[2] for line in found(root)) == [
        (
            "spec.a: no such field; write one of "
            "additionalOutputFormats, commonName, dnsNames, duration, emailAddresses, "
            "encodeUsagesInRequest, ipAddresses, isCA, keystores, literalSubject, nameConstraints, "
            "otherNames, ..."
        ),
        "spec: secretName is missing, and is required; add it",
    ]


def test_a_patch_that_is_not_there_is_told(root: Path) -> None:
    overlay(root, "patches: [{path: a.yaml}, {target: {kind: A}}]")
    assert found(root) == [
        (
            "overlays/eu/web/kustomization.yaml: patches[0].path: a.yaml is not there; "
            "add it, or unlist it"
        ),
        "overlays/eu/web/kustomization.yaml: patches[1]: give either path or patch",
    ]


FETCHED = "Argo CD would fetch {}, which nobody has reviewed; copy"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (
            "resources: ['https://a.example/x']",
            f"resources: {FETCHED.format('https://a.example/x')} the file into the folder",
        ),
        (
            "resources: ['github.com/example/x?ref=v1']",
            f"resources: {FETCHED.format('github.com/example/x?ref=v1')} the file into the folder",
        ),
        ("resources: [.]", "resources: . leads back here; unlist it"),
        (
            "components: ['https://example.org/x']",
            f"components: {FETCHED.format('https://example.org/x')} it into the repository",
        ),
        (
            "images: [{name: wep, newTag: '2'}]",
            "images: no container runs wep (did you mean web?)",
        ),
    ],
)
def test_an_overlay_that_nobody_could_check_is_refused(
    root: Path, content: str, problem: str
) -> None:
    overlay(root, content)
    assert found(root) == [f"overlays/eu/web/kustomization.yaml: {problem}"]


def test_a_folder_that_leads_back_is_reported_once(root: Path) -> None:
    overlay(root, "resources: [sub]")
    inner = root / "overlays/eu/web/sub/kustomization.yaml"
    inner.parent.mkdir()
    inner.write_text("kind: Kustomization\nresources: [../sub]\n")
    assert found(root) == [
        "overlays/eu/web/sub/kustomization.yaml: resources: ../sub leads back here; unlist it"
    ]


def test_a_link_to_no_file_is_reported(root: Path) -> None:
    overlay(root, "")
    (root / "overlays/eu/web/more.yaml").symlink_to("nowhere.yaml")
    (root / "overlays/eu/web/loop").symlink_to(".")
    assert [line for line in found(root) if "link" in line] == [
        f"overlays/eu/web/{name}: is a link to no file; replace it by what it should lead to"
        for name in ("loop", "more.yaml")
    ]


@pytest.mark.parametrize("selector", ["labelSelector: app=nope", "annotationSelector: x=y"])
def test_a_selector_that_selects_nothing_is_reported(root: Path, selector: str) -> None:
    (line,) = patched(
        root, "[{op: remove, path: /spec/replicas}]", f"target: {{kind: Deployment, {selector}}}"
    )
    assert "there is nothing to patch" in line


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("spec:\n  selector", "status:\n  selector"),
        ("      containers:\n        - name: web\n          image: web:1\n", "      containers:\n"),
        ("spec:\n  selector", "spec:\n  strategy: {rollingUpdate: {maxSurge: one}}\n  selector"),
    ],
)
def test_a_malformed_object_never_ends_in_a_traceback(root: Path, before: str, after: str) -> None:
    """And what else is wrong is reported as well."""
    assert before in DEPLOYMENT
    (root / "dist/eu/web/Deployment.web.yaml").write_text(DEPLOYMENT.replace(before, after))
    report = validate(Path("dist"), Path("overlays"))
    assert any("Deployment/web" in line for line in report.problems), report


def test_a_remote_resource_is_refused_in_any_folder_of_an_overlay(root: Path) -> None:
    overlay(root, "resources: [sub]")
    inner = root / "overlays/eu/web/sub/kustomization.yaml"
    inner.parent.mkdir()
    inner.write_text("kind: Kustomization\nresources: ['https://a.example/x']\n")
    (line,) = found(root)
    file, _, fault = line.partition(": ")
    assert file == "overlays/eu/web/sub/kustomization.yaml"
    assert fault == f"resources: {FETCHED.format('https://a.example/x')} the file into the folder"


def test_building_writes_to_no_file_that_an_overlay_links_to(root: Path) -> None:
    """Kustomizations are rewritten in a copy, never through a link into the checkout."""
    shared = root / "common" / "kustomization.yaml"
    shared.parent.mkdir()
    text = "# by hand\nkind: Component\n"
    shared.write_text(text)
    folder = root / "overlays/eu/web"
    folder.mkdir(parents=True)
    (folder / "kustomization.yaml").symlink_to("../../../common/kustomization.yaml")
    dist, overlays = Path("dist"), Path("overlays")
    build.built(("true",), [("eu", "web")], dist=dist, overlays=overlays, mirror=None)
    assert shared.read_text() == text


SECRET = "apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: apps}\n"
ADDRESS = "https://bot:SECRET@example.org"


@pytest.mark.parametrize(
    "kustomization",
    [
        f"resources: [{ADDRESS}/x.yaml]",
        f"components: [{ADDRESS}/x]",
        f"images: [{{name: {ADDRESS}}}]",
        f"resources: {ADDRESS}",
        f"{ADDRESS}: 1",
        f"patches: [{{patch: '[{{op: remove, path: {ADDRESS}}}]', {TARGET}}}]",
        f"patches: [{{patch: '{IDENTITY_INLINE}, spec: {{replicas: {ADDRESS}}}}}'}}]",
        f"patches: [{{patch: '{IDENTITY_INLINE}, spec: {{paused: [{{a: {ADDRESS}}}]}}}}'}}]",
        f"patches: [{{patch: '*{ADDRESS}'}}]",
        f"patches: [{{path: {ADDRESS}}}]",
    ],
)
def test_no_credential_of_an_overlay_is_shown(root: Path, kustomization: str) -> None:
    overlay(root, kustomization)
    problems = validate(Path("dist"), Path("overlays")).problems
    assert problems
    assert not [line for line in problems if "SECRET" in line]


@pytest.mark.parametrize("data", ["data: {a: 12345}", "stringData: [12345]", "stringData: 12345"])
def test_no_data_of_a_secret_is_shown(root: Path, data: str) -> None:
    """Whatever form it has: a number may be a password."""
    overlay(root, "resources: [extra.yaml]", extra=f"{SECRET}{data}\n")
    lines = [line for line in found(root) if "ata" in line]
    assert lines
    assert not [line for line in lines if "12345" in line]
