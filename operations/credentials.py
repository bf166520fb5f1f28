"""The Secrets that are in no file: what is in each, and where it comes from.

Some are generated at random. Others hold what only people know (the registry, where alerts go, a
bucket): environment variables, or what somebody types on the terminal. A region's password for the
hub is in the region alone; the hub has a hash of it.
"""

import base64
import getpass
import hashlib
import json
import os
import re
import secrets
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeAlias

from charts.applications import ARGOCD
from charts.ingress import PAGES
from charts.monitoring.names import COLLECTOR, PROMETHEUS_AGENT
from charts.monitoring.secrets import (
    ALERT_RECEIVERS,
    GRAFANA_SIGN_IN,
    INGEST_CREDENTIALS,
    LOKI_BUCKET,
    PROMETHEUS_SIGN_IN,
    ingest_user,
)
from charts.scrape import MONITORING
from charts.tenant import apps
from fleet.errors import InputError
from fleet.registry import Fleet, Hub, Region
from fleet.score import Description
from operations.cluster import Cluster, Manifest
from operations.keys import private_key

Content: TypeAlias = Mapping[str, str]
"""The data of a Secret, not encoded."""

BASIC_AUTH: Final = "kubernetes.io/basic-auth"
OPAQUE: Final = "Opaque"
PASSWORD_BYTES: Final = 32
ADMIN: Final = "admin"


@dataclass(frozen=True)
class SecretRef:
    """Where a Secret is."""

    cluster: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"Secret {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Supplied:
    """A Secret of what people supply."""

    ref: SecretRef
    variables: Mapping[str, str]
    """The environment variables it is made of, each with its meaning in words for a prompt."""
    make: Callable[[Mapping[str, str]], Content]
    kind: str = OPAQUE
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def missing(self) -> str:
        """The problem that nobody has supplied it, with the remedy."""
        return (
            f"{self.ref.cluster}: {self.ref} does not exist; set {' and '.join(self.variables)}, "
            "or run this in a terminal"
        )


@dataclass
class Answers:
    """What the environment or the person at the terminal supplies, by variable."""

    known: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    def has(self, secret: Supplied) -> bool:
        return all(self.known.get(variable) for variable in secret.variables)

    def ask(self, secret: Supplied) -> None:
        """Asks for what is missing; shows nothing of what is typed."""
        for variable, meaning in secret.variables.items():
            if not self.known.get(variable):
                self.known[variable] = getpass.getpass(f"{secret.ref.cluster}: {meaning}: ")

    def content(self, secret: Supplied) -> Content:
        """What is in the Secret; raises InputError if what was supplied is of no use."""
        return secret.make(self.known)


def can_ask() -> bool:
    return sys.stdin.isatty()


def password() -> str:
    """256 random bits as text: too many to be found from a hash."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def sign_in(user: str, secret: str) -> Content:
    return {"username": user, "password": secret}


def page_sign_ins(fleet: Fleet) -> list[SecretRef]:
    """The administrators' sign-ins to the hub's pages, which are generated."""
    return [
        SecretRef(fleet.hub.name, MONITORING, GRAFANA_SIGN_IN),
        prometheus_sign_in(fleet),
    ]


def prometheus_sign_in(fleet: Fleet) -> SecretRef:
    """The Secret with the sign-in to Prometheus's pages, for people to read."""
    return SecretRef(fleet.hub.name, MONITORING, PROMETHEUS_SIGN_IN)


def prometheus_accepted(fleet: Fleet) -> SecretRef:
    """The Secret with the hash of that sign-in, for Traefik to check."""
    return SecretRef(fleet.hub.name, PAGES, PROMETHEUS_SIGN_IN)


def region_ingest(region: Region) -> list[SecretRef]:
    """The Secrets with a region's password for the hub, one for each of its programs."""
    namespaces = {PROMETHEUS_AGENT: MONITORING, COLLECTOR: COLLECTOR}
    return [
        SecretRef(region.name, namespaces[component], INGEST_CREDENTIALS)
        for component in namespaces
        if component in region.components
    ]


def hub_ingest(fleet: Fleet, region: Region) -> SecretRef:
    """The Secret with the sign-ins that the hub accepts from a region."""
    return SecretRef(fleet.hub.name, PAGES, ingest_user(region.name))


def new_ingest_sign_in(region: Region) -> Content:
    """A new sign-in by which ``region`` writes to the hub.

    The user's name is new as well: of two lines with one name Traefik knows the last only, so an
    old and a new password could never be valid at the same time.
    """
    return sign_in(f"{region.name}-{secrets.token_hex(4)}", password())


def htpasswd_line(known: Content) -> str:
    """A sign-in in the form in which the hub has it: the user's name and a hash.

    SHA-1 is quick to check, which a request a second and more wants, and enough for what is random.
    """
    digest = hashlib.sha1(known["password"].encode(), usedforsecurity=False).digest()
    return f"{known['username']}:{{SHA}}{base64.b64encode(digest).decode()}"


def htpasswd(lines: Iterable[str]) -> Content:
    """What Traefik reads: any number of sign-ins, all of which are valid."""
    return {"users": "".join(f"{line}\n" for line in dict.fromkeys(lines))}


def accepted(known: Content) -> Content:
    """What Traefik reads in order to accept a sign-in, and no other."""
    return htpasswd([htpasswd_line(known)])


def htpasswd_lines(content: Content | None) -> list[str]:
    return (content or {}).get("users", "").splitlines()


def supplied(fleet: Fleet) -> list[Supplied]:
    """The Secrets of what people supply, in all clusters."""
    return [
        _alert_receivers(fleet.hub),
        *([_bucket(fleet.hub)] if fleet.hub.logs_bucket else ()),
        *(
            secret
            for region in fleet.regions
            for app in apps(region)
            for secret in (_pull_secret(fleet, region, app.name), *_of_app(region, app))
        ),
        *_repository(fleet),
    ]


REPOSITORY: Final = "repository"
"""Name of the Secret with which Argo CD reads the fleet's repository."""


def _repository(fleet: Fleet) -> Iterator[Supplied]:
    """In the form of Argo CD's declarative setup, by the label of which it finds the Secret."""
    git = fleet.git
    if git.over_ssh:
        variables = {"GIT_SSH_KEY_FILE": "path of a private key that may read the repository"}
        make = _ssh_key
    elif git.credential == "token":
        variables = {
            "GIT_USERNAME": "user of the token; with most Git servers any will do, such as git",
            "GIT_TOKEN": "token that may read the repository",
        }
        make = _token
    elif git.credential == "github-app":
        variables = {
            "GITHUB_APP_ID": "ID of the GitHub App that may read the repository",
            "GITHUB_APP_INSTALLATION_ID": "ID of its installation",
            "GITHUB_APP_KEY_FILE": "path of its private key",
        }
        make = partial(_github_app, git.web)
    else:
        return
    yield Supplied(
        SecretRef(fleet.hub.name, ARGOCD, REPOSITORY),
        variables,
        lambda known: {"type": "git", "url": git.repository, **make(known)},
        labels={"argocd.argoproj.io/secret-type": "repository"},
    )


def _ssh_key(known: Mapping[str, str]) -> Content:
    return {"sshPrivateKey": private_key("GIT_SSH_KEY_FILE", known["GIT_SSH_KEY_FILE"])}


def _token(known: Mapping[str, str]) -> Content:
    return {"username": known["GIT_USERNAME"], "password": known["GIT_TOKEN"]}


def _github_app(web: str, known: Mapping[str, str]) -> Content:
    """The App of a server of one's own is asked at that server."""
    for variable in ("GITHUB_APP_ID", "GITHUB_APP_INSTALLATION_ID"):
        if not known[variable].isdecimal():
            raise InputError(f"{variable}: is no number; set it to the ID that GitHub shows")
    server = "/".join(web.split("/")[:3])
    enterprise = (
        {} if server == "https://github.com" else {"githubAppEnterpriseBaseUrl": f"{server}/api/v3"}
    )
    return {
        "githubAppID": known["GITHUB_APP_ID"],
        "githubAppInstallationID": known["GITHUB_APP_INSTALLATION_ID"],
        "githubAppPrivateKey": private_key("GITHUB_APP_KEY_FILE", known["GITHUB_APP_KEY_FILE"]),
        **enterprise,
    }


def _alert_receivers(hub: Hub) -> Supplied:
    return Supplied(
        SecretRef(hub.name, MONITORING, ALERT_RECEIVERS),
        {
            "ALERTS_PAGES": f"where pages go ({hub.pages_by})",
            "ALERTS_NOTICES": f"where notices go ({hub.notices_by})",
            "ALERTS_WATCHDOG": "URL of the dead-man's switch",
        },
        lambda known: {
            "pages": known["ALERTS_PAGES"],
            "notices": known["ALERTS_NOTICES"],
            "watchdog": known["ALERTS_WATCHDOG"],
        },
    )


def _bucket(hub: Hub) -> Supplied:
    return Supplied(
        SecretRef(hub.name, MONITORING, LOKI_BUCKET),
        {
            "BUCKET_ACCESS_KEY": "access key of the bucket for logs",
            "BUCKET_SECRET_KEY": "secret key of the bucket for logs",
        },
        lambda known: {
            "credentials": "[default]\n"
            f"aws_access_key_id = {known['BUCKET_ACCESS_KEY']}\n"
            f"aws_secret_access_key = {known['BUCKET_SECRET_KEY']}\n"
        },
    )


def _of_app(region: Region, app: Description) -> Iterator[Supplied]:
    """The Secrets that the app's description names, each value from a variable of its own."""
    for name, keys in app.secrets.items():
        variables = {key: app.supplied_as(name, key) for key in keys}
        yield Supplied(
            SecretRef(region.name, app.name, name),
            {variable: f"{key} of the Secret {name}" for key, variable in variables.items()},
            partial(_values, variables),
        )


def _values(variables: Mapping[str, str], known: Mapping[str, str]) -> Content:
    return {key: known[variable] for key, variable in variables.items()}


def _pull_secret(fleet: Fleet, region: Region, app: str) -> Supplied:
    """One registry never gets the password of another: each has variables of its own.

    Those of the registry that the fleet names first have no host in their names.
    """
    placement = region.apps[app]
    registry = placement.registry
    first = next(each.registry for other in fleet.regions for each in other.apps.values())
    suffix = "" if registry == first else re.sub("[^A-Z0-9]+", "_", f"_{registry}".upper())
    username, password = f"REGISTRY_USERNAME{suffix}", f"REGISTRY_PASSWORD{suffix}"

    def make(known: Mapping[str, str]) -> Content:
        user, secret = known[username], known[password]
        auth = base64.b64encode(f"{user}:{secret}".encode()).decode()
        entry = {"username": user, "password": secret, "auth": auth}
        return {".dockerconfigjson": json.dumps({"auths": {registry: entry}})}

    return Supplied(
        SecretRef(region.name, app, placement.pull_secret),
        {
            username: f"user at {registry}",
            password: f"password at {registry}",
        },
        make,
        "kubernetes.io/dockerconfigjson",
    )


def read(cluster: Cluster, ref: SecretRef) -> Content | None:
    """What is in the Secret, if it exists."""
    secret = cluster.get("secret", ref.name, ref.namespace)
    return None if secret is None else decoded(secret)


def decoded(secret: Manifest) -> Content:
    return {
        key: base64.b64decode(value).decode("utf-8", "replace")
        for key, value in (secret.get("data") or {}).items()
    }


def manifest(
    ref: SecretRef,
    content: Content,
    kind: str = OPAQUE,
    labels: Mapping[str, str] | None = None,
) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {
            "name": ref.name,
            "namespace": ref.namespace,
            **({"labels": dict(labels)} if labels else {}),
        },
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in content.items()},
    }


def store(cluster: Cluster, ref: SecretRef, content: Content, kind: str = OPAQUE) -> None:
    cluster.apply([manifest(ref, content, kind)])


def store_supplied(cluster: Cluster, secret: Supplied, content: Content) -> None:
    cluster.apply([manifest(secret.ref, content, secret.kind, secret.labels)])
