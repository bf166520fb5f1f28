"""Who takes whose place in a full cluster: users are served before anybody watches."""

from collections.abc import Iterator, Sequence

from charts.scheduling import OPERATING, PLATFORM, PRIORITIES, SERVING, SYSTEM
from rendering.validation.objects import Object
from tests.objects import FOOBAR_API

FOR_USERS = {"traefik", "cert-manager", "cert-manager-cainjector", "cert-manager-webhook"}
"""What has to run for apps to be served."""
FOR_APPS = {"metrics-server"}
"""What has to run for apps to be scaled."""
APPLIES_CLASSES = {"argocd-application-controller"}
"""What has to run for a priority class to exist at all."""
OPERATED = {"Prometheus", "PrometheusAgent", "Alertmanager"}


def priorities(built: Sequence[Object]) -> Iterator[tuple[Object, str]]:
    """Whatever runs pods, with their priority class."""
    for each in built:
        if each.kind in OPERATED:
            yield each, each.body["spec"]["priorityClassName"]
        elif each.kind in ("Deployment", "StatefulSet", "DaemonSet"):
            yield each, each.body["spec"]["template"]["spec"]["priorityClassName"]


def test_what_watches_never_takes_the_place_of_an_app(built: Sequence[Object]) -> None:
    assert PRIORITIES[PLATFORM] > PRIORITIES[SERVING] > PRIORITIES[OPERATING] > 0
    above = {
        each.name
        for each, priority in priorities(built)
        if PRIORITIES.get(priority, 0) > PRIORITIES[SERVING] or priority == SYSTEM
        if each.kind != "DaemonSet"
    }
    assert above == FOR_USERS | FOR_APPS | APPLIES_CLASSES
    watching = {each.name for each, priority in priorities(built) if priority == OPERATING}
    assert watching >= {"agent", "k8s", "main", "kube-state-metrics", "prometheus-operator"}
    assert {name for name in watching if name.startswith("argocd-")}


def test_apps_serve(built: Sequence[Object]) -> None:
    found = {priority for each, priority in priorities(built) if each.namespace == FOOBAR_API}
    assert found == {SERVING}


def test_only_what_runs_on_every_node_is_the_systems(built: Sequence[Object]) -> None:
    """A pod of a DaemonSet can run on no other node; the room for it is planned on each."""
    kinds = {each.kind for each, priority in priorities(built) if priority == SYSTEM}
    assert kinds == {"DaemonSet"}


def test_solvers_may_run_beside_apps(built: Sequence[Object]) -> None:
    """They run where the certificate is: without them, no app ever gets one."""
    refused = {
        value
        for each in built
        if each.kind == "ResourceQuota"
        for scope in each.body["spec"].get("scopeSelector", {}).get("matchExpressions", ())
        for value in scope["values"]
    }
    assert PLATFORM in refused
    solvers = [
        solver["http01"]["ingress"]["podTemplate"]["spec"]["priorityClassName"]
        for each in built
        if each.kind == "ClusterIssuer"
        for solver in each.body["spec"]["acme"]["solvers"]
    ]
    assert solvers
    assert refused.isdisjoint(solvers)
