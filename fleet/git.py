"""``git`` of clusters.yaml: the repository that Argo CD reads dist/ from, and how it signs in."""

from typing import Annotated, Final, Literal, TypeAlias
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from fleet.values import Facts, GitUrl, HostKey, Label, Revision, once

GitCredential: TypeAlias = Literal["token", "github-app"]

# manifests/base/config/argocd-ssh-known-hosts-cm.yaml of Argo CD v3.5.7.
KNOWN_HOSTS: Final = (
    *("github.com", "[ssh.github.com]:443", "gitlab.com", "bitbucket.org"),
    *("ssh.dev.azure.com", "vs-ssh.visualstudio.com"),
)
"""The Git servers whose host keys Argo CD brings along."""


def _parsed(repository: str) -> SplitResult:
    """A repository as a URL; without a scheme it is git@host:path, over SSH."""
    if "://" in repository:
        return urlsplit(repository)
    return urlsplit(f"ssh://{repository.replace(':', '/', 1)}")


def _ssh_host(url: SplitResult) -> str:
    """A server as the file known_hosts names it, by its port unless that is SSH's own."""
    return f"{url.hostname}" if url.port in (None, 22) else f"[{url.hostname}]:{url.port}"


class Git(Facts):
    """The repository that Argo CD reads dist/ from."""

    repository: GitUrl = Field(
        description="URL by which Argo CD clones the repository, over HTTPS or SSH.",
        examples=["https://github.com/foobar-platform/foobar-platform.git"],
    )
    revision: Revision = Field(
        description="Branch, tag or commit that Argo CD follows.", examples=["main"]
    )
    folder: Label = Field(
        default="dist",
        description="Folder at the top of the repository that the fleet is rendered into, and that "
        "Argo CD reads.",
        examples=["dist-staging"],
    )
    credential: GitCredential | None = Field(
        default=None,
        description="How Argo CD signs in to a private repository over HTTPS: with a `token`, or "
        "as a `github-app`. Over SSH, it always needs a key.",
        examples=["token"],
    )
    host_keys: Annotated[tuple[HostKey, ...], AfterValidator(once)] = Field(
        default=(),
        validate_default=True,
        description="Public host keys of the Git server, if it is reached over SSH and Argo CD "
        "does not know it.",
        examples=[
            ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ+XFuVk/HShKixRFxJCzX2woUbuvHq/lMHymvR5LCDt"]
        ],
        json_schema_extra={"uniqueItems": True},
    )

    @field_validator("credential")
    @classmethod
    def _is_for_https(
        cls, credential: GitCredential | None, info: ValidationInfo
    ) -> GitCredential | None:
        repository: str | None = info.data.get("repository")
        if credential and repository and _parsed(repository).scheme == "ssh":
            raise ValueError("is for HTTPS; over SSH, Argo CD signs in with a key; remove it")
        return credential

    @field_validator("host_keys")
    @classmethod
    def _are_known(cls, keys: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if "repository" not in info.data:
            return keys
        url = _parsed(info.data["repository"])
        if url.scheme != "ssh":
            if keys:
                raise ValueError("are for a repository over SSH; remove them")
        elif not keys and (host := _ssh_host(url)) not in KNOWN_HOSTS:
            raise ValueError(
                f"are missing, and Argo CD does not know {host}; add what "
                f"`ssh-keyscan -p {url.port or 22} {url.hostname}` prints after the host, once "
                "you have compared it with what the server's owner publishes"
            )
        return keys

    @property
    def over_ssh(self) -> bool:
        """Whether Argo CD clones the repository over SSH."""
        return self._url.scheme == "ssh"

    @property
    def known_hosts(self) -> tuple[str, ...]:
        """The lines of the file known_hosts for the Git server."""
        return tuple(f"{_ssh_host(self._url)} {key}" for key in self.host_keys)

    @property
    def web(self) -> str:
        """Where people read the repository.

        A port of HTTPS is that of the pages as well; one of SSH is not.
        """
        url = self._url
        host = url.netloc if url.scheme == "https" else url.hostname
        return f"https://{host}{url.path.rstrip('/').removesuffix('.git')}"

    @property
    def port(self) -> int:
        """The TCP port that the repository is cloned from."""
        return self._url.port or (443 if self._url.scheme == "https" else 22)

    @property
    def _url(self) -> SplitResult:
        return _parsed(self.repository)
