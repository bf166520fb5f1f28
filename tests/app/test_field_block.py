"""Field blocks of responses, read by hpack's own decoder."""

from hpack import Decoder
from hypothesis import given
from hypothesis import strategies as st

from foobar_api.field_block import Encoder

NAMES = st.sampled_from([b":status", b"date", b"content-type", b"www-authenticate", b"x-id"])
VALUES = st.one_of(
    st.sampled_from([b"", b"200", b"404", b"gzip, deflate"]), st.binary(max_size=300)
)


@given(st.lists(st.lists(st.tuples(NAMES, VALUES)), max_size=5), st.sampled_from([0, 4096]))
def test_a_client_reads_the_fields_that_were_written(
    responses: list[list[tuple[bytes, bytes]]], allowed: int
) -> None:
    encoder, decoder = Encoder(), Decoder()
    decoder.max_allowed_table_size = allowed
    for fields in responses:
        assert [
            tuple(field) for field in decoder.decode(encoder.encode(fields), raw=True)
        ] == fields
    assert not decoder.header_table.dynamic_entries


def test_a_status_of_the_static_table_takes_one_byte() -> None:
    encoder = Encoder()
    encoder.encode([])
    assert encoder.encode([(b":status", b"200")]) == b"\x88"
