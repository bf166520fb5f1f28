"""bench/synth measures what it says: real fleets, and peers that make the very same objects."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.synth.contenders import Command, Contender, floor, ours
from bench.synth.fleets import describe, facts, fleet_of, write
from bench.synth.measure import measure
from bench.synth.objects import by_identity, differences
from bench.synth.peers import PEERS, missing_tool
from bench.synth.results import Results, Run
from bench.synth.template import Place, Template, fill, places
from charts.catalogue import load
from fleet.registry import Fleet
from tests.objects import APPS, ROOT


@pytest.fixture(scope="module", params=[1, 3], ids=["one app", "three apps"])
def apps(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The descriptions of the apps that each region runs."""
    folder = tmp_path_factory.mktemp("described") / "apps"
    return describe(request.param, folder, like=APPS / "foobar-api.yaml")


@pytest.fixture(scope="module")
def two_regions(fleet: Fleet, apps: Path, tmp_path_factory: pytest.TempPathFactory) -> Template:
    """Our render of a hub and two regions, which is the fewest that can be compared."""
    some = fleet_of(2, fleet, apps)
    contender = ours(some, tmp_path_factory.mktemp("bench") / "ours", apps)
    measure((contender, 2), 0)
    return Template(some, contender.output)


@pytest.mark.parametrize("regions", [1, 300])
def test_main_reads_the_fleets_it_makes(
    fleet: Fleet, apps: Path, tmp_path: Path, regions: int
) -> None:
    made = fleet_of(regions, fleet, apps)
    write(made, tmp_path / "clusters.yaml", apps)
    assert load(tmp_path / "clusters.yaml") == made
    assert len(made.regions) == regions


def test_regions_share_no_fact(fleet: Fleet, apps: Path) -> None:
    one, other = map(facts, fleet_of(2, fleet, apps).regions)
    assert one.keys() == other.keys() > set()
    assert not set(one.values()) & set(other.values())


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_makes_the_same_objects(peer: str, two_regions: Template, tmp_path: Path) -> None:
    if tool := missing_tool(peer):
        pytest.skip(f"needs {tool} on the PATH; bench/README.md says how to build it")
    contender = PEERS[peer](two_regions, tmp_path / peer)
    measure((contender, 2), 0)
    for cluster in two_regions.facts:
        assert len(by_identity(two_regions.dist / cluster)) > 10
        assert differences(two_regions.dist / cluster, contender.output / cluster) == []


def test_what_a_peer_makes_otherwise_is_told(tmp_path: Path) -> None:
    for folder, value in (("ours", 1), ("theirs", 2)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.yaml").write_text(
            f"{{apiVersion: v1, kind: A, metadata: {{name: same}}, value: {value}}}\n---\n"
            f"{{apiVersion: v1, kind: A, metadata: {{name: {folder}}}}}"
        )
    told = differences(tmp_path / "ours", tmp_path / "theirs")
    assert [line.partition(": ")[2] for line in told] == [
        "v1 A  ours is missing",
        "v1 A  same differs",
        "v1 A  theirs is not ours",
    ]


def test_facts_are_found_where_two_regions_differ() -> None:
    one = {"host": "a.one.io", "same": "one", "list": [{"name": "one"}]}
    other = {"host": "b.two.io", "same": "one", "list": [{"name": "two"}]}
    found = list(places(one, other, {"name": "one", "label": "a."}, {"name": "two", "label": "b."}))
    assert found == [
        Place(("host",), "@@label@@@@name@@.io"),
        Place(("list", 0, "name"), "@@name@@"),
    ]
    assert fill(found[0].marked, {"name": "two", "label": "b."}) == "b.two.io"


def test_a_difference_without_a_fact_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"^port: no fact tells 1 from 2$"):
        list(places({"port": 1}, {"port": 2}, {"name": "one"}, {"name": "two"}))


def test_the_floor_loads_what_main_loads(tmp_path: Path) -> None:
    """Every public module of other people's packages, that is."""
    assert _modules("main") - _modules("bench.synth.floor") == set()
    assert measure((floor(tmp_path), 0), 0).cpu > 0


def _modules(imported: str) -> set[str]:
    code = (
        f"import json, sys, {imported}; print(json.dumps({{n: getattr(m, '__file__', None) or '' "
        "for n, m in sys.modules.items()}))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return {
        name
        for name, file in json.loads(result.stdout).items()
        if "site-packages" in file and not any(part[0] == "_" for part in name.split("."))
    }


def test_the_whole_tree_of_processes_counts(tmp_path: Path) -> None:
    """Processor time of a grandchild, and memory of two processes that live at once."""
    held = "b = bytearray(50 << 20)"
    grandchild = f"import time; {held}\nwhile time.process_time() < 0.3: pass"
    child = (
        f"import subprocess, sys; {held}; subprocess.run([sys.executable, '-c', {grandchild!r}])"
    )
    run = measure((_contender(tmp_path, [sys.executable, "-c", child]), 0), 0)
    assert run.cpu >= 0.3
    assert run.rss > 100 << 20


def test_a_failed_command_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        measure((_contender(tmp_path, ["false"]), 0), 0)


def test_ratios_are_of_the_same_round() -> None:
    """A machine that doubles its time between rounds changes no ratio."""
    runs = [
        Run(name, 3, number, 1, cpu=cpu * number, wall=1, rss=1)
        for number in (1, 2, 4)
        for name, cpu in (("ours", 1.0), ("helm", 3.0))
    ]
    assert Results(runs).ratio(("helm", 3), ("ours", 3)) == 3


def _contender(folder: Path, argv: Sequence[str]) -> Contender:
    return Contender("some", [Command(argv)], folder, folder)
