"""Renders the fleet: clusters.yaml to dist/<cluster>/<component>/, which Argo CD deploys."""

import argparse
import os
import sys
import time
from pathlib import Path

from fleet.errors import InputError, exit_on_input_error

START = time.monotonic()
OVERLAYS = Path("overlays")

# These need the requirements, a Node that runs, and room for its files.
with exit_on_input_error():
    from charts.catalogue import load
    from charts.labels import PART_OF, PROJECT
    from fleet.progress import progress
    from rendering import vendored
    from rendering.diff import compare, describe
    from rendering.dist import check_deletions, replace, staged
    from rendering.render import Rendered, render
    from rendering.validation import memory, validate
    from rendering.validation.memory import Memory
    from upstream import mirror


def main() -> int:
    args = arguments()
    _check_folder(args.fleet)
    fleet = load(args.fleet, overlays=OVERLAYS)
    output: Path = args.output or Path(fleet.git.folder)
    clusters = [fleet.cluster(name) for name in args.cluster or fleet.names]
    only = args.cluster or None

    copies = vendored.load(vendored.VENDOR)
    known: Rendered = {}

    with staged(output, only=only) as new:
        with progress(clusters) as each:
            for cluster in each:
                folder = new / cluster.name
                render(fleet, cluster, folder=folder, overlays=OVERLAYS, copies=copies, known=known)
        check_deletions(output, new, labels={PART_OF: PROJECT}, overlays=OVERLAYS)
        if args.validate:
            report = validate(
                new,
                OVERLAYS,
                shown_as=output,
                mirror=mirror.verified(),
                memory=Memory(memory.folder()),
            )
            for line in report.unchecked:
                print(f"not checked: {line}", file=sys.stderr)
            if report.problems:
                raise InputError(*report.problems)
        if args.diff:
            changes = compare(output, new, only=only)
            print("\n".join(describe(changes)) or f"{output}: up to date")
            return 1 if changes else 0
        summary = replace(output, new)
    if output.parent == Path() and output != Path(fleet.git.folder):
        print(
            f"{output}: Argo CD reads {fleet.git.folder}/; if it should read this folder, set "
            f"git.folder to {output}",
            file=sys.stderr,
        )
    print(f"{output}: {summary}, {time.monotonic() - START:.1f} s")
    return 0


def _check_folder(registry: Path) -> None:
    """Raises InputError where the registry is beside folders that would not be read."""
    elsewhere = [
        f"{registry.parent / name}: would be left out, because {name}/ is read from the current "
        f"folder; run main.py in {registry.parent}"
        for name in (OVERLAYS, vendored.VENDOR)
        if (registry.parent / name).is_dir()
        and not (name.is_dir() and name.samefile(registry.parent / name))
    ]
    if elsewhere:
        raise InputError(*elsewhere)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="main.py", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--fleet", type=Path, default=Path("clusters.yaml"), help="the registry (%(default)s)")
    add(
        "--output",
        type=Path,
        # cdk8s synth names its output folder so.
        default=os.environ.get("CDK8S_OUTDIR"),
        help="folder to render into (the registry's git.folder); it is replaced as a whole",
    )
    add("--cluster", action="append", default=[], help="render this cluster only (repeatable)")
    add("--validate", action="store_true", help="check every object and overlay by its schema")
    add(
        "--diff",
        action="store_true",
        help="write nothing; show what would change, and exit with 1 if anything would",
    )
    return parser.parse_args()


if __name__ == "__main__":
    with exit_on_input_error():
        sys.exit(main())
