"""links-api as a process, with a real database behind it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.objects import ROOT
from tests.postgres import Postgres

EXAMPLES: Final = ROOT / "examples"
TOKEN: Final = "token-of-the-tests"
START_SECONDS: Final = 30


def run(module: str, database: str) -> str:
    """What a command of the app prints, which must not fail."""
    result = subprocess.run(
        [sys.executable, "-m", module],
        cwd=EXAMPLES,
        env={**os.environ, "DATABASE_URL": database},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def migrate(database: str) -> str:
    message: str = json.loads(run("links_api.migrate", database))["message"]
    return message


@dataclass
class Server:
    """The app as a process."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    token: Path

    @property
    def client(self) -> httpx.Client:
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=20)

    def put(self, name: str, body: Any, token: str = TOKEN) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        with self.client as client:
            return client.put(f"/links/{name}", json=body, headers=headers)

    def get(self, path: str, **headers: str) -> httpx.Response:
        with self.client as client:
            return client.get(path, headers=headers)

    def requests(self, number: int) -> list[dict[str, Any]]:
        """The lines of ``number`` requests, each written when its answer has been sent."""
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end:
            lines = [json.loads(line) for line in self.log.read_text().splitlines()]
            assert all(line.keys() >= {"time", "level", "message"} for line in lines)
            found = [line for line in lines if line["message"] == "request"]
            if len(found) >= number:
                return found
            time.sleep(0.05)
        pytest.fail(self.log.read_text())


@contextmanager
def serving(folder: Path, database: str, **variables: str) -> Iterator[Server]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, log = folder / "token", folder / "log"
    token.write_text(f"{TOKEN}\n")
    environment = {
        "DATABASE_URL": database,
        "TOKEN_FILE": str(token),
        "PORT": str(port),
        **variables,
    }
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-m", "links_api"],
            cwd=EXAMPLES,
            env={**os.environ, **environment},
            stdout=output,
            stderr=output,
        ) as process,
    ):
        server = Server(process, port, log, token)
        try:
            _wait_for(server)
            yield server
        finally:
            process.kill()


def _wait_for(server: Server) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.process.poll() is None:
        try:
            server.get("/livez").raise_for_status()
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    pytest.fail(server.log.read_text())


@pytest.fixture(scope="module")
def shared(postgres: Postgres) -> str:
    """The URL of a database that has been migrated."""
    url = postgres.create("shared")
    migrate(url)
    return url


@pytest.fixture(scope="module")
def server(shared: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """On the database ``shared``; each test has links of its own there."""
    with serving(tmp_path_factory.mktemp("server"), shared) as running:
        yield running


def test_a_link_is_stored_followed_and_listed(server: Server) -> None:
    stored = server.put("docs", {"url": "https://example.org/a?b=c#d"})
    assert (stored.status_code, stored.json()["expires"]) == (201, None)
    answer = server.get("/docs")
    assert (answer.status_code, answer.headers["location"]) == (302, "https://example.org/a?b=c#d")
    assert server.put("docs", {"url": "https://example.org/new"}).status_code == 200
    assert server.get("/docs").headers["location"] == "https://example.org/new"
    assert server.get("/none").status_code == 404
    listed = server.get("/links", authorization=f"Bearer {TOKEN}").json()
    assert "docs" in [each["name"] for each in listed["links"]]


def test_only_who_has_the_token_writes_and_lists(server: Server) -> None:
    assert server.put("a", {"url": "https://example.org"}, token="guess").status_code == 401
    assert server.get("/links").status_code == 401
    # kubelet replaces the file.
    server.token.write_text("new")
    try:
        assert server.put("a", {"url": "https://example.org"}).status_code == 401
        assert server.put("a", {"url": "https://example.org"}, token="new").status_code == 201
    finally:
        server.token.write_text(TOKEN)


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("links", {"url": "https://example.org"}),
        ("metrics", {"url": "https://example.org"}),
        ("Upper", {"url": "https://example.org"}),
        ("a" * 65, {"url": "https://example.org"}),
        ("%00", {"url": "https://example.org"}),
        ("a", {"url": "javascript:alert(1)"}),
        ("a", {"url": "https://example.org/\r\nSet-Cookie: a=b"}),
        ("a", {"url": "https://" + "a" * 2001}),
        ("a", {"url": 1}),
        ("a", {}),
        ("a", []),
        ("a", {"url": "https://example.org", "seconds": 0}),
        ("a", {"url": "https://example.org", "seconds": True}),
        ("a", {"url": "https://example.org", "seconds": 1e300}),
        ("a", {"url": "https://example.org", "seconds": 10**30}),
        ("a", {"url": "https://example.org", "other": 1}),
    ],
)
def test_what_is_no_link_is_refused(server: Server, name: str, body: Any) -> None:
    answer = server.put(name, body)
    assert answer.status_code == 400
    assert answer.json()["error"]


def test_no_request_makes_it_fail(server: Server) -> None:
    """Not with bytes that PostgreSQL has no text for, nor with a body that is deep or large."""
    assert server.get("/%00").status_code == 404
    assert server.get("/%ff").status_code == 404
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with server.client as client:
        deep = client.put("/links/a", content=b"[" * 4000, headers=headers)
        large = client.put("/links/a", content=b" " * 5000, headers=headers)
    assert (deep.status_code, large.status_code) == (400, 413)


def test_an_expired_link_is_not_followed_and_the_job_deletes_it(
    server: Server, shared: str, postgres: Postgres
) -> None:
    for name in ("kept", "old"):
        server.put(name, {"url": "https://example.org", "seconds": 3600})
    postgres.run("shared", "UPDATE links SET expires = now() - interval '1 s' WHERE name = 'old'")
    assert [server.get(path).status_code for path in ("/kept", "/old")] == [302, 404]
    assert json.loads(run("links_api.expire", shared))["message"] == "1 expired links deleted"
    rows = postgres.run("shared", "SELECT name FROM links WHERE expires IS NOT NULL")
    assert [row["name"] for row in rows] == ["kept"]


def test_migrations_run_once_however_many_start_at_once(database: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        said: Sequence[str] = list(pool.map(migrate, [database] * 4))
    assert sorted(said) == ["0 steps taken, 3 in all"] * 3 + ["3 steps taken, 3 in all"]


def test_a_migration_that_fails_changes_nothing(database: str, postgres: Postgres) -> None:
    name = database.rpartition("/")[2]
    postgres.run(name, "CREATE TABLE links_expires ()")  # takes the name of the last step's index
    with pytest.raises(AssertionError, match="links_expires"):
        migrate(database)
    tables = postgres.run(name, "SELECT FROM pg_tables WHERE tablename IN ('links', 'steps')")
    assert tables == []


def test_an_older_version_finds_a_newer_database_in_order(
    database: str, postgres: Postgres
) -> None:
    """So that its migration does not stop a rollback."""
    migrate(database)
    postgres.run(database.rpartition("/")[2], "INSERT INTO steps VALUES (99)")
    assert migrate(database) == "0 steps taken, 3 in all"


def test_it_is_ready_once_the_database_is(database: str, tmp_path: Path) -> None:
    """Alive before, and without the database's address in what it answers."""
    with serving(tmp_path, database) as server:
        assert [server.get(path).status_code for path in ("/livez", "/readyz")] == [200, 503]
        migrate(database)
        assert server.get("/readyz").status_code == 200
    nowhere = "postgresql://postgres@127.0.0.1:1/links"
    with serving(tmp_path, nowhere) as server:
        assert [server.get(path).status_code for path in ("/livez", "/readyz")] == [200, 503]
        answer = server.get("/docs")
        assert answer.status_code == 503
        assert "127.0.0.1" not in answer.text
        # Whoever runs it finds the reason in the log.
        assert "ConnectionRefusedError" in server.log.read_text()


def test_requests_are_counted_by_route_and_logged_as_json(shared: str, tmp_path: Path) -> None:
    with serving(tmp_path, shared) as server:
        server.put("counted", {"url": "https://example.org"})
        for path in ("/counted", "/none", "/readyz", "/a/b"):
            server.get(path)
        text, lines = server.get("/metrics").text, server.requests(4)
    for labels, value in (
        ('code="302",route="/{name}"', 1),
        ('code="404",route="/{name}"', 1),
        ('code="404",route="none"', 1),
        ('code="201",route="/links/{name}"', 1),
    ):
        assert f"http_requests_total{{{labels}}} {value}.0" in text
    assert 'http_request_duration_seconds_bucket{le="0.25",route="/{name}"} 2.0' in text
    assert [(line["path"], line["status"]) for line in lines] == [
        ("/links/counted", 201),
        ("/counted", 302),
        ("/none", 404),
        ("/a/b", 404),
    ]


@pytest.mark.parametrize(
    ("trusted", "client"), [("127.0.0.0/8", "203.0.113.9"), ("10.0.0.0/8", "127.0.0.1")]
)
def test_the_clients_address_is_taken_from_traefik_alone(
    shared: str, tmp_path: Path, trusted: str, client: str
) -> None:
    with serving(tmp_path, shared, FORWARDED_ALLOW_IPS=trusted) as server:
        server.get("/none", **{"X-Forwarded-For": "203.0.113.9"})
        (line,) = server.requests(1)
    assert line["client"] == client


def test_after_sigterm_it_still_answers_and_then_ends(shared: str, tmp_path: Path) -> None:
    with serving(tmp_path, shared, DRAIN_SECONDS="5") as server:
        server.process.send_signal(signal.SIGTERM)
        answered = 0
        while server.process.poll() is None:
            try:
                answered += server.get("/livez").status_code == 200
            except httpx.TransportError:
                break
        server.process.wait(START_SECONDS)
        assert answered > 2
        assert server.process.returncode in (0, -signal.SIGTERM)
    assert "ERROR" not in server.log.read_text()


def test_a_second_sigterm_ends_it_at_once(shared: str, tmp_path: Path) -> None:
    with serving(tmp_path, shared, DRAIN_SECONDS="3600") as server:
        server.process.send_signal(signal.SIGTERM)
        assert server.get("/livez").status_code == 200
        server.process.send_signal(signal.SIGTERM)
        server.process.wait(START_SECONDS)


def test_its_requirements_are_pinned_with_hashes() -> None:
    text = (EXAMPLES / "links_api" / "requirements.txt").read_text()
    pins = re.findall(r"^([a-z0-9-]+)==", text, re.MULTILINE)
    assert {"asyncpg", "starlette", "uvicorn", "prometheus-client"} <= set(pins)
    assert text.count("--hash=sha256:") >= len(pins)
