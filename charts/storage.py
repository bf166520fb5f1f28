"""Volumes for what has to outlive its pod."""

from typing import cast

from fleet.volumes import at_least
from imports.k8s import PersistentVolumeClaimSpec
from imports.monitoring import PersistentVolumeClaimSpec as OperatorClaimSpec
from imports.monitoring import Storage


def claim(size: str, storage_class: str | None) -> PersistentVolumeClaimSpec:
    """A volume of ``size``, or of the smallest that the class provides if that is larger.

    ``storage_class`` is always named where the provider marks none as its default.
    """
    return {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": at_least(size, storage_class)}},
        **({"storageClassName": storage_class} if storage_class else {}),
    }


def volume(size: str, storage_class: str | None) -> Storage:
    """The same, for a custom resource of Prometheus Operator."""
    return {"volumeClaimTemplate": {"spec": cast(OperatorClaimSpec, claim(size, storage_class))}}
