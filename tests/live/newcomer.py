"""Somebody who brings links-api to the fleet, by the commands of docs/applications.md."""

import os
import re
import ssl
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import pytest

from fleet.registry import Region
from tests.live.cluster import said
from tests.live.load import Way
from tests.live.setting import Fork
from tests.postgres import Postgres
from tests.tutorial import Step, add_apps, steps

APP: Final = "links-api"
TOKEN: Final = "token-of-the-live-tests"
DOCUMENTED: Final = "registry.example.com/links-api"
IMAGE: Final = os.environ.get("LIVE_LINKS_API", "")
"""The repository that the clusters pull it from, with the tags 1.0.0 and 1.1.0."""


@dataclass(frozen=True)
class Edge:
    """An app of a region as users reach it."""

    way: Way

    @classmethod
    def of(cls, fork: Fork, region: str, app: str = APP) -> "Edge":
        cluster = fork.fleet.cluster(region)
        assert isinstance(cluster, Region)
        return cls(Way(cluster.host(app), str(cluster.address), fork.place.acme_root))

    def ask(self, method: str, path: str, body: object = None) -> httpx.Response:
        """Over verified TLS, with the token."""
        context = ssl.create_default_context(cafile=str(self.way.authority))
        with httpx.Client(verify=context, timeout=30) as client:
            return client.request(
                method,
                f"https://{self.way.address}{path}",
                json=body,
                headers={"Host": self.way.host, "Authorization": f"Bearer {TOKEN}"},
                extensions={"sni_hostname": self.way.host},
            )


@dataclass
class Newcomer:
    """Takes one step of the document after the other, in a fork on the clusters of the tests."""

    fork: Fork
    database: Postgres
    secrets: Mapping[str, str]
    """What only a person knows, for bootstrap."""
    options: Mapping[str, str]
    """What a command needs in addition on these clusters."""
    ahead: list[Step] = field(default_factory=steps)

    def read_on(self, to: str) -> str:
        """Takes all steps up to the first that begins with ``to``; returns what that prints."""
        while True:
            step = self.ahead.pop(0)
            if step.kind == "yaml":
                entry = step.text.replace(DOCUMENTED, IMAGE)
                add_apps(self.fork.folder / "clusters.yaml", entry)
                continue
            printed = self._run(step.text)
            if step.text.startswith("cp "):
                self._put_the_database_in()
            elif step.text.startswith("git push"):
                look_at_git()
            if step.text.startswith(to):
                return printed

    def _run(self, command: str) -> str:
        for start, more in self.options.items():
            if command.startswith(start):
                command += f" {more}"
        region = self.fork.fleet.cluster("us-east")
        assert isinstance(region, Region)
        if APP in region.apps:
            command = command.replace("links-newyork.example.com", region.host(APP))
        # It regenerates what no Application deploys as well; tests/fork has all of it.
        command = command.replace("make update", "python main.py").replace(DOCUMENTED, IMAGE)
        result = subprocess.run(
            ["bash", "-c", command],
            cwd=self.fork.folder,
            env={**os.environ, **self.secrets, **GIT, "PATH": _path()},
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
            stdin=subprocess.DEVNULL,
        )
        # Of a diff, that there is one; of status, that an alert fires, such as of a busy machine.
        expected = (0, 1) if re.search("--diff|fleet status", command) else (0,)
        assert result.returncode in expected, f"{command}\n{result.stdout}{result.stderr}"
        return result.stdout

    def _put_the_database_in(self) -> None:
        description = self.fork.folder / "apps" / f"{APP}.yaml"
        text = description.read_text("utf-8")
        for old, new in (
            ("10.20.0.0/24", f"{self.database.address}/32"),
            ("5432", str(self.database.port)),
        ):
            assert old in text
            text = text.replace(old, new)
        description.write_text(text, "utf-8")


REFRESH: Final = "argocd.argoproj.io/refresh=normal"
GIT: Final = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "test"), ("EMAIL", "test@test.invalid"))
}


def _path() -> str:
    """With the ``python`` of the tests first."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))


def look_at_git() -> None:
    """Has Argo CD look at Git now, and not within its three minutes."""
    said("tooling", "-n", "argocd", "annotate", "--overwrite", "--all", "applications", REFRESH)


def newcomer(fork: Fork, database: Postgres, secrets: Mapping[str, str]) -> Newcomer:
    """Nothing done yet; skips the test where the clusters have no image to pull."""
    if not IMAGE:
        pytest.skip("needs LIVE_LINKS_API; tests/live/setting.py says what it is")
    place, region = fork.place, fork.fleet.cluster("us-east")
    asked = f"--resolver {place.resolver} " if place.resolver else ""
    url = database.create("links")
    made = Newcomer(
        fork,
        database,
        {**secrets, "APP_LINKS_API_DB_URL": url, "APP_LINKS_API_TOKEN_TOKEN": TOKEN},
        {
            "python -m fleet bootstrap": f"{asked}--timeout 8",
            "python -m fleet status": f"{asked}--ca {place.acme_root}",
            "curl": f"--cacert {place.acme_root} --connect-to ::{region.address}:",
        },
    )
    fork.git("remote", "add", "origin", str(fork.bare))
    fork.git("config", "push.autoSetupRemote", "true")
    return made
