"""Commands, arguments and variables: what their placeholders ask for."""

from collections.abc import Iterator

from fleet.diagnostics import Location, Problem, shown
from fleet.score.description import Description
from fleet.score.placeholders import Part, Reference


def of_texts(description: Description) -> Iterator[Problem]:
    for location, text in description.texts.items():
        try:
            parts = description.parts(text)
        except ValueError as error:
            yield Problem(location, str(error))
            continue
        for part in parts:
            if isinstance(part, Reference):
                yield from _of_reference(description, location, parts, part)


def _of_reference(
    description: Description, location: Location, parts: tuple[Part, ...], part: Reference
) -> Iterator[Problem]:
    kind = description.resources[part.resource].type
    written = f"${{resources.{part.resource}.{part.output}}}"
    if kind in ("volume", "certificate"):
        yield Problem(location, f"a {kind} is no text; mount it under volumes")
    elif kind == "secret" and not part.output:
        whole = f"${{resources.{part.resource}"
        yield Problem(location, f"{whole}}} is a whole Secret; add the key: {whole}.<key>}}")
    elif kind in ("secret", "pod") and ("variables" not in location or parts != (part,)):
        yield Problem(
            location,
            f"{shown(written)} has to be the whole value of a variable; give it one, and use it "
            "here as $(NAME)",
        )
