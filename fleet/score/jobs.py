"""``jobs`` and ``beforeRollout`` of the platform's section: what runs beside the app, and ends."""

from typing import Annotated, Final

from pydantic import Field

from fleet.score.schedule import EXAMPLE, Schedule, TimeZone
from fleet.score.workload import Resources
from fleet.values import Facts

BEFORE_ROLLOUT: Final = "before-rollout"
"""Name of the job before each rollout, as ``jobs`` has names of its own."""


class Job(Facts):
    """A command in the app's image, with the app's variables and volumes, that ends by itself."""

    command: tuple[str, ...] = Field(
        default=(),
        description="In place of the container's `command`.",
        examples=[["/app/server", "migrate"]],
    )
    args: tuple[str, ...] = Field(
        default=(),
        description="Arguments of the command. The container's `args` are never used.",
        examples=[["--older-than=30d"]],
    )
    retries: Annotated[int, Field(strict=True, ge=0, le=10)] = Field(
        default=2, description="How often a new pod tries again after one has failed."
    )
    resources: Resources | None = Field(
        default=None, description="What its pod uses. Without it, what a pod of the app uses."
    )


class BeforeRollout(Job):
    """The job that has to succeed before new pods of the app replace the old ones."""

    timeout: Annotated[int, Field(strict=True, ge=10, le=86400)] = Field(
        default=600,
        description="Seconds after which it is stopped and has failed, retries included.",
    )


class ScheduledJob(Job):
    """A job that runs again and again, never twice at the same time."""

    schedule: Schedule = Field(
        description="Minute, hour, day of the month, month and day of the week.",
        examples=[f'"{EXAMPLE}"'],
    )
    time_zone: TimeZone = Field(
        default="Etc/UTC",
        description="Time zone of the schedule, by its name at IANA.",
        examples=["Europe/Berlin"],
    )
    timeout: Annotated[int, Field(strict=True, ge=10, le=86400)] = Field(
        default=3600, description="Seconds after which a run is stopped and has failed."
    )
