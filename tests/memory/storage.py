"""What an API server remembers: objects, and who has set which of their fields."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self, TypeAlias

from operations.cluster import Manifest, UnknownKindError
from tests.memory.clock import Clock
from tests.memory.kinds import BUILT_IN, Kind

Key: TypeAlias = tuple[str, str, str, str]
"""Group, kind, namespace and name."""

Path: TypeAlias = tuple[str, ...]


@dataclass
class Stored:
    """An object, and which manager has set which of its fields when."""

    manifest: dict[str, Any]
    fields: dict[str, frozenset[Path]]
    times: dict[str, str]
    created: float

    def set_status(self, status: Manifest) -> None:
        # What was read before stays as it was.
        self.manifest = {**self.manifest, "status": status}

    @property
    def version(self) -> str:
        return str(self.manifest["metadata"]["resourceVersion"])


@dataclass
class Storage:
    """The objects of one cluster; all ways to the cluster share it."""

    name: str
    clock: Clock
    objects: dict[Key, Stored] = field(default_factory=dict)
    counter: int = 0
    history: list[tuple[float, Key, Mapping[str, str] | None]] = field(default_factory=list)
    """When which Secret got which data; None when it was deleted."""

    def kinds(self) -> Iterator[Kind]:
        yield from BUILT_IN
        for key, stored in self.objects.items():
            if key[1] == "CustomResourceDefinition" and "status" in stored.manifest:
                spec = stored.manifest["spec"]
                yield Kind(
                    spec["group"],
                    tuple(version["name"] for version in spec["versions"]),
                    spec["names"]["kind"],
                    spec["names"]["plural"],
                    spec.get("scope") == "Namespaced",
                )

    def find(self, name: str) -> Kind | None:
        return next((kind for kind in self.kinds() if kind.called(name)), None)

    def served(self, manifest: Manifest) -> Kind:
        for kind in self.kinds():
            if kind.kind == manifest["kind"] and manifest["apiVersion"] in kind.api_versions:
                return kind
        raise UnknownKindError(
            self.name,
            f'no matches for kind "{manifest["kind"]}" in version "{manifest["apiVersion"]}"',
        )

    def store(self, manifest: Manifest, manager: str) -> None:
        """Server-side apply: sets the fields, and drops those that the manager set before."""
        key = self.key(manifest)
        fields = _fields(manifest)
        before = self.objects.get(key)
        if before is None:
            self.counter += 1
            metadata = {
                **manifest["metadata"],
                "uid": f"{self.name}-{self.counter}",
                "resourceVersion": str(self.counter),
                "creationTimestamp": self.clock.stamp(),
            }
            if key[1] == "Namespace":
                labels = metadata.get("labels") or {}
                metadata["labels"] = {**labels, "kubernetes.io/metadata.name": key[3]}
            content = {**manifest, "metadata": metadata}
            if key[1] in ("Deployment", "StatefulSet"):
                content["spec"] = {"replicas": 1, **manifest.get("spec", {})}
            stored = Stored(
                content,
                {manager: frozenset(fields)},
                {manager: self.clock.stamp()},
                self.clock.seconds,
            )
            self.objects[key] = stored
            self._remember(key, content)
            return
        content = copy.deepcopy(before.manifest)
        others = {name: paths for name, paths in before.fields.items() if name != manager}
        kept = frozenset().union(*others.values())
        for path in before.fields.get(manager, frozenset()) - fields.keys() - kept:
            _unset(content, path)
        for path, value in fields.items():
            _set(content, path, value)
        owners = {name: paths - fields.keys() for name, paths in others.items()}
        owners[manager] = frozenset(fields)
        if content == before.manifest and owners == before.fields:
            return
        self.counter += 1
        content["metadata"]["resourceVersion"] = str(self.counter)
        times = {**before.times, manager: self.clock.stamp()}
        self.objects[key] = Stored(content, owners, times, before.created)
        self._remember(key, content)

    def key(self, manifest: Manifest) -> Key:
        served, metadata = self.served(manifest), manifest["metadata"]
        namespace = metadata.get("namespace", "default") if served.namespaced else ""
        return served.group, served.kind, namespace, metadata["name"]

    def copy(self) -> Self:
        """The same objects; what happens to them afterwards happens in one of the two."""
        other = copy.copy(self)
        other.objects, other.history = dict(self.objects), []
        return other

    def forget(self, key: Key) -> None:
        if self.objects.pop(key, None) is not None:
            self._remember(key, None)

    def _remember(self, key: Key, content: Manifest | None) -> None:
        if key[1] == "Secret":
            data = None if content is None else dict(content.get("data") or {})
            self.history.append((self.clock.seconds, key, data))

    @staticmethod
    def shown(stored: Stored, *, fields: bool = True) -> Manifest:
        if not fields:
            return stored.manifest
        managed = [
            {
                "manager": manager,
                "operation": "Apply",
                "time": stored.times[manager],
                "fieldsV1": _tree(paths),
            }
            for manager, paths in stored.fields.items()
            if paths
        ]
        metadata = {**stored.manifest["metadata"], "managedFields": managed}
        return {**stored.manifest, "metadata": metadata}


UNOWNED: Final = (
    ("apiVersion",),
    ("kind",),
    ("metadata", "name"),
    ("metadata", "namespace"),
    ("metadata", "resourceVersion"),
)


def _fields(manifest: Manifest, prefix: Path = ()) -> dict[Path, Any]:
    """The fields that are set, and their values; a list is one field."""
    fields: dict[Path, Any] = {}
    for key, value in manifest.items():
        path = (*prefix, key)
        if isinstance(value, Mapping) and value:
            fields |= _fields(value, path)
        elif path not in UNOWNED:
            fields[path] = value
    return fields


def _tree(paths: frozenset[Path]) -> dict[str, Any]:
    """In the form of ``fieldsV1``."""
    tree: dict[str, Any] = {}
    for path in paths:
        branch = tree
        for key in path:
            branch = branch.setdefault(f"f:{key}", {})
    return tree


def _set(content: dict[str, Any], path: Path, value: Any) -> None:
    *parents, last = path
    for key in parents:
        if not isinstance(content.get(key), dict):
            content[key] = {}
        content = content[key]
    content[last] = copy.deepcopy(value)


def _unset(content: dict[str, Any], path: Path) -> None:
    """Takes parents away that are empty then."""
    head, *rest = path
    if not rest:
        content.pop(head, None)
    elif isinstance(content.get(head), dict):
        _unset(content[head], tuple(rest))
        if not content[head]:
            del content[head]
