"""One client's bytes, plain or in TLS, with a deadline on every wait.

A Connection takes the place of a socket. It exists for three things that a socket does not do: it
takes a PROXY header off before the TLS handshake; what is written in several pieces goes out as
one, since each costs a TLS record and a system call; and no peer holds it longer than its deadline.
TLS runs in memory, by ssl.MemoryBIO, so that one read or write of the socket is one system call
whatever TLS makes of it.
"""

import contextlib
import math
import socket
import ssl
from http import HTTPStatus
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent import get_hub, getcurrent

from foobar_api import client_hello, proxy_protocol
from foobar_api.answer import ClientLeft, Refused
from foobar_api.client_hello import ClientHello, ClientHelloError
from foobar_api.fairness import give_way
from foobar_api.session import Session, Tls
from foobar_api.settings import WRITE_AHEAD
from foobar_api.tls import PROTOCOLS

if TYPE_CHECKING:
    from foobar_api.budget import Budget
    from foobar_api.tls import Certificates

RAW_CHUNK: Final = 16384
"""Bytes taken from the socket at once."""
RECORD: Final = 17 * 2**10
"""Bytes that OpenSSL keeps for a record of which a part has arrived, however small."""

TURNS: Final = 4
"""How often all others have their turn while a connection waits for evicted ones to leave."""
USUAL: Final = 8 * 2**10
"""Bytes of requests and responses at once that every connection may hold without being counted."""

_READ: Final = 1
_WRITE: Final = 2
"""Events as libev numbers them."""


class Connection:
    """A client's connection from accept to close, used by one greenlet, but for HTTP/2."""

    session: Session
    """Known once the connection is ready for requests."""

    def __init__(
        self,
        sock: socket.socket,
        peer: tuple[str, int],
        *,
        send_timeout: float,
        budget: "Budget[Connection]",
    ) -> None:
        """``sock`` does not block, and belongs to the connection from here on.

        ``send_timeout`` is in seconds, for each ``WRITE_AHEAD`` bytes that the client is sent.
        Whenever the connection waits, it tells ``budget`` what it holds.
        """
        self.peer = peer
        self.held = 0
        """Bytes of requests and responses that others keep for this connection."""
        self.idle = False
        """Whether it waits for a request that nothing has been seen of."""
        self.since = monotonic()
        """When the client began what it is at: its request, or the wait for the next one."""
        self.waits_since: float | None = None
        """When the server began to wait for the client; None while it does not."""
        self.deadline: float | None = None
        """When the wait that is under way ends, by the monotonic clock; None while none is."""
        self.evicted = False
        """Whether the client has to leave its place to others; no wait begins any more."""
        self._sock = sock
        self._send_timeout = send_timeout
        self._limit: float | None = None
        self._tls: ssl.SSLObject | None = None
        self._ended = False  # whether the client has said that it sends no more
        self._received = b""  # read ahead, and before TLS still encrypted
        self._written: list[bytes] = []
        self._written_size = 0
        self._unsent = b""  # as it goes to the socket
        self._sending = False
        self._scheduled = False
        self._split = False
        self._waiter: Any = None
        self._waits = 0
        self._budget = budget
        self._counted = 0
        self._in_record = False
        # OpenSSL's buffers in memory stay as large as they have ever been.
        self._largest_received = self._largest_sent = 0
        self._hub = get_hub()
        self._loop = self._hub.loop
        self._readable = self._loop.io(sock.fileno(), _READ)

    # As a socket has them

    def fileno(self) -> int:
        return self._sock.fileno()

    def settimeout(self, seconds: float | None) -> None:
        """All reads from now on, and one that waits, must be over in ``seconds``."""
        self._limit = None if seconds is None else monotonic() + seconds
        if self._waiter is not None:
            self.deadline = self._limit

    def recv(self, size: int) -> bytes:
        """Up to ``size`` bytes; none at the end. Raises TimeoutError and OSError.

        Other clients have their turn in between, however much this one has sent.
        """
        self._check_limit()
        waits = self._waits
        data = self._received or self._read_on(size)
        self._received = data[size:]
        if waits == self._waits:
            give_way()
        return data[:size]

    def unread(self, data: bytes) -> None:
        """Have ``data`` read again."""
        self._received = data + self._received

    def _read_on(self, size: int = RAW_CHUNK) -> bytes:
        """What comes next, if it is TLS up to ``size`` bytes of it; none at the end."""
        if self._tls is None:
            return self._receive()
        while not self._ended:
            # Asking OpenSSL in vain costs as much as decrypting a request.
            if self.buffered:
                try:
                    data = self._decrypt(self._tls, size)
                except ssl.SSLWantReadError:
                    pass
                else:
                    self._in_record = False
                    return data
            raw = self._receive()
            if not raw:
                # No close_notify: whether something is missing, HTTP knows by itself.
                break
            self._incoming.write(raw)
            self._in_record = True
            self._largest_received = max(self._largest_received, len(raw))
        return b""

    def _decrypt(self, tls: ssl.SSLObject, size: int) -> bytes:
        """What has arrived, up to ``size`` bytes of it; none at the end.

        A record may hold a single byte. Whoever reads pays for each call, so it gets what all
        records hold together. Raises ssl.SSLError; SSLWantReadError if no record is complete.
        """
        pieces: list[bytes] = []
        while True:
            try:
                piece = tls.read(size)
                self._ended = not piece
            except ssl.SSLZeroReturnError:
                self._ended = True
                piece = b""
            except ssl.SSLWantReadError:
                if not pieces:
                    raise
                piece = b""
            pieces.append(piece)
            size -= len(piece)
            if not (piece and size and self._incoming.pending):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def sendall(self, data: bytes) -> None:
        """Send ``data`` once this greenlet waits for anything; at once when the client is behind.

        Other clients have their turn in between, however fast this one reads. Raises TimeoutError
        and OSError.
        """
        if len(data) > WRITE_AHEAD:
            self._send_long(data)
            return
        self._written.append(data)
        self._written_size += len(data)
        if self._written_size >= WRITE_AHEAD:
            waits = self._waits
            self.flush()
            if waits == self._waits:
                give_way()
        elif not self._scheduled:
            self._scheduled = True
            self._loop.run_callback(self._flush_without_waiting)

    def _send_long(self, data: bytes) -> None:
        """Encrypt no more of it at once than a response may be ahead of its client."""
        self.held += len(data)
        try:
            for start in range(0, len(data), WRITE_AHEAD):
                self.sendall(data[start : start + WRITE_AHEAD])
        finally:
            self.held -= len(data)

    def flush(self) -> None:
        """Send everything. Raises TimeoutError and OSError."""
        if self._written:
            self._seal()
        if not self._unsent:
            return
        self._sending = True
        since = monotonic()
        try:
            while self._send_some():
                watcher = self._loop.io(self._sock.fileno(), _WRITE)
                try:
                    self._wait(watcher, since + self._send_timeout, since)
                finally:
                    watcher.close()
        finally:
            self._sending = False

    def pause(self, seconds: float) -> None:
        """Let ``seconds`` pass, but no more of them once the client has left.

        Raises ClientLeft, and Refused if the client has to leave its place to others.
        """
        if self._split:
            # Over HTTP/2 whoever reads ends the requests of a client that leaves.
            gevent.sleep(seconds)
            return
        limit, until = self._limit, monotonic() + seconds
        # The client may still be sending its body, and this is not the time that it has for it.
        self._limit = math.inf
        # False lets it end the block without an error, which its types do not know.
        with gevent.Timeout(seconds, False):  # type: ignore[arg-type]  # noqa: FBT003
            try:
                while len(self._received) < RAW_CHUNK and (data := self._read_on()):
                    self._received += data
            except TimeoutError:
                raise Refused(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "others need the place of this connection; try again",
                    [("Retry-After", "1")],
                ) from None
            except OSError as error:
                raise ClientLeft(str(error)) from None
            if not data:
                raise ClientLeft("left while its request waited")
            gevent.sleep(until - monotonic())
        self._limit = limit and limit + seconds

    # When one greenlet reads and others send

    def split(self) -> None:
        """From now on a read does not wait for what is sent, which goes by ``send_some``."""
        self._split = True
        # What is in the socket delays what comes after it, such as the answer to a PING.
        self._sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 2 * WRITE_AHEAD)

    def join(self) -> None:
        """From now on one greenlet reads and sends."""
        self._split = False

    @property
    def buffered(self) -> bool:
        """Whether a read would find something without waiting."""
        tls = self._tls
        return bool(self._received or (tls and (tls.pending() or self._incoming.pending)))

    def send_some(self, data: bytes = b"") -> bool:
        """Send what the socket takes at once, ``data`` last; whether something is left.

        Raises OSError.
        """
        if data:
            self._written.append(data)
        if self._written:
            self._seal()
        return self._send_some()

    # Before and after HTTP

    def open(self, trusted: proxy_protocol.Trusted, certificates: "Certificates | None") -> None:
        """Get ready for requests: take a trusted PROXY header off, shake hands.

        Raises HeaderError, ssl.SSLError, TimeoutError and OSError.
        """
        client = self._read_proxy_header() if self.peer[0] in trusted else None
        tls = None
        if certificates:
            hello = self._read_client_hello()
            self._check_presence()
            # Not before the client has spoken: what is served may change while it is silent.
            certificate = certificates.certificate
            tls = Tls.of(self._start_tls(certificates.context), certificate, hello.server_name)
        self.session = Session(client=client or self.peer, peer=self.peer, tls=tls)

    def _read_proxy_header(self) -> proxy_protocol.Address | None:
        data = b""
        while (found := proxy_protocol.parse(data)) is None:
            more = self._receive()
            if not more:
                raise ConnectionResetError("closed before it said anything")
            data += more
        client, length = found
        self._received = data[length:]
        return client

    def _read_client_hello(self) -> ClientHello:
        """Leaves what it has read to OpenSSL."""
        reader, data = client_hello.Reader(), self._received
        received = bytearray(data)
        try:
            while (hello := reader.feed(data)) is None:
                data = self._receive()
                if not data:
                    raise ConnectionResetError("closed in the TLS handshake")
                received += data
            hello.check(PROTOCOLS)
        except ClientHelloError as refused:
            self._unsent += refused.alert
            raise
        self._received = bytes(received)
        return hello

    def _check_presence(self) -> None:
        """Raise OSError if the client has left, and the cost of a handshake would be in vain."""
        try:
            if not self._sock.recv(1, socket.MSG_PEEK):
                raise ConnectionResetError("closed in the TLS handshake")
        except (BlockingIOError, InterruptedError):
            pass

    def _start_tls(self, context: ssl.SSLContext) -> ssl.SSLObject:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._incoming.write(self._received)
        self._received = b""
        while True:
            try:
                tls.do_handshake()
            except ssl.SSLWantReadError:
                self._unsent += self._outgoing.read()
                raw = self._receive()
                if not raw:
                    raise ConnectionResetError("closed in the TLS handshake") from None
                self._incoming.write(raw)
            except ssl.SSLError:
                # The alert that says why.
                self._unsent += self._outgoing.read()
                raise
            else:
                self._tls = tls
                # The last of the handshake, or tickets for another session: with the answer when
                # the request has come along, and at once otherwise, since a client may hold its
                # request back until it hears that its own part has arrived (RFC 896).
                self._unsent += self._outgoing.read()
                return tls

    def finish(self) -> None:
        """Send everything, and that nothing follows. Raises TimeoutError and OSError."""
        self._say_goodbye()
        self.flush()

    def linger(self, seconds: float, most: int) -> None:
        """Read on for a while, of a client that may still send what nobody will answer.

        Closing at once would reset the connection, and with it the answer on its way.
        """
        with contextlib.suppress(OSError, ssl.SSLError):
            self.finish()
            self._sock.shutdown(socket.SHUT_WR)
            self.settimeout(seconds)
            while most > 0 and (data := self._receive()):
                most -= len(data)

    def close(self) -> None:
        """Send what the socket takes at once, say goodbye, close. Neither raises nor waits."""
        with contextlib.suppress(OSError, ssl.SSLError):
            self._say_goodbye()
            self._send_some()
        self._readable.close()
        self._sock.close()
        self._budget.count(self, 0)

    def count(self) -> None:
        """Tell the budget what the connection holds, which may end it."""
        size = self._size()
        if size != self._counted:
            self._counted = size
            self._budget.count(self, size)

    def _size(self) -> int:
        size = self.held + len(self._received) + len(self._unsent)
        if self._in_record:
            size += RECORD
        buffers = self._largest_received + self._largest_sent
        if buffers > USUAL:
            size += buffers * 4 // 3  # OpenSSL lets them grow by a third more than it needs
        return size

    def admits(self) -> bool:
        """Whether the connection may hold what it does now; others may have to leave for that."""
        if self._size() > self._budget.share:
            return False
        self.count()
        for _ in range(TURNS):
            if not self._budget.exhausted:
                return True
            give_way()
        return not self._budget.exhausted

    def evict(self) -> None:
        """End the wait that is under way, and let no other one begin."""
        self.evicted = True
        self.expire()

    def expire(self) -> None:
        """End the wait that is under way, if any, with TimeoutError."""
        if self.deadline is not None:
            self.deadline = None
            self._loop.run_callback(self._end_wait, self._waits)

    def _end_wait(self, number: int) -> None:
        # What was waited for may have come in between, and another wait have begun.
        if self._waiter is not None and self._waits == number:
            self._waiter.throw(TimeoutError("timed out"))

    # The socket

    def _say_goodbye(self) -> None:
        if self._written:
            self._seal()
        if self._tls is not None:
            tls, self._tls = self._tls, None
            with contextlib.suppress(ssl.SSLError):
                tls.unwrap()  # which would wait for the other side's goodbye
            self._unsent += self._outgoing.read()

    def _seal(self) -> None:
        """Turn what was written into what goes to the socket."""
        data = b"".join(self._written)
        self._written.clear()
        self._written_size = 0
        if self._tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
            self._largest_sent = max(self._largest_sent, len(data))
        self._unsent += data

    def _flush_without_waiting(self) -> None:
        """In the event loop, once the greenlet waits for something."""
        self._scheduled = False
        if self._written and not self._sending and self._sock.fileno() >= 0:
            # What goes wrong here goes wrong again where it can be handled.
            with contextlib.suppress(OSError):
                self._seal()
                self._send_some()

    def _send_some(self) -> bool:
        """Give the socket what it takes; whether something is left."""
        while self._unsent:
            try:
                sent = self._sock.send(self._unsent)
            except (BlockingIOError, InterruptedError):
                return True
            self._unsent = self._unsent[sent:]
        return False

    def _receive(self) -> bytes:
        # Nobody waits for an answer that is still held back.
        if not self._split:
            self.flush()
        while True:
            self._wait(self._readable, self._limit, self.since)
            try:
                return self._sock.recv(RAW_CHUNK)
            except (BlockingIOError, InterruptedError):
                continue

    def _check_limit(self) -> None:
        """Raise TimeoutError if the time to read is over, also if there is something to read."""
        if self._limit is not None and monotonic() >= self._limit:
            raise TimeoutError("timed out")

    def _wait(self, watcher: Any, limit: float | None, since: float) -> None:
        self._waits += 1
        self._waiter = waiter = getcurrent()
        self.deadline = limit
        self.waits_since = since
        try:
            self.count()
            if self.evicted:
                raise TimeoutError("evicted")
            watcher.start(waiter.switch)
            self._hub.switch()
        finally:
            watcher.stop()
            self.deadline = self.waits_since = self._waiter = None
