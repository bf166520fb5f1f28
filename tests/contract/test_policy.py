"""No workload is weaker than it has to be: Pod Security "restricted", and kube-linter's defaults.

The rules run over everything that reaches the clusters where upstream's bundles and kustomize are
at hand, and over our own objects always. An exception names its reason; one that is no longer
needed fails.

Sources: https://kubernetes.io/docs/concepts/security/pod-security-standards/ and the checks that
kube-linter runs by default (https://docs.kubelinter.io/#/generated/checks).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

import pytest

from tests.objects import Object

Rule = Callable[[Object, Mapping[str, Any]], Iterator[str]]
"""Yields what is wrong with a workload, given the spec of its pods."""

WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")

PRIVILEGED: Final = {
    "node-exporter": "sees the node: its network, its processes and its files",
    "opentelemetry-collector": "reads the containers' logs from the node, and queues there",
}
"""Namespaces whose pods may be more than restricted, and why."""

EXCEPTIONS: Final[Mapping[str, Mapping[str, str]]] = {
    "is_a_restricted_pod": {
        "node-exporter/node-exporter": "host network, processes and files are what it tells of",
        "opentelemetry-collector/logs": "logs and queue are folders of the node",
    },
    "has_restricted_containers": {
        "opentelemetry-collector/logs": "root alone may read logs; it keeps no capability",
    },
    "has_a_readiness_probe": {
        "argocd/argocd-applicationset-controller": "the bundle has none; it serves webhooks only",
        "argocd/argocd-notifications-controller": "serves nothing but metrics",
        "argocd/argocd-redis": "a cache: its clients retry and do without it",
        "cert-manager/cert-manager": "serves nothing but metrics; elects a leader",
        "cert-manager/cert-manager-cainjector": "serves nothing but metrics; elects a leader",
    },
    "has_a_liveness_probe": {
        "argocd/argocd-application-controller": "the bundle has none, by its authors' choice",
        "argocd/argocd-applicationset-controller": "the bundle has none, by its authors' choice",
        "argocd/argocd-redis": "the bundle has none, by its authors' choice",
        "cert-manager/cert-manager-cainjector": "ends by itself when it loses its lease",
    },
}
"""Rule, then namespace/workload, then why it does not keep it."""


def containers(pod: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def is_a_restricted_pod(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    """What the level "restricted" asks of the pod, the level "baseline" included."""
    outer = pod.get("securityContext", {})
    for field in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(field):
            yield field
    for volume in pod.get("volumes", ()):
        kinds = volume.keys() - {"name"}
        allowed = {
            "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim",
            "projected", "secret",
        }  # fmt: skip
        if not kinds <= allowed:
            yield f"volume {volume['name']} of kind {', '.join(kinds)}"
    if outer.get("sysctls"):
        yield "sysctls"


def has_restricted_containers(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    outer = pod.get("securityContext", {})
    for container in containers(pod):
        inner = container.get("securityContext", {})
        name = container["name"]
        if inner.get("privileged"):
            yield f"{name} is privileged"
        if inner.get("allowPrivilegeEscalation") is not False:
            yield f"{name} may escalate"
        if inner.get("capabilities", {}).get("drop") != ["ALL"]:
            yield f"{name} keeps capabilities"
        if set(inner.get("capabilities", {}).get("add", ())) - {"NET_BIND_SERVICE"}:
            yield f"{name} adds capabilities"
        if not inner.get("runAsNonRoot", outer.get("runAsNonRoot")):
            yield f"{name} may run as root"
        if inner.get("runAsUser", outer.get("runAsUser")) == 0:
            yield f"{name} runs as root"
        if inner.get("seccompProfile", outer.get("seccompProfile")) != {"type": "RuntimeDefault"}:
            yield f"{name} has no seccomp profile"
        if any("hostPort" in port for port in container.get("ports", ())):
            yield f"{name} takes a port of the node"


def has_a_read_only_root(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    for container in containers(pod):
        if not container.get("securityContext", {}).get("readOnlyRootFilesystem"):
            yield str(container["name"])


def has_resources(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    """Requests of both, and a limit of memory; a limit of CPU would only throttle."""
    for container in pod["containers"]:
        resources = container.get("resources", {})
        if not {"cpu", "memory"} <= resources.get("requests", {}).keys():
            yield f"{container['name']} requests too little"
        if "memory" not in resources.get("limits", {}):
            yield f"{container['name']} may take all memory"


def has_a_readiness_probe(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    for container in pod["containers"]:
        if "readinessProbe" not in container:
            yield str(container["name"])


def has_a_liveness_probe(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    for container in pod["containers"]:
        if "livenessProbe" not in container:
            yield str(container["name"])


def probes_its_own_ports(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    """kube-linter: liveness-port, readiness-port, startup-port."""
    for container in pod["containers"]:
        ports = {
            value
            for port in container.get("ports", ())
            for value in (port["containerPort"], port.get("name"))
        }
        for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
            for action in ("httpGet", "tcpSocket"):
                port = container.get(probe, {}).get(action, {}).get("port")
                # The bundles probe health ports that they do not declare.
                if port is not None and port not in ports and not _of_a_bundle(workload):
                    yield f"{container['name']}: {probe} on {port}"


def has_a_priority(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    if not pod.get("priorityClassName"):
        yield "none"


def has_an_account(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    """One of its own; and its token only where it says so or the bundle does."""
    if pod.get("serviceAccountName", "default") == "default":
        yield "none of its own"
    if not _of_a_bundle(workload) and "automountServiceAccountToken" not in pod:
        yield "does not say whether it needs a token"


def spreads(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    """kube-linter: no-anti-affinity; spread constraints do the same and are kept on rollout."""
    replicas = workload.body["spec"].get("replicas")
    if (replicas is None or replicas > 1) and workload.kind == "Deployment":
        if _of_a_bundle(workload) and replicas is None:
            return
        if not pod.get("topologySpreadConstraints"):
            yield f"{replicas} replicas may share a node"


def keeps_secrets_out_of_the_environment(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    """kube-linter: env-var-secret; and no variable twice."""
    for container in containers(pod):
        names = [variable["name"] for variable in container.get("env", ())]
        yield from sorted({name for name in names if names.count(name) > 1})
        for variable in container.get("env", ()):
            if "secretKeyRef" in variable.get("valueFrom", {}) and not _of_a_bundle(workload):
                yield str(variable["name"])


def selects_its_own_pods(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    """kube-linter: mismatching-selector."""
    spec = workload.body["spec"]
    wanted = spec["selector"]["matchLabels"]
    if not wanted.items() <= spec["template"]["metadata"]["labels"].items():
        yield str(wanted)


def ends_in_time(workload: Object, pod: Mapping[str, Any]) -> Iterator[str]:
    """No SSH, and a grace period that somebody thought about where users are served."""
    for container in containers(pod):
        if any(port["containerPort"] == 22 for port in container.get("ports", ())):
            yield f"{container['name']} listens for SSH"
    if workload.name in ("traefik", "foobar-api") and "terminationGracePeriodSeconds" not in pod:
        yield "no grace period"


RULES: Final[Sequence[Rule]] = (
    is_a_restricted_pod,
    has_restricted_containers,
    has_a_read_only_root,
    has_resources,
    has_a_readiness_probe,
    has_a_liveness_probe,
    probes_its_own_ports,
    has_a_priority,
    has_an_account,
    spreads,
    keeps_secrets_out_of_the_environment,
    selects_its_own_pods,
    ends_in_time,
)


def _of_a_bundle(workload: Object) -> bool:
    return workload.component in ("argocd", "cert-manager", "prometheus-operator")


def _broken(rule: Rule, objects: Sequence[Object]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in objects:
        if each.kind in WORKLOADS:
            pod = each.body["spec"]["template"]["spec"]
            if wrong := list(rule(each, pod)):
                found[f"{each.namespace}/{each.name}"] = wrong
    return found


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_our_workloads(rule: Rule, objects: Sequence[Object]) -> None:
    """What we model needs no exception but those of the privileged namespaces."""
    assert sum(each.kind in WORKLOADS for each in objects) >= 20
    assert {
        name
        for name in _broken(rule, objects)
        if name not in EXCEPTIONS.get(rule.__name__, {}) or name.split("/")[0] not in PRIVILEGED
    } == set()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_everything_that_runs(rule: Rule, built: Sequence[Object]) -> None:
    """With bundles, patches and overlays: exactly the excepted break a rule."""
    assert sum(each.kind in WORKLOADS for each in built) >= 23
    broken = _broken(rule, built)
    assert broken.keys() == EXCEPTIONS.get(rule.__name__, {}).keys(), broken


def test_every_namespace_enforces_restricted(built: Sequence[Object]) -> None:
    namespaces = [each for each in built if each.kind == "Namespace"]
    assert len(namespaces) >= 3 + 4 + 4
    assert PRIVILEGED.keys() <= {each.name for each in namespaces}
    for each in namespaces:
        labels = each.body["metadata"]["labels"]
        level = "privileged" if each.name in PRIVILEGED else "restricted"
        assert labels["pod-security.kubernetes.io/enforce"] == level, each
        assert each.body["metadata"]["annotations"]["argocd.argoproj.io/sync-options"], each


def test_every_namespace_denies_by_default(built: Sequence[Object]) -> None:
    """Each has a policy over all pods that allows nothing, in both directions."""
    closed = {
        (each.cluster, each.namespace)
        for each in built
        if each.kind == "NetworkPolicy"
        and not each.body["spec"].get("podSelector")
        and sorted(each.body["spec"]["policyTypes"]) == ["Egress", "Ingress"]
        and not {"ingress", "egress"} & each.body["spec"].keys()
    }
    assert closed == {(each.cluster, each.name) for each in built if each.kind == "Namespace"}


def test_no_selector_is_empty_where_it_may_be_left_out(objects: Sequence[Object]) -> None:
    """Server-side apply takes an empty matchLabels for a change, again and again."""

    def selectors(value: Any) -> Iterator[Any]:
        if isinstance(value, dict):
            if "matchLabels" in value:
                yield value["matchLabels"]
            for inner in value.values():
                yield from selectors(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from selectors(inner)

    for each in objects:
        assert {} not in list(selectors(each.body)), each


def test_a_workload_of_several_has_a_budget(built: Sequence[Object]) -> None:
    """kube-linter: pdb-*; a budget lets one pod go, and never keeps an unhealthy one in place."""
    budgets = {
        (each.cluster, each.namespace, tuple(each.body["spec"]["selector"]["matchLabels"].items()))
        for each in built
        if each.kind == "PodDisruptionBudget"
    }
    for each in built:
        if each.kind == "PodDisruptionBudget":
            assert each.body["spec"]["maxUnavailable"] == 1, each
            assert each.body["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow", each
        if each.kind == "Deployment" and (
            each.body["spec"].get("replicas", 1) > 1 or each.name == "foobar-api"
        ):
            labels = each.body["spec"]["template"]["metadata"]["labels"].items()
            assert any(
                (cluster, namespace) == (each.cluster, each.namespace) and set(wanted) <= labels
                for cluster, namespace, wanted in budgets
            ), each
