"""upstream.lock: the SHA-256 of every file of other projects that we render, import or test with.

Whatever reads such a file compares it with the lock. If upstream changes the content behind a URL,
it is refused until the lock is changed, and a reviewer sees that. ``sha256sum --check`` understands
the lock inside a mirror.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeAlias

from fleet import atomic
from fleet.errors import InputError
from upstream.fetch import place

PATH: Final = Path(__file__).resolve().parent.parent / "upstream.lock"
URL: Final = re.compile(r"https://[^/?#\s]+(/(?!\.{1,2}(/|$))[^/?#\s]+)+")
"""A URL that can be locked: a mirror has one file at its host and path."""

Lock: TypeAlias = Mapping[str, str]
"""SHA-256 by URL."""


def read() -> dict[str, str]:
    """The lock; raises InputError with one problem for each line that is malformed."""
    try:
        lines = PATH.read_text("utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(
            f"{PATH.name}: does not exist; restore it from Git or run `make lock`"
        ) from None
    except UnicodeDecodeError:
        raise InputError(f"{PATH.name}: is not text; restore it from Git") from None
    sums: dict[str, str] = {}
    problems = []
    for number, line in enumerate(lines, 1):
        value, _, at = line.partition("  ")
        url = f"https://{at}"
        if not re.fullmatch(r"[0-9a-f]{64}", value) or not URL.fullmatch(url):
            problems.append(
                f"{PATH.name}:{number}: is not `<sha256>  <host>/<path>`; "
                "remove the line and run `make lock`"
            )
        elif url in sums:
            problems.append(f"{PATH.name}:{number}: locks {url} a second time; remove one line")
        sums[url] = value
    if problems:
        raise InputError(*problems)
    return sums


def write(sums: Lock) -> None:
    lines = sorted((place(url), value) for url, value in sums.items())
    atomic.write(PATH, "".join(f"{value}  {at}\n" for at, value in lines).encode())


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def known(url: str, sums: Lock) -> str:
    """The SHA-256 that is locked for ``url``; raises InputError if there is none."""
    if url not in sums:
        raise InputError(f"{url}: is not in {PATH.name}; run `make lock`")
    return sums[url]


def verified(url: str, content: bytes, sums: Lock) -> bytes:
    """``content`` if it is what is locked for ``url``; raises InputError if not."""
    if (found := digest(content)) != known(url, sums):
        raise InputError(changed(url, found, sums))
    return content


def changed(url: str, found: str, sums: Lock) -> str:
    return (
        f"{url}: has sha256 {found}, but {PATH.name} has {sums[url]}; find out why it changed, "
        "then accept it with `python -m fleet lock --accept`"
    )
