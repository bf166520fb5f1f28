"""Renders the fleet: clusters.yaml to dist/<cluster>/<component>/, which Argo CD deploys."""

import argparse
import os
import sys
from pathlib import Path

from charts.render import Rendered, render
from fleet import mirror, vendored
from fleet.diff import compare, describe
from fleet.dist import replace, staged
from fleet.errors import InputError, exit_on_input_error
from fleet.progress import progress
from fleet.registry import load
from fleet.validation import validate

OVERLAYS = Path("overlays")


def main() -> int:
    args = arguments()
    fleet = load(args.fleet, overlays=OVERLAYS)
    clusters = [fleet.cluster(name) for name in args.cluster or fleet.names]
    only = args.cluster or None

    copies = vendored.load(vendored.VENDOR)
    known: Rendered = {}

    with staged(args.output, only=only) as new:
        with progress(clusters) as each:
            for cluster in each:
                folder = new / cluster.name
                render(fleet, cluster, folder=folder, overlays=OVERLAYS, copies=copies, known=known)
        if args.validate:
            report = validate(new, OVERLAYS, shown_as=args.output, mirror=mirror.verified())
            if report.problems:
                raise InputError(*report.problems)
            for line in report.unchecked:
                print(f"not checked: {line}", file=sys.stderr)
        if args.diff:
            changes = compare(args.output, new, only=only)
            print("\n".join(describe(changes)) or f"{args.output}: up to date")
            return 1 if changes else 0
        replace(args.output, new)
    return 0


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="main.py", description=__doc__, allow_abbrev=False)
    add = parser.add_argument
    add("--fleet", type=Path, default=Path("clusters.yaml"), help="the registry (%(default)s)")
    add(
        "--output",
        type=Path,
        # cdk8s synth names its output folder so.
        default=Path(os.environ.get("CDK8S_OUTDIR", "dist")),
        help="folder to render into (%(default)s); it is replaced as a whole",
    )
    add("--cluster", action="append", default=[], help="render this cluster only (repeatable)")
    add("--validate", action="store_true", help="check every object and overlay by its schema")
    add(
        "--diff",
        action="store_true",
        help="write nothing; tell what would change, and exit with 1 if anything would",
    )
    return parser.parse_args()


if __name__ == "__main__":
    with exit_on_input_error():
        sys.exit(main())
