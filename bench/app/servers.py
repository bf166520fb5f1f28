"""Who is measured: each over TLS 1.3 with the same P-256 certificate, on loopback."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_connection
from typing import Final

import psutil
import trustme

from fleet.errors import InputError

ROOT: Final = Path(__file__).resolve().parents[2]
WORKERS: Final = 2


@dataclass(frozen=True)
class Server:
    """A contender: how it is started, in a folder that has cert.pem and key.pem."""

    name: str
    command: Sequence[str]
    port: int
    environment: Mapping[str, str] = field(default_factory=dict)


def ours(port: int) -> Server:
    """foobar-api with the settings it ships with."""
    command = (
        sys.executable, "-m", "foobar_api", f"--port={port}", f"--metrics-port={port + 1}",
        "--cert=cert.pem", "--key=key.pem", f"--workers={WORKERS}", "--drain=0s",
    )  # fmt: skip
    return Server("foobar-api", command, port, {"PYTHONPATH": str(ROOT)})


def whoami(program: Path, port: int) -> Server:
    return Server(
        "whoami",
        (str(program), "-port", str(port), "-cert", "cert.pem", "-key", "key.pem"),
        port,
        {"GOMAXPROCS": str(WORKERS)},
    )


def gunicorn(port: int) -> Server:
    """The same application in gunicorn's own threads, with its defaults where it has any."""
    return Server(
        "gunicorn gthread",
        (
            sys.executable, "-m", "gunicorn", "--worker-class=gthread", f"--workers={WORKERS}",
            "--threads=8", f"--bind=[::]:{port}", "--certfile=cert.pem", "--keyfile=key.pem",
            "--http-protocols=h2,h1", "--no-control-socket",
            "foobar_api.application:from_environment()",
        ),
        port,
        {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip


@contextmanager
def running(server: Server, folder: Path) -> Iterator[psutil.Process]:
    """The process of a server that accepts connections."""
    with (folder / f"{server.name}.log").open("wb") as log:
        process = subprocess.Popen(
            server.command, cwd=folder, env={**os.environ, **server.environment},
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        _wait(server, process)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def _wait(server: Server, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            create_connection(("localhost", server.port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            time.sleep(1)  # the other workers
            return
    raise InputError(f"{server.name}: does not start: {' '.join(server.command)}")


def memory(process: psutil.Process) -> float:
    """MiB of a server's processes; what they share counts once."""
    family = [process, *process.children(recursive=True)]
    return sum(each.memory_full_info().pss for each in family) / 2**20


def certificate(folder: Path) -> None:
    issued = trustme.CA(key_type=trustme.KeyType.ECDSA).issue_cert(
        "localhost", key_type=trustme.KeyType.ECDSA
    )
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
