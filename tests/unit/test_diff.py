"""How a change of dist is told to a person."""

from pathlib import Path

import yaml

from rendering.diff import Change, compare, describe


def write(tree: Path, name: str, body: object) -> None:
    file = tree / "c" / "k" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(body if isinstance(body, str) else yaml.safe_dump(body))


def fields(tmp_path: Path, old: object, new: object) -> list[str]:
    """The lines about one object that was ``old`` and is ``new``."""
    write(tmp_path / "old", "Kind.name.yaml", old)
    write(tmp_path / "new", "Kind.name.yaml", new)
    (change,) = compare(tmp_path / "old", tmp_path / "new")
    assert (change.sign, change.cluster, change.component) == ("~", "c", "k")
    return list(change.fields)


def test_a_field_is_told_by_its_path(tmp_path: Path) -> None:
    old = {"spec": {"replicas": 2, "gone": True, "same": [1]}}
    new = {"spec": {"replicas": 3, "same": [1], "more": {"a": "b"}}}
    assert sorted(fields(tmp_path, old, new)) == [
        "+ spec.more: {a: b}",
        "- spec.gone: true",
        "spec.replicas: 2 → 3",
    ]


def test_items_go_by_their_name(tmp_path: Path) -> None:
    """An item put in front of others is one line, not a change of each."""
    old = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
    new = {"env": [{"name": "Z", "value": "0"}, *old["env"]]}
    assert fields(tmp_path, old, new) == ["+ env[Z]: {name: Z, value: '0'}"]


def test_texts_in_a_list_go_by_themselves(tmp_path: Path) -> None:
    assert fields(tmp_path, {"args": ["--a", "--b=1"]}, {"args": ["--a", "--b=2"]}) == [
        "- args: --b=1",
        "+ args: --b=2",
    ]


def test_other_items_go_by_position(tmp_path: Path) -> None:
    assert fields(tmp_path, {"a": [{"x": 1}, {"x": 2}]}, {"a": [{"x": 1}, {"x": 3}]}) == [
        "a[1].x: 2 → 3"
    ]


def test_an_order_that_changes_is_told(tmp_path: Path) -> None:
    """Nothing that differs in bytes goes without a line."""
    assert fields(tmp_path, {"args": ["--a", "--b"]}, {"args": ["--b", "--a"]})


def test_a_long_value_is_cut(tmp_path: Path) -> None:
    (line,) = fields(tmp_path, {"a": "x" * 500}, {"a": "y" * 500})
    assert len(line) < 160


def test_what_is_not_yaml_is_still_told(tmp_path: Path) -> None:
    assert fields(tmp_path, "{", {"a": 1})


def test_lines_for_a_person() -> None:
    changes = [
        Change("+", "eu", "app", "Service.web.yaml"),
        Change("~", "eu", "app", "patches/ConfigMap.cm.yaml", ("data.a: 1 → 2",)),
        Change("-", "us", "app", "kustomization.yaml"),
    ]
    assert list(describe(changes)) == [
        "eu",
        "  app",
        "    + Service/web",
        "    ~ ConfigMap/cm (in patches)",
        "        data.a: 1 → 2",
        "us",
        "  app",
        "    - kustomization.yaml",
        "1 to add, 1 to change, 1 to remove",
    ]
    assert list(describe([])) == []
