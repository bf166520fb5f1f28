"""gunicorn's worker: one greenlet per connection, so that a slow client costs memory and no more.

It differs from gunicorn's own gevent worker in what happens before the first request (a PROXY
header, then TLS from a context that changes under it), in the limits on every client, and in how
it stops: ready no more, but accepting until nobody is sent here.
"""

import errno
import logging
import math
import os
import resource
import socket
import ssl
import sys
import time
from http import HTTPStatus
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

import gevent
from gevent import monkey
from gunicorn.workers.base import Worker as GunicornWorker

from foobar_api import gateway, http1, metrics, proxy_protocol
from foobar_api.answer import Refused
from foobar_api.balance import SHARES
from foobar_api.budget import Budget
from foobar_api.connection import RAW_CHUNK, Connection
from foobar_api.exporter import Exporter
from foobar_api.fairness import give_way
from foobar_api.http2 import ServerConnection
from foobar_api.log import Logger, in_event_loop
from foobar_api.server import certificates
from foobar_api.tls import Certificates

if TYPE_CHECKING:
    from foobar_api.application import Application
    from foobar_api.request import Request

log = logging.getLogger(__name__)

SPARE_FILES: Final = 64
"""Files that a worker may open beside the clients' connections: its own, and those of metrics."""
QUIET: Final = 60.0
"""Seconds without a fault after which it is logged again."""
TICK: Final = 0.25
"""Seconds between looks at the clock: for deadlines, the certificate's files, and gunicorn."""
ON_ITS_WAY: Final = 1.0
"""Seconds that a stopping worker leaves an idle connection open, for a request under way to it."""
YIELD: Final = 0.001
"""Seconds for which a worker that has more connections than another leaves a new one to it."""
LINGER: Final = 2.0
"""Seconds that a client may go on sending after an answer that closes its connection."""
LINGER_BYTES: Final = 2**20

CLIENT_LEFT: Final = 499
"""In metrics and logs, for a client that left before its answer began. It is never sent."""
_ACCEPT_LATER: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})


class Worker(GunicornWorker):
    """Serves ``self.wsgi``, an Application, on the first socket and metrics on the second."""

    wsgi: "Application"
    log: Logger

    def init_process(self) -> None:
        # A request that sleeps lets the others go on.
        monkey.patch_time()
        gevent.reinit()
        gevent.get_hub().print_exception = in_event_loop  # type: ignore[method-assign,assignment]
        super().init_process()

    def run(self) -> None:
        self.settings = self.wsgi.settings
        self.trusted = proxy_protocol.Trusted(self.settings.proxy_from)
        self.certificates = self._certificates()
        self.connections: set[Connection] = set()
        self.waiting: dict[Connection, None] = {}
        """Connections without a request, the one that waits longest first."""
        self.in_flight = 0
        self.most = affordable(self.settings.max_connections)
        self.budget = Budget(self.settings.max_buffered, self.evict)
        self.complained = -math.inf
        listener, *others = [each.sock for each in self.sockets]
        for other in others:
            Exporter(other).start()
        listener.settimeout(0)
        self.environ = gateway.base_environ(listener.getsockname())
        SHARES.set(self.age, 0)
        accepting = gevent.spawn(self.accept, listener)
        while self.alive:
            self.tick()
        self.stop(listener, accepting)

    def stop(self, listener: socket.socket, accepting: "gevent.Greenlet[..., None]") -> None:
        """Let those who are still sent here, and those who are being served, have their answers."""
        self.wsgi.draining = True
        log.info("not ready; accepting for %gs more", self.settings.drain)
        until = time.monotonic() + self.settings.drain
        while time.monotonic() < until:
            self.tick()
        accepting.kill()
        while self.accept_one(listener):
            pass
        listener.close()
        until = time.monotonic() + self.settings.grace
        while self.connections and (now := time.monotonic()) < until:
            for connection in self.connections:
                if connection.idle and connection.since + ON_ITS_WAY < now:
                    connection.expire()
            self.tick()
        if self.connections:
            log.warning("%d connections cut off", len(self.connections))

    def tick(self) -> None:
        """Do what has to be done now and then, and let TICK pass."""
        self.notify()
        if self.ppid != os.getppid():
            sys.exit(0)
        now = time.monotonic()
        for connection in self.connections:
            if connection.deadline is not None and connection.deadline <= now:
                connection.expire()
        if self.certificates:
            self.certificates.refresh()
        metrics.OPEN.set(len(self.connections))
        metrics.IN_FLIGHT.set(self.in_flight)
        self.log.flush()
        gevent.sleep(TICK)

    def handle_quit(self, sig: int, frame: FrameType | None) -> None:
        # It sleeps, which the event loop's own greenlet must not.
        gevent.spawn(super().handle_quit, sig, frame)

    def _certificates(self) -> Certificates | None:
        found = certificates(self.settings)
        if found:
            found.on_reload = metrics.reloaded
            metrics.serving(found.certificate, good=found.newest)
        return found

    # Connections

    def accept(self, listener: socket.socket) -> None:
        hub = gevent.get_hub()
        ready = hub.loop.io(listener.fileno(), 1)
        while True:
            hub.wait(ready)
            if SHARES.is_ahead(self.age):
                gevent.sleep(YIELD)
            if len(self.connections) >= self.most and not self.make_room():
                gevent.sleep(TICK)
                continue
            try:
                # One at a time: what is left goes to the worker that has time for it.
                self.accept_one(listener)
            except OSError as error:
                if error.errno not in _ACCEPT_LATER:
                    raise
                self.complain(error)
                # What makes room is a greenlet that ends; it has its turn first.
                gevent.sleep(0 if self.make_room() else TICK)

    def complain(self, error: OSError) -> None:
        """Log that no connection can be accepted, once for as long as it lasts."""
        now = time.monotonic()
        if now - self.complained > QUIET:
            log.error("cannot accept, and closes connections to make room: %s", error)
        self.complained = now

    def accept_one(self, listener: socket.socket) -> bool:
        try:
            sock, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError, InterruptedError):
            return False
        sock.settimeout(0)
        peer = (_plain(address[0]), address[1])
        connection = Connection(
            sock, peer, send_timeout=self.settings.send_timeout, budget=self.budget
        )
        # Not only once its greenlet runs: a worker that stops waits for all that it has accepted.
        self.connections.add(connection)
        self.waiting[connection] = None
        SHARES.set(self.age, len(self.connections))
        gevent.spawn_raw(self.handle, connection)
        return True

    def make_room(self) -> bool:
        """Close one connection, if any can be closed.

        That is the one without a request that has waited longest for it. If all have requests, it
        is the one whose client has let the server wait longest.
        """
        waiting = next(iter(self.waiting), None) or min(
            (each for each in self.connections if each.waits_since and not each.evicted),
            key=lambda each: each.waits_since or math.inf,
            default=None,
        )
        if waiting is None:
            return False
        self.evict(waiting)
        return True

    def evict(self, connection: Connection) -> None:
        """Close a connection, in favour of others."""
        self.waiting.pop(connection, None)
        connection.evict()
        self.refuse(connection, "evicted", "others need its place")

    def handle(self, connection: Connection) -> None:
        """Serve a connection from its first byte to its last."""
        try:
            if self.open(connection):
                session = connection.session
                if session.tls and session.tls.protocol == "h2":
                    ServerConnection(connection, self).serve()
                else:
                    self.serve_http1(connection)
                connection.finish()
        except TimeoutError:
            if not (connection.idle or connection.evicted):
                self.refuse(connection, "timeout", "too slow")
        except OSError as error:
            # ssl.SSLError as well: whoever breaks TLS or leaves gets no answer.
            log.debug("%s: %s", connection.peer[0], error)
        except Exception:
            log.exception("%s: connection failed", connection.peer[0])
        finally:
            self.waiting.pop(connection, None)
            self.connections.discard(connection)
            SHARES.set(self.age, len(self.connections))
            connection.close()

    def open(self, connection: Connection) -> bool:
        connection.settimeout(self.settings.handshake_timeout)
        try:
            connection.open(self.trusted, self.certificates)
        except TimeoutError:
            if not connection.evicted:
                self.refuse(connection, "handshake_timeout", "no handshake in time")
        except proxy_protocol.HeaderError as error:
            self.refuse(connection, "proxy", str(error))
        except ssl.SSLError as error:
            self.refuse(connection, "tls", error.reason or str(error))
        except OSError:
            # A port scan, a TCP health check.
            self.refuse(connection, "reset", "left before a request")
        else:
            metrics.ACCEPTED.labels("proxy" if connection.session.proxied else "peer").inc()
            return True
        return False

    def refuse(self, connection: Connection, reason: str, says: str) -> None:
        metrics.REFUSED.labels(reason).inc()
        log.debug("%s refused: %s", connection.peer[0], says)

    def wait(self, connection: Connection) -> None:
        """What is read next is a request's first byte."""
        self.waiting[connection] = None
        connection.held = 0
        connection.idle = True
        connection.since = time.monotonic()
        connection.settimeout(self.settings.keep_alive)

    # Requests

    def serve_http1(self, connection: Connection) -> None:
        unreader = http1.Unreader(connection, self.settings)
        while True:
            data = b""
            if not unreader.buf.getvalue():
                self.wait(connection)
                data = connection.recv(RAW_CHUNK)
                connection.idle = False
                connection.since = time.monotonic()
                if not data:
                    return
            else:
                give_way()  # requests that arrive together have no more turns than others
            connection.settimeout(self.settings.header_timeout)
            try:
                head = unreader.read_head(data)
                if head is None:
                    return
                request = http1.Request(head, unreader)
            except Refused as refused:
                request_id = self.refuse_request(connection, refused)
                connection.sendall(http1.closing(refused.answer, request_id))
                break
            self.waiting.pop(connection, None)
            connection.settimeout(self.settings.body_timeout)
            response = http1.Response(request, connection, closes=not self.alive)
            if not self.answer_http1(request, response, connection):
                break
            if response.should_close():
                if not response.upgrade and request.is_read and request.should_close():
                    return  # the client sends nothing more
                break
            # Most requests leave nothing of a body to skip.
            if not request.is_read and not request.skip_body(self.settings.max_body):
                break
            del head, request, response  # they may be large, and the wait for the next one long
        connection.linger(LINGER, LINGER_BYTES)

    def answer_http1(
        self, request: http1.Request, response: http1.Response, connection: Connection
    ) -> bool:
        """Whether the app had a response."""
        try:
            self.answer(request, response, connection)
        except OSError:
            raise
        except Exception:
            log.exception("request failed")
            failed = Refused(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error")
            connection.sendall(http1.closing(failed.answer, os.urandom(8).hex()))
            return False
        return True

    def refuse_request(self, connection: Connection, refused: Refused) -> str:
        """Count and log a request that cannot be read; the id that its answer gets."""
        request_id = os.urandom(8).hex()
        metrics.REFUSED.labels("bad_request").inc()
        log.info("%s: request %s refused with %d: %s", connection.session.client[0], request_id,
                 refused.answer.status, refused)  # fmt: skip
        return request_id

    def busy(self, connection: Connection) -> None:
        """A request has come."""
        connection.idle = False
        connection.since = time.monotonic()
        self.waiting.pop(connection, None)

    def answer(
        self, request: "Request", response: gateway.Response, connection: Connection
    ) -> None:
        """Call the app and send what it answers."""
        started = time.monotonic()
        environ = gateway.environ_of(request, connection, self.environ)
        self.in_flight += 1
        body: Any = None
        try:
            body = self.wsgi(environ, response.start_response)
            for piece in body:
                response.write(piece)
            response.close()
        except OSError:
            if not response.headers_sent:
                response.code = CLIENT_LEFT
            raise
        except Exception as error:
            if not response.headers_sent:
                raise
            log.exception("response cut off")
            raise ConnectionAbortedError from error
        finally:
            self.in_flight -= 1
            self.log.answered(response, request, environ, time.monotonic() - started)
            if hasattr(body, "close"):
                body.close()


def affordable(connections: int) -> int:
    """As many of ``connections`` as there may be open files, whose limit is raised if need be."""
    wanted = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < wanted:
        log.warning("%d connections at most: no more than %d files may be open; raise the limit "
                    "with ulimit -n", max(soft - SPARE_FILES, 1), soft)  # fmt: skip
        return max(soft - SPARE_FILES, 1)
    return connections


def _plain(host: str) -> str:
    """An IPv4 address that came through an IPv6 socket, as IPv4."""
    if host.startswith("::ffff:") and "." in host:
        return host.removeprefix("::ffff:")
    return host.partition("%")[0]
