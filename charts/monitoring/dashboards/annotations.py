"""Deployments, which graphs mark so that a change is seen beside what it changes.

Prometheus is asked for the moments at which a series exists, or has grown, that did not or had not
one step of the graph before. Where it knows nothing of the step before, nothing is marked: after
the hub was away, everything would be new.
"""

from typing import Final

from charts.monitoring.dashboards.model import Annotation

_BEFORE: Final = "offset $__interval"


def rolled_out(selector: str) -> Annotation:
    """Rollouts of the Deployments and StatefulSets whose namespaces ``selector`` has.

    A rollout is a new ReplicaSet, one that a rollback brings back, or a new revision of a
    StatefulSet. An autoscaler makes none of these.
    """

    def versions(when: str) -> str:
        return (
            "(sum by (cluster, namespace, replicaset) "
            f"(kube_replicaset_spec_replicas{{{selector}}}{when}) > 0"
            " or group by (cluster, namespace, revision) "
            f"(kube_statefulset_status_update_revision{{{selector}}}{when}))"
        )

    before = versions(f" {_BEFORE}")
    return Annotation(
        "Rollouts",
        f"group by (cluster, namespace) ({versions('')} unless {before}) and on (cluster) {before}",
        title="{{namespace}} is rolled out in {{cluster}}",
        color="blue",
    )


def synced(selector: str, by: str = "project, name") -> Annotation:
    """Changes that Argo CD has applied, of the Applications that ``selector`` has.

    An Application of the platform belongs to a project with the name of its cluster.
    """

    def syncs(when: str) -> str:
        return (
            f'sum by (project, name) (argocd_app_sync_total{{phase="Succeeded",{selector}}}{when})'
        )

    now, before = syncs(""), syncs(f" {_BEFORE}")
    return Annotation(
        "Syncs",
        # A counter that begins has counted its first sync.
        f"group by ({by}) ({now} > ({before} or 0 * {now})) and on () group ({before})",
        title="Argo CD has synced " + " ".join(f"{{{{{label}}}}}" for label in by.split(", ")),
        color="purple",
    )
