"""Volumes for what has to outlive its pod."""

from imports.monitoring import Storage


def volume(size: str, storage_class: str | None) -> Storage:
    """A volume of ``size`` for a custom resource of Prometheus Operator.

    ``storage_class`` is always named where the provider marks none as its default.
    """
    return {
        "volumeClaimTemplate": {
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": {"requests": {"storage": size}},
                **({"storageClassName": storage_class} if storage_class else {}),
            }
        }
    }
