"""Dashboards, checked without Grafana: against the schema of its own, compiled by TypeScript.

The schema is @grafana/schema, in the version of Grafana that the hub runs. An option, a field or a
value that it does not know is a fault; ``dashboard.ts`` says which of its types each part has.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tests.npm import Packages

FOLDER: Final = Path(__file__).parent
PACKAGES: Final = Packages("grafana", FOLDER)


def faults(dashboards: Sequence[Any]) -> list[list[str]]:
    """What is wrong with each dashboard, each fault with its path.

    Raises NotInstalledError if the schema is not installed.
    """
    found: list[list[str]] = PACKAGES.run(
        "check.cjs", str(FOLDER / "dashboard.ts"), given=dashboards
    )
    return found
