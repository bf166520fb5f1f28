"""The password of Argo CD's administrator, which Argo CD's server generates when it starts without.

It is in the Secret ``INITIAL`` for people to read, and a hash of it in Argo CD's own.
"""

from typing import Final

from charts.applications import ARGOCD
from charts.argocd import SERVER
from operations import credentials, waiting
from operations.cluster import ClusterError, Manifest
from operations.credentials import SecretRef
from operations.manifests import START_SECONDS
from operations.site import Action, Site, Step

SECRET: Final = "argocd-secret"
HASH: Final = "admin.password"
INITIAL: Final = "argocd-initial-admin-secret"


def shown(site: Site) -> SecretRef:
    """Where people read the password."""
    return SecretRef(site.fleet.hub.name, ARGOCD, INITIAL)


def renew(site: Site) -> bool:
    """Has Argo CD generate a new password, which ends the sessions of the old one.

    Returns False, and does nothing, where Argo CD does not run or has no administrator.
    """
    secret = site.hub.get("secret", SECRET, ARGOCD)
    if secret is None or not _runs(site) or not _has_administrator(site):
        return False
    site.hub.apply([_without_password(secret)])
    _generate(site)
    return True


def _generate(site: Site) -> None:
    site.hub.restart(SERVER, ARGOCD)
    if not waiting.until(lambda: _has_password(site), seconds=START_SECONDS, interval=1):
        raise ClusterError(
            site.hub.name,
            f"Deployment {ARGOCD}/{SERVER} has generated no password for its administrator "
            f"within {START_SECONDS} s",
        )


def password(site: Site) -> Step:
    """The administrator has a password: a rotation may have been interrupted before there was."""

    def look() -> Action | None:
        # A server that has started has generated one, unless it was taken away since.
        if not _runs(site) or not _has_administrator(site) or _has_password(site):
            return None
        return lambda: _generate(site)

    return Step(site.fleet.hub.name, str(shown(site)), look)


def _without_password(secret: Manifest) -> Manifest:
    """Labels and annotations stay, since what a field manager leaves out is removed."""
    metadata = secret["metadata"]
    kept = ("name", "namespace", "labels", "annotations")
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": secret.get("type", credentials.OPAQUE),
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "data": {HASH: ""},
    }


def _runs(site: Site) -> bool:
    deployment = site.hub.get("deployment", SERVER, ARGOCD) or {}
    return bool(deployment.get("status", {}).get("readyReplicas"))


def _has_administrator(site: Site) -> bool:
    settings = site.hub.get("configmap", "argocd-cm", ARGOCD) or {}
    return bool((settings.get("data") or {}).get("admin.enabled", "true") == "true")


def _has_password(site: Site) -> bool:
    content = credentials.read(site.hub, SecretRef(site.hub.name, ARGOCD, SECRET))
    return bool(content and content.get(HASH))
