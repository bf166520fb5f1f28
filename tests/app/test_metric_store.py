"""What processes count is kept in memory that they share, and no process writes another's."""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values

from foobar_api import metrics
from foobar_api.metric_store import SLOTS, Store
from tests.app.conftest import Serve
from tests.app.test_server import eventually
from tests.app.test_settings import run


class Metrics:
    """One metric of each kind, in a store of their own."""

    def __init__(self, store: Store) -> None:
        registry = CollectorRegistry()
        self.store = store
        self.count = Counter("count", "-", ["who"], registry=registry)
        self.open = Gauge("open", "-", multiprocess_mode="livesum", registry=registry)
        self.oldest = Gauge("oldest", "-", multiprocess_mode="livemin", registry=registry)
        self.seconds = Histogram("seconds", "-", ["who"], buckets=(1, 2), registry=registry)
        self._registry = registry

    def read(self) -> dict[str, float]:
        for name, labels in self.store.series():
            if labels:
                {"count": self.count, "seconds": self.seconds}[name].labels(*labels)
        found = (each for metric in self._registry.collect() for each in metric.samples)
        return {
            f"{each.name}{''.join(f' {value}' for value in each.labels.values())}": each.value
            for each in found
            if each.value == each.value
        }


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Metrics]:
    yield from _make(monkeypatch, Store(lambda: None))


def _make(monkeypatch: pytest.MonkeyPatch, store: Store) -> Iterator[Metrics]:
    monkeypatch.setattr(values, "ValueClass", store.value)
    yield Metrics(store)


def in_worker(store: Store, age: int, count: Callable[[], None]) -> None:
    """Run ``count`` in a worker, which ends without a word afterwards."""
    store.reserve(age)
    worker = os.fork()
    if not worker:
        with contextlib.suppress(BaseException):
            store.adopt(age)
            count()
            os._exit(0)
        os._exit(1)
    assert os.waitpid(worker, 0)[1] == 0


def test_a_scrape_sums_series_that_only_another_process_knows(made: Metrics) -> None:
    def work() -> None:
        made.count.labels("a b\n").inc()
        made.open.set(3)
        made.seconds.labels("a").observe(1.5)

    for age in (1, 2):
        in_worker(made.store, age, work)
    found = made.read()
    assert found["count_total a b\n"] == 2
    assert found["open"] == 6
    assert [found[f"seconds_bucket a {bound}"] for bound in ("1.0", "2.0", "+Inf")] == [0, 2, 2]
    assert found["seconds_sum a"] == 3


def test_the_counts_of_a_worker_that_ended_stay_and_its_gauges_do_not(made: Metrics) -> None:
    def work() -> None:
        made.count.labels("a").inc()
        made.open.set(3)

    for age in range(1, 3 * SLOTS):
        in_worker(made.store, age, work)
        made.store.release(age)
    assert made.read() == {"count_total a": 3 * SLOTS - 1}


def test_a_worker_that_follows_another_knows_its_series(made: Metrics) -> None:
    in_worker(made.store, 1, lambda: made.count.labels("a").inc())
    made.store.release(1)

    def read() -> None:
        assert made.read()["count_total a"] == 1

    in_worker(made.store, 2, read)


def test_the_least_of_a_gauge_is_that_of_the_living_workers(made: Metrics) -> None:
    in_worker(made.store, 1, lambda: made.oldest.set(7))
    in_worker(made.store, 2, lambda: made.oldest.set(9))
    assert made.read()["oldest"] == 7
    made.store.release(1)
    assert made.read()["oldest"] == 9


def test_series_beyond_the_room_for_them_are_dropped_and_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dropped: list[None] = []
    for made in _make(monkeypatch, Store(lambda: dropped.append(None), series=4)):
        for who in range(10):
            made.count.labels(str(who)).inc()
        # The two gauges came first.
        assert {name: n for name, n in made.read().items() if n} == {
            "count_total 0": 1, "count_total 1": 1,
        }  # fmt: skip
        assert len(dropped) >= 8


def test_a_worker_without_a_segment_serves_on(made: Metrics) -> None:
    for age in range(1, SLOTS + 1):
        made.store.reserve(age)
    in_worker(made.store, SLOTS + 1, lambda: made.count.labels("a").inc())
    assert made.read() == {}
    made.store.release(SLOTS + 1)


def test_the_usual_series_fit_several_times_over() -> None:
    """Each method, route, protocol and the codes that routes answer with."""
    store = Store(lambda: pytest.fail("full"))
    routes = ("/", "/api", "/bench", "/data", "/echo", "/health", "/livez", "/openapi.yaml", "none")
    methods = (*metrics.METHODS, "other")
    codes = range(400, 420)
    for method, route, code in itertools.product(methods, routes, codes):
        labels = (method, route, str(code), "HTTP/1.1")
        store.value("counter", "http_requests", "http_requests_total", (), labels, "")


def traces(folder: Path) -> set[str]:
    return {each.name.partition(".")[0] for each in folder.iterdir()}


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--port=0"], ["healthcheck", "--port=1"]], ids=lambda it: it[0]
)
def test_commands_leave_no_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    run(*arguments)
    assert traces(tmp_path) == set()


def test_metrics_need_no_file(serve: Serve, tmp_path: Path) -> None:
    """Without one, no disk that is full, gone or read-only can stop them."""
    server = serve()
    server.get("/bench")
    assert traces(tmp_path) == {"cert", "out", "err"}
    for process in (server.process.pid, *server.workers()):
        links = [each.resolve() for each in Path(f"/proc/{process}/fd").iterdir()]
        assert not [each for each in links if each.suffix == ".db"]


def test_what_a_killed_worker_counted_stays(serve: Serve) -> None:
    server = serve("--workers=1")
    labels = 'code="200",method="GET",protocol="HTTP/1.1",route="/bench"'
    for expected in (1, 2, 3):
        (worker,) = server.workers()
        server.get("/bench")
        assert server.metrics()[f"http_requests_total{{{labels}}}"] == expected
        os.kill(worker, 9)
        eventually(lambda: server.workers() not in ([], [worker]))  # noqa: B023 - called at once
    assert server.metrics()["foobar_api_connections_open"] == 0
