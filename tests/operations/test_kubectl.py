"""How Kubectl runs kubectl, and what it makes of the output."""

import json
import os
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import InputError
from operations import credentials, kubectl
from operations.cluster import NotFoundError, UnreachableError
from operations.credentials import SecretRef
from operations.kubectl import Kubectl

CLUSTER = Kubectl("edge", "context-of-edge")


@dataclass(frozen=True)
class Program:
    """A kubectl that records its arguments and input, and prints what the test sets."""

    folder: Path

    def prints(self, out: str = "", err: str = "", status: int = 0, then: str = ":") -> None:
        (self.folder / "out").write_text(out)
        (self.folder / "err").write_text(err)
        program = self.folder / "kubectl"
        program.write_text(
            "#!/bin/sh\n"
            f'cd "{self.folder}"\n'
            'printf "%s\\n" "$@" > arguments\n'
            "case $* in *--filename=-*) cat > input ;; *) : > input ;; esac\n"
            f"cat err >&2; cat out; {then}; exit {status}\n"
        )
        program.chmod(0o755)

    @property
    def arguments(self) -> list[str]:
        return (self.folder / "arguments").read_text().splitlines()

    @property
    def input(self) -> Any:
        return json.loads((self.folder / "input").read_text())


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Program:
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    made = Program(tmp_path)
    made.prints()
    return made


SECRET = credentials.manifest(SecretRef("edge", "a", "b"), {"password": "hidden"})


@pytest.mark.parametrize(
    "call",
    [CLUSTER.apply, CLUSTER.preview, CLUSTER.read, CLUSTER.delete],
    ids=["apply", "preview", "read", "delete"],
)
def test_objects_go_to_kubectl_by_standard_input(
    program: Program, call: Callable[[list[Any]], object]
) -> None:
    """A list of processes shows arguments, and so must not show a Secret."""
    call([SECRET])
    assert program.arguments[:2] == ["--context", "context-of-edge"]
    assert program.input == {"apiVersion": "v1", "kind": "List", "items": [SECRET]}
    assert SECRET["data"]["password"] not in "".join(program.arguments)
    assert "hidden" not in repr(CLUSTER)


def test_objects_are_applied_as_argo_cd_applies_them(program: Program) -> None:
    CLUSTER.apply([SECRET])
    assert set(program.arguments) >= {
        "--server-side",
        "--force-conflicts",
        "--field-manager=argocd-controller",
    }
    assert "--dry-run=server" not in program.arguments
    CLUSTER.preview([SECRET])
    assert "--dry-run=server" in program.arguments


ITEM = {"kind": "Secret", "metadata": {"name": "a"}}


@pytest.mark.parametrize(
    ("printed", "expected"),
    [("", []), (json.dumps(ITEM), [ITEM]), (json.dumps({"kind": "List", "items": [ITEM]}), [ITEM])],
    ids=["nothing", "one", "several"],
)
def test_what_is_read_is_a_list_however_much_there_is(
    program: Program, printed: str, expected: list[Any]
) -> None:
    program.prints(printed)
    assert list(CLUSTER.read([SECRET])) == expected


def test_an_object_is_read_or_absent(program: Program) -> None:
    program.prints(json.dumps(ITEM))
    assert CLUSTER.get("secret", "a", "b") == ITEM
    assert program.arguments[2:6] == ["get", "secret", "a", "--namespace=b"]
    program.prints("")
    assert CLUSTER.get("secret", "a", "b") is None
    program.prints(err='error: the server doesn\'t have a resource type "things"', status=1)
    assert CLUSTER.get("things", "a") is None
    assert list(CLUSTER.list_objects("things")) == []


def test_a_list_is_of_one_namespace_or_of_all(program: Program) -> None:
    program.prints(json.dumps({"items": [ITEM]}))
    assert list(CLUSTER.list_objects("secret", "b")) == [ITEM]
    assert "--namespace=b" in program.arguments
    assert list(CLUSTER.list_objects("secret")) == [ITEM]
    assert "--all-namespaces" in program.arguments


def test_short_answers_are_understood(program: Program) -> None:
    program.prints("secret/a\nsecret/b\n")
    assert CLUSTER.list_names("secret") == {"a", "b"}
    program.prints("apps/v1\nv1\n")
    assert CLUSTER.api_versions() == {"apps/v1", "v1"}
    program.prints("https://192.0.2.1:6443")
    assert CLUSTER.server() == "https://192.0.2.1:6443"
    program.prints('{"major": "1", "minor": "34+"}')
    assert CLUSTER.version() == (1, 34)
    program.prints('{"clientVersion": {"major": "1", "minor": "33"}}')
    assert kubectl.client_version() == (1, 33)
    program.prints("ok")
    CLUSTER.check_ready()
    CLUSTER.restart("grafana", "monitoring")
    assert program.arguments[2:] == [
        "rollout",
        "restart",
        "deployment/grafana",
        "--namespace=monitoring",
    ]


@pytest.mark.parametrize(("printed", "status"), [("yes", 0), ("no", 1)])
def test_whether_something_is_allowed_is_the_answer_and_not_the_status(
    program: Program, printed: str, status: int
) -> None:
    program.prints(printed, status=status)
    assert CLUSTER.allows("*", "*") == (printed == "yes")


def test_a_refusal_is_raised_with_the_name_of_the_cluster(program: Program) -> None:
    program.prints(err='Error from server (NotFound): namespaces "a" not found', status=1)
    with pytest.raises(NotFoundError, match=r'^edge: Secret a/b: namespaces "a" not found; run'):
        CLUSTER.apply([SECRET])
    program.prints(err="Unable to connect to the server: EOF", status=1)
    with pytest.raises(UnreachableError):
        CLUSTER.allows("*", "*")


def test_a_kubectl_that_does_not_end_is_stopped(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kubectl, "PROBE_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(kubectl, "TIMEOUT_SECONDS", 0.2)
    program.prints(then="exec sleep 60")
    with pytest.raises(UnreachableError, match=r"^edge: gives no answer within 0 s; check"):
        CLUSTER.check_ready()
    with pytest.raises(InputError, match=r"^kubectl config view .*: does not end within 0\.2 s"):
        kubectl.contexts()


def test_a_port_is_forwarded_until_it_is_no_longer_needed(program: Program) -> None:
    program.prints("Forwarding from 127.0.0.1:41234 -> 9090\n", then="exec sleep 60")
    with CLUSTER.forwarded("monitoring", "service/prometheus-k8s", 9090) as url:
        assert urllib.parse.urlsplit(url).port == 41234
    assert program.arguments[2:] == [
        "port-forward",
        "service/prometheus-k8s",
        ":9090",
        "--namespace=monitoring",
    ]


def test_a_port_that_cannot_be_forwarded_is_reported(program: Program) -> None:
    program.prints(err='Error from server (NotFound): services "loki" not found', status=1)
    with (
        pytest.raises(NotFoundError, match='services "loki" not found'),
        CLUSTER.forwarded("monitoring", "service/loki", 3100),
    ):
        pass


def test_a_folder_is_built_once(program: Program) -> None:
    program.prints("kind: A\n---\n---\nkind: B\n")
    folder = program.folder / "dist"
    assert kubectl.kustomize(folder) == ({"kind": "A"}, {"kind": "B"})
    program.prints("kind: C\n")
    assert kubectl.kustomize(folder) == ({"kind": "A"}, {"kind": "B"})


def test_a_folder_that_cannot_be_built_is_reported(program: Program) -> None:
    program.prints(err="error: no such\nfile", status=1)
    folder = program.folder / "none"
    with pytest.raises(InputError, match=f"^kubectl kustomize {folder}: no such file$"):
        kubectl.kustomize(folder)
