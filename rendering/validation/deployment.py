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
            yield from _of_projects(cluster, project, hub)
    yield from _of_account(cluster)


def _of_projects(
    cluster: ClusterObjects, of_cluster: Object, hub: ClusterObjects
) -> Iterator[Finding]:
    """An app's folder belongs to the project of the app, and any other to the cluster's."""
    of_apps = {
        each.name: each
        for each in hub.of("AppProject")
        if any(
            place["name"] == of_cluster.name for place in each.body["spec"].get("destinations", ())
        )
        and each.name != of_cluster.name
    }
    namespaced = {
        (each.body["spec"]["group"], each.body["spec"]["names"]["kind"])
        for each in cluster.of("CustomResourceDefinition")
        if each.body["spec"]["scope"] == "Namespaced"
    }
    for each in cluster.all:
        project = of_apps.get(each.component, of_cluster)
        of_app = project is not of_cluster
        if each.namespace is None and (
            (each.is_native and each.kind not in CLUSTER_SCOPED)
            or (each.group, each.kind) in namespaced
        ):
            yield Finding(each, "metadata.namespace is missing; add it")
        elif each.namespace is None and not _is_listed(each, project, "clusterResourceWhitelist"):
            yield Finding(
                each,
                f"{project.label} does not let Argo CD deploy cluster-scoped {each.kind} objects; "
                + (_NOT_THE_APPS if of_app else _CLUSTER_KINDS),
            )
        if each.namespace is None:
            continue
        namespaces = {place["namespace"] for place in project.body["spec"].get("destinations", ())}
        if each.namespace not in namespaces:
            yield Finding(
                each,
                f"{project.label} does not let Argo CD write to namespace {each.namespace}; "
                f"use {'one of ' if len(namespaces) > 1 else ''}{', '.join(sorted(namespaces))}",
            )
        if of_app and not _is_listed(each, project, "namespaceResourceWhitelist"):
            yield Finding(
                each,
                f"{project.label} does not let Argo CD deploy {each.kind} objects; {_NOT_THE_APPS}",
            )


_CLUSTER_KINDS: Final = "add it to CLUSTER_KINDS of the component that brings it"
_NOT_THE_APPS: Final = (
    "remove it from the app, because the platform adds what guards an app and leads to it"
)


def _is_listed(each: Object, project: Object, key: str) -> bool:
    """Whether the project's list ``key`` has the kind of the object."""
    return {"group": each.group, "kind": each.kind} in project.body["spec"].get(key, ())


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
