"""Every sound description is accepted, and every fault in another is reported with its remedy."""

import json
import re
import shutil
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from charts.app import component
from charts.catalogue import TAKEN, load, offers
from charts.tenant import quota, tenant
from docgen import schema
from fleet import apps
from fleet.errors import InputError
from fleet.score import MODELS, Description, Reference, schedule
from fleet.source import read
from tests.objects import APPS, ROOT

INVALID = ROOT / "tests" / "fixtures" / "apps" / "invalid"
EDITOR = Draft7Validator(json.loads(schema.of_apps()))

BEYOND_A_SCHEMA = {
    "another-file": "knows the name of the file",
    "traefik": "knows the names of components",
    "tenant-a": "knows the names of components",
    "credential": "knows what credentials look like",
    "max-below-min": "relates two values",
    "limit-below-request": "relates two values",
    "levels-without-metrics": "relates two values",
    "levels-between-buckets": "knows the buckets of Traefik's histogram",
    "levels-of-routes-at-the-edge": "relates two values",
    "levels-of-what-is-passed-through": "relates two values",
    "metrics-as-name-of-a-port": "relates two values",
    "proxy-header-at-the-edge": "relates two values",
    "passthrough-without-certificate": "relates two values",
    "passthrough-of-h2c": "relates two values",
    "certificate-at-the-edge": "relates two values",
    "certificate-metric-at-the-edge": "relates two values",
    "certificate-at-the-edge-unmounted": "relates two values",
    "certificate-to-write": "relates two values",
    "volume-mounted-nowhere": "relates two values",
    "resource-unknown": "reads placeholders",
    "fact-unknown": "reads placeholders",
    "placeholder-unknown": "reads placeholders",
    "secret-in-an-argument": "reads placeholders",
    "secret-within-a-value": "reads placeholders",
    "secret-as-a-volume": "reads placeholders",
    "whole-secret": "reads placeholders",
    "volume-without-a-size": "relates two values",
    "volume-in-mebibytes": "relates two values",
    "annotation-unknown": "reads placeholders",
    "dots-in-a-placeholder": "reads placeholders",
    "placeholder-in-an-argument": "reads placeholders",
    "low-port": "relates two values",
    "probe-with-two-hosts": "relates two values",
    "grpc-health-of-http": "relates two values",
    "grpc-health-beside-probes": "relates two values",
    "placeholder-with-a-space": "reads placeholders",
    "placeholder-with-an-escape": "reads placeholders",
    "secret-to-write": "relates two values",
    "secret-without-files": "relates two values",
    "secret-mounted-nowhere": "relates two values",
    "secret-used-nowhere": "relates two values",
    "secret-of-the-certificate": "knows the names of the platform's Secrets",
    "keys-alike": "knows the variables of bootstrap",
    "egress-to-everything": "reads networks",
    "egress-to-credentials": "reads networks",
    "job-with-a-secret-in-args": "reads placeholders",
    "job-without-command": "relates two values",
    "rollout-without-command": "relates two values",
    "job-limit-below-request": "relates two values",
    "job-with-a-long-name": "relates two values",
    "job-of-the-rollout": "knows what other jobs are called",
    "schedule-at-25": "reads schedules",
    "schedule-on-day-7": "reads schedules",
    "schedule-on-no-day": "reads schedules",
    "time-zone-unknown": "knows the names of time zones",
}
"""The faults that apps.schema.json lets pass, each with the reason."""

SCORE: dict[tuple[str, ...], tuple[set[str], set[str]]] = {
    (): ({"apiVersion", "metadata", "containers"}, {"service", "resources"}),
    ("containers", "*"): (
        {"image"},
        {
            "command", "args", "variables", "files", "volumes", "before", "resources",
            "livenessProbe", "readinessProbe",
        },
    ),
    ("containers", "*", "volumes", "*"): ({"source"}, {"path", "target", "readOnly"}),
    ("containers", "*", "resources"): (set(), {"requests", "limits"}),
    ("containers", "*", "resources", "requests"): (set(), {"cpu", "memory"}),
    ("containers", "*", "resources", "limits"): (set(), {"cpu", "memory"}),
    ("containers", "*", "livenessProbe"): (set(), {"httpGet", "exec"}),
    ("containers", "*", "readinessProbe"): (set(), {"httpGet", "exec"}),
    ("containers", "*", "*", "httpGet"): (
        {"port", "path"}, {"host", "scheme", "httpHeaders"},
    ),
    ("containers", "*", "*", "httpGet", "httpHeaders", "*"): ({"name", "value"}, set()),
    ("containers", "*", "*", "exec"): ({"command"}, set()),
    ("service",): (set(), {"ports"}),
    ("service", "ports", "*"): ({"port"}, {"targetPort", "protocol"}),
    ("resources", "*"): ({"type"}, {"class", "id", "metadata", "params"}),
}  # fmt: skip
"""What Score requires and allows in each of its mappings: score-v1b1.json of score-spec/spec, whose
``metadata`` is open to further keys."""


def described(name: str) -> Description:
    return apps.load(APPS, TAKEN)[name]


def of_folder(tmp_path: Path, file: Path) -> list[str]:
    """What is reported of a folder with this file alone, without the path."""
    path = tmp_path / file.name
    path.write_bytes(file.read_bytes())
    with pytest.raises(InputError) as caught:
        apps.load(tmp_path, TAKEN)
    return [line.removeprefix(f"{path}:") for line in caught.value.problems]


@pytest.mark.parametrize("file", sorted(INVALID.glob("*.yaml")), ids=lambda file: file.stem)
def test_a_fault_is_reported_with_line_path_and_remedy(file: Path, tmp_path: Path) -> None:
    lines = file.read_text("utf-8").splitlines()
    expected = [line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: ")]
    reported = of_folder(tmp_path, file)
    assert reported == expected
    assert len(reported) == 1
    assert "SECRET" not in "".join(reported)


def test_faults_of_all_files_are_reported_together() -> None:
    with pytest.raises(InputError) as caught:
        apps.load(INVALID, TAKEN)
    assert len(caught.value.problems) == len(list(INVALID.glob("*.yaml"))) > 30


def test_no_app_gets_a_value_that_bootstrap_has_for_another(tmp_path: Path) -> None:
    for app, secret in (("shop", "api-db"), ("shop-api", "db")):
        (tmp_path / f"{app}.yaml").write_text(
            f"apiVersion: score.dev/v1b1\nmetadata: {{name: {app}}}\ncontainers:\n"
            f"  main: {{image: '.', variables: {{URL: '${{resources.{secret}.url}}'}}}}\n"
            "service: {ports: {http: {port: 8080}}}\n"
            f"resources: {{{secret}: {{type: secret}}}}\n"
        )
    with pytest.raises(InputError) as caught:
        apps.load(tmp_path, TAKEN)
    (problem,) = caught.value.problems
    assert problem == (
        f"{tmp_path}/shop-api.yaml: url of the Secret db would be APP_SHOP_API_DB_URL for "
        "bootstrap, as url of api-db of shop is; rename one of the Secrets"
    )


def test_an_editor_marks_every_fault_that_a_schema_can_express() -> None:
    unseen = {file.stem for file in INVALID.glob("*.yaml") if EDITOR.is_valid(read(file).data)}
    assert unseen == set(BEYOND_A_SCHEMA)


@pytest.mark.parametrize("file", sorted(APPS.glob("*.yaml")), ids=lambda file: file.stem)
def test_an_editor_accepts_what_the_loader_accepts(file: Path) -> None:
    assert [error.message for error in EDITOR.iter_errors(read(file).data)] == []


@pytest.mark.parametrize("mapping", SCORE, ids=".".join)
def test_a_description_is_a_score_file(mapping: tuple[str, ...]) -> None:
    """Each key is one of Score's, what Score requires is required, and what is left is refused."""
    required, allowed = SCORE[mapping]
    fields = {field.alias or name: field for name, field in MODELS[mapping].model_fields.items()}
    assert fields.keys() <= required | allowed
    assert required <= {key for key, field in fields.items() if field.is_required()}
    for key in (required | allowed) - fields.keys():
        assert (*mapping, key) in apps.REFUSED


def test_whatever_is_refused_is_a_key_of_score() -> None:
    for *mapping, key in apps.REFUSED:
        required, allowed = SCORE[tuple(mapping)]
        assert key in required | allowed


def test_a_folder_that_is_not_there_describes_no_app(tmp_path: Path) -> None:
    assert apps.load(tmp_path / "none", TAKEN) == {}


def test_a_description_that_is_read_again_is_the_same_component() -> None:
    """Components of equal facts are rendered once, so an app's class is one as well."""
    assert component(described("shop-api")) is component(described("shop-api"))
    assert tenant(described("shop-api")) is tenant(described("shop-api"))
    assert hash(described("shop-api")) == hash(described("shop-api"))


def test_every_default_is_the_safe_one() -> None:
    plain = described("plain-api")
    assert plain.platform.tls == "edge"
    assert plain.platform.scaling.min == 2
    assert plain.platform.egress == ()
    assert not plain.platform.proxy_protocol
    assert plain.container.resources.memory_limit == 256
    assert plain.secrets == {}


def test_placeholders() -> None:
    shop = described("shop-api")
    assert shop.parts("a$$b") == ("a", "$", "b")
    assert shop.parts("${metadata.name}!") == ("shop-api", "!")
    assert shop.parts("${resources.db.url}") == (Reference("db", "url"),)
    # Kubernetes expands this one.
    assert shop.parts("$(HOME) costs $5") == ("$(HOME) costs $5",)


def test_secrets_are_known_by_their_names_and_keys() -> None:
    assert described("shop-api").secrets == {
        "shop-database": ("url", "user"),
        # A file of one resource, and a variable of another that names the same Secret.
        "signing": ("key", "signing.pem"),
    }


def test_a_quota_has_room_for_the_largest_rollout() -> None:
    small, large = quota(described("plain-api")), quota(described("shop-api"))
    assert (small["pods"], small["requests.cpu"], small["limits.memory"]) == ("20", "4", "8Gi")
    # 13 pods of the app and one of the job before a rollout, of half a core and 1 GiB each, and a
    # small one of the scheduled job; twice.
    assert (large["pods"], large["requests.cpu"], large["limits.memory"]) == ("36", "15", "29Gi")


@pytest.mark.parametrize(
    ("text", "field", "expected"),
    [
        ("*", 0, set(range(60))),
        ("*/20", 0, {0, 20, 40}),
        ("5/20", 0, {5, 25, 45}),
        ("1-5/2,23", 1, {1, 3, 5, 23}),
        ("jan,NOV-dec", 3, {1, 11, 12}),
        ("mon-fri", 4, {1, 2, 3, 4, 5}),
    ],
)
def test_a_field_of_a_schedule_stands_for_values(text: str, field: int, expected: set[int]) -> None:
    assert schedule.values(text, schedule.FIELDS[field]) == expected


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("60", "'60' is no minute; write 0 to 59"),
        ("5-1", "5-1 ends before it begins"),
        ("*/0", "has a step of 0"),
        ("1,,2", "'' is no minute"),
        ("?", "? is no minute"),
        ("*-5", "is no minute"),
    ],
)
def test_a_field_that_kubernetes_would_refuse_is_explained(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match=re.escape(fault)):
        schedule.values(text, schedule.FIELDS[0])


def test_no_app_has_a_name_of_the_platform() -> None:
    assert {"traefik", "monitoring", "kube-system", "default", "argocd"} <= TAKEN


def test_two_clusters_never_have_one_application(tmp_path: Path) -> None:
    """Argo CD's Application of north's shop-api is north-shop-api."""
    (tmp_path / "apps").mkdir()
    for name in ("api", "shop-api"):
        text = (APPS / "plain-api.yaml").read_text().replace("plain-api", name)
        (tmp_path / "apps" / f"{name}.yaml").write_text(text)
    registry = tmp_path / "clusters.yaml"
    image = "registry.example.org/a:1"
    registry.write_text(
        "git: {repository: https://git.example.org/fleet.git, revision: main}\n"
        "acme: {email: ops@foobar-platform.dev}\n"
        "clusters:\n"
        "  - {name: hub, role: hub, address: 192.0.2.1}\n"
        "  - {name: north, role: region, address: 192.0.2.2, "
        f"apps: {{shop-api: {{hostname: a, image: '{image}'}}}}}}\n"
        "  - {name: north-shop, role: region, address: 192.0.2.3, "
        f"apps: {{api: {{hostname: b, image: '{image}'}}}}}}\n"
    )
    with pytest.raises(InputError) as caught:
        load(registry)
    assert caught.value.problems == (
        (
            f"{registry}:6: clusters[2].apps.api: api of north-shop and shop-api of north would "
            "both be the Application north-shop-api; rename the app or the cluster"
        ),
    )


def test_no_app_is_called_like_a_cluster(tmp_path: Path) -> None:
    """Argo CD's projects are called like either; an app that nobody runs has none."""
    registry = tmp_path / "clusters.yaml"
    text = (APPS.parent / "three-apps.yaml").read_text()
    registry.write_text(text.replace("name: west", "name: plain-api"))
    shutil.copytree(APPS, tmp_path / "apps")
    with pytest.raises(InputError) as caught:
        load(registry)
    (problem,) = caught.value.problems
    assert problem.endswith(
        'clusters[1].apps["plain-api"]: plain-api is the name of a cluster as well, and Argo CD '
        "would have two projects of that name; rename the app or the cluster"
    )


def test_apps_are_offers_like_components() -> None:
    for name, (guard, app) in offers(APPS).apps.items():
        assert (f"tenant-{name}", name) == (guard.NAME, app.NAME)
        assert guard.NAMESPACE == app.NAMESPACE == name


def test_a_file_that_would_not_be_read_is_reported(tmp_path: Path) -> None:
    (tmp_path / "plain-api.yml").write_text((APPS / "plain-api.yaml").read_text())
    with pytest.raises(InputError) as caught:
        apps.load(tmp_path, TAKEN)
    assert caught.value.problems == (
        f"{tmp_path}/plain-api.yml: is not read; rename it to plain-api.yaml",
    )


def test_what_programs_leave_beside_a_description_is_no_app(tmp_path: Path) -> None:
    for name in ("__pycache__", ".mypy_cache"):
        (tmp_path / name).mkdir()
    assert not apps.load(tmp_path, ())
