"""The first message of TLS, read before OpenSSL has it."""

import os
import ssl
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from foobar_api.client_hello import LONGEST, ClientHello, ClientHelloError, Reader
from foobar_api.tls import PROTOCOLS, Certificates
from tests.app.server import mount

X25519, P256, X25519_MLKEM768, FFDHE2048, FFDHE8192, GREASE = 29, 23, 0x11EC, 256, 260, 0x1A1A


def hello(name: str | None = "app.test", *protocols: str) -> bytes:
    """What a client of OpenSSL says first."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    if protocols:
        context.set_alpn_protocols(list(protocols))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def offering(groups: Iterable[int] | None, *shares: int) -> bytes:
    """What a client of TLS 1.3 says that offers these groups, and key shares of nonsense."""
    content = {
        13: _counted(struct.pack("!5H", 0x0403, 0x0503, 0x0804, 0x0807, 0x0401)),
        43: bytes([2, 3, 4]),
        51: _counted(b"".join(struct.pack("!H", share) + _counted(bytes(32)) for share in shares)),
    }
    if groups is not None:
        content[10] = _counted(b"".join(struct.pack("!H", group) for group in groups))
    extensions = b"".join(struct.pack("!H", kind) + _counted(it) for kind, it in content.items())
    ciphers = _counted(bytes([0x13, 0x01]))
    message = b"\x03\x03" + os.urandom(32) + b"\x00" + ciphers + b"\x01\x00" + _counted(extensions)
    return b"\x16\x03\x01" + _counted(b"\x01" + len(message).to_bytes(3) + message)


def _counted(content: bytes) -> bytes:
    return len(content).to_bytes(2) + content


def parse(data: bytes) -> ClientHello | None:
    return Reader().feed(data)


def asked_for(data: bytes) -> tuple[str | None, tuple[str, ...]] | None:
    found = parse(data)
    return None if found is None else (found.server_name, found.protocols)


def in_records_of(size: int, record: bytes) -> bytes:
    """The same message in records of ``size`` bytes."""
    message = record[5:]
    pieces = [message[at : at + size] for at in range(0, len(message), size)]
    return b"".join(record[:3] + len(piece).to_bytes(2) + piece for piece in pieces)


@pytest.mark.parametrize(
    ("name", "protocols"),
    [
        ("app.test", ("h2", "http/1.1")),
        ("app.test", ()),
        (None, ("acme-tls/1",)),
        (None, ()),
    ],
)
def test_name_and_protocols_are_those_that_the_client_sends(
    name: str | None, protocols: tuple[str, ...]
) -> None:
    assert asked_for(hello(name, *protocols)) == (name, protocols)


def test_a_message_in_pieces_waits_for_the_rest() -> None:
    whole = hello("app.test", "h2")
    for end in range(len(whole)):
        assert parse(whole[:end]) is None


@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_a_message_may_come_in_several_records(size: int) -> None:
    records = in_records_of(size, hello("app.test", "h2"))
    assert asked_for(records) == ("app.test", ("h2",))
    assert parse(records[:-1]) is None


def test_a_name_that_is_not_ascii_is_shown_as_escapes() -> None:
    found = asked_for(hello("aaaa.test").replace(b"aaaa.test", b"a\xc3\xa9a.test"))
    assert found == (r"a\xc3\xa9a.test", ())


def test_what_comes_behind_the_message_does_not_count() -> None:
    """A client may send early data, which the server skips."""
    assert asked_for(hello("app.test") + bytes(LONGEST)) == ("app.test", ())


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x80\x2e\x01\x03\x03",  # as SSL 2 began, which OpenSSL understands
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x04\x01\x00\x00\x00",
        b"\x16\x03\x01\x00\x00" * (LONGEST // 5 + 1),
        b"\x16\x03\x01\xff\xff\x01\x01\x00\x00" + bytes(LONGEST),
    ],
)
def test_what_is_no_client_hello_is_refused(data: bytes) -> None:
    with pytest.raises(ClientHelloError) as caught:
        parse(data)
    assert caught.value.alert == b"\x15\x03\x03\x00\x02\x02\x32"


@pytest.mark.parametrize("kind", [0, 10, 16, 51])
def test_an_extension_that_makes_no_sense_is_refused(kind: int) -> None:
    bad = b"\x00\x03\x00\x1d\x00"  # a list of 3 bytes
    extensions = _counted(struct.pack("!H", kind) + _counted(bad))
    message = b"\x03\x03" + bytes(32) + b"\x00\x00\x02\x13\x01\x01\x00" + extensions
    with pytest.raises(ClientHelloError, match="MALFORMED"):
        parse(b"\x16\x03\x01" + _counted(b"\x01" + len(message).to_bytes(3) + message))


@given(st.binary(max_size=300), st.integers(0, 300))
def test_no_bytes_break_the_parser(noise: bytes, at: int) -> None:
    real = hello("app.test", "h2")
    for data in (noise, b"\x16\x03\x01" + noise, real[:at] + noise + real[at + len(noise) :]):
        try:
            whole = parse(data)
        except ClientHelloError:
            continue
        reader = Reader()
        pieces = [reader.feed(data[at : at + 1]) for at in range(len(data))]
        assert whole == next((each for each in pieces if each), None)


def test_a_message_in_many_segments_costs_no_more_for_each() -> None:
    """Lines of Python, since seconds would depend on the machine."""

    def lines(size: int) -> int:
        """To read an incomplete message of ``size`` bytes, each in a record and a segment."""
        message = b"\x16\x03\x01\x00\x00\x01\x00\x20\x00" + bytes(size - 4)
        reader, records, count = Reader(), in_records_of(1, message), 0

        def trace(*_: object) -> Any:
            nonlocal count
            count += 1
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            for at in range(len(records)):
                reader.feed(records[at : at + 1])
        finally:
            sys.settrace(before)
        return count

    assert lines(800) < 2.2 * lines(400)


# The group of the key exchange


@pytest.mark.parametrize(
    ("groups", "shares"),
    [
        ([X25519], [X25519]),
        ([P256], []),
        ([FFDHE8192, P256], [P256]),
        ([GREASE, X25519_MLKEM768, X25519], [GREASE, X25519_MLKEM768, X25519]),
        ([GREASE, X25519_MLKEM768, X25519, FFDHE2048], []),
        (None, []),
    ],
)
def test_whoever_offers_a_curve_gets_a_handshake(
    groups: list[int] | None, shares: list[int]
) -> None:
    found = parse(offering(groups, *shares))
    assert found
    assert found.groups == (None if groups is None else tuple(groups))
    assert found.key_shares == tuple(shares)
    found.check(PROTOCOLS)


@pytest.mark.parametrize(
    ("groups", "shares"),
    [
        ([FFDHE8192], [FFDHE8192]),
        ([FFDHE8192], []),
        ([X25519, FFDHE8192], [X25519, FFDHE8192]),
        ([FFDHE8192, GREASE, X25519_MLKEM768], []),
        ([], []),
        (None, [FFDHE2048]),
    ],
)
def test_whoever_may_get_a_finite_field_gets_no_handshake(
    groups: list[int] | None, shares: list[int]
) -> None:
    found = parse(offering(groups, *shares))
    assert found
    with pytest.raises(ClientHelloError) as caught:
        found.check(PROTOCOLS)
    assert caught.value.alert == b"\x15\x03\x03\x00\x02\x02\x28"


@pytest.mark.parametrize("curve", [23, 24, 25, 29, 30])
def test_openssl_asks_for_no_finite_field_where_there_is_a_curve(
    tmp_path: Path, ca: trustme.CA, curve: int
) -> None:
    """It asks by a HelloRetryRequest, and refuses a second hello with another key share."""
    pair = mount(tmp_path / "cert", ca)
    groups = [GREASE, FFDHE8192, FFDHE2048, curve]
    first = offering(groups)
    found = parse(first)
    assert found
    found.check(PROTOCOLS)
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = Certificates(pair.cert, pair.key).context.wrap_bio(
        incoming, outgoing, server_side=True
    )
    incoming.write(first)
    with pytest.raises(ssl.SSLWantReadError):
        server.do_handshake()
    assert struct.pack("!3H", 51, 2, curve) in outgoing.read()
    incoming.write(offering(groups, FFDHE2048))
    with pytest.raises(ssl.SSLError, match=r"(?i)key.share|illegal|group"):
        server.do_handshake()
