"""The Secrets that are in no file: what is in each, and where it comes from.

What can be made up is random. What others give (the registry, where alerts go, a bucket) is in
environment variables, or asked for on the terminal. A region's password for the hub is in the
region alone; the hub has what it is recognised by, its sum.
"""

import base64
import getpass
import hashlib
import json
import os
import secrets
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

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
from fleet.registry import Fleet, Region
from operations.kubectl import Kubectl, Manifest

Content: TypeAlias = Mapping[str, str]
"""The data of a Secret, not encoded."""

BASIC_AUTH: Final = "kubernetes.io/basic-auth"
OPAQUE: Final = "Opaque"
PASSWORD_BYTES: Final = 32
ADMIN: Final = "admin"


@dataclass(frozen=True)
class Name:
    """Where a Secret is."""

    cluster: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"Secret {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Given:
    """A Secret of what others give: by ``variables`` of the environment, in words for a prompt."""

    name: Name
    variables: Mapping[str, str]
    make: Callable[[Mapping[str, str]], Content]
    kind: str = OPAQUE


@dataclass
class Answers:
    """What the environment or the person at the terminal has given, by variable."""

    known: dict[str, str] = field(default_factory=lambda: dict(os.environ))

    def has(self, given: Given) -> bool:
        return all(self.known.get(each) for each in given.variables)

    def ask(self, given: Given) -> None:
        """Asks for what is missing; nothing typed is shown."""
        for variable, what in given.variables.items():
            if not self.known.get(variable):
                self.known[variable] = getpass.getpass(f"{given.name.cluster}: {what}: ")

    def content(self, given: Given) -> Content:
        return given.make(self.known)


def can_ask() -> bool:
    return sys.stdin.isatty()


def password() -> str:
    """256 random bits as text: too many to be found from a sum."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def made_up(fleet: Fleet) -> list[Name]:
    """The sign-ins of the hub's pages."""
    return [
        Name(fleet.hub.name, MONITORING, GRAFANA_SIGN_IN),
        Name(fleet.hub.name, MONITORING, PROMETHEUS_SIGN_IN),
    ]


def sign_in(user: str, secret: str) -> Content:
    return {"username": user, "password": secret}


def of_region(region: Region) -> list[Name]:
    """The Secrets with a region's password for the hub, one for each of its programs."""
    namespaces = {PROMETHEUS_AGENT: MONITORING, COLLECTOR: COLLECTOR}
    return [
        Name(region.name, namespaces[component], INGEST_CREDENTIALS)
        for component in namespaces
        if component in region.components
    ]


def at_hub(fleet: Fleet, region: Region) -> Name:
    """The Secret by which the hub knows a region's passwords."""
    return Name(fleet.hub.name, MONITORING, ingest_user(region.name))


def to_write(region: Region) -> Content:
    """A new sign-in by which ``region`` writes to the hub.

    Its user has a name that none had before: of two lines with one name Traefik knows the last, so
    that an old and a new password could not be good at a time.
    """
    return sign_in(f"{region.name}-{secrets.token_hex(4)}", password())


def users(*sign_ins: Content) -> Content:
    """Lines of an htpasswd file, which Traefik reads; as many sign-ins as are good at a time.

    SHA-1 is quick to check, which a request a second and more wants, and enough for what is random.
    """
    return {"users": "".join(map(_line, sign_ins))}


def _line(known: Content) -> str:
    found = hashlib.sha1(known["password"].encode(), usedforsecurity=False).digest()
    return f"{known['username']}:{{SHA}}{base64.b64encode(found).decode()}\n"


def given(fleet: Fleet) -> list[Given]:
    """The Secrets of what others give, each cluster's."""
    hub = fleet.hub
    found = [
        Given(
            Name(hub.name, MONITORING, ALERT_RECEIVERS),
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
    ]
    if hub.logs_bucket:
        found.append(
            Given(
                Name(hub.name, MONITORING, LOKI_BUCKET),
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
        )
    return found + [_pull_secret(region) for region in fleet.regions if _has_app(region)]


def _has_app(region: Region) -> bool:
    return "foobar-api" in region.components


def _pull_secret(region: Region) -> Given:
    registry = str(region.image).partition("/")[0]

    def make(known: Mapping[str, str]) -> Content:
        user, secret = known["REGISTRY_USERNAME"], known["REGISTRY_PASSWORD"]
        auth = base64.b64encode(f"{user}:{secret}".encode()).decode()
        entry = {"username": user, "password": secret, "auth": auth}
        return {".dockerconfigjson": json.dumps({"auths": {registry: entry}})}

    return Given(
        Name(region.name, "foobar-api", region.pull_secret),
        {
            "REGISTRY_USERNAME": f"user at {registry}",
            "REGISTRY_PASSWORD": f"password at {registry}",
        },
        make,
        "kubernetes.io/dockerconfigjson",
    )


def read(cluster: Kubectl, name: Name) -> Content | None:
    """What is in the Secret, if it is there."""
    found = cluster.get("secret", name.name, name.namespace)
    if found is None:
        return None
    return {
        key: base64.b64decode(value).decode("utf-8", "replace")
        for key, value in (found.get("data") or {}).items()
    }


def manifest(name: Name, content: Content, kind: str = OPAQUE) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {"name": name.name, "namespace": name.namespace},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in content.items()},
    }
