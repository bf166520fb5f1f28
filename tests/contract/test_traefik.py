"""When Traefik is ready, and what it may read, in every fixture fleet."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

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
