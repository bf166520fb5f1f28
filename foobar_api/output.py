"""stdout and stderr: whole lines, and never a wait for whoever reads them.

Lines that nobody takes wait in a buffer of LIMIT bytes. Those beyond it are dropped, as are those
that cannot be written; they are counted, and the log tells when that begins and when it is over.
"""

import errno
import logging
import os
import select
import socket
import stat
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from foobar_api import metrics

log = logging.getLogger(__name__)

MAX_LINE: Final = select.PIPE_BUF
"""Bytes of a line, its end included, that a pipe takes whole beside those of other processes."""
LIMIT: Final = 2**20
"""Bytes of lines that wait for a reader, in each process."""

_Write = Callable[[bytes], int]
"""Returns how much was taken. Raises BlockingIOError instead of waiting, or another OSError."""


class Output:
    """Where lines go; made before the workers fork."""

    def __init__(self, name: str, descriptor: int | None) -> None:
        """Without a descriptor, it was closed when this process started."""
        self.name = name
        if descriptor is None:
            # Its number is free, and must not become that of a connection.
            os.open(os.devnull, os.O_WRONLY)
        self._write = _closed if descriptor is None else _writer(descriptor)
        self._descriptor = descriptor
        self._lines: list[bytes] = []
        self._size = 0
        self._torn = False
        self._dropped = 0
        os.register_at_fork(after_in_child=self._forget)

    def put(self, line: bytes) -> None:
        """Have ``line``, whose end is added here, written by the next ``flush``."""
        if self._size + len(line) >= LIMIT:
            self._drop(1, "nobody reads them")
            return
        # A line of which a part was written, and the rest dropped, ends first.
        line = b"\n" + line if self._torn and not self._lines else line
        self._lines.append(line + b"\n")
        self._size += len(line) + 1

    def flush(self) -> None:
        """Write what is taken at once; the rest waits for the next call."""
        written = False
        while self._lines:
            count = self._atomic()
            piece = b"".join(self._lines[:count])
            try:
                taken = self._write(piece)
            except BlockingIOError:
                return
            except OSError as error:
                lines = len(self._lines)
                self._lines, self._size = [], 0
                self._drop(lines, os.strerror(error.errno or 0))
                return
            written = True
            # A file on a full disk, a terminal or a socket may take a part.
            self._lines[:count] = piece[taken:].splitlines(keepends=True)
            self._size -= taken
            self._torn = not piece[:taken].endswith(b"\n")
        if written and self._dropped:
            dropped, self._dropped = self._dropped, 0
            log.warning("%s is written again; %d lines were dropped", self.name, dropped)

    def drain(self, seconds: float) -> None:
        """Write what is left before the process ends, and wait ``seconds`` for a reader."""
        until = time.monotonic() + seconds
        self.flush()
        while self._descriptor is not None and self._lines and time.monotonic() < until:
            _ready(self._descriptor, until - time.monotonic())
            self.flush()

    def _atomic(self) -> int:
        """How many lines are written in one piece."""
        size = 0
        for count, line in enumerate(self._lines):
            size += len(line)
            if size > MAX_LINE:
                return max(count, 1)
        return len(self._lines)

    def _drop(self, lines: int, reason: str) -> None:
        metrics.LINES_DROPPED.labels(self.name).inc(lines)
        first = not self._dropped
        self._dropped += lines
        if first:
            log.error("lines of %s are dropped: %s", self.name, reason)

    def _forget(self) -> None:
        """In a new process: what waits is the other one's to write."""
        self._lines, self._size, self._torn, self._dropped = [], 0, False, 0


def _closed(data: bytes) -> int:
    raise OSError(errno.EBADF, os.strerror(errno.EBADF))


def _writer(descriptor: int) -> _Write:
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return partial(os.write, descriptor)
    if stat.S_ISSOCK(mode):
        sock = socket.socket(fileno=os.dup(descriptor))
        return lambda data: sock.send(data, socket.MSG_DONTWAIT)
    try:
        # O_NONBLOCK belongs to what was opened, which a terminal, a shell and other processes may
        # share with this one. Opened anew, it is ours.
        own = os.open(f"/dev/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return partial(_write_if_ready, descriptor)
    return partial(os.write, own)


def _write_if_ready(descriptor: int, data: bytes) -> int:
    """For what cannot be opened anew; another process may still be quicker to fill it up."""
    if not _ready(descriptor, 0):
        raise BlockingIOError
    return os.write(descriptor, data)


def _ready(descriptor: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(seconds * 1000))
