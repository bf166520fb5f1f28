"""A cluster in memory that behaves like an API server, as far as the commands use one.

Its texts are those of Kubernetes 1.34. What controllers do takes its time, by a clock that stands
still between calls. tests/operations/test_contract.py holds it and kubectl to the same claims.
"""

import base64
import binascii
import copy
import hashlib
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, Final, ParamSpec, Self, TypeAlias, TypeVar

from operations.cluster import (
    MANAGER,
    ClusterError,
    ConflictError,
    ForbiddenError,
    ImmutableError,
    InvalidError,
    Manifest,
    NotFoundError,
    TerminatingError,
    UnauthorizedError,
    UnknownKindError,
    UnreachableError,
    WebhookUnavailableError,
)
from operations.refusals import about

P = ParamSpec("P")
T = TypeVar("T")

Key: TypeAlias = tuple[str, str, str, str]
"""Group, kind, namespace and name."""

Path: TypeAlias = tuple[str, ...]

CALL_SECONDS: Final = 0.1
"""What a call of kubectl takes."""
ESTABLISHING_SECONDS: Final = 1.0
STARTING_SECONDS: Final = 10.0
"""From a workload to its pods' being ready."""
TOKEN_SECONDS: Final = 0.5
BALANCER_SECONDS: Final = 60.0

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
NAME: Final = re.compile(r"[a-z0-9:]([-a-z0-9.:]*[a-z0-9])?")
USER: Final = "somebody"
AUTHORITY: Final = "-----BEGIN CERTIFICATE-----\nof the cluster\n-----END CERTIFICATE-----\n"


def locked(method: Callable[P, T]) -> Callable[P, T]:
    """One call at a time, to all clusters of a journal."""

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        cluster = args[0]
        assert isinstance(cluster, MemoryCluster)
        with cluster.clock.lock:
            return method(*args, **kwargs)

    return call


class Interrupted(BaseException):
    """The command was killed."""


class Clock:
    """Time that passes only when somebody waits, or calls a cluster."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.lock = threading.RLock()
        """Nothing happens at the same time."""
        self.watchers: list[Callable[[], None]] = []

    def monotonic(self) -> float:
        return self.seconds

    def time(self) -> float:
        return (EPOCH + timedelta(seconds=self.seconds)).timestamp()

    def stamp(self) -> str:
        return (EPOCH + timedelta(seconds=self.seconds)).isoformat(timespec="microseconds")

    def sleep(self, seconds: float) -> None:
        """Passes in small parts, so that controllers do theirs in between."""
        with self.lock:
            end, part = self.seconds + seconds, max(5.0, seconds / 10)
            while self.seconds < end:
                self.seconds = min(end, self.seconds + part)
                for watcher in self.watchers:
                    watcher()


@dataclass
class Journal:
    """The calls to all clusters, and at which of them the command is killed.

    Only calls that change something count: what is killed between two of them leaves the clusters
    as if it had been killed right after the first.
    """

    calls: list[str] = field(default_factory=list)
    changing: list[str] = field(default_factory=list)
    """Those of the calls that may change something."""
    changes: list[str] = field(default_factory=list)
    """What they did change, object by object."""
    kill_at: int | None = None
    """The position among the changing calls of the one that is not made."""
    kill_within: bool = False
    """It is made half."""

    def killed(self) -> bool:
        return self.kill_at is not None and len(self.changing) > self.kill_at

    def enter(self, call: str, *, changing: bool) -> None:
        if self.killed():
            raise Interrupted(call)
        self.calls.append(call)
        if changing:
            self.changing.append(call)
            if self.killed() and not self.kill_within:
                raise Interrupted(call)

    def halfway(self, done: int, whole: int) -> None:
        if self.killed() and done >= whole // 2:
            raise Interrupted(self.changing[-1])

    def go_on(self) -> None:
        """Lets the next command live, and forgets what this one did."""
        self.kill_at = None
        for entries in (self.calls, self.changing, self.changes):
            entries.clear()


@dataclass(frozen=True)
class Kind:
    """A kind that an API server serves."""

    group: str
    versions: tuple[str, ...]
    kind: str
    plural: str
    namespaced: bool = True

    def called(self, name: str) -> bool:
        """Whether kubectl takes ``name`` for it."""
        word, _, group = name.lower().partition(".")
        return word in (self.plural, self.kind.lower()) and group in ("", self.group)

    @property
    def api_versions(self) -> tuple[str, ...]:
        return tuple(f"{self.group}/{each}".removeprefix("/") for each in self.versions)

    @property
    def resource(self) -> str:
        """How messages call it."""
        return f"{self.plural}.{self.group}".rstrip(".")


def _kinds(group: str, version: str, *kinds: str, namespaced: bool = True) -> Iterator[Kind]:
    for kind in kinds:
        word = kind.lower()
        plural = word + "es" if word.endswith("s") else re.sub("y$", "ie", word) + "s"
        yield Kind(group, (version,), kind, plural, namespaced)


BUILT_IN: Final = (
    *_kinds("", "v1", "Namespace", "Node", "PersistentVolume", namespaced=False),
    *_kinds("", "v1", "ConfigMap", "Endpoint", "Event", "LimitRange", "PersistentVolumeClaim"),
    *_kinds("", "v1", "Pod", "ResourceQuota", "Secret", "Service", "ServiceAccount"),
    *_kinds("apps", "v1", "DaemonSet", "Deployment", "StatefulSet"),
    *_kinds("batch", "v1", "CronJob", "Job"),
    *_kinds("autoscaling", "v2", "HorizontalPodAutoscaler"),
    *_kinds("policy", "v1", "PodDisruptionBudget"),
    *_kinds("networking.k8s.io", "v1", "Ingress", "NetworkPolicy"),
    *_kinds("networking.k8s.io", "v1", "IngressClass", namespaced=False),
    *_kinds("rbac.authorization.k8s.io", "v1", "Role", "RoleBinding"),
    *_kinds(
        "rbac.authorization.k8s.io", "v1", "ClusterRole", "ClusterRoleBinding", namespaced=False
    ),
    *_kinds("scheduling.k8s.io", "v1", "PriorityClass", namespaced=False),
    *_kinds("storage.k8s.io", "v1", "StorageClass", namespaced=False),
    *_kinds("apiextensions.k8s.io", "v1", "CustomResourceDefinition", namespaced=False),
    *_kinds("apiregistration.k8s.io", "v1", "APIService", namespaced=False),
    *_kinds(
        "admissionregistration.k8s.io",
        "v1",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        namespaced=False,
    ),
)
WORKLOADS: Final = ("DaemonSet", "Deployment", "StatefulSet")
SECRET_FIELDS: Final = ("apiVersion", "kind", "metadata", "type", "data", "stringData", "immutable")


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


@dataclass
class State:
    """All that a cluster remembers; shared by the ways to it."""

    objects: dict[Key, Stored] = field(default_factory=dict)
    counter: int = 0
    history: list[tuple[float, Key, Mapping[str, str] | None]] = field(default_factory=list)
    """When which Secret got which data; None when it was deleted."""


@dataclass
class MemoryCluster:
    """One way to a cluster: who asks, and whether the API server answers."""

    name: str
    clock: Clock = field(default_factory=Clock)
    journal: Journal = field(default_factory=Journal)
    context: str = ""
    fault: ClusterError | None = None
    state: State = field(default_factory=State)
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
        if not self.state.objects:
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
        return frozenset(version for kind in self._kinds() for version in kind.api_versions)

    @locked
    def allows(self, verb: str, resource: str) -> bool:
        self._enter(f"can-i {verb} {resource}")
        if (verb, resource) == ("*", "*"):
            return not self.denied
        return not self._denied(verb, resource)

    @locked
    def get(self, kind: str, name: str, namespace: str | None = None) -> Manifest | None:
        self._enter(f"get {kind} {name}")
        served = self._find(kind)
        if served is None:
            return None
        namespace = (namespace or "default") if served.namespaced else ""
        self._authorize("get", served, namespace, name)
        stored = self.state.objects.get((served.group, served.kind, namespace, name))
        return self._shown(stored) if stored else None

    @locked
    def list_objects(self, kind: str, namespace: str | None = None) -> Sequence[Manifest]:
        self._enter(f"get {kind}")
        served = self._find(kind)
        if served is None:
            return ()
        self._authorize("list", served, namespace or "")
        return [
            self._shown(stored)
            for key, stored in sorted(self.state.objects.items())
            if key[:2] == (served.group, served.kind) and namespace in (None, key[2])
        ]

    @locked
    def list_names(self, kind: str) -> frozenset[str]:
        self._enter(f"get {kind} -oname")
        served = self._find(kind)
        if served is None:
            word = kind.partition(".")[0]
            raise UnknownKindError(self.name, f'the server doesn\'t have a resource type "{word}"')
        self._authorize("list", served, "")
        return frozenset(
            name
            for group, kind_, _, name in self.state.objects
            if (group, kind_) == (served.group, served.kind)
        )

    @locked
    def read(self, objects: Sequence[Manifest]) -> Sequence[Manifest]:
        if not objects:
            return ()
        self._enter(f"get {_listed(objects)}")
        kinds = self._recognized(objects)
        found = []
        for manifest, served in zip(objects, kinds, strict=True):
            key = _key(manifest, served)
            self._authorize("get", served, key[2], key[3])
            if stored := self.state.objects.get(key):
                found.append(self._shown(stored, fields=False))
        return found

    @locked
    def preview(self, objects: Sequence[Manifest]) -> Sequence[Manifest]:
        if not objects:
            return ()
        self._enter(f"apply --dry-run {_listed(objects)}")
        kinds = self._recognized(objects)
        previews: list[Manifest] = []

        def preview(manifest: Manifest) -> None:
            state = copy.copy(self.state)
            state.objects, state.history = dict(self.state.objects), []
            self._but(state=state)._apply(manifest)
            key = _key(manifest, kinds[len(previews)])
            previews.append(self._shown(state.objects[key], fields=False))

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
        served = self._find("deployment")
        assert served is not None
        self._authorize("patch", served, namespace, deployment)
        if key not in self.state.objects:
            raise NotFoundError(self.name, f'deployments.apps "{deployment}" not found')
        self.journal.changes.append(f"{self.name}: restart {deployment}")
        stored = self.state.objects[key]
        stored.manifest = copy.deepcopy(stored.manifest)
        template = stored.manifest.setdefault("spec", {}).setdefault("template", {})
        annotations = template.setdefault("metadata", {}).setdefault("annotations", {})
        annotations["kubectl.kubernetes.io/restartedAt"] = self.clock.stamp()
        stored.created = self.clock.seconds
        for pod in [
            key for key in self.state.objects if self._is_pod_of(key, namespace, deployment)
        ]:
            del self.state.objects[pod]
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
        served = self._served(manifest)
        self._store(_key(manifest, served), manifest, manager)

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
        served = self._find(kind)
        found = served and self.state.objects.get((served.group, served.kind, namespace, name))
        return found.manifest if found else None

    def remove(self, kind: str, name: str, namespace: str = "") -> None:
        served = self._find(kind)
        assert served is not None
        self._forget((served.group, served.kind, namespace, name))

    def objects(self, kind: str) -> list[dict[str, Any]]:
        return [stored.manifest for key, stored in self.state.objects.items() if key[1] == kind]

    # Controllers

    def tick(self) -> None:
        """What Kubernetes does by itself, as far as its time has come."""
        for key, stored in list(self.state.objects.items()):
            age = self.clock.seconds - stored.created
            match key[1]:
                case "CustomResourceDefinition" if age >= ESTABLISHING_SECONDS:
                    condition = {"type": "Established", "status": "True"}
                    stored.set_status({"conditions": [condition]})
                case "Secret":
                    self._token(key, stored, age)
                case kind if kind in WORKLOADS:
                    self._pods(key, stored, age)
                case "Service" if age >= BALANCER_SECONDS and self.address:
                    if stored.manifest.get("spec", {}).get("type") == "LoadBalancer":
                        points = [{"ip": self.address}]
                        stored.set_status({"loadBalancer": {"ingress": points}})

    def _token(self, key: Key, stored: Stored, age: float) -> None:
        """Of an account: put into its Secret, and deleted with the account.

        It says who the account is, its uid included, and the name of the Secret.
        """
        if stored.manifest.get("type") != "kubernetes.io/service-account-token":
            return
        metadata = stored.manifest["metadata"]
        annotations = metadata["annotations"]
        name = annotations["kubernetes.io/service-account.name"]
        account = self.state.objects.get(("", "ServiceAccount", key[2], name))
        uid = account.manifest["metadata"]["uid"] if account else None
        if uid is None or annotations.get("kubernetes.io/service-account.uid", uid) != uid:
            self._forget(key)
        elif age >= TOKEN_SECONDS and "data" not in stored.manifest:
            stored.manifest = {
                **stored.manifest,
                "metadata": {
                    **metadata,
                    "annotations": {**annotations, "kubernetes.io/service-account.uid": uid},
                },
                "data": {
                    "token": _encoded(
                        hashlib.sha256(f"{self.name} {uid} {key[3]}".encode()).hexdigest()
                    ),
                    "ca.crt": _encoded(AUTHORITY),
                    "namespace": _encoded(key[2]),
                },
            }

    def _pods(self, key: Key, stored: Stored, age: float) -> None:
        """One for each workload; it is ready after a while."""
        _, kind, namespace, name = key
        pod = ("", "Pod", namespace, f"{name}-0")
        if pod not in self.state.objects:
            manifest = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": pod[3], "namespace": namespace},
            }
            self._store(pod, manifest, "kubelet")
        if age >= STARTING_SECONDS:
            wanted = stored.manifest.get("spec", {}).get("replicas", 1)
            daemons = {"desiredNumberScheduled": 1, "numberReady": 1, "updatedNumberScheduled": 1}
            pods = {"readyReplicas": wanted, "updatedReplicas": wanted}
            stored.set_status(daemons if kind == "DaemonSet" else pods)

    @staticmethod
    def _is_pod_of(key: Key, namespace: str, workload: str) -> bool:
        return key[1:3] == ("Pod", namespace) and key[3].startswith(f"{workload}-")

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
        served = self._served(manifest)
        key = _key(manifest, served)
        self._authorize("patch", served, key[2], key[3])
        self._check_namespace(served, key)
        before = self.state.objects.get(key)
        self._validate(manifest, before)
        self._admit(key)
        expected = manifest["metadata"].get("resourceVersion")
        if before and expected and expected != _version(before):
            raise ConflictError(
                self.name,
                f'Operation cannot be fulfilled on {served.resource} "{key[3]}": the object has '
                "been modified; please apply your changes to the latest version and try again",
            )
        self._store(key, manifest, MANAGER)

    def _delete(self, manifest: Manifest) -> None:
        served = self._served(manifest)
        key = _key(manifest, served)
        self._authorize("delete", served, key[2], key[3])
        self._forget(key)
        if key[1] == "Namespace":
            for other in [other for other in self.state.objects if other[2] == key[3]]:
                self._forget(other)
        self.tick()

    def _check_namespace(self, served: Kind, key: Key) -> None:
        if not served.namespaced:
            return
        namespace = self.state.objects.get(("", "Namespace", "", key[2]))
        if namespace is None:
            raise NotFoundError(self.name, f'namespaces "{key[2]}" not found')
        if "deletionTimestamp" in namespace.manifest["metadata"]:
            raise TerminatingError(
                self.name,
                f'{served.resource} "{key[3]}" is forbidden: unable to create new content in '
                f"namespace {key[2]} because it is being terminated",
            )

    def _validate(self, manifest: Manifest, before: Stored | None) -> None:
        """A little of what Kubernetes validates: names, and Secrets."""
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        faults = []
        if not NAME.fullmatch(name):
            faults.append(f'metadata.name: Invalid value: "{name}"')
        if kind == "Secret":
            if unknown := [key for key in manifest if key not in SECRET_FIELDS]:
                raise InvalidError(
                    self.name,
                    f'ValidationError(Secret): unknown field "{unknown[0]}" in '
                    "io.k8s.api.core.v1.Secret",
                )
            data = manifest.get("data") or {}
            needed = ("username", "password")
            if manifest.get("type") == "kubernetes.io/basic-auth" and not data.keys() & {*needed}:
                faults += [f"data[{key}]: Required value" for key in needed]
            if before and before.manifest.get("type", "Opaque") != manifest.get("type", "Opaque"):
                raise ImmutableError(
                    self.name,
                    f'The Secret "{name}" is invalid: type: Invalid value: '
                    f'"{manifest.get("type")}": field is immutable',
                )
            for value in data.values():
                try:
                    base64.b64decode(value, validate=True)
                except binascii.Error:
                    raise InvalidError(
                        self.name,
                        f"failed to convert new object ({manifest['metadata']['namespace']}/{name};"
                        " /v1, Kind=Secret) to proper version: illegal base64 data",
                    ) from None
        if faults:
            raise InvalidError(self.name, f'The {kind} "{name}" is invalid: {", ".join(faults)}')

    def _admit(self, key: Key) -> None:
        """Asks the webhooks; one answers once its Deployment, of its Service's name, is ready."""
        for stored in list(self.state.objects.values()):
            if not stored.manifest["kind"].endswith("WebhookConfiguration"):
                continue
            for webhook in stored.manifest.get("webhooks") or ():
                groups = [group for rule in webhook["rules"] for group in rule["apiGroups"]]
                service = webhook["clientConfig"]["service"]
                deployment = ("apps", "Deployment", service["namespace"], service["name"])
                served = self.state.objects.get(deployment)
                ready = served and served.manifest.get("status", {}).get("readyReplicas")
                if key[0] in groups and not ready:
                    url = f"https://{service['name']}.{service['namespace']}.svc:443"
                    raise WebhookUnavailableError(
                        self.name,
                        f'Internal error occurred: failed calling webhook "{webhook["name"]}": '
                        f'failed to call webhook: Post "{url}": connect: connection refused',
                    )

    # Storage

    def _kinds(self) -> Iterator[Kind]:
        yield from BUILT_IN
        for key, stored in self.state.objects.items():
            if key[1] == "CustomResourceDefinition" and "status" in stored.manifest:
                spec = stored.manifest["spec"]
                yield Kind(
                    spec["group"],
                    tuple(version["name"] for version in spec["versions"]),
                    spec["names"]["kind"],
                    spec["names"]["plural"],
                    spec.get("scope") == "Namespaced",
                )

    def _find(self, name: str) -> Kind | None:
        return next((kind for kind in self._kinds() if kind.called(name)), None)

    def _served(self, manifest: Manifest) -> Kind:
        for kind in self._kinds():
            if kind.kind == manifest["kind"] and manifest["apiVersion"] in kind.api_versions:
                return kind
        raise UnknownKindError(
            self.name,
            f'no matches for kind "{manifest["kind"]}" in version "{manifest["apiVersion"]}"',
        )

    def _recognized(self, objects: Sequence[Manifest]) -> list[Kind]:
        try:
            return [self._served(manifest) for manifest in objects]
        except UnknownKindError as error:
            raise UnknownKindError(self.name, about(objects, error.reasons[0])) from None

    def _store(self, key: Key, manifest: Manifest, manager: str) -> None:
        """Server-side apply: sets the fields, and drops those that the manager set before."""
        fields = _fields(manifest)
        before = self.state.objects.get(key)
        if before is None:
            self.state.counter += 1
            metadata = {
                **manifest["metadata"],
                "uid": f"{self.name}-{self.state.counter}",
                "resourceVersion": str(self.state.counter),
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
            self.state.objects[key] = stored
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
        self.state.counter += 1
        content["metadata"]["resourceVersion"] = str(self.state.counter)
        times = {**before.times, manager: self.clock.stamp()}
        self.state.objects[key] = Stored(content, owners, times, before.created)
        self._remember(key, content)

    def _forget(self, key: Key) -> None:
        if self.state.objects.pop(key, None) is not None:
            self._remember(key, None)

    def _remember(self, key: Key, content: Manifest | None) -> None:
        if key[1] == "Secret":
            data = None if content is None else dict(content.get("data") or {})
            self.state.history.append((self.clock.seconds, key, data))

    def _shown(self, stored: Stored, *, fields: bool = True) -> Manifest:
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

    def _but(self, **changes: Any) -> Self:
        other = copy.copy(self)
        for name, value in changes.items():
            setattr(other, name, value)
        return other


def _key(manifest: Manifest, served: Kind) -> Key:
    metadata = manifest["metadata"]
    namespace = metadata.get("namespace", "default") if served.namespaced else ""
    return served.group, served.kind, namespace, metadata["name"]


def _version(stored: Stored) -> str:
    return str(stored.manifest["metadata"]["resourceVersion"])


def _listed(objects: Sequence[Manifest]) -> str:
    first = objects[0]
    more = f" and {len(objects) - 1} more" if len(objects) > 1 else ""
    return f"{first['kind']} {first['metadata']['name']}{more}"


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


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
