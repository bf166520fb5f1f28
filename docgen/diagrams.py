"""``python -m fleet diagrams``: the drawings in docs/architecture.md, made from what is rendered.

Each drawing stands between two marks in the document. Nothing in it is typed by hand: clusters come
from the registry, arrows from what the rendered objects name of each other.
"""

import argparse
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import cdk8s

from charts.component import JsonPatch
from charts.compose import Cluster, compose
from charts.foobar_api import FoobarApi
from charts.traefik import Traefik
from fleet.errors import InputError
from fleet.registry import Fleet, load

ROOT: Final = Path(__file__).resolve().parent.parent
DOCUMENT: Final = ROOT / "docs" / "architecture.md"
MARK: Final = re.compile(r"(<!-- diagram: (\S+) -->\n).*?(<!-- end of diagram -->\n)", re.DOTALL)

Manifest = Mapping[str, Any]
Components = Mapping[str, Sequence[Manifest]]
"""The objects of one cluster by component, the patches of its bundles included."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a drawing is stale"
    )


def run(args: argparse.Namespace) -> int:
    text = DOCUMENT.read_text("utf-8")
    drawn = draw(text, load(ROOT / "clusters.yaml"))
    if args.check:
        if text != drawn:
            print(f"{DOCUMENT.relative_to(ROOT)} is stale: run `python -m fleet diagrams`")
        return int(text != drawn)
    DOCUMENT.write_text(drawn, "utf-8")
    return 0


def draw(text: str, fleet: Fleet) -> str:
    """``text`` with each drawing that it has a mark for drawn anew."""

    def drawing(mark: re.Match[str]) -> str:
        if mark[2] not in DIAGRAMS:
            raise InputError(f"{DOCUMENT.name}: no diagram {mark[2]}; one of {', '.join(DIAGRAMS)}")
        lines = "\n".join(DIAGRAMS[mark[2]](fleet))
        return f"{mark[1]}```mermaid\n{lines}\n```\n{mark[3]}"

    return MARK.sub(drawing, text)


def synthesize(fleet: Fleet, cluster: Cluster) -> Components:
    components = [plan(cdk8s.Testing.app()) for plan in compose(fleet, cluster).values()]
    return {
        each.NAME: [
            *cdk8s.Testing.synth(each),
            *(patch for patch in each.patches if not isinstance(patch, JsonPatch)),
        ]
        for each in components
    }


def _fleet(fleet: Fleet) -> Iterator[str]:
    """Who asks whom: users the clusters, Argo CD the repository and the clusters."""
    yield "flowchart LR"
    yield "  users([users])"
    yield f'  git[("{fleet.git.repository.removeprefix("https://")}<br/>{fleet.git.revision}")]'
    for cluster in fleet.clusters:
        yield f'  subgraph {cluster.name}["{cluster.name}, {cluster.role}, {cluster.address}"]'
        yield f"    {cluster.name}-traefik[Traefik]"
        behind = "Argo CD" if cluster is fleet.hub else "foobar-api"
        yield f"    {cluster.name}-app[{behind}]"
        yield f"    {cluster.name}-traefik --> {cluster.name}-app"
        yield "  end"
    for cluster in fleet.clusters:
        host = fleet.hub.argocd_host if cluster is fleet.hub else cluster.hosts[0]
        yield f'  users -- "https://{host}" --> {cluster.name}-traefik'
    yield f"  {fleet.hub.name}-app -. reads dist/ .-> git"
    for region in fleet.regions:
        yield f"  {fleet.hub.name}-app -. deploys .-> {region.name}"


def _request(fleet: Fleet) -> Iterator[str]:
    """The way of a request through a region, and of the certificate that answers it."""
    objects = [each for theirs in synthesize(fleet, fleet.regions[0]).values() for each in theirs]

    def one(kind: str, name: str) -> Any:
        return next(
            each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)
        )

    app = FoobarApi.NAME
    front, route = one("Service", Traefik.NAME), one("IngressRouteTCP", app)
    (target,) = route["spec"]["routes"][0]["services"]
    service = one("Service", target["name"])
    transport = one("ServersTransportTCP", target["serversTransport"])
    certificate = one("Certificate", app)
    issuer = certificate["spec"]["issuerRef"]["name"]
    proxy = transport["spec"]["proxyProtocol"]["version"]
    ports = {port["name"]: port for port in front["spec"]["ports"]}
    (port,) = service["spec"]["ports"]
    yield "flowchart LR"
    yield "  user([user]) --> balancer[load balancer]"
    for name, declared in ports.items():
        yield f'  balancer -- "{declared["port"]}, PROXY header" --> {name}["Traefik: {name}"]'
    yield f'  websecure -- "{route["spec"]["routes"][0]["match"].replace("`", "")}" --> service'
    yield f'  service["Service {target["name"]}"] -- "PROXY v{proxy}, then TLS untouched" --> pod'
    yield f'  pod["Pod: ends TLS on {port["targetPort"]}"]'
    yield '  web -- "/.well-known/acme-challenge/" --> solver[solver Pod of cert-manager]'
    yield '  web -- "all else: redirect" --> websecure'
    yield f'  issuer["ClusterIssuer {issuer}"] --> certificate["Certificate {app}"]'
    yield f'  certificate --> secret["Secret {certificate["spec"]["secretName"]}"]'
    yield "  secret -- mounted at /cert --> pod"


def _dependencies(fleet: Fleet) -> Iterator[str]:
    """Which component names what another brings."""
    yield "flowchart BT"
    for title, cluster in (("hub", fleet.hub), ("region", fleet.regions[0])):
        components = synthesize(fleet, cluster)
        yield f"  subgraph {title}"
        for name in components:
            yield f'    {title}-{name}["{name}"]'
        arrows: dict[tuple[str, str], list[str]] = {}
        for name, objects in components.items():
            for what, other in sorted({found for each in objects for found in _named(each)}):
                if other in components and other != name:
                    arrows.setdefault((name, other), []).append(what)
        for (name, other), things in arrows.items():
            yield f'    {title}-{name} -- "{", ".join(things)}" --> {title}-{other}'
        yield "  end"


def _named(manifest: Manifest) -> Iterator[tuple[str, str]]:
    """What an object needs of other components: the thing, and the component that brings it."""
    group = manifest["apiVersion"].partition("/")[0]
    owners = {
        "traefik.io": "traefik",
        "cert-manager.io": "cert-manager",
        "argoproj.io": "argocd",
        "monitoring.coreos.com": "prometheus-operator",
    }
    # Every component has monitors; who needs the operator to run is what is worth an arrow.
    if group in owners and manifest["kind"] not in ("PodMonitor", "ServiceMonitor"):
        yield "CRDs", owners[group]
    spec = manifest.get("spec", {})
    if "priorityClassName" in spec.get("template", {}).get("spec", {}):
        yield "priority class", "baseline"
    if spec.get("ingressClassName"):
        yield "ingress class", "traefik"
    for solver in spec.get("acme", {}).get("solvers", ()):
        yield "ingress class", solver["http01"]["ingress"]["ingressClassName"]
    if "issuerRef" in spec:
        yield "issuer", "cert-manager"
    if manifest["kind"] == "HorizontalPodAutoscaler":
        yield "CPU figures", "metrics-server"
    if manifest["kind"] == "RoleBinding":
        for subject in manifest.get("subjects", ()):
            if subject["namespace"] != manifest["metadata"]["namespace"]:
                yield "lets it read", subject["namespace"]


def _monitoring(fleet: Fleet) -> Iterator[str]:
    """Where samples and lines come from, by which way they reach the hub, and who asks them."""
    hub = synthesize(fleet, fleet.hub)
    yield "flowchart LR"
    yield f'  subgraph {fleet.hub.name}["{fleet.hub.name}, hub"]'
    yield "    prometheus[Prometheus]"
    yield "    loki[Loki]"
    yield "    alertmanager[Alertmanager]"
    yield "    grafana[Grafana]"
    yield "    rules[rules] --> prometheus"
    yield "    prometheus -- alerts --> alertmanager"
    yield "    grafana --> prometheus & loki & alertmanager"
    yield "    hub-collector[collectors] --> loki"
    yield "  end"
    for region in fleet.regions:
        (agent,) = (
            each
            for each in synthesize(fleet, region)["prometheus-agent"]
            if each["kind"] == "PrometheusAgent"
        )
        logs = next(
            route["spec"]["routes"][0]
            for route in hub["ingest"]
            if route["metadata"]["name"] == f"logs-{region.name}"
        )
        path = logs["match"].split("Path(`")[1].split("`")[0]
        yield f'  subgraph {region.name}["{region.name}, region"]'
        yield f"    {region.name}-agent[Prometheus Agent]"
        yield f"    {region.name}-collector[collectors]"
        yield "  end"
        write = agent["spec"]["remoteWrite"][0]["url"].removeprefix(
            f"https://{fleet.hub.prometheus_host}"
        )
        yield f'  {region.name}-agent -- "prometheus.…{write}" --> prometheus'
        yield f'  {region.name}-collector -- "loki.…{path}" --> loki'
    yield "  alertmanager --> receivers([receivers, dead-man's switch])"
    yield "  people([people]) --> grafana"


DIAGRAMS: Final[Mapping[str, Callable[[Fleet], Iterator[str]]]] = {
    "fleet": _fleet,
    "request": _request,
    "dependencies": _dependencies,
    "monitoring": _monitoring,
}
