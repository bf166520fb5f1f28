"""How published files are read: over the network, or from a folder that is laid out by URL."""

import argparse
import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeAlias
from urllib.parse import urlsplit

from fleet.errors import InputError

TIMEOUT_SECONDS: Final = 60
CONNECTIONS: Final = 8

Fetch: TypeAlias = Callable[[str], bytes]
"""The content of a URL; raises InputError where there is none to be had."""


def add_mirror(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mirror",
        metavar="DIR",
        type=Path,
        help="read DIR/<host>/<path> in place of https://<host>/<path>",
    )


def download(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310
            content: bytes = response.read()
    except urllib.error.HTTPError as error:
        raise InputError(f"{url}: the server answers {error.code} {error.reason}") from None
    except (OSError, http.client.HTTPException) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        reason = cause.strerror or cause if isinstance(cause, OSError) else cause
        raise InputError(
            f"{url}: {reason}; without network, set UPSTREAM_MIRROR to a folder that has the file"
        ) from None
    return content


def mirrored(mirror: Path) -> Fetch:
    def read(url: str) -> bytes:
        path = mirror / place(url)
        try:
            return path.read_bytes()
        except OSError as error:
            raise InputError(f"{url}: {path}: {error.strerror}") from None

    return read


def fetch_all(urls: Collection[str], fetch: Fetch) -> dict[str, bytes]:
    """The content of each URL; raises InputError with the problems of all of them."""
    problems: list[str] = []

    def read(url: str) -> bytes:
        try:
            return fetch(url)
        except InputError as error:
            problems.extend(error.problems)
            return b""

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        contents = dict(zip(urls, pool.map(read, urls), strict=True))
    if problems:
        raise InputError(*sorted(problems))
    return contents


def place(url: str) -> str:
    """Where a folder that is laid out by URL has the file of ``url``."""
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path}"
