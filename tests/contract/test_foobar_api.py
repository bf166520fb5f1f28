"""What the manifests ask of foobar-api is what the app understands."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from foobar_api.application import Application
from foobar_api.host import WHERE
from foobar_api.settings import Settings, load, variable
from rendering.validation.objects import Object


@pytest.fixture(params=["us-east", "eu-west"])
def pod(request: pytest.FixtureRequest, objects: Sequence[Object]) -> Any:
    """The pod's specification in a region."""
    (found,) = (
        each.body["spec"]["template"]["spec"]
        for each in objects
        if (each.cluster, each.kind, each.name) == (request.param, "Deployment", "foobar-api")
    )
    return found


@pytest.fixture
def settings(pod: Any) -> Settings:
    variables = {each["name"]: each.get("value", "") for each in pod["containers"][0]["env"]}
    return load(pod["containers"][0]["args"], variables)


def test_arguments_and_variables_are_settings_of_the_app(pod: Any, settings: Settings) -> None:
    ports = {each["name"]: each["containerPort"] for each in pod["containers"][0]["ports"]}
    assert ports == {"https": settings.port, "metrics": settings.metrics_port}
    assert settings.proxy_from
    assert all(each.is_private for each in settings.proxy_from)
    mounts = [each["mountPath"] for each in pod["containers"][0]["volumeMounts"]]
    assert settings.cert == Path("/cert/cert.pem")
    assert settings.key == Path("/cert/key.pem")
    assert "/cert" in mounts


def test_what_lets_anybody_harm_is_off(settings: Settings) -> None:
    assert not settings.allow_env
    assert not settings.allow_health


def test_the_pod_outlives_the_drain(pod: Any, settings: Settings) -> None:
    assert pod["terminationGracePeriodSeconds"] > settings.drain + settings.grace


def test_every_variable_is_one_that_the_app_reads(pod: Any) -> None:
    of_settings = {variable("proxy_from")}
    assert {each["name"] for each in pod["containers"][0]["env"]} == {*WHERE.values(), *of_settings}


def test_every_probe_asks_for_an_endpoint(pod: Any, settings: Settings) -> None:
    container = pod["containers"][0]
    routes = Application(settings, {}).routes
    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        probe = container[name]["httpGet"]
        assert probe["scheme"] == "HTTPS"
        assert probe["port"] in {settings.port, "https"}
        assert probe["path"] in routes


def test_idle_connections_fit_the_memory(pod: Any, settings: Settings) -> None:
    """By what docs/performance.md measured: 61 MiB at rest, 28 KiB a connection."""
    limit = pod["containers"][0]["resources"]["limits"]["memory"]
    assert limit.endswith("Mi")
    at_the_limit = 61 + settings.workers * settings.max_connections * 28 / 1024
    assert at_the_limit < 0.75 * int(limit.removesuffix("Mi"))
