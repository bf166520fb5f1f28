"""``resources``: what an app needs, by type, and the facts that placeholders ask of each."""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field

from fleet.score.facts import AnnotationKey, FileName, Memory, SecretKey, Truth
from fleet.values import Facts, FrozenDict, Name
from fleet.volumes import mebibytes


class SecretParams(Facts):
    name: Name | None = Field(
        default=None,
        description="Name of the Secret. Without it, the id of the resource.",
        examples=["shop-database"],
    )
    keys: tuple[SecretKey, ...] = Field(
        default=(),
        description="Keys that are files where the Secret is mounted, each under its own name.",
        examples=[["signing.pem"]],
    )


class VolumeParams(Facts):
    size: Memory | None = Field(
        default=None,
        description="Limit of what the app may write there. Without it, `64Mi`; a persistent "
        "volume has none.",
        examples=["1Gi"],
    )
    persistent: Truth = Field(
        default=False,
        description="Whether each pod keeps a volume of its own, of the region's storage class.",
        examples=[True],
    )

    @property
    def mebibytes(self) -> int:
        """The limit in MiB."""
        return mebibytes(self.size or "64Mi")


class CertificateParams(Facts):
    certificate: FileName = Field(
        default="tls.crt", description="File of the chain, in PEM.", examples=["cert.pem"]
    )
    key: FileName = Field(
        default="tls.key", description="File of the private key, in PEM.", examples=["key.pem"]
    )


class ResourceMetadata(Facts):
    """What other tools know of a resource."""

    annotations: Annotated[dict[AnnotationKey, str], AfterValidator(FrozenDict)] = Field(
        default_factory=FrozenDict, description="For other tools."
    )


class _Resource(Facts):
    metadata: ResourceMetadata = ResourceMetadata()


class SecretResource(_Resource):
    """A Secret in the app's namespace that bootstrap creates, with values that are in no file."""

    type: Literal["secret"]
    params: SecretParams = SecretParams()


class VolumeResource(_Resource):
    """A folder: empty, and gone with the pod; or one that each pod keeps."""

    type: Literal["volume"]
    params: VolumeParams = VolumeParams()


class CertificateResource(_Resource):
    """The certificate of the app's hostname, renewed while the app runs."""

    type: Literal["certificate"]
    params: CertificateParams = CertificateParams()


class ClusterResource(_Resource):
    """Facts of the cluster: ``name``, ``region``, ``host`` and ``proxy-networks``."""

    type: Literal["cluster"]


class PodResource(_Resource):
    """Facts of the pod: ``name``, ``namespace``, ``node`` and ``region``."""

    type: Literal["pod"]


Resource: TypeAlias = Annotated[
    SecretResource | VolumeResource | CertificateResource | ClusterResource | PodResource,
    Field(discriminator="type"),
]

CLUSTER_FACTS: Final = ("name", "region", "host", "proxy-networks")
"""What ``${resources.<id>.<fact>}`` can ask of a resource of type ``cluster``."""
POD_FACTS: Final = ("name", "namespace", "node", "region")
"""What a variable can ask of a resource of type ``pod``."""

MOUNTED: Final = (SecretResource, VolumeResource, CertificateResource)
"""What can be mounted."""
PARAMS: Final[Mapping[str, type[Facts]]] = {
    "secret": SecretParams,
    "volume": VolumeParams,
    "certificate": CertificateParams,
}
"""The model of ``params``, by the type of the resource; the others have none."""
