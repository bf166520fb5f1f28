"""What is wrong with a value that a person wrote: where it is, and the words for it.

The registry, overlays and patches are all reported in these terms.
"""

import json
import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Final, NamedTuple, TypeAlias

from fleet.documents import AMBIGUOUS

Location: TypeAlias = tuple[str | int, ...]
"""Keys and positions from the top of a document to a value; ``-`` is the end of a list."""

HIDDEN: Final = "<hidden>"

_LONGEST_SHOWN: Final = 80
_MOST_CHOICES: Final = 12
_AMBIGUOUS: Final = re.compile(AMBIGUOUS)
_CREDENTIAL: Final = re.compile(
    # In a URL: what stands before the host, but for the user of ssh; a query, but for the git
    # revision of a kustomization; a fragment.
    r"(?<!ssh)://[^/\s]*@|://\S*(\?(?!ref=)|#)"
    # Without a scheme: user:password@host, which is no digest of an image; a query.
    r"|(^|://)[^/\s@:]*:(?!//|[0-9]+/)[^\s@]*@(?!sha(256|512):)|[?&](?!ref=)[^\s=]*="
    # Keys and tokens: of GitLab, GitHub, Slack and AWS, and those that are JSON.
    r"|-----BEGIN |AGE-SECRET-KEY-|gl(pat|dt|rt|cbt|ptt|ft|imt|agent|soat|oas|ffct)-"
    r"|gh[pousr]_[A-Za-z0-9]{10}|github_pat_|xox[abprs]-[0-9]{5}|(AKIA|ASIA)[A-Z0-9]{12}"
    r"|eyJ[A-Za-z0-9_-]{10,}\."
    # Base64: of JSON, such as a registry's credentials, and whatever is padded, but for public keys
    # of SSH, which begin with the length of their type's name.
    r"|(eyJ|ew(og|oJ|oi|0K))[A-Za-z0-9+/]{20,}"
    r"|(?<![A-Za-z0-9+/])(?!AAAA[BCE])[A-Za-z0-9+/]{20,}==?(\s|$)",
)
"""Text that may hold a credential. Rather too much than too little: what it matches is hidden."""


def listed(names: Iterable[str]) -> str:
    """``names``, at least one, as a sentence lists them: ``a``, ``a and b``, ``a, b and c``."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


class Problem(NamedTuple):
    """What is wrong with the value at a location, and how to mend it."""

    location: Location
    text: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (path(self.location), self.text)))


def path(location: Location) -> str:
    """A location as people write it: ``clusters[2].address``, ``metadata.labels["a.b/c"]``."""
    return "".join(map(_step, location)).removeprefix(".")


def _step(part: str | int) -> str:
    if isinstance(part, int) or part == "-":
        return f"[{part}]"
    if part.isidentifier() and part.isprintable():
        return f".{part}"
    return f"[{json.dumps(HIDDEN if may_hold_a_credential(part) else part[:_LONGEST_SHOWN])}]"


def may_hold_a_credential(value: object) -> bool:
    """Whether a text, or any text within a list or a mapping, looks like a credential."""
    return any(_CREDENTIAL.search(text) for text in _texts(value))


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for key, item in value.items():
                yield from _texts(key)
                yield from _texts(item)
        case list() | tuple():
            for item in value:
                yield from _texts(item)
        case _:
            pass


def redacted(text: str) -> str:
    """The message of another program, without those of its words that may hold a credential."""
    words = re.sub(r"\S+", lambda word: HIDDEN if may_hold_a_credential(word[0]) else word[0], text)
    return HIDDEN if may_hold_a_credential(words) else words


def shown(value: object) -> str:
    """A value within a message: on one line, of bearable length, hidden if it may be a credential.

    Text is in quotes where it would be misread without them: ``'2'`` is text, ``2`` a number.
    """
    if may_hold_a_credential(value):
        return HIDDEN
    if not isinstance(value, str):
        return _cut(json.dumps(value, default=str, ensure_ascii=False))
    plain = as_written(value)
    return f"'{plain}'" if plain == value and _AMBIGUOUS.match(value) else plain


def as_written(text: str) -> str:
    """What a file has in place of a value, fit to be shown: ``010``, which YAML reads as 8."""
    if may_hold_a_credential(text):
        return HIDDEN
    cut = _cut(text)
    if not cut.isprintable():
        return json.dumps(cut)
    return f"'{cut}'" if not cut or " " in cut else cut


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[: _LONGEST_SHOWN - 1]}…"


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """A clause that names the word that may have been meant, or nothing."""
    by_folded = {_folded(name): name for name in known}
    close = get_close_matches(_folded(word), by_folded, n=1)
    return f" (did you mean {by_folded[close[0]]}?)" if close else ""


def _folded(word: object) -> str:
    # The time that comparing takes grows with the product of both lengths.
    return str(word)[:100].lower().replace("_", "")


def choice(word: object, known: Iterable[object]) -> str:
    """A clause that says what to write: the word that was meant, or else those there are."""
    names = sorted(map(str, known))
    if not names:
        return "; remove it"
    more = ", ..." if len(names) > _MOST_CHOICES else ""
    return did_you_mean(word, names) or f"; write one of {', '.join(names[:_MOST_CHOICES])}{more}"
