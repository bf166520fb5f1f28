"""What the live tests do to a cluster: speak to it as a kubectl context, and nothing else."""

import base64
import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import pytest

T = TypeVar("T")


def kubectl(
    cluster: str,
    *arguments: str,
    objects: Sequence[Mapping[str, Any]] = (),
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    return subprocess.run(
        ["kubectl", "--context", cluster, *arguments],
        input=items if objects else None,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def said(cluster: str, *arguments: str) -> str:
    """What kubectl prints, which must not fail."""
    result = kubectl(cluster, *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def apply(cluster: str, objects: Sequence[Mapping[str, Any]], *more: str) -> str:
    """Applies like Argo CD does; returns what kubectl says, one line an object."""
    result = kubectl(
        cluster,
        "apply",
        "--server-side",
        "--field-manager=argocd-controller",
        *more,
        "--filename=-",
        objects=objects,
    )
    assert result.returncode == 0, result.stderr
    assert result.stderr == "", "the API server warns"
    return result.stdout


def secret(
    namespace: str, name: str, data: Mapping[str, str], kind: str = "Opaque"
) -> dict[str, Any]:
    """A Secret as bootstrap would make it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": kind,
        "metadata": {"name": name, "namespace": namespace},
        "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
    }


def eventually(what: str, look: Callable[[], T | None], *, seconds: float = 180) -> T:
    """The first answer of ``look`` that is true; fails after ``seconds`` with ``what``."""
    end = time.monotonic() + seconds
    last: object = None
    while time.monotonic() < end:
        try:
            found = look()
        except AssertionError as error:
            last = error
        else:
            if found:
                return found
            last = found
        time.sleep(1)
    pytest.fail(f"not within {seconds:.0f} s: {what}; last: {last}")


def ends_well(cluster: str, namespace: str, app: str, command: Sequence[str]) -> bool:
    """Whether a command does, in a pod that calls itself ``app``, and its container too."""
    name = f"test-{app}"
    kubectl(cluster, "-n", namespace, "delete", "pod", name, "--ignore-not-found", "--now")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": {"app.kubernetes.io/name": app},
        },
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": app,
                    "image": "docker.io/library/busybox:1.36",
                    "command": list(command),
                    "securityContext": {
                        "allowPrivilegeEscalation": False,
                        "capabilities": {"drop": ["ALL"]},
                    },
                }
            ],
        },
    }
    apply(cluster, [pod])

    def phase() -> str | None:
        found = said(cluster, "-n", namespace, "get", "pod", name, "-o=jsonpath={.status.phase}")
        return found if found in ("Succeeded", "Failed") else None

    return eventually(f"{name} ends", phase, seconds=60) == "Succeeded"


STUCK: Final = (
    "{range .items[?(@.status.state=='processing')]}"
    "{.metadata.namespace}{' '}{.metadata.ownerReferences[0].name}{'\\n'}{end}"
)


@contextmanager
def orders_asked_for_anew(clusters: Sequence[str]) -> Iterator[list[str]]:
    """Does what docs/runbooks/CertificateExpiring.md says of an order that stays `processing`.

    Pebble tells no address of an order when it finishes one, so cert-manager asks once for what
    became of it; if that is too early, as on a busy machine now and then, it never asks again
    (cert-manager's issue 5062). Yields the orders that this was done for.
    """
    stop = threading.Event()
    done: list[str] = []

    def watch() -> None:
        before: set[str] = set()
        while not stop.wait(20):
            now = set()
            for cluster in clusters:
                found = kubectl(
                    cluster, "get", "orders.acme.cert-manager.io", "-A", f"-o=jsonpath={STUCK}"
                )
                lines = found.stdout.splitlines() if found.returncode == 0 else []
                now |= {f"{cluster} {line}" for line in lines}
            for each in now & before:
                cluster, namespace, request = each.split()
                kubectl(cluster, "-n", namespace, "delete", "certificaterequest", request)
                done.append(each)
            before = now - before

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


@contextmanager
def forwarded(cluster: str, namespace: str, target: str, port: int) -> Iterator[str]:
    """A local URL of ``port`` of ``target``, past NetworkPolicies, as kubectl forwards it."""
    with subprocess.Popen(
        ["kubectl", "--context", cluster, "-n", namespace, "port-forward", target, f":{port}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert "->" in line, line
            yield f"http://127.0.0.1:{line.split(':')[1].split()[0]}"
        finally:
            process.terminate()


def answered(url: str) -> Any:
    """The JSON that a program answers under a forwarded URL."""
    try:
        with urllib.request.urlopen(url, timeout=30) as response:  # noqa: S310 - forwarded
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            pytest.fail(f"{url}: {error.code}: {error.read()!r}")
