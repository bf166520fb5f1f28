"""Rotation on clusters in memory: every credential is replaced, and no sample is lost by it."""

import itertools
from collections.abc import Callable, Iterator

import pytest

from operations import credentials
from operations.credentials import SecretRef
from operations.ingest import SETTLING_SECONDS, SPREADING_SECONDS
from tests.operations.conftest import Result
from tests.operations.world import ADMIN_HASH, INITIAL_PASSWORD, World

Command = Callable[..., Result]

HUB = SecretRef("hub", "pages", "ingest-edge")
REGION = (
    SecretRef("edge", "monitoring", "ingest-credentials"),
    SecretRef("edge", "opentelemetry-collector", "ingest-credentials"),
)
TOKEN = SecretRef("edge", "argocd", "argocd-manager-token")
PAGES = (
    SecretRef("hub", "monitoring", "grafana-sign-in"),
    SecretRef("hub", "monitoring", "prometheus-sign-in"),
)
ACCEPTED = SecretRef("hub", "pages", "prometheus-sign-in")
"""The hash of the second of these."""
KUBELET_SECONDS = 240
"""What a program may still have of a Secret that has changed: a kubelet looks every 90 seconds, and
the reloader of Prometheus every 180."""
TRAEFIK_SECONDS = 5
"""What Traefik may still have of one."""


@pytest.fixture
def running(world: World, command: Command) -> World:
    """A fleet that has been up for an hour."""
    assert command("bootstrap").status == 0
    world.clock.sleep(3600)
    world.journal.go_on()
    return world


Span = tuple[float, float, frozenset[str]]
"""From when until when a Secret had which lines of htpasswd."""


def spans(world: World, ref: SecretRef) -> Iterator[Span]:
    """The Secret's history, each content in the form in which the hub has it."""
    key = ("", "Secret", ref.namespace, ref.name)
    states = [entry for entry in world.clusters[ref.cluster].storage.history if entry[1] == key]
    ends = [time for time, _, _ in states[1:]]
    for (start, _, data), end in zip(states, [*ends, float("inf")], strict=True):
        content = credentials.decoded({"data": data})
        lines = credentials.htpasswd_lines(content)
        if "password" in content:
            lines = [credentials.htpasswd_line(content)]
        yield start, end, frozenset(lines)


def lost(world: World) -> list[str]:
    """When some program of the region might have been refused by the hub.

    A program may use what its Secret held at any time in the last KUBELET_SECONDS, and Traefik may
    accept what its Secret held at any time in the last TRAEFIK_SECONDS, and nothing else.
    """
    found = []
    for ref in REGION:
        for used_from, used_until, used in spans(world, ref):
            for known_from, known_until, known in spans(world, HUB):
                start = max(used_from, known_from)
                end = min(used_until + KUBELET_SECONDS, known_until + TRAEFIK_SECONDS)
                # Before both were there, nothing was running.
                if start < end and start > 3600 and not used <= known:
                    found.append(f"{ref.namespace} from {start:.0f} to {end:.0f} s")
    return found


def everything(world: World) -> dict[str, object]:
    """All that a rotation replaces."""
    return {str(ref): world.read(ref) for ref in (*REGION, *PAGES, INITIAL_PASSWORD, TOKEN)}


def assert_consistent(world: World) -> None:
    """One password for the region's programs, and the hub accepts that one alone."""
    first, second = (world.read(ref) for ref in REGION)
    assert first is not None
    assert first == second
    assert world.read(HUB) == credentials.htpasswd([credentials.htpasswd_line(first)])
    administrator = world.read(ADMIN_HASH)
    assert administrator is not None
    assert administrator["admin.password"] == world.read(INITIAL_PASSWORD)["password"]  # type: ignore[index]
    person = world.read(PAGES[1])
    assert person is not None
    assert world.read(ACCEPTED) == credentials.htpasswd([credentials.htpasswd_line(person)])
    token = world.read(TOKEN)
    registered = world.read(SecretRef("hub", "argocd", "cluster-edge"))
    assert token is not None
    assert registered is not None
    assert token["token"] in registered["config"]


def grafana_is_current(world: World) -> bool:
    """Whether Grafana has started since its sign-in was written."""
    pod = world.hub.stored("pod", "grafana-0", "monitoring")
    assert pod is not None
    key = ("", "Secret", PAGES[0].namespace, PAGES[0].name)
    written = max(time for time, where, _ in world.hub.storage.history if where == key)
    started = world.hub.storage.objects["", "Pod", "monitoring", "grafana-0"].created
    return started >= written


def test_every_credential_is_replaced(running: World, command: Command) -> None:
    before = everything(running)
    result = command("bootstrap", "--rotate")
    assert result.status == 0, result.err
    after = everything(running)
    assert [name for name in before if before[name] == after[name]] == []
    assert_consistent(running)
    assert grafana_is_current(running)


def test_old_and_new_password_are_accepted_until_no_program_can_use_the_old_one(
    running: World, command: Command
) -> None:
    start = running.clock.seconds
    assert command("bootstrap", "--rotate").status == 0
    assert lost(running) == []
    assert SPREADING_SECONDS + SETTLING_SECONDS < running.clock.seconds - start < 400


def test_this_test_notices_a_password_that_is_revoked_too_early(
    running: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operations.ingest.SPREADING_SECONDS", 60)
    assert command("bootstrap", "--rotate").status == 0
    assert lost(running) != []


def test_this_test_notices_a_password_that_is_used_before_traefik_knows_it(
    running: World, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("operations.ingest.SETTLING_SECONDS", 1)
    assert command("bootstrap", "--rotate").status == 0
    assert lost(running) != []


@pytest.mark.parametrize("within", [False, True], ids=["before a call", "halfway through a call"])
@pytest.mark.parametrize("then", [(), ("--rotate",)], ids=["bootstrap", "rotate"])
def test_the_next_run_completes_a_rotation_that_was_interrupted(
    within: bool,  # noqa: FBT001 - a parameter of the test
    then: tuple[str, ...],
    make_world: Callable[[], World],
    command: Command,
) -> None:
    """Be it another rotation or not, and nothing is lost: each call is played."""
    for killed in itertools.count():
        world = make_world()
        assert command("bootstrap").status == 0
        world.clock.sleep(3600)
        world.journal.go_on()
        world.journal.kill_at, world.journal.kill_within = killed, within
        if command("bootstrap", "--rotate").status == 0:
            break
        at = world.journal.changing[-1]
        world.clock.sleep(7)
        world.journal.go_on()
        result = command("bootstrap", *then)
        assert result.status == 0, (at, result.err)
        assert lost(world) == [], at
        assert_consistent(world)
        assert grafana_is_current(world), at
        world.journal.go_on()
        again = command("bootstrap", "--dry-run")
        assert again.out.splitlines()[-1] == "nothing to do", (at, again.taken)
    assert killed > 8


def test_grafana_is_restarted_once(running: World, command: Command) -> None:
    """And not again while its old pods are still there."""
    old = running.hub.stored("pod", "grafana-0", "monitoring")
    assert old is not None
    assert command("bootstrap", "--rotate").status == 0
    running.hub.put({**old, "metadata": {**old["metadata"], "name": "grafana-old"}})
    running.hub.storage.objects["", "Pod", "monitoring", "grafana-old"].manifest = {
        **old,
        "metadata": {**old["metadata"], "name": "grafana-old"},
    }
    assert command("bootstrap").taken == []
    running.hub.edit("secret", "grafana-sign-in", "monitoring", data={"password": "eA=="})
    assert command("bootstrap").taken == [
        "+ hub   Grafana has read Secret monitoring/grafana-sign-in"
    ]


def test_a_leaked_password_that_is_deleted_is_revoked_at_once(
    running: World, command: Command
) -> None:
    """As docs/operations.md says: delete it in the region, and run bootstrap."""
    leaked = running.read(REGION[0])
    assert leaked is not None
    for ref in REGION:
        running.clusters["edge"].remove("secret", ref.name, ref.namespace)
    start = running.clock.seconds
    assert command("bootstrap").status == 0
    assert_consistent(running)
    assert credentials.htpasswd_line(leaked) not in credentials.htpasswd_lines(running.read(HUB))
    assert running.clock.seconds - start < 60


def test_a_region_without_a_password_is_left_to_bootstrap(running: World, command: Command) -> None:
    for ref in REGION:
        running.clusters["edge"].remove("secret", ref.name, ref.namespace)
    result = command("bootstrap", "--rotate")
    assert result.status == 0, result.err
    assert "= edge  has no password yet; bootstrap generates it" in result.out
