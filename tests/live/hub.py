"""The hub as the live tests ask it: over TLS by hostname, in PromQL and in LogQL."""

import http.client
import json
import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from charts.applications import ARGOCD
from charts.monitoring import secrets
from charts.scrape import MONITORING
from fleet.registry import Hub
from tests.live.cluster import answered, said

REFUSED = "eu-west"
"""The region whose password the hub does not take once the fixture ``refused`` was used."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes


class HubOverTls:
    """The hub as the internet sees it: by hostname at its load balancer's address."""

    def __init__(self, address: str, authority: Path) -> None:
        self._address = address
        self._context = ssl.create_default_context(cafile=str(authority))

    def ask(
        self,
        host: str,
        path: str,
        *,
        method: str = "GET",
        user: tuple[str, str] | None = None,
        body: bytes | None = None,
        length: int | None = None,
        headers: Mapping[str, str] = {},
    ) -> Answer:
        """``length`` is what is said of the body, where that is not so."""
        headers = {**_headers(host, user), **headers}
        if length is not None:
            headers["Content-Length"] = str(length)
        with self._connected(host) as connection:
            connection.request(method, path, body=body, headers=headers)
            response = connection.getresponse()
            return Answer(response.status, response.read())

    def posted(
        self, host: str, path: str, user: tuple[str, str], body: bytes, times: int
    ) -> list[int]:
        """How the same request is answered again and again on one connection."""
        found = []
        with self._connected(host) as connection:
            for _ in range(times):
                connection.request("POST", path, body=body, headers=_headers(host, user))
                response = connection.getresponse()
                response.read()
                found.append(response.status)
        return found

    @contextmanager
    def _connected(self, host: str) -> Iterator[http.client.HTTPConnection]:
        raw = socket.create_connection((self._address, 443), timeout=10)
        # Head and body are sent one after the other, and the second would wait for the first.
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = http.client.HTTPConnection(host, timeout=30)
        connection.sock = self._context.wrap_socket(raw, server_hostname=host)
        try:
            yield connection
        finally:
            connection.close()


def _headers(host: str, user: tuple[str, str] | None) -> dict[str, str]:
    headers = {"Host": host}
    if user:
        headers["Authorization"] = "Basic " + b64encode(":".join(user).encode()).decode()
    return headers


class Query:
    """PromQL by way of the hub's own page, behind its sign-in."""

    def __init__(self, facts: Hub, hub: HubOverTls) -> None:
        self._host = facts.prometheus_host
        self._hub = hub
        self._sign_in = sign_in(facts.name, secrets.PROMETHEUS_SIGN_IN)

    def __call__(self, expression: str) -> list[dict[str, Any]]:
        path = "/api/v1/query?" + urlencode({"query": expression})
        answer = self._hub.ask(self._host, path, user=self._sign_in)
        assert answer.status == 200, answer
        found: list[dict[str, Any]] = json.loads(answer.body)["data"]["result"]
        return found

    def whole(self, selector: str, start: float, end: float) -> bool:
        """Whether series have a sample for each half minute between two times."""
        seconds = int(end - start)
        found = self(f"count_over_time({selector}[{seconds}s] @ {end:.0f})")
        return bool(found) and all(float(each["value"][1]) >= seconds // 30 for each in found)

    def alerts(self) -> list[dict[str, str]]:
        answer = self._hub.ask(self._host, "/api/v1/alerts", user=self._sign_in)
        assert answer.status == 200, answer
        return [
            each["labels"]
            for each in json.loads(answer.body)["data"]["alerts"]
            if each["state"] == "firing"
        ]


class Logs:
    """LogQL by way of kubectl: no hostname of the hub answers it."""

    def __init__(self, url: str) -> None:
        self._url = url

    def __call__(self, expression: str) -> list[dict[str, Any]]:
        asked = urlencode({"query": expression, "limit": 100, "since": "1h"})
        answer = answered(f"{self._url}/loki/api/v1/query_range?{asked}")
        found: list[dict[str, Any]] = answer["data"]["result"]
        return found

    def count(self, expression: str, minutes: int) -> int:
        """How many lines an expression finds, each counted once though it came twice."""
        asked = urlencode(
            {"query": expression, "limit": 5000, "since": f"{minutes}m", "direction": "forward"}
        )
        streams = answered(f"{self._url}/loki/api/v1/query_range?{asked}")["data"]["result"]
        return len({line for stream in streams for _, line in stream["values"]})


def secret_of(cluster: str, name: str) -> dict[str, str]:
    data = json.loads(said(cluster, "-n", MONITORING, "get", "secret", name, "-ojson"))["data"]
    return {key: b64decode(value).decode() for key, value in data.items()}


def sign_in(cluster: str, name: str) -> tuple[str, str]:
    """The user and the password that a Secret holds."""
    found = secret_of(cluster, name)
    return found["username"], found["password"]


def admin_password(hub: str) -> str:
    """Of Argo CD's administrator, where people read it."""
    path = "-o=jsonpath={.data.password}"
    encoded = said(hub, "-n", ARGOCD, "get", "secret", "argocd-initial-admin-secret", path)
    return b64decode(encoded).decode()


def signs_in(hub: HubOverTls, host: str, password: str) -> int:
    """What Argo CD answers to its administrator's password."""
    body = json.dumps({"username": "admin", "password": password}).encode()
    headers = {"Content-Type": "application/json"}
    return hub.ask(host, "/api/v1/session", method="POST", body=body, headers=headers).status
