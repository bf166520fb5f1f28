"""How little a command loads before it does anything."""

import subprocess
import sys
from typing import Final

import pytest

from commands import COMMANDS
from tests.objects import ROOT

RENDERING: Final = {"import", "docs"}
"""Commands that make objects, or read the classes of cdk8s."""

SLOW: Final = ("jsii", "cdk8s", "cdk8s_plus_27", "constructs", "dns.resolver")
"""Each takes longer to import than a command takes to print its help; the first four start Node."""


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - RENDERING))
def test_a_command_that_renders_nothing_loads_nothing_that_is_slow(command: str) -> None:
    program = (
        "import sys, commands\n"
        "try:\n"
        f"    commands.main([{command!r}, '--help'])\n"
        "except SystemExit:\n"
        f"    print({{*{SLOW}}} & {{*sys.modules}})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "set()"
