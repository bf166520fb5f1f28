"""The line that says how far a render has come."""

import io
from types import SimpleNamespace

import pytest

from fleet.progress import progress

ITEMS = [SimpleNamespace(name="tooling"), SimpleNamespace(name="us-east")]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_each_item_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with progress(ITEMS) as each:
        assert list(each) == ITEMS
    assert [line.strip() for line in terminal.getvalue().split("\r\x1b[K")] == [
        "",
        "1/2 tooling",
        "2/2 us-east",
        "",
    ]


def test_the_line_goes_away_when_a_render_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the error stands on a line of its own."""
    monkeypatch.setattr("sys.stderr", terminal := Terminal())
    with pytest.raises(ValueError, match="broken"), progress(ITEMS):
        raise ValueError("broken")
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_a_log_sees_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(ITEMS) as each:
        assert list(each) == ITEMS
    assert capsys.readouterr() == ("", "")
