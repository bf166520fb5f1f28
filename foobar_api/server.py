"""How gunicorn runs the app: our settings in gunicorn's words."""

import os
import signal
import socket
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from foobar_api import metrics
from foobar_api.balance import SHARES
from foobar_api.log import Logger
from foobar_api.settings import Settings
from foobar_api.tls import Certificates

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - gunicorn makes a nameless file there


@cache
def certificates(settings: Settings) -> Certificates | None:
    """What ``settings`` name, read and kept up to date by the arbiter; its workers inherit it.

    So a worker that starts while the files are broken serves the last that were good. Raises
    CertificateError.
    """
    if not (settings.cert and settings.key):
        return None
    return Certificates(settings.cert, settings.key, settings.cacert)


def configuration(settings: Settings) -> dict[str, Any]:
    """What gunicorn is to be told."""
    ports = [settings.port, *([settings.metrics_port] if settings.metrics_port else [])]
    return {
        "bind": [_bind(settings.host, port) for port in ports],
        "worker_class": "foobar_api.worker.Worker",
        "workers": settings.workers,
        # The app and all it imports exist once, and the workers share what they do not change.
        "preload_app": True,
        "backlog": 4096,
        "timeout": 60,
        # A file on a disk would let a busy disk look like a dead worker.
        "worker_tmp_dir": str(SHARED_MEMORY) if os.access(SHARED_MEMORY, os.W_OK) else None,
        "graceful_timeout": int(settings.drain + settings.grace) + 2,
        "keepalive": int(settings.keep_alive),
        "limit_request_line": settings.max_line,
        "limit_request_fields": settings.max_headers,
        "limit_request_field_size": settings.max_header,
        "http_protocols": "h2,h1" if settings.tls else "h1",
        "certfile": str(settings.cert) if settings.cert else None,
        "keyfile": str(settings.key) if settings.key else None,
        # Whoever is in front speaks by the PROXY protocol, never by X-Forwarded headers.
        "forwarded_allow_ips": "",
        "control_socket_disable": True,
        "logger_class": type("SettledLogger", (Logger,), {"settings": settings}),
        "accesslog": None,
        "errorlog": "-",
        "loglevel": "debug" if settings.verbose else "info",
        "proc_name": "foobar-api",
        "on_starting": partial(on_starting, settings),
        "pre_fork": pre_fork,
        "pre_exec": pre_exec,
        "post_fork": post_fork,
        "child_exit": child_exit,
    }


def _bind(host: str, port: int) -> str:
    if not host:
        host = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"  # noqa: S104 - a server's default
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def on_starting(settings: Settings, server: "Arbiter") -> None:
    served, manage_workers = certificates(settings), server.manage_workers

    def tick() -> None:
        if served:
            served.refresh()
        server.log.flush()
        manage_workers()

    # The arbiter has no hook that is called now and then; this is what its loop calls.
    server.manage_workers = tick
    # A new worker has the arbiter's handlers at first, and Python forgets what a process was told
    # while it forked: until a worker has handlers of its own, what ends it has to wait.
    os.register_at_fork(before=_hold, after_in_parent=_release)


def pre_exec(server: "Arbiter") -> None:
    """Refuse SIGUSR2, in the process that would become the next arbiter."""
    server.log.error(
        "SIGUSR2 is refused: a new version cannot take over what this one counts and serves; "
        "start it beside this one, or send SIGHUP for new workers"
    )
    os._exit(0)


def pre_fork(server: "Arbiter", worker: "Worker") -> None:
    metrics.STORE.reserve(worker.age)


def post_fork(server: "Arbiter", worker: "Worker") -> None:
    metrics.STORE.adopt(worker.age)
    signal.signal(signal.SIGTERM, worker.handle_exit)
    _release()


def _hold() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])


def _release() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGTERM])


def child_exit(server: "Arbiter", worker: "Worker") -> None:
    metrics.STORE.release(worker.age)
    SHARES.forget(worker.age)
