"""Names that components of monitoring know each other by, so that none imports another for one."""

from typing import Final

COLLECTOR: Final = "opentelemetry-collector"
"""The collectors' component, and their namespace: Pod Security leaves it open, for the folders of
the host."""

PROMETHEUS_AGENT: Final = "prometheus-agent"
"""The component that sends a region's metrics, and the job of its own."""

BLACKBOX_EXPORTER: Final = "blackbox-exporter"
"""The component that probes hostnames, and the job of its own."""
PROBES: Final = "probes"
"""The job of what the probes of hostnames find."""

LOG_GATEWAY: Final = "log-gateway"
"""The component on the hub that takes the regions' log lines."""
