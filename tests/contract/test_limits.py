"""Pairs of limits: what one thing lets happen, another takes, and an alert lies between.

Each pair is in two places of the code or of kube-prometheus, and wrong as soon as one of them
changes alone.
"""

import re
from collections.abc import Sequence
from math import exp, factorial

import pytest

from charts.app.jobs import STARTING_DEADLINE
from charts.monitoring.collector.configuration import EVENTS_QUEUE_BYTES
from charts.monitoring.prometheus import LATE_HOURS, MEMORY, RETENTION_SHARE, SERIES
from charts.monitoring.prometheus_agent import BUFFER_HOURS
from charts.monitoring.rules import QUOTAS
from charts.monitoring.rules.arrival import SILENT_AFTER_MINUTES
from charts.monitoring.rules.certificates import CRITICAL, RENEWAL, WARNING
from charts.monitoring.rules.jobs import LATE_AFTER_MINUTES
from charts.monitoring.rules.platform import SERIES_HIGH, VOLUME_CRITICAL, VOLUME_LOW
from charts.monitoring.rules.service_levels import (
    BUDGET_DAYS,
    BUDGET_MINUTES,
    BURNS,
    SIGNAL,
    Burn,
)
from fleet.registry import Fleet
from fleet.volumes import mebibytes
from rendering.validation.objects import Object
from tests.contract.test_monitoring import one
from tests.queries import rules

FILE_SYSTEM = 0.022
"""Share of a volume that ext4 takes for itself: of a claim of 50 GiB, 18.19 % were free with 80 %
used."""
COMPACTION = 0.1
"""Share of its blocks that Prometheus writes anew before it deletes the old ones: the longest block
spans a tenth of the retention (storage.tsdb.max-block-duration)."""
SERIES_BYTES = 4000
"""Of memory, for one series (docs/scale.md)."""
HOURS = {"h": 1, "d": 24}


def thresholds(built: Sequence[Object], alert: str) -> dict[str, float]:
    """What is left of a volume when an alert of kube-prometheus fires, by severity."""
    found = {}
    for rule in rules(built):
        if rule.get("alert") == alert:
            (share,) = re.findall(r"\)\s*<\s*(0\.\d+)\s*and", rule["expr"])
            found[rule["labels"]["severity"]] = float(share)
    return found


def test_a_volume_as_full_as_designed_raises_no_alert(built: Sequence[Object]) -> None:
    """Not even while Prometheus compacts; neither ours nor kube-prometheus's."""
    free = 1 - RETENTION_SHARE * (1 + COMPACTION) / (1 - FILE_SYSTEM)
    theirs = thresholds(built, "KubePersistentVolumeFillingUp")
    assert theirs == {"critical": 0.03, "warning": 0.15}
    assert free > VOLUME_LOW > VOLUME_CRITICAL > theirs["critical"]
    assert free > theirs["warning"]
    # The share is the one that is rendered.
    for each in built:
        if each.kind == "Prometheus":
            limit = int(each.body["spec"]["retentionSize"].removesuffix("MiB"))
            claim = each.body["spec"]["storage"]["volumeClaimTemplate"]["spec"]
            size = mebibytes(claim["resources"]["requests"]["storage"])
            assert limit / size == pytest.approx(RETENTION_SHARE, abs=0.001)


def test_series_are_reported_before_memory_ends() -> None:
    """Half of it is for queries, and for what the program needs itself."""
    memory = mebibytes(MEMORY) * 1024 * 1024
    assert SERIES_HIGH * SERIES < SERIES
    assert memory / 2 > SERIES * SERIES_BYTES


def test_a_certificate_is_late_only_after_its_renewal_is_due(objects: Sequence[Object]) -> None:
    assert 0 < CRITICAL < WARNING < RENEWAL
    # Weeks of attempts lie between, for certificates of 90 days, and days for those of 45.
    assert (RENEWAL - WARNING) * 45 > 5
    for each in objects:
        if each.kind == "Certificate":
            # cert-manager's own default, by which RENEWAL goes.
            assert not each.body["spec"].keys() & {"renewBefore", "renewBeforePercentage"}


def test_metrics_that_wait_are_reported_long_before_they_are_lost(
    objects: Sequence[Object], fleet: Fleet
) -> None:
    kept = BUFFER_HOURS / 3
    (behind,) = (rule for rule in rules(objects) if rule.get("alert") == "RemoteWriteBehind")
    (seconds,) = re.findall(r"> (\d+)$", behind["expr"])
    waits = (int(seconds) / 60 + int(behind["for"].removesuffix("m"))) / 60
    assert waits < kept / 4
    assert f"keeps {kept:.0f} hours" in behind["annotations"]["description"]
    assert kept / 4 > SILENT_AFTER_MINUTES / 60
    # What the agent measures arrives as late as everything else.
    (silent,) = re.findall(
        r"\[(\d+)m\]",
        next(r["expr"] for r in rules(objects) if r.get("alert") == "ClusterMetricsSilent"),
    )
    assert int(seconds) < int(silent) * 60
    assert LATE_HOURS >= BUFFER_HOURS
    for region in fleet.regions:
        agent = one(objects, region.name, "PrometheusAgent", "agent")["spec"]
        # Between two attempts, the region does not count as silent.
        backoff = agent["remoteWrite"][0]["queueConfig"]["maxBackoff"]
        assert int(backoff.removesuffix("s")) * 2 < SILENT_AFTER_MINUTES * 60


def test_events_that_wait_fit_their_volume(objects: Sequence[Object], fleet: Fleet) -> None:
    """Twice: compaction copies the file before it deletes it."""
    for cluster in fleet.clusters:
        pod = one(objects, cluster.name, "Deployment", "events")["spec"]["template"]["spec"]
        (queue,) = (each for each in pod["volumes"] if each["name"] == "queue")
        size = mebibytes(queue["emptyDir"]["sizeLimit"]) * 1024 * 1024
        assert size >= 2 * EVENTS_QUEUE_BYTES


def test_a_job_is_late_only_when_kubernetes_has_given_up() -> None:
    assert STARTING_DEADLINE.to_minutes() < LATE_AFTER_MINUTES


def test_no_alert_takes_quotas_for_promises(built: Sequence[Object]) -> None:
    """Quotas are ceilings: with two apps they would be more than 1.5 times two small nodes."""
    alerts = {rule.get("alert") for rule in rules(built)}
    assert not alerts & set(QUOTAS.values())
    assert {"KubeCPUOvercommit", "KubeMemoryOvercommit"} <= alerts


def test_the_hub_keeps_what_a_budget_is_worked_out_from(fleet: Fleet) -> None:
    default = type(fleet.hub).model_fields["metrics_retention"].default
    assert int(default.removesuffix("d")) > BUDGET_DAYS


def test_a_record_is_there_until_the_next(objects: Sequence[Object]) -> None:
    """Prometheus looks back less than five minutes."""
    intervals = [
        group["interval"]
        for each in objects
        if each.kind == "PrometheusRule"
        for group in each.body["spec"]["groups"]
        if "interval" in group
    ]
    assert f"{BUDGET_MINUTES}m" in intervals
    for interval in intervals:
        seconds = int(interval[:-1]) * {"s": 1, "m": 60}[interval[-1]]
        assert seconds < 5 * 60


@pytest.mark.parametrize("burn", [burn for burn in BURNS if burn.times > 1], ids=lambda b: b.long)
def test_chance_pages_less_than_once_a_year(burn: Burn) -> None:
    """Failures that come one by one, as many as the budget allows, and too few requests to tell.

    The worst case is the one in which just as many as the alert asks for are its share.
    """
    mean = SIGNAL / burn.times
    few = sum(exp(-mean) * mean**count / factorial(count) for count in range(SIGNAL))
    windows = 365 * 24 / (int(burn.long[:-1]) * HOURS[burn.long[-1]])
    assert (1 - few) * windows < 1
