"""Settings: by flag and by variable, judged all at once, and as the README says."""

import subprocess
import sys
from pathlib import Path

import pytest

from foobar_api.settings import (
    OPTIONS,
    InvalidSettings,
    Settings,
    duration,
    flag,
    load,
    size,
    variable,
)
from tests.objects import ROOT


def problems(*arguments: str, **environment: str) -> list[str]:
    with pytest.raises(InvalidSettings) as caught:
        load(arguments, environment)
    return list(caught.value.problems)


def test_a_flag_wins_over_its_variable_and_that_over_the_default() -> None:
    assert load([], {}).port == 80
    assert load([], {"WHOAMI_PORT_NUMBER": "81"}).port == 81
    assert load(["--port=82"], {"WHOAMI_PORT_NUMBER": "81"}).port == 82


def test_the_flags_of_whoami_work_as_they_do_there() -> None:
    settings = load(
        ["-port", "8443", "-cert", "c", "-key", "k", "-cacert", "a", "-name", "me", "-verbose"], {}
    )
    assert (settings.port, settings.name, settings.verbose) == (8443, "me", True)
    assert (settings.cert, settings.key, settings.cacert) == (Path("c"), Path("k"), Path("a"))
    assert load([], {"WHOAMI_NAME": "me"}).name == "me"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("300ms", 0.3), ("1m30s", 90), ("1.5h", 5400), ("2", 2), (".5s", 0.5), ("10us", 1e-5)],
)
def test_durations_are_those_of_go(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text", ["", "s", "-1s", "1d", "1s ", "1..5s", "1e9", "\u0661s", "1s" * 99]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        duration(text)


@pytest.mark.parametrize(
    ("text", "bytes_"), [("0", 0), ("64KiB", 65536), ("1m", 10**6), ("1GiB", 2**30), ("5B", 5)]
)
def test_sizes_have_binary_and_decimal_units(text: str, bytes_: int) -> None:
    assert size(text) == bytes_


def test_every_problem_is_told_in_a_line_of_its_own() -> None:
    assert problems(
        "--port=0", "--max-body=lots", "--access-log=maybe", "--proxy-from=10.0.0.1/8"
    ) == [
        "--port: '0' is not a whole number from 1 to 65535",
        "--access-log: 'maybe' is not true or false",
        (
            "--proxy-from: '10.0.0.1/8' is not networks such as 10.0.0.0/8,fd00::/8, "
            "and 10.0.0.1/8 is none with all host bits zero"
        ),
        "--max-body: 'lots' is not a size such as 65536, 64KiB or 1MiB",
    ]


def test_a_problem_names_the_variable_that_it_came_by() -> None:
    assert problems(FOOBAR_API_MAX_WAIT="soon") == [
        "FOOBAR_API_MAX_WAIT: 'soon' is not a duration such as 30s, 1m30s or 500ms"
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--cert=c"], "--cert without --key: TLS takes both, plain HTTP neither"),
        (["--key=k"], "--key without --cert: TLS takes both, plain HTTP neither"),
        (["--cacert=a"], "--cacert without --cert and --key: client certificates take TLS"),
        (["--port=9464"], "--metrics-port: 9464 is the port of the app as well; give it another"),
        (["--host=localhost"], "--host: 'localhost' is not an IP address"),
        (["--prot=80"], "unrecognized arguments: --prot=80"),
        (["--port"], "argument --port/-port: expected one argument"),
    ],
)
def test_settings_that_contradict_each_other_are_told(arguments: list[str], problem: str) -> None:
    assert problems(*arguments) == [problem]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "foobar_api", *arguments],
        capture_output=True, text=True, check=False, cwd=ROOT, timeout=30,
    )  # fmt: skip


def test_bad_settings_end_with_exit_status_2_and_no_traceback() -> None:
    done = run("--port=0", "--workers=none")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "foobar_api: --port: '0' is not a whole number from 1 to 65535",
        "foobar_api: --workers: 'none' is not a whole number from 1 to 32",
    ]


def test_help_lists_every_option_and_its_variable() -> None:
    said = run("--help").stdout
    # Python 3.13 puts a comma behind an option that has another form.
    words = said.replace(",", " ").split()
    for name in OPTIONS:
        assert flag(name) in words
        assert (
            f"[{variable(name)}" in "".join(said.split("\n")).replace(" ", "")
            or variable(name) in said
        )


def test_every_field_can_be_set() -> None:
    assert set(OPTIONS) == set(Settings.__dataclass_fields__)


def test_a_request_of_the_largest_size_fits_what_may_be_buffered() -> None:
    (problem,) = problems("--max-body=6MiB")
    assert problem.startswith("--max-buffered: ")
    assert problem.endswith(str(2 * (6 * 2**20 + 64 * 2**10)))
    load(["--max-body=6MiB", "--max-buffered=13MiB"], {})


def test_the_largest_message_and_its_echo_fit_the_budget() -> None:
    with pytest.raises(InvalidSettings) as caught:
        load(["--max-message=8MiB"], {})
    (problem,) = caught.value.problems
    assert problem.startswith("--max-buffered: ")
    assert str(2 * 8 * 2**20) in problem
    load(["--max-message=8MiB", "--max-buffered=16MiB"], {})
