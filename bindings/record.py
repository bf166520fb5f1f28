"""imports/imports.lock: what imports/ was generated from, and what came of it, as SHA-256 sums.

If it says what it would say now, generating would change nothing, and no upstream file is needed.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from upstream import lock
from upstream.fetch import place
from upstream.lock import Lock

NAME: Final = "imports.lock"
ROOT: Final = Path(__file__).resolve().parents[1]
GENERATOR: Final = (
    "bindings/generator.py",
    "bindings/record.py",
    "bindings/structures.py",
    "bindings/stubs.py",
    "fleet/documents.py",
)


def record(config: Path, urls: Iterable[str], sums: Lock, files: Mapping[str, bytes]) -> bytes:
    """The content of imports.lock for ``files``, generated from ``config`` and its ``urls``."""
    entries = {
        **{name: lock.digest((ROOT / name).read_bytes()) for name in GENERATOR},
        config.name: lock.digest(config.read_bytes()),
        **{place(url): lock.known(url, sums) for url in urls},
        **{f"imports/{name}": lock.digest(content) for name, content in files.items()},
    }
    return "".join(f"{value}  {name}\n" for name, value in sorted(entries.items())).encode()
