"""The arithmetic of bench.app, and what it makes of the tools' output."""

import subprocess

import pytest

from bench.app import load, report
from fleet.errors import InputError

RESULTS = {
    **{each.name: {"foobar-api": [60.0, 90.0, 70.0], "whoami": [100.0, 100.0, 100.0]}
       for each in load.LOADS},
    "memory": {"foobar-api": [60.0], "whoami": [20.0]},
}  # fmt: skip


def test_a_ratio_is_the_median_of_those_within_rounds() -> None:
    results = {"x": {"foobar-api": [1.0, 8.0, 3.0], "whoami": [2.0, 4.0, 3.0]}}
    assert report.ratio(results, "x", "foobar-api") == 1.0


def test_the_report_says_which_targets_are_met() -> None:
    lines = {
        line.split("|")[1].strip(): line
        for line in report.report(RESULTS, ["foobar-api", "whoami"], 3)
        if line.startswith("| ")
    }
    assert "≥ 1.4 | **missed**" in lines["/ kept"]
    assert "≥ 0.6 | met" in lines["/bench new"]
    assert "≤ 4 | met" in lines["memory"]
    assert "60 MiB (3.00)" in lines["memory"]


def test_alone_it_has_no_ratios_and_no_targets() -> None:
    text = "\n".join(report.report(RESULTS, ["foobar-api"], 3))
    assert "met" not in text
    assert "(0." not in text


WRK = "  100 requests in 1.00s\n{errors}Requests/sec:  {rate}\nTransfer/sec: 1MB\n"
H2LOAD = "finished in 1.00s, {rate} req/s, 1MB/s\nrequests: 9 total, {failed} failed, 0 errored\n"


@pytest.mark.parametrize(
    ("name", "output", "rate"),
    [
        ("/ kept", WRK.format(rate="1234.50", errors=""), 1234.5),
        ("/ HTTP/2", H2LOAD.format(rate="987.25", failed=0), 987.25),
        ("/ kept", WRK.format(rate="1.00", errors="  Non-2xx or 3xx responses: 7\n"), None),
        ("/ HTTP/2", H2LOAD.format(rate="987.25", failed=3), None),
        ("/ kept", "unable to connect", None),
    ],
)
def test_a_rate_counts_only_when_every_request_was_answered(
    monkeypatch: pytest.MonkeyPatch, name: str, output: str, rate: float | None
) -> None:
    (asked,) = (each for each in load.LOADS if each.name == name)

    def run(command: list[str], **_: object) -> "subprocess.CompletedProcess[str]":
        assert command[-1] == f"https://127.0.0.1:9{asked.path}"
        return subprocess.CompletedProcess(command, 0, output, "")

    monkeypatch.setattr(subprocess, "run", run)
    if rate is None:
        with pytest.raises(InputError):
            load.measure(asked, 9, 1)
    else:
        assert load.measure(asked, 9, 1) == rate
