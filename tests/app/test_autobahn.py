"""The cases of Autobahn|Testsuite, the conformance suite of WebSocket, against the real server.

The suite itself needs Python 2. kosoku brings its cases, unchanged, and another program that runs
them. That one speaks no TLS, so a relay in this process adds it.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fnmatch import fnmatch

import pytest
from kosoku import FailureError, run_fuzzingclient

from tests.app.conftest import Serve
from tests.app.server import HOST, Server
from tests.app.test_http1 import assert_clean

CASES = 517

DEVIATIONS = {
    "7.1.6": (
        "INFORMATIONAL",
        "whether a ping after a Close is answered, which RFC 6455 leaves open",
    ),
    "7.13.*": ("INFORMATIONAL", "a Close with a code above 4999, which RFC 6455 leaves open"),
    "12.*": ("UNIMPLEMENTED", "compression is declined: it would hold memory for every client"),
    "13.*": ("UNIMPLEMENTED", "compression is declined: it would hold memory for every client"),
}
"""What may be other than OK, by case, and why."""


@asynccontextmanager
async def without_tls(server: Server) -> AsyncIterator[str]:
    """A URL at which what ``server`` says over TLS is to be had in plain."""

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(
            "127.0.0.1", server.port, ssl=server.context, server_hostname=HOST
        )
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    async with await asyncio.start_server(relay, "127.0.0.1", 0) as relaying:
        port = relaying.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/echo"


async def run(server: Server) -> dict[str, str]:
    """The verdict on each case, on its messages or else on its end."""
    async with without_tls(server) as url:
        try:
            results = await run_fuzzingclient(url)
        except FailureError as error:
            results = error.results
    return {
        each.case_id: each.behavior.value
        if each.behavior.value != "OK"
        else each.behavior_close.value
        for each in results
    }


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")  # of the cases
def test_autobahn_finds_no_deviation_but_those_that_have_a_reason(serve: Serve) -> None:
    # The cases of section 9 measure messages of up to 16 MiB.
    server = serve("--max-message=16MiB", "--max-buffered=64MiB")
    verdicts = asyncio.run(run(server))
    assert len(verdicts) == CASES
    deviating = {case: verdict for case, verdict in verdicts.items() if verdict != "OK"}
    allowed = {
        case: verdict
        for case in verdicts
        for pattern, (verdict, _) in DEVIATIONS.items()
        if fnmatch(case, pattern)
    }
    assert deviating == allowed
    assert_clean(server)
