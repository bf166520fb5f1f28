"""What the controllers of a cluster do, each after its time."""

import base64
import hashlib
from typing import Final

from tests.memory.kinds import WORKLOADS
from tests.memory.storage import Key, Storage, Stored

ESTABLISHING_SECONDS: Final = 1.0
"""From a definition to the kind that it defines."""
STARTING_SECONDS: Final = 10.0
"""From a workload to its pods' being ready."""
TOKEN_SECONDS: Final = 0.5
BALANCER_SECONDS: Final = 60.0
AUTHORITY: Final = "-----BEGIN CERTIFICATE-----\nof the cluster\n-----END CERTIFICATE-----\n"


def run(storage: Storage, address: str | None) -> None:
    """What Kubernetes does by itself, as far as its time has come.

    ``address`` is what the provider gives to a Service of type LoadBalancer.
    """
    for key, stored in list(storage.objects.items()):
        age = storage.clock.seconds - stored.created
        match key[1]:
            case "CustomResourceDefinition" if age >= ESTABLISHING_SECONDS:
                condition = {"type": "Established", "status": "True"}
                stored.set_status({"conditions": [condition]})
            case "Secret":
                _token(storage, key, stored, age)
            case kind if kind in WORKLOADS:
                _pods(storage, key, stored, age)
            case "Service" if age >= BALANCER_SECONDS and address:
                if stored.manifest.get("spec", {}).get("type") == "LoadBalancer":
                    points = [{"ip": address}]
                    stored.set_status({"loadBalancer": {"ingress": points}})


def _token(storage: Storage, key: Key, stored: Stored, age: float) -> None:
    """Of an account: put into its Secret, and deleted with the account.

    It says who the account is, its uid included, and the name of the Secret.
    """
    if stored.manifest.get("type") != "kubernetes.io/service-account-token":
        return
    metadata = stored.manifest["metadata"]
    annotations = metadata["annotations"]
    name = annotations["kubernetes.io/service-account.name"]
    account = storage.objects.get(("", "ServiceAccount", key[2], name))
    uid = account.manifest["metadata"]["uid"] if account else None
    if uid is None or annotations.get("kubernetes.io/service-account.uid", uid) != uid:
        storage.forget(key)
    elif age >= TOKEN_SECONDS and "data" not in stored.manifest:
        stored.manifest = {
            **stored.manifest,
            "metadata": {
                **metadata,
                "annotations": {**annotations, "kubernetes.io/service-account.uid": uid},
            },
            "data": {
                "token": _encoded(
                    hashlib.sha256(f"{storage.name} {uid} {key[3]}".encode()).hexdigest()
                ),
                "ca.crt": _encoded(AUTHORITY),
                "namespace": _encoded(key[2]),
            },
        }


def _pods(storage: Storage, key: Key, stored: Stored, age: float) -> None:
    """One for each workload; it is ready after a while."""
    _, kind, namespace, name = key
    pod = ("", "Pod", namespace, f"{name}-0")
    if pod not in storage.objects:
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": pod[3], "namespace": namespace},
        }
        storage.store(manifest, "kubelet")
    if age >= STARTING_SECONDS:
        wanted = stored.manifest.get("spec", {}).get("replicas", 1)
        daemons = {"desiredNumberScheduled": 1, "numberReady": 1, "updatedNumberScheduled": 1}
        pods = {"readyReplicas": wanted, "updatedReplicas": wanted}
        stored.set_status(daemons if kind == "DaemonSet" else pods)


def replace_pods(storage: Storage, namespace: str, workload: str) -> None:
    """Deletes the pods of a workload, which get new ones at once and are ready later."""
    for key in list(storage.objects):
        if key[1:3] == ("Pod", namespace) and key[3].startswith(f"{workload}-"):
            storage.forget(key)


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
