"""HTTP/2 as gunicorn has it, with fewer frames, and with waits that are ours.

Each frame costs as much as all the rest of a short answer, and gunicorn ends every stream with one
that is empty.
"""

from typing import TYPE_CHECKING

from gunicorn.http2.connection import HTTP2ServerConnection
from gunicorn.http2.response import HTTP2Response

if TYPE_CHECKING:
    from gunicorn.config import Config

    from foobar_api.connection import Connection
    from foobar_api.settings import Settings


class Response(HTTP2Response):
    """Ends its stream with the last piece of a body whose length was announced."""

    _stream_ended: bool

    def _emit_body(self, data: bytes) -> None:
        last = self.response_length is not None and self.sent >= self.response_length
        if not data or not last or self._stream_ended:
            super()._emit_body(data)
            return
        if not self.h2_conn.send_data(self.stream_id, data, end_stream=True):
            self._aborted("stream closed or stalled while sending the body")
        self._stream_ended = True


class ServerConnection(HTTP2ServerConnection):
    """The server's side of an HTTP/2 connection, its own settings sent."""

    def __init__(self, cfg: "Config", conn: "Connection", settings: "Settings") -> None:
        super().__init__(cfg, conn, conn.session.client)
        self.stream_timeout = settings.body_timeout
        self.idle_timeout = settings.keep_alive
        self._send_timeout = settings.send_timeout
        # gunicorn has checked what a response may hold, and writes names in lower case.
        self.h2_conn.config.validate_outbound_headers = False
        self.h2_conn.config.normalize_outbound_headers = False
        self.initiate_connection()

    def _wait_for_flow_control_window(self, stream_id: int, deadline: float | None = None) -> int:
        # gunicorn waits for the socket itself, which knows nothing of what a Connection holds back.
        self.sock.flush()
        self.sock.settimeout(self._send_timeout)
        window: int = super()._wait_for_flow_control_window(stream_id, deadline)
        return window
