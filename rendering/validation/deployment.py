"""Whether Argo CD may deploy an object: by its AppProject, and by its rights in a region."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from rendering.validation.objects import CLUSTER_SCOPED, ClusterObjects, Finding, Object

ARGOCD: Final = "argocd"
"""Namespace of Argo CD on the hub, and of its accounts in the regions."""

_WRITES: Final = {"create", "update", "patch", "delete"}


def check(name: str, clusters: Mapping[str, ClusterObjects]) -> Iterator[Finding]:
    """What Argo CD would refuse to deploy to the cluster ``name``.

    Nothing is known of the projects if the hub is not among ``clusters``.
    """
    cluster = clusters[name]
    for hub in clusters.values():
        if project := hub.get("AppProject", ARGOCD, name):
            yield from _of_project(cluster, project)
    yield from _of_account(cluster)


def _of_project(cluster: ClusterObjects, project: Object) -> Iterator[Finding]:
    spec = project.body["spec"]
    namespaces = {each["namespace"] for each in spec.get("destinations", ())}
    kinds = {(each["group"], each["kind"]) for each in spec.get("clusterResourceWhitelist", ())}
    namespaced = {
        (each.body["spec"]["group"], each.body["spec"]["names"]["kind"])
        for each in cluster.of("CustomResourceDefinition")
        if each.body["spec"]["scope"] == "Namespaced"
    }
    for each in cluster.all:
        if each.namespace is None and (
            (each.is_native and each.kind not in CLUSTER_SCOPED)
            or (each.group, each.kind) in namespaced
        ):
            yield Finding(each, "metadata.namespace is missing; add it")
        elif each.namespace is None and (each.group, each.kind) not in kinds:
            yield Finding(
                each,
                f"{project.label} does not let Argo CD deploy cluster-scoped {each.kind} objects; "
                "add it to CLUSTER_KINDS of the component that brings it",
            )
        if each.namespace is not None and each.namespace not in namespaces:
            yield Finding(
                each,
                f"{project.label} does not let Argo CD write to namespace {each.namespace}; "
                f"use one of {', '.join(sorted(namespaces))}",
            )


def _of_account(cluster: ClusterObjects) -> Iterator[Finding]:
    """In a region Argo CD acts as a service account, whose token is a Secret that dist has."""
    accounts = {
        each.body["metadata"]["annotations"]["kubernetes.io/service-account.name"]
        for each in cluster.of("Secret")
        if each.namespace == ARGOCD and each.body.get("type") == _TOKEN
    }
    if not accounts:
        return
    rights = set(_rights(cluster, accounts))
    plurals = {
        (each.body["spec"]["group"], each.body["spec"]["names"]["kind"]): each.body["spec"][
            "names"
        ]["plural"]
        for each in cluster.of("CustomResourceDefinition")
    }
    for each in cluster.all:
        plural = plurals.get((each.group, each.kind)) or _plural(each.kind)
        if not any(
            (namespace, each.group, resource) in rights
            for namespace in (None, each.namespace)
            for resource in (plural, "*")
        ):
            remedy = (
                "create it outside Git, as bootstrap does"
                if each.kind == "Secret"
                else "add a rule to charts/argocd_access.py, or leave the object out"
            )
            yield Finding(
                each,
                f"Argo CD's account {', '.join(sorted(accounts))} may not manage {plural} in "
                f"{each.namespace or 'the cluster'}; {remedy}",
            )


_TOKEN: Final = "kubernetes.io/service-account-token"


def _rights(cluster: ClusterObjects, accounts: set[str]) -> Iterator[tuple[str | None, str, str]]:
    """Namespace (None for all), API group and resource of all that the accounts may write."""
    for binding in cluster.of("ClusterRoleBinding", "RoleBinding"):
        if not any(
            (each.get("namespace"), each["name"]) == (ARGOCD, account)
            for each in binding.body.get("subjects", ())
            for account in accounts
        ):
            continue
        reference = binding.body["roleRef"]
        namespace = binding.namespace if reference["kind"] == "Role" else None
        role = cluster.get(reference["kind"], namespace, reference["name"])
        rules: list[Mapping[str, Any]] = list(role.body.get("rules") or ()) if role else []
        for rule in rules:
            if set(rule["verbs"]) >= _WRITES:
                for group in rule.get("apiGroups", ()):
                    for resource in rule.get("resources", ()):
                        yield binding.namespace, group, resource


def _plural(kind: str) -> str:
    """The resource of one of Kubernetes' own kinds."""
    name = kind.lower()
    if name.endswith("y"):
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith("s") else f"{name}s"
