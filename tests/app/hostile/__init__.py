"""Clients that mean harm, one of every kind.

Each is a generator: it yields whenever it has done some of its work, and raises OSError once the
server has had enough of it.
"""

from typing import Final

from tests.app.hostile import http1, http2, tcp, websocket
from tests.app.hostile.door import Attack

KINDS: Final[dict[str, Attack]] = tcp.KINDS | http1.KINDS | http2.KINDS | websocket.KINDS
