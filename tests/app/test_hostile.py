"""One hostile client of every kind beside one that behaves, over each protocol.

`python -m bench.hostile` prints what this measures as a table.
"""

from collections.abc import Iterator

import pytest
import trustme

from tests.app.beside import OPTIONS, attacked, slowest
from tests.app.hostile import KINDS
from tests.app.server import Server, mount
from tests.app.test_http1 import assert_clean

SECONDS = 1.0
BOUND = 0.5
"""Seconds that an answer may take longer than twice the slowest of a server that nobody attacks."""
TRIES = 4
"""A machine may pause, but not each time while the same server has its turn."""


@pytest.fixture(scope="module")
def servers(
    tmp_path_factory: pytest.TempPathFactory, ca: trustme.CA
) -> Iterator[tuple[Server, Server]]:
    """One that meets all the hostile clients, one after the other, and one that nobody attacks."""
    folder = tmp_path_factory.mktemp("server")
    pair = mount(folder / "cert", ca)
    started = Server(folder, pair, *OPTIONS).wait(), Server(folder, pair, *OPTIONS).wait()
    yield started
    for server in started:
        assert server.stop() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_hostile_client_delays_nobody(servers: tuple[Server, Server], kind: str) -> None:
    server, control = servers
    logged = len(server.errors)
    excess: dict[str, float] = {}
    with attacked(server, kind):
        for _ in range(TRIES):
            found = slowest(server, control, seconds=SECONDS)
            excess = {name: beside - 2 * alone for name, (beside, alone) in found.items()}
            if max(excess.values()) < BOUND:
                break
    assert max(excess.values()) < BOUND, excess
    assert_clean(server, logged)
