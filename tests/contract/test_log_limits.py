"""Each place on a line's way to Loki takes the largest thing that the one before lets through."""

import gzip
import re
import secrets
from collections.abc import Mapping
from typing import Any

from charts.monitoring import gateway, log_limits, loki
from charts.monitoring.collector.configuration import (
    EVENT_STATEMENTS,
    FILES,
    LOG_STATEMENTS,
    configuration,
)
from charts.monitoring.log_limits import (
    BATCH_BYTES,
    CUT_ABOVE,
    LARGEST_MESSAGE,
    LONGEST_BODY,
    LONGEST_FIELD,
    LONGEST_LEVEL,
    LONGEST_LINE,
    MOST_FIELDS,
    MOST_METADATA,
    PIECE,
)
from tests.loki import Configuration, size

LIMITS = Configuration.model_validate(
    loki.configuration(retention="30d", bucket=None)
).limits_config

HEADER = len("2026-01-01T12:00:00.123456789+00:00 stdout P ")
"""Before each piece in a container's log."""
OF_OPERATOR = {"log.iostream", "logtag"}
"""Attributes that the container operator sets."""
OF_LOKI = 512
"""Bytes of metadata that Loki adds itself: times, flags, the level twice."""
LONGEST_NAME = 253
"""Of an object in Kubernetes."""
LOKIS_LABELS, LOKIS_LABEL_VALUE = 15, 2048
"""Loki's defaults for ``max_label_names_per_series`` and ``max_label_value_length``."""


def fields(statements: tuple[str, ...]) -> set[str]:
    """The metadata that ``statements`` set."""
    return {
        name
        for each in statements
        for name in re.findall(r'set\(log\.attributes\["([\w.]+)"\]', each)
    }


def metadata_bytes(names: set[str]) -> int:
    values = len(names) * LONGEST_FIELD
    return values + sum(map(len, names)) + LONGEST_LEVEL + OF_LOKI


def exporter() -> Mapping[str, Any]:
    made: Mapping[str, Any] = configuration(
        cluster="us-east", region="us", endpoint="https://loki", authenticated=True, part="logs"
    )["exporters"]["otlp_http"]
    return made


def test_a_piece_of_a_line_fits_the_reader() -> None:
    assert FILES["max_log_size"] > PIECE + HEADER


def test_a_line_of_joined_pieces_is_the_longest_that_loki_takes() -> None:
    (container,) = (each for each in FILES["operators"] if each["type"] == "container")
    # It joins until it has more than this.
    assert container["max_log_size"] + PIECE <= LONGEST_LINE
    assert container["max_log_size"] == CUT_ABOVE
    assert size(LIMITS.max_line_size) == LONGEST_LINE


def test_the_metadata_of_a_line_fits_loki() -> None:
    for names in (fields(LOG_STATEMENTS) | OF_OPERATOR, fields(EVENT_STATEMENTS)):
        assert {"path"} < names or {"reason"} < names
        assert len(names) < gateway.FIELDS_KEPT < MOST_FIELDS
        assert LIMITS.max_structured_metadata_entries_count == MOST_FIELDS
        assert metadata_bytes(names) < size(LIMITS.max_structured_metadata_size) == MOST_METADATA


def test_the_labels_of_a_line_fit_loki() -> None:
    """They are names of objects and components."""
    assert LONGEST_NAME < gateway.LONGEST_LABEL < LOKIS_LABEL_VALUE
    assert len(loki.INDEX_LABELS) < LOKIS_LABELS


def test_a_record_fits_a_batch() -> None:
    """Otherwise the collector drops it with everything that waits behind it."""
    labels = (len(loki.INDEX_LABELS) + 1) * (LONGEST_NAME + 64)
    # Tags and lengths of Protocol Buffers: at most 16 bytes for each of these values.
    framing = 16 * (len(loki.INDEX_LABELS) + MOST_FIELDS + 16)
    assert LONGEST_LINE + MOST_METADATA + labels + framing < BATCH_BYTES
    assert exporter()["sending_queue"]["batch"]["max_size"] == BATCH_BYTES


def test_a_batch_fits_the_body_that_the_hub_takes() -> None:
    """Traefik counts what arrives, and what cannot be compressed becomes larger."""
    assert exporter()["compression"] == "gzip"
    incompressible = secrets.token_bytes(BATCH_BYTES)
    assert len(gzip.compress(incompressible)) < LONGEST_BODY
    # The gateway counts what it has decompressed.
    (protocol,) = gateway.configuration()["receivers"]["otlp"]["protocols"].values()
    assert protocol["max_request_body_size"] > BATCH_BYTES


def test_a_body_fits_lokis_rates_and_messages() -> None:
    assert size(LIMITS.per_stream_rate_limit_burst) > LONGEST_BODY
    assert LIMITS.ingestion_burst_size_mb * log_limits.MEBIBYTE > LONGEST_BODY
    assert LARGEST_MESSAGE > LONGEST_BODY
