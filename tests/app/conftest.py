"""Certificates and servers for the tests of foobar-api."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.app.server import Pair, Server, mount


@pytest.fixture(scope="session")
def ca() -> trustme.CA:
    return trustme.CA(key_type=trustme.KeyType.ECDSA)


@pytest.fixture
def pair(tmp_path: Path, ca: trustme.CA) -> Pair:
    return mount(tmp_path / "cert", ca)


Serve = Callable[..., Server]


@pytest.fixture
def serve(tmp_path: Path, pair: Pair) -> Iterator[Serve]:
    """Starts servers over TLS, with options, and stops them after the test."""
    servers: list[Server] = []

    def start(*options: str, **more: Any) -> Server:
        servers.append(Server(tmp_path, more.pop("pair", pair), *options, **more))
        return servers[-1].wait()

    yield start
    for server in servers:
        if server.process.poll() is None:
            server.stop()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, ca: trustme.CA) -> Iterator[Server]:
    """A server over TLS with the settings as shipped, for tests that leave it as it was."""
    folder = tmp_path_factory.mktemp("server")
    started = Server(
        folder, mount(folder / "cert", ca), environment={"CLUSTER": "us-east", "POD_NAME": "pod-1"}
    )
    yield started.wait()
    started.stop()
