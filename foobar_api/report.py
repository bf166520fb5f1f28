"""What ``/`` and ``/api`` say: where this runs, over which TLS, and the request as it came."""

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import lru_cache
from html import escape
from importlib.resources import files
from string import Template
from typing import Any, Final

from foobar_api import VERSION
from foobar_api.host import Host
from foobar_api.session import Session, Tls

_PAGE: Final = files(__package__).joinpath("page.html").read_text("utf-8")
_STYLE: Final = _PAGE.partition("<style>")[2].partition("</style>")[0]
PAGE_POLICY: Final = (
    "default-src 'none'; "
    f"style-src 'sha256-{b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The page's Content-Security-Policy: its own style by hash, and nothing else from anywhere."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came, but for what WSGI loses: the case of names, one line of several."""

    method: str
    target: str
    protocol: str
    host: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    client: tuple[str, str]

    @classmethod
    def of(cls, environ: Mapping[str, Any], body: bytes) -> "Request":
        headers = [
            (_name(key), as_text(value))
            for key, value in environ.items()
            if key.startswith("HTTP_") and key != "HTTP_HOST"
        ]
        headers += [
            (_name(f"HTTP_{key}"), as_text(value))
            for key in ("CONTENT_TYPE", "CONTENT_LENGTH")
            if (value := environ.get(key))
        ]
        headers.sort(key=_order)
        return cls(
            method=environ["REQUEST_METHOD"],
            target=environ.get("RAW_URI") or environ.get("PATH_INFO", "/"),
            protocol=environ.get("SERVER_PROTOCOL", "HTTP/1.1"),
            host=as_text(environ.get("HTTP_HOST", "")),
            headers=tuple(headers),
            body=body,
            client=(environ.get("REMOTE_ADDR", ""), environ.get("REMOTE_PORT", "")),
        )

    def all_headers(self) -> list[tuple[str, str]]:
        return [("Host", self.host), *self.headers]

    @property
    def remote(self) -> str:
        """The client as ``address:port``."""
        host, port = self.client
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def as_text(value: str) -> str:
    """A header's value as text: UTF-8 where it is valid, and Latin-1 otherwise.

    In WSGI each character of ``value`` stands for a byte that was received (PEP 3333).
    """
    if value.isascii():
        return value
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _order(header: tuple[str, str]) -> tuple[int, str]:
    """As Go writes a request: these two first, the others by name."""
    name = header[0]
    return {"User-Agent": 0, "Content-Length": 1}.get(name, 2), name


@lru_cache(maxsize=512)
def _name(key: str) -> str:
    return key[5:].replace("_", "-").title()


@dataclass(frozen=True, slots=True)
class Report:
    """Everything there is to say about one request."""

    name: str
    where: Mapping[str, str]
    host: Host
    session: Session | None
    request: Request
    environment: Mapping[str, str]
    """Empty unless it was asked for and may be shown."""

    @property
    def tls(self) -> Tls | None:
        return self.session.tls if self.session else None

    def text(self) -> bytes:
        """Whoami's lines and ours among them, then the request itself."""
        request = self.request
        lines = []
        if self.name:
            lines.append(f"Name: {self.name}\n")
        lines.append(_host_lines(self.host))
        lines.append(f"RemoteAddr: {request.remote}\n")
        if self.session:
            lines.append(_session_lines(self.session))
        lines += [f"{key.title()}: {value}\n" for key, value in self.where.items()]
        lines.append(_system_lines(self.host))
        lines.append(f"{request.method} {request.target} {request.protocol}\r\n")
        lines.append(f"Host: {request.host}\r\n")
        lines += [f"{name}: {value}\r\n" for name, value in request.headers]
        lines.append("\r\n")
        text = "".join(lines).encode(errors="replace") + request.body
        if self.environment:
            text += "".join(f"{name}={value}\n" for name, value in self.environment.items()).encode(
                errors="replace"
            )
        return text

    def json(self) -> bytes:
        """Whoami's keys, and ours: lower case, durations in seconds, sizes in bytes."""
        request = self.request
        value: dict[str, object] = {
            "hostname": self.host.hostname,
            "ip": self.host.addresses,
            "headers": {name: [value] for name, value in sorted(request.headers)},
            "url": request.target,
            "host": request.host,
            "method": request.method,
        }
        if self.name:
            value["name"] = self.name
        value["remoteAddr"] = request.remote
        if self.environment:
            value["environ"] = dict(self.environment)
        value["version"] = VERSION
        value["protocol"] = request.protocol
        value |= self.where
        if self.session and self.session.proxied:
            value["proxy"] = self.session.peer[0]
        if self.tls:
            value["tls"] = _tls(self.tls)
        value["os"] = _system(self.host)
        return (json.dumps(value, default=_iso) + "\n").encode()

    def page(self) -> bytes:
        """The same for people."""
        return (
            Template(_PAGE)
            .substitute(
                {name: content for name, content in self._page_parts()}  # noqa: C416 - typed pairs
            )
            .encode()
        )

    def _page_parts(self) -> Iterator[tuple[str, str]]:
        where = self.where.get("cluster") or self.where.get("region") or self.name
        yield "title", escape(where or self.host.hostname)
        yield "client", escape(self.request.client[0])
        yield "answer", _rows(self._answer())
        yield "tls", _rows(self._tls_rows())
        yield "system", _rows(_system_rows(self.host))
        request = self.request
        head = [f"{request.method} {request.target} {request.protocol}", f"Host: {request.host}"]
        head += [f"{name}: {value}" for name, value in request.headers]
        yield "request", escape("\n".join(head))
        yield "version", escape(VERSION)

    def _answer(self) -> Iterator[tuple[str, str]]:
        if self.name:
            yield "Name", self.name
        for key, value in self.where.items():
            yield key.title(), value
        yield "Hostname", self.host.hostname
        yield "Your address", self.request.remote
        if self.session and self.session.proxied:
            yield "Through", self.session.peer[0]

    def _tls_rows(self) -> Iterator[tuple[str, str]]:
        tls = self.tls
        if not tls:
            yield "TLS", "none: plain HTTP"
            return
        yield "Version", tls.version
        yield "Cipher", tls.cipher
        yield "Protocol", self.request.protocol
        yield "Server name", tls.server_name or "none sent"
        yield "Certificate", tls.certificate.subject or ", ".join(tls.certificate.names)
        yield "Issued by", tls.certificate.issuer
        yield "Valid until", f"{tls.certificate.not_after:%Y-%m-%d %H:%M} UTC"
        if tls.client_subject is not None:
            yield "You are", tls.client_subject


def _rows(rows: Iterator[tuple[str, str]]) -> str:
    return "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>\n" for name, value in rows)


@lru_cache(maxsize=4)
def _host_lines(host: Host) -> str:
    return f"Hostname: {host.hostname}\n" + "".join(f"IP: {each}\n" for each in host.addresses)


@lru_cache(maxsize=4)
def _system_lines(host: Host) -> str:
    return "".join(f"{name}: {value}\n" for name, value in _system_rows(host))


@lru_cache(maxsize=512)
def _session_lines(session: Session) -> str:
    lines = [f"Proxy: {session.peer[0]}"] if session.proxied else []
    if tls := session.tls:
        if tls.client_subject is not None:
            lines.append(f"Certificate[0] Subject: {tls.client_subject}")
        served = tls.certificate
        name = tls.server_name or "none"
        lines.append(f"TLS: {tls.version} {tls.cipher}, ALPN {tls.protocol}, SNI {name}")
        lines.append(
            f"Served-Certificate: {served.subject or ', '.join(served.names)}, "
            f"issued by {served.issuer}, until {served.not_after.isoformat()}"
        )
    return "".join(f"{line}\n" for line in lines)


def _system_rows(host: Host) -> Iterator[tuple[str, str]]:
    yield "OS", host.distribution
    yield "Kernel", f"{host.kernel} {host.architecture}"
    yield "Python", host.python
    yield "CPUs", f"{host.cpus}" + (f", limited to {host.cpu_limit:g}" if host.cpu_limit else "")
    yield (
        "Memory",
        f"{_mebibytes(host.memory_available)} of {_mebibytes(host.memory)} MiB available",
    )
    if host.memory_limit:
        yield (
            "Memory-Limit",
            (f"{_mebibytes(host.memory_used or 0)} of {_mebibytes(host.memory_limit)} MiB used"),
        )
    yield "Uptime", _span(host.uptime)
    yield "Load", " ".join(f"{each:.2f}" for each in host.load)


def _mebibytes(size: int) -> int:
    return size // 2**20


def _span(seconds: float) -> str:
    minutes = int(seconds) // 60
    return f"{minutes // 1440}d {minutes // 60 % 24}h {minutes % 60}m"


def _tls(tls: Tls) -> dict[str, object]:
    return {
        "version": tls.version,
        "cipher": tls.cipher,
        "alpn": tls.protocol,
        "sni": tls.server_name,
        "clientSubject": tls.client_subject,
        "certificate": {_camel(key): value for key, value in asdict(tls.certificate).items()},
    }


def _system(host: Host) -> dict[str, object]:
    found = asdict(host)
    del found["hostname"], found["addresses"]
    return {_camel(key): value for key, value in found.items()}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))


def _iso(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    raise TypeError(type(value).__name__)
