"""Certificates: that they are renewed, and that what is renewed is served."""

from typing import Final

from charts.monitoring.rules.app import CERTIFICATE_SERVED
from charts.monitoring.rules.rule import Alert, Group, Severity

LEFT: Final = (
    "(certmanager_certificate_not_after_timestamp_seconds - time())"
    " / (certmanager_certificate_not_after_timestamp_seconds"
    " - certmanager_certificate_not_before_timestamp_seconds)"
)
"""Share of a certificate's life that is left. Let's Encrypt shortens lives, so days would be wrong
before long."""
RENEWAL: Final = 1 / 3
"""Share that is left when cert-manager renews a certificate that says nothing of it."""
WARNING: Final = 0.2
CRITICAL: Final = 0.08


def _expiring(severity: Severity, share: float) -> Alert:
    return Alert(
        name="CertificateExpiring",
        severity=severity,
        expression=f"{LEFT} < {share}",
        wait="15m",
        summary="The certificate {{ $labels.namespace }}/{{ $labels.name }} of "
        "{{ $labels.cluster }} is not renewed.",
        description="{{ $value | humanizePercentage }} of its life is left; it should have been "
        f"renewed at {RENEWAL:.0%}.",
    )


_NOT_READY: Final = Alert(
    name="CertificateNotReady",
    severity="warning",
    expression='certmanager_certificate_ready_status{condition="True"} == 0',
    wait="20m",
    summary="The certificate {{ $labels.namespace }}/{{ $labels.name }} of "
    "{{ $labels.cluster }} is not issued.",
    description="It has not been ready for 20 minutes. Until it is, clients get the previous "
    "certificate, or none.",
)
_SERVED_IS_OLD: Final = Alert(
    name="CertificateServedIsOld",
    severity="warning",
    # An app's certificate has its name.
    expression="max by (cluster, app) (label_replace("
    'certmanager_certificate_not_after_timestamp_seconds, "app", "$1", "name", "(.+)"))'
    f" > {CERTIFICATE_SERVED}",
    wait="30m",
    summary="{{ $labels.app }} in {{ $labels.cluster }} serves an old certificate.",
    description="Half an hour after the renewal, a pod still serves the previous certificate. "
    "It has not read the new one.",
)


def certificates(*, served: bool) -> Group:
    """Alerts of all certificates; with ``served`` also for apps that export what they serve."""
    return Group(
        "certificates",
        [
            _expiring("warning", WARNING),
            _expiring("critical", CRITICAL),
            _NOT_READY,
            *([_SERVED_IS_OLD] if served else ()),
        ],
    )
