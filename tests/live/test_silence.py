"""A region whose password the hub does not take: the hub tells, and bootstrap repairs it.

These come last, since what they wait for takes minutes, and other tests run meanwhile.
"""

from functools import partial
from typing import Any

import pytest

from charts.ingress import PAGES
from charts.monitoring import secrets
from tests.live.cluster import ends_well, eventually
from tests.live.conftest import Bootstrapped
from tests.live.hub import REFUSED, Logs, Query

pytestmark = [pytest.mark.live, pytest.mark.usefixtures("refused")]


def test_a_wrong_password_raises_the_alert_of_its_region(query: Query) -> None:
    """And of no other; the region itself can say nothing."""
    fired = eventually(
        "IngestRefused fires",
        lambda: [each for each in query.alerts() if each["alertname"] == "IngestRefused"],
        seconds=400,
    )
    # The tests before this one have knocked at the other region's door.
    assert REFUSED in {each["cluster"] for each in fired}
    eventually(
        "ClusterMetricsSilent fires",
        lambda: [
            each
            for each in query.alerts()
            if each["alertname"] == "ClusterMetricsSilent" and each["cluster"] == REFUSED
        ],
        seconds=400,
    )
    assert "Watchdog" in {each["alertname"] for each in query.alerts()}


def test_bootstrap_brings_the_region_in_again(up: Bootstrapped, query: Query, logs: Logs) -> None:
    """It finds what is not as it should be, and nothing has to be restarted."""
    result = up.bootstrap()
    assert result.returncode == 0, result.stdout + result.stderr
    changed = [line for line in result.stdout.splitlines() if line.startswith("+ ")]
    assert changed == [f"+ {up.fork.fleet.hub.name}  Secret {PAGES}/{secrets.ingest_user(REFUSED)}"]
    eventually(
        f"metrics of {REFUSED}",
        partial(query, f'up{{cluster="{REFUSED}",job="prometheus-agent"}} == 1'),
        seconds=300,
    )

    def lines() -> list[dict[str, Any]]:
        assert ends_well(REFUSED, "kube-system", "speaker", ["echo", "what is said from now on"])
        return logs(f'{{cluster="{REFUSED}",app="speaker"}}')

    eventually(f"lines of {REFUSED}", lines, seconds=300)
