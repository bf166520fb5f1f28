"""A fork of this project for the clusters at hand, as its users make one: registry, overlays, Git.

What the clusters have that the internet has otherwise is told by the environment:

LIVE_DOMAIN         domain of a cluster's hostnames, with ``{cluster}`` for its name
LIVE_RESOLVER       DNS server that knows these, if this machine's does not
LIVE_ACME           URL of the directory of an ACME server that can reach the clusters
LIVE_ACME_CA        file with the authority of that server's own certificate
LIVE_ACME_ROOT      file with the authority of the certificates that it issues
LIVE_ABSENT         workloads whose image cannot be had, of ``events`` and ``grafana``
LIVE_LINKS_API      repository of the image of examples/links_api, with the tags 1.0.0 and 1.1.0
LIVE_HOST           address by which the clusters reach this machine, if it is none of its own
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import trustme
import yaml

from charts.applications import ARGOCD
from charts.catalogue import load
from charts.monitoring.names import BLACKBOX_EXPORTER
from fleet.registry import Fleet
from tests.live.cluster import said
from tests.objects import FOOBAR_API, ROOT, read

GIT_PORT: Final = 6443
"""Argo CD's policies let it out to API servers, Git over HTTPS and SSH, and to nothing else."""
REPOSITORY: Final = "fleet.git"
AUTHORITY: Final = "hub-authority"
"""ConfigMap with the authority of the hub's certificates, which no program knows by itself."""


@dataclass(frozen=True)
class Place:
    """Where the clusters are, by the environment."""

    domain: str
    acme: str
    acme_ca: Path
    acme_root: Path
    absent: frozenset[str]
    resolver: str | None
    host: str | None

    @staticmethod
    def here() -> "Place":
        """Skips the test where something is not told."""
        wanted = ("LIVE_DOMAIN", "LIVE_ACME", "LIVE_ACME_CA", "LIVE_ACME_ROOT")
        if missing := [each for each in wanted if not os.environ.get(each)]:
            pytest.skip(f"needs {', '.join(missing)}; tests/live/setting.py says what they are")
        return Place(
            domain=os.environ["LIVE_DOMAIN"],
            acme=os.environ["LIVE_ACME"],
            acme_ca=Path(os.environ["LIVE_ACME_CA"]),
            acme_root=Path(os.environ["LIVE_ACME_ROOT"]),
            absent=frozenset(os.environ.get("LIVE_ABSENT", "").split()),
            resolver=os.environ.get("LIVE_RESOLVER"),
            host=os.environ.get("LIVE_HOST"),
        )

    def address(self, cluster: str) -> str:
        """Of this machine, as the cluster sees it: that from which it is spoken to."""
        if self.host:
            return self.host
        url = said(
            cluster, "config", "view", "--minify", "-o=jsonpath={.clusters[0].cluster.server}"
        )
        api = urlsplit(url)
        with socket.create_connection((api.hostname, api.port or 443), timeout=10) as connection:
            address: str = connection.getsockname()[0]
            return address


@dataclass(frozen=True)
class Fork:
    """A checkout, and the bare repository that Argo CD reads."""

    folder: Path
    bare: Path
    place: Place

    @property
    def fleet(self) -> Fleet:
        return load(self.folder / "clusters.yaml", self.folder / "overlays")

    def run(
        self, *arguments: str, variables: Mapping[str, str] | None = None, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """A command of the project, with this checkout's own code."""
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={**os.environ, **(variables or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def killed_after(self, lines: int, *arguments: str, variables: Mapping[str, str]) -> list[str]:
        """The first ``lines`` of what a command prints; it is killed when it has printed them."""
        with subprocess.Popen(
            [sys.executable, "-u", *arguments],
            cwd=self.folder,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            stream = process.stdout or ()
            told = [line.rstrip() for line, _ in zip(stream, range(lines), strict=False)]
            process.kill()
        return told

    def git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=test", "-c", "user.email=test@test.invalid"]
        return subprocess.run(
            [*command, *arguments], cwd=self.folder, check=True, capture_output=True, text=True
        ).stdout

    def push(self, message: str) -> None:
        """Renders, and has Git take whatever changed."""
        rendered = self.run("main.py", "--validate")
        assert rendered.returncode == 0, rendered.stderr
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", message)
        self.git("push", "--quiet", str(self.bare), "HEAD:main")


def fork(folder: Path, place: Place, url: str, authority: trustme.CA, mirror: Path) -> Fork:
    """The fork, its bundles vendored; its addresses are still those of the original."""
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    checkout = folder / "checkout"
    for each in filter(None, files.split("\0")):
        if (ROOT / each).is_file():
            (checkout / each).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / each, checkout / each)
    bare = folder / "git" / REPOSITORY
    made = Fork(checkout, bare, place)
    subprocess.run(["git", "init", "--quiet", "--bare", "-b", "main", str(bare)], check=True)
    made.git("init", "--quiet", "-b", "main")
    _registry(checkout / "clusters.yaml", place, f"{url}/{REPOSITORY}")
    for result in (
        made.run("main.py"),
        made.run("-m", "fleet", "vendor", "--mirror", str(mirror.resolve())),
        made.run("main.py"),
    ):
        assert result.returncode == 0, result.stderr
    _overlays(made, authority)
    return made


def _registry(path: Path, place: Place, repository: str) -> None:
    content = read(path)
    content["git"]["repository"] = repository
    for cluster in content["clusters"]:
        cluster["domain"] = place.domain.format(cluster=cluster["name"])
        # Both issuers lead to the ACME server of the tests, and production wants public addresses.
        cluster["issuer"] = "staging"
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def _overlays(made: Fork, authority: trustme.CA) -> None:
    place, fleet = made.place, made.fleet
    git_host = str(urlsplit(fleet.git.repository).hostname)
    hub = fleet.hub.name
    _overlay(
        made.folder,
        hub,
        "argocd",
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "argocd-tls-certs-cm", "namespace": ARGOCD},
            "data": {git_host: authority.cert_pem.bytes().decode()},
        },
        # There is no gpg in some builds of it, and no signature here to check.
        *(
            {
                "apiVersion": "apps/v1",
                "kind": kind,
                "metadata": {"name": name, "namespace": ARGOCD},
                "spec": {
                    "template": {
                        "spec": {
                            "containers": [
                                {
                                    "name": name,
                                    "env": [{"name": "ARGOCD_GPG_ENABLED", "value": "false"}],
                                }
                            ]
                        }
                    }
                },
            }
            for kind, name in (
                ("Deployment", "argocd-repo-server"),
                ("Deployment", "argocd-applicationset-controller"),
                ("StatefulSet", "argocd-application-controller"),
            )
        ),
    )
    if "grafana" in place.absent:
        _overlay(made.folder, hub, "grafana", _scaled("Deployment", "grafana", "monitoring"))
    for cluster in fleet.clusters:
        _overlay(
            made.folder,
            cluster.name,
            "cert-manager",
            *map(_issuer, ("staging", "production"), [place] * 2),
            resources=[_outward(place)],
        )
        _collector(made, cluster.name)
        _overlay(made.folder, cluster.name, BLACKBOX_EXPORTER, _trusting_probes(made, cluster.name))
    for region in fleet.regions:
        agent = read(
            made.folder / f"dist/{region.name}/prometheus-agent/PrometheusAgent.agent.yaml"
        )
        write = agent["spec"]["remoteWrite"][0]
        write["tlsConfig"] = {"ca": {"configMap": {"name": AUTHORITY, "key": "ca.crt"}}}
        _overlay(
            made.folder,
            region.name,
            "prometheus-agent",
            {**_name(agent), "spec": {"remoteWrite": [write]}},
            resources=[
                {
                    "apiVersion": "v1",
                    "kind": "ConfigMap",
                    "metadata": {"name": AUTHORITY, "namespace": "monitoring"},
                    "data": {"ca.crt": place.acme_root.read_text()},
                }
            ],
        )


def fewest_pods(folder: Path, region: str, number: int) -> None:
    """Has the autoscaler of a region's foobar-api never go below ``number`` pods."""
    overlay = folder / "overlays" / region / FOOBAR_API
    overlay.mkdir(parents=True, exist_ok=True)
    path = overlay / "kustomization.yaml"
    content = read(path) if path.is_file() else _component()
    patch = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": FOOBAR_API, "namespace": FOOBAR_API},
        "spec": {"minReplicas": number},
    }
    (overlay / "fewest-pods.yaml").write_text(json.dumps(patch))
    content["patches"].append({"path": "fewest-pods.yaml"})
    path.write_text(yaml.safe_dump(content))


def _issuer(name: str, place: Place) -> Mapping[str, Any]:
    return {
        "apiVersion": "cert-manager.io/v1",
        "kind": "ClusterIssuer",
        "metadata": {"name": f"letsencrypt-{name}"},
        "spec": {
            "acme": {
                "server": place.acme,
                "caBundle": base64.b64encode(place.acme_ca.read_bytes()).decode(),
            }
        },
    }


def _outward(place: Place) -> Mapping[str, Any]:
    """Let's Encrypt is on 443; another ACME server need not be."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "to-acme", "namespace": "cert-manager"},
        "spec": {
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": "cert-manager"}},
            "policyTypes": ["Egress"],
            "egress": [{"ports": [{"port": urlsplit(place.acme).port or 443}]}],
        },
    }


def _collector(made: Fork, cluster: str) -> None:
    """Whom to trust, and where to queue: nodes of a test may share the folders of one machine."""
    folder = made.folder / "dist" / cluster / "opentelemetry-collector"
    patches: list[Mapping[str, Any]] = []
    daemon = read(folder / "DaemonSet.logs.yaml")
    volumes = daemon["spec"]["template"]["spec"]["volumes"]
    for volume in volumes:
        if volume["name"] == "queue":
            volume["hostPath"]["path"] += f"-{cluster}"
    patches.append({**_name(daemon), "spec": {"template": {"spec": {"volumes": volumes}}}})
    for file in sorted(folder.glob("ConfigMap.*.yaml")):
        content = read(file)
        if "collector.yaml" not in content["data"]:
            continue
        configuration = yaml.safe_load(content["data"]["collector.yaml"])
        configuration["exporters"]["otlp_http"]["tls"] = {
            "ca_pem": made.place.acme_root.read_text()
        }
        told = yaml.safe_dump(configuration)
        patches.append({**_name(content), "data": {"collector.yaml": told}})
    if "events" in made.place.absent:
        patches.append(_scaled("Deployment", "events", "opentelemetry-collector"))
    _overlay(made.folder, cluster, "opentelemetry-collector", *patches)


def _trusting_probes(made: Fork, cluster: str) -> Mapping[str, Any]:
    """Certificates are verified after all: the authority of the tests is as good as any."""
    config = read(
        made.folder / f"dist/{cluster}/{BLACKBOX_EXPORTER}/ConfigMap.{BLACKBOX_EXPORTER}.yaml"
    )
    told = yaml.safe_load(config["data"]["config.yml"])
    for module in told["modules"].values():
        module[module["prober"]]["tls_config"] = {"ca": made.place.acme_root.read_text()}
    return {**_name(config), "data": {"config.yml": yaml.safe_dump(told)}}


def _name(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What a patch has to say for it to be a patch of ``manifest``."""
    metadata = {key: manifest["metadata"][key] for key in ("name", "namespace")}
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "metadata": metadata,
    }


def _scaled(kind: str, name: str, namespace: str, number: int = 0) -> Mapping[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"replicas": number},
    }


def _component() -> dict[str, Any]:
    return {
        "apiVersion": "kustomize.config.k8s.io/v1alpha1",
        "kind": "Component",
        "patches": [],
    }


def _overlay(
    folder: Path,
    cluster: str,
    component: str,
    *patches: Mapping[str, Any],
    resources: Sequence[Mapping[str, Any]] = (),
) -> None:
    overlay = folder / "overlays" / cluster / component
    overlay.mkdir(parents=True, exist_ok=True)
    content = _component()
    for at, patch in enumerate(patches):
        (overlay / f"patch-{at}.yaml").write_text(json.dumps(patch))
        content["patches"].append({"path": f"patch-{at}.yaml"})
    for at, resource in enumerate(resources):
        (overlay / f"resource-{at}.yaml").write_text(json.dumps(resource))
        content.setdefault("resources", []).append(f"resource-{at}.yaml")
    (overlay / "kustomization.yaml").write_text(yaml.safe_dump(content))
