"""What an API server checks before it accepts an object."""

import base64
import binascii
import re
from typing import Final

from operations.cluster import (
    ConflictError,
    ImmutableError,
    InvalidError,
    Manifest,
    NotFoundError,
    TerminatingError,
    WebhookUnavailableError,
)
from tests.memory.kinds import Kind
from tests.memory.storage import Key, Storage, Stored

NAME: Final = re.compile(r"[a-z0-9:]([-a-z0-9.:]*[a-z0-9])?")
SECRET_FIELDS: Final = ("apiVersion", "kind", "metadata", "type", "data", "stringData", "immutable")


def admit(storage: Storage, manifest: Manifest) -> None:
    """Raises what the API server would answer to somebody who may apply the object."""
    served, key = storage.served(manifest), storage.key(manifest)
    before = storage.objects.get(key)
    _check_namespace(storage, served, key)
    _validate(storage, manifest, before)
    _ask_webhooks(storage, key)
    expected = manifest["metadata"].get("resourceVersion")
    if before and expected and expected != before.version:
        raise ConflictError(
            storage.name,
            f'Operation cannot be fulfilled on {served.resource} "{key[3]}": the object has '
            "been modified; please apply your changes to the latest version and try again",
        )


def _check_namespace(storage: Storage, served: Kind, key: Key) -> None:
    if not served.namespaced:
        return
    namespace = storage.objects.get(("", "Namespace", "", key[2]))
    if namespace is None:
        raise NotFoundError(storage.name, f'namespaces "{key[2]}" not found')
    if "deletionTimestamp" in namespace.manifest["metadata"]:
        raise TerminatingError(
            storage.name,
            f'{served.resource} "{key[3]}" is forbidden: unable to create new content in '
            f"namespace {key[2]} because it is being terminated",
        )


def _validate(storage: Storage, manifest: Manifest, before: Stored | None) -> None:
    """A little of what Kubernetes validates: names, and Secrets."""
    kind, name = manifest["kind"], manifest["metadata"]["name"]
    faults = []
    if not NAME.fullmatch(name):
        faults.append(f'metadata.name: Invalid value: "{name}"')
    if kind == "Secret":
        if unknown := [key for key in manifest if key not in SECRET_FIELDS]:
            raise InvalidError(
                storage.name,
                f'ValidationError(Secret): unknown field "{unknown[0]}" in '
                "io.k8s.api.core.v1.Secret",
            )
        data = manifest.get("data") or {}
        needed = ("username", "password")
        if manifest.get("type") == "kubernetes.io/basic-auth" and not data.keys() & {*needed}:
            faults += [f"data[{key}]: Required value" for key in needed]
        if before and before.manifest.get("type", "Opaque") != manifest.get("type", "Opaque"):
            raise ImmutableError(
                storage.name,
                f'The Secret "{name}" is invalid: type: Invalid value: '
                f'"{manifest.get("type")}": field is immutable',
            )
        for value in data.values():
            try:
                base64.b64decode(value, validate=True)
            except binascii.Error:
                raise InvalidError(
                    storage.name,
                    f"failed to convert new object ({manifest['metadata']['namespace']}/{name};"
                    " /v1, Kind=Secret) to proper version: illegal base64 data",
                ) from None
    if faults:
        raise InvalidError(storage.name, f'The {kind} "{name}" is invalid: {", ".join(faults)}')


def _ask_webhooks(storage: Storage, key: Key) -> None:
    """Asks the webhooks; one answers once its Deployment, of its Service's name, is ready."""
    for stored in list(storage.objects.values()):
        if not stored.manifest["kind"].endswith("WebhookConfiguration"):
            continue
        for webhook in stored.manifest.get("webhooks") or ():
            groups = [group for rule in webhook["rules"] for group in rule["apiGroups"]]
            service = webhook["clientConfig"]["service"]
            deployment = ("apps", "Deployment", service["namespace"], service["name"])
            served = storage.objects.get(deployment)
            ready = served and served.manifest.get("status", {}).get("readyReplicas")
            if key[0] in groups and not ready:
                url = f"https://{service['name']}.{service['namespace']}.svc:443"
                raise WebhookUnavailableError(
                    storage.name,
                    f'Internal error occurred: failed calling webhook "{webhook["name"]}": '
                    f'failed to call webhook: Post "{url}": connect: connection refused',
                )
