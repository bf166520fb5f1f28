"""Which model each mapping of a description has: for errors, which name the keys it may have."""

from collections.abc import Mapping
from typing import Final

from fleet.score.description import Description
from fleet.score.jobs import BeforeRollout, ScheduledJob
from fleet.score.levels import ServiceLevels
from fleet.score.platform import Egress, Metadata, Metrics, Platform, Scaling
from fleet.score.resources import ResourceMetadata, SecretResource
from fleet.score.workload import (
    Amounts,
    Container,
    Exec,
    HttpGet,
    HttpHeader,
    Mount,
    Probe,
    Resources,
    Service,
    ServicePort,
)
from fleet.values import Facts

MODELS: Final[Mapping[tuple[str, ...], type[Facts]]] = {
    (): Description,
    ("metadata",): Metadata,
    ("metadata", "platform"): Platform,
    ("metadata", "platform", "metrics"): Metrics,
    ("metadata", "platform", "scaling"): Scaling,
    ("metadata", "platform", "serviceLevels"): ServiceLevels,
    ("metadata", "platform", "egress", "*"): Egress,
    ("metadata", "platform", "jobs", "*"): ScheduledJob,
    ("metadata", "platform", "jobs", "*", "resources"): Resources,
    ("metadata", "platform", "jobs", "*", "resources", "requests"): Amounts,
    ("metadata", "platform", "jobs", "*", "resources", "limits"): Amounts,
    ("metadata", "platform", "beforeRollout"): BeforeRollout,
    ("metadata", "platform", "beforeRollout", "resources"): Resources,
    ("metadata", "platform", "beforeRollout", "resources", "requests"): Amounts,
    ("metadata", "platform", "beforeRollout", "resources", "limits"): Amounts,
    ("containers", "*"): Container,
    ("containers", "*", "volumes", "*"): Mount,
    ("containers", "*", "resources"): Resources,
    ("containers", "*", "resources", "requests"): Amounts,
    ("containers", "*", "resources", "limits"): Amounts,
    ("containers", "*", "livenessProbe"): Probe,
    ("containers", "*", "readinessProbe"): Probe,
    ("containers", "*", "*", "httpGet"): HttpGet,
    ("containers", "*", "*", "httpGet", "httpHeaders", "*"): HttpHeader,
    ("containers", "*", "*", "exec"): Exec,
    ("service",): Service,
    ("service", "ports", "*"): ServicePort,
    ("resources", "*"): SecretResource,
    ("resources", "*", "metadata"): ResourceMetadata,
}
"""The model of each mapping, by its path; ``*`` stands for a name or a position."""
