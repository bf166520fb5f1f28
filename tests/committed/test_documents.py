"""The documents of this checkout, whatever fleet it describes."""

from docgen import generate
from fleet.registry import load
from tests.objects import ROOT


def test_the_documents_are_fresh() -> None:
    for path, text in generate(ROOT, load(ROOT / "clusters.yaml")).items():
        assert (ROOT / path).read_text("utf-8") == text, f"{path}: run `make update`"
