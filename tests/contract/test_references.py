"""What an object names is there: across files, components and, on the hub, clusters."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from charts.cert_manager import SOLVER_LABELS
from fleet.registry import Fleet
from tests.objects import Object

WORKLOADS: Final = ("Deployment", "StatefulSet", "DaemonSet")

OUTSIDE: Final[Mapping[tuple[str, str], str]] = {
    ("Secret", "registry-pull"): "made at bootstrap: the registry's credentials are in no file",
    ("ClusterRole", "system:auth-delegator"): "the API server's own",
    ("Role", "extension-apiserver-authentication-reader"): "the API server's own",
    ("PriorityClass", "system-node-critical"): "the API server's own",
}
"""What is named but made by somebody else."""


def find(objects: Sequence[Object], cluster: str, kind: str, namespace: str | None) -> set[str]:
    """The names of what a cluster has of a kind, in a namespace."""
    return {
        each.name
        for each in objects
        if (each.cluster, each.kind, each.namespace) == (cluster, kind, namespace)
    }


OPERATED: Final[Mapping[str, Mapping[str, str]]] = {
    "Prometheus": {"app.kubernetes.io/name": "prometheus", "app.kubernetes.io/instance": "k8s"},
    "PrometheusAgent": {"app.kubernetes.io/name": "prometheus-agent"},
    "Alertmanager": {"app.kubernetes.io/name": "alertmanager", "alertmanager": "main"},
}
"""Labels that Prometheus Operator v0.93.1 gives the pods of a custom resource."""


def pods(objects: Sequence[Object], cluster: str) -> Iterator[tuple[Object, Mapping[str, Any]]]:
    """Every workload with the template of its pods, the operator's included."""
    for each in objects:
        if each.cluster != cluster:
            continue
        if each.kind in WORKLOADS:
            yield each, each.body["spec"]["template"]
        if each.kind in OPERATED:
            names = ("web", "reloader-web")
            ports = [{"name": name, "containerPort": 9000 + at} for at, name in enumerate(names)]
            spec = {**each.body["spec"], "containers": [{"name": "it", "ports": ports}]}
            yield each, {"metadata": {"labels": OPERATED[each.kind]}, "spec": spec}


def selected(
    objects: Sequence[Object], cluster: str, namespace: str | None, labels: Mapping[str, str]
) -> list[Mapping[str, Any]]:
    """The pod templates that labels select."""
    return [
        template
        for each, template in pods(objects, cluster)
        if each.namespace == namespace and labels.items() <= template["metadata"]["labels"].items()
    ]


def test_services_reach_a_port_of_a_pod(objects: Sequence[Object]) -> None:
    seen = 0
    for each in objects:
        if each.kind != "Service":
            continue
        templates = selected(objects, each.cluster, each.namespace, each.body["spec"]["selector"])
        assert templates, f"{each} selects no pod"
        for template in templates:
            ports = {
                value
                for container in template["spec"]["containers"]
                for port in container["ports"]
                for value in (port["containerPort"], port["name"])
            }
            for port in each.body["spec"]["ports"]:
                assert port["targetPort"] in ports, f"{each}: {port}"
        seen += 1
    assert seen >= 8


def test_budgets_and_policies_select_pods(built: Sequence[Object]) -> None:
    seen = 0
    for each in built:
        selector = {
            "PodDisruptionBudget": ("selector",),
            "NetworkPolicy": ("podSelector",),
        }.get(each.kind)
        if selector is None:
            continue
        labels = each.body["spec"][selector[0]].get("matchLabels", {})
        if labels and labels != SOLVER_LABELS:
            assert selected(built, each.cluster, each.namespace, labels), f"{each}: {labels}"
            seen += 1
    assert seen >= 20


def test_policies_admit_ports_that_pods_have(built: Sequence[Object]) -> None:
    """A named port that no selected pod has would silently admit nothing."""
    for each in built:
        if each.kind != "NetworkPolicy":
            continue
        labels = each.body["spec"].get("podSelector", {}).get("matchLabels", {})
        for rule in each.body["spec"].get("ingress") or ():
            for port in rule.get("ports", ()):
                if isinstance(port["port"], str):
                    for template in selected(built, each.cluster, each.namespace, labels):
                        names = [
                            declared.get("name")
                            for container in template["spec"]["containers"]
                            for declared in container.get("ports", ())
                        ]
                        assert port["port"] in names, f"{each}: {port}"


def test_routes_lead_to_services_and_their_parts(built: Sequence[Object]) -> None:
    """Service and port, transport, middleware and TLS secret, all in the route's own namespace."""
    seen = 0
    for each in built:
        if each.kind not in ("IngressRoute", "IngressRouteTCP"):
            continue
        services = {
            other.name: other.body["spec"]["ports"]
            for other in built
            if (other.cluster, other.kind, other.namespace)
            == (each.cluster, "Service", each.namespace)
        }
        certificates = {
            other.body["spec"]["secretName"]
            for other in built
            if (other.cluster, other.kind, other.namespace)
            == (each.cluster, "Certificate", each.namespace)
        }
        for route in each.body["spec"]["routes"]:
            for service in route["services"]:
                ports = services[service["name"]]
                names = {value for port in ports for value in (port["port"], port.get("name"))}
                assert service["port"] in names, f"{each}: {service}"
                if "serversTransport" in service:
                    assert service["serversTransport"] in find(
                        built, each.cluster, "ServersTransportTCP", each.namespace
                    ), each
            for middleware in route.get("middlewares", ()):
                assert middleware["name"] in find(
                    built, each.cluster, "Middleware", each.namespace
                ), each
        tls = each.body["spec"]["tls"]
        assert tls.get("passthrough") or tls["secretName"] in certificates, each
        seen += 1
    assert seen == 9


def test_no_https_router_takes_over_a_passed_through_host(built: Sequence[Object]) -> None:
    """Traefik lets an HTTPS router win over passthrough of the same name, whatever its priority."""
    passed, routed = set(), set()
    for each in built:
        if each.kind == "IngressRouteTCP" and each.body["spec"]["tls"].get("passthrough"):
            passed |= {route["match"].split("`")[1] for route in each.body["spec"]["routes"]}
        if each.kind == "IngressRoute":
            routed |= {route["match"].split("`")[1] for route in each.body["spec"]["routes"]}
        assert each.kind != "Ingress", f"{each} would be attached to every default entry point"
    assert len(passed) == 2
    assert not passed & routed


def test_certificates_are_of_an_issuer_and_mounted_or_routed(built: Sequence[Object]) -> None:
    for each in built:
        if each.kind != "Certificate":
            continue
        reference = each.body["spec"]["issuerRef"]
        assert reference["name"] in find(built, each.cluster, reference["kind"], None), each
        secret = each.body["spec"]["secretName"]
        mounted = {
            volume["secret"]["secretName"]
            for other, template in pods(built, each.cluster)
            if other.namespace == each.namespace
            for volume in template["spec"].get("volumes", ())
            if "secretName" in volume.get("secret", {})
        }
        routed = {
            other.body["spec"]["tls"].get("secretName")
            for other in built
            if other.kind == "IngressRoute"
            and (other.cluster, other.namespace) == (each.cluster, each.namespace)
        }
        assert secret in mounted | routed, each


def test_pods_name_what_is_there(built: Sequence[Object], fleet: Fleet) -> None:
    """Service account, priority class, and the secrets that a pod cannot start without."""
    for cluster in fleet.names:
        classes = find(built, cluster, "PriorityClass", None)
        for each, template in pods(built, cluster):
            pod = template["spec"]
            accounts = find(built, cluster, "ServiceAccount", each.namespace)
            assert pod["serviceAccountName"] in accounts, each
            name = pod["priorityClassName"]
            assert name in classes or ("PriorityClass", name) in OUTSIDE, each
            for pull in pod.get("imagePullSecrets", ()):
                assert ("Secret", pull["name"]) in OUTSIDE, each


def test_bindings_bind_what_is_there(built: Sequence[Object]) -> None:
    used = set()
    for each in built:
        if each.kind not in ("RoleBinding", "ClusterRoleBinding"):
            continue
        role = each.body["roleRef"]
        if (role["kind"], role["name"]) in OUTSIDE:
            used.add((role["kind"], role["name"]))
        else:
            namespace = each.namespace if role["kind"] == "Role" else None
            assert role["name"] in find(built, each.cluster, role["kind"], namespace), each
        for subject in each.body["subjects"]:
            accounts = find(built, each.cluster, "ServiceAccount", subject["namespace"])
            assert subject["name"] in accounts, f"{each}: {subject}"
    assert used == {known for known in OUTSIDE if known[0] in ("ClusterRole", "Role")}


def test_autoscalers_scale_a_deployment_that_names_no_replicas(objects: Sequence[Object]) -> None:
    """Or Argo CD and the autoscaler would undo each other for ever."""
    for each in objects:
        if each.kind == "HorizontalPodAutoscaler":
            (deployment,) = (
                other
                for other in objects
                if (other.cluster, other.kind, other.namespace, other.name)
                == (each.cluster, "Deployment", each.namespace, "foobar-api")
            )
            assert "replicas" not in deployment.body["spec"]


def test_everything_namespaced_is_in_a_namespace_of_the_cluster(built: Sequence[Object]) -> None:
    for each in built:
        if each.namespace not in (None, "kube-system"):
            assert each.namespace in find(built, each.cluster, "Namespace", None), each


def test_every_fleet_address_is_used_where_it_belongs(
    objects: Sequence[Object], fleet: Fleet
) -> None:
    """Each cluster's routes and certificates speak of its own hosts and of nobody else's."""
    for each in objects:
        if each.kind in ("Certificate", "IngressRoute", "IngressRouteTCP"):
            text = str(each.body["spec"])
            hosts = [
                host
                for cluster in fleet.clusters
                for host in cluster.hosts
                if f"'{host}'" in text or f"`{host}`" in text
            ]
            assert hosts
            assert set(hosts) <= set(fleet.cluster(each.cluster).hosts), each
