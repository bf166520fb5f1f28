"""The real server, started as its image starts it, and what speaks to it."""

import json
import os
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self

import httpx
import trustme

from foobar_api.settings import flag, variable
from tests.objects import ROOT

HOST = "app.test"
"""The name in the certificates of the tests."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, mounted as kubelet mounts a Secret."""

    folder: Path
    ca: trustme.CA

    @property
    def cert(self) -> Path:
        return self.folder / "cert.pem"

    @property
    def key(self) -> Path:
        return self.folder / "key.pem"

    def replace(self, cert: bytes, key: bytes) -> None:
        """Swap both at once: a new folder, and a symbolic link that is renamed over the old."""
        data = self.folder / f"..{time.time_ns()}"
        data.mkdir()
        (data / "cert.pem").write_bytes(cert)
        (data / "key.pem").write_bytes(key)
        link = self.folder / "..data_tmp"
        link.symlink_to(data.name)
        link.replace(self.folder / "..data")

    def issue(self, name: str = HOST) -> None:
        """Swap in a new certificate and key."""
        self.replace(*pem(self.ca.issue_cert(name, key_type=trustme.KeyType.ECDSA)))


def pem(issued: trustme.LeafCert) -> tuple[bytes, bytes]:
    chain = b"".join(each.bytes() for each in issued.cert_chain_pems)
    return chain, issued.private_key_pem.bytes()


def mount(folder: Path, ca: trustme.CA) -> Pair:
    folder.mkdir()
    pair = Pair(folder, ca)
    pair.issue()
    for name in ("cert.pem", "key.pem"):
        (folder / name).symlink_to(Path("..data") / name)
    return pair


def free_ports(count: int) -> list[int]:
    """Different from each other, since all are taken at a time."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


class Server:
    """A process of ``python -m foobar_api`` on loopback."""

    def __init__(
        self,
        folder: Path,
        pair: Pair | None,
        *options: str,
        environment: Mapping[str, str] | None = None,
        gunicorn: bool = False,
        out: int | None = None,
        err: int | None = None,
        before: Callable[[], object] | None = None,
    ) -> None:
        """With ``gunicorn``, options are variables of the environment only.

        ``out`` and ``err`` are descriptors in the place of what ``access`` and ``errors`` read;
        ``before`` is called in the process that becomes the server.
        """
        self.pair = pair
        self.port, self.metrics_port = free_ports(2)
        self.context = client_context(pair.ca) if pair else None
        self._logs = (folder / f"out.{self.port}", folder / f"err.{self.port}")
        self._streams = (out, err)
        self._before = before
        settings = {
            "host": "127.0.0.1", "port": str(self.port), "metrics_port": str(self.metrics_port),
            "drain": "0s", "grace": "5s",
        }  # fmt: skip
        if pair:
            settings |= {"cert": str(pair.cert), "key": str(pair.key)}
        if gunicorn:
            command = [sys.executable, "-m", "gunicorn", "-c", "foobar_api/gunicorn.conf.py"]
            set_by = {variable(name): value for name, value in settings.items()}
        else:
            flags = [f"{flag(name)}={value}" for name, value in settings.items()]
            command, set_by = [sys.executable, "-m", "foobar_api", *flags, *options], {}
        self._start(command, folder, {**set_by, **(environment or {})})

    def _start(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        base = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        with self._logs[0].open("wb") as out, self._logs[1].open("wb") as err:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**base, "TMPDIR": str(folder), **environment},
                stdout=out if self._streams[0] is None else self._streams[0],
                stderr=err if self._streams[1] is None else self._streams[1],
                preexec_fn=self._before,  # noqa: PLW1509 - no thread of the tests holds a lock
            )

    @property
    def url(self) -> str:
        return f"{'https' if self.pair else 'http'}://127.0.0.1:{self.port}"

    def wait(self) -> Self:
        """Until it answers."""
        until = time.monotonic() + 20
        while time.monotonic() < until:
            assert self.process.poll() is None, self.errors
            try:
                with self.connect():
                    return self
            except OSError:
                time.sleep(0.05)
        raise AssertionError(self.errors)

    def stop(self) -> int:
        self.process.terminate()
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def raw(self, *, timeout: float = 10, source: str = "127.0.0.1") -> socket.socket:
        """A TCP connection on which nothing was said."""
        return socket.create_connection(
            ("127.0.0.1", self.port), timeout=timeout, source_address=(source, 0)
        )

    def connect(
        self, *, before: bytes = b"", alpn: str = "http/1.1", source: str = "127.0.0.1"
    ) -> socket.socket:
        """A connection ready for requests; ``before`` is said in front of TLS."""
        sock = self.raw(source=source)
        try:
            sock.sendall(before)
            if self.pair is None:
                return sock
            return self._context(alpn).wrap_socket(sock, server_hostname=HOST)
        except BaseException:
            sock.close()
            raise

    @cache  # noqa: B019 - as many as there are servers in the tests
    def _context(self, alpn: str) -> ssl.SSLContext:
        assert self.pair
        return client_context(self.pair.ca, alpn)

    @contextmanager
    def client(self, *, http2: bool = False, **options: Any) -> Iterator[httpx.Client]:
        verify = options.pop("verify", self.context or False)
        with httpx.Client(base_url=self.url, verify=verify, http2=http2, **options) as client:
            yield client

    def get(self, path: str = "/", **options: Any) -> httpx.Response:
        with self.client() as client:
            return client.get(path, extensions={"sni_hostname": HOST}, **options)

    def metrics(self) -> dict[str, float]:
        text = httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics").text
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    def workers(self) -> list[int]:
        """The ids of the processes that serve."""
        pid = self.process.pid
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    @property
    def access(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._logs[0].read_text().splitlines()]

    @property
    def errors(self) -> str:
        return self._logs[1].read_text()


def client_context(ca: trustme.CA, alpn: str = "http/1.1") -> ssl.SSLContext:
    """Trusts ``ca``. The server's name is checked where a test sets one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ca.configure_trust(context)
    context.set_alpn_protocols([alpn])
    return context


def read_response(sock: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    pieces = []
    while piece := sock.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def request(path: str = "/", *headers: str, method: str = "GET", close: bool = True) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {HOST}", *headers]
    if close:
        lines.append("Connection: close")
    return "\r\n".join([*lines, "", ""]).encode()
