"""How published files are read: over the network, or from a folder that is laid out by URL."""

import argparse
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from fleet.errors import InputError

TIMEOUT_SECONDS: Final = 60

Fetch: TypeAlias = Callable[[str], bytes]
"""The content of a URL; raises InputError where there is none to be had."""


def add_mirror(parser: argparse.ArgumentParser) -> None:
    """The option ``--mirror``, which :func:`fetcher` takes."""
    parser.add_argument(
        "--mirror",
        metavar="DIR",
        type=Path,
        help="read DIR/<host>/<path> in place of https://<host>/<path>",
    )


def fetcher(mirror: Path | None) -> Fetch:
    """Reads from ``mirror``, or without one from the network."""
    return mirrored(mirror) if mirror else download


def download(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            content: bytes = response.read()
    except (OSError, urllib.error.URLError) as error:
        raise InputError(f"{url}: {error}; without network, use --mirror DIR") from None
    return content


def mirrored(mirror: Path) -> Fetch:
    def read(url: str) -> bytes:
        path = mirror / place(url)
        try:
            return path.read_bytes()
        except OSError as error:
            raise InputError(f"{url}: {path}: {error.strerror}") from None

    return read


def place(url: str) -> str:
    """Where a folder that is laid out by URL has the file of ``url``."""
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}"
