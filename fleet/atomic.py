"""Files that are there whole or not at all."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Writes ``path``, whose folder is made if need be; a reader sees the old file or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacement(path) as new:
        new.write_bytes(content)


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
