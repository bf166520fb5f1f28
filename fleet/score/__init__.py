"""What an app is, as its team describes it: a Score file, with a section for this platform.

Score is a workload specification that names no platform: https://docs.score.dev. The keys here are
those of its schema score.dev/v1b1 as far as the platform gives them a meaning; others are refused,
for a key that is silently ignored is a promise that is not kept. What Score has no key for is in
``metadata.platform``: Score allows further keys there, so other tools read the same file.
"""

from fleet.score.checks import problems
from fleet.score.description import Description, Kind, tls_secret
from fleet.score.jobs import BEFORE_ROLLOUT, BeforeRollout, Job, ScheduledJob
from fleet.score.levels import TRAEFIK_BUCKETS, Measure, ServiceLevels
from fleet.score.models import MODELS
from fleet.score.placeholders import Part, Reference
from fleet.score.platform import Egress, Metadata, Metrics, Platform, Scaling
from fleet.score.resources import (
    CLUSTER_FACTS,
    PARAMS,
    POD_FACTS,
    CertificateParams,
    CertificateResource,
    ClusterResource,
    PodResource,
    Resource,
    SecretParams,
    SecretResource,
    VolumeParams,
    VolumeResource,
)
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

__all__ = [
    "BEFORE_ROLLOUT",
    "CLUSTER_FACTS",
    "MODELS",
    "PARAMS",
    "POD_FACTS",
    "TRAEFIK_BUCKETS",
    "Amounts",
    "BeforeRollout",
    "CertificateParams",
    "CertificateResource",
    "ClusterResource",
    "Container",
    "Description",
    "Egress",
    "Exec",
    "HttpGet",
    "HttpHeader",
    "Job",
    "Kind",
    "Measure",
    "Metadata",
    "Metrics",
    "Mount",
    "Part",
    "Platform",
    "PodResource",
    "Probe",
    "Reference",
    "Resource",
    "Resources",
    "Scaling",
    "ScheduledJob",
    "SecretParams",
    "SecretResource",
    "Service",
    "ServiceLevels",
    "ServicePort",
    "VolumeParams",
    "VolumeResource",
    "problems",
    "tls_secret",
]
