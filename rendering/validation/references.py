"""What an object names is there, across the components of a cluster.

Not checked: Secrets, most of which are made outside Git (python -m fleet bootstrap), what a
component that was left out would bring, and what is in a repository of an app's own.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from fleet.apps import TENANT
from fleet.diagnostics import choice
from rendering.validation.objects import ClusterObjects, Finding, as_selector, containers

_ROLES_FOR_PEOPLE: Final = ("admin", "cluster-admin", "edit", "view")

OUTSIDE: Final[Mapping[tuple[str, str], str]] = {
    ("ClusterRole", "system:auth-delegator"): "the API server's own",
    ("Role", "extension-apiserver-authentication-reader"): "the API server's own",
    ("PriorityClass", "system-node-critical"): "the API server's own",
    ("PriorityClass", "system-cluster-critical"): "the API server's own",
    **{("ClusterRole", name): "the API server's own" for name in _ROLES_FOR_PEOPLE},
}
"""What is named but made by somebody else."""

# The labels of cert-manager's solver pods, which exist only during a challenge.
_SOLVER: Final = "acme.cert-manager.io/http01-solver"

_NAMESPACES_OUTSIDE: Final = ("kube-system", "default", "kube-public")


def check(cluster: ClusterObjects) -> Iterator[Finding]:
    components = {each.component for each in cluster.all}
    # Of an app with a repository of its own, dist has nothing but what guards it.
    elsewhere = {
        name
        for name in components
        if name.startswith(TENANT) and name.removeprefix(TENANT) not in components
    }
    for rule in RULES:
        yield from (each for each in rule(cluster) if each[0].component not in elsewhere)


def objects_are_there_once(cluster: ClusterObjects) -> Iterator[Finding]:
    """Two components of a cluster never bring the same object."""
    times = Counter((each.group, each.kind, each.namespace, each.name) for each in cluster.all)
    for each in cluster.all:
        if times[each.group, each.kind, each.namespace, each.name] > 1:
            owners = sorted(
                {
                    other.component
                    for other in cluster.of(each.kind)
                    if (other.namespace, other.name) == (each.namespace, each.name)
                }
            )
            yield Finding(
                each, f"{' and '.join(owners)} bring the same object; keep it in one of them"
            )


def namespaces_are_there(cluster: ClusterObjects) -> Iterator[Finding]:
    names = cluster.names("Namespace", None)
    for each in cluster.all:
        if each.namespace is not None and each.namespace not in {*names, *_NAMESPACES_OUTSIDE}:
            yield Finding(
                each,
                f"metadata.namespace: the cluster has no namespace {each.namespace}; "
                f"use one of {', '.join(sorted(names))}",
            )


def services_reach_pods(cluster: ClusterObjects) -> Iterator[Finding]:
    for each in cluster.of("Service"):
        selector = each.body["spec"].get("selector")
        if not selector:
            continue
        pods = cluster.selected(each.namespace, selector)
        if not pods:
            yield Finding(
                each, f"spec.selector: no pod has the labels {as_selector(selector)}; correct them"
            )
        for port in each.body["spec"].get("ports", ()):
            target = port.get("targetPort", port["port"])
            for workload, template in pods:
                if isinstance(target, str) and target not in _port_names(template):
                    yield Finding(
                        each,
                        f"spec.ports: {workload.label} has no port {target}; "
                        f"it has {', '.join(sorted(_port_names(template))) or 'none by name'}",
                    )


def budgets_and_policies_select_pods(cluster: ClusterObjects) -> Iterator[Finding]:
    for each in cluster.of("PodDisruptionBudget", "NetworkPolicy"):
        field = "selector" if each.kind == "PodDisruptionBudget" else "podSelector"
        labels = (each.body["spec"].get(field) or {}).get("matchLabels") or {}
        if not labels or _SOLVER in labels:
            continue
        pods = cluster.selected(each.namespace, labels)
        if not pods:
            yield Finding(
                each, f"spec.{field}: no pod has the labels {as_selector(labels)}; correct them"
            )
        for rule in each.body["spec"].get("ingress") or ():
            for port in rule.get("ports", ()):
                for workload, template in pods:
                    name = port.get("port")
                    # It would silently admit nothing.
                    if isinstance(name, str) and name not in _port_names(template):
                        yield Finding(
                            each, f"spec.ingress: {workload.label} has no port {name}; name one"
                        )


def routes_lead_somewhere(cluster: ClusterObjects) -> Iterator[Finding]:
    """Service and port, transport, middleware and certificate, in the route's own namespace."""
    for each in cluster.of("IngressRoute", "IngressRouteTCP"):
        there: dict[str, set[str]] = {
            kind: cluster.names(kind, each.namespace)
            for kind in ("Service", "Middleware", "ServersTransportTCP", "ServersTransport")
        }
        for route in each.body["spec"]["routes"]:
            for service in route.get("services", ()):
                if service.get("kind", "Service") != "Service":
                    continue
                found = cluster.get("Service", each.namespace, service["name"])
                if found is None:
                    yield Finding(each, _missing("Service", service["name"], there["Service"]))
                    continue
                ports = found.body["spec"].get("ports", ())
                known = {value for port in ports for value in (port["port"], port.get("name"))}
                if service.get("port") not in known:
                    yield Finding(
                        each, f"{found.label} has no port {service.get('port')}; name one it has"
                    )
                transport = service.get("serversTransport")
                kind = "ServersTransportTCP" if each.kind.endswith("TCP") else "ServersTransport"
                if transport and transport not in there[kind]:
                    yield Finding(each, _missing(kind, transport, there[kind]))
            for middleware in route.get("middlewares", ()):
                if each.kind == "IngressRoute" and middleware["name"] not in there["Middleware"]:
                    yield Finding(
                        each, _missing("Middleware", middleware["name"], there["Middleware"])
                    )
        secrets = {
            other.body["spec"]["secretName"]
            for other in cluster.of("Certificate")
            if other.namespace == each.namespace
        }
        secret = (each.body["spec"].get("tls") or {}).get("secretName")
        if secret and secret not in secrets:
            yield Finding(each, _missing("Certificate for Secret", secret, secrets))


def passthrough_hosts_have_no_other_router(cluster: ClusterObjects) -> Iterator[Finding]:
    """Traefik lets an HTTPS router win over passthrough of the same name, whatever its priority."""
    passed = {
        host: each
        for each in cluster.of("IngressRouteTCP")
        if (each.body["spec"].get("tls") or {}).get("passthrough")
        for host in _hosts(each.body)
    }
    for each in cluster.of("IngressRoute"):
        for host in sorted(_hosts(each.body) & passed.keys()):
            yield Finding(
                each,
                f"would take {host} away from {passed[host].label}, which passes TLS through; "
                "give it another host",
            )


def certificates_are_issued_and_used(cluster: ClusterObjects) -> Iterator[Finding]:
    issuers = list(cluster.of("ClusterIssuer", "Issuer"))
    for each in cluster.of("Certificate"):
        reference = each.body["spec"]["issuerRef"]
        kind = reference.get("kind", "Issuer")
        names = {
            issuer.name
            for issuer in issuers
            if issuer.kind == kind and issuer.namespace in (None, each.namespace)
        }
        if issuers and reference["name"] not in names:
            yield Finding(each, _missing(kind, reference["name"], names))
        secret = each.body["spec"]["secretName"]
        mounted = {
            name
            for other, template in cluster.pods()
            if other.namespace == each.namespace
            for name in _mounted(template["spec"], "secret", "secretName")
        }
        routed = {
            (other.body["spec"].get("tls") or {}).get("secretName")
            for other in cluster.of("IngressRoute")
            if other.namespace == each.namespace
        }
        if secret not in mounted | routed:
            yield Finding(each, f"no pod mounts and no route serves its Secret {secret}; remove it")


def pods_name_what_is_there(cluster: ClusterObjects) -> Iterator[Finding]:
    """Service account, priority class, and the ConfigMaps that a pod cannot start without."""
    classes = cluster.names("PriorityClass", None)
    for each, template in cluster.pods():
        pod = template["spec"]
        account = pod.get("serviceAccountName", "default")
        accounts = cluster.names("ServiceAccount", each.namespace)
        if account not in accounts and account != "default":
            yield Finding(each, _missing("ServiceAccount", account, accounts))
        priority = pod.get("priorityClassName")
        if priority and priority not in classes and ("PriorityClass", priority) not in OUTSIDE:
            yield Finding(each, _missing("PriorityClass", priority, classes))
        maps = cluster.names("ConfigMap", each.namespace)
        read = {
            source["configMapRef"]["name"]
            for container in containers(pod)
            for source in container.get("envFrom", ())
            if "configMapRef" in source and not source["configMapRef"].get("optional")
        }
        for name in sorted((_mounted(pod, "configMap", "name") | read) - maps):
            yield Finding(each, _missing("ConfigMap", name, maps))


def bindings_bind_what_is_there(cluster: ClusterObjects) -> Iterator[Finding]:
    for each in cluster.of("RoleBinding", "ClusterRoleBinding"):
        role = each.body["roleRef"]
        namespace = each.namespace if role["kind"] == "Role" else None
        roles = cluster.names(role["kind"], namespace)
        if role["name"] not in roles and (role["kind"], role["name"]) not in OUTSIDE:
            yield Finding(each, _missing(role["kind"], role["name"], roles))
        for subject in each.body.get("subjects", ()):
            if subject["kind"] == "ServiceAccount":
                accounts = cluster.names("ServiceAccount", subject.get("namespace"))
                if subject["name"] not in accounts:
                    yield Finding(each, _missing("ServiceAccount", subject["name"], accounts))


def autoscalers_scale_what_names_no_replicas(cluster: ClusterObjects) -> Iterator[Finding]:
    """Or Argo CD and the autoscaler would undo each other for ever."""
    for each in cluster.of("HorizontalPodAutoscaler"):
        target = each.body["spec"]["scaleTargetRef"]
        found = cluster.get(target["kind"], each.namespace, target["name"])
        if found is None:
            names = cluster.names(target["kind"], each.namespace)
            yield Finding(each, _missing(target["kind"], target["name"], names))
        elif "replicas" in found.body["spec"]:
            yield Finding(found, f"spec.replicas: {each.label} sets the number; remove it")


RULES: Final[Sequence[Callable[[ClusterObjects], Iterator[Finding]]]] = (
    objects_are_there_once,
    namespaces_are_there,
    services_reach_pods,
    budgets_and_policies_select_pods,
    routes_lead_somewhere,
    passthrough_hosts_have_no_other_router,
    certificates_are_issued_and_used,
    pods_name_what_is_there,
    bindings_bind_what_is_there,
    autoscalers_scale_what_names_no_replicas,
)


def _port_names(template: Mapping[str, Any]) -> set[str]:
    return {
        port["name"]
        for container in template["spec"].get("containers", ())
        for port in container.get("ports", ())
        if "name" in port
    }


def _mounted(pod: Mapping[str, Any], kind: str, key: str) -> set[str]:
    """The names of what a pod's volumes of a kind hold, unless it may start without."""
    sources: list[Mapping[str, Any]] = []
    for volume in pod.get("volumes", ()):
        sources.append(volume)
        sources += (volume.get("projected") or {}).get("sources", ())
    return {
        source[kind].get(key) or source[kind].get("name")
        for source in sources
        if kind in source and not source[kind].get("optional")
    }


def _hosts(body: Mapping[str, Any]) -> set[str]:
    """The hosts in the rules of a route: what stands in backquotes after Host or HostSNI."""
    return {
        part.split("`")[1]
        for route in body["spec"]["routes"]
        for part in route.get("match", "").split("Host")[1:]
        if part.count("`") > 1
    }


def _missing(kind: str, name: object, known: set[str]) -> str:
    remedy = choice(name, known) if known else "; there is none"
    return f"names {kind} {name}, which is not there{remedy}"
