"""What is generated from the registry's models, and written beside them, is what they accept."""

import argparse
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft7Validator, FormatChecker
from pydantic import ValidationError

from charts.catalogue import CATALOGUE, COMPONENTS, REGION, offers
from docgen import schema
from docgen.lists import KEYS
from fleet.catalogue import Role, optional, required, users
from fleet.errors import InputError
from fleet.registry import MODELS, Fleet, keys
from fleet.source import read
from tests.objects import APPS, FLEETS, ROOT, SAMPLE

FIXTURES = ROOT / "tests" / "fixtures" / "registry"

SCHEMA = json.loads(schema.of_clusters())
EDITOR = Draft7Validator(SCHEMA, format_checker=FormatChecker(["ipv4", "ipv6"]))

UNSEEN = {
    "alias_unknown": "is no YAML",
    "not_yaml": "is no YAML",
    "tab": "is no YAML",
    "tag": "is no YAML",
    "two_documents": "is no YAML",
    "control_character": "is no YAML",
    "half_a_character": "is no YAML",
    "key_that_is_a_list": "is no YAML",
    "key_twice": "an editor reports it by itself, as YAML that is wrong",
    "top_key_twice": "an editor reports it by itself, as YAML that is wrong",
    "name_twice": "compares two clusters",
    "address_twice": "compares two clusters",
    "address_twice_in_two_forms": "compares two clusters",
    "context_twice": "compares two clusters",
    "hostname_twice": "compares two clusters",
    "hostname_twice_under_a_domain": "compares two clusters",
    "apps_with_one_hostname": "compares two apps",
    "app_that_nobody_describes": "knows the files of apps/",
    "hostname_of_the_hub": "compares two clusters",
    "two_hubs": "draft 7 can ask for one of a kind, not for one only",
    "hostname_too_long_in_all": "adds two values",
    "hub_hostname_too_long_in_all": "adds two values",
    "ipv6_without_domain": "relates two values",
    "address_unspecified": "is about what addresses mean",
    "address_loopback": "is about what addresses mean",
    "address_link_local": "is about what addresses mean",
    "address_multicast": "is about what addresses mean",
    "address_reserved": "is about what addresses mean",
    "address_ipv6_multicast": "is about what addresses mean",
    "address_ipv4_mapped": "is about what addresses mean",
    "network_with_host_bits": "is about what networks mean",
    "network_of_everything": "is about what networks mean",
    "network_prefix_too_long": "is about what networks mean",
    "label_too_long_in_domain": "counts within a value",
    "email_domain": "counts within a value",
    "domain_with_too_many_labels": "counts within a value",
    "hostname_with_reserved_hyphens": "knows what punycode is",
    "context_that_is_anothers_name": "compares two clusters",
    "git_port_out_of_range": "compares numbers",
    "host_keys_missing": "relates two values",
    "host_keys_for_https": "relates two values",
    "host_key_of_another_type": "reads base64",
    "credential_over_ssh": "relates two values",
    "traefik_left_out_alone": "relates two items",
    "ingress_and_issuer_left_out": "relates two items",
    "issuer_left_out": "relates two items",
    "traefik_of_the_hub_left_out": "relates two keys",
    "issuer_of_the_hub_left_out": "relates two keys",
    "traefik_beside_the_platforms": "relates two keys",
    "issuer_beside_the_platforms": "relates two keys",
    "traefik_with_a_load_balancer": "relates two keys",
    "issuer_beside_a_name": "relates two keys",
    "address_missing": "relates two keys",
    "address_private_in_production": "relates two values",
    "address_behind_carrier_nat_in_production": "relates two values",
    "domain_missing_on_aws": "relates two keys",
    "load_balancer_of_a_known_provider": "relates two values",
    "bucket_in_the_host_of_aws": "depends on the provider",
    "bucket_region_unknown": "relates two values",
    "bucket_region_without_a_bucket": "relates two values",
    "pull_secret_that_an_app_reads": "relates two files",
    "storage_less_than_the_class_provides": "relates two values",
    "storage_more_than_the_class_provides": "relates two values",
    "credential_as_revision": "knows the tokens of others",
    "credential_in_context": "knows what credentials look like",
    "email_at_an_example_subdomain": "has capitals, and patterns tell them apart",
}
"""The faults that the schema lets pass, each with the reason."""


def test_the_sample_names_it_in_its_first_line() -> None:
    first, *_ = SAMPLE.read_text("utf-8").splitlines()
    found = re.fullmatch(r"# yaml-language-server: \$schema=(.*)", first)
    assert found
    assert (SAMPLE.parent / found[1]).resolve() == schema.ROOT / "clusters.schema.json"


def test_it_is_a_schema() -> None:
    Draft7Validator.check_schema(SCHEMA)


def test_every_object_of_it_refuses_unknown_keys_and_tells_what_it_is() -> None:
    definitions = SCHEMA["definitions"]
    assert set(definitions) == {
        "Acme",
        "Git",
        "Hub",
        "LoadBalancer",
        "OwnTraefik",
        "Placement",
        "Region",
    }
    for each in (SCHEMA, *definitions.values()):
        assert each["additionalProperties"] is False
        assert each["title"]
        assert each["description"]
        for key, said in each["properties"].items():
            assert "$ref" in said or said["description"], key
            assert "title" not in said, key


def test_defaults_are_in_it() -> None:
    found = {
        key: said["default"]
        for key, said in SCHEMA["definitions"]["Region"]["properties"].items()
        if "default" in said
    }
    assert found == {
        "provider": "vultr",
        "behindProxy": False,
        "issuer": "staging",
        "nodeNetworks": ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"],
        "with": [],
        "without": [],
    }


@pytest.mark.parametrize("role", CATALOGUE)
def test_a_cluster_can_do_without_what_is_optional_in_its_role(role: Role) -> None:
    without = SCHEMA["definitions"][role.capitalize()]["properties"]["without"]
    names = [*(each.NAME for each in COMPONENTS), "traefick"]
    model = MODELS[role]
    for name in names:
        sound = {key: value for key, value in SOUND[role].items() if key != "apps"}
        left_out = {name, *users(CATALOGUE, role, name)}
        replaced = {
            str(each.REPLACED_BY): REPLACEMENTS[str(each.REPLACED_BY)]
            for each in CATALOGUE[role]
            if name == each.NAME and each.REPLACED_BY
        }
        if replaced:
            left_out = {name}
        cluster = {**sound, "without": [*left_out], **replaced}
        try:
            model.model_validate(cluster, context=offers(APPS))
        except ValidationError:
            accepted = False
        else:
            accepted = True
        assert accepted == (name in without["items"]["enum"]), name


REPLACEMENTS = {"traefik": {"namespace": "kube-system"}, "issuerName": "own"}
APART: Mapping[str, tuple[tuple[str, ...], Mapping[str, Any]]] = {
    "over HTTPS, with the components of the platform": (("hostKeys", *REPLACEMENTS), {}),
    "over SSH, with components of one's own": (
        ("credential", "issuer", "loadBalancer"),
        {
            "repository": "ssh://git@git.example.org:2222/fleet.git",
            "without": ["traefik", "cert-manager"],
        },
    ),
}
"""Two forms of a fleet: the keys whose examples are not of that form, and values that are."""
SOUND: Mapping[str, Mapping[str, Any]] = {
    "hub": {"name": "hub", "role": "hub", "address": "192.0.2.1"},
    "region": {
        "name": "north",
        "role": "region",
        "address": "192.0.2.2",
        "apps": {"foobar-api": {"hostname": "north", "image": "registry.example.org/app:1.0.0"}},
    },
}


@pytest.mark.parametrize("role", CATALOGUE)
def test_what_is_required_is_not_optional(role: Role) -> None:
    names = [each.NAME for each in CATALOGUE[role]]
    assert {*optional(CATALOGUE, role)} | required(CATALOGUE, role) == {*names}
    assert not {*optional(CATALOGUE, role)} & required(CATALOGUE, role)


@pytest.mark.parametrize("file", sorted(FIXTURES.glob("valid/*.yaml")), ids=lambda file: file.stem)
def test_an_editor_accepts_a_valid_registry(file: Path) -> None:
    assert [error.message for error in EDITOR.iter_errors(read(file).data)] == []


@pytest.mark.parametrize("file", sorted(FLEETS.glob("*.yaml")), ids=lambda file: file.stem)
def test_an_editor_accepts_a_fleet(file: Path) -> None:
    assert EDITOR.is_valid(read(file).data)


def test_an_editor_marks_every_fault_that_a_schema_can_express() -> None:
    unseen = set()
    files = sorted(FIXTURES.glob("invalid/*.yaml"))
    for file in files:
        try:
            if EDITOR.is_valid(read(file).data):
                unseen.add(file.stem)
        except InputError:
            unseen.add(file.stem)
    assert unseen == set(UNSEEN)
    assert len(files) > 2 * len(unseen)


PLACEMENT = st.fixed_dictionaries(
    {
        "hostname": st.from_regex(r"[a-z0-9.-]{0,5}", fullmatch=True),
        "image": st.from_regex(
            r"(a\.b|a:1|a|localhost)/[a-z._-]{1,4}(/x)?(:[a-z._-]{1,4}|:latest)?"
            "(@sha256:0{63,64})?",
            fullmatch=True,
        ),
    },
    optional={"pullSecret": st.from_regex(r"[a-z0-9.-]{0,5}", fullmatch=True)},
)
VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "name": st.sampled_from(["a", "a-b", "0", "A", "in-cluster", "x" * 63, "x" * 64]),
    "address": st.ip_addresses().map(str) | st.sampled_from(["1.2.3.4/8", "01.2.3.4", ""]),
    "domain": st.from_regex(r"[a-z0-9.-]{0,12}", fullmatch=True),
    "apps": st.dictionaries(st.sampled_from(["foobar-api", "none"]), PLACEMENT, max_size=1),
    "provider": st.sampled_from(["vultr", "hetzner", "generic", "other"]),
    "issuer": st.sampled_from(["staging", "production", "other"]),
    "nodeNetworks": st.lists(
        st.ip_addresses(network="10.0.0.0/8").map(lambda address: f"{address}/32")
        | st.sampled_from(["10.0.0.0/8", "fd00::/8", "10.0.0.1/8", "::/0"]),
        max_size=2,
    ),
    "without": st.lists(st.sampled_from([each.NAME for each in REGION]), max_size=2),
    "other": st.just("x"),
}


@settings(max_examples=100, database=None, derandomize=True)
@given(
    st.fixed_dictionaries({}, optional=VALUES).flatmap(
        lambda changed: st.sets(st.sampled_from(sorted(changed) or [""]), max_size=2).map(
            lambda chosen: {key: changed[key] for key in chosen if key}
        )
    ),
    st.sampled_from(["hub", "region"]),
)
def test_what_the_registry_accepts_an_editor_accepts(changed: dict[str, Any], role: str) -> None:
    """An editor never marks what main.py takes."""
    clusters = [{**SOUND[role], **changed}]
    if role == "region":
        clusters.append(dict(SOUND["hub"]))
    data = {
        "git": {"repository": "git@gitlab.com:fleet.git", "revision": "main"},
        "acme": {"email": "ops@foobar-platform.dev"},
        "clusters": clusters,
    }
    try:
        Fleet.model_validate(data, context=offers(APPS))
    except ValidationError:
        return
    assert [error.message for error in EDITOR.iter_errors(data)] == []


class TestCommand:
    @pytest.fixture
    def path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(schema, "ROOT", tmp_path)
        (tmp_path / "apps.schema.json").write_text(schema.of_apps())
        (tmp_path / "packages.schema.json").write_text(schema.of_packages())
        return tmp_path / "clusters.schema.json"

    @staticmethod
    def run(*arguments: str) -> int:
        parser = argparse.ArgumentParser()
        schema.configure(parser)
        return schema.run(parser.parse_args(arguments))

    def test_it_writes_the_schema(self, path: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert self.run() == 0
        assert path.read_text("utf-8") == schema.of_clusters()
        assert capsys.readouterr().out == "wrote: clusters.schema.json\n"
        assert self.run("--check") == 0

    @pytest.mark.parametrize("before", [None, "{}\n"])
    def test_check_tells_what_to_run(
        self, before: str | None, path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        if before is not None:
            path.write_text(before)
        assert self.run("--check") == 1
        assert capsys.readouterr().out == (
            "clusters.schema.json: is not what the loader accepts; run `python -m fleet schema`\n"
        )
        assert (path.read_text() if path.exists() else None) == before


class TestDocumentation:
    """docs/registry.md has a table for each model, and the tables have every key."""

    def test_no_key_is_left_out(self) -> None:
        described = {key for name in MODELS if name in KEYS for key in KEYS[name][1]} | {
            *KEYS["cluster"][1]
        }
        assert described == {
            key for name, model in MODELS.items() if name != "fleet" for key in keys(model)
        }

    @pytest.mark.parametrize("name", ["git", "acme", "hub", "region"])
    @pytest.mark.parametrize("form", APART)
    def test_its_examples_are_accepted(self, form: str, name: str) -> None:
        """All at once, but for keys that exclude each other."""
        without, instead = APART[form]
        fields = {str(field.alias): field for field in MODELS[name].model_fields.values()}
        examples = {key: field.examples[0] for key, field in fields.items() if field.examples}
        changed = {key: value for key, value in instead.items() if key in fields}
        kept = {key: value for key, value in examples.items() if key not in without}
        MODELS[name].model_validate({**kept, **changed}, context=offers(APPS))

    def test_every_example_is_in_one_of_the_forms(self) -> None:
        first, second = (set(without) for without, _ in APART.values())
        assert not first & second
