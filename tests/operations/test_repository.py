"""With what Argo CD reads a private repository: supplied to bootstrap, kept and replaced by it."""

import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from charts.applications import ARGOCD
from fleet.errors import InputError
from operations import credentials
from operations.credentials import REPOSITORY, Content, SecretRef
from operations.keys import private_key
from tests.operations.conftest import Result
from tests.operations.world import World

HTTPS = "https://git.example.org/acme/fleet.git"
SSH = "git@github.com:acme/fleet.git"
APP = {"GITHUB_APP_ID": "17", "GITHUB_APP_INSTALLATION_ID": "42"}

Bootstrap = Callable[..., Result]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    return path


def move(world: World, repository: str, **keys: Any) -> None:
    """Has the fleet be in another repository."""
    git = world.fleet.git.model_copy(update={"repository": repository, **keys})
    world.fleet = world.fleet.model_copy(update={"git": git})


@pytest.fixture
def bootstrap(
    world: World, command: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> Bootstrap:
    """Runs the command with these variables and no others of Git's."""

    def run(*arguments: str, variables: Mapping[str, str] | None = None) -> Result:
        with monkeypatch.context() as environment:
            for name, value in (variables or {}).items():
                environment.setenv(name, value)
            return command("bootstrap", *arguments)

    return run


def secret(world: World) -> Content | None:
    return world.read(SecretRef(world.fleet.hub.name, ARGOCD, REPOSITORY))


def test_a_public_repository_needs_nothing(world: World, bootstrap: Bootstrap) -> None:
    assert bootstrap().status == 0
    assert secret(world) is None


def test_a_token(world: World, bootstrap: Bootstrap) -> None:
    move(world, HTTPS, credential="token")
    missing = bootstrap()
    assert missing.status == 2
    assert missing.err == (
        "hub: Secret argocd/repository does not exist; set GIT_USERNAME and GIT_TOKEN, or run this "
        "in a terminal\n"
    )
    result = bootstrap(variables={"GIT_USERNAME": "bot", "GIT_TOKEN": "SECRET"})
    assert result.status == 0, result.err
    assert "SECRET" not in result.out + result.err
    assert secret(world) == {
        "type": "git",
        "url": HTTPS,
        "username": "bot",
        "password": "SECRET",
    }
    stored = world.hub.stored("secret", REPOSITORY, ARGOCD)
    assert stored
    # By this label Argo CD finds it.
    assert stored["metadata"]["labels"] == {"argocd.argoproj.io/secret-type": "repository"}


def test_an_ssh_key(world: World, bootstrap: Bootstrap, key: Path) -> None:
    move(world, SSH)
    result = bootstrap(variables={"GIT_SSH_KEY_FILE": str(key)})
    assert result.status == 0, result.err
    assert "PRIVATE KEY" not in result.out + result.err
    assert secret(world) == {"type": "git", "url": SSH, "sshPrivateKey": key.read_text()}


@pytest.mark.parametrize(
    ("repository", "more"),
    [
        ("https://github.com/acme/fleet.git", {}),
        (HTTPS, {"githubAppEnterpriseBaseUrl": "https://git.example.org/api/v3"}),
    ],
)
def test_a_github_app(
    repository: str, more: Content, world: World, bootstrap: Bootstrap, key: Path
) -> None:
    move(world, repository, credential="github-app")
    result = bootstrap(variables={**APP, "GITHUB_APP_KEY_FILE": str(key)})
    assert result.status == 0, result.err
    assert secret(world) == {
        "type": "git",
        "url": repository,
        "githubAppID": "17",
        "githubAppInstallationID": "42",
        "githubAppPrivateKey": key.read_text(),
        **more,
    }


def test_a_new_credential_replaces_the_old_one(world: World, bootstrap: Bootstrap) -> None:
    """By bootstrap and by a rotation alike; without one, both keep what there is."""
    move(world, HTTPS, credential="token")
    for number, arguments in enumerate([[], [], ["--rotate"]]):
        variables = {"GIT_USERNAME": "bot", "GIT_TOKEN": f"SECRET-{number}"}
        result = bootstrap(*arguments, variables=variables)
        assert result.status == 0, result.err
        assert "SECRET" not in result.out + result.err
        assert (secret(world) or {})["password"] == f"SECRET-{number}"
    for arguments in ([], ["--rotate"]):
        assert bootstrap(*arguments).status == 0
        assert (secret(world) or {})["password"] == "SECRET-2"


def test_the_hub_alone_has_it(world: World) -> None:
    move(world, SSH)
    refs = [each.ref for each in credentials.supplied(world.fleet) if each.ref.name == REPOSITORY]
    assert refs == [SecretRef("hub", ARGOCD, REPOSITORY)]


class TestOfNoUse:
    """Everything that is wrong with what is supplied is reported before anything is changed."""

    @pytest.fixture
    def told(self, world: World, bootstrap: Bootstrap) -> Callable[..., str]:
        move(world, SSH)

        def run(*arguments: str, path: object) -> str:
            result = bootstrap(*arguments, variables={"GIT_SSH_KEY_FILE": str(path)})
            assert result.status == 2
            assert world.journal.changing == []
            assert "SECRET" not in result.err
            (line,) = result.err.splitlines()
            assert line.startswith("GIT_SSH_KEY_FILE: ")
            return line

        return run

    @pytest.mark.parametrize("arguments", [[], ["--dry-run"], ["--rotate"]])
    def test_a_file_that_is_not_there(
        self, arguments: list[str], told: Callable[..., str], tmp_path: Path
    ) -> None:
        line = told(*arguments, path=tmp_path / "none")
        assert line.endswith("cannot be read; set it to the path of a private key")

    def test_the_key_itself_in_place_of_its_path(self, told: Callable[..., str]) -> None:
        assert told(path="-----BEGIN OPENSSH PRIVATE KEY-----\nSECRET") == (
            "GIT_SSH_KEY_FILE: <hidden> cannot be read; set it to the path of a private key"
        )

    @pytest.mark.parametrize("content", ["SECRET", "", "-----BEGIN OPENSSH PRIVATE KEY-----\nA\n"])
    def test_a_file_without_a_key(self, content: str, told: Callable[..., str], key: Path) -> None:
        key.write_text(content)
        assert "holds no private key" in told(path=key)

    def test_a_key_with_a_passphrase(self, told: Callable[..., str], key: Path) -> None:
        key.write_bytes(
            Ed25519PrivateKey.generate().private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(b"SECRET"),
            )
        )
        assert "needs a passphrase, which Argo CD cannot enter" in told(path=key)

    def test_an_id_that_is_no_number(self, world: World, bootstrap: Bootstrap, key: Path) -> None:
        move(world, HTTPS, credential="github-app")
        variables = {**APP, "GITHUB_APP_KEY_FILE": str(key), "GITHUB_APP_ID": "Iv1.SECRET"}
        result = bootstrap(variables=variables)
        assert result.status == 2
        assert result.err == "GITHUB_APP_ID: is no number; set it to the ID that GitHub shows\n"


def test_it_is_reported_with_all_else_that_is_wrong(
    world: World, bootstrap: Bootstrap, tmp_path: Path
) -> None:
    move(world, SSH)
    world.hub.remove("storageclass", "standard")
    result = bootstrap(variables={"GIT_SSH_KEY_FILE": str(tmp_path / "none")})
    assert result.status == 2
    storage, key = result.err.splitlines()
    assert "has no default StorageClass" in storage
    assert key.startswith("GIT_SSH_KEY_FILE: ")


def test_keys_as_ssh_keygen_writes_them(tmp_path: Path) -> None:
    """Encrypted ones of OpenSSH cannot be written without another library."""
    for name, passphrase in (("open", ""), ("locked", "SECRET")):
        try:
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-f", tmp_path / name],
                check=True,
            )
        except FileNotFoundError:
            pytest.skip("needs ssh-keygen")
    assert "OPENSSH PRIVATE KEY" in private_key("KEY", str(tmp_path / "open"))
    with pytest.raises(InputError, match="needs a passphrase"):
        private_key("KEY", str(tmp_path / "locked"))
