"""The words for what is wrong: how a path and a value are written, and what is never shown."""

import pytest

from fleet.diagnostics import Location, as_written, choice, did_you_mean, path, redacted, shown


@pytest.mark.parametrize(
    ("location", "text"),
    [
        ((), ""),
        (("clusters", 2, "address"), "clusters[2].address"),
        (("metadata", "labels", "a.b/c"), 'metadata.labels["a.b/c"]'),
        (("metadata", "labels", "app-name"), 'metadata.labels["app-name"]'),
        (("spec", "containers", "-", "image"), "spec.containers[-].image"),
        ((0, "op"), "[0].op"),
        (("https://a:SECRET@b",), '["<hidden>"]'),
    ],
)
def test_a_path_is_written_as_people_write_it(location: Location, text: str) -> None:
    assert path(location) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("web", "web"),
        ("two words", "'two words'"),
        ("", "''"),
        ("2", "'2'"),
        ("true", "'true'"),
        ("a\nb", '"a\\nb"'),
        (2, "2"),
        (True, "true"),
        (None, "null"),
        (["a"], '["a"]'),
        ("a" * 81, "a" * 79 + "…"),
    ],
)
def test_a_value_is_shown_on_one_line_and_by_its_type(value: object, text: str) -> None:
    assert shown(value) == text


def test_what_a_file_has_is_shown_as_it_is_written() -> None:
    assert as_written("010") == "010"


@pytest.mark.parametrize(
    "value",
    [
        "https://a:SECRET@b",
        ["https://a:SECRET@b"],
        {"url": {"https://a:SECRET@b": 1}},
        [["web", "user:SECRET@host"]],
        "https://example.org/x?ref=v1&token=SECRET",
    ],
)
def test_no_credential_is_shown_however_deep(value: object) -> None:
    assert shown(value) == "<hidden>"


@pytest.mark.parametrize(
    ("message", "rest"),
    [
        ("accumulating https://a:SECRET@b/c: refused", "accumulating <hidden> refused"),
        ("-----BEGIN KEY----- SECRET", "<hidden>"),
        ("github.com/example/x?ref=v1 is remote", "github.com/example/x?ref=v1 is remote"),
    ],
)
def test_another_programs_message_loses_its_credentials(message: str, rest: str) -> None:
    assert redacted(message) == rest


def test_the_word_that_was_meant_is_named_before_all_others() -> None:
    assert did_you_mean("pull_secrt", ["pullSecret", "name"]) == " (did you mean pullSecret?)"
    assert choice("Alway", ["Always", "Never"]) == " (did you mean Always?)"
    assert choice("x", ["b", "a"]) == "; write one of a, b"
    assert choice("x", []) == "; remove it"
