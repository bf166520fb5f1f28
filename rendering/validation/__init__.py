"""``python main.py --validate``: whether Argo CD would accept dist, bundles and overlays included.

``sources`` checks the files as they are written: form, schema, and that every patch has a target.
``build`` has kustomize build each folder. The built objects are checked by their schema, by what
the API server refuses (``admission``), by what they name of each other (``references``), by what
Argo CD may deploy (``deployment``), and by the rules of the platform (``policy``).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from fleet.diagnostics import redacted
from rendering.validation import admission, deployment, kustomize, policy, references, sources
from rendering.validation.build import Build, Folder, built, program
from rendering.validation.memory import Memory
from rendering.validation.objects import WITH_SPEC, ClusterObjects, Finding, Object
from rendering.validation.schemas import Schemas

NO_PROGRAM: Final = (
    "neither kustomize nor kubectl is on the PATH, so bundles, patches and overlays were checked "
    "as files and not as built; `make tools` builds kustomize"
)


class Report(NamedTuple):
    """A line for each problem, and for each thing that could not be checked."""

    problems: Sequence[str]
    unchecked: Sequence[str]


def validate(
    dist: Path,
    overlays: Path,
    *,
    shown_as: Path | None = None,
    mirror: Path | None = None,
    memory: Memory | None = None,
) -> Report:
    """Checks all of ``dist`` and of ``overlays``.

    ``shown_as`` is what messages call ``dist``, which may be a folder still to be renamed.
    ``mirror`` holds upstream's files (``upstream.mirror``); without it, folders with a bundle are
    checked as files only, as are all of them without kustomize. What ``memory`` has is not built
    again.
    """
    found = sources.check(dist, overlays, shown_as=shown_as, mirror=mirror)
    folders = [folder for folder in sources.folders(dist) if folder not in found.wrong]
    command = program()
    build = (
        built(command, folders, dist=dist, overlays=overlays, mirror=mirror, memory=memory)
        if command
        else Build()
    )
    clusters = _clusters(dist, found.objects, build)
    whole = {name for name, _ in folders} - {
        name for name, _ in (*found.wrong, *build.refused, *build.lacking)
    }

    def where(folder: Folder) -> str:
        shown, overlay = (shown_as or dist) / Path(*folder), overlays / Path(*folder)
        return f"{shown} with {overlay}" if overlay.is_dir() else str(shown)

    problems = list(found.lines)
    problems += [
        f"{where(folder)}: kustomize cannot build it: {reason}; correct what it names"
        for folder, reason in build.refused.items()
    ]
    by_schema = _SchemaProblems()
    for name in clusters:
        findings = _check(name, clusters, by_schema, whole=bool(command) and name in whole)
        problems += [
            f"{where((each.cluster, each.component))}: {each.label}: {fault}"
            for each, fault in findings
        ]
    # A rule may quote what an overlay has, and so may kustomize.
    return Report(list(map(redacted, problems)), list(_unchecked(command, build)))


def _check(
    name: str,
    clusters: Mapping[str, ClusterObjects],
    by_schema: "_SchemaProblems",
    *,
    whole: bool,
) -> Iterator[Finding]:
    """Everything wrong with a cluster; its references only where the ``whole`` of it was built."""
    malformed = [(each, by_schema.of(each)) for each in clusters[name].all]
    yield from (Finding(each, problem) for each, problems in malformed for problem in problems)
    # The other rules rely on the schema, and relations on every object.
    whole = whole and not any(problems for _, problems in malformed)
    cluster = ClusterObjects(each for each, problems in malformed if not problems)
    clusters = {**clusters, name: cluster}
    yield from admission.check(cluster)
    yield from policy.check(cluster, whole=whole)
    yield from deployment.check(name, clusters)
    if whole:
        yield from references.check(cluster)


class _SchemaProblems:
    """Checks each body once, however many clusters share it (``build`` parses it once)."""

    def __init__(self) -> None:
        self._schemas = Schemas()
        self._known: dict[int, list[str]] = {}

    def of(self, each: Object) -> list[str]:
        body = each.body
        if id(body) not in self._known:
            known = not self._schemas.unknown(body)
            self._known[id(body)] = list(map(str, self._schemas.whole(body))) if known else []
            if each.kind in WITH_SPEC and "spec" not in body:
                self._known[id(body)].append("spec is missing, and is required; add it")
        return self._known[id(body)]


def _clusters(
    dist: Path, files: Mapping[Folder, Sequence[sources.Manifest]], build: Build
) -> dict[str, ClusterObjects]:
    """The objects by cluster, as they are built or, where they are not, as files have them."""
    objects: dict[str, list[Object]] = {}
    for folder, bodies in {**files, **build.objects}.items():
        name, component = folder
        objects.setdefault(name, []).extend(
            Object(name, component, dist / Path(*folder), body) for body in bodies
        )
    return {name: ClusterObjects(each) for name, each in objects.items()}


def _unchecked(command: Sequence[str] | None, build: Build) -> Iterator[str]:
    if not command:
        yield NO_PROGRAM
    if build.lacking:
        urls = sorted({url for each in build.lacking.values() for url in each})
        yield (
            f"{len(build.lacking)} folders were checked as files and not as built, because these "
            f"are not in the mirror ({kustomize.MIRROR_REMEDY}): {', '.join(urls)}"
        )


__all__ = ["Report", "validate"]
