"""Parts of foobar-api that need no server."""

import os
import socket
import struct
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foobar_api import data, host, negotiation, worker
from foobar_api.balance import Shares
from foobar_api.negotiation import best
from foobar_api.proxy_protocol import V2_SIGNATURE, HeaderError, Trusted, parse

OFFERS = ("text/plain", "text/html", "application/json")


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html"),
        ("application/json", "application/json"),
        ("text/*", "text/plain"),
        ("text/*;q=0.5, text/html;q=0.4, */*;q=0.1", "text/plain"),
        ("text/plain;q=0, */*", "text/html"),
        ("TEXT/HTML ; Q=0.7", "text/html"),
        ("image/png", None),
        ("*/*;q=0", None),
        ("nonsense", "text/plain"),
        ("text/html;q=2", "text/html"),
    ],
)
def test_the_best_offer_is_what_rfc_9110_says(accept: str, chosen: str | None) -> None:
    assert best(accept, OFFERS) == chosen


@given(st.text(max_size=200))
def test_no_accept_header_breaks_the_choice(accept: str) -> None:
    assert best(accept, OFFERS) in {*OFFERS, None}


def test_long_accept_headers_are_not_kept_in_memory() -> None:
    negotiation._best.cache_clear()
    assert best("text/html" + ",x/y" * 10_000, OFFERS) == "text/html"
    assert negotiation._best.cache_info().currsize == 0
    assert best("text/html", OFFERS) == "text/html"
    assert negotiation._best.cache_info().currsize == 1


def v2(
    client: str = "2001:db8::7", port: int = 4711, extra: bytes = b"", command: int = 0x21
) -> bytes:
    six = ":" in client
    packed = socket.inet_pton(socket.AF_INET6 if six else socket.AF_INET, client)
    addresses = packed + packed + struct.pack("!HH", port, 443) + extra
    head = struct.pack("!BBH", command, 0x21 if six else 0x11, len(addresses))
    return V2_SIGNATURE + head + addresses


HEADERS = {
    b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 443\r\n": ("203.0.113.9", 4711),
    b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n": ("2001:db8::7", 4711),
    b"PROXY UNKNOWN\r\n": None,
    b"PROXY UNKNOWN ffff:: ffff:: 1 2\r\n": None,
    v2(): ("2001:db8::7", 4711),
    v2("203.0.113.9"): ("203.0.113.9", 4711),
    v2("203.0.113.9", extra=b"\x04\x00\x05extra"): ("203.0.113.9", 4711),
    v2("203.0.113.9", extra=b"\x04\x27\x10" + b"x" * 10000): ("203.0.113.9", 4711),
    v2(command=0x20): None,
    # Families that are not TCP name nobody: UNSPEC, UDP over IPv4 and IPv6, UNIX, an unknown one.
    **{
        V2_SIGNATURE + struct.pack("!BBH", 0x21, family, 40) + b"x" * 40: None
        for family in (0x00, 0x12, 0x22, 0x31, 0x41)
    },
    # An IPv4 client is the same, however its proxy writes it.
    b"PROXY TCP6 ::ffff:203.0.113.9 ::1 4711 443\r\n": ("203.0.113.9", 4711),
    b"PROXY TCP6 ::FFFF:CB00:7109 ::1 4711 443\r\n": ("203.0.113.9", 4711),
    v2("::ffff:203.0.113.9"): ("203.0.113.9", 4711),
    b"PROXY TCP6 2001:DB8:0:0::7 ::1 4711 443\r\n": ("2001:db8::7", 4711),
    b"PROXY TCP6 ::203.0.113.9 ::1 4711 443\r\n": ("::cb00:7109", 4711),
    v2("::203.0.113.9"): ("::cb00:7109", 4711),
}


@pytest.mark.parametrize(("header", "client"), HEADERS.items())
def test_a_proxy_header_names_the_client_and_ends_where_it_says(
    header: bytes, client: tuple[str, int] | None
) -> None:
    assert parse(header + b"\x16\x03\x01") == (client, len(header))


@pytest.mark.parametrize("header", HEADERS)
def test_a_proxy_header_in_pieces_waits_for_the_rest(header: bytes) -> None:
    for end in range(len(header)):
        assert parse(header[:end]) is None


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01", b"GET / HTTP/1.1", b"POST / HTTP/1.1", b"PRI * "]
)
def test_what_begins_like_no_proxy_header_is_left_alone(data: bytes) -> None:
    assert parse(data) == (None, 0)


@pytest.mark.parametrize(
    "header",
    [
        b"PROXY TCP4 203.0.113.9 10.0.0.1 99999 443\r\n",
        b"PROXY TCP4 2001:db8::7 ::1 1 2\r\n",
        b"PROXY TCP4 nobody 10.0.0.1 1 2\r\n",
        b"PROXY UDP4 203.0.113.9 10.0.0.1 1 2\r\n",
        b"PROXY TCP4\r\n",
        b"PROXY " + b"x" * 200,
        v2(command=0x31),
        V2_SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 4) + b"1234",
        V2_SIGNATURE + struct.pack("!BBH", 0x21, 0x11, 11) + b"x" * 11,
        V2_SIGNATURE + struct.pack("!BBH", 0x21, 0x21, 35) + b"x" * 35,
        b"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n",
    ],
)
def test_a_malformed_proxy_header_is_refused(header: bytes) -> None:
    with pytest.raises(HeaderError):
        parse(header)


@given(st.one_of(st.binary(max_size=2000), st.binary(max_size=300).map(lambda b: V2_SIGNATURE + b),
                 st.binary(max_size=300).map(lambda b: b"PROXY " + b)))  # fmt: skip
def test_no_bytes_break_the_parser(received: bytes) -> None:
    try:
        found = parse(received)
    except HeaderError:
        return
    if found is None:
        # It asks for more only as long as a header may be.
        assert len(received) < 16 + 2**16
    else:
        assert 0 <= found[1] <= len(received)


def test_only_listed_networks_are_trusted() -> None:
    trusted = Trusted([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])
    assert "10.1.2.3" in trusted
    assert "fd00::1" in trusted
    assert "11.0.0.1" not in trusted
    assert "::1" not in trusted
    assert "127.0.0.1" not in Trusted([])


@given(st.integers(0, 200_000), st.integers(0, 200_000), st.integers(0, 200_000))
def test_a_range_of_the_data_is_that_part_of_the_whole(size: int, start: int, stop: int) -> None:
    whole = b"".join(data.content(size))
    assert len(whole) == size
    assert b"".join(data.content(size, start, stop)) == whole[start:stop]


def test_data_begins_and_ends_with_a_bar() -> None:
    assert b"".join(data.content(30)) == b"|ABCDEFGHIJKLMNOPQRSTUVWXYZ-A|"
    assert b"".join(data.content(1)) == b"|"
    assert b"".join(data.content(0)) == b""


def test_a_worker_with_more_connections_lets_the_others_go_first() -> None:
    shares = Shares()
    for number, connections in ((1, 10), (2, 12), (3, 40)):
        shares.set(number, connections)
    assert [shares.is_ahead(number) for number in (1, 2, 3)] == [False, False, True]
    shares.forget(1)
    assert not shares.is_ahead(2)
    shares.set(65, 0)  # the one that replaces it, in the same place
    assert shares.is_ahead(2)


@pytest.mark.parametrize(("own", "waits"), [(2, [worker.YIELD]), (1, [])])
def test_a_worker_that_is_ahead_leaves_a_new_connection_to_the_others(
    own: int, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """For a moment, and takes it if they have no time."""
    shares = Shares()
    shares.set(1, own)
    shares.set(2, 0)
    monkeypatch.setattr(worker, "SHARES", shares)
    slept: list[float] = []
    monkeypatch.setattr("foobar_api.worker.gevent.sleep", slept.append)

    def accept_one(listener: socket.socket) -> None:
        listener.accept()[0].close()
        raise EndOfTestError

    stub = SimpleNamespace(age=1, connections=(), most=16, accept_one=accept_one)
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()),
        pytest.raises(EndOfTestError),
    ):
        worker.Worker.accept(stub, listener)  # type: ignore[arg-type]
    assert slept == waits


class EndOfTestError(Exception):
    """Ends a loop that otherwise has no end."""


def test_a_worker_alone_is_never_ahead() -> None:
    shares = Shares()
    shares.set(7, 1000)
    assert not shares.is_ahead(7)


def test_the_host_is_described_by_the_system() -> None:
    seen = host.look()
    assert "127.0.0.1" in seen.addresses
    assert seen.hostname == os.uname().nodename
    assert seen.kernel == f"Linux {os.uname().release}"
    assert seen.cpus == os.cpu_count()
    assert 0 < seen.memory_available <= seen.memory
    assert seen.uptime > 0


def test_only_what_a_pod_was_told_is_said() -> None:
    assert host.where({"CLUSTER": "us-east", "REGION": "", "POD_NAME": "p"}) == {
        "cluster": "us-east",
        "pod": "p",
    }


def test_limits_are_those_of_the_cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.max").write_text("268435456\n")
    (tmp_path / "memory.current").write_text("1048576\n")
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    monkeypatch.setattr(host, "_CGROUP", tmp_path)
    seen = host.look()
    assert (seen.memory_limit, seen.memory_used, seen.cpu_limit) == (268435456, 1048576, 0.5)
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "cpu.max").write_text("max 100000\n")
    seen = host.look()
    assert (seen.memory_limit, seen.cpu_limit) == (None, None)
