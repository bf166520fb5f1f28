"""The manifests of an app that brings its own: what helm or kustomize makes of its folder.

Each program runs once for all regions: texts may hold ``${cluster.<fact>}``, which is filled in
afterwards. A chart runs twice, because one that makes up passwords would change with each render.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from charts.kinds import APP_KINDS, GroupKind
from fleet import documents
from fleet.diagnostics import choice, redacted, shown
from fleet.errors import InputError
from fleet.package import FILE, Helm, Package
from upstream import mirror

Manifest = Mapping[str, Any]

TIMEOUT_SECONDS: Final = 120
WORKLOADS: Final = ("Deployment", "StatefulSet")

KUSTOMIZATIONS: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_CLOSED: Final = "http://127.0.0.1:9"
OFFLINE: Final = {
    "GIT_ALLOW_PROTOCOL": "none",
    **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), _CLOSED),
    **dict.fromkeys(("NO_PROXY", "no_proxy"), ""),
}
"""The environment in which kustomize and helm fetch nothing.

kustomize hands what is no file to git, and the ``ref`` of a URL even as an option: with
``--upload-pack`` that would be any command, run by whoever renders.
"""


@cache
def manifests(package: Package) -> Sequence[Manifest]:
    """The objects, in the app's namespace; raises InputError with every problem that they have."""
    if astray := list(_astray(package)):
        raise InputError(*astray)
    objects = [_placed(each, package.name) for each in _inflated(package)]
    faults = [fault for each in objects for fault in _faults(each, package)]
    names = [each["metadata"]["name"] for each in objects if each["kind"] in WORKLOADS]
    if not faults and package.name not in names:
        faults.append(
            f"no Deployment or StatefulSet is called {package.name}{choice(package.name, names)}"
            if names
            else f"there is no Deployment and no StatefulSet; add one called {package.name}"
        )
    if faults:
        raise InputError(*(f"{package.folder}: {fault}" for fault in faults))
    return objects


def filled(value: Any, facts: Mapping[str, str], package: Package) -> Any:
    """``value`` with every ``${cluster.<fact>}`` replaced; raises InputError for other facts."""
    if isinstance(value, Mapping):
        return {key: filled(inner, facts, package) for key, inner in value.items()}
    if isinstance(value, list):
        return [filled(inner, facts, package) for inner in value]
    if not isinstance(value, str):
        return value

    def fact(found: re.Match[str]) -> str:
        if found[1] not in facts:
            raise InputError(
                f"{package.folder}: {found[0]} is no fact of a cluster{choice(found[1], facts)}"
            )
        return facts[found[1]]

    return re.sub(r"\$\{cluster\.([^{}]*)\}", fact, value)


def _astray(package: Package) -> Iterator[str]:
    """What would bring anything from outside the app's folder into what is rendered."""
    folder = package.folder
    # Helm follows links, so one to a private key would put that into dist.
    for each in (folder, *sorted(folder.rglob("*"))):
        if each.is_symlink():
            yield f"{each}: is a link, and may lead anywhere; put what it leads to in its place"
    for file in sorted(each for name in KUSTOMIZATIONS for each in folder.rglob(name)):
        for entry in _entries(file):
            found = (file.parent / entry).resolve()
            if not (found.exists() and found.is_relative_to(folder.resolve())):
                yield (
                    f"{file}: {shown(redacted(entry))} is no file or folder of {folder}; put it "
                    "there, as whatever is elsewhere changes without a commit to the app"
                )


def _entries(file: Path) -> Iterator[str]:
    """The names of the resources of a kustomization; of one that is no YAML, kustomize says so."""
    try:
        found = documents.read_all(file)
    except (OSError, ValueError, yaml.YAMLError):
        return
    for each in found:
        for key in ("resources", "bases", "components"):
            names = each.get(key) if isinstance(each, dict) else None
            yield from (name for name in names or () if isinstance(name, str))


def _placed(each: Manifest, namespace: str) -> Manifest:
    """An object that names no namespace goes to that of the app."""
    metadata = each.get("metadata") or {}
    return {**each, "metadata": {"namespace": namespace, **metadata}}


def _faults(each: Manifest, package: Package) -> Iterator[str]:
    kind, name = str(each.get("kind")), each["metadata"].get("name")
    group = str(each.get("apiVersion")).rpartition("/")[0]
    if GroupKind(group, kind) not in APP_KINDS:
        yield (
            f"{kind}/{name}: an app cannot have objects of this kind; leave it out, as the "
            "platform brings what guards an app, names it and measures it"
            if kind != "Secret"
            else f"{kind}/{name}: would put a secret into Git; name it under resources in {FILE}"
        )
    elif each["metadata"]["namespace"] != package.name:
        yield (
            f"{kind}/{name}: is in namespace {each['metadata']['namespace']}; an app has "
            f"{package.name} alone, so leave the namespace out"
        )
    elif not isinstance(name, str) or not name:
        yield f"{kind}: has no metadata.name; add one"
    elif kind in WORKLOADS and not _has_containers(each):
        yield f"{kind}/{name}: has no spec.template.spec.containers, each with a name; add them"


def _has_containers(workload: Manifest) -> bool:
    match workload:
        case {"spec": {"template": {"spec": {"containers": [_, *_] as containers}}}}:
            return all(isinstance(each, dict) and each.get("name") for each in containers)
        case _:
            return False


def _inflated(package: Package) -> list[Manifest]:
    if package.helm is None:
        return _parsed(package, _run(package, [*_kustomize(package), str(package.folder)]))
    with tempfile.TemporaryDirectory(prefix="fleet-chart-") as folder:
        command = _helm(package, package.helm, Path(folder))
        text, again = _run(package, command), _run(package, command)
    objects = _parsed(package, text)
    if text != again:
        other = _parsed(package, again)
        different = [
            f"{each['kind']}/{each['metadata']['name']}" for each in objects if each not in other
        ]
        raise InputError(
            f"{package.folder}: {', '.join(different) or 'the chart'} changes with each render; "
            "give fixed values in place of what the chart makes up"
        )
    return objects


def _kustomize(package: Package) -> list[str]:
    if shutil.which("kustomize"):
        return ["kustomize", "build"]
    if shutil.which("kubectl"):
        return ["kubectl", "kustomize"]
    raise InputError(
        f"{package.folder}: needs kustomize or kubectl on the PATH; `make tools` builds kustomize"
    )


def _helm(package: Package, helm: Helm, folder: Path) -> list[str]:
    if not shutil.which("helm"):
        raise InputError(f"{package.folder}: needs helm on the PATH; see https://helm.sh")
    if url := helm.url:
        chart = folder / url.rpartition("/")[2]
        chart.write_bytes(mirror.reader(None)(url))
    else:
        chart = package.folder / helm.chart
    return [
        "helm", "template", package.name, str(chart), "--namespace", package.name, "--skip-tests",
        *(["--values", str(package.folder / helm.values)] if helm.values else []),
    ]  # fmt: skip


def _run(package: Package, command: Sequence[str]) -> str:
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
            env={**os.environ, **OFFLINE},
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{package.folder}: {command[0]} does not end within {TIMEOUT_SECONDS} s"
        ) from None
    if done.returncode:
        reason = redacted(" ".join(done.stderr.split())).removeprefix("Error: ")
        raise InputError(f"{package.folder}: {command[0]} refuses it: {reason}")
    return done.stdout


def _parsed(package: Package, text: str) -> list[Manifest]:
    try:
        objects = documents.load_all(text)
    except yaml.YAMLError as error:
        reason = redacted(" ".join(str(error).split()))
        raise InputError(f"{package.folder}: is not YAML: {reason}") from None
    for each in objects:
        if not isinstance(each, dict) or not isinstance(each.get("metadata"), dict):
            raise InputError(f"{package.folder}: {shown(str(each))} is no object of Kubernetes")
    return objects
