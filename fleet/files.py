"""Files that are written whole or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacement(path: Path) -> Iterator[Path]:
    """An empty file beside ``path`` to write to, which takes its place when the context ends.

    If the context ends with an exception, such as that of a full disk, ``path`` is as it was.
    """
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        new = Path(file.name)
    try:
        yield new
        new.chmod(path.stat().st_mode if path.exists() else 0o644)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


def write(path: Path, text: str) -> None:
    """Writes ``text`` as UTF-8, with the line ends that it has."""
    with replacement(path) as new:
        new.write_text(text, "utf-8", newline="")
