"""How large a log line, and whatever carries it, may be at each place on its way to Loki.

A place that takes less than the one before it lets through loses lines, and with most of these
programs their neighbours as well. ``tests/contract/test_log_limits.py`` holds each place against
the next one.
"""

from typing import Final

KIBIBYTE: Final = 1024
MEBIBYTE: Final = 1024 * KIBIBYTE

PIECE: Final = 16 * KIBIBYTE
"""Container runtimes write a longer line in pieces of this size: ``max_container_log_line_size`` of
containerd, whose default it is; those of CRI-O are smaller."""
CUT_ABOVE: Final = 240 * KIBIBYTE
"""A collector joins the pieces of a line until it has more than this. What follows becomes the next
line."""
LONGEST_LINE: Final = CUT_ABOVE + PIECE
"""The longest line that a collector sends and that Loki takes."""

LONGEST_FIELD: Final = 4 * KIBIBYTE
"""The longest value of a line's metadata, such as the path of a request."""
LONGEST_LEVEL: Final = 64
"""The longest name of a level."""
MOST_FIELDS: Final = 128
"""Loki takes this many fields of metadata with a line."""
MOST_METADATA: Final = 64 * KIBIBYTE
"""Loki takes this much metadata with a line: names and values together."""

BATCH_BYTES: Final = MEBIBYTE
"""The largest request of a collector before compression. A record that does not fit takes along all
records that wait behind it, uncounted (opentelemetry-collector issue 15936)."""
LONGEST_BODY: Final = 4 * MEBIBYTE
"""The largest request to the hub. Traefik counts bytes as they arrive, compressed."""
LARGEST_MESSAGE: Final = 16 * MEBIBYTE
"""The largest message between the parts of Loki."""
