"""The generated parts of the documents: true of the fleet they are made from, and fresh."""

import argparse
import re
import shutil
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from charts.catalogue import CATALOGUE, COMPONENTS
from charts.monitoring.dashboards import DASHBOARDS
from docgen import generate, overview
from docgen.fleets import SHOWN
from docgen.generate import PARTS, fill
from docgen.sizes import Sizes
from fleet.catalogue import optional
from fleet.errors import InputError
from fleet.registry import HUB_LABELS, Fleet
from operations.status import RED_WHEN, Row
from tests.objects import APPS, ROOT, load

GIT = "git: {repository: 'git@gitlab.com:team/many-fleet.git', revision: main}\n"
ACME = "acme: {email: ops@foobar-platform.dev}\n"
HUB = "  - {name: headquarters, role: hub, address: 198.51.100.99}\n"
OWN_DOMAIN = (
    "  - {name: headquarters, role: hub, address: '2001:db8:1::1', domain: hq.example.net, "
    "without: [metrics-server, opentelemetry-collector], logsBucketRegion: eu, "
    "logsBucket: 'https://s3.example.net/logs'}\n"
)


def region(at: int, more: str = "") -> str:
    return (
        f"  - {{name: area-{at}, role: region, address: 198.51.100.{at}, apps: {{foobar-api: "
        f"{{hostname: front-{at}, image: 'registry.example.net:5000/team/app:2.{at}.0'}}}}"
        f"{more}}}\n"
    )


FLEETS = {
    "no region": HUB,
    "one region that serves nothing": HUB + "  - {name: bare, role: region, address: 198.51.100.1, "
    "without: [cert-manager, traefik, prometheus-agent, opentelemetry-collector]}\n",
    "another provider and domain": OWN_DOMAIN
    + region(1, ", provider: generic")
    + region(2, ", domain: example.net, issuer: production"),
    "ten regions": HUB + "".join(region(at) for at in range(1, 11)),
    "two registries": HUB + region(1) + region(2).replace("registry.example", "mirror.example"),
    "a name that Mermaid has for itself": HUB + region(1).replace("name: area-1", "name: end"),
}


def svg(fleet: Fleet) -> ET.Element:
    return ET.fromstring(overview.draw(fleet))  # noqa: S314 - of our own making


@pytest.fixture(params=FLEETS, scope="module")
def other(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    path = tmp_path_factory.mktemp("fleet") / "clusters.yaml"
    path.write_text(f"{GIT}{ACME}clusters:\n{FLEETS[request.param]}")
    return load(path)


class TestEveryFleet:
    """A fork has other clusters; nothing generated may fail there or name ours."""

    def test_every_part_has_lines_and_well_formed_tables(self, other: Fleet) -> None:
        for name, part in PARTS.items():
            lines = list(part(other))
            assert lines, name
            rows = [re.split(r"(?<!\\)\|", line) for line in lines if line.startswith("|")]
            # A blank line stands between two tables.
            if "" not in lines:
                assert len({len(row) for row in rows}) <= 1, name

    def test_the_drawings_are_of_its_own_clusters(self, other: Fleet) -> None:
        drawn = "\n".join(PARTS["diagram-fleet"](other))
        shown = other.regions[:SHOWN]
        for cluster in (other.hub, *shown):
            assert f'"{cluster.name}, {cluster.role}, {cluster.address}"' in drawn
        # Identifiers are numbers: a name such as `end` has a meaning in Mermaid.
        assert set(re.findall(r"^  subgraph (\S+)\[", drawn, re.MULTILINE)) == {
            f"c{at}" for at in range(len(shown) + 1)
        }
        assert (f"{len(other.regions) - SHOWN} more regions" in drawn) == (
            len(other.regions) > SHOWN
        )

    def test_a_sender_that_a_region_does_without_is_not_drawn(self, other: Fleet) -> None:
        drawn = "\n".join(PARTS["diagram-monitoring"](other))
        for at, each in enumerate(other.regions[:SHOWN], 1):
            for component in ("prometheus-agent", "opentelemetry-collector"):
                assert (f"c{at}-{component} --" in drawn) == (component in each.components)

    def test_the_picture_is_of_its_own_clusters(self, other: Fleet) -> None:
        texts = [text.text or "" for text in svg(other).iter("{http://www.w3.org/2000/svg}text")]
        assert f"{other.hub.name}, the hub" in texts
        assert "gitlab.com/team/many-fleet" in texts
        for each in other.regions[:SHOWN]:
            host = each.hosts[0] if each.hosts else "no app"
            assert f"{each.name}: {host}" in texts
        rest = len(other.regions) - SHOWN
        assert (f"and {rest} more" in texts) == (rest > 0)

    def test_no_text_leaves_the_picture(self, other: Fleet) -> None:
        root = svg(other)
        _, _, width, height = map(float, root.attrib["viewBox"].split())
        for text in root.iter("{http://www.w3.org/2000/svg}text"):
            x, y, long = float(text.attrib["x"]), float(text.attrib["y"]), len(text.text or "")
            share = {"start": 1.0, "middle": 0.5, "end": 0.0}[text.attrib["text-anchor"]]
            assert x + long * overview.CHARACTER * share <= width
            assert 0 <= y <= height

    def test_an_entry_to_copy_is_one_that_the_fleet_accepts(
        self, other: Fleet, tmp_path: Path
    ) -> None:
        _, *entry, _ = PARTS["new-region"](other)
        path = tmp_path / "clusters.yaml"
        path.write_text(f"{GIT}{ACME}clusters:\n{HUB}" + "\n".join(entry))
        (new,) = load(path).regions
        repositories = {
            each.apps["foobar-api"].image_repository for each in other.regions if each.apps
        }
        if len(repositories) == 1:
            assert new.apps["foobar-api"].image_repository in repositories


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Fleet:
    path = tmp_path_factory.mktemp("fleet") / "clusters.yaml"
    path.write_text(f"{GIT}{ACME}clusters:\n{OWN_DOMAIN}{region(1)}{region(2)}")
    return load(path)


class TestWhatTheListsSay:
    @staticmethod
    def text(name: str, fleet: Fleet) -> str:
        return "\n".join(PARTS[name](fleet))

    def test_every_hostname_of_the_hub_is_derived_and_needs_a_record(self, own: Fleet) -> None:
        assert "loki" in HUB_LABELS
        for host in own.hub.hosts:
            general = host.replace("hq.example.net", "<domain>")
            assert f"| `{general}` | the hub |" in self.text("records", own)
            assert f"`{general}`" in self.text("derived", own)

    def test_what_can_be_left_out_is_what_the_registry_lets_a_cluster_do_without(
        self, own: Fleet
    ) -> None:
        rows = dict(
            re.findall(r"^\| `(\w+)` \| (.*) \|$", self.text("optional", own), re.MULTILINE)
        )
        for role in CATALOGUE:
            assert re.findall("`([^`]+)`", rows[role]) == list(optional(CATALOGUE, role))

    def test_every_component_is_described(self, own: Fleet) -> None:
        text = self.text("components", own)
        for name in (each.NAME for each in COMPONENTS):
            (row,) = re.findall(rf"^\| `{name}` \| (.*) \|$", text, re.MULTILINE)
            assert row.split(" | ")[-1].endswith("."), name

    def test_every_alert_has_a_runbook_and_every_runbook_an_alert(self, own: Fleet) -> None:
        listed = re.findall(
            r"^\| \[(\w+)\]\(runbooks/\1\.md\)", self.text("alerts", own), re.MULTILINE
        )
        assert listed == sorted(path.stem for path in (ROOT / "docs" / "runbooks").glob("*.md"))

    def test_every_column_of_status_is_explained(self) -> None:
        assert list(RED_WHEN) == [
            name.replace("_", " ") for name in Row.__annotations__ if name != "cluster"
        ]

    def test_every_variable_that_bootstrap_asks_for_is_listed(self, own: Fleet) -> None:
        assert re.findall(r"^\| `(\w+)`", self.text("variables", own), re.MULTILINE) == [
            "ALERTS_PAGES",
            "ALERTS_NOTICES",
            "ALERTS_WATCHDOG",
            "BUCKET_ACCESS_KEY",
            "BUCKET_SECRET_KEY",
            "REGISTRY_USERNAME",
            "REGISTRY_PASSWORD",
            "GIT_USERNAME",
            "GIT_TOKEN",
            "GITHUB_APP_ID",
            "GITHUB_APP_INSTALLATION_ID",
            "GITHUB_APP_KEY_FILE",
            "GIT_SSH_KEY_FILE",
        ]
        assert "user at registry.example.net:5000" in self.text("variables", own)

    def test_every_dashboard_is_listed(self, own: Fleet) -> None:
        for each in DASHBOARDS:
            assert f"*{each['title']}*" in self.text("dashboards", own)

    def test_requests_are_those_of_all_pods(self) -> None:
        def workload(kind: str, name: str, *, cpu: str, memory: str, **spec: object) -> object:
            limit = f"{2 * int(memory.removesuffix('Mi'))}Mi"
            container = {
                "resources": {
                    "requests": {"cpu": cpu, "memory": memory},
                    "limits": {"memory": limit},
                }
            }
            return {
                "kind": kind,
                "metadata": {"name": name},
                "spec": {**spec, "template": {"spec": {"containers": [container]}}},
            }

        scaler = {
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "app"},
            "spec": {"scaleTargetRef": {"name": "app"}, "minReplicas": 2, "maxReplicas": 5},
        }
        agent = {
            "kind": "PrometheusAgent",
            "metadata": {"name": "agent"},
            "spec": {
                "resources": {
                    "requests": {"cpu": "1", "memory": "1Gi"},
                    "limits": {"memory": "2Gi"},
                }
            },
        }
        objects = [
            workload("Deployment", "app", cpu="100m", memory="128Mi"),
            workload("Deployment", "other", cpu="50m", memory="64Mi", replicas=3),
            workload("DaemonSet", "each", cpu="10m", memory="32Mi"),
            scaler,
            agent,
            {"kind": "Service", "metadata": {"name": "app"}, "spec": {}},
        ]
        sizes = Sizes.of({"all": objects})  # type: ignore[dict-item]
        reloader = 50
        assert sizes.once == {
            "cpu": 2 * 100 + 3 * 50 + 1000 + 10,
            "memory": 2 * 128 + 3 * 64 + 1024 + reloader,
        }
        assert sizes.node == {"cpu": 10, "memory": 32}
        assert sizes.scaled == {"cpu": 3 * 100, "memory": 3 * 128}
        assert sizes.largest == (2048 + reloader, "PrometheusAgent/agent")
        assert sizes.limits == 5 * 2 * 128 + 3 * 2 * 64 + 2 * 32 + 2048 + reloader


class TestMarks:
    PATH = Path("docs", "page.md")

    def test_only_what_is_between_them_changes(self, fleet: Fleet) -> None:
        text = "a\n<!-- generated: optional -->\nold\n<!-- end -->\nb\n"
        filled = fill(self.PATH, text, fleet)
        assert filled.startswith("a\n<!-- generated: optional -->\n| role |")
        assert filled.endswith("|\n<!-- end -->\nb\n")
        assert "old" not in filled
        assert fill(self.PATH, filled, fleet) == filled

    def test_a_part_within_a_list_is_indented(self, fleet: Fleet) -> None:
        text = "1. a\n   <!-- generated: optional -->\n   <!-- end -->\n"
        lines = fill(self.PATH, text, fleet).splitlines()
        assert all(line.startswith("   ") for line in lines[1:])

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("\n<!-- generated: optinal -->\n<!-- end -->\n", "docs/page.md:2: no part is called"),
            ("<!-- generated: optional -->\n", "docs/page.md: optional has no <!-- end -->"),
            (
                "<!-- generated: optional -->\n<!-- generated: status -->\n<!-- end -->\n",
                "docs/page.md:2: optional has no <!-- end --> before this",
            ),
        ],
    )
    def test_wrong_marks_are_told(self, text: str, problem: str, fleet: Fleet) -> None:
        with pytest.raises(InputError) as raised:
            fill(self.PATH, text, fleet)
        assert str(raised.value).startswith(problem)


class TestTheRepository:
    def test_every_part_has_its_place(self) -> None:
        places = Counter(
            name
            for path in generate.documents(ROOT)
            for name in re.findall(
                r"^ *<!-- generated: (\S+) -->$", path.read_text("utf-8"), re.MULTILINE
            )
        )
        assert set(places) == set(PARTS)

    def test_the_picture_tells_of_what_runs(self, own: Fleet) -> None:
        picture = overview.draw(own)
        assert "planned" not in picture
        for program in ("Prometheus", "Grafana", "Loki", "Argo CD", "Traefik", "cert-manager"):
            assert program in picture


class TestCommand:
    @pytest.fixture
    def root(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """A fork: our documents, and a registry of its own."""
        monkeypatch.setattr(generate, "ROOT", tmp_path)
        for path in [*generate.documents(ROOT), ROOT / generate.PICTURE]:
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, copy)
        (tmp_path / "clusters.yaml").write_text(f"{GIT}{ACME}clusters:\n{OWN_DOMAIN}{region(7)}")
        shutil.copytree(APPS, tmp_path / "apps")
        return tmp_path

    @staticmethod
    def run(*arguments: str) -> int:
        parser = argparse.ArgumentParser()
        generate.configure(parser)
        return generate.run(parser.parse_args(arguments))

    def test_check_names_what_is_stale_and_changes_nothing(
        self, root: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        before = (root / "docs" / "architecture.md").read_bytes()
        assert self.run("--check") == 1
        printed = capsys.readouterr().out.splitlines()
        assert "docs/architecture.md: is stale; run `python -m fleet docs`" in printed
        assert "docs/overview.svg: is stale; run `python -m fleet docs`" in printed
        assert (root / "docs" / "architecture.md").read_bytes() == before

    def test_it_makes_all_of_them_true_of_the_fork(
        self, root: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.run() == 0
        assert "wrote: docs/overview.svg" in capsys.readouterr().out
        assert self.run("--check") == 0
        assert self.run() == 0
        assert capsys.readouterr().out == ""
        picture = (root / "docs" / "overview.svg").read_text("utf-8")
        drawings = (root / "docs" / "architecture.md").read_text("utf-8")
        for text in (picture, drawings):
            assert "area-7" in text
            assert "headquarters" in text
