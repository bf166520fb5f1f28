"""The steps from empty clusters to Argo CD at work, each of which finds out whether it is needed.

A step looks first, and returns an action only if something is missing. So a second run does
nothing, the next run completes one that was interrupted, and a dry run only looks.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from charts.applications import ARGOCD, Applications
from charts.argocd import Argocd
from charts.argocd_access import ArgocdAccess
from charts.baseline import Baseline
from charts.cert_manager import CertManager
from charts.ingress import TRAEFIK
from charts.monitoring.operator import PrometheusOperator
from charts.monitoring.secrets import GRAFANA_SIGN_IN
from charts.scrape import MONITORING
from charts.traefik import Traefik
from fleet.apps import TENANT
from fleet.errors import InputError
from operations import argocd_admin, credentials, diagnosis, ingest, manifests, waiting
from operations.cluster import Cluster, ClusterError, Manifest, NotFoundError
from operations.credentials import SecretRef, Supplied
from operations.manifests import START_SECONDS
from operations.registration import registration
from operations.site import Action, Site, Stage, Step

DEFINING_COMPONENTS: Final = (Traefik.NAME, CertManager.NAME, PrometheusOperator.NAME)
"""Components whose bundles define kinds that others have objects of.

They are also what takes longest to be there: a load balancer, a webhook, an operator."""

GRAFANA: Final = "grafana"

RESTARTED: Final = "kubectl.kubernetes.io/restartedAt"
"""The annotation that `kubectl rollout restart` gives to the pods of a Deployment."""


def stages(site: Site) -> Iterator[Stage]:
    """All steps, in the order in which they can be taken."""
    fleet, hub = site.fleet, site.fleet.hub.name
    yield [step for name in fleet.names for step in _namespaces(site, name)]
    yield [
        *(_page_sign_in(site, ref) for ref in credentials.page_sign_ins(fleet)),
        *(_supplied(site, secret) for secret in credentials.supplied(fleet)),
        *(ingest.password(site, region) for region in ingest.writing(fleet)),
        # A watch that is forbidden is tried again at ever longer intervals, up to a minute; as long
        # no challenge for a certificate is answered.
        *(_grants(site, name) for name in fleet.names),
    ]
    yield [
        *(ingest.accepted(site, region) for region in ingest.writing(fleet)),
        _prometheus_accepted(site),
        _grafana_sign_in(site),
    ]
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
        # Nothing of an app runs before what guards it.
        *(_guards(site, region.name) for region in fleet.regions if region.apps),
    ]
    yield [registration(site, region) for region in fleet.regions]
    yield [
        # Argo CD tries an Application that it cannot render yet again only after minutes.
        _repository_server(site),
        argocd_admin.password(site),
        # A pod without its certificate is tried again at ever longer intervals, so what issues it
        # is there before Argo CD brings one.
        *(_own_objects(site, name) for name in fleet.names),
    ]
    yield [_folder(site, hub, Applications.NAME, "projects and ApplicationSets")]


def secret_namespaces(site: Site, cluster: str) -> set[str]:
    """The namespaces in which Secrets have to be before Argo CD has brought anything."""
    refs = [
        *credentials.page_sign_ins(site.fleet),
        *(secret.ref for secret in credentials.supplied(site.fleet)),
        *(ref for region in site.fleet.regions for ref in credentials.region_ingest(region)),
        credentials.prometheus_accepted(site.fleet),
        *(SecretRef(name, ARGOCD, "") for name in site.fleet.names),
    ]
    return {ref.namespace for ref in refs if ref.cluster == cluster}


def _namespaces(site: Site, cluster: str) -> Iterator[Step]:
    rendered = {
        manifest["metadata"]["name"]: manifest
        for manifest in manifests.of_files(site.dist, cluster, "Namespace.*.yaml")
    }
    granting = {grant["metadata"]["namespace"] for grant in traefik_grants(site, cluster)}
    for namespace in sorted(secret_namespaces(site, cluster) | granting):
        yield _namespace(site.clusters[cluster], rendered[namespace])


def _namespace(cluster: Cluster, rendered: Manifest) -> Step:
    """The namespace exists; what overlays change of it comes with its folder, later."""
    name = rendered["metadata"]["name"]

    def look() -> Action | None:
        return None if cluster.get("namespace", name) else lambda: cluster.apply([rendered])

    return Step(cluster.name, f"Namespace {name}", look)


def _grants(site: Site, cluster: str) -> Step:
    return site.as_rendered(
        cluster, "rights of Traefik in other namespaces", lambda: traefik_grants(site, cluster)
    )


def traefik_grants(site: Site, cluster: str) -> list[Manifest]:
    """What lets Traefik read outside its own namespace."""
    return [
        manifest
        for manifest in manifests.of_files(site.dist, cluster, f"Role*.{TRAEFIK}.yaml")
        if manifest["metadata"]["namespace"] != TRAEFIK
    ]


def _page_sign_in(site: Site, ref: SecretRef) -> Step:
    cluster = site.clusters[ref.cluster]

    def look() -> Action | None:
        if credentials.read(cluster, ref):
            return None
        content = credentials.sign_in(credentials.ADMIN, credentials.password())
        return lambda: credentials.store(cluster, ref, content, credentials.BASIC_AUTH)

    return Step(ref.cluster, str(ref), look)


def _prometheus_accepted(site: Site) -> Step:
    """Traefik accepts the sign-in to Prometheus's pages, and no other."""
    ref = credentials.prometheus_accepted(site.fleet)

    def look() -> Action | None:
        content = credentials.read(site.hub, credentials.prometheus_sign_in(site.fleet))
        accepted = credentials.read(site.hub, ref)
        if content and accepted == credentials.accepted(content):
            return None
        return accept

    def accept() -> None:
        content = credentials.read(site.hub, credentials.prometheus_sign_in(site.fleet))
        if content is None:
            raise NotFoundError(ref.cluster, f"the password for {ref} was deleted in the meantime")
        credentials.store(site.hub, ref, credentials.accepted(content))

    return Step(ref.cluster, str(ref), look)


def _grafana_sign_in(site: Site) -> Step:
    """Grafana's pods have started since its sign-in was written, because they read it only then."""

    def look() -> Action | None:
        secret = site.hub.get("secret", GRAFANA_SIGN_IN, MONITORING)
        deployment = site.hub.get("deployment", GRAFANA, MONITORING)
        if secret is None or deployment is None:
            return None
        written = _written(secret)
        starts = [
            _time(pod["metadata"]["creationTimestamp"])
            for pod in site.hub.list_objects("pods", MONITORING)
            if pod["metadata"]["name"].startswith(f"{GRAFANA}-")
        ]
        # While pods are replaced, the old ones are still there.
        template = deployment["spec"]["template"]["metadata"].get("annotations") or {}
        restarted = RESTARTED in template and _time(template[RESTARTED]) >= written
        if restarted or all(start >= written for start in starts):
            return None
        return lambda: site.hub.restart(GRAFANA, MONITORING)

    return Step(
        site.fleet.hub.name, f"Grafana has read Secret {MONITORING}/{GRAFANA_SIGN_IN}", look
    )


def _written(secret: Manifest) -> datetime:
    """When the data of a Secret was last changed."""
    metadata = secret["metadata"]
    times = [
        entry["time"]
        for entry in metadata.get("managedFields") or ()
        if "f:data" in entry.get("fieldsV1", {})
    ]
    return _time(max(times, default=metadata["creationTimestamp"]))


def _time(text: str) -> datetime:
    """A time of an object, in RFC 3339."""
    return datetime.fromisoformat(text)


def _supplied(site: Site, secret: Supplied) -> Step:
    cluster = site.clusters[secret.ref.cluster]

    def look() -> Action | None:
        content = credentials.read(cluster, secret.ref)
        if not site.answers.has(secret):
            return None if content else refuse
        wanted = site.answers.content(secret)
        if content == wanted:
            return None
        return lambda: credentials.store_supplied(cluster, secret, wanted)

    def refuse() -> None:
        raise InputError(secret.missing)

    return Step(secret.ref.cluster, str(secret.ref), look)


def _folder(site: Site, cluster: str, component: str, text: str) -> Step:
    folder = site.dist / cluster / component
    return site.as_rendered(
        cluster,
        f"{text} ({folder})",
        lambda: manifests.of_folders(site.dist, cluster, [component])[0],
    )


def _foundations(site: Site, cluster: str) -> Step:
    """What defines kinds that others have objects of."""
    components = _defining(site, cluster)
    return site.as_rendered(
        cluster,
        ", ".join(components),
        lambda: manifests.of_folders(site.dist, cluster, components)[0],
    )


def _guards(site: Site, cluster: str) -> Step:
    """The namespaces of apps, with quotas, policies and roles."""
    return site.as_rendered(
        cluster,
        "what guards apps",
        lambda: manifests.of_folders(site.dist, cluster, _tenants(site, cluster))[0],
    )


def _own_objects(site: Site, cluster: str) -> Step:
    """What is left of these and of Argo CD: objects of the kinds that have just been defined."""
    components = [*_defining(site, cluster), *_tenants(site, cluster)]
    if cluster == site.fleet.hub.name:
        components.append(Argocd.NAME)
    return site.as_rendered(
        cluster,
        "issuers, certificates, monitors and routes",
        lambda: manifests.of_folders(site.dist, cluster, components)[1],
    )


def _defining(site: Site, cluster: str) -> list[str]:
    return [name for name in site.fleet.cluster(cluster).components if name in DEFINING_COMPONENTS]


def _tenants(site: Site, cluster: str) -> list[str]:
    return [name for name in site.fleet.cluster(cluster).components if name.startswith(TENANT)]


def _repository_server(site: Site) -> Step:
    """What reads Git for Argo CD is ready."""
    name = "argocd-repo-server"

    def ready() -> bool:
        deployment = site.hub.get("deployment", name, ARGOCD) or {}
        return bool(deployment.get("status", {}).get("readyReplicas"))

    def wait() -> None:
        if waiting.until(ready, seconds=START_SECONDS, interval=1):
            return
        deployment = site.hub.get("deployment", name, ARGOCD)
        reasons = (
            diagnosis.of_workload(site.hub, deployment) if deployment else ["it does not exist"]
        )
        why = "; ".join(reasons) or "nothing says why"
        raise ClusterError(
            site.hub.name, f"Deployment {ARGOCD}/{name} is not ready after {START_SECONDS} s: {why}"
        )

    return Step(site.hub.name, f"{name} runs", lambda: None if ready() else wait)
