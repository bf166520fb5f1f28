"""How the benchmark writes YAML that a peer is to read."""

from pathlib import Path

import yaml


def to_yaml(data: object) -> str:
    text: str = yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False, width=1000)
    return text


def write_yaml(file: Path, data: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(to_yaml(data), encoding="utf-8")
