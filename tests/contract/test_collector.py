"""The collector of a region reads, cuts, keeps and sends lines; where otelcol is on the PATH."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

import charts.monitoring.collector
from charts.monitoring.log_limits import (
    CUT_ABOVE,
    LONGEST_FIELD,
    LONGEST_LEVEL,
    LONGEST_LINE,
    MOST_METADATA,
)
from rendering.validation.objects import Object
from tests.collector import Collector, ContainerLog, Record, Store, slow_api_server, store, until

MEBIBYTE = 1024 * 1024


@pytest.fixture(scope="module")
def configuration(objects: Sequence[Object]) -> str:
    """As a region's collector of logs has it, but for the password."""
    (text,) = (
        each.body["data"]["collector.yaml"]
        for each in objects
        if (each.cluster, each.kind, each.name) == ("tooling", "ConfigMap", "logs")
    )
    return str(text)


@pytest.fixture
def loki() -> Iterator[Store]:
    with store() as taken:
        yield taken


@pytest.fixture
def collector(configuration: str, loki: Store, tmp_path: Path) -> Iterator[Collector]:
    made = Collector(tmp_path, configuration, loki.url)
    made.without_api_server()
    yield made
    made.stop()


def test_the_first_lines_after_a_start_are_those_of_their_app(
    configuration: str, loki: Store, tmp_path: Path
) -> None:
    """The collector reads nothing before the API server has told it which pods there are."""
    collector = Collector(tmp_path, configuration, loki.url)
    ContainerLog.of(collector.pods, container="main").write("the first line")
    with slow_api_server({"app.kubernetes.io/name": "shop"}, seconds=3) as url:
        collector.with_api_server(url)
        collector.start()
        until("a line arrives", lambda: loki.records)
        collector.stop()
    assert {each.labels["app"] for each in loki.records} == {"shop"}


def test_a_long_line_is_cut_and_takes_no_other_along(collector: Collector, loki: Store) -> None:
    log = ContainerLog.of(collector.pods)
    long = "long " + "x" * 2_000_000
    log.write(*(f"line {i}" for i in range(500)), long, *(f"line {i}" for i in range(500, 1000)))
    collector.start()
    until("the last part arrives", lambda: sum(map(_length, loki.records)) >= len(long) + 7890)
    assert sorted(loki.bodies("line ")) == sorted(f"line {i}" for i in range(1000))
    parts = [each for each in loki.records if not each.body.startswith("line ")]
    assert sum(map(_length, parts)) == len(long)
    # Every part but the last says that it goes on.
    assert sorted(_length(each) for each in parts if "cut" in each.metadata) == [LONGEST_LINE] * 7
    (last,) = (each for each in parts if "cut" not in each.metadata)
    assert _length(last) <= CUT_ABOVE
    assert collector.metric("otelcol_receiver_accepted_log_records") == len(loki.records)


def _length(record: Record) -> int:
    return len(record.body)


def test_long_fields_are_cut_and_the_request_is_seen(collector: Collector, loki: Store) -> None:
    """Whoever makes the path of a request too long for Loki would hide it otherwise."""
    request = {
        "level": "é" * 1000,
        "method": "GET",
        "path": "/" + "é" * 35_000,
        "status": 200,
        "client": "c" * 10_000,
        "request_id": "r" * 10_000,
    }
    nested = {"method": "GET", "path": {"as": ["an", "object"]}, "status": 404}
    ContainerLog.of(collector.pods).write(
        json.dumps(request, ensure_ascii=False), json.dumps(nested)
    )
    traefik = {
        "RequestMethod": "GET",
        "DownstreamStatus": 200,
        "Duration": 5_000_000,
    } | dict.fromkeys(("RequestPath", "ClientHost", "RequestHost", "RouterName"), "t" * 30_000)
    ContainerLog.of(collector.pods, container="traefik").write(json.dumps(traefik))
    collector.start()
    until("three lines arrive", lambda: len(loki.records) >= 3)
    by_line = {json.dumps(json.loads(each.body)): each for each in loki.records}
    found = by_line[json.dumps(request)]
    path = found.metadata["path"]
    assert path.startswith("/éé")
    assert path.endswith("é…")
    assert len(path.encode()) in (LONGEST_FIELD, LONGEST_FIELD - 1)
    assert found.metadata["status"] == 200
    assert 0 < len(found.level.encode()) <= LONGEST_LEVEL
    for record in loki.records:
        assert sum(
            len(name) + len(str(value).encode()) for name, value in record.metadata.items()
        ) < (MOST_METADATA)
        assert len(str(record.metadata.get("path")).encode()) <= LONGEST_FIELD
    assert "path" not in by_line[json.dumps(nested)].metadata


def test_lines_of_rotated_files_arrive_after_an_outage(collector: Collector, loki: Store) -> None:
    """With the queue full, from all that a kubelet keeps, each once."""
    collector.sending_queue["queue_size"] = MEBIBYTE // 2
    collector.content["exporters"]["otlp_http"]["retry_on_failure"]["max_interval"] = "1s"
    log = ContainerLog.of(collector.pods, rotate_at=MEBIBYTE)
    loki.status = 503
    collector.start()
    until("the collector is ready", lambda: collector.ready)
    lines = [f"line {i} {'x' * 180}" for i in range(20_000)]
    for start in range(0, len(lines), 500):
        log.write(*lines[start : start + 500])
        if start == 2_000:
            until("the queue is full", lambda: _full(collector))
    assert log.rotations == log.files - 1
    loki.status = 200
    until("every line arrives", lambda: len(loki.bodies("line ")) >= len(lines), seconds=90)
    assert sorted(loki.bodies("line ")) == sorted(lines)
    assert {each.labels["container"] for each in loki.records} == {"app"}


def _full(collector: Collector) -> bool:
    size = collector.metric("otelcol_exporter_queue_size")
    return size > 0.9 * collector.metric("otelcol_exporter_queue_capacity")


def test_a_collector_that_is_killed_loses_nothing_that_it_has_read(
    collector: Collector, loki: Store
) -> None:
    """It does not note a line as read before that is in its queue, which here has no room."""
    collector.sending_queue["queue_size"] = MEBIBYTE // 2
    log = ContainerLog.of(collector.pods)
    loki.status = 503
    collector.start()
    until("the collector is ready", lambda: collector.ready)
    lines: list[str] = []
    while _accepted(collector) == len(lines):
        more = [f"line {i} {'x' * 8_000}" for i in range(len(lines), len(lines) + 20)]
        log.write(*more)
        lines += more
        # More than two rounds of reading.
        time.sleep(2.5)
        assert len(lines) < 200
    collector.stop(kill=True)
    loki.status = 200
    collector.start()
    until("the last line arrives", lambda: lines[-1] in loki.bodies("line "))
    until("every line arrives", lambda: set(loki.bodies("line ")) == set(lines), seconds=20)


def no_head(file: Path) -> None:
    with file.open("r+b") as opened:
        opened.write(bytes(8192))


def nothing_but_head(file: Path) -> None:
    """As far as the disk has it: the rest reads as nothing."""
    os.truncate(file, 8192)


def noise(file: Path) -> None:
    size = file.stat().st_size - 8192
    with file.open("r+b") as opened:
        opened.seek(8192)
        opened.write(b"noise..." * (size // 8))


DAMAGE: Final[Mapping[str, Callable[[Path], None]]] = {
    "its first pages are empty": no_head,
    "all but its first pages are missing": nothing_but_head,
    "its pages hold something else": noise,
}


@pytest.mark.parametrize("of", ["receiver", "exporter"])
@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_put_aside(
    damage: Callable[[Path], None], of: str, collector: Collector, loki: Store, tmp_path: Path
) -> None:
    """The collector starts again, and every line that a kubelet still has arrives."""
    log = ContainerLog.of(collector.pods)
    lines = [f"line {i} {'x' * 180}" for i in range(2_000)]
    log.write(*lines)
    loki.status = 503
    collector.start()
    until("lines wait", lambda: collector.ready and _accepted(collector) == len(lines))
    collector.stop(kill=True)
    collector.log.unlink()
    (file,) = collector.queue.glob(f"{of}_*")
    damage(file)
    loki.status = 200
    logs = tmp_path / "own"
    logs.mkdir()
    with _recovery(collector, logs) as recovery:
        starts = 0
        while True:
            collector.start()
            until("it works or ends", lambda: collector.ready or not collector.running)
            if collector.ready:
                break
            collector.save_log(logs, starts)
            starts += 1
            # A kubelet waits as well.
            until("the files are aside", lambda: not [*collector.queue.glob("*_*")], seconds=20)
        assert starts == 1
        until("every line arrives", lambda: set(loki.bodies("line ")) == set(lines))
        assert recovery.poll() is None
    assert (collector.queue / "damaged" / file.name).exists()


def test_recovery_leaves_the_files_of_a_collector_that_ends_for_another_reason(
    collector: Collector, tmp_path: Path
) -> None:
    """Even if a line that it read is quoted in its log."""
    logs = tmp_path / "own"
    logs.mkdir()
    file = collector.queue / "receiver_filelog_"
    file.write_text("a file")
    quoted = json.dumps({"level": "error", "msg": "go.etcd.io/bbolt Error: invalid database"})
    collector.log.write_text(f"{quoted}\nError: failed to wait for caches to sync\n")
    collector.save_log(logs, 0)
    with _recovery(collector, logs) as recovery, pytest.raises(subprocess.TimeoutExpired):
        recovery.wait(2)
    assert file.exists()


@contextmanager
def _recovery(collector: Collector, logs: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The script beside the collector, which looks more often than on a node."""
    script = Path(charts.monitoring.collector.__file__).with_name("recovery.sh")
    process = subprocess.Popen(
        ["sh", script, collector.queue, logs],
        env={**os.environ, "INTERVAL": "0.2", "HEALTH": str(collector.health)},
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(10)


def _accepted(collector: Collector) -> float:
    return collector.metric("otelcol_receiver_accepted_log_records")


def test_lines_about_refused_lines_do_not_multiply(collector: Collector, loki: Store) -> None:
    """The collector reads its own log, and the store refuses whatever it sends."""
    own = ContainerLog.of(collector.pods, container="own")
    loki.status = 400
    own.write("the first line")
    collector.start()
    until("a line is refused", lambda: _logged(collector))
    seen = 0
    end = time.monotonic() + 8
    while time.monotonic() < end:
        lines = _logged(collector)
        own.write(*lines[seen:])
        seen = len(lines)
        time.sleep(0.1)
    # A request that is refused makes one line, however many are in it: at most one a second.
    assert 2 <= seen <= 12
    assert collector.metric("otelcol_exporter_sent_log_records") == 0


def _logged(collector: Collector) -> Sequence[str]:
    return [line for line in collector.log.read_text().splitlines() if "Dropping data" in line]
