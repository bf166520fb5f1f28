"""Upstream files for the tests of what reads them: a lock, a mirror and a network of our own."""

from pathlib import Path

import pytest

from fleet.errors import InputError
from rendering import lock as locking
from upstream import lock, mirror
from upstream.fetch import place

CONTENT = {
    "https://files.example.org/one/bundle.yaml": b"kind: One\n",
    "https://files.example.org/two.yaml": b"kind: Two\n",
}


class Upstream:
    """What the network holds, which of it was read, and the folder that is our mirror."""

    def __init__(self, root: Path) -> None:
        self.content = dict(CONTENT)
        self.read: list[str] = []
        self.mirror = root / "mirror"

    def fetch(self, url: str) -> bytes:
        self.read.append(url)
        if url not in self.content:
            raise InputError(f"{url}: the server answers 404 Not Found")
        return self.content[url]

    def lock(self) -> None:
        """Locks what the network holds now."""
        lock.write({url: lock.digest(content) for url, content in self.content.items()})

    def mirrored(self, url: str) -> Path:
        return self.mirror / place(url)


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    """A network of two files, both locked, and a mirror that does not exist yet."""
    network = Upstream(tmp_path)
    monkeypatch.setattr(lock, "PATH", tmp_path / "upstream.lock")
    monkeypatch.setenv(mirror.VARIABLE, str(network.mirror))
    for module in (mirror, locking):
        monkeypatch.setattr(module, "download", network.fetch)
    network.lock()
    return network
