"""What the Secrets hold that bootstrap creates."""

import base64
import json

import pytest

from fleet.registry import Fleet
from operations import credentials
from operations.credentials import Answers, SecretRef


def test_the_hub_knows_a_password_by_its_hash_alone() -> None:
    """In the form of htpasswd, several of them while one is rotated."""
    known = (credentials.sign_in("us-east-1", "new"), credentials.sign_in("us-east-2", "old"))
    content = credentials.htpasswd(map(credentials.htpasswd_line, known))
    lines = credentials.htpasswd_lines(content)
    # printf new | openssl sha1 -binary | base64
    assert lines == ["us-east-1:{SHA}wqawPxkN+ytKqR+K+NR3qbw0Adw=", lines[1]]
    assert len(lines) == 2
    assert "new" not in lines[0]
    assert content["users"].endswith("\n")


def test_an_old_and_a_new_sign_in_can_be_valid_at_the_same_time(fleet: Fleet) -> None:
    """Traefik puts the lines in a table by the name of the user."""
    region = fleet.regions[0]
    sign_ins = [credentials.new_ingest_sign_in(region) for _ in range(20)]
    assert len({sign_in["username"] for sign_in in sign_ins}) == len(sign_ins)
    assert all(sign_in["username"].startswith(f"{region.name}-") for sign_in in sign_ins)


def test_passwords_are_long_and_never_the_same() -> None:
    passwords = {credentials.password() for _ in range(100)}
    assert len(passwords) == 100
    assert min(map(len, passwords)) >= 43


def test_every_secret_that_pods_name_is_created(fleet: Fleet) -> None:
    """By bootstrap, or by cert-manager and Argo CD while they run."""
    created = {
        (ref.cluster, ref.namespace, ref.name)
        for ref in (
            *credentials.page_sign_ins(fleet),
            *(secret.ref for secret in credentials.supplied(fleet)),
            *(ref for region in fleet.regions for ref in credentials.region_ingest(region)),
            *(credentials.hub_ingest(fleet, region) for region in fleet.regions),
            credentials.prometheus_accepted(fleet),
        )
    }
    assert created == {
        ("tooling", "monitoring", "grafana-sign-in"),
        ("tooling", "monitoring", "prometheus-sign-in"),
        ("tooling", "monitoring", "alertmanager-receivers"),
        ("tooling", "pages", "prometheus-sign-in"),
        ("tooling", "pages", "ingest-us-east"),
        ("tooling", "pages", "ingest-eu-west"),
        *(
            (region, namespace, name)
            for region in ("us-east", "eu-west")
            for namespace, name in (
                ("monitoring", "ingest-credentials"),
                ("opentelemetry-collector", "ingest-credentials"),
                ("foobar-api", "registry-pull"),
            )
        ),
    }


def test_a_bucket_needs_its_keys(fleet: Fleet) -> None:
    hub = fleet.hub.model_copy(update={"logs_bucket": "https://sjc1.vultrobjects.com/logs"})
    others = [cluster for cluster in fleet.clusters if cluster is not fleet.hub]
    supplied = credentials.supplied(fleet.model_copy(update={"clusters": (hub, *others)}))
    (bucket,) = (secret for secret in supplied if secret.ref.name == "loki-bucket")
    answers = Answers({"BUCKET_ACCESS_KEY": "key", "BUCKET_SECRET_KEY": "secret"})
    assert answers.content(bucket) == {
        "credentials": "[default]\naws_access_key_id = key\naws_secret_access_key = secret\n"
    }


def test_the_pull_secret_is_what_a_kubelet_reads(fleet: Fleet) -> None:
    (pull,) = (
        secret
        for secret in credentials.supplied(fleet)
        if secret.ref == SecretRef("us-east", "foobar-api", "registry-pull")
    )
    answers = Answers({"REGISTRY_USERNAME": "user"})
    assert not answers.has(pull)
    assert "REGISTRY_USERNAME and REGISTRY_PASSWORD" in pull.missing
    answers.known["REGISTRY_PASSWORD"] = "pass"
    content = json.loads(answers.content(pull)[".dockerconfigjson"])
    entry = content["auths"]["sjc.vultrcr.com"]
    assert base64.b64decode(entry["auth"]) == b"user:pass"


def test_only_what_is_missing_is_asked_for(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without showing what is typed."""
    prompts: list[str] = []

    def typed(prompt: str) -> str:
        prompts.append(prompt)
        return "typed"

    monkeypatch.setattr("operations.credentials.getpass.getpass", typed)
    (receivers,) = (
        secret
        for secret in credentials.supplied(fleet)
        if secret.ref.name == "alertmanager-receivers"
    )
    answers = Answers({"ALERTS_PAGES": "known", "ALERTS_NOTICES": "known"})
    answers.ask(receivers)
    assert prompts == ["tooling: URL of the dead-man's switch: "]
    assert answers.content(receivers)["watchdog"] == "typed"


def test_a_manifest_has_its_content_encoded() -> None:
    manifest = credentials.manifest(SecretRef("c", "n", "s"), {"password": "hidden"})
    assert base64.b64decode(manifest["data"]["password"]) == b"hidden"
    assert credentials.decoded(manifest) == {"password": "hidden"}
