"""The labels that tie objects together, in the recommended app.kubernetes.io vocabulary.

Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
"""

from typing import Final

NAME: Final = "app.kubernetes.io/name"
PART_OF: Final = "app.kubernetes.io/part-of"
COMPONENT: Final = "app.kubernetes.io/component"
PROJECT: Final = "foobar-platform"

NAMESPACE: Final = "kubernetes.io/metadata.name"
"""The API server sets this label on every Namespace; NetworkPolicies select namespaces by it."""


JOB: Final = {COMPONENT: "job"}
"""The labels by which policies find the pods of an app's jobs."""


def selector(name: str) -> dict[str, str]:
    """The labels by which Services, policies and budgets find the pods of one workload."""
    return {NAME: name}


def namespace_selector(namespace: str) -> dict[str, str]:
    """The labels by which a NetworkPolicy finds one namespace."""
    return {NAMESPACE: namespace}
