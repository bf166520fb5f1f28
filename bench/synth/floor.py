"""The floor: an empty cdk8s App in a process that loads every module main.py has from others.

``python -m bench.synth.floor FOLDER``; nothing is written there.
"""

import imports  # noqa: F401, I001  (settles on a node; comes before cdk8s, as in main.py)

import sys

import cdk8s_plus_27  # noqa: F401
import yaml  # noqa: F401
from cdk8s import App

# Pydantic loads its parts on first use; these are the ones that a model makes it load.
from pydantic import alias_generators, fields, main, types  # noqa: F401

if __name__ == "__main__":
    App(outdir=sys.argv[1]).synth()
