"""Resources: that each is used, and as its type allows."""

from collections import defaultdict
from collections.abc import Iterator

from fleet.diagnostics import Problem
from fleet.score.description import Description
from fleet.score.resources import CertificateResource, SecretResource, VolumeResource


def of_resources(description: Description) -> Iterator[Problem]:
    mounted: set[str] = set()
    for target, mount in description.container.volumes.items():
        at = ("containers", description.container_name, "volumes", target)
        try:
            key = description.source(mount)
        except ValueError as error:
            yield Problem((*at, "source"), str(error))
            continue
        mounted.add(key)
        resource = description.resources[key]
        if isinstance(resource, CertificateResource | SecretResource) and not mount.read_only:
            yield Problem(at, f"is a {resource.type}, which nobody writes; add readOnly: true")
        if isinstance(resource, SecretResource) and not resource.params.keys:
            yield Problem(
                ("resources", key), "is mounted, and has no files; add params.keys, a list"
            )
    for key, resource in description.resources.items():
        # Of a certificate that must not be there, that is all there is to say.
        wanted = isinstance(resource, VolumeResource) or key == description.certificate
        if wanted and key not in mounted:
            yield Problem(("resources", key), "is mounted nowhere; mount it, or remove it")
        if isinstance(resource, VolumeResource) and resource.params.persistent:
            if not resource.params.size:
                yield Problem(("resources", key, "params"), "has no size; add it, such as 10Gi")
            elif resource.params.size.endswith("Mi"):
                yield Problem(
                    ("resources", key, "params", "size"),
                    f"{resource.params.size} is too small to be kept; write Gi, such as 10Gi",
                )
        if isinstance(resource, SecretResource) and resource.params.keys and key not in mounted:
            yield Problem(
                ("resources", key, "params", "keys"),
                "are files, and the Secret is mounted nowhere; mount it, or remove the keys",
            )
        elif isinstance(resource, SecretResource) and not _is_mentioned(description, key):
            yield Problem(
                ("resources", key), "is used nowhere; give a variable one of its keys, or remove it"
            )
    yield from _of_secrets(description)


def _is_mentioned(description: Description, resource: str) -> bool:
    """Whether any text has a placeholder of the resource, be it right or wrong."""
    sources = (mount.source for mount in description.container.volumes.values())
    return any(
        f"${{resources.{resource}{end}" in text
        for text in (
            *description.commands.values(),
            *description.container.variables.values(),
            *sources,
        )
        for end in ".}"
    )


def _of_secrets(description: Description) -> Iterator[Problem]:
    places = {
        resource.params.name or key: ("resources", key)
        for key, resource in description.resources.items()
        if isinstance(resource, SecretResource)
    }
    try:
        secrets = description.secrets
    except ValueError:
        # A placeholder that is wrong has been reported.
        return
    supplied: dict[str, list[str]] = defaultdict(list)
    for name, keys in secrets.items():
        if name == description.tls_secret:
            yield Problem(places[name], f"{name} is the Secret of the app's certificate; rename it")
        for key in keys:
            variable = description.supplied_as(name, key)
            supplied[variable].append(f"{key} of {name}")
            if len(supplied[variable]) == 2:
                yield Problem(
                    places[name],
                    f"{' and '.join(supplied[variable])} would both be {variable} for bootstrap; "
                    "rename one",
                )
