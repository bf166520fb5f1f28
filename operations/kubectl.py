"""The way to real clusters: kubectl, run once per question.

kubectl is what operators have. It signs in by whatever their kubeconfig says, and brings kustomize
and server-side apply along. Objects go to it by standard input, so that no Secret is in the list of
processes.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

from fleet import documents
from fleet.errors import InputError
from operations.cluster import (
    MANAGER,
    ClusterError,
    Manifest,
    UnknownKindError,
    UnreachableError,
)
from operations.refusals import refusal

APPLY: Final = (
    "apply",
    "--server-side",
    "--force-conflicts",
    f"--field-manager={MANAGER}",
    "--filename=-",
)

TIMEOUT_SECONDS: Final = 120
"""Of one call, the largest bundle included."""
PROBE_TIMEOUT_SECONDS: Final = 20
"""Of a call that any API server answers in milliseconds."""


@dataclass(frozen=True)
class Kubectl:
    """The cluster called ``name`` in the registry, by way of the kubectl context ``context``."""

    name: str
    context: str
    fault: ClusterError | None = None

    def failing(self, fault: ClusterError) -> Self:
        return replace(self, fault=fault)

    def check_ready(self) -> None:
        self._run("get", "--raw", "/readyz", timeout=PROBE_TIMEOUT_SECONDS)

    def version(self) -> tuple[int, int]:
        return _version(
            json.loads(self._run("get", "--raw", "/version", timeout=PROBE_TIMEOUT_SECONDS))
        )

    def server(self) -> str:
        path = "{.clusters[0].cluster.server}"
        return self._run("config", "view", "--minify", f"--output=jsonpath={path}").strip()

    def api_versions(self) -> frozenset[str]:
        return frozenset(line.strip() for line in self._run("api-versions").splitlines())

    def allows(self, verb: str, resource: str) -> bool:
        # Without --quiet a "no" is an error that says nothing.
        result = self._result("auth", "can-i", verb, resource, "--all-namespaces")
        if result.stdout.strip() in ("yes", "no"):
            return result.stdout.strip() == "yes"
        raise refusal(self.name, result.stderr)

    def get(self, kind: str, name: str, namespace: str | None = None) -> Manifest | None:
        manifest: Manifest | None = self._get(kind, name, *_in(namespace), "--ignore-not-found")
        return manifest

    def list_objects(self, kind: str, namespace: str | None = None) -> Sequence[Manifest]:
        printed = self._get(kind, *(_in(namespace) or ("--all-namespaces",)))
        items: Sequence[Manifest] = printed["items"] if printed else ()
        return items

    def list_names(self, kind: str) -> frozenset[str]:
        names = self._run("get", kind, "--all-namespaces", "--output=name").split()
        return frozenset(name.rpartition("/")[2] for name in names)

    def read(self, objects: Sequence[Manifest]) -> Sequence[Manifest]:
        arguments = ("get", "--filename=-", "--ignore-not-found", "--output=json")
        return _items(self._run(*arguments, objects=objects)) if objects else ()

    def preview(self, objects: Sequence[Manifest]) -> Sequence[Manifest]:
        arguments = (*APPLY, "--dry-run=server", "--output=json")
        return _items(self._run(*arguments, objects=objects)) if objects else ()

    def apply(self, objects: Sequence[Manifest]) -> None:
        if objects:
            self._run(*APPLY, objects=objects)

    def delete(self, objects: Sequence[Manifest]) -> None:
        if objects:
            self._run("delete", "--filename=-", "--ignore-not-found", objects=objects)

    def restart(self, deployment: str, namespace: str) -> None:
        self._run("rollout", "restart", f"deployment/{deployment}", *_in(namespace))

    @contextmanager
    def forwarded(self, namespace: str, target: str, port: int) -> Iterator[str]:
        self._check()
        with subprocess.Popen(
            self._command("port-forward", target, f":{port}", *_in(namespace)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                line = process.stdout.readline() if process.stdout else ""
                if "->" not in line:
                    raise refusal(self.name, process.stderr.read() if process.stderr else "")
                yield f"http://127.0.0.1:{line.split(':')[1].split()[0]}"
            finally:
                process.terminate()

    def _get(self, kind: str, *arguments: str) -> Any:
        """What kubectl gets, as it is in JSON; None of a kind that the cluster does not know."""
        try:
            text = self._run("get", kind, *arguments, "--show-managed-fields", "--output=json")
        except UnknownKindError:
            return None
        return json.loads(text) if text.strip() else None

    def _run(
        self,
        *arguments: str,
        objects: Sequence[Manifest] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> str:
        """What kubectl prints; ``objects`` are what it reads."""
        result = self._result(*arguments, objects=objects, timeout=timeout)
        if result.returncode:
            raise refusal(self.name, result.stderr, objects or ())
        return result.stdout

    def _result(
        self,
        *arguments: str,
        objects: Sequence[Manifest] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        self._check()
        items = {"apiVersion": "v1", "kind": "List", "items": objects}
        text = None if objects is None else json.dumps(items)
        try:
            return _call(self._command(*arguments), text=text, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise UnreachableError(self.name, f"gives no answer within {timeout:.0f} s") from None

    def _command(self, *arguments: str) -> list[str]:
        return ["kubectl", "--context", self.context, *arguments]

    def _check(self) -> None:
        if self.fault:
            raise self.fault


def contexts() -> Mapping[str, str]:
    """The kubectl contexts, and the URL of the API server that each leads to."""
    config = json.loads(_output("config", "view", "--output=json"))
    # kubectl writes null for an empty list.
    urls = {entry["name"]: entry["cluster"].get("server", "") for entry in config["clusters"] or ()}
    return {
        entry["name"]: urls.get(entry["context"].get("cluster"), "")
        for entry in config["contexts"] or ()
    }


def client_version() -> tuple[int, int]:
    """Major and minor version of kubectl itself."""
    return _version(json.loads(_output("version", "--client", "--output=json"))["clientVersion"])


@cache
def kustomize(folder: Path) -> Sequence[Manifest]:
    """The objects that a folder of dist amounts to; fetches bundles unless they are vendored.

    Remembered, because dist does not change while a command runs.
    """
    text = _output("kustomize", str(folder))
    return tuple(document for document in documents.load_all(text) if document)


def _output(*arguments: str) -> str:
    """What kubectl prints where no cluster has a part in it. Raises InputError."""
    try:
        result = _call(["kubectl", *arguments], text=None, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise InputError(
            f"kubectl {' '.join(arguments)}: does not end within {TIMEOUT_SECONDS} s"
        ) from None
    if result.returncode:
        reason = " ".join(result.stderr.split()).removeprefix("error: ")
        raise InputError(f"kubectl {' '.join(arguments)}: {reason or 'failed without a reason'}")
    return result.stdout


def _call(
    command: Sequence[str], *, text: str | None, timeout: float
) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
            input=text,
            stdin=None if text is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        raise InputError("kubectl: is not on the PATH; install it") from None


def _items(text: str) -> Sequence[Manifest]:
    """The objects that kubectl prints: one, several in a list, or nothing."""
    if not text.strip():
        return ()
    printed = json.loads(text)
    items: Sequence[Manifest] = printed["items"] if printed["kind"] == "List" else (printed,)
    return items


def _in(namespace: str | None) -> tuple[str, ...]:
    return (f"--namespace={namespace}",) if namespace else ()


def _version(said: Mapping[str, str]) -> tuple[int, int]:
    """Providers write a minor version such as 34+."""
    return int(said["major"]), int(said["minor"].rstrip("+"))
