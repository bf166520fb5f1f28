"""Apps that bring their own manifests: by Kustomize, by Helm, and in a repository of their own."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

import pytest
from jsonschema import Draft7Validator

from charts.app.manifests import OFFLINE, manifests
from charts.catalogue import TAKEN
from docgen import schema
from fleet import apps
from fleet.errors import InputError
from fleet.package import Package
from rendering import lock
from tests import kustomize
from tests.objects import MAIN, ROOT, read, read_objects
from upstream.fetch import place
from upstream.lock import digest

PACKAGES = ROOT / "tests" / "fixtures" / "packages"
FLEET = """\
git: {repository: https://git.example.org/fleet.git, revision: main}
acme: {email: ops@foobar-platform.dev}
clusters:
  - {name: hub, role: hub, address: 192.0.2.1}
  - name: north
    role: region
    address: 192.0.2.2
    domain: north.example.org
    apps:
"""
PLACED = {
    "kustomized": "      kustomized: {hostname: k, image: 'registry.example.org/k:1.0.0'}\n",
    "charted": "      charted: {hostname: c, image: 'registry.example.org/c:2.0.0'}\n",
    "owned": "      owned: {hostname: o, image: 'registry.example.org/o:3.0.0'}\n",
}

needs_helm = pytest.mark.skipif(not shutil.which("helm"), reason="needs helm on the PATH")

Find = Callable[[str, str, str], Any]


def placed(folder: Path, *names: str) -> None:
    """A fleet in ``folder`` whose region runs the packages ``names``."""
    folder.mkdir(exist_ok=True)
    (folder / "clusters.yaml").write_text(FLEET + "".join(PLACED[name] for name in names))
    for name in names:
        shutil.copytree(PACKAGES / name, folder / "apps" / name)


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*MAIN, *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def objects(folder: Path) -> Find:
    found = {
        (each.component, each.kind, each.name): each.body for each in read_objects(folder / "dist")
    }
    return lambda *key: found.get(key)


def only(find: Find, app: str) -> Mapping[str, Any]:
    (container,) = find(app, "Deployment", app)["spec"]["template"]["spec"]["containers"]
    result: Mapping[str, Any] = container
    return result


@needs_helm
def test_a_base_and_a_chart_become_apps_of_one_region(tmp_path: Path, mirror: Path) -> None:
    """Valid by every rule of the platform, and the same by each render."""
    kustomize.program()
    placed(tmp_path, "kustomized", "charted", "owned")
    done = run(tmp_path, "--validate")
    assert (done.returncode, done.stderr) == (0, "")
    assert run(tmp_path, "--diff").stdout == "dist: up to date\n"
    find = objects(tmp_path)
    # The region's image, and its facts.
    assert only(find, "kustomized")["image"] == "registry.example.org/k:1.0.0"
    assert only(find, "charted")["image"] == "registry.example.org/c:2.0.0"
    assert only(find, "charted")["env"] == [
        {"name": "URL", "value": "https://c.north.example.org/"}
    ]
    (settings,) = (tmp_path / "dist/north/kustomized").glob("ConfigMap.settings-*.yaml")
    assert "https://k.north.example.org/" in settings.read_text()
    for app in ("kustomized", "charted"):
        pod = find(app, "Deployment", app)["spec"]["template"]["spec"]
        assert pod["imagePullSecrets"] == [{"name": "registry-pull"}]
        assert find(app, "Service", app)["metadata"]["namespace"] == app
        rule = find(f"tenant-{app}", "IngressRoute", app)["spec"]["routes"][0]
        assert rule["services"] == [{"name": app, "port": "http"}]
        assert find(f"tenant-{app}", "NetworkPolicy", f"{app}-inside")
    assert find("tenant-kustomized", "PodMonitor", "kustomized")
    assert not find("tenant-charted", "PodMonitor", "charted")


def test_a_repository_of_an_apps_own_is_deployed_under_its_project(tmp_path: Path) -> None:
    placed(tmp_path, "owned")
    assert run(tmp_path).returncode == 0
    find = objects(tmp_path)
    assert not (tmp_path / "dist/north/owned").exists()
    assert find("tenant-owned", "Namespace", "owned")
    project = find("applications", "AppProject", "owned")["spec"]
    assert project["sourceRepos"] == ["ssh://git@git.example.com:2222/team/owned.git"]
    assert project["destinations"] == [{"name": "north", "namespace": "owned"}]
    application_set = find("applications", "ApplicationSet", "owned")["spec"]
    assert application_set["generators"] == [
        {"list": {"elements": [{"cluster": "north", "image": "registry.example.org/o:3.0.0"}]}}
    ]
    template = application_set["template"]
    assert template["spec"]["source"] == {
        "repoURL": "ssh://git@git.example.com:2222/team/owned.git",
        "targetRevision": "main",
        "path": "deploy/{{.cluster}}",
        "kustomize": {"images": ["owned={{.image}}"]},
    }
    # Argo CD would look there for folders of ours.
    assert "argocd.argoproj.io/manifest-generate-paths" not in template["metadata"]["annotations"]
    known = tmp_path / "dist/hub/argocd/bundle/ConfigMap.argocd-ssh-known-hosts-cm.yaml"
    assert "[git.example.com]:2222 ssh-ed25519 AAAA" in known.read_text()
    egress = find("argocd", "NetworkPolicy", "egress")["spec"]["egress"]
    assert {"port": 2222, "protocol": "TCP"} in [
        port for each in egress for port in each.get("ports", ())
    ]


ADDED = {
    "ClusterRole": (
        "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}\n",
        (
            "ClusterRole/a: an app cannot have objects of this kind; leave it out, as the platform "
            "brings what guards an app, names it and measures it"
        ),
    ),
    "NetworkPolicy": (
        "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: a}\nspec: {}\n",
        (
            "NetworkPolicy/a: an app cannot have objects of this kind; leave it out, as the "
            "platform brings what guards an app, names it and measures it"
        ),
    ),
    "Secret": (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\n",
        "Secret/a: would put a secret into Git; name it under resources in app.yaml",
    ),
    "namespace": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: traefik}\n",
        (
            "ConfigMap/a: is in namespace traefik; an app has kustomized alone, so leave the "
            "namespace out"
        ),
    ),
    "fact": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {at: '${cluster.hots}'}\n",
        "${cluster.hots} is no fact of a cluster (did you mean host?)",
    ),
}


@pytest.mark.parametrize("what", ADDED)
def test_what_no_app_can_have_is_refused_by_its_object(tmp_path: Path, what: str) -> None:
    kustomize.program()
    added, message = ADDED[what]
    placed(tmp_path, "kustomized")
    with (tmp_path / "apps/kustomized/workload.yaml").open("a") as file:
        file.write(f"---\n{added}")
    done = run(tmp_path)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [f"apps/kustomized: {message}"]


REMOTE = "file:///var/repository?ref=--upload-pack=touch${IFS}PWNED"


@pytest.mark.parametrize("entry", [REMOTE, "https://example.org/base.yaml", "../../other"])
def test_a_base_takes_nothing_from_outside_its_folder(tmp_path: Path, entry: str) -> None:
    kustomize.program()
    placed(tmp_path, "kustomized")
    (tmp_path / "apps" / "other").mkdir()
    (tmp_path / "apps/other/kustomization.yaml").write_text("resources: []\n")
    path = tmp_path / "apps/kustomized/kustomization.yaml"
    path.write_text(path.read_text().replace("[workload.yaml]", f'[workload.yaml, "{entry}"]'))
    with pytest.raises(InputError) as caught:
        manifests(described_alone(tmp_path / "apps/kustomized"))
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path}: ")
    assert "is no file or folder of" in problem


def test_git_runs_nothing_for_kustomize(tmp_path: Path) -> None:
    """Though kustomize hands git the reference of a URL as an option."""
    mark = tmp_path / "mark"
    url = f"file://{tmp_path}?ref=--upload-pack=touch${{IFS}}{mark}"
    (tmp_path / "kustomization.yaml").write_text(f'resources: ["{url}"]\n')
    command = [*kustomize.program(), str(tmp_path)]
    subprocess.run(command, check=False, capture_output=True, env={**os.environ, **OFFLINE})
    assert not mark.exists()


@pytest.mark.parametrize("name", ["values.yaml", "chart/key"])
def test_a_link_is_refused(tmp_path: Path, name: str) -> None:
    """Or a chart could put any file of whoever renders into dist."""
    folder = tmp_path / "charted"
    shutil.copytree(PACKAGES / "charted", folder)
    (tmp_path / "secret").write_text("key: secret\n")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match=rf"{name}: is a link, and may lead anywhere"):
        manifests(described_alone(folder))


MALFORMED = {
    "no name": ("kind: ConfigMap\nmetadata: {}\n", "ConfigMap: has no metadata.name; add one"),
    "no containers": (
        "kind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: null}}\n",
        "Deployment/a: has no spec.template.spec.containers, each with a name; add them",
    ),
}


@needs_helm
@pytest.mark.parametrize("fault", MALFORMED)
def test_a_malformed_object_is_reported(tmp_path: Path, fault: str) -> None:
    text, message = MALFORMED[fault]
    version = "apps/v1" if "Deployment" in text else "v1"
    folder = tmp_path / "charted"
    shutil.copytree(PACKAGES / "charted", folder)
    (folder / "chart/templates/more.yaml").write_text(f"apiVersion: {version}\n{text}")
    with pytest.raises(InputError) as caught:
        manifests(described_alone(folder))
    assert caught.value.problems == (f"{folder}: {message}",)


@needs_helm
def test_an_unknown_field_is_the_validation_s_to_report(tmp_path: Path) -> None:
    """Whatever its name: rendering fills in the object's own fields by name."""
    placed(tmp_path, "charted")
    (tmp_path / "apps/charted/chart/templates/more.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nid: b\nscope: c\nself: d\n"
    )
    assert run(tmp_path).returncode == 0


@needs_helm
def test_a_chart_that_makes_something_up_is_refused(tmp_path: Path) -> None:
    placed(tmp_path, "charted")
    server = tmp_path / "apps/charted/chart/templates/server.yaml"
    server.write_text(server.read_text().replace(".Values.url | quote", "randAlpha 32 | quote"))
    done = run(tmp_path)
    assert done.returncode == 2
    assert "Deployment/charted changes with each render; give fixed values" in done.stderr


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("charted", "apps/charted: needs helm on the PATH"),
        ("kustomized", "apps/kustomized: needs kustomize or kubectl on the PATH"),
    ],
)
def test_a_program_that_is_missing_is_named(
    tmp_path: Path, name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = shutil.which("node")
    assert node
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "node").symlink_to(node)
    monkeypatch.setenv("PATH", str(programs))
    placed(tmp_path, name)
    done = run(tmp_path)
    assert done.returncode == 2
    assert message in done.stderr


FAULTS = {
    "another name": ("name: charted", "name: chart", "metadata.name: chart is not the name"),
    "no version": (
        "chart: chart,",
        "chart: https://charts.example.org/shop.tgz,",
        (
            "helm.chart: https://charts.example.org/shop.tgz is neither a folder beside this file "
            "nor the URL of one version"
        ),
    ),
    "no chart": ("chart: chart,", "chart: charts,", "is no chart; it has no Chart.yaml"),
    "no values": ("values: values.yaml", "values: own.yaml", "own.yaml is not there; add the file"),
    "unknown key": ("helm: {", "hlem: {", "hlem: is unknown (did you mean helm?)"),
    "passthrough": (
        "  name: charted\n",
        "  name: charted\n  platform: {tls: passthrough}\n",
        "metadata.platform.tls: has to be edge",
    ),
    "drain": (
        "  name: charted\n",
        "  name: charted\n  platform: {drain: 5}\n",
        "metadata.platform.drain: is for the app's own manifests to say; remove it",
    ),
    "containers": (
        "service:\n",
        'containers: {app: {image: "."}}\nservice:\n',
        "containers: are in the app's own manifests; remove the key",
    ),
    "two sources": (
        "helm: {",
        "git: {repository: 'https://git.example.org/a.git', revision: main, path: a}\nhelm: {",
        "git: cannot be combined with helm; keep one of the two",
    ),
    "nothing": ("helm: {chart: chart, values: values.yaml}", "", "has no kustomization.yaml"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_an_app_yaml_is_reported_with_its_place(tmp_path: Path, fault: str) -> None:
    before, after, message = FAULTS[fault]
    shutil.copytree(PACKAGES / "charted", tmp_path / "charted")
    path = tmp_path / "charted" / "app.yaml"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))
    with pytest.raises(InputError) as caught:
        apps.load(tmp_path, TAKEN)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{path}:")
    assert message in problem


def test_an_app_is_described_once(tmp_path: Path) -> None:
    shutil.copytree(PACKAGES / "owned", tmp_path / "owned")
    (tmp_path / "owned.yaml").write_text(
        'apiVersion: score.dev/v1b1\nmetadata: {name: owned}\ncontainers: {app: {image: "."}}\n'
        "service: {ports: {http: {port: 8080}}}\n"
    )
    with pytest.raises(
        InputError, match=r"owned\.yaml: \S+/owned/app\.yaml describes this app too"
    ):
        apps.load(tmp_path, TAKEN)


def test_a_folder_without_an_app_yaml_is_reported(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    with pytest.raises(InputError, match=r"shop: has no app\.yaml; add it, or remove the folder"):
        apps.load(tmp_path, TAKEN)


@pytest.mark.parametrize("name", PLACED)
def test_an_editor_accepts_what_the_loader_accepts(name: str) -> None:
    editor = Draft7Validator(json.loads(schema.of_packages()))
    data = read(PACKAGES / name / "app.yaml")
    assert [error.message for error in editor.iter_errors(data)] == []
    for key in ("hlem", "containers"):
        assert not editor.is_valid({**data, key: {}})


@needs_helm
def test_a_chart_is_fetched_by_its_url_and_compared_with_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the mirror; what is not the file that `make lock` saw renders nothing."""
    folder = tmp_path / "apps" / "charted"
    shutil.copytree(PACKAGES / "charted", folder)
    from_folder = manifests(described(folder))
    subprocess.run(
        ["helm", "package", folder / "chart", "--destination", tmp_path], check=True, stdout=DEVNULL
    )
    (archive,) = tmp_path.glob("charted-*.tgz")
    url = f"https://charts.example.org/{archive.name}"
    path = folder / "app.yaml"
    path.write_text(path.read_text().replace("chart: chart,", f"chart: {url},"))
    shutil.rmtree(folder / "chart")
    kept = tmp_path / "mirror" / place(url)
    kept.parent.mkdir(parents=True)
    archive.rename(kept)
    (tmp_path / "lock").write_text(f"{digest(kept.read_bytes())}  {url.removeprefix('https://')}\n")
    monkeypatch.setattr("upstream.lock.PATH", tmp_path / "lock")
    monkeypatch.setenv("UPSTREAM_MIRROR", str(tmp_path / "mirror"))
    assert manifests(described(folder)) == from_folder

    manifests.cache_clear()
    kept.write_bytes(kept.read_bytes() + b"more")
    monkeypatch.setattr("upstream.mirror.download", lambda url: b"another file")
    with pytest.raises(InputError, match=re.escape(url)):
        manifests(described(folder))


def described_alone(folder: Path) -> Package:
    """The package of ``folder``, whatever is beside it."""
    return Package.model_validate(read(folder / "app.yaml"), context=folder)


def described(folder: Path) -> Package:
    found = apps.load(folder.parent, TAKEN)[folder.name]
    assert isinstance(found, Package)
    return found


def test_the_lock_has_the_charts_of_apps(tmp_path: Path) -> None:
    url = "https://charts.example.org/shop-1.2.3.tgz"
    shutil.copytree(PACKAGES / "charted", tmp_path / "charted")
    path = tmp_path / "charted" / "app.yaml"
    path.write_text(path.read_text().replace("chart: chart,", f"chart: {url},"))
    assert lock.used(tmp_path) - lock.used(tmp_path / "none") == {url}
