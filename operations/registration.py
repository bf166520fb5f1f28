"""How Argo CD on the hub gets into a region: by a token of its account there."""

import base64
import json
from typing import Final

from charts.applications import ARGOCD
from charts.argocd_access import TOKEN_SECRET, ArgocdAccess
from fleet.registry import Region
from operations import credentials, manifests, signing_in, waiting
from operations.cluster import Cluster, ClusterError
from operations.credentials import Content, SecretRef
from operations.site import Action, Site, Step

TOKEN_SECONDS: Final = 30
"""Until Kubernetes has put a token into a new Secret, which takes it a moment."""


def registration(site: Site, region: Region) -> Step:
    """Argo CD knows the region, by the token that its account has there now."""
    cluster = site.clusters[region.name]
    ref = SecretRef(site.fleet.hub.name, ARGOCD, f"cluster-{region.name}")

    def look() -> Action | None:
        token = credentials.read(cluster, _token_ref(cluster)) or {}
        if _complete(token) and credentials.read(site.hub, ref) == _content(site, region, token):
            return None
        return register

    def register() -> None:
        token = _issued_token(cluster)
        content = _content(site, region, token)
        signing_in.attempt(region.name, content["server"], token)
        manifest = credentials.manifest(ref, content)
        labels = {"argocd.argoproj.io/secret-type": "cluster"}
        site.hub.apply([{**manifest, "metadata": {**manifest["metadata"], "labels": labels}}])

    return Step(ref.cluster, f"{ref} (registers {region.name})", look)


def renew_account(site: Site, region: Region) -> None:
    """Replaces the account of Argo CD in the region: its token is new, and the old one invalid.

    To replace the Secret alone is not enough. Such a token says nothing but who the account is, its
    uid included, and the name of the Secret, so the same account gets the same token again.
    """
    cluster = site.clusters[region.name]
    folder, _ = manifests.of_folders(site.dist, region.name, [ArgocdAccess.NAME])
    accounts = [manifest for manifest in folder if manifest["kind"] == "ServiceAccount"]
    secrets = [manifest for manifest in folder if manifest["kind"] == "Secret"]
    cluster.delete([*accounts, *secrets])
    # Kubernetes deletes the token Secret of an account that does not exist.
    cluster.apply(accounts)
    cluster.apply(secrets)


def _content(site: Site, region: Region, token: Content) -> Content:
    """What Argo CD reads of a cluster (its declarative setup, "Clusters")."""
    server = site.servers.get(region.name) or site.clusters[region.name].server()
    authority = base64.b64encode(token["ca.crt"].encode()).decode()
    config = {"bearerToken": token["token"], "tlsClientConfig": {"caData": authority}}
    return {"name": region.name, "server": server, "config": json.dumps(config)}


def _issued_token(cluster: Cluster) -> Content:
    def look() -> Content | None:
        token = credentials.read(cluster, _token_ref(cluster)) or {}
        return token if _complete(token) else None

    token = waiting.until(look, seconds=TOKEN_SECONDS, interval=0.3)
    if token is None:
        raise ClusterError(
            cluster.name, f"{_token_ref(cluster)} has no token after {TOKEN_SECONDS} s"
        )
    return token


def _token_ref(cluster: Cluster) -> SecretRef:
    return SecretRef(cluster.name, ARGOCD, TOKEN_SECRET)


def _complete(token: Content) -> bool:
    return {"token", "ca.crt"} <= token.keys()
