"""A value that no command can use is refused before anything is asked."""

from collections.abc import Callable

import pytest

from tests.operations.conftest import Result


@pytest.mark.parametrize(
    ("command_name", "option", "value", "reason"),
    [
        ("status", "--watch", "-3", "-3 is not a number from 0 up"),
        ("status", "--watch", "nan", "nan is not a number from 0 up"),
        ("status", "--watch", "inf", "inf is not a number from 0 up"),
        ("status", "--watch", "often", "often is not a number from 0 up"),
        ("status", "--watch", "0", "0 is not above 0"),
        ("status", "--resolver", "nope", "nope is not an IP address"),
        ("bootstrap", "--resolver", "nope", "nope is not an IP address"),
        ("bootstrap", "--timeout", "-1", "-1 is not a number from 0 up"),
        ("bootstrap", "--timeout", "nan", "nan is not a number from 0 up"),
    ],
)
def test_a_value_out_of_range_is_an_error_of_the_command_line(
    command: Callable[..., Result], command_name: str, option: str, value: str, reason: str
) -> None:
    result = command(command_name, f"{option}={value}")
    assert result.status == 2
    assert result.err.splitlines()[-1].endswith(f"error: argument {option}: {reason}")
