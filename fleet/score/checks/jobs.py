"""Jobs: that each has a command, and a name that Kubernetes accepts."""

from collections.abc import Iterator
from typing import Final

from fleet.diagnostics import Problem
from fleet.score.checks.amounts import of_usage
from fleet.score.description import Description, job_location
from fleet.score.jobs import BEFORE_ROLLOUT

LONGEST_CRON_JOB: Final = 52
"""The names of a CronJob's Jobs add eleven characters, and have 63 at most (validation.go of
Kubernetes' batch API)."""


def of_jobs(description: Description) -> Iterator[Problem]:
    if BEFORE_ROLLOUT in description.platform.jobs:
        yield Problem(
            ("metadata", "platform", "jobs", BEFORE_ROLLOUT),
            "is the name of the job before each rollout; choose another",
        )
        return
    for name, job in description.jobs.items():
        at = job_location(name)
        if not job.command and not job.args:
            yield Problem(at, "would start the app itself; add the command or args of the job")
        whole = description.job_name(name)
        if len(whole) > LONGEST_CRON_JOB:
            yield Problem(
                at,
                f"{whole} has {len(whole)} characters, and Kubernetes allows a CronJob "
                f"{LONGEST_CRON_JOB}; shorten the name",
            )
        if job.resources:
            yield from of_usage(job.resources, (*at, "resources"))
