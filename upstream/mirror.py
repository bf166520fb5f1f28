"""``python -m fleet mirror``: downloads every file of upstream.lock into the mirror.

The mirror is a folder that has each file at the host and path of its URL. Tests and commands read
from it, so that they need no network. It may hold other files besides.
"""

import argparse
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from fleet import atomic
from fleet.errors import InputError
from upstream import lock
from upstream.fetch import Fetch, download, fetch_all, mirrored, place
from upstream.lock import Lock

VARIABLE: Final = "UPSTREAM_MIRROR"


def configure(parser: argparse.ArgumentParser) -> None:
    """Adds no option: ``$UPSTREAM_MIRROR`` names another folder."""


def run(args: argparse.Namespace) -> int:
    root, sums = folder(), lock.read()
    downloaded = fill(root, sums, download)
    print(f"{root}: {len(sums)} files, {len(downloaded) or 'none'} of them downloaded now")
    return 0


def folder() -> Path:
    """``$UPSTREAM_MIRROR``, or else a folder in the user's cache; it need not exist."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "foobar-platform" / "upstream"


def find() -> Path | None:
    """The mirror, if it has every file of the lock; None if it does not."""
    root = folder()
    return root if all((root / place(url)).is_file() for url in lock.read()) else None


def verified() -> Path | None:
    """As :func:`find`; raises InputError if a file of the mirror is not what the lock has."""
    if root := find():
        verify(root, lock.read())
    return root


def verify(root: Path, sums: Lock) -> None:
    """Raises InputError with one line for each locked file that ``root`` lacks or has wrong."""
    problems = []
    for url, known in sums.items():
        path = root / place(url)
        if not path.is_file():
            problems.append(f"{path}: is missing; run `make mirror`")
        elif (found := lock.digest(path.read_bytes())) != known:
            problems.append(f"{_mismatch(path, found, known)}; run `make mirror`")
    if problems:
        raise InputError(*problems)


def fill(root: Path, sums: Lock, fetch: Fetch) -> list[str]:
    """Brings ``root`` to hold every file of the lock; returns the URLs that it had to fetch.

    Raises InputError with one line for each file that cannot be had. No wrong file stays.
    """
    lacking = list(_remove_wrong(root, sums))
    fetch_all(lacking, _keeping(root, sums, fetch))
    return lacking


def _remove_wrong(root: Path, sums: Lock) -> Iterator[str]:
    """The URLs whose files ``root`` lacks; those that it has wrong are removed."""
    for url, known in sums.items():
        path = root / place(url)
        if path.is_file():
            if lock.digest(path.read_bytes()) == known:
                continue
            path.unlink()
        yield url


def reader(directory: Path | None) -> Fetch:
    """Reads files of upstream.lock and compares each with it.

    From ``directory`` if there is one. Otherwise from our mirror, which keeps what it downloads.
    """
    sums = lock.read()
    if directory is None:
        return _keeping(folder(), sums, download)
    fetch = mirrored(directory)

    def read(url: str) -> bytes:
        lock.known(url, sums)
        return lock.verified(url, fetch(url), sums)

    return read


def keep(contents: Mapping[str, bytes]) -> None:
    """Puts the content of URLs into our mirror."""
    for url, content in contents.items():
        path = folder() / place(url)
        if not path.is_file() or path.read_bytes() != content:
            atomic.write(path, content)


def _keeping(root: Path, sums: Lock, fetch: Fetch) -> Fetch:
    def read(url: str) -> bytes:
        known, path = lock.known(url, sums), root / place(url)
        try:
            wrong = ""
            if path.is_file():
                content = path.read_bytes()
                if (found := lock.digest(content)) == known:
                    return content
                wrong = _mismatch(path, found, known)
            content = lock.verified(url, _fetched(url, fetch, instead_of=wrong), sums)
            atomic.write(path, content)
        except OSError as error:
            raise InputError(f"{path}: {error.strerror}") from None
        return content

    return read


def _fetched(url: str, fetch: Fetch, *, instead_of: str) -> bytes:
    """The content of ``url``; if it cannot be had, a wrong file of the mirror is named first."""
    try:
        return fetch(url)
    except InputError as error:
        if not instead_of:
            raise
        raise InputError(f"{instead_of}, and cannot be downloaded again: {error}") from None


def _mismatch(path: Path, found: str, known: str) -> str:
    return f"{path}: has sha256 {found}, but {lock.PATH.name} has {known}"
