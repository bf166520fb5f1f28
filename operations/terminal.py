"""What the commands print to."""

from typing import Final

from rich.console import Console

LONGEST_LINE: Final = 200
"""Where nobody's window is as wide or narrow: in a file, a pipe, a log."""


def console() -> Console:
    """Standard output: tables are as wide as the window, or as they like where there is none."""
    made = Console(highlight=False, soft_wrap=True)
    if not made.is_terminal:
        made.width = LONGEST_LINE
    return made
