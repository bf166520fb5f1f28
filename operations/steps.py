"""The steps from empty clusters to Argo CD at work, each of which finds out whether it is needed.

A step looks, and says what is to be done; only then may it be taken. So a second run does nothing,
an interrupted one is completed by the next, and a dry run is the looking alone.
"""

import base64
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final, TypeAlias

from charts.applications import ARGOCD, Applications
from charts.argocd import Argocd
from charts.argocd_access import TOKEN_SECRET, ArgocdAccess
from charts.baseline import Baseline
from charts.cert_manager import CertManager
from charts.monitoring.operator import PrometheusOperator
from charts.traefik import TRAEFIK, Traefik
from fleet.errors import InputError
from fleet.registry import Fleet, Region
from operations import credentials, diagnosis, manifests
from operations.credentials import Answers, Content, Given, Name
from operations.kubectl import ClusterError, Kubectl, Manifest
from operations.manifests import START_SECONDS

DEFINING_COMPONENTS: Final = (Traefik.NAME, CertManager.NAME, PrometheusOperator.NAME)
"""Components whose bundles define kinds that others have objects of.

They are also what takes longest to be there: a load balancer, a webhook, an operator."""

SPREADING_SECONDS: Final = 300
"""Until programs have a changed Secret of their pod: a kubelet looks every 60 to 90 seconds
(syncFrequency, kubelet's configuration), and the reloader of Prometheus, should it miss that the
file has changed, every three minutes (--watch-interval of prometheus-config-reloader)."""

Act: TypeAlias = Callable[[], None]


@dataclass(frozen=True)
class Step:
    """Something that is to be so in a cluster."""

    cluster: str
    text: str
    look: Callable[[], Act | None]
    """What makes it so, or None where it is so already. Changes nothing."""


@dataclass(frozen=True)
class Site:
    """What the steps are taken with."""

    fleet: Fleet
    clusters: Mapping[str, Kubectl]
    dist: Path
    answers: Answers
    servers: Mapping[str, str]
    """API servers as the hub reaches them, where not as the kubeconfig says."""

    @property
    def hub(self) -> Kubectl:
        return self.clusters[self.fleet.hub.name]

    @cached_property
    def applications(self) -> frozenset[str]:
        """Those that there were when this was first asked: Argo CD looks after their objects."""
        found = self.hub.every("applications.argoproj.io", namespace=ARGOCD)
        return frozenset(each["metadata"]["name"] for each in found)


Stage: TypeAlias = Sequence[Step]
"""Steps that can be taken at a time."""


def stages(site: Site) -> Iterator[Stage]:
    """All steps, in the order in which they can be taken."""
    fleet, hub = site.fleet, site.fleet.hub.name
    yield [step for name in fleet.names for step in _namespaces(site, name)]
    yield [
        *(_made_up(site, name) for name in credentials.made_up(fleet)),
        *(_given(site, each) for each in credentials.given(fleet)),
        *(_password(site, region) for region in _writing(fleet)),
        # A watch that is forbidden is tried again at ever longer intervals, up to a minute; as long
        # no challenge for a certificate is answered.
        *(_grants(site, name) for name in fleet.names),
    ]
    yield [_sum(site, region) for region in _writing(fleet)]
    # Pods name a priority class.
    yield [_folder(site, name, Baseline.NAME, "priority classes") for name in fleet.names]
    yield [
        _folder(site, hub, Argocd.NAME, "Argo CD"),
        # While Argo CD starts. Without them it tries most folders in vain, and waits in between.
        *(_foundations(site, name) for name in fleet.names),
        *(
            _folder(site, region.name, ArgocdAccess.NAME, "account for Argo CD")
            for region in fleet.regions
        ),
    ]
    yield [registration(site, region) for region in fleet.regions]
    yield [
        # An ApplicationSet that cannot ask for folders yet asks again after three minutes.
        _repository_server(site),
        # A pod without its certificate is tried again at ever longer intervals, so what issues it
        # is there before Argo CD brings one.
        *(_their_own(site, name) for name in fleet.names),
    ]
    yield [_folder(site, hub, Applications.NAME, "projects and ApplicationSets")]


def _writing(fleet: Fleet) -> Iterator[Region]:
    """Regions that write to the hub, metrics or logs."""
    return (region for region in fleet.regions if credentials.of_region(region))


def secret_namespaces(site: Site, cluster: str) -> set[str]:
    """Where Secrets have to be before Argo CD has brought anything."""
    names = [
        *credentials.made_up(site.fleet),
        *(each.name for each in credentials.given(site.fleet)),
        *(name for region in site.fleet.regions for name in credentials.of_region(region)),
        *(Name(name, ARGOCD, "") for name in site.fleet.names),
    ]
    return {each.namespace for each in names if each.cluster == cluster}


def _namespaces(site: Site, cluster: str) -> Iterator[Step]:
    files = {
        each["metadata"]["name"]: each
        for each in manifests.of_files(site.dist, cluster, "Namespace.*.yaml")
    }
    granting = {each["metadata"]["namespace"] for each in _granted_to_traefik(site, cluster)}
    for namespace in sorted(secret_namespaces(site, cluster) | granting):
        yield _namespace(site.clusters[cluster], files[namespace])


def _namespace(kubectl: Kubectl, wanted: Manifest) -> Step:
    """Is there; its folder has what overlays change, and comes later."""
    name = wanted["metadata"]["name"]

    def look() -> Act | None:
        return None if kubectl.get("namespace", name) else lambda: kubectl.apply([wanted])

    return Step(kubectl.name, f"Namespace {name}", look)


def _grants(site: Site, cluster: str) -> Step:
    """What Traefik may read outside its own namespace."""
    return _as_wanted(
        site,
        cluster,
        "rights of Traefik in other namespaces",
        lambda: _granted_to_traefik(site, cluster),
    )


def _granted_to_traefik(site: Site, cluster: str) -> list[Manifest]:
    found = manifests.of_files(site.dist, cluster, f"Role*.{TRAEFIK}.yaml")
    return [each for each in found if each["metadata"]["namespace"] != TRAEFIK]


def _made_up(site: Site, name: Name) -> Step:
    kubectl = site.clusters[name.cluster]

    def look() -> Act | None:
        if credentials.read(kubectl, name):
            return None
        content = credentials.sign_in(credentials.ADMIN, credentials.password())
        return lambda: store(kubectl, name, content, credentials.BASIC_AUTH)

    return Step(name.cluster, str(name), look)


def _given(site: Site, given: Given) -> Step:
    kubectl = site.clusters[given.name.cluster]

    def look() -> Act | None:
        found = credentials.read(kubectl, given.name)
        if not site.answers.has(given):
            return None if found else _ask
        content = site.answers.content(given)
        return None if found == content else lambda: store(kubectl, given.name, content, given.kind)

    def _ask() -> None:
        raise InputError(lacks(given))

    return Step(given.name.cluster, str(given.name), look)


def lacks(given: Given) -> str:
    """What is said of a Secret whose content nobody has given."""
    return (
        f"{given.name.cluster}: {given.name} is not there; set {' and '.join(given.variables)}, "
        "or run this in a terminal"
    )


def _password(site: Site, region: Region) -> Step:
    kubectl = site.clusters[region.name]
    names = credentials.of_region(region)

    def look() -> Act | None:
        found = [credentials.read(kubectl, name) for name in names]
        if found[0] and all(each == found[0] for each in found):
            return None
        # What one of its programs has is good at the hub, and the others get the same.
        content = next(filter(None, found), None) or credentials.to_write(region)
        return lambda: store_all(kubectl, names, content)

    return Step(region.name, " and ".join(map(str, names)), look)


def _sum(site: Site, region: Region) -> Step:
    kubectl = site.clusters[region.name]
    name = credentials.of_region(region)[0]
    at_hub = credentials.at_hub(site.fleet, region)

    def look() -> Act | None:
        known = credentials.read(site.hub, at_hub)
        theirs = credentials.read(kubectl, name)
        wanted = credentials.users(theirs) if theirs else None
        if wanted and known == wanted:
            return None
        # A rotation was interrupted: some program may use what it had before.
        rotating = wanted and known and wanted["users"] in known["users"]
        return lambda: _store_sum(site, region, name, after=SPREADING_SECONDS if rotating else 0)

    return Step(site.fleet.hub.name, str(at_hub), look)


def _store_sum(site: Site, region: Region, name: Name, *, after: float) -> None:
    time.sleep(after)
    content = credentials.read(site.clusters[region.name], name)
    if content is None:
        raise ClusterError(f"{region.name}: {name} is gone; run this again")
    at_hub = credentials.at_hub(site.fleet, region)
    store(site.hub, at_hub, credentials.users(content))


def store(kubectl: Kubectl, name: Name, content: Content, kind: str = credentials.OPAQUE) -> None:
    kubectl.apply([credentials.manifest(name, content, kind)])


def store_all(kubectl: Kubectl, names: Sequence[Name], content: Content) -> None:
    kubectl.apply([credentials.manifest(name, content, credentials.BASIC_AUTH) for name in names])


def _folder(site: Site, cluster: str, component: str, text: str) -> Step:
    folder = site.dist / cluster / component
    return _as_wanted(
        site,
        cluster,
        f"{text} ({folder})",
        lambda: manifests.of_folders(site.dist, cluster, [component])[0],
    )


def _foundations(site: Site, cluster: str) -> Step:
    """What defines kinds that others have objects of."""
    components = _defining(site, cluster)
    return _as_wanted(
        site,
        cluster,
        ", ".join(components),
        lambda: manifests.of_folders(site.dist, cluster, components)[0],
    )


def _their_own(site: Site, cluster: str) -> Step:
    """What is left of these and of Argo CD: objects of the kinds that have just been defined."""
    components = _defining(site, cluster)
    if cluster == site.fleet.hub.name:
        components.append(Argocd.NAME)
    return _as_wanted(
        site,
        cluster,
        "issuers, monitors and routes of these",
        lambda: manifests.of_folders(site.dist, cluster, components)[1],
    )


def _defining(site: Site, cluster: str) -> list[str]:
    return [name for name in site.fleet.cluster(cluster).components if name in DEFINING_COMPONENTS]


def _as_wanted(
    site: Site, cluster: str, text: str, objects: Callable[[], Sequence[Manifest]]
) -> Step:
    """Objects of dist, unless Argo CD has them already."""
    kubectl = site.clusters[cluster]

    def look() -> Act | None:
        lacking = manifests.lacking(kubectl, objects(), site.applications)
        return (lambda: manifests.apply(kubectl, lacking)) if lacking else None

    return Step(cluster, text, look)


def _repository_server(site: Site) -> Step:
    """What reads Git for Argo CD, at work."""
    name = "argocd-repo-server"

    def ready() -> bool:
        found = site.hub.get("deployment", name, ARGOCD) or {}
        return bool(found.get("status", {}).get("readyReplicas"))

    def wait() -> None:
        end = time.monotonic() + START_SECONDS
        while not ready():
            if time.monotonic() > end:
                found = site.hub.get("deployment", name, ARGOCD)
                told = diagnosis.of_workload(site.hub, found) if found else ["it is not there"]
                why = "; ".join(told) or "nothing says why"
                raise ClusterError(f"{site.hub.name}: {name} does not start: {why}")
            time.sleep(1)

    return Step(site.hub.name, f"{name} runs", lambda: None if ready() else wait)


def registration(site: Site, region: Region) -> Step:
    """The Secret by which Argo CD signs in to a region, made of the account's token there."""
    kubectl = site.clusters[region.name]
    name = Name(site.fleet.hub.name, ARGOCD, f"cluster-{region.name}")

    def look() -> Act | None:
        token = credentials.read(kubectl, Name(region.name, ARGOCD, TOKEN_SECRET)) or {}
        if "token" in token and credentials.read(site.hub, name) == _content(site, region, token):
            return None
        return lambda: _register(site, region, name)

    return Step(name.cluster, f"{name} (registers {region.name})", look)


def _register(site: Site, region: Region, name: Name) -> None:
    content = _content(site, region, _token(site.clusters[region.name]))
    _try(region.name, content)
    manifest = credentials.manifest(name, content)
    labels = {"argocd.argoproj.io/secret-type": "cluster"}
    site.hub.apply([{**manifest, "metadata": {**manifest["metadata"], "labels": labels}}])


def _content(site: Site, region: Region, token: Content) -> Content:
    server = site.servers.get(region.name) or server_of(site.clusters[region.name])
    authority = base64.b64encode(token["ca.crt"].encode()).decode()
    config = {"bearerToken": token["token"], "tlsClientConfig": {"caData": authority}}
    return {"name": region.name, "server": server, "config": json.dumps(config)}


def server_of(kubectl: Kubectl) -> str:
    """URL of the API server, as the kubeconfig says."""
    return kubectl.run(
        "config", "view", "--minify", "--output=jsonpath={.clusters[0].cluster.server}"
    ).strip()


def _token(kubectl: Kubectl) -> Content:
    """The account's token, which Kubernetes puts into the Secret a moment after it is there."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        found = credentials.read(kubectl, Name(kubectl.name, ARGOCD, TOKEN_SECRET)) or {}
        if {"token", "ca.crt"} <= found.keys():
            return found
        time.sleep(0.3)
    raise ClusterError(f"{kubectl.name}: Secret {ARGOCD}/{TOKEN_SECRET} stays without a token")


def _try(region: str, content: Content) -> None:
    """Signs in as Argo CD will, and raises ClusterError if the region says no.

    That nobody answers is no reason: the hub may reach what this machine does not.
    """
    config = json.loads(content["config"])
    authority = base64.b64decode(config["tlsClientConfig"]["caData"]).decode()
    request = urllib.request.Request(  # noqa: S310 - the API server of a kubeconfig
        f"{content['server']}/api", headers={"Authorization": f"Bearer {config['bearerToken']}"}
    )
    context = ssl.create_default_context(cadata=authority)
    try:
        with urllib.request.urlopen(request, timeout=10, context=context):  # noqa: S310
            pass
    except urllib.error.HTTPError as error:
        with error:
            raise ClusterError(
                f"{region}: {content['server']} answers {error.code} to the account of Argo CD"
            ) from None
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise ClusterError(
                f"{region}: the certificate of {content['server']} is not of the cluster's own "
                f"authority ({error.reason.verify_message}); give another URL with "
                f"--server {region}=URL"
            ) from None
