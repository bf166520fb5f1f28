"""``python -m fleet docs``: writes the parts of the documents that the code knows.

A part stands between ``<!-- generated: NAME -->`` and ``<!-- end -->``, alone on their lines. Its
content comes from the registry and from the code, so that it is true in every fork; what people
write around it must not depend on the clusters of one fleet.
"""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from charts.catalogue import load
from docgen import diagrams, lists, overview
from docgen.markdown import Part
from fleet import atomic
from fleet.errors import InputError
from fleet.registry import Fleet

ROOT: Final = Path(__file__).resolve().parent.parent
PICTURE: Final = Path("docs", "overview.svg")
PARTS: Final[Mapping[str, Part]] = {**diagrams.PARTS, **lists.PARTS}

_OPEN: Final = re.compile(r"( *)<!-- generated: (\S+) -->\n")
_CLOSE: Final = "<!-- end -->\n"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if a document is stale"
    )


def run(args: argparse.Namespace) -> int:
    files = generate(ROOT, load(ROOT / "clusters.yaml"))
    stale = [
        path
        for path, text in files.items()
        if not (ROOT / path).is_file() or (ROOT / path).read_bytes() != text.encode()
    ]
    for path in stale:
        if args.check:
            print(f"{path}: is stale; run `python -m fleet docs`")
        else:
            atomic.write(ROOT / path, files[path].encode())
            print(f"wrote: {path}")
    return int(args.check and bool(stale))


def generate(root: Path, fleet: Fleet) -> dict[Path, str]:
    """The text of every document of ``root`` that has a generated part, and the picture.

    Raises InputError if marks are wrong.
    """
    files = {
        path.relative_to(root): fill(path.relative_to(root), path.read_text("utf-8"), fleet)
        for path in documents(root)
        if "<!-- generated:" in path.read_text("utf-8")
    }
    return {**files, PICTURE: overview.draw(fleet)}


def documents(root: Path) -> list[Path]:
    """Every document that people read."""
    return sorted(
        path
        for pattern in ("*.md", "docs/**/*.md", "bench/*.md", "foobar_api/*.md")
        for path in root.glob(pattern)
    )


def fill(path: Path, text: str, fleet: Fleet) -> str:
    """``text`` with new content in each generated part; raises InputError if marks are wrong."""
    done: list[str] = []
    opened: re.Match[str] | None = None
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if mark := _OPEN.fullmatch(line):
            if opened:
                raise InputError(f"{path}:{number}: {opened[2]} has no <!-- end --> before this")
            if mark[2] not in PARTS:
                raise InputError(
                    f"{path}:{number}: no part is called {mark[2]}; use one of {', '.join(PARTS)}"
                )
            opened = mark
            indent = mark[1]
            content = (f"{indent}{each}".rstrip() for each in PARTS[mark[2]](fleet))
            done += [line, *(f"{each}\n" for each in content)]
        elif line.lstrip(" ") == _CLOSE and opened:
            done.append(line)
            opened = None
        elif not opened:
            done.append(line)
    if opened:
        raise InputError(f"{path}: {opened[2]} has no <!-- end -->")
    return "".join(done)
