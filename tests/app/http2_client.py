"""A client that speaks HTTP/2 frame by frame, so that a test may break any rule."""

import contextlib
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Self

from hpack import Decoder, Encoder
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.app.server import HOST, Server, client_context

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@dataclass
class Answer:
    """What has arrived on a stream."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None
    """The error code of RST_STREAM."""

    @property
    def status(self) -> int:
        return int(dict(self.headers)[":status"])

    @property
    def over(self) -> bool:
        return self.ended or self.reset is not None


class Client:
    """One connection over TLS. It grants no window, and sends nothing, unless a test does."""

    def __init__(self, server: Server, settings: dict[int, int] | None = None) -> None:
        assert server.pair
        self._sock = server.raw()
        # TLS in memory: what several records hold can go out as one TCP segment.
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = client_context(server.pair.ca, "h2").wrap_bio(
            self._incoming, self._outgoing, server_hostname=HOST
        )
        self._encoder, self._decoder = Encoder(), Decoder()
        self._received = bytearray()
        self._decoder.max_allowed_table_size = 2**32 - 1
        self.answers: dict[int, Answer] = {}
        self.goaways: list[GoAwayFrame] = []
        self.windows: dict[int, int] = {0: 65535}
        """Bytes that may be sent, on streams that upload and on the whole connection."""
        self.pongs: list[bytes] = []
        """What acknowledged PING frames of ours held."""
        self._pings = 0
        self.closed = False
        self._shake_hands()
        self.send(PREFACE, SettingsFrame(0, settings=settings or {}))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._sock.close()

    def _shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._sock.sendall(self._outgoing.read())
                self._incoming.write(self._sock.recv(65536))
            else:
                self._sock.sendall(self._outgoing.read())
                return

    @property
    def table_size(self) -> int:
        """Bytes of the table that the server's headers refer to, as it has set it."""
        return self._decoder.header_table_size

    # Sending

    def send(self, *frames: Frame | bytes, records: bool = False) -> None:
        """Send all at once, in one TLS record or each in one of its own."""
        pieces = [each if isinstance(each, bytes) else each.serialize() for each in frames]
        for piece in pieces if records else [b"".join(pieces)]:
            self._tls.write(piece)
        self._sock.sendall(self._outgoing.read())

    def encode(self, *headers: tuple[str | bytes, str | bytes]) -> bytes:
        return self._encoder.encode(headers)

    def request(
        self,
        path: str,
        *headers: tuple[str | bytes, str | bytes],
        stream: int = 1,
        method: str = "GET",
        authority: str = HOST,
        end: bool = True,
    ) -> HeadersFrame:
        """The frame that asks for ``path``."""
        pseudo = {":method": method, ":scheme": "https", ":authority": authority, ":path": path}
        frame = HeadersFrame(stream, flags=["END_HEADERS", *(["END_STREAM"] if end else [])])
        frame.data = self.encode(*pseudo.items(), *headers)
        self.answers[stream] = Answer()
        return frame

    def get(self, path: str, *headers: tuple[str | bytes, str | bytes], stream: int = 1) -> Answer:
        """Ask, and wait for the answer."""
        self.send(self.request(path, *headers, stream=stream))
        return self.answer(stream)

    def upload(self, stream: int, size: int) -> None:
        """Send ``size`` bytes of a body, and not its end, unless the answer comes before."""
        self.windows.setdefault(stream, 65535)
        while size and not self.answers[stream].over:
            piece = min(size, 16384, self.windows[0], self.windows[stream])
            if not piece:
                self.read(1)
                continue
            self.send(DataFrame(stream, bytes(piece)))
            size -= piece
            self.windows[0] -= piece
            self.windows[stream] -= piece

    def answer(self, stream: int = 1) -> Answer:
        """The answer on ``stream`` once it is over."""
        self.until(lambda: self.answers[stream].over)
        return self.answers[stream]

    # Receiving

    def until(self, check: Callable[[], object], *, seconds: float = 5) -> float:
        """Read until ``check`` is true; the seconds that took."""
        started = time.monotonic()
        while not check():
            left = started + seconds - time.monotonic()
            assert left > 0, f"not within {seconds} s"
            self.read(left)
        return time.monotonic() - started

    def until_closed(self, *, seconds: float = 5) -> float:
        return self.until(lambda: self.closed, seconds=seconds)

    def until_acknowledged(self, *, seconds: float = 5) -> float:
        """Send SETTINGS and PING, and wait until both are acknowledged; the seconds that took."""
        self._pings += 1
        data = b"%08d" % self._pings
        self.send(SettingsFrame(0), PingFrame(0, opaque_data=data))
        # The server acknowledges them in turn.
        return self.until(lambda: data in self.pongs, seconds=seconds)

    def read(self, seconds: float) -> None:
        """Take what arrives next, if anything does in time."""
        self._sock.settimeout(seconds)
        try:
            raw = self._sock.recv(65536)
        except TimeoutError:
            return
        except ConnectionResetError:
            raw = b""
        assert not self.closed, "read on after the end"
        self.closed = not raw
        self._incoming.write(raw)
        with contextlib.suppress(ssl.SSLError):  # nothing more, or the end
            while data := self._tls.read(65536):
                self._received += data
        self._parse()

    def _parse(self) -> None:
        while len(self._received) >= 9:
            frame, length = Frame.parse_frame_header(memoryview(bytes(self._received[:9])))
            if len(self._received) < 9 + length:
                return
            frame.parse_body(memoryview(bytes(self._received[9 : 9 + length])))
            del self._received[: 9 + length]
            self._take(frame)

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, GoAwayFrame):
            self.goaways.append(frame)
        elif isinstance(frame, WindowUpdateFrame):
            if frame.stream_id in self.windows:
                self.windows[frame.stream_id] += frame.window_increment
        elif isinstance(frame, PingFrame):
            if "ACK" in frame.flags:
                self.pongs.append(frame.opaque_data)
            else:
                self.send(PingFrame(0, opaque_data=frame.opaque_data, flags=["ACK"]))
        elif frame.stream_id in self.answers:
            answer = self.answers[frame.stream_id]
            if isinstance(frame, HeadersFrame):
                answer.headers += [(str(name), str(value)) for name, value in
                                   self._decoder.decode(frame.data)]  # fmt: skip
            elif isinstance(frame, DataFrame):
                answer.body += frame.data
            elif isinstance(frame, RstStreamFrame):
                answer.reset = frame.error_code
            answer.ended = answer.ended or "END_STREAM" in frame.flags
