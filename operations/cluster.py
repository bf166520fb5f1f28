"""A cluster as the commands see it: what they ask it, what they change, and how it refuses.

``operations.kubectl.Kubectl`` reaches real clusters; ``tests.memory.MemoryCluster`` behaves like an
API server without being one. Tests hold both to the same contract.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Final, Protocol, Self, TypeAlias

from fleet.errors import InputError

Manifest: TypeAlias = Mapping[str, Any]
"""An object in the form in which the API server reads and writes it."""

MANAGER: Final = "argocd-controller"
"""The field manager under which objects are applied: Argo CD's own (ArgoCDSSAManager in its common
package), because Argo CD takes the same objects over. If another manager owned a field as well,
the field would stay after Git drops it."""


class ClusterError(InputError):
    """A cluster refuses, or cannot be asked.

    ``problems`` has one line per refusal: the cluster, what it says (which names the object), and
    how to fix it.
    """

    REMEDY: ClassVar[str] = "run the command again, and look at the cluster if that fails as well"

    def __init__(self, cluster: str, *reasons: str, also: Sequence[InputError] = ()) -> None:
        """``also`` are refusals of another kind that came in the same answer."""
        self.cluster = cluster
        self.reasons = reasons
        remedy = f"; {self.REMEDY}" if self.REMEDY else ""
        super().__init__(
            *(f"{cluster}: {reason}{remedy}" for reason in reasons),
            *(problem for error in also for problem in error.problems),
        )


class NoContextError(ClusterError):
    """No kubectl context leads to the cluster; the reason says how to name one."""

    REMEDY = ""


class UnreachableError(ClusterError):
    """The API server does not answer, or its certificate is not the one of the kubeconfig."""

    REMEDY = "check that the cluster runs, and the URL and authority in your kubeconfig"


class OverloadedError(ClusterError):
    """The API server answers that it cannot serve the request now."""

    REMEDY = "wait until the API server has recovered, and run the command again"


class UnauthorizedError(ClusterError):
    """The API server does not know who asks."""

    REMEDY = "renew the credentials in your kubeconfig"


class ForbiddenError(ClusterError):
    """Whoever asks may not do that."""

    REMEDY = "use a kubeconfig of an administrator"


class RejectedError(ClusterError):
    """Admission rejects the object: a policy, a quota, Pod Security or a webhook."""

    REMEDY = "change the object's component or overlay, or what rejects it"


class TerminatingError(ClusterError):
    """The object's namespace is being deleted."""

    REMEDY = "wait until the namespace is gone, and run the command again"


class NotFoundError(ClusterError):
    """The object or its namespace does not exist."""

    REMEDY = "run `python -m fleet bootstrap`, which creates what is missing"


class AlreadyExistsError(ClusterError):
    """Somebody else created the object first."""

    REMEDY = "run the command again"


class ConflictError(ClusterError):
    """Somebody else changed the object at the same time, or owns one of its fields."""

    REMEDY = "run the command again"


class InvalidError(ClusterError):
    """The object is not what the API server's schema or validation accepts."""

    REMEDY = "correct the component or overlay that renders it, and run `python main.py`"


class ImmutableError(ClusterError):
    """The object exists, and differs in a field that cannot be changed."""

    REMEDY = "delete the object if it may be replaced, and run the command again"


class UnknownKindError(ClusterError):
    """The API server serves no such kind: no CustomResourceDefinition defines it yet."""

    REMEDY = "run `python -m fleet bootstrap`, which installs the definitions"


class WebhookUnavailableError(ClusterError):
    """A webhook that has a say in the object does not answer."""

    REMEDY = "wait until the pods of the webhook are ready, and run the command again"


class Cluster(Protocol):
    """One cluster of the fleet. Every method but ``failing`` raises ClusterError.

    ``kind`` is what kubectl accepts for it: ``secret``, ``applications.argoproj.io``,
    ``Certificate.cert-manager.io``.
    """

    @property
    def name(self) -> str:
        """The name of the cluster in the registry."""

    @property
    def context(self) -> str:
        """The kubectl context that leads there."""

    @property
    def fault(self) -> ClusterError | None:
        """What every call raises, if it is known already that the cluster cannot be asked."""

    def failing(self, fault: ClusterError) -> Self:
        """The same cluster, whose every call raises ``fault`` at once."""

    def check_ready(self) -> None:
        """Returns once the API server answers that it is ready."""

    def version(self) -> tuple[int, int]:
        """Major and minor version of Kubernetes."""

    def server(self) -> str:
        """URL of the API server in the kubeconfig."""

    def api_versions(self) -> frozenset[str]:
        """What the API server serves: ``v1``, ``apps/v1``, ``cert-manager.io/v1``."""

    def allows(self, verb: str, resource: str) -> bool:
        """Whether whoever is signed in may do ``verb`` to ``resource`` in every namespace."""

    def get(self, kind: str, name: str, namespace: str | None = None) -> Manifest | None:
        """The object; None if it, its namespace or its kind does not exist."""

    def list_objects(self, kind: str, namespace: str | None = None) -> Sequence[Manifest]:
        """All objects of a kind, in ``namespace`` or everywhere; none of a kind that is unknown."""

    def list_names(self, kind: str) -> frozenset[str]:
        """The names of all objects of a kind, for objects as large as definitions."""

    def read(self, objects: Sequence[Manifest]) -> Sequence[Manifest]:
        """Those of ``objects`` that exist, as they are in the cluster."""

    def preview(self, objects: Sequence[Manifest]) -> Sequence[Manifest]:
        """What ``apply`` would make of each of ``objects``; changes nothing."""

    def apply(self, objects: Sequence[Manifest]) -> None:
        """Applies server-side as ``MANAGER``, and takes fields over from other managers.

        Goes on after an object that is refused, and raises one error for all of these.
        """

    def delete(self, objects: Sequence[Manifest]) -> None:
        """Deletes those of ``objects`` that exist, and waits until they are gone."""

    def restart(self, deployment: str, namespace: str) -> None:
        """Replaces the pods of a Deployment one after another."""

    def forwarded(self, namespace: str, target: str, port: int) -> AbstractContextManager[str]:
        """A local URL that leads to ``port`` of ``target``, whatever NetworkPolicies say."""
