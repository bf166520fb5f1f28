"""How large a log line and what carries it may be, at each place on its way to Loki.

Whatever one place lets through, the next one takes.
"""

from typing import Final

KIBIBYTE: Final = 1024
MEBIBYTE: Final = 1024 * KIBIBYTE

BATCH_BYTES: Final = MEBIBYTE
"""Of one request of a collector, uncompressed."""
LONGEST_BODY: Final = 4 * MEBIBYTE
"""Of one request to the hub, as Traefik counts it."""
LONGEST_LINE: Final = 256 * KIBIBYTE
"""Of one line in Loki."""
