"""Who may knock at the hub's pages, how often, and what a missing route answers."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from charts.ingress import PAGES
from charts.monitoring.ingest import LOGS, METRICS
from fleet.registry import Fleet
from rendering.validation.objects import Object

LIMIT = "sign-in-limit"


def rules(objects: Sequence[Object], name: str) -> list[Mapping[str, Any]]:
    (route,) = (each for each in objects if (each.kind, each.name) == ("IngressRoute", name))
    assert route.namespace == PAGES
    return list(route.body["spec"]["routes"])


def middlewares(rule: Mapping[str, Any]) -> list[str]:
    return [each["name"] for each in rule.get("middlewares", ())]


def paths(match: str) -> str:
    """The regular expression of a rule's last condition on the path."""
    return str(re.findall(r"PathRegexp\(`([^`]+)`\)", match)[-1])


@pytest.mark.parametrize(
    ("route", "taking_passwords"),
    [
        (
            "argocd-server",
            (
                *("/api/v1/session", "/api/v1%2Fsession", "/api%2fv1/session/"),
                *("/session.SessionService/Create", "/session.SessionService%2fCreate"),
            ),
        ),
        ("grafana", ("/login",)),
    ],
)
def test_every_way_to_try_a_password_is_limited(
    objects: Sequence[Object], route: str, taking_passwords: Sequence[str]
) -> None:
    limited = [rule for rule in rules(objects, route) if LIMIT in middlewares(rule)]
    others = [rule for rule in rules(objects, route) if LIMIT not in middlewares(rule)]
    assert limited
    for rule in limited:
        assert middlewares(rule)[0] == LIMIT, "it comes before anything that takes time"
        assert "Method(`POST`)" in rule["match"]
        assert all(rule["priority"] > other["priority"] for other in others)
        for path in taking_passwords:
            prefix = re.search(r" PathPrefix\(`([^`]+)`\)", rule["match"])
            assert path.startswith(prefix[1]) if prefix else re.search(paths(rule["match"]), path)
    # The command line's gRPC has rules of its own.
    assert len(limited) == len(others)


def test_guesses_at_prometheus_are_limited_before_they_are_checked(
    objects: Sequence[Object],
) -> None:
    page, _ = rules(objects, "prometheus")
    assert middlewares(page) == ["request-limit", "prometheus-sign-in"]


@pytest.mark.parametrize("path", ["/-/quit", "/-%2Fquit", "/api/v1/write", "/api/v1%2Fotlp/v1"])
def test_prometheus_pages_neither_write_nor_stop_it(objects: Sequence[Object], path: str) -> None:
    page, _ = rules(objects, "prometheus")
    assert f"!PathRegexp(`{paths(page['match'])}`)" in page["match"]
    assert re.search(paths(page["match"]), path)


def test_no_failed_sign_in_locks_out_a_name(objects: Sequence[Object], rendered: Path) -> None:
    """Five wrong passwords would keep out whoever is on call, with the right one as well."""
    (settings,) = (
        each.body["data"]["grafana.ini"]
        for each in objects
        if (each.kind, each.name) == ("ConfigMap", "grafana")
    )
    assert "disable_brute_force_login_protection = true" in settings
    # Every path would take a password.
    assert re.search(r"\[auth\.basic\]\nenabled = false", settings)
    patch = (rendered / "tooling/argocd/bundle/Deployment.argocd-server.yaml").read_text()
    assert re.search(r"ARGOCD_SESSION_FAILURE_MAX_FAIL_COUNT\n +value: ['\"]1000000", patch)


@pytest.mark.parametrize("path", ["/api/webhook", "/api%2Fwebhook", "/api/webhook/"])
def test_argocds_webhook_is_closed(objects: Sequence[Object], path: str) -> None:
    for rule in rules(objects, "argocd-server"):
        (closed,) = re.findall(r"!PathRegexp\(`([^`]+)`\)", rule["match"])
        assert re.search(closed, path)
        assert not re.search(closed, "/api/v1/applications")


def test_what_has_no_route_yet_is_repeated(objects: Sequence[Object], fleet: Fleet) -> None:
    """Agents and collectors give up what is answered 401 or 404."""
    (service,) = (each for each in objects if (each.kind, each.name) == ("Service", "nobody"))
    assert "selector" not in service.body["spec"]
    page, samples = rules(objects, "prometheus")
    (lines,) = rules(objects, "logs")
    for signal, fallback in ((METRICS, samples), (LOGS, lines)):
        assert fallback["services"] == [{"name": "nobody", "port": 80}]
        assert not middlewares(fallback)
        for region in fleet.regions:
            (own,) = rules(objects, signal.route(region.name))
            assert own["priority"] > fallback["priority"] > page["priority"]
            assert re.search(paths(fallback["match"]), signal.path(region.name))
            assert not re.search(paths(fallback["match"]), signal.push_path)
