"""When Traefik is ready, and what it may read, in every fixture fleet."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from charts.ingress import PAGES
from charts.tenant import apps as apps_of
from fleet.registry import Fleet, Region
from operations import credentials
from rendering.validation.objects import Object

READY_PATH = "/ping"


def of_platform(objects: Sequence[Object], kind: str) -> Iterator[Object]:
    """The objects of ``kind`` that the platform's own Traefiks consist of."""
    return (each for each in objects if (each.component, each.kind) == ("traefik", kind))


def container(deployment: Object) -> Mapping[str, Any]:
    (found,) = deployment.body["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


def asked(deployment: Object, probe: str) -> tuple[str, str]:
    """The port and the path that a probe asks."""
    action = container(deployment)[probe]["httpGet"]
    return action["port"], action["path"]


def test_traefik_is_ready_by_a_route_like_all_others(any_objects: Sequence[Object]) -> None:
    """Traefik answers its built-in /ping before it has read any route."""
    routes = {
        each.cluster: each.body["spec"]
        for each in of_platform(any_objects, "IngressRoute")
        if each.namespace == "traefik"
    }
    for each in of_platform(any_objects, "Deployment"):
        arguments = container(each)["args"]
        assert "--ping.manualRouting=true" in arguments
        port, path = asked(each, "readinessProbe")
        assert path == READY_PATH
        spec = routes.pop(each.cluster)
        assert spec["entryPoints"] == [port]
        assert spec["ingressClassName"] == "traefik"
        (route,) = spec["routes"]
        assert route["match"] == f"Path(`{path}`)"
        assert route["services"] == [{"kind": "TraefikService", "name": "ping@internal"}]
    assert not routes


def test_a_restart_does_not_depend_on_the_api_server(any_objects: Sequence[Object]) -> None:
    """Without routes Traefik is not ready, but restarting it would not help."""
    for each in of_platform(any_objects, "Deployment"):
        for probe in ("startupProbe", "livenessProbe"):
            port, path = asked(each, probe)
            assert path == "/metrics"
            assert f"--metrics.prometheus.entryPoint={port}" in container(each)["args"]


def test_nobody_outside_reaches_the_entry_point_of_the_probe(
    any_objects: Sequence[Object],
) -> None:
    for each in of_platform(any_objects, "Service"):
        assert {port["targetPort"] for port in each.body["spec"]["ports"]} == {"web", "websecure"}
    for each in of_platform(any_objects, "NetworkPolicy"):
        for rule in each.body["spec"].get("ingress", ()):
            assert "ping" not in {port["port"] for port in rule["ports"]}, str(each)


def secrets_readable(objects: Sequence[Object], cluster: str) -> set[str]:
    """Namespaces whose Secrets the cluster's Traefik may read."""
    own = [each for each in objects if each.cluster == cluster]
    roles = {(each.kind, each.namespace, each.name): each.body for each in own}
    account = {"kind": "ServiceAccount", "name": "traefik", "namespace": "traefik"}
    found = set()
    for each in own:
        if each.kind in ("RoleBinding", "ClusterRoleBinding"):
            if account not in each.body["subjects"]:
                continue
            reference = each.body["roleRef"]
            namespace = each.namespace if reference["kind"] == "Role" else None
            rules = roles[reference["kind"], namespace, reference["name"]]["rules"]
            if any({"secrets", "*"} & set(rule["resources"]) for rule in rules):
                assert each.kind == "RoleBinding", "reads the Secrets of every namespace"
                found.add(str(each.namespace))
    return found


def test_traefik_reads_secrets_only_where_it_takes_routes_from(
    any_objects: Sequence[Object], any_fleet: Fleet
) -> None:
    """Of the hub, where routes are and nothing else; of a region, those of its apps."""
    for cluster in any_fleet.clusters:
        own = any(each == "traefik" for each in cluster.components)
        apps = {each.name for each in apps_of(cluster)} if isinstance(cluster, Region) else {PAGES}
        expected = {"traefik", *apps} if own else set()
        assert secrets_readable(any_objects, cluster.name) == expected, cluster.name


def test_traefik_watches_no_namespace_that_it_may_not_read(any_objects: Sequence[Object]) -> None:
    """It would wait for that, and have no routes at all."""
    for each in of_platform(any_objects, "Deployment"):
        for provider in ("kubernetesCRD", "kubernetesIngress"):
            prefix = f"--providers.{provider}.namespaces="
            (watched,) = (
                argument.removeprefix(prefix)
                for argument in container(each)["args"]
                if argument.startswith(prefix)
            )
            assert set(watched.split(",")) == secrets_readable(any_objects, each.cluster)


def test_every_route_of_a_hub_is_with_its_certificate_and_away_from_other_secrets(
    any_objects: Sequence[Object], any_fleet: Fleet
) -> None:
    hub = [each for each in any_objects if each.cluster == any_fleet.hub.name]
    routes = [each for each in hub if each.kind == "IngressRoute" and each.name != "ping"]
    assert {each.namespace for each in routes} == {PAGES}
    served = {each.body["spec"]["tls"]["secretName"] for each in routes}
    certificates = {
        each.body["spec"]["secretName"]
        for each in hub
        if each.kind == "Certificate" and each.namespace == PAGES
    }
    assert served == certificates
    assert not [each for each in hub if each.kind == "Certificate" and each.namespace != PAGES]
    # What is made outside Git.
    hashes = {
        credentials.prometheus_accepted(any_fleet),
        *(credentials.hub_ingest(any_fleet, region) for region in any_fleet.regions),
    }
    assert {ref.namespace for ref in hashes} == {PAGES}
    readable = {
        *credentials.page_sign_ins(any_fleet),
        *(secret.ref for secret in credentials.supplied(any_fleet)),
    }
    assert not [ref for ref in readable if (ref.cluster, ref.namespace) == (hub[0].cluster, PAGES)]


def test_every_service_that_leads_elsewhere_leads_to_one_that_exists(
    built: Sequence[Object],
) -> None:
    services = {
        (each.cluster, f"{each.name}.{each.namespace}.svc"): each.body["spec"]
        for each in built
        if each.kind == "Service"
    }
    leading = [each for each in built if each.body.get("spec", {}).get("type") == "ExternalName"]
    assert len(leading) == 4
    for each in leading:
        assert each.namespace == PAGES, "an app's Service could stand for anything"
        spec = each.body["spec"]
        target = services[each.cluster, spec["externalName"]]
        ports = {port["port"] for port in target["ports"]}
        assert {port["port"] for port in spec["ports"]} <= ports, str(each)


def test_only_a_hub_follows_services_that_stand_for_others(
    any_objects: Sequence[Object], any_fleet: Fleet
) -> None:
    for each in of_platform(any_objects, "Deployment"):
        follows = "--providers.kubernetesCRD.allowExternalNameServices=true"
        assert (follows in container(each)["args"]) == (each.cluster == any_fleet.hub.name)
