"""The way to a cluster in memory."""

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Final, ParamSpec, Self, TypeVar

from operations.cluster import (
    MANAGER,
    ClusterError,
    ForbiddenError,
    Manifest,
    NotFoundError,
    UnauthorizedError,
    UnknownKindError,
    UnreachableError,
    WebhookUnavailableError,
)
from operations.refusals import about
from tests.memory import controllers
from tests.memory.admission import admit
from tests.memory.clock import Clock
from tests.memory.journal import Journal
from tests.memory.kinds import Kind
from tests.memory.storage import Storage

P = ParamSpec("P")
T = TypeVar("T")

CALL_SECONDS: Final = 0.1
"""What a call of kubectl takes."""
USER: Final = "somebody"


def locked(method: Callable[P, T]) -> Callable[P, T]:
    """One call at a time, to all clusters of a journal."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        cluster = args[0]
        assert isinstance(cluster, MemoryCluster)
        with cluster.clock.lock:
            return method(*args, **kwargs)

    return call


@dataclass
class MemoryCluster:
    """One way to a cluster: who asks, and whether the API server answers."""

    name: str
    clock: Clock = field(default_factory=Clock)
    journal: Journal = field(default_factory=Journal)
    context: str = ""
    fault: ClusterError | None = None
    storage: Storage = field(init=False)
    address: str | None = None
    """What a provider gives to a Service of type LoadBalancer, after a while."""
    down: bool = False
    signed_in: bool = True
    denied: frozenset[tuple[str, str]] = frozenset()
    """Verb and resource, of which either may be ``*``."""
    kubernetes: tuple[int, int] = (1, 34)
    url: str = "https://192.0.2.100:6443"
    endpoints: Mapping[str, str] = field(default_factory=dict)
    """Local URLs by namespace, target and port, for port-forward."""
    hooks: list[Callable[[str], None]] = field(default_factory=list)
    """Called with each call, and may raise what the API server would answer."""

    def __post_init__(self) -> None:
        self.context = self.context or self.name
        self.storage = Storage(self.name, self.clock)
        self.clock.watchers.append(self.tick)
        for namespace in ("default", "kube-system"):
            self.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})

    # Cluster

    def failing(self, fault: ClusterError) -> Self:
        return self._but(fault=fault)

    @locked
    def check_ready(self) -> None:
        self._enter("readyz")

    @locked
    def version(self) -> tuple[int, int]:
        self._enter("version")
        return self.kubernetes

    @locked
    def server(self) -> str:
        self._enter("config view", local=True)
        return self.url

    @locked
    def api_versions(self) -> frozenset[str]:
        self._enter("api-versions")
        return frozenset(version for kind in self.storage.kinds() for version in kind.api_versions)

    @locked
    def allows(self, verb: str, resource: str) -> bool:
        self._enter(f"can-i {verb} {resource}")
        if (verb, resource) == ("*", "*"):
            return not self.denied
        return not self._denied(verb, resource)

    @locked
    def get(self, kind: str, name: str, namespace: str | None = None) -> Manifest | None:
        self._enter(f"get {kind} {name}")
        served = self.storage.find(kind)
        if served is None:
            return None
        namespace = (namespace or "default") if served.namespaced else ""
        self._authorize("get", served, namespace, name)
        stored = self.storage.objects.get((served.group, served.kind, namespace, name))
        return self.storage.shown(stored) if stored else None

    @locked
    def list_objects(self, kind: str, namespace: str | None = None) -> Sequence[Manifest]:
        self._enter(f"get {kind}")
        served = self.storage.find(kind)
        if served is None:
            return ()
        self._authorize("list", served, namespace or "")
        return [
            self.storage.shown(stored)
            for key, stored in sorted(self.storage.objects.items())
            if key[:2] == (served.group, served.kind) and namespace in (None, key[2])
        ]

    @locked
    def list_names(self, kind: str) -> frozenset[str]:
        self._enter(f"get {kind} -oname")
        served = self.storage.find(kind)
        if served is None:
            word = kind.partition(".")[0]
            raise UnknownKindError(self.name, f'the server doesn\'t have a resource type "{word}"')
        self._authorize("list", served, "")
        return frozenset(
            name
            for group, kind_, _, name in self.storage.objects
            if (group, kind_) == (served.group, served.kind)
        )

    @locked
    def read(self, objects: Sequence[Manifest]) -> Sequence[Manifest]:
        if not objects:
            return ()
        self._enter(f"get {_listed(objects)}")
        self._recognize(objects)
        found = []
        for manifest in objects:
            key = self.storage.key(manifest)
            self._authorize("get", self.storage.served(manifest), key[2], key[3])
            if stored := self.storage.objects.get(key):
                found.append(self.storage.shown(stored, fields=False))
        return found

    @locked
    def preview(self, objects: Sequence[Manifest]) -> Sequence[Manifest]:
        if not objects:
            return ()
        self._enter(f"apply --dry-run {_listed(objects)}")
        self._recognize(objects)
        previews: list[Manifest] = []

        def preview(manifest: Manifest) -> None:
            storage = self.storage.copy()
            self._but(storage=storage)._apply(manifest)
            stored = storage.objects[storage.key(manifest)]
            previews.append(storage.shown(stored, fields=False))

        self._each(objects, preview)
        return previews

    @locked
    def apply(self, objects: Sequence[Manifest]) -> None:
        if objects:
            self._enter(f"apply {_listed(objects)}", changing=True)
            self._each(objects, self._apply, change="apply")

    @locked
    def delete(self, objects: Sequence[Manifest]) -> None:
        if objects:
            self._enter(f"delete {_listed(objects)}", changing=True)
            self._each(objects, self._delete, change="delete")

    @locked
    def restart(self, deployment: str, namespace: str) -> None:
        self._enter(f"restart {deployment}", changing=True)
        key = ("apps", "Deployment", namespace, deployment)
        served = self.storage.find("deployment")
        assert served is not None
        self._authorize("patch", served, namespace, deployment)
        if key not in self.storage.objects:
            raise NotFoundError(self.name, f'deployments.apps "{deployment}" not found')
        self.journal.changes.append(f"{self.name}: restart {deployment}")
        stored = self.storage.objects[key]
        stored.manifest = copy.deepcopy(stored.manifest)
        template = stored.manifest.setdefault("spec", {}).setdefault("template", {})
        annotations = template.setdefault("metadata", {}).setdefault("annotations", {})
        annotations["kubectl.kubernetes.io/restartedAt"] = self.clock.stamp()
        stored.created = self.clock.seconds
        controllers.replace_pods(self.storage, namespace, deployment)
        self.tick()

    @contextmanager
    def forwarded(self, namespace: str, target: str, port: int) -> Iterator[str]:
        with self.clock.lock:
            self._enter(f"port-forward {target}")
        where = f"{namespace}/{target}:{port}"
        if where not in self.endpoints:
            kind, _, name = target.partition("/")
            raise NotFoundError(self.name, f'{kind}s "{name}" not found')
        yield self.endpoints[where]

    # What tests do to it

    def by(self, **changes: Any) -> "MemoryCluster":
        """Another way to the same cluster, which may be ``down``, or have rights ``denied``."""
        return self._but(**changes)

    def put(self, manifest: Manifest, *, manager: str = "controller") -> None:
        """Has ``manifest`` be there as ``manager`` has set it, whatever was there before."""
        self.storage.store(manifest, manager)

    def edit(self, kind: str, name: str, namespace: str = "", **fields: Any) -> None:
        """Sets ``fields`` of an object by hand."""
        manifest = self.stored(kind, name, namespace)
        assert manifest is not None
        identity = {"name": name, **({"namespace": namespace} if namespace else {})}
        self.put(
            {
                "apiVersion": manifest["apiVersion"],
                "kind": manifest["kind"],
                "metadata": identity,
                **fields,
            },
            manager="kubectl-edit",
        )

    def stored(self, kind: str, name: str, namespace: str = "") -> Manifest | None:
        """What is there, without a call."""
        served = self.storage.find(kind)
        found = served and self.storage.objects.get((served.group, served.kind, namespace, name))
        return found.manifest if found else None

    def remove(self, kind: str, name: str, namespace: str = "") -> None:
        served = self.storage.find(kind)
        assert served is not None
        self.storage.forget((served.group, served.kind, namespace, name))

    def objects(self, kind: str) -> list[dict[str, Any]]:
        return [stored.manifest for key, stored in self.storage.objects.items() if key[1] == kind]

    def tick(self) -> None:
        controllers.run(self.storage, self.address)

    # Requests

    def _enter(self, call: str, *, changing: bool = False, local: bool = False) -> None:
        if self.fault:
            raise self.fault
        self.journal.enter(f"{self.name}: {call}", changing=changing)
        self.clock.seconds += CALL_SECONDS
        self.tick()
        for hook in self.hooks:
            hook(call)
        if local:
            return
        if self.down:
            raise UnreachableError(
                self.name, "The connection to the server 192.0.2.100:6443 was refused"
            )
        if not self.signed_in:
            raise UnauthorizedError(self.name, "You must be logged in to the server (Unauthorized)")

    def _denied(self, verb: str, resource: str) -> bool:
        return any(
            denied_verb in ("*", verb) and denied_resource in ("*", resource)
            for denied_verb, denied_resource in self.denied
        )

    def _authorize(self, verb: str, kind: Kind, namespace: str, name: str = "") -> None:
        if self._denied(verb, kind.plural):
            called = f'{kind.resource} "{name}"' if name else kind.resource
            where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
            raise ForbiddenError(
                self.name,
                f'{called} is forbidden: User "{USER}" cannot {verb} resource "{kind.plural}" '
                f'in API group "{kind.group}" {where}',
            )

    def _each(
        self,
        objects: Sequence[Manifest],
        do: Callable[[Manifest], None],
        *,
        change: str | None = None,
    ) -> None:
        """Goes on after one that is refused, as kubectl does."""
        errors: list[ClusterError] = []
        for done, manifest in enumerate(objects):
            if change:
                self.journal.halfway(done, len(objects))
            try:
                do(manifest)
            except ClusterError as error:
                errors.append(error)
            else:
                if change:
                    name = manifest["metadata"]["name"]
                    self.journal.changes.append(f"{self.name}: {change} {manifest['kind']} {name}")
        if change:
            self.journal.halfway(len(objects), len(objects))
        if errors:
            first = min(errors, key=lambda error: isinstance(error, WebhookUnavailableError))
            same = [error for error in errors if type(error) is type(first)]
            reasons = dict.fromkeys(
                about(objects, reason) for error in same for reason in error.reasons
            )
            rest = [error for error in errors if error not in same]
            raise type(first)(self.name, *reasons, also=rest)

    def _apply(self, manifest: Manifest) -> None:
        key = self.storage.key(manifest)
        self._authorize("patch", self.storage.served(manifest), key[2], key[3])
        admit(self.storage, manifest)
        self.storage.store(manifest, MANAGER)

    def _delete(self, manifest: Manifest) -> None:
        key = self.storage.key(manifest)
        self._authorize("delete", self.storage.served(manifest), key[2], key[3])
        self.storage.forget(key)
        if key[1] == "Namespace":
            for other in [other for other in self.storage.objects if other[2] == key[3]]:
                self.storage.forget(other)
        self.tick()

    def _recognize(self, objects: Sequence[Manifest]) -> None:
        """Kubectl looks up all kinds before it reads anything."""
        try:
            for manifest in objects:
                self.storage.served(manifest)
        except UnknownKindError as error:
            raise UnknownKindError(self.name, about(objects, error.reasons[0])) from None

    def _but(self, **changes: Any) -> Self:
        other = copy.copy(self)
        for name, value in changes.items():
            setattr(other, name, value)
        return other


def _listed(objects: Sequence[Manifest]) -> str:
    first = objects[0]
    more = f" and {len(objects) - 1} more" if len(objects) > 1 else ""
    return f"{first['kind']} {first['metadata']['name']}{more}"
