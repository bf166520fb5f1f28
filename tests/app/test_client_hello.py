"""The first message of TLS, read before OpenSSL has it."""

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foobar_api.client_hello import LONGEST, ClientHello, parse


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
    assert parse(hello(name, *protocols)) == ClientHello(name, protocols)


def test_a_message_in_pieces_waits_for_the_rest() -> None:
    whole = hello("app.test", "h2")
    for end in range(len(whole)):
        assert parse(whole[:end]) is None


@pytest.mark.parametrize("size", [1, 3, 4, 100])
def test_a_message_may_come_in_several_records(size: int) -> None:
    records = in_records_of(size, hello("app.test", "h2"))
    assert parse(records) == ClientHello("app.test", ("h2",))
    assert parse(records[:-1]) is None


def test_a_name_that_is_not_ascii_is_shown_as_escapes() -> None:
    found = parse(hello("aaaa.test").replace(b"aaaa.test", b"a\xc3\xa9a.test"))
    assert found == ClientHello(r"a\xc3\xa9a.test")


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n",
        b"\x15\x03\x03\x00\x02\x02\x28",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
        b"\x16\x03\x01\x00\x00" * (LONGEST // 5 + 1),
    ],
)
def test_what_is_no_client_hello_is_left_to_openssl(data: bytes) -> None:
    assert parse(data) == ClientHello()


@given(st.binary(max_size=300), st.integers(0, 300))
def test_no_bytes_break_the_parser(noise: bytes, at: int) -> None:
    real = hello("app.test", "h2")
    for data in (noise, b"\x16\x03\x01" + noise, real[:at] + noise + real[at + len(noise) :]):
        assert isinstance(parse(data), ClientHello | None)
