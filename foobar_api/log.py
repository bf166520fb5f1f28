"""Logs as lines of JSON: what happens on stderr, a line a request on stdout."""

import atexit
import io
import json
import logging
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from gevent import get_hub
from gunicorn.glogging import Logger as GunicornLogger

from foobar_api import metrics
from foobar_api.output import MAX_LINE, Output
from foobar_api.report import as_text
from foobar_api.session import session_of

if TYPE_CHECKING:
    from gunicorn.config import Config

    from foobar_api.gateway import Response
    from foobar_api.request import Request
    from foobar_api.settings import Settings

log = logging.getLogger(__name__)

PROBES: Final = frozenset({"/livez", "/readyz"})
"""Asked every few seconds by whoever runs this; only a bad answer is worth a line."""

EXIT: Final = 1.0
"""Seconds that a process which ends waits for a reader of its last lines."""
_CUT: Final = " … "

_encode: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=str).encode


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, object] = {
            "time": _rfc3339(record.created),
            "level": record.levelname.lower(),
            "message": _message(record),
            "logger": record.name,
            "process": record.process,
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return _line(fields).decode()


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except (TypeError, ValueError) as error:
        return f"{record.msg} {record.args}: {error}"


def _line(fields: dict[str, object]) -> bytes:
    """One line of JSON, in which long values are cut so that it can be written in one piece."""
    line = _encode(fields).encode(errors="backslashreplace")
    while len(line) >= MAX_LINE:
        texts = {name: value for name, value in fields.items() if isinstance(value, str)}
        longest = max(texts, key=lambda name: len(texts[name]))
        text = texts[longest]
        half = max(0, len(text) - (len(line) + 1 - MAX_LINE) - len(_CUT)) // 2
        if len(text) <= len(_CUT):
            return line  # not by texts; no field is like that
        fields[longest] = text[:half] + _CUT + text[len(text) - half :]
        line = _encode(fields).encode(errors="backslashreplace")
    return line


class _Lines(logging.Handler):
    """Writes each record to ``output``."""

    _gunicorn = True  # gunicorn replaces its handlers when it reloads

    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        self._output.put(self.format(record).encode())
        self._output.flush()


class _Printed(io.TextIOBase):
    """In the place of ``sys.stdout`` and ``sys.stderr``: logs what anybody prints."""

    def __init__(self, name: str) -> None:
        self._log = logging.getLogger(f"{__package__}.{name}")
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            if line.strip():
                self._log.warning("%s", line)
        return len(text)


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
    """gunicorn's logger, and what hears of each request's end."""

    settings: "Settings"
    """Set by a subclass, since gunicorn takes a class and makes the logger itself."""

    def __init__(self, cfg: "Config") -> None:
        self._requests = Output("stdout", 1 if sys.__stdout__ else None)
        self._events = Output("stderr", 2 if sys.__stderr__ else None)
        self._scheduled = False
        super().__init__(cfg)
        atexit.register(self._events.drain, EXIT)
        atexit.register(self._requests.drain, EXIT)
        # What anybody prints goes to the log as well.
        sys.stdout, sys.stderr = _Printed("stdout"), _Printed("stderr")
        sys.excepthook = _uncaught
        sys.unraisablehook = _unraisable
        logging.captureWarnings(capture=True)

    def setup(self, cfg: "Config") -> None:
        super().setup(cfg)
        for handler in list(self.error_log.handlers):
            if type(handler) is logging.StreamHandler:
                self.error_log.removeHandler(handler)
                self.error_log.addHandler(_Lines(self._events))
        for handler in self.error_log.handlers:
            handler.setFormatter(_Json())
        ours, warnings = logging.getLogger(__package__), logging.getLogger("py.warnings")
        ours.setLevel(self.error_log.level)
        for logger in (ours, warnings):
            logger.handlers = list(self.error_log.handlers)
            logger.propagate = False

    def answered(
        self, resp: "Response", req: "Request", environ: dict[str, Any], seconds: float
    ) -> None:
        """Count a request that has ended, and write its line."""
        code = resp.code
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
        fields = {
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
            fields.update(session.log_fields)
        self._requests.put(_line(fields))
        if not self._scheduled:
            # The lines of one round of the event loop are written with few system calls.
            self._scheduled = True
            get_hub().loop.run_callback(self._flush_requests)

    def _flush_requests(self) -> None:
        self._scheduled = False
        self._requests.flush()

    def flush(self) -> None:
        """Write what a reader left waiting; to be called now and then."""
        self._requests.flush()
        self._events.flush()
