"""The commands of ``python -m fleet``."""

import argparse
from collections.abc import Sequence
from importlib import import_module
from typing import Final, NamedTuple


class Command(NamedTuple):
    """A module with ``configure(parser)`` and ``run(args)``, imported when it is used."""

    module: str
    help: str


COMMANDS: Final = {
    "bootstrap": Command("operations.bootstrap", "bring the fleet up, or complete what is missing"),
    "status": Command("operations.status", "show the state of every cluster, one line each"),
    "addresses": Command(
        "operations.addresses",
        "find the load balancers, and show what their addresses change in the registry",
    ),
    "import": Command("bindings.generator", "write the bindings and schemas of imports/"),
    "schema": Command(
        "docgen.schema", "write the schemas by which editors check clusters.yaml and apps/"
    ),
    "lock": Command(
        "rendering.lock", "bring upstream.lock to hold the upstream files that are used"
    ),
    "mirror": Command(
        "upstream.mirror", "download the files of upstream.lock, for tests and commands"
    ),
    "vendor": Command(
        "rendering.vendor", "copy every bundle into vendor/, for a dist of local files"
    ),
    "promote": Command("operations.promote", "move an app's image on by one region"),
    "image": Command(
        "operations.image", "print where foobar-api's image goes, and how to build it"
    ),
    "docs": Command("docgen.generate", "write the generated parts of the documents"),
}


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m fleet",
        description="Works on clusters.yaml and on what is generated; main.py renders dist/.",
        epilog="`python -m fleet COMMAND --help` lists the options of a command.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    # No option comes before the command.
    chosen = next((each for each in arguments if not each.startswith("-")), None)
    for name, command in COMMANDS.items():
        added = commands.add_parser(
            name,
            help=command.help,
            description=f"{command.help[0].upper()}{command.help[1:]}.",
            allow_abbrev=False,
        )
        if name == chosen:
            module = import_module(command.module)
            module.configure(added)
            added.set_defaults(run=module.run)
    args = parser.parse_args(arguments)
    status: int = args.run(args)
    return status
