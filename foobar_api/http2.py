"""HTTP/2: one greenlet reads a connection's frames, and each stream is answered by its own.

h2 reads the frames and keeps the state. gunicorn's own HTTP/2 connection serves one stream at a
time, and waits for flow control in a way that stops the whole process. Here a slow client holds up
its own streams only. DATA leaves in turns of one frame per stream, so that no stream delays
another. Each wait has a deadline, and no client moves it by sending or taking a little.
"""

import logging
import math
from collections import deque
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Final, Protocol

import gevent
from gevent import get_hub, getcurrent
from gevent.event import Event
from gevent.socket import wait_write
from h2 import events
from h2.errors import ErrorCodes
from h2.exceptions import ProtocolError
from hyperframe.frame import GoAwayFrame

from foobar_api.answer import ClientLeft, Refused
from foobar_api.fairness import Rate
from foobar_api.frames import Frames, Malformed, Noise
from foobar_api.request import SHOWN
from foobar_api.settings import WRITE_AHEAD, Settings
from foobar_api.stream import Request, Response, Stream

if TYPE_CHECKING:
    from foobar_api import gateway, request
    from foobar_api.connection import Connection

log = logging.getLogger(__name__)

READ: Final = 4096
"""Bytes of frames that are handled before other connections have their turn."""
FRAME: Final = 16384
"""Bytes of a stream that are sent before the next stream has its turn."""
LEAVE: Final = 1.0
"""Seconds that a client has to acknowledge that it is to open no more streams."""
LINGER: Final = 0.5
"""Seconds for which the client's frames are still read after GOAWAY: a reset would destroy it."""
LINGER_BYTES: Final = 2**20
MAX_FAULTS: Final = 10
"""Malformed requests that a connection may send; each is answered or reset."""
MAX_STREAMS: Final = 100
"""Requests of a connection that are served at once."""
MAX_HOLDING: Final = 16
"""Streams of a connection that may hold data which the client does not take; the next ones wait."""
MAX_BODIES: Final = 2
"""Bodies of the largest size that the streams of a connection may hold together."""
EVICTION: Final = 0.25
"""Seconds until a client that takes nothing notices that it was evicted."""
RATE_SECONDS: Final = 10.0
MAX_RESETS: Final = 200
"""Streams that a client may cancel in RATE_SECONDS."""
MAX_NOISE: Final = 1000
"""Frames and settings that a client may send in RATE_SECONDS though they ask for nothing: PING, or
anything for a stream that is over."""

_ALL_STREAMS: Final = 2**31 - 1


class Worker(Protocol):
    """What a connection needs of the worker that serves it."""

    settings: Settings
    alive: bool

    def answer(
        self,
        request: "request.Request",
        response: "gateway.Response",
        connection: "Connection",
    ) -> None: ...
    def wait(self, connection: "Connection") -> None: ...
    def busy(self, connection: "Connection") -> None: ...
    def refuse(self, connection: "Connection", reason: str, says: str) -> None: ...
    def refuse_request(self, connection: "Connection", refused: Refused) -> str: ...


class ServerConnection:
    """A client's connection over HTTP/2, from after the handshake to its end."""

    def __init__(self, connection: "Connection", worker: Worker) -> None:
        self.settings = worker.settings
        self._connection = connection
        self._worker = worker
        self._h2 = Frames(max_streams=MAX_STREAMS, max_head=worker.settings.max_head)
        self._streams: dict[int, Stream] = {}
        self._loop = get_hub().loop
        self._idle_until = math.inf
        self._out = bytearray()  # frames that go out next
        self._turns: deque[Stream] = deque()
        """Streams with something to send, the one whose turn it is first."""
        self._queue: deque[Stream] = deque()
        """Streams that begin once fewer have something to send."""
        self._held = 0  # bytes of bodies that the app has
        self._request_size = 0  # bytes that the requests under way take in memory
        self._blocked_size = 0  # bytes of responses that the client does not take
        self._writing = False
        self._blocked: gevent.Greenlet[..., None] | None = None
        """The greenlet that waits for the socket to take more."""
        self._drained = Event()
        self._over = False
        self._broken = False
        """Whether nothing can be sent any more."""
        self._leaving = False
        self._last_call = False
        """Whether the connection ends with its last stream."""
        self._faults = 0
        self._resets = Rate(MAX_RESETS, RATE_SECONDS)
        self._noise = Rate(MAX_NOISE, RATE_SECONDS)
        self._updates_due = 0

    def serve(self) -> None:
        """Serve requests until the client leaves or has to. Raises OSError."""
        self._connection.split()
        self._h2.initiate_connection()
        self._rest()
        try:
            while not self._over:
                self._collect()
                self._read()
        finally:
            self._cancel_all()
            if self._blocked is not None:
                self._blocked.kill()
            self._connection.join()
            self._h2.discard()
        if not self._broken:
            self._connection.sendall(bytes(self._out))
            self._connection.linger(LINGER, LINGER_BYTES)

    # The reader

    def _read(self) -> None:
        connection = self._connection
        until = self._idle_until
        if self._h2.began is not None:
            until = min(until, self._h2.began + self._frame_timeout())
        connection.settimeout(until - monotonic())
        connection.held = self._size
        try:
            data = connection.recv(READ)
        except TimeoutError:
            self._timed_out()
            return
        if not data:
            self._over = self._broken = True
            return
        try:
            received = self._h2.receive_data(data)
        except ProtocolError as error:
            self._worker.refuse(connection, "http2", str(error))
            self._over = True
            self._collect()  # h2 has said why
            return
        for event in received:
            self._handle(event)
            if self._over:
                return
        if self._turns:
            self._wake_writer()
        self._wait_for_client_to_read()

    def _wait_for_client_to_read(self) -> None:
        """Read no more frames of a client that takes too few of the answers to them."""
        connection = self._connection
        while len(self._out) > 2 * WRITE_AHEAD and not self._over:
            self._drained.clear()
            connection.waits_since = connection.waits_since or monotonic()
            self._count()
            self._drained.wait(EVICTION)
            if connection.evicted:
                self._over = self._broken = True
        connection.waits_since = None

    @property
    def _size(self) -> int:
        """Bytes that the connection holds, beside those of TLS."""
        buffered = len(self._out) + self._h2.unfinished + self._h2.remembered
        return self._request_size + self._blocked_size + buffered

    def _count(self) -> None:
        """Tell the budget what the connection holds, which may end it."""
        self._connection.held = self._size
        self._connection.count()

    def _frame_timeout(self) -> float:
        settings = self.settings
        return settings.body_timeout if self._h2.in_body else settings.header_timeout

    def _timed_out(self) -> None:
        began = self._h2.began
        if self._over:
            return
        if self._connection.evicted:
            self._end(ErrorCodes.ENHANCE_YOUR_CALM if self._streams else ErrorCodes.NO_ERROR)
            return
        if began is not None and began + self._frame_timeout() <= monotonic():
            self._worker.refuse(self._connection, "timeout", "too slow")
            self._end()
        elif not self._streams:
            self._end()

    def _handle(self, event: events.Event) -> None:
        match event:
            case events.RequestReceived():
                self._begin(event)
            case events.DataReceived():
                self._receive_body(event)
            case events.StreamEnded():
                self._end_body(self._streams.get(event.stream_id))
            case events.StreamReset():
                self._reset_by_client(event)
            case events.WindowUpdated():
                self._count_update()
            case events.ConnectionTerminated():
                if event.error_code == ErrorCodes.NO_ERROR and self._streams:
                    self._last_call = True
                else:
                    self._over = self._broken = True
            case events.PingAckReceived():
                self._last_call = self._last_call or self._leaving
                if self._last_call and not self._streams:
                    self._end()
            case Malformed():
                self._drop_malformed(self._streams.get(event.stream_id), event.reason[:SHOWN])
            case Noise():
                self._count_noise(event.count)
            case _:
                pass

    def _count_update(self) -> None:
        # A client sends one or two for each DATA frame; more of them are noise.
        if self._updates_due > 0:
            self._updates_due -= 1
        else:
            self._count_noise()

    def _count_noise(self, count: int = 1) -> None:
        if self._noise.exceeded(count):
            self._calm("sends too many frames that ask for nothing")

    def _calm(self, says: str) -> None:
        self._worker.refuse(self._connection, "http2", says)
        self._end(ErrorCodes.ENHANCE_YOUR_CALM)

    # Streams

    def _begin(self, event: events.RequestReceived) -> None:
        stream = Stream(self, event)
        if not self._admits(stream.size):
            self._h2.reset_stream(stream.stream_id, ErrorCodes.REFUSED_STREAM)
            return
        if not self._streams:
            self._worker.busy(self._connection)
        self._idle_until = math.inf
        self._streams[stream.stream_id] = stream
        self._request_size += stream.size
        gevent.spawn_raw(self._answer, stream)

    def _admits(self, size: int) -> bool:
        """Whether there is room for a request; its client may try again otherwise."""
        self._connection.held = self._size + size
        return self._connection.admits()

    def _count_fault(self) -> None:
        self._faults += 1
        if self._faults > MAX_FAULTS:
            self._calm("sends too many malformed requests")

    def _receive_body(self, event: events.DataReceived) -> None:
        stream = self._streams.get(event.stream_id)
        size = event.flow_controlled_length
        if stream is not None and event.data:
            stream.feed(event.data)
            self._request_size += len(event.data)
            size -= len(event.data)
        if size:  # padding, or what nobody reads
            self._h2.acknowledge_received_data(size, event.stream_id)

    def _end_body(self, stream: Stream | None) -> None:
        if stream is None or stream.body_complete:
            return
        stream.body_complete = True
        stream.wakes.set()
        if stream.is_short:
            self._reset(stream, ErrorCodes.PROTOCOL_ERROR)
            self._drop_malformed(stream, "the body is shorter than its content-length")

    def _reset_by_client(self, event: events.StreamReset) -> None:
        stream = self._streams.get(event.stream_id)
        if not event.remote_reset:
            # h2 found that the client broke the protocol on this stream alone.
            self._drop_malformed(stream, ErrorCodes(event.error_code or 0).name)
            return
        if stream is not None:
            self._cancel(stream, "the client cancelled the request")
            self._remove(stream)
        if self._resets.exceeded():
            self._calm("cancels too many requests")

    def _drop_malformed(self, stream: Stream | None, says: str) -> None:
        self._worker.refuse_request(self._connection, Refused(HTTPStatus.BAD_REQUEST, says))
        self._count_fault()
        if stream is not None:
            self._cancel(stream, says)
            self._remove(stream)

    def _answer(self, stream: Stream) -> None:
        """In a greenlet of its own."""
        if stream.gone:
            return
        stream.greenlet = getcurrent()
        slow = False
        try:
            slow = self._respond(stream) == HTTPStatus.REQUEST_TIMEOUT
        except TimeoutError:
            self._worker.refuse(self._connection, "timeout", "too slow")
            slow = True
        except OSError as error:
            log.debug("%s: stream %d: %s", self._connection.peer[0], stream.stream_id, error)
        except Exception:
            log.exception("request failed")
            if not (_is_gone(stream) or stream.answered):
                # Without a body, since nothing may hold it up here.
                stream.send_headers(500, [("content-length", "0")], end=True)
        finally:
            stream.greenlet = None
        if not stream.gone:
            self._finish(stream, slow=slow)

    def _respond(self, stream: Stream) -> int:
        """Answer a request; the status. Raises OSError."""
        connection = self._connection
        if len(self._turns) >= MAX_HOLDING:
            self._queue.append(stream)
        until = monotonic() + self.settings.send_timeout
        while stream in self._queue:
            stream.wait(until - monotonic())
        try:
            request = Request(stream, self.settings)
        except Refused as refused:
            request_id = self._worker.refuse_request(connection, refused)
            self._count_fault()
            stream.answer(refused, request_id)
            return refused.answer.status
        response = Response(request, stream)
        self._worker.answer(request, response, connection)
        return response.code

    def _finish(self, stream: Stream, *, slow: bool) -> None:
        if not stream.ended:
            self._reset(stream, ErrorCodes.CANCEL if slow else ErrorCodes.INTERNAL_ERROR)
        elif not stream.body_complete:
            # It has the answer, and is asked to send no more (RFC 9113 section 8.1).
            self._reset(stream, ErrorCodes.NO_ERROR)
        if not self._worker.alive:
            self._leave()
        # A client that was too slow for its only request holds its connection no longer.
        self._last_call = self._last_call or (slow and len(self._streams) == 1)
        self._remove(stream)
        self._collect()

    def _reset(self, stream: Stream, code: ErrorCodes) -> None:
        self._h2.reset_stream(stream.stream_id, code)

    def _cancel(self, stream: Stream, reason: str) -> None:
        """End the greenlet of a stream that nobody waits for."""
        stream.gone = reason
        if stream.greenlet is not None:
            self._loop.run_callback(_throw, stream)

    def _cancel_all(self) -> None:
        for stream in self._streams.values():
            self._cancel(stream, "the connection is closed")
        self._streams.clear()
        self._request_size = 0
        self._turns.clear()

    def _remove(self, stream: Stream) -> None:
        del self._streams[stream.stream_id]
        self._request_size -= stream.size
        stream.gone = stream.gone or "the response is over"
        self._held -= stream.held
        if self._turns:
            self._wake_writer()  # which leaves this one out
        self._admit()
        if stream.unread:
            self.acknowledge(stream, stream.unread)
        if not self._streams:
            self._rest()

    def _admit(self) -> None:
        """Let the stream begin that has waited longest, if few enough hold data."""
        while self._queue and len(self._turns) < MAX_HOLDING:
            stream = self._queue.popleft()
            if not stream.gone:
                stream.wakes.set()
                return

    # Between requests, and the end

    def _rest(self) -> None:
        """No request is under way."""
        if self._last_call:
            self._end()
            return
        self._worker.wait(self._connection)
        self._count()
        seconds = self.settings.keep_alive
        if self._leaving:
            self._connection.idle = False
            seconds = LEAVE
        self._idle_until = monotonic() + seconds
        self._connection.settimeout(seconds)

    def _leave(self) -> None:
        """Ask the client to open no more streams; those on their way are served."""
        if not self._leaving:
            self._leaving = True
            self._out += GoAwayFrame(0, last_stream_id=_ALL_STREAMS).serialize()
            # Once it is acknowledged, all has arrived that was sent before the client knew.
            self._h2.ping(b"leaving.")

    def _end(self, code: ErrorCodes = ErrorCodes.NO_ERROR) -> None:
        """End the connection, and say which streams were served."""
        if not self._over:
            self._over = True
            last = self._h2.highest_inbound_stream_id
            self._collect()
            self._out += GoAwayFrame(0, last_stream_id=last, error_code=code).serialize()
            self._wake_reader()

    def _wake_reader(self) -> None:
        self._drained.set()
        self._connection.expire()

    # The writer

    def send_headers(
        self, stream: Stream, status: int, fields: list[tuple[str, str]], *, end: bool
    ) -> None:
        stream.check()
        self._out += self._h2.headers(stream.stream_id, status, fields, end=end)
        stream.ended = end
        self._wake_writer()

    def send(self, stream: Stream, data: bytes, *, end: bool) -> None:
        view = memoryview(data)
        for start in range(0, len(view) or 1, WRITE_AHEAD):
            stream.check()
            stream.pending = view[start : start + WRITE_AHEAD]
            stream.last = end and start + WRITE_AHEAD >= len(view)
            if not self._turns:
                while len(self._out) < WRITE_AHEAD and self._frame(stream):
                    pass
            self._wake_writer()
            until = monotonic() + self.settings.send_timeout
            if _unsent(stream):
                self._turns.append(stream)
                self._wait_for_client(stream, len(view), until)

    def _wait_for_client(self, stream: Stream, size: int, until: float) -> None:
        """While it takes what is pending of a piece of ``size`` bytes. Raises OSError."""
        self._blocked_size += size
        self._count()
        try:
            while _unsent(stream):
                stream.wait(until - monotonic())
        finally:
            self._blocked_size -= size

    def hold(self, stream: Stream, size: int) -> None:
        """Count what the app is given of a body. Raises Refused."""
        stream.held += size
        self._held += size
        if self._held > MAX_BODIES * self.settings.max_body:
            raise Refused(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "other requests of this connection have large bodies; try again",
                [("Retry-After", "1")],
            )

    def acknowledge(self, stream: Stream, size: int) -> None:
        """Let the client send as much again as has been read."""
        self._h2.acknowledge_received_data(size, stream.stream_id)
        self._collect()

    def _frame(self, stream: Stream) -> bool:
        """Frame some of what a stream has to send; whether that was possible."""
        if not _unsent(stream):
            return False
        size = min(len(stream.pending), FRAME)
        if size:
            size = min(size, self._h2.local_flow_control_window(stream.stream_id))
            if size <= 0:
                return False
        piece, stream.pending = stream.pending[:size], stream.pending[size:]
        stream.ended = stream.last and not stream.pending
        self._out += self._h2.data(stream.stream_id, piece, end=stream.ended)
        self._updates_due += 2
        return True

    def _collect(self) -> None:
        """Take what h2 wants to be sent."""
        data = self._h2.data_to_send()
        if data:
            self._out += data
        if self._out:
            self._wake_writer()

    def _take(self) -> bytes:
        """What goes out next: everything that is due, and DATA of the streams in turn."""
        in_vain = 0
        while self._turns and len(self._out) < WRITE_AHEAD and in_vain < len(self._turns):
            stream = self._turns.popleft()
            in_vain = 0 if self._frame(stream) else in_vain + 1
            if _unsent(stream):
                self._turns.append(stream)
                continue
            stream.wakes.set()
            self._admit()
        data = bytes(self._out)
        self._out.clear()
        self._drained.set()
        return data

    def _wake_writer(self) -> None:
        if not (self._writing or self._over):
            self._writing = True
            self._loop.run_callback(self._write)

    def _write(self) -> None:
        """In the event loop: send until nothing is left or the socket takes no more."""
        self._writing = False
        if self._over:
            return
        try:
            data = self._take()
            if not data:
                return
            self._writing = True
            if self._connection.send_some(data):
                self._blocked = gevent.spawn(self._wait_to_write)
            else:
                self._loop.run_callback(self._write)
        except OSError as error:
            self._fail(error)

    def _wait_to_write(self) -> None:
        until = monotonic() + self.settings.send_timeout
        try:
            while True:
                left = max(until - monotonic(), 0)
                wait_write(self._connection.fileno(), left, TimeoutError("timed out"))
                if not self._connection.send_some():
                    break
        except OSError as error:
            self._fail(error)
        else:
            self._write()
        finally:
            self._blocked = None

    def _fail(self, error: OSError) -> None:
        if isinstance(error, TimeoutError):
            self._worker.refuse(self._connection, "timeout", "too slow")
        self._over = self._broken = True
        self._wake_reader()


def _is_gone(stream: Stream) -> bool:
    return stream.gone is not None


def _unsent(stream: Stream) -> bool:
    return not stream.gone and (bool(stream.pending) or (stream.last and not stream.ended))


def _throw(stream: Stream) -> None:
    if stream.greenlet is not None:
        # Anew each time: an error refers to the frames that it passed, and they to the stream.
        stream.greenlet.throw(ClientLeft(stream.gone))
