"""No object is weaker than it has to be, and every rule of ``rendering.validation`` sees its fault.

The rules run over everything that reaches the clusters: bundles, patches and overlays included.
"""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts import labels
from rendering.validation import admission, deployment, policy, quotas, references, validate
from rendering.validation.objects import ClusterObjects, Finding, Object, containers
from tests import kustomize
from tests.objects import OVERLAYS

HUB = "tooling"
REGION = "us-east"


@pytest.fixture(scope="module")
def clusters(built: Sequence[Object]) -> Mapping[str, ClusterObjects]:
    return {
        name: ClusterObjects(each for each in built if each.cluster == name)
        for name in {each.cluster for each in built}
    }


def found(clusters: Mapping[str, ClusterObjects], name: str) -> Iterator[Finding]:
    yield from admission.check(clusters[name])
    yield from policy.check(clusters[name], whole=True)
    yield from references.check(clusters[name])
    yield from deployment.check(name, clusters)


def test_nothing_that_runs_breaks_a_rule(clusters: Mapping[str, ClusterObjects]) -> None:
    assert sum(len(list(each.workloads())) for each in clusters.values()) >= 23
    assert [finding for name in clusters for finding in found(clusters, name)] == []


def test_every_fleet_is_valid(any_dist: Path, mirror: Path) -> None:
    """Whatever it leaves out, whoever its provider is, however many regions it has."""
    kustomize.program()
    report = validate(any_dist, OVERLAYS, mirror=mirror, memory=kustomize.MEMORY)
    assert report.problems == []
    assert report.unchecked == []


def test_every_exception_is_needed(clusters: Mapping[str, ClusterObjects]) -> None:
    """And a privileged namespace is one that a cluster has."""
    needed: dict[str, set[str]] = {}
    for cluster in clusters.values():
        for rule, broken in policy.broken(cluster, whole=True).items():
            needed.setdefault(rule, set()).update(
                f"{each.namespace}/{each.name}" for each, _ in broken
            )
    assert needed == {rule: set(names) for rule, names in policy.EXCEPTIONS.items()}
    namespaces = {name for each in clusters.values() for name in each.names("Namespace", None)}
    assert policy.PRIVILEGED.keys() <= namespaces


def test_our_own_workloads_need_no_exception(objects: Sequence[Object]) -> None:
    """But those of the privileged namespaces: the other exceptions are for bundles."""
    ours = ClusterObjects(objects)
    assert len(list(ours.workloads())) >= 20
    for rule in policy.WORKLOAD_RULES:
        for each, template in ours.workloads():
            if faults := list(rule(each, template["spec"])):
                assert each.namespace in policy.PRIVILEGED, f"{each}: {faults}"


def test_our_own_workloads_are_explicit(objects: Sequence[Object]) -> None:
    """Stricter than for bundles.

    Probes ask declared ports, tokens are asked for or refused, and no Secret is in the environment
    (kube-linter: env-var-secret).
    """
    for each, template in ClusterObjects(objects).workloads():
        pod = template["spec"]
        assert "automountServiceAccountToken" in pod, each
        for container in containers(pod):
            ports = {
                value
                for port in container.get("ports", ())
                for value in (port["containerPort"], port.get("name"))
            }
            for probe in ("livenessProbe", "readinessProbe", "startupProbe"):
                for action in ("httpGet", "tcpSocket"):
                    port = container.get(probe, {}).get(action, {}).get("port")
                    assert port is None or port in ports, f"{each}: {probe}"
            for variable in container.get("env", ()):
                assert "secretKeyRef" not in variable.get("valueFrom", {}), each


def test_what_serves_users_has_a_grace_period(objects: Sequence[Object]) -> None:
    serving = [
        (each, template)
        for each, template in ClusterObjects(objects).workloads()
        if each.name in ("traefik", "foobar-api")
    ]
    assert {each.name for each, _ in serving} == {"traefik", "foobar-api"}
    for each, template in serving:
        assert "terminationGracePeriodSeconds" in template["spec"], each


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


# Each fault that a check must see: the object, where it is changed, to what, and the message.
# DELETE removes a value.
DELETE = object()
POD = "spec/template/spec"
CONTAINER = f"{POD}/containers/0"
APP = ("Deployment", "foobar-api")
FAULTS = [
    (APP, f"{POD}/hostNetwork", True, "hostNetwork is set"),
    (APP, f"{POD}/volumes/0", {"name": "cert", "hostPath": {}}, "of kind hostPath"),
    (APP, f"{POD}/securityContext/sysctls", [{"name": "a"}], "sysctls are set"),
    (APP, f"{CONTAINER}/securityContext/privileged", True, "is privileged"),
    (APP, f"{CONTAINER}/securityContext/allowPrivilegeEscalation", DELETE, "may gain privileges"),
    (APP, f"{CONTAINER}/securityContext/capabilities/drop", [], "keeps capabilities"),
    (APP, f"{CONTAINER}/securityContext/capabilities/add", ["SYS_ADMIN"], "adds capabilities"),
    (APP, f"{CONTAINER}/securityContext/runAsNonRoot", False, "may run as root"),
    (APP, f"{CONTAINER}/securityContext/runAsUser", 0, "runs as root"),
    (APP, f"{POD}/securityContext/seccompProfile", DELETE, "has no seccomp profile"),
    (APP, f"{CONTAINER}/ports/0/hostPort", 8443, "takes a port of the node"),
    (APP, f"{CONTAINER}/securityContext/readOnlyRootFilesystem", False, "root file system"),
    (APP, f"{CONTAINER}/resources/requests/cpu", DELETE, "does not request cpu"),
    (APP, f"{CONTAINER}/resources/limits", DELETE, "may take all memory"),
    (APP, f"{CONTAINER}/readinessProbe", DELETE, "has no readinessProbe"),
    (APP, f"{CONTAINER}/livenessProbe", DELETE, "has no livenessProbe"),
    (APP, f"{CONTAINER}/livenessProbe/httpGet/port", "htps", "asks port htps"),
    (APP, f"{POD}/priorityClassName", DELETE, "has no priorityClassName"),
    (APP, f"{POD}/serviceAccountName", DELETE, "default ServiceAccount"),
    (("Deployment", "traefik"), f"{POD}/topologySpreadConstraints", DELETE, "share a node"),
    (APP, f"{CONTAINER}/env/0", {"name": "POD_NAME", "value": "a"}, "sets POD_NAME twice"),
    (APP, f"{CONTAINER}/ports/0/containerPort", 22, "listens for SSH"),
    (APP, f"{CONTAINER}/image", "registry.example/app:latest", "another image tomorrow"),
    (APP, f"{CONTAINER}/image", "registry.example:5000/app", "another image tomorrow"),
    (("Namespace", "foobar-api"), "metadata/labels", {}, "enforce is missing; set it to"),
    (("NetworkPolicy", "default-deny"), "spec/ingress", [{}], "denies its traffic by default"),
    (("Namespace", "traefik"), "metadata/annotations", DELETE, "Argo CD may delete it"),
    (("Secret", "argocd-manager-token"), "stringData", {"a": "b"}, "would put a secret into Git"),
    (("Service", "foobar-api"), "spec/type", "NodePort", "opens a way in beside Traefik"),
    (("Service", "foobar-api"), "spec/externalIPs", ["192.0.2.9"], "what any pod of the cluster"),
    (("PodDisruptionBudget", "traefik"), "spec/maxUnavailable", 0, "does not let one pod go"),
    (("PodDisruptionBudget", "traefik"), "spec/unhealthyPodEvictionPolicy", DELETE, "drained"),
    (("PodDisruptionBudget", "foobar-api"), "spec/selector/matchLabels", {"a": "b"}, "has several"),
    (APP, "metadata/name", "Foobar_api", "is no valid name"),
    (("Service", "foobar-api"), "metadata/name", "foobar.api", "is no valid name"),
    (("ClusterRole", "traefik"), "metadata/name", "a/b", "is no valid name"),
    (APP, "metadata/labels/team", "a" * 64, "no valid label value"),
    (APP, "spec/template/metadata/labels/team", "a b", "no valid label value"),
    (APP, f"{CONTAINER}/resources/limits/memory", "2GB", "2GB is no quantity"),
    (("PrometheusAgent", "agent"), "spec/resources/requests/cpu", "1 core", "is no quantity"),
    (("ResourceQuota", "foobar-api"), "spec/hard/pods", "many", "many is no quantity"),
    (APP, f"{CONTAINER}/resources/requests/memory", "1Gi", "is more than the limit 256Mi"),
    (APP, f"{CONTAINER}/image", DELETE, "has no image"),
    (APP, f"{POD}/containers/1", {"name": "foobar-api", "image": "a:1"}, "is there twice"),
    (APP, f"{CONTAINER}/volumeMounts/0/name", "cret", "mounts volume cret"),
    (APP, f"{CONTAINER}/ports/1/name", "https", "two ports with the name https"),
    (APP, f"{CONTAINER}/ports/1/name", "a-name-far-too-long", "is no name of a port"),
    (APP, f"{POD}/containers", [], "have no container"),
    (APP, "spec/selector/matchLabels", {"a": "b"}, "spec.selector asks for a=b"),
    (("HorizontalPodAutoscaler", "foobar-api"), "spec/minReplicas", 7, "more than maxReplicas 6"),
    (("HorizontalPodAutoscaler", "foobar-api"), "spec/maxReplicas", 0, "is less than 1"),
    (("PodDisruptionBudget", "foobar-api"), "spec/minAvailable", 1, "both minAvailable and"),
    (("HorizontalPodAutoscaler", "foobar-api"), "spec/maxReplicas", 20, "spec.hard.pods: is 20"),
    *(
        (("Deployment", "foobar-api"), "spec/template/spec/priorityClassName", name, "pods: is 0")
        for name in ("platform", "system-cluster-critical", "system-node-critical")
    ),
    (APP, f"{CONTAINER}/resources/limits/memory", "2Gi", "limits.memory: is 8Gi"),
    (APP, f"{CONTAINER}/resources/requests/cpu", "0.7", "may need 4.9"),
    (APP, "spec/strategy/type", "Recreate", "Recreate allows no rollingUpdate"),
    (APP, "spec/strategy/rollingUpdate/maxSurge", 0, "maxSurge and maxUnavailable are 0"),
    (APP, "spec/strategy/rollingUpdate/maxSurge", "one", "one is neither number nor percentage"),
    (APP, f"{CONTAINER}/imagePullPolicy", "Alway", "Alway is not allowed (did you mean Always?)"),
    (APP, f"{POD}/dnsPolicy", "Foo", "dnsPolicy: Foo is not allowed"),
    (APP, f"{POD}/restartPolicy", "Never", "restartPolicy: Never is not allowed"),
    (APP, f"{POD}/tolerations", [{"operator": "Exist"}], "Exist is not allowed"),
    (APP, f"{CONTAINER}/ports/0/containerPort", 99999, "99999 is more than 65535"),
    (APP, f"{CONTAINER}/livenessProbe/periodSeconds", -1, "-1 is less than 1"),
    (APP, f"{CONTAINER}/livenessProbe/successThreshold", 2, "successThreshold: must be 1"),
    (APP, f"{CONTAINER}/livenessProbe/tcpSocket", {"port": 1}, "has httpGet and tcpSocket"),
    (
        APP,
        f"{CONTAINER}/env/0",
        {"name": "A", "value": "a", "valueFrom": {}},
        "has value and valueFrom; keep one",
    ),
    (APP, f"{CONTAINER}/envFrom", [{"configMapRef": {"name": "a"}}], "names ConfigMap a"),
    (APP, f"{CONTAINER}/resources/requests/cpu", "-1", "-1 is less than 0"),
    (
        APP,
        f"{POD}/volumes/0",
        {"name": "a", "emptyDir": {"sizeLimit": "1GB"}},
        "1GB is no quantity",
    ),
    (
        APP,
        f"{POD}/volumes/0",
        {"name": "a", "emptyDir": {"sizeLimit": "2Gi"}},
        "its emptyDir volumes may hold 2.1Gi, but its pod is evicted at 314Mi",
    ),
    (
        APP,
        f"{CONTAINER}/resources",
        {
            "requests": {"cpu": "1m", "memory": "1Mi", "ephemeral-storage": "2Gi"},
            "limits": {"memory": "1Mi"},
        },
        "container foobar-api: requests 2Gi of the disk, and the limit of its namespace is 1Gi",
    ),
    (APP, "metadata/labels/a b", "c", "label a b: is no valid key"),
    (("HorizontalPodAutoscaler", "foobar-api"), "spec/minReplicas", 0, "0 is less than 1"),
    (("Service", "foobar-api"), "spec/type", "ExternalNam", "did you mean ExternalName?"),
    (("Service", "foobar-api"), "metadata/namespace", DELETE, "metadata.namespace is missing"),
    (APP, "metadata/namespace", "shop", "no namespace shop"),
    (("Service", "foobar-api"), "spec/selector", {"app": "shop"}, "no pod has the labels app=shop"),
    (("Service", "foobar-api"), "spec/ports/0/targetPort", "htps", "has no port htps"),
    (("NetworkPolicy", "foobar-api"), "spec/podSelector/matchLabels", {"a": "b"}, "no pod has"),
    (("NetworkPolicy", "foobar-api"), "spec/ingress/0/ports/0/port", "htps", "has no port htps"),
    (("IngressRouteTCP", "foobar-api"), "spec/routes/0/services/0/name", "shop", "Service shop"),
    (("IngressRouteTCP", "foobar-api"), "spec/routes/0/services/0/port", 1, "has no port 1"),
    (
        ("IngressRouteTCP", "foobar-api"),
        "spec/routes/0/services/0/serversTransport",
        "none",
        "names ServersTransportTCP none",
    ),
    (("Certificate", "foobar-api"), "spec/issuerRef/name", "nobody", "names ClusterIssuer nobody"),
    (("Certificate", "foobar-api"), "spec/secretName", "other", "no pod mounts and no route"),
    (APP, f"{POD}/serviceAccountName", "nobody", "names ServiceAccount nobody"),
    (APP, f"{POD}/priorityClassName", "none", "names PriorityClass none"),
    (("ConfigMap", "logs"), "metadata/name", "lines", "names ConfigMap logs"),
    (("ClusterRoleBinding", "traefik"), "roleRef/name", "none", "names ClusterRole none"),
    (("ClusterRoleBinding", "traefik"), "subjects/0/name", "none", "names ServiceAccount none"),
    (APP, "spec/replicas", 2, "HorizontalPodAutoscaler/foobar-api sets the number"),
    (("HorizontalPodAutoscaler", "foobar-api"), "spec/scaleTargetRef/name", "a", "Deployment a"),
    (("IngressClass", "traefik"), "kind", "StorageClass", "deploy cluster-scoped StorageClass"),
    (APP, "metadata/namespace", "kube-public", "does not let Argo CD write to namespace kube-p"),
    (("Service", "foobar-api"), "kind", "Secret", "may not manage secrets in foobar-api"),
    (("Service", "foobar-api"), "kind", "Event", "may not manage events in foobar-api"),
]


def changed(body: Mapping[str, Any], path: str, value: object) -> Mapping[str, Any]:
    """A copy of ``body`` with one value changed, added or removed."""
    result = deepcopy(dict(body))
    at: Any = result
    *outer, last = path.split("/")
    for part in outer:
        at = at[int(part)] if isinstance(at, list) else at.setdefault(part, {})
    if isinstance(at, list):
        at[int(last) : int(last) + 1] = [value]
    elif value is DELETE:
        del at[last]
    else:
        at[last] = value
    return result


@pytest.mark.parametrize(
    ("which", "path", "value", "message"),
    FAULTS,
    ids=[f"{at}-{message}" for at, (_, _, _, message) in enumerate(FAULTS)],
)
def test_a_fault_is_found(
    which: tuple[str, str],
    path: str,
    value: object,
    message: str,
    clusters: Mapping[str, ClusterObjects],
) -> None:
    objects = list(clusters[REGION].all)
    (at, *_) = (at for at, each in enumerate(objects) if (each.kind, each.name) == which)
    before = objects[at]
    body = changed(before.body, path, value)
    objects[at] = Object(before.cluster, before.component, Path("dist"), body)
    faults = [fault for _, fault in found({**clusters, REGION: ClusterObjects(objects)}, REGION)]
    assert [fault for fault in faults if message in fault], faults


@pytest.mark.parametrize("kind", ["Pod", "ReplicaSet"])
def test_pods_that_no_deployment_makes_keep_the_rules(
    kind: str, clusters: Mapping[str, ClusterObjects]
) -> None:
    (app,) = (each for each in clusters[REGION].of("Deployment") if each.name == "foobar-api")
    body = changed(app.body, f"{CONTAINER}/image", "registry.example/app:latest")
    spec = body["spec"]["template"]["spec"] if kind == "Pod" else body["spec"]
    pod = Object(REGION, "other", app.file, {**body, "kind": kind, "spec": spec})
    faults = [each.fault for each in policy.check(ClusterObjects([pod]), whole=False)]
    assert [fault for fault in faults if "another image tomorrow" in fault], faults


@pytest.mark.parametrize(
    ("which", "namespace", "refused"),
    [
        ("Namespace", None, "does not let Argo CD deploy cluster-scoped Namespace objects"),
        ("ClusterRole", None, "does not let Argo CD deploy cluster-scoped ClusterRole objects"),
        ("NetworkPolicy", "foobar-api", "does not let Argo CD deploy NetworkPolicy objects"),
        ("ResourceQuota", "foobar-api", "does not let Argo CD deploy ResourceQuota objects"),
        ("IngressRouteTCP", "foobar-api", "does not let Argo CD deploy IngressRouteTCP objects"),
        ("RoleBinding", "foobar-api", "does not let Argo CD deploy RoleBinding objects"),
        ("PodMonitor", "foobar-api", "does not let Argo CD deploy PodMonitor objects"),
        ("Service", "traefik", "does not let Argo CD write to namespace traefik; use foobar-api"),
    ],
)
def test_what_is_not_an_apps_is_found_in_its_folder(
    which: str, namespace: str | None, refused: str, clusters: Mapping[str, ClusterObjects]
) -> None:
    """The same object passes in a folder of the platform's."""
    region = clusters[REGION]
    each = next(each for each in region.of(which) if each.namespace == namespace)
    for folder, faults in (("tenant-foobar-api", []), ("foobar-api", [refused])):
        moved = Object(REGION, folder, each.file, each.body)
        checked = {**clusters, REGION: ClusterObjects([moved])}
        messages = [fault for _, fault in deployment.check(REGION, checked)]
        assert len(messages) == len(faults), messages
        assert all(f"AppProject/foobar-api {fault}" in str(messages) for fault in faults), messages


@pytest.mark.parametrize("name", ["view", "cluster-admin"])
def test_roles_of_kubernetes_may_be_bound(
    name: str, clusters: Mapping[str, ClusterObjects]
) -> None:
    binding = next(clusters[REGION].of("ClusterRoleBinding"))
    body = changed(changed(binding.body, "roleRef/name", name), "metadata/name", "people")
    objects = [*clusters[REGION].all, Object(REGION, "other", binding.file, body)]
    assert list(references.check(ClusterObjects(objects))) == []


def test_an_object_of_two_components_is_found(clusters: Mapping[str, ClusterObjects]) -> None:
    region = clusters[REGION]
    (role,) = (each for each in region.of("ClusterRole") if each.name == "traefik")
    twin = Object(REGION, "other", role.file, role.body)
    faults = [each.fault for each in references.check(ClusterObjects([*region.all, twin]))]
    assert faults == ["other and traefik bring the same object; keep it in one of them"] * 2


def test_a_router_that_takes_a_passed_through_host_is_found(
    clusters: Mapping[str, ClusterObjects],
) -> None:
    """As a copy of the hub's route with the app's host would."""
    region, hub = clusters[REGION], clusters[HUB]
    (passed,) = (each for each in region.of("IngressRouteTCP"))
    host = passed.body["spec"]["routes"][0]["match"].split("`")[1]
    route = next(hub.of("IngressRoute"))
    text = yaml.safe_dump({**route.body, "metadata": {"name": "a", "namespace": "foobar-api"}})
    body = yaml.safe_load(
        text.replace(route.body["spec"]["routes"][0]["match"].split("`")[1], host)
    )
    other = Object(REGION, "other", route.file, body)
    faults = [each.fault for each in references.check(ClusterObjects([*region.all, other]))]
    assert any(fault.startswith(f"would take {host} away from") for fault in faults)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1), ("500m", 0.5), ("2Gi", 2 * 1024**3), ("1e3", 1000), ("1E", 10**18), (".5", 0.5),
        ("0.1Ki", 102.4), (2, 2), ("2GB", None), ("1 Gi", None), ("", None), ("Gi", None),
        (True, None), ("1K", None),
    ],
)  # fmt: skip
def test_quantities_are_read_as_kubernetes_reads_them(text: object, number: float | None) -> None:
    value = quotas.quantity(text)
    assert (None if value is None else float(value)) == number


def test_every_object_of_ours_says_so(objects: Sequence[Object]) -> None:
    """What dist has and no bundle brings is labelled as part of the platform."""
    for each in objects:
        assert each.body["metadata"]["labels"][labels.PART_OF] == labels.PROJECT, each
