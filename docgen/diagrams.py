"""The drawings of docs/architecture.md, made from the registry and from what is rendered.

Nothing in them is typed by hand: clusters come from the registry, arrows from what the rendered
objects name of each other. A large fleet shows its first regions, and how many more there are.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, Final, NamedTuple, TypeAlias

from charts.argocd import Argocd
from charts.monitoring import ingest
from charts.monitoring.names import COLLECTOR, LOG_GATEWAY, PROMETHEUS_AGENT
from charts.tenant import apps
from charts.traefik import Traefik
from docgen.fleets import SHOWN, Manifest, complete, synthesize
from docgen.markdown import Part
from fleet.registry import Fleet, Region
from fleet.score import CertificateResource

Drawing: TypeAlias = Callable[[Fleet], Iterator[str]]

TITLES: Final = {Traefik.NAME: "Traefik", Argocd.NAME: "Argo CD"}


def _mermaid(draw: Drawing, fleet: Fleet) -> Iterator[str]:
    yield "```mermaid"
    yield from draw(fleet)
    yield "```"


def _more(fleet: Fleet) -> str:
    """What stands for the regions that a drawing has no room for."""
    rest = len(fleet.regions) - SHOWN
    return f"{rest} more region{'s' if rest > 1 else ''}" if rest > 0 else ""


def _fleet(fleet: Fleet) -> Iterator[str]:
    """Who asks whom: users the clusters, Argo CD the repository and the clusters."""
    yield "flowchart LR"
    yield "  users([users])"
    yield f'  git[("{fleet.git.web.removeprefix("https://")}<br/>{fleet.git.revision}")]'
    for at, cluster in enumerate((fleet.hub, *fleet.regions[:SHOWN])):
        served = [*cluster.apps] if isinstance(cluster, Region) else [Argocd.NAME]
        place = cluster.address or cluster.domain
        yield f'  subgraph c{at}["{cluster.name}, {cluster.role}, {place}"]'
        front = [Traefik.NAME] if Traefik.NAME in cluster.components else []
        for name in (*front, *served):
            yield f"    c{at}-{name}[{TITLES.get(name, name)}]"
        if front and served:
            yield f"    c{at}-{Traefik.NAME} --> {' & '.join(f'c{at}-{name}' for name in served)}"
        yield "  end"
        # A hub has a page for each of its hosts; the first is Argo CD's.
        hosts = cluster.hosts[:1] if cluster is fleet.hub else cluster.hosts
        for host, name in zip(hosts, served, strict=True):
            yield f'  users -- "https://{host}" --> c{at}-{(front or [name])[0]}'
        yield (
            f"  c0-{Argocd.NAME} -. reads dist/ .-> git"
            if cluster is fleet.hub
            else f"  c0-{Argocd.NAME} -. deploys .-> c{at}"
        )
    if more := _more(fleet):
        yield f"  more[{more}]"
        yield f"  c0-{Argocd.NAME} -. deploys .-> more"


def _request(fleet: Fleet) -> Iterator[str]:
    """The way of a request through a region, and of the certificate that answers it.

    To an app with its own TLS if there is one: it is the longer way.
    """
    whole = complete(fleet)
    placed = [(region, app) for region in whole.regions for app in apps(region)]
    region, app = next(
        ((region, app) for region, app in placed if app.platform.tls == "passthrough"),
        placed[0],
    )
    objects = [each for some in synthesize(whole, region).values() for each in some]

    def one(kind: str, name: str) -> Any:
        return next(
            each for each in objects if (each["kind"], each["metadata"]["name"]) == (kind, name)
        )

    passthrough = app.platform.tls == "passthrough"
    front = one("Service", Traefik.NAME)
    route = one("IngressRouteTCP" if passthrough else "IngressRoute", app.name)
    (target,) = route["spec"]["routes"][0]["services"]
    service = one("Service", target["name"])
    certificate = one("Certificate", app.name)
    issuer = certificate["spec"]["issuerRef"]["name"]
    ports = {port["name"]: port for port in front["spec"]["ports"]}
    (program,) = one("Deployment", Traefik.NAME)["spec"]["template"]["spec"]["containers"]
    header = ", PROXY header" if any("proxyProtocol" in each for each in program["args"]) else ""
    (port,) = service["spec"]["ports"]
    if passthrough:
        transport = one("ServersTransportTCP", target["serversTransport"])
        proxy = transport["spec"].get("proxyProtocol", {}).get("version")
        spoken = f"PROXY v{proxy}, then TLS untouched" if proxy else "TLS untouched"
        (container,) = one(app.kind, app.name)["spec"]["template"]["spec"]["containers"]
        (mount,) = (
            mount["mountPath"]
            for mount in container["volumeMounts"]
            if isinstance(app.resources[mount["name"]], CertificateResource)
        )
        does, held = f"ends TLS on {port['targetPort']}", f"mounted at {mount} --> pod"
    else:
        spoken = "HTTP with X-Forwarded-For"
        does, held = f"listens on {port['targetPort']}", "read by Traefik --> websecure"
    yield "flowchart LR"
    yield "  user([user]) --> balancer[load balancer]"
    for name, declared in ports.items():
        yield f'  balancer -- "{declared["port"]}{header}" --> {name}["Traefik: {name}"]'
    yield f'  websecure -- "{route["spec"]["routes"][0]["match"].replace("`", "")}" --> service'
    yield f'  service["Service {target["name"]}"] -- "{spoken}" --> pod'
    yield f'  pod["Pod: {does}"]'
    yield '  web -- "/.well-known/acme-challenge/" --> solver[solver Pod of cert-manager]'
    yield '  web -- "all else: redirect" --> websecure'
    yield f'  issuer["ClusterIssuer {issuer}"] --> certificate["Certificate {app.name}"]'
    yield f'  certificate --> secret["Secret {certificate["spec"]["secretName"]}"]'
    yield f"  secret -- {held}"


def _dependencies(fleet: Fleet) -> Iterator[str]:
    """Which component names what another brings."""
    yield "flowchart BT"
    whole = complete(fleet)
    for title, cluster in (("hub", whole.hub), ("region", whole.regions[0])):
        components = synthesize(whole, cluster)
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


class SignalPath(NamedTuple):
    """How a signal comes from a region to the hub."""

    component: str
    title: str
    signal: ingest.Signal
    host: str
    to: str


SIGNAL_PATHS: Final = (
    SignalPath(PROMETHEUS_AGENT, "Prometheus Agent", ingest.METRICS, "prometheus", "prometheus"),
    SignalPath(COLLECTOR, "collectors", ingest.LOGS, "loki", LOG_GATEWAY),
)


def _monitoring(fleet: Fleet) -> Iterator[str]:
    """Where samples and lines come from, by which way they reach the hub, and who asks them."""
    yield "flowchart LR"
    yield f'  subgraph c0["{fleet.hub.name}, hub"]'
    yield "    prometheus[Prometheus]"
    yield "    loki[Loki]"
    yield f"    {LOG_GATEWAY}[log gateway] --> loki"
    yield "    alertmanager[Alertmanager]"
    yield "    grafana[Grafana]"
    yield "    rules[rules] --> prometheus"
    yield "    prometheus -- alerts --> alertmanager"
    yield "    grafana --> prometheus & loki & alertmanager"
    if COLLECTOR in fleet.hub.components:
        yield "    c0-collectors[collectors] --> loki"
    yield "  end"
    for at, region in enumerate(fleet.regions[:SHOWN], 1):
        sent = [each for each in SIGNAL_PATHS if each.component in region.components]
        yield f'  subgraph c{at}["{region.name}, region"]'
        for each in sent:
            yield f"    c{at}-{each.component}[{each.title}]"
        yield "  end"
        for each in sent:
            path = each.signal.path(region.name)
            yield f'  c{at}-{each.component} -- "{each.host}.…{path}" --> {each.to}'
    if more := _more(fleet):
        yield f"  more[{more}] --> prometheus & {LOG_GATEWAY}"
    yield "  alertmanager --> receivers([receivers, dead-man's switch])"
    yield "  people([people]) --> grafana"


PARTS: Final[Mapping[str, Part]] = {
    f"diagram-{name}": partial(_mermaid, draw)
    for name, draw in {
        "fleet": _fleet,
        "request": _request,
        "dependencies": _dependencies,
        "monitoring": _monitoring,
    }.items()
}
