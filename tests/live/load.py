"""Clients that ask a hostname without a pause, each request over a TLS connection of its own."""

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

CLIENTS = 4
TIMEOUT_SECONDS = 10


@dataclass(frozen=True)
class Way:
    """A hostname, where it is, and who has to have signed its certificate."""

    host: str
    address: str
    authority: Path

    @contextmanager
    def connected(self, first: bytes = b"") -> Iterator[ssl.SSLSocket]:
        """A verified connection; ``first`` is sent ahead of TLS."""
        context = ssl.create_default_context(cafile=str(self.authority))
        with socket.create_connection((self.address, 443), timeout=TIMEOUT_SECONDS) as raw:
            raw.sendall(first)
            with context.wrap_socket(raw, server_hostname=self.host) as tls:
                yield tls

    def get(self, path: str, first: bytes = b"") -> tuple[int, bytes, bytes]:
        """Status, body, and the certificate that was served."""
        with self.connected(first) as tls:
            served = tls.getpeercert(binary_form=True) or b""
            connection = http.client.HTTPConnection(self.host, timeout=TIMEOUT_SECONDS)
            connection.sock = tls
            connection.request("GET", path, headers={"Host": self.host, "Connection": "close"})
            response = connection.getresponse()
            return response.status, response.read(), served


@dataclass
class Load:
    """What the clients got."""

    answered: int = 0
    lost: list[str] = field(default_factory=list)
    certificates: set[bytes] = field(default_factory=set)

    def __str__(self) -> str:
        return f"{self.answered} answered, {len(self.lost)} lost"


@contextmanager
def under_load(
    way: Way, *, path: str = "/version", clients: int = CLIENTS, pause: float = 0.02
) -> Iterator[Load]:
    """Asks for ``path`` until the context ends; each request counts as answered or lost."""
    load, stop, lock = Load(), threading.Event(), threading.Lock()

    def ask() -> None:
        while not stop.is_set():
            try:
                status, _, served = way.get(path)
                with lock:
                    load.certificates.add(served)
                    if status == 200:
                        load.answered += 1
                    else:
                        load.lost.append(f"{time.strftime('%X')} status {status}")
            except (OSError, http.client.HTTPException) as error:
                with lock:
                    load.lost.append(f"{time.strftime('%X')} {type(error).__name__}: {error}")
            stop.wait(pause)

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(clients)]
    for each in threads:
        each.start()
    try:
        yield load
    finally:
        stop.set()
        for each in threads:
            each.join()
