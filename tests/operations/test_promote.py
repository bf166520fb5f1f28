"""Moving foobar-api's image from region to region."""

import shutil
from pathlib import Path

import pytest

from fleet.errors import InputError
from operations.promote import Promotion, promote
from tests.objects import APPS, SAMPLE

OLD = "sjc.vultrcr.com/globalregistry/foobar-api:1.0.0"
NEW = f"sjc.vultrcr.com/globalregistry/foobar-api:1.1.0@sha256:{'a' * 64}"


@pytest.fixture
def registry(tmp_path: Path) -> Path:
    shutil.copytree(APPS, tmp_path / "apps")
    path = tmp_path / "clusters.yaml"
    path.write_bytes(SAMPLE.read_bytes())
    return path


def changed(path: Path) -> list[tuple[str, str]]:
    before = SAMPLE.read_text().splitlines()
    after = path.read_text().splitlines()
    return [pair for pair in zip(before, after, strict=True) if pair[0] != pair[1]]


def test_a_new_image_goes_to_the_first_region_in_one_line(registry: Path) -> None:
    assert promote(registry, NEW) == Promotion("us-east", "foobar-api", OLD, NEW)
    assert changed(registry) == [(f"        image: {OLD}", f"        image: {NEW}")]


def test_the_next_region_follows_by_itself(registry: Path) -> None:
    promote(registry, NEW)
    assert promote(registry, None) == Promotion("eu-west", "foobar-api", OLD, NEW)
    assert len(changed(registry)) == 2


def test_nothing_is_left_once_every_region_is_there(registry: Path) -> None:
    assert promote(registry, None) is None
    assert promote(registry, OLD) is None
    assert changed(registry) == []


def test_going_back_is_a_promotion_as_well(registry: Path) -> None:
    promote(registry, NEW)
    assert promote(registry, OLD) == Promotion("us-east", "foobar-api", NEW, OLD)
    assert changed(registry) == []


def test_an_image_that_the_registry_refuses_changes_nothing(registry: Path) -> None:
    with pytest.raises(
        InputError,
        match=r"clusters.yaml:\d+: clusters\[1\]\.apps\[\"foobar-api\"\]\.image: .*latest",
    ):
        promote(registry, "sjc.vultrcr.com/globalregistry/foobar-api:latest")
    assert changed(registry) == []
    assert {each.name for each in registry.parent.iterdir()} == {"apps", "clusters.yaml"}


@pytest.mark.parametrize("more", [" # stays", "\n        pullSecret: other"])
def test_an_image_writes_no_other_key(registry: Path, more: str) -> None:
    with pytest.raises(InputError, match=r"clusters.yaml:\d+: .* has white space; write one word"):
        promote(registry, NEW + more)
    assert changed(registry) == []


def test_an_image_written_in_a_way_that_cannot_be_edited_is_told(registry: Path) -> None:
    text = registry.read_text().replace(f"image: {OLD}", f"image:\n          {OLD}", 1)
    registry.write_text(text)
    with pytest.raises(InputError, match=r"does not hold .* on one line with its key"):
        promote(registry, NEW)
    assert registry.read_text() == text
