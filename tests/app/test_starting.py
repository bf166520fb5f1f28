"""How it starts: files that no certificate can be read from, and signals for a second start."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from tests.app.conftest import Serve
from tests.app.server import HOST, Pair, Server, pem
from tests.app.test_http1 import assert_clean
from tests.app.test_operation import by_all, served
from tests.app.test_server import eventually
from tests.objects import ROOT


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(2**40)


def broken(path: Path) -> None:
    path.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


UNREADABLE: dict[Callable[[Path], None], str] = {
    fifo: "is not a regular file",
    folder: "Is a directory",
    huge: "has more than 1048576 bytes",
    broken: "",
}
unreadable = pytest.mark.parametrize("make", UNREADABLE, ids=lambda it: it.__name__)


def exit_status(server: Server) -> int:
    try:
        return server.process.wait(10)
    finally:
        server.process.kill()


@pytest.mark.parametrize("gunicorn", [False, True], ids=["alone", "gunicorn"])
@pytest.mark.parametrize("name", ["cert.pem", "key.pem"])
@unreadable
def test_a_file_that_holds_no_certificate_is_an_error_at_once(
    tmp_path: Path,
    pair: Pair,
    name: str,
    make: Callable[[Path], None],
    gunicorn: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    (pair.folder / name).unlink()
    make(pair.folder / name)
    server = Server(tmp_path, pair, gunicorn=gunicorn)
    assert exit_status(server) == 2
    (line,) = server.errors.splitlines()
    assert line.startswith(f"foobar_api: {pair.folder / name}: ")
    assert UNREADABLE[make] in line


@unreadable
def test_authorities_that_cannot_be_read_are_an_error_at_once(
    tmp_path: Path, pair: Pair, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "ca.pem")
    server = Server(tmp_path, pair, f"--cacert={tmp_path / 'ca.pem'}")
    assert exit_status(server) == 2
    (line,) = server.errors.splitlines()
    assert line.startswith(f"foobar_api: {tmp_path / 'ca.pem'}: {UNREADABLE[make]}")


def test_the_healthcheck_does_not_wait_for_a_certificate(tmp_path: Path) -> None:
    fifo(tmp_path / "fifo")
    options = [f"--{name}={tmp_path / 'fifo'}" for name in ("cert", "key", "cacert")]
    done = subprocess.run(
        [sys.executable, "-m", "foobar_api", "healthcheck", *options],
        cwd=ROOT, check=False, capture_output=True, text=True, timeout=10,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == f"foobar_api: {tmp_path / 'fifo'}: is not a regular file\n"


@unreadable
def test_a_file_that_takes_the_place_of_a_good_one_changes_nothing(
    serve: Serve, pair: Pair, make: Callable[[Path], None]
) -> None:
    server = serve()
    before = served(server)
    (pair.folder / "cert.pem").unlink()
    make(pair.folder / "cert.pem")
    eventually(lambda: server.errors.count("certificate not replaced") == 3)
    assert by_all(lambda: served(server)) == {before}
    assert server.metrics()["foobar_api_certificate_last_reload_successful"] == 0


@pytest.mark.parametrize("gunicorn", [False, True], ids=["alone", "gunicorn"])
def test_workers_that_start_while_the_files_are_broken_serve_what_was_good(
    serve: Serve,
    pair: Pair,
    ca: trustme.CA,
    gunicorn: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    def replaced(workers: set[int]) -> bool:
        return len(server.workers()) == 2 and not workers & set(server.workers())

    server = serve(gunicorn=gunicorn)
    pair.issue()
    # Two workers, and the arbiter.
    eventually(lambda: server.errors.count("certificate replaced") == 3)
    good = served(server)
    cert, _ = pem(ca.issue_cert(HOST))
    pair.replace(cert, b"")
    eventually(lambda: server.errors.count("certificate not replaced") == 3)
    workers = set(server.workers())
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    eventually(lambda: replaced(workers))
    assert by_all(lambda: served(server)) == {good}

    workers = set(server.workers())
    server.process.send_signal(signal.SIGHUP)
    eventually(lambda: replaced(workers), seconds=10)
    assert by_all(lambda: served(server)) == {good}
    assert server.metrics()["foobar_api_certificate_last_reload_successful"] == 0
    pair.issue()
    eventually(lambda: good not in by_all(lambda: served(server)))
    eventually(lambda: server.metrics()["foobar_api_certificate_last_reload_successful"] == 1)
    assert "traceback" not in server.errors


@pytest.mark.parametrize("gunicorn", [False, True], ids=["alone", "gunicorn"])
def test_sigusr2_is_refused_with_a_sentence(
    serve: Serve,
    gunicorn: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    server = serve(gunicorn=gunicorn)
    for times in (1, 2):
        server.process.send_signal(signal.SIGUSR2)
        eventually(lambda: server.errors.count("SIGUSR2 is refused") == times)  # noqa: B023 - at once
        eventually(lambda: len(server.workers()) == 2)
    assert server.get("/bench").text == "1"
    assert server.metrics()["foobar_api_connections_open"] >= 0
    assert server.stop() == 0
    assert "traceback" not in server.errors


@pytest.mark.parametrize("gunicorn", [False, True], ids=["alone", "gunicorn"])
def test_all_that_a_server_says_in_its_life_is_json(
    serve: Serve,
    gunicorn: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    def replaced(workers: set[int], number: int) -> bool:
        left = workers & set(server.workers())
        for worker in left:
            # More than once, since a worker that starts has no handlers of its own.
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, number)
        return not left and len(server.workers()) == 2

    server = serve(gunicorn=gunicorn, environment={"PYTHONWARNINGS": "default"})
    for number in (signal.SIGKILL, signal.SIGABRT, signal.SIGQUIT, signal.SIGINT, signal.SIGTERM):
        workers = set(server.workers())
        eventually(lambda: replaced(workers, number), seconds=20)  # noqa: B023 - called at once
        assert server.get("/bench").text == "1"
    for number in (signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU, signal.SIGWINCH, signal.SIGHUP):
        server.process.send_signal(number)
        eventually(lambda: signal.Signals(number).name[3:].lower() in server.errors)  # noqa: B023
    assert server.stop() == 0
    assert all(line["status"] == 200 for line in server.access)
    assert_clean(server)
