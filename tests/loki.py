"""What Loki 3.7 accepts of the keys that we set: their names, their types and how they must fit.

Loki itself reads no file here. Names and types are those of its configuration reference and of the
structs behind it at v3.7.6; any other key is refused, so a key that we add gets its type here, from
there. ``docs/monitoring.md`` says when a real Loki last verified the file.
"""

import re
from datetime import date, timedelta
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

_UNITS: Final = {
    "w": timedelta(weeks=1),
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
}
_BYTES: Final = {"KB": 2**10, "MB": 2**20, "GB": 2**30}


def duration(text: str) -> timedelta:
    """``1h30m`` as a length of time."""
    parts = re.findall(r"(\d+)([wdhms])", text)
    if not parts or "".join(map("".join, parts)) != text:
        raise ValueError(f"{text!r} is no duration such as 30m or 24h")
    return sum((int(number) * _UNITS[unit] for number, unit in parts), timedelta())


def size(value: int | str) -> int:
    """``8MB`` as a number of bytes."""
    if isinstance(value, int):
        return value
    found = re.fullmatch(r"(\d+)(KB|MB|GB)", value)
    if not found:
        raise ValueError(f"{value!r} is no size such as 8MB")
    return int(found[1]) * _BYTES[found[2]]


def _no_days(text: str) -> str:
    if re.search(r"[wd]", text):
        raise ValueError(f"{text!r}: Go's durations know neither days nor weeks")
    return text


def _is_duration(text: str) -> str:
    duration(text)
    return text


def _is_size(value: int | str) -> int | str:
    size(value)
    return value


# Prometheus's durations, which limits have, and Go's, which all else has.
Duration = Annotated[str, AfterValidator(_is_duration)]
GoDuration = Annotated[str, AfterValidator(_no_days), AfterValidator(_is_duration)]
Size = Annotated[int | str, AfterValidator(_is_size)]
Port = Annotated[int, Field(gt=0, lt=65536)]
Folder = Annotated[str, Field(pattern=r"^/")]
Store = Literal["filesystem", "s3"]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Analytics(Part):
    reporting_enabled: bool


class Server(Part):
    http_listen_port: Port
    grpc_listen_address: str
    grpc_listen_port: Port
    grpc_server_max_recv_msg_size: int
    grpc_server_max_send_msg_size: int
    log_format: Literal["logfmt", "json"]
    log_level: Literal["debug", "info", "warn", "error"]


class KvStore(Part):
    store: Literal["inmemory", "memberlist", "consul", "etcd"]


class Ring(Part):
    kvstore: KvStore


class Filesystem(Part):
    chunks_directory: Folder
    rules_directory: Folder


class S3(Part):
    endpoint: Annotated[str, Field(pattern=r"^[a-z0-9.-]+(:\d+)?$")]
    region: str
    bucketnames: Annotated[str, Field(pattern=r"^[a-z0-9.-]{3,63}$")]
    s3forcepathstyle: bool


class Storage(Part):
    """One store: Loki refuses two of them in ``common``."""

    filesystem: Filesystem | None = None
    s3: S3 | None = None

    @property
    def store(self) -> str:
        return "s3" if self.s3 else "filesystem"

    @model_validator(mode="after")
    def _one(self) -> "Storage":
        if bool(self.filesystem) == bool(self.s3):
            raise ValueError("common.storage has to have one of filesystem and s3")
        return self


class Common(Part):
    path_prefix: Folder
    replication_factor: int
    instance_addr: str
    ring: Ring
    storage: Storage


class Index(Part):
    prefix: str
    # tsdb and retention both demand it.
    period: Literal["24h"]


class Period(Part):
    from_: Annotated[
        str, Field(alias="from"), AfterValidator(lambda text: str(date.fromisoformat(text)))
    ]
    store: Literal["tsdb"]
    object_store: Store
    schema_: Annotated[Literal["v13"], Field(alias="schema")]
    index: Index


class Schema(Part):
    configs: Annotated[list[Period], Field(min_length=1)]


class Wal(Part):
    enabled: bool
    dir: Folder
    replay_memory_ceiling: Size


class Ingester(Part):
    wal: Wal
    chunk_idle_period: GoDuration
    max_chunk_age: GoDuration


class Compactor(Part):
    working_directory: Folder
    retention_enabled: bool
    delete_request_store: Store


class Attributes(Part):
    action: Literal["index_label", "structured_metadata", "drop"]
    attributes: Annotated[list[str], Field(min_length=1)]


class Resource(Part):
    ignore_defaults: bool
    attributes_config: list[Attributes]


class Otlp(Part):
    resource_attributes: Resource


class Limits(Part):
    retention_period: Duration
    reject_old_samples_max_age: Duration
    ingestion_rate_mb: float
    ingestion_burst_size_mb: float
    per_stream_rate_limit: Size
    per_stream_rate_limit_burst: Size
    max_global_streams_per_user: int
    max_line_size: Size
    max_line_size_truncate: bool
    max_structured_metadata_size: Size
    max_structured_metadata_entries_count: int
    max_query_lookback: Duration
    volume_enabled: bool
    discover_service_name: list[str]
    otlp_config: Otlp


class Configuration(Part):
    """The file, and what must fit across its parts."""

    auth_enabled: bool
    analytics: Analytics
    server: Server
    common: Common
    schema_config: Schema
    ingester: Ingester
    compactor: Compactor
    limits_config: Limits

    @model_validator(mode="after")
    def _fits(self) -> "Configuration":
        problems = [*self._stores(), *self._folders(), *self._limits()]
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _stores(self) -> list[str]:
        """Loki takes several, and then deletes nothing in the one that holds the chunks."""
        wanted = self.common.storage.store
        return [
            f"{where} is {store}, and common.storage is {wanted}"
            for where, store in (
                ("compactor.delete_request_store", self.compactor.delete_request_store),
                ("schema_config.configs[-1]", self.schema_config.configs[-1].object_store),
            )
            if store != wanted
        ]

    def _folders(self) -> list[str]:
        """All on the volume, for the rest of the container is read-only."""
        folders = [self.ingester.wal.dir, self.compactor.working_directory]
        if files := self.common.storage.filesystem:
            folders += [files.chunks_directory, files.rules_directory]
        prefix = self.common.path_prefix
        return [
            f"{each} is not below {prefix}" for each in folders if not each.startswith(f"{prefix}/")
        ]

    def _limits(self) -> list[str]:
        limits = self.limits_config
        kept = duration(limits.retention_period)
        problems = {
            "retention_period is less than a day, which Loki refuses": kept < timedelta(days=1),
            "max_query_lookback is longer than retention_period": (
                duration(limits.max_query_lookback) > kept
            ),
            "a burst is smaller than its rate": (
                limits.ingestion_burst_size_mb < limits.ingestion_rate_mb
                or size(limits.per_stream_rate_limit_burst) < size(limits.per_stream_rate_limit)
            ),
            "one stream may bring more than all of them": (
                size(limits.per_stream_rate_limit) > limits.ingestion_rate_mb * 2**20
            ),
            "a line is larger than the burst of its stream": (
                size(limits.max_line_size) > size(limits.per_stream_rate_limit_burst)
            ),
            "chunk_idle_period is longer than max_chunk_age": (
                duration(self.ingester.chunk_idle_period) > duration(self.ingester.max_chunk_age)
            ),
            "retention_period is set and compactor.retention_enabled is not": (
                not self.compactor.retention_enabled
            ),
        }
        return [problem for problem, is_so in problems.items() if is_so]
