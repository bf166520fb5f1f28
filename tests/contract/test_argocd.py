"""Argo CD may deploy exactly what dist holds: no more is allowed, and nothing of it is refused."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from lupa.lua51 import LuaRuntime

from charts.applications import ARGOCD, IN_CLUSTER
from charts.argocd_access import RULES
from charts.kinds import APP_KINDS
from fleet.registry import Fleet, Region
from rendering.validation.objects import Object
from tests.objects import ROOT


def spec(objects: Sequence[Object], kind: str, name: str) -> Mapping[str, Any]:
    (found,) = (each for each in objects if (each.kind, each.name) == (kind, name))
    result: Mapping[str, Any] = found.body["spec"]
    return result


def regions_of(fleet: Fleet) -> dict[str, list[str]]:
    """The regions that run each app."""
    found: dict[str, list[str]] = {}
    for region in fleet.regions:
        for app in region.apps:
            found.setdefault(app, []).append(region.name)
    return found


def test_each_cluster_and_each_app_has_a_project_and_a_set(
    objects: Sequence[Object], fleet: Fleet
) -> None:
    for kind, more in (("ApplicationSet", ()), ("AppProject", ("default",))):
        names = [each.name for each in objects if each.kind == kind]
        assert sorted(names) == sorted([*fleet.names, *regions_of(fleet), *more])


def test_a_set_lists_the_folders_of_its_cluster(
    objects: Sequence[Object], fleet: Fleet, rendered: Path
) -> None:
    """None of another and of no app; what it makes of them belongs to the cluster's own project."""
    for cluster in fleet.clusters:
        body = spec(objects, "ApplicationSet", cluster.name)
        apps = {*cluster.apps} if isinstance(cluster, Region) else set()
        folders = {each.name for each in (rendered / cluster.name).iterdir() if each.is_dir()}
        assert elements(body, "component") == sorted(folders - apps, key=cluster.components.index)
        template = body["template"]["spec"]
        assert template["project"] == cluster.name
        assert template["source"]["path"] == f"dist/{cluster.name}/{{{{.component}}}}"
        destination = IN_CLUSTER if cluster is fleet.hub else cluster.name
        assert template["destination"] == {"name": destination, "namespace": ARGOCD}
        assert body["syncPolicy"]["preserveResourcesOnDeletion"] is True


def elements(body: Mapping[str, Any], key: str) -> list[str]:
    """The values of ``key`` that a set makes Applications of.

    No set searches Git: it would find an app's folder before it is known to be an app's, and
    deploy that by the rights of the cluster.
    """
    ((kind, generator),) = body["generators"][0].items()
    assert (kind, len(body["generators"])) == ("list", 1)
    return [each[key] for each in generator["elements"]]


def test_templates_use_what_their_generators_give(objects: Sequence[Object]) -> None:
    sets = [each for each in objects if each.kind == "ApplicationSet"]
    assert sets
    for each in sets:
        (generator,) = each.body["spec"]["generators"]
        given = {f".{key}" for element in generator["list"]["elements"] for key in element}
        used = set(re.findall(r"{{(.*?)}}", str(each.body["spec"]["template"])))
        assert used == given, each
        assert each.body["spec"]["goTemplateOptions"] == ["missingkey=error"]


def test_the_set_of_an_app_has_its_folders(objects: Sequence[Object], fleet: Fleet) -> None:
    """In the regions that run it, and under the name that Applications had before."""
    apps = regions_of(fleet)
    assert apps
    for app, regions in apps.items():
        body = spec(objects, "ApplicationSet", app)
        assert elements(body, "cluster") == list(regions)
        assert body["syncPolicy"]["preserveResourcesOnDeletion"] is True
        template = body["template"]
        assert template["metadata"]["name"] == f"{{{{.cluster}}}}-{app}"
        assert template["spec"]["project"] == app
        assert template["spec"]["source"]["path"] == f"dist/{{{{.cluster}}}}/{app}"
        assert template["spec"]["destination"] == {"name": "{{.cluster}}", "namespace": app}


def test_the_project_of_an_app_allows_what_runs_in_its_namespace(
    objects: Sequence[Object], built: Sequence[Object], fleet: Fleet
) -> None:
    """All that its folders hold, overlays included, and nothing that guards it."""
    for app, regions in regions_of(fleet).items():
        project = spec(objects, "AppProject", app)
        assert project["sourceRepos"] == [fleet.git.repository]
        assert project["destinations"] == [{"name": at, "namespace": app} for at in regions]
        # Nothing cluster-scoped, as of a list that is missing; but a missing one of kinds in
        # namespaces would allow them all.
        assert project["clusterResourceWhitelist"] == []
        kinds = {(each["group"], each["kind"]) for each in project["namespaceResourceWhitelist"]}
        mine = [each for each in built if each.component == app]
        assert {each.cluster for each in mine} == {*regions}
        for each in mine:
            assert each.namespace == app, each
            assert (each.group, each.kind) in kinds, each
        guards = [each for each in built if each.component == f"tenant-{app}"]
        assert {"Namespace", "NetworkPolicy", "ResourceQuota", "Role"} <= {
            each.kind for each in guards
        }
        assert not {(each.group, each.kind) for each in guards} & kinds


def test_no_app_is_given_rights_or_secrets() -> None:
    """Of what a namespace can hold, these would lead out of it, or weaken what guards it."""
    kinds = {each.kind for each in APP_KINDS}
    assert not kinds & {
        "Endpoints", "EndpointSlice", "Ingress", "LimitRange", "NetworkPolicy", "ResourceQuota",
        "Role", "RoleBinding", "Secret",
    }  # fmt: skip
    assert {each.group for each in APP_KINDS} == {"", "apps", "autoscaling", "batch", "policy"}


def test_a_project_allows_exactly_what_its_cluster_gets(
    objects: Sequence[Object], built: Sequence[Object], fleet: Fleet
) -> None:
    """Namespaces and cluster-scoped kinds, bundles included: none is missing, none too many."""
    for cluster in fleet.clusters:
        project = spec(objects, "AppProject", cluster.name)
        mine = [each for each in built if each.cluster == cluster.name]
        destinations = project["destinations"]
        assert {each["name"] for each in destinations} == {
            IN_CLUSTER if cluster is fleet.hub else cluster.name
        }
        assert {each["namespace"] for each in destinations} == {
            *(each.namespace for each in mine if each.namespace),
            # Cluster-scoped objects alone name none; the baseline is entered there.
            "kube-system",
        }
        assert {(each["group"], each["kind"]) for each in project["clusterResourceWhitelist"]} == {
            (each.group, each.kind) for each in mine if each.namespace is None
        }
        assert project["sourceRepos"] == [fleet.git.repository]


def test_the_default_project_allows_nothing(objects: Sequence[Object]) -> None:
    project = spec(objects, "AppProject", "default")
    assert not project.keys() & {"sourceRepos", "destinations", "clusterResourceWhitelist"}


def test_rules_are_sorted_and_without_wildcard_verbs() -> None:
    for rule in RULES:
        assert "*" not in rule["verbs"]
        assert "*" not in rule.get("apiGroups", ())
        resources = list(rule.get("resources", ()))
        assert all(one < other for one, other in pairwise(resources)), resources


def test_every_parameter_is_one_that_argo_cd_reads(built: Sequence[Object]) -> None:
    """A mistyped key of argocd-cmd-params-cm would be ignored without a word."""
    mine = [each for each in built if each.component == "argocd"]
    read = {
        variable["valueFrom"]["configMapKeyRef"]["key"]
        for each in mine
        if each.kind in ("Deployment", "StatefulSet")
        for container in each.body["spec"]["template"]["spec"]["containers"]
        for variable in container.get("env", ())
        if "configMapKeyRef" in variable.get("valueFrom", {})
    }
    (parameters,) = (each for each in mine if each.name == "argocd-cmd-params-cm")
    assert parameters.body["data"].keys()
    assert parameters.body["data"].keys() <= read


def test_git_runs_no_program_that_a_remote_base_names(built: Sequence[Object]) -> None:
    """Git does so where the repository is a folder: an app's own one could name any command."""
    (container,) = spec(built, "Deployment", "argocd-repo-server")["template"]["spec"]["containers"]
    assert {"name": "GIT_ALLOW_PROTOCOL", "value": "https:ssh"} in container["env"]
    # What upstream sets is still there.
    assert len(container["env"]) > 1


def test_an_overlay_makes_its_application_new(objects: Sequence[Object], fleet: Fleet) -> None:
    """Argo CD renders an Application anew for its folder, its overlay and the bundles' copies."""
    for name in fleet.names:
        annotations = spec(objects, "ApplicationSet", name)["template"]["metadata"]["annotations"]
        paths = annotations["argocd.argoproj.io/manifest-generate-paths"]
        assert paths == f".;/overlays/{name}/{{{{.component}}}};/vendor"


def test_the_load_balancer_outlives_everything(built: Sequence[Object], fleet: Fleet) -> None:
    """Its address is the fleet's: Argo CD neither prunes nor deletes the Service."""
    services = [
        each
        for each in built
        if each.kind == "Service" and each.body["spec"].get("type") == "LoadBalancer"
    ]
    assert [each.cluster for each in services] == sorted(fleet.names)
    for each in services:
        options = each.body["metadata"]["annotations"]["argocd.argoproj.io/sync-options"]
        assert options == "Prune=false,Delete=false"


def health(script: str, body: object) -> str:
    """How an object is, by our Lua in a real one."""
    text = (ROOT / "charts" / "argocd" / "health" / script).read_text()
    lua = LuaRuntime()
    judge = lua.eval(f"function(obj) {text}\nend")
    return str(judge(lua.table_from(body, recursive=True))["status"])


def test_a_failed_run_of_a_job_fails_no_sync() -> None:
    failed = {
        "lastScheduleTime": "2026-01-02T03:17:00Z",
        "lastSuccessfulTime": "2026-01-01T03:17:05Z",
    }
    assert health("cron_job.lua", {"spec": {"suspend": False}, "status": failed}) == "Healthy"


def test_operator_health() -> None:
    """The Lua that tells Argo CD how Prometheus Operator's kinds are, run by a real Lua."""

    def status(body: object) -> str:
        return health("operator.lua", body)

    def available(value: str) -> object:
        other = {"type": "Reconciled", "status": "True"}
        return {"status": {"conditions": [other, {"type": "Available", "status": value}]}}

    assert status({}) == "Progressing"
    assert status({"status": {}}) == "Progressing"
    assert status({"status": {"conditions": []}}) == "Progressing"
    assert status(available("True")) == "Healthy"
    assert status(available("Degraded")) == "Degraded"
    assert status(available("False")) == "Progressing"
