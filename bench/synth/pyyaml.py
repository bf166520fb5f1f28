"""A lower bound in Python: PyYAML writes objects that are there as data, one file each.

    python -m bench.synth.pyyaml LINES FOLDER

A line is a JSON list: cluster, component, name of the file, object.
"""

import json
import sys
from pathlib import Path

import yaml

if __name__ == "__main__":
    folder = Path(sys.argv[2])
    with Path(sys.argv[1]).open(encoding="utf-8") as lines:
        for line in lines:
            cluster, component, name, body = json.loads(line)
            file = folder / cluster / component / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("w", encoding="utf-8") as output:
                yaml.dump(body, output, Dumper=yaml.CSafeDumper, sort_keys=False)
