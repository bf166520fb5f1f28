"""The registry takes every sound fleet, and tells all that is wrong with any other."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charts.catalogue import CATALOGUE, REGION
from fleet.diagnostics import shown
from fleet.errors import InputError
from fleet.registry import PRIVATE_NETWORKS, Fleet
from tests.objects import APPS, FLEETS, MAIN, ROOT, SAMPLE, load

FIXTURES = ROOT / "tests" / "fixtures" / "registry"
TEXT = SAMPLE.read_text("utf-8")
SEVERAL = FIXTURES / "invalid" / "several_faults.yaml"

Write = Callable[[str | bytes], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a registry and gives its path."""

    def written(text: str | bytes) -> Path:
        path = tmp_path / "clusters.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return written


def problems(path: Path, overlays: Path | None = None) -> list[str]:
    """What is said of a registry, without the path that begins each line."""
    with pytest.raises(InputError) as caught:
        load(path, overlays)
    assert all(line.startswith(f"{path}:") for line in caught.value.problems)
    return [line.removeprefix(f"{path}:") for line in caught.value.problems]


def expected(file: Path) -> list[str]:
    """The lines that a fixture asks for in the comments it begins with."""
    lines = file.read_text("utf-8").splitlines()
    return [line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: ")]


class TestFixtures:
    @pytest.mark.parametrize("file", sorted(FIXTURES.glob("valid/*")), ids=lambda file: file.stem)
    def test_a_sound_fleet_is_taken(self, file: Path) -> None:
        assert isinstance(load(file), Fleet)

    @pytest.mark.parametrize("file", sorted(FIXTURES.glob("invalid/*")), ids=lambda file: file.stem)
    def test_a_fault_is_told_in_one_line(self, file: Path) -> None:
        """And nothing else is; one file shows that several are told together."""
        told = problems(file)
        assert told == expected(file)
        assert (len(told) > 20) if file == SEVERAL else (len(told) == 1)

    def test_every_fixture_is_found_by_the_tests_above(self) -> None:
        assert len(list(FIXTURES.glob("valid/*.yaml"))) > 10
        assert len(list(FIXTURES.glob("invalid/*.yaml"))) > 90


SECRETS = {
    ("git", "repository"): (
        "https://git.example.org/fleet.git?private_token=SECRET",
        "https://git.example.org/fleet.git?ref=main&access_token=SECRET",
        "https://git.example.org/fleet.git#access_token=SECRET",
        "https://SECRET@git.example.org/fleet.git",
        "https://bot:SECRET@git.example.org/fleet.git",
        "https://bot:with/a/slash/SECRET@git.example.org/fleet.git",
        "HTTPS://bot:SECRET@git.example.org",
        "http://bot:SECRET@git.example.org/fleet.git",
        "ftp://bot:SECRET@git.example.org/fleet.git",
        "ssh://git:SECRET@git.example.org/fleet.git",
        "git:SECRET@git.example.org:fleet.git",
        '"https://bot:SECRET@git.example.org/\\u202e"',
        "[https://bot:SECRET@git.example.org/fleet.git]",
        "{url: https://bot:SECRET@git.example.org/fleet.git}",
        "*https://bot:SECRET@git.example.org",
        "!https://bot:SECRET@git.example.org x",
    ),
    ("git", "revision"): ("glpat-SECRET_0123456789", "ghp_SECRET0123456789"),
    ("acme", "email"): ("mailto:ops:SECRET@example.org", "https://a:SECRET@b"),
    ("clusters", "logsBucket"): (
        "https://KEY:SECRET@s3.example.org/logs",
        "https://sjc1.vultrobjects.com/logs?X-Amz-Credential=K&X-Amz-Signature=SECRET",
    ),
    ("clusters", "logsBucketRegion"): ("https://KEY:SECRET@s3.example.org/logs",),
    ("clusters", "metricsStorage"): ("https://KEY:SECRET@s3.example.org/logs",),
    ("clusters", "metricsRetention"): ("https://KEY:SECRET@s3.example.org/logs",),
    ("clusters", "pagesBy"): ("https://hooks.example.org/?token=SECRET",),
    ("clusters", "token"): ("https://a:SECRET@b", "glpat-SECRET", "[https://a:SECRET@b]"),
    ("clusters", "name"): ("https://a:SECRET@b",),
    ("clusters", "address"): ("https://a:SECRET@192.0.2.1",),
    ("clusters", "domain"): ("https://a:SECRET@b.example.org",),
    ("clusters", "context"): ("https://admin:SECRET@api.example.org:6443",),
    ("clusters", "nodeNetworks"): ("[https://a:SECRET@10.0.0.0/8]", "https://a:SECRET@b"),
    ("clusters", "without"): ("[https://a:SECRET@b]", "https://a:SECRET@b"),
    ("clusters", "storageClass"): ("https://a:SECRET@b",),
    ("clusters", "issuer"): ("https://a:SECRET@b",),
    ("clusters", "provider"): ("https://a:SECRET@b",),
    ("clusters", "role"): ("https://a:SECRET@b",),
    ("clusters", '"https://a:SECRET@b"'): ("x",),
}
"""Values that hold a credential, by where a person may write them."""

NO_CLUSTER = """\
git: {repository: https://git.example.org/fleet.git, revision: main}
acme: {email: ops@foobar-platform.dev}
clusters:
"""


class TestCredentials:
    """None is accepted, and none is shown, whatever else is wrong with the value."""

    @pytest.mark.parametrize(
        ("section", "key", "value"), [(*path, value) for path in SECRETS for value in SECRETS[path]]
    )
    def test_a_credential_is_refused_and_not_shown(
        self, section: str, key: str, value: str, write: Write
    ) -> None:
        keys = {
            "git": {"repository": "https://git.example.org/fleet.git", "revision": "main"},
            "acme": {"email": "ops@foobar-platform.dev"},
            "clusters": {"name": "hub", "role": "hub", "address": "192.0.2.1"},
        }
        keys[section][key] = value
        text = ""
        for name, mapping in keys.items():
            body = "\n    ".join(f"{key}: {value}" for key, value in mapping.items())
            text += f"{name}:\n  {'- ' if name == 'clusters' else '  '}{body}\n"
        told = problems(write(text))
        assert told
        assert not [line for line in told if "SECRET" in line]

    @pytest.mark.parametrize(
        "value",
        [
            # The base64 of user:password, of which the first has no padding.
            *("dXNlcjpwYXNzd29yZGxvbmdlcg", "dXNlcjpwYXNzd29yZA==", "user:SECRET", "SECRET"),
            '{"auths":{"registry.example.org":{"auth":"dXNlcjpwYXNzd29yZGxvbmdlcg"}}}',
        ],
    )
    def test_what_is_in_a_pull_secret_is_not_shown(self, value: str, write: Write) -> None:
        app = f"{{foobar-api: {{hostname: a, image: 'r.example.org/a:1', pullSecret: '{value}'}}}}"
        cluster = f"{{name: a, role: region, address: 192.0.2.2, apps: {app}}}"
        hub = "{name: hub, role: hub, address: 192.0.2.1}"
        (told,) = problems(write(f"{NO_CLUSTER}  - {hub}\n  - {cluster}\n"))
        assert "pullSecret: " in told
        assert value not in told
        assert "dXNl" not in told

    @pytest.mark.parametrize("key", ["pagesBy", "noticesBy", "issuer", "provider", "role"])
    @pytest.mark.parametrize("address", ["https://hooks.example.org/T0/SECRET", "hooks.org/SECRET"])
    def test_an_address_in_place_of_a_word_is_not_shown(
        self, key: str, address: str, write: Write
    ) -> None:
        """Who knows the address of a webhook can send through it."""
        for value in (address, f'"{address}"', f"{address} x", f">-\n      {address}"):
            role = "" if key == "role" else "    role: hub\n"
            text = f"{NO_CLUSTER}  - name: hub\n{role}    {key}: {value}\n"
            told = "\n".join(problems(write(text)))
            assert f"clusters[0].{key}: holds an address, which may be a secret; write one" in told
            assert "SECRET" not in told

    @pytest.mark.parametrize("role", ["hub", "region", "neither"])
    @pytest.mark.parametrize("form", ["[{}]", "{}", "\n    - {}"])
    def test_an_address_in_place_of_a_component_is_not_shown(
        self, role: str, form: str, write: Write
    ) -> None:
        without = form.format("https://hooks.example.org/SECRET")
        text = f"{NO_CLUSTER}  - name: hub\n    role: {role}\n    without: {without}\n"
        told = problems(write(text))
        assert any("clusters[0].without" in line for line in told)
        assert not [line for line in told if "SECRET" in line]

    def test_the_address_of_a_messenger_belongs_in_a_secret(self, write: Write) -> None:
        text = (
            f"{NO_CLUSTER}  - {{name: hub, role: hub, address: 192.0.2.1, pagesBy: https://h/x}}\n"
        )
        (told,) = problems(write(text))
        assert told == (
            "4: clusters[0].pagesBy: holds an address, which may be a secret; write one of "
            "webhook, slack, pagerduty, and give the address to bootstrap as ALERTS_PAGES, which "
            "makes it a Secret"
        )

    def test_main_shows_none(self, write: Write, tmp_path: Path) -> None:
        registry = write(TEXT.replace("https://", "https://bot:SECRET@"))
        main = [*MAIN, "--fleet", str(registry), "--output", str(tmp_path / "d")]
        for arguments in (["--diff"], ["--validate", "--cluster", "https://a:SECRET@b"]):
            result = subprocess.run(
                [*main, *arguments],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                check=False,
            )
            assert result.returncode == 2
            assert "SECRET" not in result.stdout + result.stderr
            assert "may hold a credential" in result.stderr

    @pytest.mark.parametrize(
        "text",
        [
            *("ssh://git@git.example.org:2222/fleet.git", "git@git.example.org:fleet.git"),
            *("https://git.example.org:8443/group/fleet.git", "ops+fleet@foobar-platform.dev"),
            *("registry.example.org:5000/team/app:1.0.0@sha256:" + "0" * 64, "fd00::/8"),
            *("app:1.0.0@sha256:" + "0" * 64, "arn:aws:eks:eu-west-1:123456789012:cluster/fleet"),
            *("default/api-example-org:6443/kube:admin", "kubernetes-admin@kubernetes", "gke_a_b"),
            *("global-services", "release/1.0", "2001:db8::2", "glad-x", "xoxo-1"),
        ],
    )
    def test_what_holds_none_is_shown(self, text: str) -> None:
        assert shown(text)[:79] == text[:79]


class TestFile:
    """What is wrong with the file as a whole."""

    @pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "~\n", "\ufeff"])
    def test_empty(self, text: str, write: Write) -> None:
        assert problems(write(text)) == [" is empty; docs/registry.md says what belongs in it"]
        assert (ROOT / "docs" / "registry.md").is_file()

    def test_not_utf8(self, write: Write) -> None:
        latin = TEXT.replace("platform@", "plätform@").encode("latin-1")
        assert problems(write(latin)) == ["11: byte 0xe4 is not UTF-8; save the file as UTF-8"]

    def test_utf16(self, write: Write) -> None:
        found = problems(write(TEXT.encode("utf-16")))
        assert found == ["1: byte 0xff is not UTF-8; save the file as UTF-8"]

    def test_a_byte_order_mark_is_no_fault(self, write: Write) -> None:
        assert load(write(TEXT.encode("utf-8-sig"))) == load(SAMPLE)

    def test_line_ends_of_windows_are_no_fault(self, write: Write) -> None:
        assert load(write(TEXT.replace("\n", "\r\n"))) == load(SAMPLE)

    def test_missing(self, tmp_path: Path) -> None:
        assert problems(tmp_path / "none.yaml") == [" no such file; name one with --fleet"]

    def test_a_folder(self, tmp_path: Path) -> None:
        assert problems(tmp_path) == [" Is a directory"]

    @pytest.mark.parametrize("text", ["[" * 1000, "- " * 1000, "{a: " * 1000])
    def test_nested_without_end(self, text: str, write: Write) -> None:
        found = problems(write(text))
        assert found == [" is nested too deep to be read; flatten it"]

    @pytest.mark.parametrize(
        "value", ['!!int ""', "!!bool maybe", "9" * 5000, "1" + ":10" * 200 + ".0"]
    )
    def test_a_number_that_is_none(self, value: str, write: Write) -> None:
        """It has a number's form or tag, and Python's numbers do not take it."""
        (told,) = problems(write(TEXT.replace("revision: main", f"revision: {value}")))
        assert told.startswith("8:13: not YAML: ")
        assert told.endswith(" cannot be read; mend it there or just above")

    def test_an_alias_that_contains_itself(self, write: Write) -> None:
        assert problems(write(f"{TEXT}\n  - &self\n    name: [*self]\n"))[:1] == [
            "39: clusters[3].role: is missing; add hub or region"
        ]

    def test_aliases_do_not_multiply(self, write: Write) -> None:
        """Sixty lists of two make no 2⁶⁰ values, whichever key has them."""
        lists = "".join(f"a{at}: &a{at} [*a{at - 1}, *a{at - 1}]\n" for at in range(1, 60))
        keys = ", ".join(
            f"{key}: *a59" for key in ("name", "role", "provider", "domain", "without", "other")
        )
        found = problems(write(f"a0: &a0 [x, x]\n{lists}clusters: [*a59, {{{keys}}}]\n"))
        assert "60: clusters[0]: is a list; write key: value lines" in found
        assert "61: clusters[1].name: is a list; write one value" in found


class TestDerived:
    """What follows from the facts."""

    def test_names_under_nip_io(self) -> None:
        fleet = load(FIXTURES / "valid" / "hub_and_regions.yaml")
        assert fleet.hub.hosts == (
            "argocd.192.0.2.1.nip.io",
            "grafana.192.0.2.1.nip.io",
            "prometheus.192.0.2.1.nip.io",
            "loki.192.0.2.1.nip.io",
        )
        assert fleet.hub.hosts == (
            fleet.hub.argocd_host,
            fleet.hub.grafana_host,
            fleet.hub.prometheus_host,
            fleet.hub.loki_host,
        )
        assert [region.hosts for region in fleet.regions] == [
            ("north-cluster.192.0.2.2.nip.io",),
            ("south-cluster.192.0.2.3.nip.io",),
        ]

    def test_names_under_a_domain(self) -> None:
        fleet = load(FIXTURES / "valid" / "every_key.yaml")
        assert fleet.hub.argocd_host == "argocd.fleet.example.org"
        assert [region.hosts for region in fleet.regions] == [("api.north.example.org",)]

    def test_defaults(self) -> None:
        fleet = load(FIXTURES / "valid" / "hub_and_regions.yaml")
        for cluster in fleet.clusters:
            assert cluster.issuer == "staging"
            assert cluster.provider == "vultr"
            assert cluster.node_networks == tuple(map(ip_network, PRIVATE_NETWORKS))
            classes = CATALOGUE[cluster.role]
            assert cluster.classes[: len(classes)] == classes
        assert [region.apps["foobar-api"].pull_secret for region in fleet.regions] == [
            "registry-pull"
        ] * 2

    def test_components_are_left_out(self) -> None:
        fleet = load(FIXTURES / "valid" / "every_key.yaml")
        assert fleet.hub.components == (
            "baseline",
            "traefik",
            "cert-manager",
            "prometheus-operator",
            "pages",
            "prometheus",
            "alertmanager",
            "loki",
            "log-gateway",
            "ingest",
            "grafana",
            "rules",
            "argocd",
            "applications",
        )
        assert fleet.cluster("north").components == (
            "baseline",
            "traefik",
            "cert-manager",
            "prometheus-operator",
            "argocd-access",
            "tenant-foobar-api",
            "foobar-api",
        )

    def test_the_order_of_the_file_is_kept(self) -> None:
        fleet = load(FIXTURES / "valid" / "hub_last.yaml")
        assert fleet.names == ("north", "hub")
        assert fleet.hub is fleet.cluster("hub")
        assert fleet.cluster("north").load_balancer_label == "north-traefik"

    def test_a_cluster_that_is_none_of_the_fleet(self) -> None:
        fleet = load(FIXTURES / "valid" / "hub_and_regions.yaml")
        with pytest.raises(InputError) as caught:
            fleet.cluster("nort")
        assert caught.value.problems == ("nort: no such cluster; the fleet has hub, north, south",)


class TestOverlays:
    """A folder that no component picks up is told, and not left out in silence."""

    def test_astray(self, tmp_path: Path) -> None:
        overlays = tmp_path / "overlays"
        for folder in ("nort/traefik", "north/treafik", "north/traefik", "south", ".cache/x"):
            (overlays / folder).mkdir(parents=True)
        for file in ("patch.yaml", "README.md", "north/patch.yaml", "north/README.md"):
            (overlays / file).touch()
        with pytest.raises(InputError) as caught:
            load(FIXTURES / "valid" / "hub_and_regions.yaml", overlays)
        nort, north = overlays / "nort", overlays / "north"
        remedy, move = "rename or remove the folder", "move it there"
        has = f"it has {', '.join(each.NAME for each in REGION)}, tenant-foobar-api, foobar-api"
        assert caught.value.problems == (
            f"{nort}: the fleet has no cluster nort (did you mean north?); {remedy}",
            f"{north}/patch.yaml: is outside {north}/<component>/; move it there",
            f"{north}/traefik: has no kustomization.yaml; add one of kind Component",
            f"{north}/treafik: north has no component treafik (did you mean traefik?); {has}",
            f"{overlays}/patch.yaml: is outside {overlays}/<cluster>/<component>/; {move}",
        )

    def test_an_overlay_of_a_fleet_beside_this_one_is_none_of_its_concern(
        self, tmp_path: Path
    ) -> None:
        text = (FIXTURES / "valid" / "hub_and_regions.yaml").read_text("utf-8")
        (tmp_path / "clusters.yaml").write_text(text)
        (tmp_path / "cdk8s.yaml").write_text("clusters: {name: east}")
        (tmp_path / "overlays" / "staging-north").mkdir(parents=True)
        (tmp_path / "overlays" / "east").mkdir()
        east, staging = (tmp_path / "overlays" / name for name in ("east", "staging-north"))
        remedy = "rename or remove the folder"
        reported = [f"{each}: the fleet has no cluster {each.name}" for each in (east, staging)]
        with pytest.raises(InputError) as caught:
            load(tmp_path / "clusters.yaml", tmp_path / "overlays")
        for problem, start in zip(caught.value.problems, reported, strict=True):
            assert problem.startswith(start)
            assert problem.endswith(remedy)
        (tmp_path / "staging.yaml").write_text(text.replace("name: north", "name: staging-north"))
        with pytest.raises(InputError) as caught:
            load(tmp_path / "clusters.yaml", tmp_path / "overlays")
        (problem,) = caught.value.problems
        assert problem.startswith(reported[0])

    def test_an_overlay_of_a_component_or_no_overlays_change_nothing(self, tmp_path: Path) -> None:
        registry = FIXTURES / "valid" / "hub_and_regions.yaml"
        (tmp_path / "overlays" / "north" / "traefik").mkdir(parents=True)
        (tmp_path / "overlays" / "north" / "traefik" / "kustomization.yaml").touch()
        assert load(registry, tmp_path / "overlays") == load(registry)
        assert load(registry, tmp_path / "none") == load(registry)


class TestCommand:
    """What a person sees who runs main.py."""

    def test_bad_input_writes_nothing(self, tmp_path: Path) -> None:
        shutil.copytree(APPS, tmp_path / "apps")
        registry = Path(shutil.copy(SEVERAL, tmp_path))
        dist = tmp_path / "dist"
        dist.mkdir()
        (dist / "README.md").write_text("of an earlier render")
        result = subprocess.run(
            [*MAIN, "--fleet", str(registry), "--output", str(dist)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 2
        assert result.stdout == ""
        assert result.stderr.splitlines() == [f"{registry}:{line}" for line in expected(SEVERAL)]
        assert set(tmp_path.iterdir()) == {dist, registry, tmp_path / "apps"}
        assert set(dist.rglob("*")) == {dist / "README.md"}
        assert (dist / "README.md").read_text() == "of an earlier render"

    def test_a_fleet_is_rendered_into_the_folder_that_its_argocd_reads(
        self, tmp_path: Path
    ) -> None:
        shutil.copytree(APPS, tmp_path / "apps")
        registry = tmp_path / "staging.yaml"
        text = (FLEETS / "one-region.yaml").read_text("utf-8")
        registry.write_text(text.replace("revision: stable", "revision: x\n  folder: dist-staging"))
        subprocess.run(
            [*MAIN, "--fleet", registry.name, "--cluster", "hub"],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
        made = tmp_path / "dist-staging" / "hub" / "applications" / "ApplicationSet.edge.yaml"
        assert "path: dist-staging/edge/{{.component}}\n" in made.read_text("utf-8")
        assert not (tmp_path / "dist").exists()

    def test_the_documented_example(self, write: Write) -> None:
        """docs/registry.md shows what three faults in the sample fleet give."""
        text = TEXT.replace("name: us-east", "name: tooling")
        text = text.replace(
            "image: sjc.vultrcr.com/globalregistry/foobar-api:1.0.0",
            "image: registry.example/app:latest",
            1,
        )
        text = text.replace("name: eu-west", "name: eu-west\n    provider: vulter")
        shown = (ROOT / "docs" / "registry.md").read_text("utf-8").split("$ python main.py\n")[1]
        assert [f"clusters.yaml:{line}" for line in problems(write(text))] == (
            shown.split("\n```")[0].splitlines()
        )

    @pytest.mark.parametrize(
        ("arguments", "imported"),
        [
            (["--help"], set()),
            (["schema", "--help"], {"docgen.schema"}),
            (["import", "--help"], {"bindings.generator"}),
        ],
    )
    def test_a_command_is_imported_when_it_is_used(
        self, arguments: list[str], imported: set[str]
    ) -> None:
        program = (
            "import sys; from commands import main\n"
            f"try: main({arguments})\n"
            "except SystemExit: print(*sys.modules)\n"
        )
        result = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
        )
        help_text, _, modules = result.stdout.rstrip("\n").rpartition("\n")
        assert set(modules.split()) & {"docgen.schema", "bindings.generator"} == imported
        assert "python -m fleet" in help_text


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry") / "clusters.yaml"


def holds(path: Path, text: bytes) -> None:
    """Whatever is in the file, it is a Fleet or a list of what to mend: printable lines."""
    path.write_bytes(text)
    found = loaded(path)
    if isinstance(found, Fleet):
        assert found.hub in found.clusters
        assert len(set(found.names)) == len(found.names)
        hosts = [host for cluster in found.clusters for host in cluster.hosts]
        assert len(set(hosts)) == len(hosts)
        return
    assert found
    assert len(set(found)) == len(found)
    for line in found:
        assert line.startswith(f"{path}:")
        assert line.isprintable()
        assert len(line) < 1000


def loaded(path: Path) -> Fleet | tuple[str, ...]:
    try:
        return load(path)
    except InputError as error:
        return error.problems


anything = settings(max_examples=100, database=None, derandomize=True)

PIECES = st.sampled_from(
    [
        *("&a ", "*a", "<<: *a", "!!int ", "!x ", "? ", "- ", ": ", "[", "]", "{", "}", ", "),
        *("---\n", "...\n", "%YAML 1.1\n", "|\n", ">-\n", "\n", "\n  ", "\t", "# ", "'", '"'),
        *("~", "null", "no", "0x1f", "1e3", ".inf", ".nan", "12:30:45", "2026-10-01", "="),
        *("hub", "region", "name: ", "role: ", "address: ", "domain: ", "without: ", "image: "),
        *("argocd", "traefik", "192.0.2.1", "::1", "fe80::1%x", "10.0.0.0/8", "example.org."),
        *('"\\ud800"', '"\\0"', '"\\n"', "\x00", "\x85", "\u2028", "\ufeff", "ü", "😀", "\u202e"),
    ]
)


class TestAnything:
    """No file ends in a traceback."""

    @anything
    @given(text=st.binary(max_size=80) | st.lists(PIECES | st.text(max_size=4)).map("".join))
    def test_of_random_text(self, text: bytes | str, scratch: Path) -> None:
        holds(scratch, text if isinstance(text, bytes) else text.encode())

    @anything
    @given(
        edits=st.lists(
            st.tuples(st.integers(0, len(TEXT)), st.integers(0, 40), PIECES | st.text(max_size=4)),
            min_size=1,
            max_size=4,
        )
    )
    def test_of_a_file_that_was_edited(
        self, edits: list[tuple[int, int, str]], scratch: Path
    ) -> None:
        text = TEXT
        for start, length, piece in edits:
            text = text[:start] + piece + text[start + length :]
        holds(scratch, text.encode())

    @anything
    @given(
        values=st.dictionaries(
            st.integers(0, TEXT.count(": ") - 1),
            st.lists(PIECES, max_size=3).map("".join),
            min_size=1,
            max_size=4,
        )
    )
    def test_of_a_file_with_other_values(self, values: dict[int, str], scratch: Path) -> None:
        first, *rest = TEXT.split(": ")
        for at, value in values.items():
            rest[at] = value + rest[at][rest[at].find("\n") :]
        holds(scratch, ": ".join([first, *rest]).encode())
