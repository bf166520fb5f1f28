"""What the platform asks of every object, beyond what the API server checks.

Pods keep Pod Security "restricted" and kube-linter's default checks; namespaces enforce that level
and deny all traffic that no policy opens; images are pinned; no Secret has content. An exception
names its reason. A test fails when an exception is no longer needed.

Sources: https://kubernetes.io/docs/concepts/security/pod-security-standards/ and the checks that
kube-linter runs by default (https://docs.kubelinter.io/#/generated/checks).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from rendering.validation.objects import ClusterObjects, Finding, Object, containers

Rule: TypeAlias = Callable[[Object, Mapping[str, Any]], Iterator[str]]
"""Yields what is wrong with a workload, given the spec of its pods."""

PRIVILEGED: Final[Mapping[str, str]] = {
    "node-exporter": "sees the node: its network, its processes and its files",
    "opentelemetry-collector": "reads the containers' logs from the node, and queues there",
}
"""Namespaces whose pods may be more than restricted, and why."""

_ARGOCD: Final = "Argo CD's bundle has none, by its authors' choice"

EXCEPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "is_a_restricted_pod": {
        "node-exporter/node-exporter": "it reports on the host's network, processes and files",
        "opentelemetry-collector/logs": "logs and queue are folders of the node",
    },
    "has_restricted_containers": {
        "opentelemetry-collector/logs": "only root may read logs; it keeps no capability",
    },
    "has_a_readiness_probe": {
        "argocd/argocd-applicationset-controller": "the bundle has none; it serves webhooks only",
        "argocd/argocd-notifications-controller": "it serves nothing but metrics",
        "argocd/argocd-redis": "a cache: its clients retry and do without it",
        "cert-manager/cert-manager": "it serves nothing but metrics and elects a leader",
        "cert-manager/cert-manager-cainjector": "it serves nothing but metrics, elects a leader",
    },
    "has_a_liveness_probe": {
        "argocd/argocd-application-controller": _ARGOCD,
        "argocd/argocd-applicationset-controller": _ARGOCD,
        "argocd/argocd-redis": _ARGOCD,
        "cert-manager/cert-manager-cainjector": "it ends by itself when it loses its lease",
    },
    "exposes_only_traefik": {
        "traefik/traefik": "the one way into a cluster",
    },
}
"""Rule, then namespace/name, then why the object does not keep the rule."""


def check(cluster: ClusterObjects, *, whole: bool) -> Iterator[Finding]:
    """Everything in ``cluster`` that breaks a rule and is no exception.

    WHOLE_RULES apply only if the ``whole`` cluster is there.
    """
    for rule, objects in broken(cluster, whole=whole).items():
        for each, faults in objects:
            if _key(each) not in EXCEPTIONS.get(rule, {}):
                for fault in faults:
                    yield Finding(each, fault)


def broken(cluster: ClusterObjects, *, whole: bool) -> dict[str, list[tuple[Object, list[str]]]]:
    """By rule, every object that breaks it, exceptions included."""
    found: dict[str, list[tuple[Object, list[str]]]] = {}
    for rule in WORKLOAD_RULES:
        for each, template in cluster.workloads():
            if faults := list(rule(each, _whole(template["spec"]))):
                found.setdefault(rule.__name__, []).append((each, faults))
    for cluster_rule in (*OBJECT_RULES, *(WHOLE_RULES if whole else ())):
        for each, fault in cluster_rule(cluster):
            found.setdefault(cluster_rule.__name__, []).append((each, [fault]))
    return found


def _whole(pod: Mapping[str, Any]) -> Mapping[str, Any]:
    """The pod without containers that have no image: the API server refuses those (admission)."""
    parts = {key: pod.get(key, ()) for key in ("initContainers", "containers")}
    return {
        **pod,
        **{key: [one for one in part if one.get("image")] for key, part in parts.items()},
    }


def _key(each: Object) -> str:
    return f"{each.namespace}/{each.name}"


def is_a_restricted_pod(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    """What the level "restricted" asks of the pod, the level "baseline" included."""
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield f"{field} is set, which Pod Security restricted forbids; remove it"
    allowed = {
        "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
        "projected", "secret",
    }  # fmt: skip
    for volume in pod.get("volumes", ()):
        for kind in sorted(volume.keys() - {"name"} - allowed):
            yield (
                f"volume {volume['name']} is of kind {kind}, which Pod Security restricted forbids"
                f"; use one of {', '.join(sorted(allowed))}"
            )
    if pod.get("securityContext", {}).get("sysctls"):
        yield "sysctls are set, which only some clusters allow; remove them"


def has_restricted_containers(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    outer = pod.get("securityContext", {})
    for container in containers(pod):
        inner = container.get("securityContext", {})
        name = f"container {container['name']}"
        if inner.get("privileged"):
            yield f"{name} is privileged; remove privileged"
        if inner.get("allowPrivilegeEscalation") is not False:
            yield f"{name} may gain privileges; set allowPrivilegeEscalation: false"
        if inner.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"{name} keeps capabilities; set capabilities: {{drop: [ALL]}}"
        if set(inner.get("capabilities", {}).get("add", ())) - {"NET_BIND_SERVICE"}:
            yield f"{name} adds capabilities; only NET_BIND_SERVICE is allowed"
        if not inner.get("runAsNonRoot", outer.get("runAsNonRoot")):
            yield f"{name} may run as root; set runAsNonRoot: true"
        if inner.get("runAsUser", outer.get("runAsUser")) == 0:
            yield f"{name} runs as root; give another runAsUser"
        if inner.get("seccompProfile", outer.get("seccompProfile")) != {"type": "RuntimeDefault"}:
            yield f"{name} has no seccomp profile; set seccompProfile: {{type: RuntimeDefault}}"
        if any("hostPort" in port for port in container.get("ports", ())):
            yield f"{name} takes a port of the node; remove hostPort"


def has_a_read_only_root(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    for container in containers(pod):
        if not container.get("securityContext", {}).get("readOnlyRootFilesystem"):
            yield (
                f"container {container['name']} may write to its root file system; "
                "set readOnlyRootFilesystem: true"
            )


def has_resources(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    """Requests of both, and a limit of memory; a limit of CPU would only throttle."""
    for container in pod.get("containers", ()):
        resources = container.get("resources", {})
        name = f"container {container['name']}"
        if missing := sorted({"cpu", "memory"} - resources.get("requests", {}).keys()):
            yield f"{name} does not request {' and '.join(missing)}; add resources.requests"
        if "memory" not in resources.get("limits", {}):
            yield f"{name} may take all memory of the node; add resources.limits.memory"


def has_a_readiness_probe(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    if workload.kind not in ("Job", "CronJob"):
        for container in pod.get("containers", ()):
            if "readinessProbe" not in container:
                yield f"container {container['name']} has no readinessProbe; add one"


def has_a_liveness_probe(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    if workload.kind not in ("Job", "CronJob"):
        for container in pod.get("containers", ()):
            if "livenessProbe" not in container:
                yield f"container {container['name']} has no livenessProbe; add one"


def probes_a_named_port(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    """kube-linter: liveness-port, readiness-port, startup-port.

    A port by number may be undeclared, as in the bundles; a name has to be declared.
    """
    for container in pod.get("containers", ()):
        names = {port.get("name") for port in container.get("ports", ())}
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            for action in ("httpGet", "tcpSocket"):
                port = container.get(probe, {}).get(action, {}).get("port")
                if isinstance(port, str) and port not in names:
                    yield (
                        f"container {container['name']}: {probe} asks port {port}, which the "
                        "container does not declare; name one of its ports"
                    )


def has_a_priority(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    if not pod.get("priorityClassName"):
        yield "has no priorityClassName; name a PriorityClass of the baseline"


def has_an_account(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    if pod.get("serviceAccountName", "default") == "default":
        yield "runs as the default ServiceAccount; give it one of its own"


def spreads(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    """kube-linter: no-anti-affinity; spread constraints do the same and hold during a rollout."""
    replicas = workload.body["spec"].get("replicas", 1)
    served = workload.kind in ("Deployment", "StatefulSet")
    if served and replicas > 1 and not pod.get("topologySpreadConstraints"):
        yield f"its {replicas} replicas may share a node; add topologySpreadConstraints"


def names_variables_once(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    for container in containers(pod):
        names = [variable["name"] for variable in container.get("env", ())]
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield f"container {container['name']} sets {name} twice; keep one"


def listens_for_no_ssh(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    """kube-linter: ssh-port."""
    for container in containers(pod):
        if any(port["containerPort"] == 22 for port in container.get("ports", ())):
            yield f"container {container['name']} listens for SSH on port 22; remove the port"


def has_pinned_images(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    """By a version or a digest."""
    for container in containers(pod):
        name, at, _ = container["image"].partition("@")
        tag = name.rpartition("/")[2].partition(":")[2]
        if not at and tag in ("", "latest"):
            yield (
                f"container {container['name']} runs {name}, which is another image tomorrow; "
                "name a version or a digest"
            )


WORKLOAD_RULES: Final[Sequence[Rule]] = (
    is_a_restricted_pod,
    has_restricted_containers,
    has_a_read_only_root,
    has_resources,
    has_a_readiness_probe,
    has_a_liveness_probe,
    probes_a_named_port,
    has_a_priority,
    has_an_account,
    spreads,
    names_variables_once,
    listens_for_no_ssh,
    has_pinned_images,
)


def enforces_pod_security(cluster: ClusterObjects) -> Iterator[Finding]:
    for each in cluster.of("Namespace"):
        wanted = "privileged" if each.name in PRIVILEGED else "restricted"
        label = "pod-security.kubernetes.io/enforce"
        if (level := (each.body["metadata"].get("labels") or {}).get(label)) != wanted:
            yield Finding(each, f"{label} is {level or 'missing'}; set it to {wanted}")


def denies_by_default(cluster: ClusterObjects) -> Iterator[Finding]:
    """Each namespace has a policy over all pods that allows nothing, in both directions."""
    closed = {
        each.namespace
        for each in cluster.of("NetworkPolicy")
        if not each.body["spec"].get("podSelector")
        and set(each.body["spec"].get("policyTypes", ())) == {"Egress", "Ingress"}
        and not {"ingress", "egress"} & each.body["spec"].keys()
    }
    for each in cluster.of("Namespace"):
        if each.name not in closed:
            fault = (
                "no NetworkPolicy denies its traffic by default; add one with an empty podSelector "
                "and both policyTypes"
            )
            yield Finding(each, fault)


def is_kept(cluster: ClusterObjects) -> Iterator[Finding]:
    """Deleting a namespace deletes everything inside, Secrets that are in no file included."""
    for each in cluster.of("Namespace"):
        annotation = "argocd.argoproj.io/sync-options"
        options = (each.body["metadata"].get("annotations") or {}).get(annotation, "")
        if not {"Prune=false", "Delete=false"} <= set(options.split(",")):
            yield Finding(
                each, f"Argo CD may delete it; set {annotation}: Prune=false,Delete=false"
            )


def holds_no_secret(cluster: ClusterObjects) -> Iterator[Finding]:
    for each in cluster.of("Secret"):
        for field in ("data", "stringData"):
            if each.body.get(field):
                yield Finding(
                    each,
                    f"{field} would put a secret into Git; create it in the cluster, outside Git",
                )


def exposes_only_traefik(cluster: ClusterObjects) -> Iterator[Finding]:
    for each in cluster.of("Service"):
        kind = each.body["spec"].get("type", "ClusterIP")
        if kind in ("LoadBalancer", "NodePort"):
            yield Finding(each, f"type {kind} opens a way in beside Traefik; route through Traefik")
        if each.body["spec"].get("externalIPs"):
            yield Finding(
                each,
                "externalIPs take what any pod of the cluster sends to them; remove the field",
            )


def has_a_budget(cluster: ClusterObjects) -> Iterator[Finding]:
    """kube-linter: pdb-*; a budget lets one pod go, and never keeps an unhealthy one in place."""
    budgets = list(cluster.of("PodDisruptionBudget"))
    for each in budgets:
        spec = each.body["spec"]
        if spec.get("maxUnavailable") != 1:
            yield Finding(each, "does not let one pod go at a time; set maxUnavailable: 1")
        if spec.get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            fault = (
                "keeps unhealthy pods on a node that is drained; "
                "set unhealthyPodEvictionPolicy: AlwaysAllow"
            )
            yield Finding(each, fault)
    scaled = {
        (each.namespace, each.body["spec"]["scaleTargetRef"]["name"])
        for each in cluster.of("HorizontalPodAutoscaler")
    }
    for each in cluster.of("Deployment", "StatefulSet"):
        if each.body["spec"].get("replicas", 1) <= 1 and (each.namespace, each.name) not in scaled:
            continue
        labels = (each.template or {})["metadata"].get("labels", {})
        if not any(
            budget.namespace == each.namespace
            and budget.body["spec"].get("selector", {}).get("matchLabels", {}).items()
            <= labels.items()
            for budget in budgets
        ):
            yield Finding(each, "has several pods and no PodDisruptionBudget; add one")


ClusterRule: TypeAlias = Callable[[ClusterObjects], Iterator[Finding]]

OBJECT_RULES: Final[Sequence[ClusterRule]] = (
    enforces_pod_security,
    is_kept,
    holds_no_secret,
    exposes_only_traefik,
)

WHOLE_RULES: Final[Sequence[ClusterRule]] = (denies_by_default, has_a_budget)
"""Rules that relate objects to each other, so that none may be missing."""
