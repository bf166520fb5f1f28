"""HTTP/2's frames as the h2 package has them, corrected where a client could misuse it.

h2 does no I/O. It keeps the state of a connection and of its streams, and answers SETTINGS and PING
by itself. Seven things differ from what it does alone: how response headers are encoded, how much
memory a client may fill with a block of header frames or with settings, what a graceful GOAWAY of
the client ends, that a malformed request ends its stream alone, that frames which ask for nothing
are reported, and that the start of an unfinished frame is known.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic
from typing import Final

from h2.config import H2Configuration
from h2.connection import ConnectionInputs, H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
    WindowUpdated,
)
from h2.exceptions import (
    DenialOfServiceError,
    FrameTooLargeError,
    InvalidBodyLengthError,
    ProtocolError,
)
from h2.settings import SettingCodes, Settings
from h2.stream import H2Stream, StreamInputs
from hpack import HPACKError
from hyperframe.frame import (
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from foobar_api.field_block import Encoder

_DATA: Final = 0
_HEADERS: Final = 1
"""Types of frames, in the fourth byte of their header."""
_END_STREAM: Final = 0x1
_END_HEADERS: Final = 0x4
_FRAME: Final = struct.Struct("!IBI")
"""A frame's header: length and type, flags, stream (RFC 9113 section 4.1)."""
_SETTING: Final = 6
"""Bytes of an entry of SETTINGS (RFC 9113 section 6.5.1)."""
_KNOWN_SETTINGS: Final = frozenset(SettingCodes)


@dataclass(kw_only=True)
class Malformed(Event):
    """A request broke the protocol on its own stream, which has been reset."""

    stream_id: int
    reason: str


@dataclass(kw_only=True)
class Noise(Event):
    """The client sent ``count`` frames, or settings, that ask for nothing."""

    count: int


class _LocalSettings(Settings):
    """Our settings, without a limit of streams, because h2 would end a connection beyond it."""

    @property
    def max_concurrent_streams(self) -> int:
        return 2**31

    @max_concurrent_streams.setter
    def max_concurrent_streams(self, new: int) -> None:
        self[SettingCodes.MAX_CONCURRENT_STREAMS] = new


CLOSED: Final = 200
"""Bytes that a closed stream takes in memory; measured."""


class Frames(H2Connection):
    """The server's side of one connection."""

    MAX_CLOSED_STREAMS = 256
    """Streams that are remembered, for frames of theirs that are on their way. h2 itself remembers
    65536, and a client could have that many of them in minutes."""

    def __init__(self, *, max_streams: int, max_head: int) -> None:
        """``max_head`` is the size that a request's headers may have, by our SETTINGS.

        The connection survives headers of twice that size, so that they get an answer.
        """
        super().__init__(
            H2Configuration(
                client_side=False,
                # Response has checked them, and writes names in lower case.
                validate_outbound_headers=False,
                normalize_outbound_headers=False,
            )
        )
        self._max_streams = max_streams
        self.local_settings = _LocalSettings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: max_streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: max_head,
            },
        )
        self._encoder = self.encoder = Encoder()  # type: ignore[assignment]
        self._max_block = self.decoder.max_header_list_size = 2 * max_head
        self.began: float | None = None
        """When the frame, or the block of header frames, began that is not complete yet."""
        self._preface = self.incoming_buffer._preamble_len  # noqa: SLF001 - h2 does not tell

    @property
    def in_body(self) -> bool:
        """Whether the frame that is not complete carries a part of a body."""
        held = self.incoming_buffer._data  # noqa: SLF001 - h2 does not tell
        return len(held) > 3 and held[3] == _DATA

    @property
    def unfinished(self) -> int:
        """Bytes of the frame, and of the block of header frames, that are not complete yet."""
        buffer = self.incoming_buffer
        block = sum(len(frame.data) for frame in buffer._headers_buffer)  # noqa: SLF001
        return len(buffer._data) + block  # noqa: SLF001 - h2 does not tell

    @property
    def remembered(self) -> int:
        """Bytes that streams take in memory which are over."""
        return CLOSED * len(self._closed_streams)

    def receive_data(self, data: bytes) -> list[Event]:  # type: ignore[override]
        """Handle what the client sent; the events that it caused. Raises ProtocolError."""
        buffer = self.incoming_buffer
        before = len(buffer._data) + len(data)  # noqa: SLF001 - h2 does not tell
        in_block = bool(buffer._headers_buffer or buffer._preamble_len)  # noqa: SLF001
        events = super().receive_data(data)
        after = len(buffer._data)  # noqa: SLF001
        in_preface = 0 < buffer._preamble_len < self._preface  # noqa: SLF001
        if not (after or buffer._headers_buffer or in_preface):  # noqa: SLF001
            self.began = None
        elif self.began is None or (after < before and not in_block):
            self.began = monotonic()
        if self.unfinished > self._max_block + self.max_inbound_frame_size:
            self.close_connection(ErrorCodes.ENHANCE_YOUR_CALM)
            raise DenialOfServiceError("sends headers without end")
        return events

    def discard(self) -> None:
        """Free what the connection takes in memory, now that it is over.

        It refers to itself by its table of methods, and the garbage collector finds an old object
        of that kind late: the streams of a dozen connections would stay.
        """
        self._frame_dispatch_table.clear()

    def headers(
        self, stream_id: int, status: int, fields: Iterable[tuple[str, str]], *, end: bool
    ) -> bytes:
        """The frame that begins a response, or an interim one. Raises ProtocolError."""
        stream = self._get_stream_by_id(stream_id)
        interim = status < HTTPStatus.OK
        self.state_machine.process_input(ConnectionInputs.SEND_HEADERS)
        stream.state_machine.process_input(
            StreamInputs.SEND_INFORMATIONAL_HEADERS if interim else StreamInputs.SEND_HEADERS
        )
        block = self._encoder.encode(status, fields)
        if len(block) > self.max_outbound_frame_size:
            raise FrameTooLargeError(f"{len(block)} bytes of headers")
        return self._frame(_HEADERS, _END_HEADERS, stream, block, end=end)

    def data(self, stream_id: int, data: memoryview, *, end: bool) -> bytes:
        """A frame of a response's body, within the client's window. Raises ProtocolError."""
        stream = self._get_stream_by_id(stream_id)
        self.state_machine.process_input(ConnectionInputs.SEND_DATA)
        stream.state_machine.process_input(StreamInputs.SEND_DATA)
        self.outbound_flow_control_window -= len(data)
        stream.outbound_flow_control_window -= len(data)
        return self._frame(_DATA, 0, stream, data, end=end)

    @staticmethod
    def _frame(
        kind: int, flags: int, stream: H2Stream, content: bytes | memoryview, *, end: bool
    ) -> bytes:
        if end:
            stream.state_machine.process_input(StreamInputs.SEND_END_STREAM)
            flags |= _END_STREAM
        return _FRAME.pack(len(content) << 8 | kind, flags, stream.stream_id) + content

    def _receive_frame(self, frame: Frame) -> list[Event]:
        events = super()._receive_frame(frame)
        if isinstance(frame, WindowUpdateFrame):
            # h2 reports none for a stream that is over, whose client may not know that yet.
            return events or [
                WindowUpdated(stream_id=frame.stream_id, delta=frame.window_increment)
            ]
        if not any(_asks(event) for event in events):
            entries = frame.body_len // _SETTING if isinstance(frame, SettingsFrame) else 1
            events.append(Noise(count=max(entries, 1)))
        return events

    def _receive_settings_frame(self, frame: SettingsFrame) -> tuple[list[Frame], list[Event]]:
        # A server ignores unknown settings (RFC 9113 section 6.5.2). h2 would remember each of
        # them until the connection ends, and all 65536 take 50 MB.
        frame.settings = {
            code: value for code, value in frame.settings.items() if code in _KNOWN_SETTINGS
        }
        return super()._receive_settings_frame(frame)

    def _receive_headers_frame(self, frame: HeadersFrame) -> tuple[list[Frame], list[Event]]:
        # h2 makes errors of the connection of what are errors of the stream: a malformed request
        # (RFC 9113 section 8.1.1), and one stream too many (section 5.1.2).
        is_new = frame.stream_id not in self.streams
        try:
            answers, events = super()._receive_headers_frame(frame)
        except ProtocolError as error:
            # Errors of the connection have classes of their own, or occur before the stream exists.
            # After one of HPACK, the header table is no longer known.
            is_malformed = type(error) is ProtocolError and frame.stream_id in self.streams
            if not is_malformed or isinstance(error.__cause__, HPACKError):
                raise
            return self._reset_malformed(frame.stream_id, error)
        if is_new and self.open_inbound_streams > self._max_streams:
            self.reset_stream(frame.stream_id, ErrorCodes.REFUSED_STREAM)
            return [], []
        return answers, events

    def _receive_goaway_frame(self, frame: GoAwayFrame) -> tuple[list[Frame], list[Event]]:
        # h2 would refuse to send anything more. A client that only says that it will open no more
        # streams still wants the answers to those it has opened (RFC 9113 section 6.8).
        if frame.error_code == ErrorCodes.NO_ERROR and self.open_inbound_streams:
            event = ConnectionTerminated()
            event.error_code = ErrorCodes.NO_ERROR
            event.last_stream_id = frame.last_stream_id
            return [], [event]
        return super()._receive_goaway_frame(frame)

    def _receive_data_frame(self, frame: DataFrame) -> tuple[list[Frame], list[Event]]:
        # An error of the stream (RFC 9113 section 8.1.1), of which h2 makes one of the connection.
        try:
            return super()._receive_data_frame(frame)
        except InvalidBodyLengthError as error:
            self.acknowledge_received_data(frame.flow_controlled_length, frame.stream_id)
            return self._reset_malformed(frame.stream_id, error)

    def _reset_malformed(
        self, stream_id: int, error: ProtocolError
    ) -> tuple[list[Frame], list[Event]]:
        self.reset_stream(stream_id, ErrorCodes.PROTOCOL_ERROR)
        return [], [Malformed(stream_id=stream_id, reason=str(error))]


def _asks(event: Event) -> bool:
    """Whether the client wants something by what caused ``event``."""
    if isinstance(event, DataReceived):
        return bool(event.data)
    return isinstance(
        event, RequestReceived | TrailersReceived | StreamEnded | StreamReset | Malformed
    )
