"""Names of the Secrets of monitoring, all of them made outside Git.

docs/monitoring.md describes what each holds.
"""

from typing import Final

INGEST_CREDENTIALS: Final = "ingest-credentials"
"""In a region: username and password by which it writes to the hub."""


def ingest_user(cluster: str) -> str:
    """On the hub, in ``PAGES``: a hash of the username and password that ``cluster`` writes by."""
    return f"ingest-{cluster}"


PROMETHEUS_SIGN_IN: Final = "prometheus-sign-in"
"""On the hub: username and password for Prometheus's own pages; a hash of them in ``PAGES``."""

GRAFANA_SIGN_IN: Final = "grafana-sign-in"
"""On the hub: username and password of Grafana's administrator."""

ALERT_RECEIVERS: Final = "alertmanager-receivers"
"""On the hub: where messages go, under the keys ``pages``, ``notices`` and ``watchdog``."""

LOKI_BUCKET: Final = "loki-bucket"
"""On the hub, with a bucket: a shared credentials file of AWS's tools, under ``credentials``."""
