"""A fork stays green: with a fleet of its own, and after each change that a fleet goes through."""

import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from charts import upstream
from charts.catalogue import load
from tests.fork.checkout import Checkout, fork
from tests.objects import ROOT

ONE_REGION: Final = """\
git:
  repository: https://git.example.net/infra/fleet.git
  revision: trunk

acme:
  email: infra@foobar-platform.dev

clusters:
  - name: core
    role: hub
    provider: generic
    address: 198.51.100.1
    domain: core.example.net

  - name: nordics
    role: region
    provider: generic
    address: 198.51.100.2
    domain: example.net
    apps:
      foobar-api:
        hostname: nordics
        image: registry.example.net/apps/foobar-api:3.0.0
"""


def region(name: str, number: int) -> str:
    return f"""
  - name: {name}
    role: region
    provider: generic
    address: 198.51.100.{number}
    domain: example.net
    apps:
      foobar-api:
        hostname: {name}
        image: registry.example.net/apps/foobar-api:3.0.0
"""


FOUR_REGIONS: Final = ONE_REGION + region("alps", 3) + region("iberia", 4) + region("baltics", 5)

OWN_APPS: Final = {
    "shop-api": """\
apiVersion: score.dev/v1b1
metadata:
  name: shop-api
containers:
  shop-api: {image: "."}
service:
  ports:
    http: {port: 80, targetPort: 8080}
""",
    "mail-api": """\
apiVersion: score.dev/v1b1
metadata:
  name: mail-api
  platform:
    tls: passthrough
    metrics: {port: 9090}
containers:
  mail-api:
    image: "."
    variables:
      RELAY_URL: ${resources.relay.url}
    volumes:
      /certificate: {source: "${resources.certificate}", readOnly: true}
service:
  ports:
    https: {port: 443, targetPort: 8443}
resources:
  relay: {type: secret}
  certificate: {type: certificate}
""",
}

PLACED: Final = """\
      shop-api:
        hostname: shop
        image: registry.example.net/apps/shop-api:1.0.0
      mail-api:
        hostname: mail
        image: registry.example.net/apps/mail-api:2.0.0
"""

OVERLAY: Final = {
    "kustomization.yaml": """\
apiVersion: kustomize.config.k8s.io/v1alpha1
kind: Component
patches:
  - path: replicas.yaml
""",
    "replicas.yaml": """\
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: foobar-api
  namespace: foobar-api
spec:
  minReplicas: 3
""",
}


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """A fork with one region and no overlays, as `make update` leaves it."""
    if not all(map(shutil.which, ("git", "make"))):
        pytest.skip("needs git and make on the PATH")
    made = fork(tmp_path_factory.mktemp("fork") / "fleet")
    shutil.rmtree(made.folder / "overlays", ignore_errors=True)
    (made.folder / "clusters.yaml").write_text(ONE_REGION)
    made.make("update")
    made.commit()
    return made


@pytest.fixture(scope="module")
def grown(own: Checkout) -> Checkout:
    """The same fork, grown to four regions."""
    (own.folder / "clusters.yaml").write_text(FOUR_REGIONS)
    own.make("update")
    own.commit()
    return own


@pytest.fixture
def four(grown: Checkout) -> Checkout:
    """The fork with four regions, without what another test changed in it."""
    grown.reset()
    return grown


def test_a_fork_with_one_region_is_green(own: Checkout) -> None:
    own.contract_suite()


def test_a_fork_deploys_nothing_of_the_original(own: Checkout) -> None:
    """Names, addresses, repository, e-mail address and registry are its own everywhere in dist."""
    original = load(ROOT / "clusters.yaml")
    facts = {
        original.git.repository.removesuffix(".git"),
        original.acme.email,
        *(host for cluster in original.clusters for host in cluster.hosts),
        *(str(cluster.address) for cluster in original.clusters),
        *(
            placement.image.partition("/")[0]
            for region in original.regions
            for placement in region.apps.values()
        ),
    }
    files = [file for file in (own.folder / "dist").rglob("*") if file.is_file()]
    assert files
    assert [
        (file, fact) for file in files for fact in facts if fact in file.read_text("utf-8")
    ] == []


def test_a_fork_runs_apps_of_its_own_and_no_foobar_api(four: Checkout) -> None:
    (four.folder / "apps" / "foobar-api.yaml").unlink()
    for name, description in OWN_APPS.items():
        (four.folder / "apps" / f"{name}.yaml").write_text(description)
    first = region("nordics", 2).partition("      foobar-api:\n")
    others = (region("alps", 3), region("iberia", 4), region("baltics", 5))
    four.edit(
        "clusters.yaml",
        {
            **{each: each.partition("    apps:\n")[0] for each in others},
            "".join(first[1:]): PLACED,
        },
    )
    four.make("update")
    four.contract_suite()
    rendered = [file for file in (four.folder / "dist").rglob("*") if file.is_file()]
    assert [file for file in rendered if "foobar-api" in file.read_text("utf-8")] == []
    named = {app for app in OWN_APPS for file in rendered if app in file.read_text("utf-8")}
    assert named == set(OWN_APPS)


def test_a_fork_grown_to_four_regions_is_green(four: Checkout) -> None:
    four.contract_suite()


def test_a_promotion_changes_one_line_of_one_region(four: Checkout) -> None:
    four.make("promote", "NEW_IMAGE=registry.example.net/apps/foobar-api:3.1.0")
    four.contract_suite()
    assert four.changed() == {
        "clusters.yaml",
        "dist/nordics/foobar-api/Deployment.foobar-api.yaml",
    }


def test_a_region_is_added(four: Checkout) -> None:
    with (four.folder / "clusters.yaml").open("a") as registry:
        registry.write(region("tatra", 6))
    four.make("update")
    four.contract_suite()
    # The region that probes it has to know it.
    assert clusters(four.changed()) == {"core", "tatra", "nordics"}


def test_a_region_is_retired(four: Checkout) -> None:
    four.edit("clusters.yaml", {region("iberia", 4): ""})
    four.make("update")
    four.contract_suite()
    # The region that probed it probes another.
    assert clusters(four.changed()) == {"core", "iberia", "baltics"}
    assert not (four.folder / "dist" / "iberia").exists()


def test_an_overlay_is_added(four: Checkout) -> None:
    overlay = four.folder / "overlays" / "alps" / "foobar-api"
    overlay.mkdir(parents=True)
    for name, text in OVERLAY.items():
        (overlay / name).write_text(text)
    four.make("update")
    four.contract_suite()
    assert four.changed() == {
        *(f"overlays/alps/foobar-api/{name}" for name in OVERLAY),
        "dist/alps/foobar-api/kustomization.yaml",
    }


def test_a_component_is_brought_to_another_version(
    four: Checkout, mirror: Path, tmp_path: Path
) -> None:
    """Its version is in two files, and `make update` does the rest, snapshots included."""
    old, new = upstream.TRAEFIK_VERSION, "v3.99.0"
    upstream_files = tmp_path / "mirror"
    shutil.copytree(mirror, upstream_files, copy_function=os.symlink)
    for folder in list(upstream_files.rglob(old)):
        shutil.copytree(folder, folder.with_name(new))
    newer = replace(four, mirror=upstream_files)
    for file in ("charts/upstream.py", "cdk8s.yaml"):
        newer.edit(file, {old: new})
    newer.make("update")
    newer.contract_suite()
    newer.pytest(
        "tests/contract/test_variants.py", "tests/contract/test_dist.py", "-k", "version or variant"
    )
    assert clusters(newer.changed()) == {"core", "nordics", "alps", "iberia", "baltics"}


def clusters(changed: set[str]) -> set[str]:
    """The clusters whose folders in dist are among ``changed`` files."""
    return {Path(file).parts[1] for file in changed if file.startswith("dist/")}
