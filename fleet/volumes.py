"""Sizes of volumes, and what a StorageClass can provide."""

from collections.abc import Mapping
from typing import Final, NamedTuple

MEBIBYTES: Final = {"Mi": 1, "Gi": 1024, "Ti": 1024 * 1024}


class Limits(NamedTuple):
    """The smallest and the largest volume of a StorageClass."""

    smallest: str
    largest: str


_NVME: Final = Limits("1Gi", "100000Gi")
_HDD: Final = Limits("40Gi", "40000Gi")

LIMITS: Final[Mapping[str, Limits]] = {
    # docs/kubernetes/README.md of vultr-csi v0.18.0, whose gigabytes are gibibytes
    # (driver/controller.go).
    "vultr-block-storage": _NVME,
    "vultr-block-storage-retain": _NVME,
    "vultr-block-storage-hdd": _HDD,
    "vultr-block-storage-hdd-retain": _HDD,
    # A volume of Hetzner Cloud has 10 GB to 10 TB (docs.hetzner.com, cloud/volumes), which its CSI
    # driver counts in gibibytes (internal/csi/volume.go).
    "hcloud-volumes": Limits("10Gi", "10Ti"),
    # driver/controller.go of csi-digitalocean.
    "do-block-storage": Limits("1Gi", "16Ti"),
    "do-block-storage-retain": Limits("1Gi", "16Ti"),
    "do-block-storage-xfs": Limits("1Gi", "16Ti"),
    "do-block-storage-xfs-retain": Limits("1Gi", "16Ti"),
}
"""What is known of StorageClasses; a class that is not in here may have limits of its own."""


# docs/kubernetes/README.md of vultr-csi v0.18.0, which names the cities; these are their codes in
# Vultr's API. The classes exist in every cluster, whether or not its location has the disks.
_NVME_LOCATIONS: Final = frozenset(
    ("ams", "atl", "blr", "ewr", "lax", "lhr", "nrt", "ord", "sea", "sgp", "syd")
)
LOCATIONS: Final[Mapping[str, frozenset[str]]] = {
    "vultr-block-storage": _NVME_LOCATIONS,
    "vultr-block-storage-retain": _NVME_LOCATIONS,
}
"""Where a StorageClass is offered, if not everywhere, by the labels of nodes."""


def mebibytes(size: str) -> int:
    """A size such as ``50Gi`` as a number."""
    return int(size[:-2]) * MEBIBYTES[size[-2:]]


def at_least(size: str, storage_class: str | None) -> str:
    """``size``, or the smallest that the class provides if that is larger."""
    limits = LIMITS.get(storage_class or "")
    return max(size, limits.smallest, key=mebibytes) if limits else size


def check(size: str, storage_class: str | None) -> None:
    """Raises ValueError where the class provides no volume of ``size``."""
    limits = LIMITS.get(storage_class or "")
    if limits is None:
        return
    if mebibytes(size) < mebibytes(limits.smallest):
        raise ValueError(
            f"{size} is less than {storage_class} provides; write {limits.smallest} or more"
        )
    if mebibytes(size) > mebibytes(limits.largest):
        raise ValueError(
            f"{size} is more than {storage_class} provides; write {limits.largest} or less"
        )
