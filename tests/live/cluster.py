"""What the live tests do to a cluster: speak to it as a kubectl context, and nothing else."""

import base64
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

from tests.objects import Object

T = TypeVar("T")

DRY_ONLY = ("APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration")
"""The API server would ask what they name from then on, and no pod answers yet."""


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


def prepare(cluster: str, objects: Sequence[Object]) -> None:
    """Brings the namespaces and the custom resource definitions of all its folders."""
    mine = [each for each in objects if each.cluster == cluster]
    apply(cluster, [each.body for each in mine if each.kind == "Namespace"])
    definitions = [each for each in mine if each.kind == "CustomResourceDefinition"]
    apply(cluster, [each.body for each in definitions])
    said(
        cluster,
        "wait",
        "--for=condition=Established",
        "--timeout=60s",
        *(f"crd/{each.name}" for each in definitions),
    )


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


def cannot_start(cluster: str, namespace: str, workload: str) -> str | None:
    """Why the pods of a workload cannot start, if it is that their image is not to be had."""
    pods = json.loads(said(cluster, "-n", namespace, "get", "pods", "-ojson"))["items"]
    for pod in pods:
        if not pod["metadata"]["name"].startswith(f"{workload}-"):
            continue
        for status in pod["status"].get("containerStatuses", ()):
            waiting = status["state"].get("waiting", {})
            if waiting.get("reason") in ("ErrImagePull", "ImagePullBackOff"):
                return f"{cluster} cannot pull {status['image']}"
    return None


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
