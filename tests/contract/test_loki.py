"""Loki's configuration fits its schema, and fits what sends to it; no Loki runs here."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from charts.monitoring import loki
from tests.loki import Configuration

BUCKET = loki.Bucket("https://objects.example.org:9000/some-logs", region="sjc1")


def configuration(bucket: loki.Bucket | None = None) -> dict[str, Any]:
    """As Loki reads it from the file."""
    text = yaml.safe_dump(loki.configuration(retention="30d", bucket=bucket))
    content: dict[str, Any] = yaml.safe_load(text)
    return content


@pytest.mark.parametrize("bucket", [None, BUCKET])
def test_the_configuration_fits_the_schema(bucket: loki.Bucket | None) -> None:
    found = Configuration.model_validate(configuration(bucket))
    assert found.common.storage.store == ("s3" if bucket else "filesystem")
    assert found.server.http_listen_port == loki.PORT
    (labels,) = found.limits_config.otlp_config.resource_attributes.attributes_config
    assert tuple(labels.attributes) == loki.INDEX_LABELS


WRONG: Mapping[str, tuple[str, object, str]] = {
    "a key that Loki does not know": ("limits_config.retention", "30d", "Extra inputs"),
    "a key in the wrong place": ("retention_period", "30d", "Extra inputs"),
    "a key of an older Loki": ("ingester.max_transfer_retries", 0, "Extra inputs"),
    "a word where a number belongs": ("server.http_listen_port", "3100", "valid integer"),
    "a number where a truth value belongs": ("auth_enabled", 0, "valid boolean"),
    "a duration without a unit": ("limits_config.retention_period", "30", "no duration"),
    "days in one of Go's durations": ("ingester.max_chunk_age", "1d", "neither days nor weeks"),
    "a size without a unit": ("limits_config.per_stream_rate_limit", "8", "no size"),
    "an unknown level": ("server.log_level", "warning", "Input should be"),
    "a ring that Loki does not have": ("common.ring.kvstore.store", "memory", "Input should be"),
    "two stores": (
        "common.storage.s3",
        {
            "endpoint": "sjc1.vultrobjects.com",
            "region": "sjc1",
            "bucketnames": "some-logs",
            "s3forcepathstyle": True,
        },
        "has to have one of",
    ),
    "deletion in another store": ("compactor.delete_request_store", "s3", "delete_request_store"),
    "the log outside the volume": ("ingester.wal.dir", "/wal", "/wal is not below /var/loki"),
    "retention for less than a day": ("limits_config.retention_period", "12h", "less than a day"),
    "retention that nobody carries out": ("compactor.retention_enabled", False, "is not"),
    "queries further back than lines": ("limits_config.max_query_lookback", "31d", "longer than"),
    "a burst below its rate": ("limits_config.ingestion_burst_size_mb", 8, "smaller than its rate"),
    "one stream above all": ("limits_config.per_stream_rate_limit", "17MB", "one stream may"),
    "a line above its stream": ("limits_config.max_line_size", "20MB", "a line is larger"),
    "an idle chunk older than any": ("ingester.chunk_idle_period", "3h", "longer than max_chunk"),
}


@pytest.mark.parametrize(("path", "value", "expected"), WRONG.values(), ids=WRONG)
def test_the_schema_refuses(path: str, value: object, expected: str) -> None:
    content = deepcopy(configuration())
    *parents, key = path.split(".")
    part = content
    for each in parents:
        part = part[each]
    part[key] = value
    with pytest.raises(ValidationError, match=expected):
        Configuration.model_validate(content)


def test_loki_in_a_bucket() -> None:
    """By its address, region and name; retention deletes there, and no key is in the file."""
    found = configuration(BUCKET)
    assert found["common"]["storage"] == {
        "s3": {
            "endpoint": "objects.example.org:9000",
            "region": "sjc1",
            "bucketnames": "some-logs",
            "s3forcepathstyle": True,
        }
    }
    assert found["compactor"]["delete_request_store"] == "s3"
    assert found["schema_config"]["configs"][0]["object_store"] == "s3"
