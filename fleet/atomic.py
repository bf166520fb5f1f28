"""Files that are there whole or not at all."""

import tempfile
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Writes ``path``, whose folder is made if need be; a reader sees the old file or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=f".{path.name}.", delete=False
    ) as file:
        written = Path(file.name)
        try:
            file.write(content)
            file.close()
            written.chmod(0o644)
            written.replace(path)
        except BaseException:
            written.unlink(missing_ok=True)
            raise
