"""Field blocks of responses, read by hpack's own decoder."""

from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st

from foobar_api.field_block import Encoder

NAMES = st.sampled_from(["Date", "Content-Type", "WWW-Authenticate", "X-Request-Id"])
VALUES = st.text(st.characters(max_codepoint=255), max_size=300)


@given(
    st.lists(st.tuples(st.integers(100, 599), st.lists(st.tuples(NAMES, VALUES))), max_size=5),
    st.sampled_from([0, 4096]),
)
def test_a_client_reads_the_fields_that_were_written(
    responses: list[tuple[int, list[tuple[str, str]]]], allowed: int
) -> None:
    encoder, decoder = Encoder(), Decoder()
    decoder.max_allowed_table_size = allowed
    for status, fields in responses:
        block = encoder.encode(status, fields)
        assert [(name, value) for name, value in decoder.decode(block, raw=True)] == [
            (b":status", b"%d" % status),
            *((name.lower().encode(), value.encode("latin-1")) for name, value in fields),
        ]
    assert not decoder.header_table.dynamic_entries


def test_a_status_of_the_static_table_takes_one_byte() -> None:
    encoder = Encoder()
    encoder.encode(200, [])
    assert encoder.encode(200, []) == b"\x88"
