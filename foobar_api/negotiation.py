"""Which of several representations a client asks for, after RFC 9110 section 12.5.1."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_QUALITY: Final = re.compile(
    r"\s*q\s*=\s*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)\s*", re.IGNORECASE | re.ASCII
)


KEPT: Final = 512
"""Characters of a header up to which its answer is kept; clients decide how long headers are."""


def best(accept: str, offers: Sequence[str]) -> str | None:
    """The offer that ``accept`` likes most, the first among equals; None when it accepts none.

    A missing or empty header accepts everything; what cannot be read is passed over.
    """
    return (_best if len(accept) <= KEPT else _best.__wrapped__)(accept, offers)


@lru_cache(maxsize=256)
def _best(accept: str, offers: Sequence[str]) -> str | None:
    ranges = [found for part in accept.split(",")[:64] if (found := _range(part))]
    if not ranges:
        return offers[0]
    quality, _, offer = max(
        (_quality(offer, ranges), -index, offer) for index, offer in enumerate(offers)
    )
    return offer if quality > 0 else None


def _range(part: str) -> tuple[str, float] | None:
    media, *parameters = part.split(";")
    media = media.strip().lower()
    if not re.fullmatch(r"[^/\s]+/[^/\s]+", media):
        return None
    for parameter in parameters:
        if match := _QUALITY.fullmatch(parameter):
            return media, float(match[1])
    return media, 1.0


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """By the most specific range that covers ``offer``."""
    whole = offer.partition("/")[0] + "/*"
    for name in (offer, whole, "*/*"):
        matching = [quality for media, quality in ranges if media == name]
        if matching:
            return max(matching)
    return 0.0
