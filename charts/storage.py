"""Volumes for what has to outlive its pod."""

from fleet.volumes import at_least
from imports.monitoring import Storage


def volume(size: str, storage_class: str | None) -> Storage:
    """A volume of ``size``, or of the smallest that the class provides if that is larger.

    It is for a custom resource of Prometheus Operator.
    ``storage_class`` is always named where the provider marks none as its default.
    """
    return {
        "volumeClaimTemplate": {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": at_least(size, storage_class)}},
                **({"storageClassName": storage_class} if storage_class else {}),
            }
        }
    }
