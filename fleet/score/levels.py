"""Service levels: what is promised of an app, and by whose metrics it is measured."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from fleet.values import Facts

Measure: TypeAlias = Literal["traefik", "app"]
"""Whose metrics of requests count."""

TRAEFIK_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds, in seconds, of the buckets in which Traefik counts how long requests take."""


class ServiceLevels(Facts):
    """What is promised of the app, and which metrics show whether it is kept.

    Those of Traefik, or the app's own ``http_requests_total`` and
    ``http_request_duration_seconds``.
    """

    measured_by: Literal["traefik", "app", "nobody"] | None = Field(
        default=None,
        description="Whose metrics count: Traefik's, or the app's own `http_requests_total` and "
        "`http_request_duration_seconds`. `nobody` turns the alerts off. Without it, `traefik` "
        "for an app behind `edge`, and `app` for one with `passthrough`.",
        examples=["app"],
    )
    availability: Annotated[float, Field(ge=90, le=99.99)] = Field(
        default=99.9, description="Percentage of requests that are not answered 5xx."
    )
    latency: Annotated[float, Field(ge=50, le=99.99)] = Field(
        default=99.0, description="Percentage of requests that are answered within `seconds`."
    )
    seconds: Annotated[float, Field(gt=0)] = Field(
        default=0.25,
        description="The upper bound of a bucket of the histogram. Traefik's are "
        f"{', '.join(f'{bound:g}' for bound in TRAEFIK_BUCKETS)}.",
        examples=[0.5],
    )
    ignored_routes: tuple[str, ...] = Field(
        default=(),
        description="Regular expressions of what the label `route` has for requests that do not "
        "count, such as those of probes; for `measuredBy: app` only.",
        examples=[["/livez", "/readyz"]],
    )
