"""The jobs of apps: that scheduled ones run and succeed, and that none blocks a rollout.

An app's objects are in the namespace that has its name, so the label ``app`` is taken from there.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from charts.monitoring.rules.app import by_app
from charts.monitoring.rules.rule import Alert, Group
from fleet.score import BEFORE_ROLLOUT

_CRON_JOB: Final = "cluster, namespace, cronjob"
_JOB: Final = "cluster, namespace, job_name"
_BEFORE: Final = f'job_name=~".+-{BEFORE_ROLLOUT}"'

LATE_AFTER_MINUTES: Final = 15
"""From the time at which a job should start. Kubernetes starts none that is more than ten minutes
late (STARTING_DEADLINE of charts/app/jobs.py)."""

# Of each CronJob, when the last run that failed was created; compared with when one last succeeded.
_LAST_FAILURE: Final = (
    f"max by ({_CRON_JOB}) (label_replace(kube_job_created"
    f' * on ({_JOB}) group_left (owner_name) kube_job_owner{{owner_kind="CronJob"}}'
    f' and on ({_JOB}) kube_job_failed{{condition="true"}} == 1,'
    ' "cronjob", "$1", "owner_name", "(.+)"))'
)
_LAST_SUCCESS: Final = (
    f"max by ({_CRON_JOB}) (kube_cronjob_status_last_successful_time)"
    f" or max by ({_CRON_JOB}) (0 * kube_cronjob_created)"
)


JOBS: Final = Group(
    "jobs",
    [
        Alert(
            name="AppJobFailed",
            severity="warning",
            expression=by_app(f"({_LAST_FAILURE}) > ({_LAST_SUCCESS})"),
            wait="5m",
            summary="The job {{ $labels.cronjob }} of {{ $labels.app }} in {{ $labels.cluster }} "
            "failed.",
            description="Its last run that ended failed, retries included. The next one is on "
            "schedule; the alert ends when one succeeds.",
        ),
        Alert(
            name="AppJobLate",
            severity="warning",
            expression=by_app(
                f"max by ({_CRON_JOB}) (time() - kube_cronjob_next_schedule_time)"
                f" > {LATE_AFTER_MINUTES * 60}"
            ),
            wait="5m",
            summary="The job {{ $labels.cronjob }} of {{ $labels.app }} in {{ $labels.cluster }} "
            "did not start on time.",
            description="It is {{ $value | humanizeDuration }} late. Either the previous run "
            "has not ended, or Kubernetes cannot create its pods.",
        ),
        Alert(
            name="AppRolloutBlocked",
            severity="warning",
            # Argo CD tries again all the time, so the failure itself comes and goes.
            expression=by_app(
                f"max by ({_JOB}) (max_over_time("
                f'kube_job_failed{{condition="true",{_BEFORE}}}[1h])) == 1'
                f' unless on ({_JOB}) kube_job_complete{{condition="true",{_BEFORE}}} == 1'
            ),
            wait="1m",
            summary="{{ $labels.app }} in {{ $labels.cluster }} cannot be rolled out.",
            description="The job {{ $labels.job_name }} fails, so Argo CD leaves the old version "
            "running and tries again.",
        ),
    ],
)

UPSTREAM_WITHOUT_JOBS: Final[Sequence[Mapping[str, str]]] = (
    {"op": "test", "path": "/spec/groups/0/rules/13/alert", "value": "KubeJobFailed"},
    {
        "op": "replace",
        "path": "/spec/groups/0/rules/13/expr",
        "value": f'kube_job_failed{{job="kube-state-metrics",job_name!~".+-{BEFORE_ROLLOUT}"}} > 0'
        f' unless on ({_JOB}) kube_job_owner{{owner_kind="CronJob"}}',
    },
)
"""What changes in the rules of kubernetesControlPlane: its alert would speak of these jobs as well,
and go on until somebody deletes the failed Job."""
