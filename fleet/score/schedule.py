"""When a job runs: a cron schedule and a time zone, as Kubernetes reads them."""

import re
from functools import cache
from importlib.resources import files
from typing import Annotated, Final, NamedTuple, TypeAlias

from pydantic import AfterValidator, WithJsonSchema

from fleet.diagnostics import did_you_mean, shown


class Field(NamedTuple):
    """One of the five fields of a schedule."""

    name: str
    least: int
    most: int
    words: tuple[str, ...] = ()
    """What may be written in place of ``least`` and the numbers after it."""


FIELDS: Final = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day of the month", 1, 31),
    Field(
        "month",
        1,
        12,
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
    ),
    Field("day of the week", 0, 6, ("sun", "mon", "tue", "wed", "thu", "fri", "sat")),
)
"""In the order in which they are written. Kubernetes reads them by ParseStandard of robfig/cron
v3, whose bounds these are: Sunday is 0, and never 7."""

EXAMPLE: Final = "17 3 * * *"
DAYS_OF: Final = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
"""The most days that each month can have."""

_ITEM: Final = re.compile(r"(?P<first>[0-9A-Za-z]+|\*)(-(?P<last>[0-9A-Za-z]+))?(/(?P<step>\d+))?")
_SCHEDULE: Final = "[0-9A-Za-z*,/-]+( +[0-9A-Za-z*,/-]+){4}"
_ZONE: Final = "[A-Z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+)*"


def values(text: str, field: Field) -> frozenset[int]:
    """The values for which a field of a schedule stands, ``*/15`` say.

    Raises ValueError, which says what is wrong, for a field that Kubernetes would refuse.
    """
    found: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if match is None or (match["first"] == "*" and match["last"]):
            raise ValueError(f"{shown(item)} is no {field.name}; write it as *, 5, 1-5 or */2")
        step = int(match["step"] or 1)
        if step == 0:
            raise ValueError(f"{shown(item)} has a step of 0; write 1 or more")
        if match["first"] == "*":
            first, last = field.least, field.most
        else:
            first = _number(match["first"], field)
            # A step after a single value goes on to the end: 5/15 is 5-59/15.
            alone = field.most if match["step"] else first
            last = _number(match["last"], field) if match["last"] else alone
        if last < first:
            raise ValueError(f"{shown(item)} ends before it begins; write the smaller value first")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, field: Field) -> int:
    if text.lower() in field.words:
        return field.least + field.words.index(text.lower())
    if not text.isdecimal() or not field.least <= int(text) <= field.most:
        words = f", or {field.words[0]} to {field.words[-1]}" if field.words else ""
        raise ValueError(
            f"{shown(text)} is no {field.name}; write {field.least} to {field.most}{words}"
        )
    return int(text)


def _schedule(text: str) -> str:
    parts = text.split()
    if len(parts) != len(FIELDS):
        raise ValueError(
            f"{shown(text)} is no schedule; write minute, hour, day of the month, month and day of "
            f"the week, such as '{EXAMPLE}'"
        )
    try:
        _, _, days, months, _ = (
            values(part, field) for part, field in zip(parts, FIELDS, strict=True)
        )
    except ValueError as error:
        raise ValueError(f"in {shown(text)}, {error}") from None
    # With a day of the week as well, either of the two is enough.
    any_weekday = parts[-1].startswith("*")
    if any_weekday and all(min(days) > DAYS_OF[month - 1] for month in months):
        raise ValueError(f"{shown(text)} is a day that no month of these has; correct it")
    return text


@cache
def zones() -> frozenset[str]:
    """The names of IANA's time zones, as the package tzdata has them."""
    return frozenset(files("tzdata").joinpath("zones").read_text("utf-8").split())


def _zone(text: str) -> str:
    if text not in zones():
        raise ValueError(
            f"{shown(text)} is no time zone{did_you_mean(text, sorted(zones()))}; write one such "
            "as Europe/Berlin"
        )
    return text


Schedule: TypeAlias = Annotated[
    str,
    AfterValidator(_schedule),
    WithJsonSchema({"type": "string", "pattern": f"^{_SCHEDULE}$"}),
]
TimeZone: TypeAlias = Annotated[
    str, AfterValidator(_zone), WithJsonSchema({"type": "string", "pattern": f"^{_ZONE}$"})
]
