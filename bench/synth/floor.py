"""The floor: an empty cdk8s App in a process that imports every package that main.py imports.

python -m bench.synth.floor FOLDER
"""

import imports  # noqa: F401, I001  (settles on a node; comes before cdk8s, as in main.py)

import sys

import cdk8s_plus_27  # noqa: F401
import pydantic  # noqa: F401
import yaml  # noqa: F401
from cdk8s import App

if __name__ == "__main__":
    App(outdir=sys.argv[1]).synth()
