"""What can be set: each option is one field, by a flag and by an environment variable.

The names of traefik/whoami are kept where it has them, its flags with a single dash included.
"""

import argparse
import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any, Final, NoReturn

from foobar_api import VERSION

Network = IPv4Network | IPv6Network

WRITE_AHEAD: Final = 65536
"""Bytes that a response may be ahead of its client: its memory, and what one deadline covers."""

_BYTES: Final = {
    "": 1,
    "k": 10**3,
    "m": 10**6,
    "g": 10**9,
    "ki": 2**10,
    "mi": 2**20,
    "gi": 2**30,
}
_SECONDS: Final = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION: Final = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|ms|s|m|h)", re.ASCII)


class InvalidSettings(Exception):  # noqa: N818 - it holds several errors
    """What is wrong with the settings, a line each in ``problems``."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


def duration(text: str) -> float:
    """Seconds, of a Go duration such as ``1m30s`` or ``300ms``, or of a plain number.

    Raises ValueError.
    """
    if re.fullmatch(r"\d{1,9}(?:\.\d{1,9})?", text, re.ASCII):
        return float(text)
    parts = _DURATION.findall(text) if len(text) <= 64 else []
    if not parts or "".join(parts) != text:
        raise ValueError("a duration such as 30s, 1m30s or 500ms")
    numbers = (re.fullmatch(r"([\d.]+)(\D+)", part, re.ASCII) for part in parts)
    return sum(float(each[1]) * _SECONDS[each[2]] for each in numbers if each)


def size(text: str) -> int:
    """Bytes, of a number with or without a unit: ``64KiB``, ``1M``. Raises ValueError."""
    match = re.fullmatch(r"(\d{1,12})([kmg]i?)?b?", text.lower(), re.ASCII)
    if not match:
        raise ValueError("a size such as 65536, 64KiB or 1MiB")
    return int(match[1]) * _BYTES[match[2] or ""]


def whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return parse


def switch(text: str) -> bool:
    """As Go reads a boolean. Raises ValueError."""
    if text in {"1", "t", "T", "true", "TRUE", "True"}:
        return True
    if text in {"0", "f", "F", "false", "FALSE", "False"}:
        return False
    raise ValueError("true or false")


def networks(text: str) -> tuple[Network, ...]:
    """CIDRs, separated by commas. Raises ValueError."""
    found = []
    for part in filter(None, (each.strip() for each in text.split(","))):
        try:
            found.append(ip_network(part))
        except ValueError:
            raise ValueError(
                f"networks such as 10.0.0.0/8,fd00::/8, and {part} is none with all host bits zero"
            ) from None
    return tuple(found)


def _path(text: str) -> Path | None:
    return Path(text) if text else None


@dataclass(frozen=True, slots=True)
class Option:
    """How a setting is given and read."""

    default: str
    parse: Callable[[str], Any]
    says: str
    variable: str = ""
    whoami: bool = False


def _option(
    default: str,
    parse: Callable[[str], Any],
    says: str,
    *,
    variable: str = "",
    whoami: bool = False,
) -> Any:
    return field(metadata={"option": Option(default, parse, says, variable, whoami)})


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything that can be set, read and checked. Durations in seconds, sizes in bytes."""

    port: int = _option(
        "80", whole(1, 65535), "port of the app", variable="WHOAMI_PORT_NUMBER", whoami=True
    )
    host: str = _option("", str, "address to listen on; empty: all, of IPv4 and IPv6")
    cert: Path | None = _option(
        "", _path, "certificate chain, PEM; without it the app speaks plain HTTP", whoami=True
    )
    key: Path | None = _option("", _path, "private key of the certificate, PEM", whoami=True)
    cacert: Path | None = _option(
        "", _path, "authorities, PEM, one of which must have signed a client's certificate",
        whoami=True,
    )  # fmt: skip
    name: str = _option(
        "", str, "a name that `/` and `/api` say", variable="WHOAMI_NAME", whoami=True
    )
    verbose: bool = _option("false", switch, "log refused connections as well", whoami=True)

    metrics_port: int = _option(
        "9464", whole(0, 65535), "port of Prometheus metrics, in plain HTTP; 0: none"
    )
    access_log: bool = _option("true", switch, "log a line of JSON a request")
    proxy_from: tuple[Network, ...] = _option(
        "", networks, "networks whose PROXY header, before TLS, is believed; it stays optional"
    )
    drain: float = _option(
        "5s", duration, "after SIGTERM, how long to go on accepting while not ready"
    )
    grace: float = _option("30s", duration, "after that, how long requests may take to end")
    workers: int = _option("2", whole(1, 32), "processes that serve")

    any_path: bool = _option(
        "false", switch, "answer every unknown path as `/`, like whoami, not with 404"
    )
    allow_env: bool = _option(
        "false", switch, "let `?env=true` show the environment: it may hold secrets"
    )
    allow_health: bool = _option(
        "false", switch, "let POST `/health` set its status: anybody can take the pod out"
    )

    max_connections: int = _option(
        "1500", whole(16, 100_000),
        "connections per worker; at the limit the one that is idle longest is closed",
    )  # fmt: skip
    max_body: int = _option("1MiB", size, "size of a request's body; beyond: 413")
    max_line: int = _option("8190", whole(256, 8190), "bytes of a request line; beyond: 414")
    max_header: int = _option("8190", whole(256, 65536), "bytes of a header field; beyond: 431")
    max_headers: int = _option("100", whole(8, 1000), "header fields of a request; beyond: 431")
    max_head: int = _option(
        "64KiB", size, "bytes of a request's line and header fields together; beyond: 431"
    )
    max_buffered: int = _option(
        "12MiB", size,
        "memory per worker for unfinished requests and unsent responses; at the limit the "
        "connections that have held most for longest are closed",
    )  # fmt: skip
    max_data: int = _option("100MiB", size, "bytes that `/data` gives; beyond: 400")
    max_wait: float = _option("30s", duration, "how long `?wait=` waits; beyond: 400")
    max_waits: int = _option("100", whole(0, 10_000), "concurrent waits per worker; beyond: 503")
    max_streams: int = _option(
        "100", whole(0, 10_000), "concurrent `/data` answers above 64 KiB per worker; beyond: 503"
    )
    max_sockets: int = _option(
        "100", whole(0, 10_000), "concurrent WebSockets per worker; beyond: 503"
    )
    max_message: int = _option("64KiB", size, "size of a WebSocket message; beyond: close 1009")

    keep_alive: float = _option("75s", duration, "how long a connection may be idle")
    handshake_timeout: float = _option(
        "10s", duration, "how long the PROXY header and the TLS handshake may take"
    )
    header_timeout: float = _option("10s", duration, "how long a request's headers may take")
    body_timeout: float = _option(
        "30s", duration, "how long a request's body may take; beyond: 408"
    )
    send_timeout: float = _option(
        "30s", duration, "how long a client may take for 64 KiB of a response"
    )

    @property
    def tls(self) -> bool:
        return self.cert is not None


OPTIONS: Final[Mapping[str, Option]] = {
    each.name: each.metadata["option"] for each in fields(Settings)
}


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    return OPTIONS[name].variable or f"FOOBAR_API_{name.upper()}"


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InvalidSettings([message])


def parser() -> argparse.ArgumentParser:
    """The command line: every option as a string, so that all can be judged together."""
    made = _Parser(
        prog="foobar_api",
        description="Print where this runs and the request it got, over TLS terminated here.",
        epilog="Each option has an environment variable, in brackets; the flag wins. "
        "`python -m foobar_api healthcheck` asks a server on this machine whether it is alive.",
        allow_abbrev=False,
    )
    made.add_argument("--version", action="version", version=VERSION)
    for name, option in OPTIONS.items():
        flags = [flag(name), *([f"-{name}"] if option.whoami else [])]
        default = f", default {option.default}" if option.default else ""
        made.add_argument(
            *flags,
            metavar=name.rpartition("_")[2].upper(),
            help=f"{option.says} [{variable(name)}{default}]".replace("%", "%%"),
            # `-verbose` alone is how whoami's users say `-verbose=true`.
            nargs="?" if option.parse is switch else None,
            const="true" if option.parse is switch else None,
        )
    return made


def load(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """The settings that ``arguments`` and ``environment`` make, and those not given by default.

    Raises InvalidSettings, with every problem.
    """
    given = vars(parser().parse_args(arguments))
    values: dict[str, Any] = {}
    problems = []
    for name, option in OPTIONS.items():
        source, text = flag(name), given[name]
        if text is None:
            source, text = variable(name), environment.get(variable(name)) or option.default
        try:
            values[name] = option.parse(text)
        except ValueError as error:
            problems.append(f"{source}: {text!r} is not {error}")
    if not problems:
        settings = Settings(**values)
        problems = list(_contradictions(settings))
        if not problems:
            return settings
    raise InvalidSettings(problems)


def _contradictions(settings: Settings) -> list[str]:
    problems = []
    if settings.port == settings.metrics_port:
        problems.append(
            f"--metrics-port: {settings.port} is the port of the app as well; give it another"
        )
    if settings.host:
        try:
            socket.getaddrinfo(settings.host, None, flags=socket.AI_NUMERICHOST)
        except OSError:
            problems.append(f"--host: {settings.host!r} is not an IP address")
    if (settings.cert is None) != (settings.key is None):
        have, lack = ("cert", "key") if settings.cert else ("key", "cert")
        problems.append(f"--{have} without --{lack}: TLS takes both, plain HTTP neither")
    if settings.max_head < settings.max_line + settings.max_header:
        problems.append(
            f"--max-head: {settings.max_head} is less than --max-line and --max-header together; "
            f"give at least {settings.max_line + settings.max_header}"
        )
    if settings.max_buffered < 2 * (settings.max_head + settings.max_body):
        problems.append(
            f"--max-buffered: {settings.max_buffered} is less than a request that is shown in its "
            "response; give at least twice --max-head and --max-body together, "
            f"{2 * (settings.max_head + settings.max_body)}"
        )
    if settings.max_buffered < 2 * settings.max_message:
        problems.append(
            f"--max-buffered: {settings.max_buffered} is less than a message and its echo; give at "
            f"least twice --max-message, {2 * settings.max_message}"
        )
    if settings.cacert and not settings.cert:
        problems.append("--cacert without --cert and --key: client certificates take TLS")
    return problems
