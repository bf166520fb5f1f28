"""Every object is one that the API server accepts: checked by schema, none left out."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import kubernetes_validate
import pytest

from rendering.validation import sources
from rendering.validation.objects import Object
from tests.objects import ROOT, read

VERSION = "1.34"
"""Of Kubernetes, as in the URL that imports/k8s is generated from."""


def custom(objects: Sequence[Object]) -> list[Object]:
    return [each for each in objects if each.group not in NATIVE]


NATIVE = {
    "", "apiregistration.k8s.io", "apps", "autoscaling", "networking.k8s.io", "policy",
    "rbac.authorization.k8s.io", "scheduling.k8s.io",
}  # fmt: skip


def test_the_version_is_that_of_the_bindings() -> None:
    assert any(f"/v{VERSION}." in url for url in read(ROOT / "cdk8s.yaml")["imports"])


def test_kubernetes_own_kinds(objects: Sequence[Object]) -> None:
    """By the schemas that kubernetes-validate carries, strictly: no unknown field."""
    seen: Counter[str] = Counter()
    for each in objects:
        if each.group in NATIVE:
            # A key of a mapping that is None would be lost on the way.
            body = json.loads(json.dumps(each.body))
            kubernetes_validate.validate(body, VERSION, strict=True)
            seen[each.kind] += 1
    assert seen.total() + len(custom(objects)) == len(objects)
    assert len(seen) >= 14


def test_custom_kinds_are_known(objects: Sequence[Object]) -> None:
    assert {each.group for each in custom(objects)} == {
        "argoproj.io",
        "cert-manager.io",
        "monitoring.coreos.com",
        "traefik.io",
    }


def test_what_kustomize_builds(built: Sequence[Object]) -> None:
    """Patches and overlays leave every object of Kubernetes' own kinds valid, bundles included."""
    checked = 0
    for each in built:
        if each.group in NATIVE:
            kubernetes_validate.validate(dict(each.body), VERSION, strict=True)
            checked += 1
    assert checked >= 250


@pytest.mark.parametrize(
    ("component", "kind"),
    [
        ("tenant-foobar-api", "Certificate"),
        ("tenant-foobar-api", "IngressRouteTCP"),
        ("foobar-api", "Deployment"),
    ],
)
def test_a_wrong_field_is_reported(
    rendered: Path, component: str, kind: str, tmp_path: Path
) -> None:
    """A field that no schema has is reported with file, object and path."""
    folder = tmp_path / "dist" / "us-east" / component
    folder.mkdir(parents=True)
    source = rendered / "us-east" / component / f"{kind}.foobar-api.yaml"
    text = source.read_text().replace("\nspec:\n", "\nspec:\n  nonsense: 1\n")
    (folder / source.name).write_text(text)
    (folder / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        f"resources:\n- {source.name}\n"
    )
    (problem,) = sources.check(tmp_path / "dist", tmp_path / "overlays").lines
    assert source.name in problem
    assert f"{kind}/foobar-api: spec.nonsense" in problem
