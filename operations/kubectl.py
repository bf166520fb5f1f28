"""A cluster as kubectl sees it: one context, asked and told in JSON.

kubectl is what operators have, signs in by whatever their kubeconfig says, and brings kustomize and
server-side apply along. What is told it goes by standard input, so that no secret is in a list of
processes.
"""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeAlias

from fleet import documents
from fleet.errors import InputError

Manifest: TypeAlias = Mapping[str, Any]

MANAGER: Final = "argocd-controller"
"""Whose fields those are that are applied, by the name that the API server keeps: Argo CD's own
(ArgoCDSSAManager in its common package), which goes on with the same objects. Under another name
a field that Git has no more would stay, since two had set it."""

APPLY: Final = (
    "apply",
    "--server-side",
    "--force-conflicts",
    f"--field-manager={MANAGER}",
    "--filename=-",
)

TIMEOUT_SECONDS: Final = 120
"""Of one call, the largest bundle included."""


class ClusterError(InputError):
    """A cluster that cannot be asked, or refuses: one line with its name and the reason."""


@dataclass(frozen=True)
class Kubectl:
    """The cluster called ``name`` in the registry, by way of the kubectl context ``context``."""

    name: str
    context: str
    fault: str | None = None
    """Why it cannot be asked, if that is known already: every call raises it at once."""

    def run(
        self,
        *arguments: str,
        objects: Sequence[Manifest] | None = None,
        timeout: float = TIMEOUT_SECONDS,
    ) -> str:
        """What kubectl prints; ``objects`` are what it reads. Raises ClusterError."""
        self._check()
        items = {"apiVersion": "v1", "kind": "List", "items": objects}
        return call(
            self.name,
            ["--context", self.context, *arguments],
            text=None if objects is None else json.dumps(items),
            timeout=timeout,
        )

    def _check(self) -> None:
        if self.fault:
            raise ClusterError(f"{self.name}: {self.fault}")

    def get(self, kind: str, name: str, namespace: str | None = None) -> Manifest | None:
        """The object, or None where there is none, be it that its kind or namespace is missing."""
        found: Manifest | None = self._found(kind, name, *_in(namespace), "--ignore-not-found")
        return found

    def every(self, kind: str, *arguments: str, namespace: str | None = None) -> list[Manifest]:
        """All objects of a kind, in ``namespace`` or everywhere; none of a kind that is missing."""
        where = _in(namespace) or ("--all-namespaces",)
        found = self._found(kind, *where, *arguments)
        items: list[Manifest] = found["items"] if found else []
        return items

    def _found(self, kind: str, *arguments: str) -> Any:
        """What kubectl gets, as it is in JSON, or None."""
        try:
            text = self.run("get", kind, *arguments, "--output=json")
        except ClusterError as error:
            if "the server doesn't have a resource type" in str(error):
                return None
            raise
        return json.loads(text) if text.strip() else None

    def apply(self, objects: Sequence[Manifest]) -> None:
        """Server-side, and taking over fields that somebody else has set."""
        self.run(*APPLY, objects=objects)

    def applied(self, objects: Sequence[Manifest]) -> list[Manifest]:
        """What the cluster would make of ``objects``; nothing is changed."""
        return _items(self.run(*APPLY, "--dry-run=server", "--output=json", objects=objects))

    def present(self, objects: Sequence[Manifest]) -> list[Manifest]:
        """Those of ``objects`` that the cluster has, as they are there."""
        arguments = ("get", "--filename=-", "--ignore-not-found", "--output=json")
        return _items(self.run(*arguments, objects=objects))

    def allowed(self, verb: str, resource: str) -> bool:
        """Whether who is signed in may do ``verb`` to ``resource`` in every namespace."""
        try:
            return self.run("auth", "can-i", verb, resource, "--all-namespaces").strip() == "yes"
        except ClusterError as error:
            if str(error).rstrip().endswith("no"):
                return False
            raise

    @contextmanager
    def forwarded(self, namespace: str, target: str, port: int) -> Iterator[str]:
        """A URL here that leads to ``port`` of ``target``, whatever NetworkPolicies say."""
        self._check()
        command = ["kubectl", "--context", self.context, "-n", namespace]
        with subprocess.Popen(
            [*command, "port-forward", target, f":{port}"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                line = process.stdout.readline() if process.stdout else ""
                if "->" not in line:
                    why = process.stderr.read().strip() if process.stderr else ""
                    raise ClusterError(f"{self.name}: {target}: {_short(why)}")
                yield f"http://127.0.0.1:{line.split(':')[1].split()[0]}"
            finally:
                process.terminate()


def call(name: str, arguments: Sequence[str], *, text: str | None = None, timeout: float) -> str:
    """What kubectl prints, given ``arguments``; what is told of faults begins with ``name``."""
    try:
        result = subprocess.run(
            ["kubectl", *arguments],
            input=text,
            stdin=None if text is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        raise ClusterError("kubectl: is not on the PATH; install it") from None
    except subprocess.TimeoutExpired:
        raise ClusterError(f"{name}: no answer within {timeout:.0f} s") from None
    if result.returncode:
        told = result.stderr.strip() or result.stdout.strip()
        raise ClusterError(f"{name}: {_short(told)}")
    return result.stdout


@cache
def kustomize(folder: Path) -> Sequence[Manifest]:
    """The objects that a folder of dist comes to; fetches bundles unless they are vendored.

    Kept, for dist stays as it is while a command runs.
    """
    text = call(str(folder), ["kustomize", str(folder)], timeout=TIMEOUT_SECONDS)
    return tuple(document for document in documents.load_all(text) if document)


def _items(text: str) -> list[Manifest]:
    """The objects that kubectl prints: one, several in a list, or nothing."""
    if not text.strip():
        return []
    found = json.loads(text)
    items: list[Manifest] = found["items"] if found["kind"] == "List" else [found]
    return items


def _in(namespace: str | None) -> tuple[str, ...]:
    return (f"--namespace={namespace}",) if namespace else ()


def _short(told: str) -> str:
    """The last line, which is where kubectl says what it was, without its own preamble."""
    line = told.splitlines()[-1] if told else "failed without a word"
    return line.removeprefix("Error from server ").removeprefix("error: ").strip()
