"""Commands and variables: what their placeholders ask for."""

from collections.abc import Iterator

from fleet.diagnostics import Location, Problem, shown
from fleet.score.description import Description
from fleet.score.placeholders import LIKE_ONE, Part, Reference


def of_texts(description: Description) -> Iterator[Problem]:
    for location, text in description.commands.items():
        if found := LIKE_ONE.search(text):
            yield Problem(
                location,
                f"Score fills in no placeholders here; give {shown(found[0])} to a variable, and "
                "read that, or write $(NAME) here",
            )
    for key, text in description.container.variables.items():
        location = ("containers", description.container_name, "variables", key)
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
    whole = f"${{resources.{part.resource}"
    if kind in ("volume", "certificate"):
        yield Problem(location, f"a {kind} is no text; mount it under volumes")
    elif kind == "secret" and not part.output:
        yield Problem(location, f"{whole}}} is a whole Secret; add the key: {whole}.<key>}}")
    elif kind in ("secret", "pod") and parts != (part,):
        written = f"{whole}.{part.output}}}"
        yield Problem(
            location,
            f"{shown(written)} has to be the whole value of a variable; give it one of its own, "
            "and use it here as $(NAME)",
        )
