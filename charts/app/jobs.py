"""An app's jobs: a CronJob for each that has a schedule, and a Job before each rollout.

The latter is a hook of Argo CD's in a wave before the app's other objects. While it fails, Argo CD
applies none of those, so the old pods stay; then it tries again. It is no PreSync hook, because an
app's namespace and service account are not there before the first sync.
"""

from functools import cache
from typing import TYPE_CHECKING, Final

import cdk8s_plus_27 as k
from cdk8s import ApiObject, ApiObjectMetadata, Cron, Duration, JsonPatch

from charts.app import App
from charts.app.pod import Pods, amounts, gaps
from charts.component import FIRST
from charts.labels import JOB, selector
from fleet.score import BEFORE_ROLLOUT, Description, Job

if TYPE_CHECKING:
    from constructs import Construct

HOOK: Final = {
    **FIRST,
    "argocd.argoproj.io/hook": "Sync",
    # A Job never changes, so each sync replaces the one before.
    "argocd.argoproj.io/hook-delete-policy": "BeforeHookCreation",
}
"""Makes Argo CD run a Job at each sync, and wait for its end."""

STARTING_DEADLINE: Final = Duration.minutes(10)
"""A run that could not start for so long is left out; the next one is on schedule again."""
KEPT_SUCCEEDED: Final = 1
KEPT_FAILED: Final = 3
"""Runs whose pods stay, so that somebody can look at them."""

_JOB_POD: Final = "/spec/template/spec"
_CRON_JOB_POD: Final = f"/spec/jobTemplate{_JOB_POD}"


def add_jobs(chart: "Construct", pods: Pods) -> None:
    """Adds the jobs of an app, whose pods are like ``pods``."""
    app = pods.app
    platform = app.DESCRIPTION.platform
    if before := platform.before_rollout:
        name = app.DESCRIPTION.job_name(BEFORE_ROLLOUT)
        job = k.Job(
            chart,
            f"job-{BEFORE_ROLLOUT}",
            metadata=_meta(app, name, HOOK),
            pod_metadata=_pod_meta(name),
            active_deadline=Duration.seconds(before.timeout),
            backoff_limit=before.retries,
            containers=[_container(pods, before)],
            **pods.props,
        )
        ApiObject.of(job).add_json_patch(*_gaps(_JOB_POD, app.DESCRIPTION))
    for key, each in platform.jobs.items():
        name = app.DESCRIPTION.job_name(key)
        minute, hour, day, month, week_day = each.schedule.split()
        cron_job = k.CronJob(
            chart,
            f"job-{key}",
            metadata=_meta(app, name, {}),
            pod_metadata=_pod_meta(name),
            schedule=Cron(minute=minute, hour=hour, day=day, month=month, week_day=week_day),
            time_zone=each.time_zone,
            concurrency_policy=k.ConcurrencyPolicy.FORBID,
            starting_deadline=STARTING_DEADLINE,
            successful_jobs_retained=KEPT_SUCCEEDED,
            failed_jobs_retained=KEPT_FAILED,
            active_deadline=Duration.seconds(each.timeout),
            backoff_limit=each.retries,
            containers=[_container(pods, each)],
            **pods.props,
        )
        ApiObject.of(cron_job).add_json_patch(*_gaps(_CRON_JOB_POD, app.DESCRIPTION))


def _meta(app: App, name: str, annotations: dict[str, str]) -> ApiObjectMetadata:
    return ApiObjectMetadata(
        name=name, namespace=app.NAMESPACE, annotations=annotations or None, labels=selector(name)
    )


def _pod_meta(name: str) -> ApiObjectMetadata:
    """No pod of a job has the label by which the app's Service, budget and autoscaler find pods."""
    return ApiObjectMetadata(labels={**selector(name), **JOB})


@cache
def _gaps(pod: str, description: Description) -> tuple[JsonPatch, ...]:
    return gaps(pod, description)


def _container(pods: Pods, job: Job) -> k.ContainerProps:
    description = pods.app.DESCRIPTION
    # As in Kubernetes: a command of its own leaves nothing of the container's.
    command = job.command or description.container.command
    return k.ContainerProps(
        command=list(command) or None,
        args=list(job.args) or None,
        resources=amounts(description.usage(job)),
        **pods.container,
    )
