"""Logs as lines of JSON: what happens on stderr, a line a request on stdout."""

import json
import logging
import os
import select
import sys
import time
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from gevent import get_hub
from gunicorn.glogging import Logger as GunicornLogger

from foobar_api import metrics
from foobar_api.report import as_text
from foobar_api.session import session_of

if TYPE_CHECKING:
    from gunicorn.config import Config
    from gunicorn.http.message import Request
    from gunicorn.http.wsgi import Response

    from foobar_api.settings import Settings

log = logging.getLogger(__name__)

PROBES: Final = frozenset({"/livez", "/readyz"})
"""Asked every few seconds by whoever runs this; only a bad answer is worth a line."""

_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": _rfc3339(record.created),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            "logger": record.name,
            "process": record.process,
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return _encode(line)


def _text(value: str | None) -> str | None:
    return value and as_text(value)


def _rfc3339(seconds: float) -> str:
    whole = int(seconds)
    return f"{_to_the_second(whole)}.{int((seconds - whole) * 1000):03}Z"


@lru_cache(maxsize=2)
def _to_the_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _uncaught(kind: type[BaseException], error: BaseException, _: object) -> None:
    log.critical("uncaught exception", exc_info=(kind, error, error.__traceback__))


def _unraisable(args: "sys.UnraisableHookArgs") -> None:
    says = args.err_msg or "exception ignored in"
    error = args.exc_value or args.exc_type()
    log.error("%s %r", says, args.object, exc_info=(args.exc_type, error, args.exc_traceback))


def in_event_loop(
    context: object,
    kind: type[BaseException] | None,
    error: BaseException | str | None,
    trace: TracebackType | None,
) -> None:
    """For gevent's hub, of an exception that nobody else handles."""
    info = (type(error), error, trace) if isinstance(error, BaseException) else None
    log.error("%r failed: %s", context, error or kind, exc_info=info)


class Logger(GunicornLogger):
    """gunicorn's logger; it is told of each request's end, so it counts requests as well."""

    settings: "Settings"
    """Set by a subclass, since gunicorn takes a class and makes the logger itself."""

    def setup(self, cfg: "Config") -> None:
        super().setup(cfg)
        self._lines: list[bytes] = []
        for handler in self.error_log.handlers:
            handler.setFormatter(_Json())
        ours = logging.getLogger(__package__)
        ours.handlers = list(self.error_log.handlers)
        ours.setLevel(self.error_log.level)
        ours.propagate = False
        # What Python would print goes to the log as well.
        warnings = logging.getLogger("py.warnings")
        warnings.handlers = list(self.error_log.handlers)
        warnings.propagate = False
        logging.captureWarnings(capture=True)
        sys.excepthook = _uncaught
        sys.unraisablehook = _unraisable

    def access(
        self,
        resp: "Response",
        req: "Request",
        environ: dict[str, Any],
        request_time: timedelta,
    ) -> None:
        seconds = request_time.total_seconds()
        code = int(resp.status[:3]) if isinstance(resp.status, str) else 500
        protocol = environ.get("SERVER_PROTOCOL", "")
        method = environ.get("REQUEST_METHOD", "")
        route = environ.get("foobar_api.route", "none")
        metrics.answered(
            method=method,
            route=route,
            code=code,
            protocol=protocol,
            seconds=seconds,
        )
        if not self.settings.access_log or (route in PROBES and code == 200):
            return
        session = session_of(environ)
        line = {
            "time": _rfc3339(time.time()),
            "level": "info",
            "message": "request",
            "request_id": environ.get("foobar_api.request_id"),
            "client": environ.get("REMOTE_ADDR"),
            "client_port": environ.get("REMOTE_PORT"),
            "method": method,
            "host": _text(environ.get("HTTP_HOST")),
            # Without the query, where people put what no log should keep.
            "path": req.path,
            "protocol": protocol,
            "status": code,
            "bytes": resp.sent,
            "seconds": round(seconds, 6),
            "user_agent": _text(environ.get("HTTP_USER_AGENT")),
        }
        if session is not None:
            line.update(session.log_fields)
        self._lines.append((_encode(line) + "\n").encode(errors="backslashreplace"))
        if len(self._lines) == 1:
            get_hub().loop.run_callback(self._write)

    def _write(self) -> None:
        """Write the lines of one round of the event loop, with few system calls."""
        lines, self._lines = self._lines, []
        output = sys.stdout.fileno()
        start = size = 0
        for at, line in enumerate(lines):
            # A pipe takes so much in one piece, and no line may be torn by another worker's.
            if size + len(line) > select.PIPE_BUF and at > start:
                os.write(output, b"".join(lines[start:at]))
                start, size = at, 0
            size += len(line)
        os.write(output, b"".join(lines[start:]))
