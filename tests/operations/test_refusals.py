"""What kubectl prints when a cluster refuses, and what the commands make of it."""

from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from operations import cluster
from operations.cluster import ClusterError, InvalidError, WebhookUnavailableError
from operations.refusals import about, refusal
from tests.objects import ROOT


@dataclass(frozen=True)
class Printed:
    """A text of kubectl, and what it means."""

    name: str
    kubectl: list[str]
    stderr: str
    error: str
    reasons: list[str]


PRINTED = [
    Printed(**entry)
    for entry in yaml.safe_load(
        (ROOT / "tests" / "fixtures" / "kubectl" / "refusals.yaml").read_text("utf-8")
    )
]


@pytest.mark.parametrize("printed", PRINTED, ids=lambda printed: printed.name)
def test_what_kubectl_prints_becomes_one_sentence_with_a_remedy(printed: Printed) -> None:
    error = refusal("us-east", printed.stderr)
    assert type(error).__name__ == printed.error
    assert list(error.reasons) == printed.reasons
    assert error.problems == tuple(
        f"us-east: {reason}; {error.REMEDY}" for reason in printed.reasons
    )


def kinds(kind: type[ClusterError] = ClusterError) -> set[type[ClusterError]]:
    return {kind}.union(*(kinds(each) for each in kind.__subclasses__()))


def test_every_kind_of_refusal_has_been_seen_but_for_an_overload() -> None:
    """Which a test cannot bring about; nor does kubectl print what bootstrap finds out itself."""
    defined = {kind.__name__ for kind in kinds() if kind.__module__ == cluster.__name__}
    seen = {printed.error for printed in PRINTED}
    assert defined - seen == {"NoContextError", "OverloadedError"}


@pytest.mark.parametrize("kind", sorted(kinds(), key=str))
def test_every_refusal_has_a_remedy(kind: type[ClusterError]) -> None:
    if kind.__name__ != "NoContextError":  # whose reason has it
        assert kind.REMEDY


@pytest.mark.parametrize(
    "stderr",
    [
        "Error from server (ServiceUnavailable): the server is currently unable to handle it",
        "Error from server (TooManyRequests): Too many requests, please try again later.",
        "Error from server (Timeout): Timeout: request did not complete within 60s",
        "Error from server: etcdserver: request timed out",
    ],
)
def test_an_api_server_that_is_overloaded_is_recognized(stderr: str) -> None:
    assert type(refusal("us-east", stderr)).__name__ == "OverloadedError"


def test_refusals_of_several_kinds_are_all_reported() -> None:
    """As one that waiting does not cure, if one of them is."""
    error = refusal(
        "us-east",
        "Error from server (InternalError): Internal error occurred: failed calling webhook "
        '"a": failed to call webhook: connection refused\n'
        'The Secret "x" is invalid: type: Required value\n',
    )
    assert isinstance(error, InvalidError)
    assert [problem.partition(";")[0] for problem in error.problems] == [
        'us-east: The Secret "x" is invalid: type: Required value',
        (
            'us-east: Internal error occurred: failed calling webhook "a": failed to call webhook: '
            "connection refused"
        ),
    ]


def test_a_warning_is_no_refusal() -> None:
    stderr = 'Warning: v1 Endpoints is deprecated\nError from server (NotFound): pods "a" not found'
    assert refusal("us-east", stderr).reasons == ('pods "a" not found',)


def test_silence_is_reported_as_such() -> None:
    assert str(refusal("us-east", "")).startswith(
        "us-east: kubectl failed and printed no reason; run the command again"
    )


def manifest(name: str, namespace: str | None = None) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata}


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        ([], "why"),
        ([manifest("a", "b")], "Secret b/a: why"),
        ([manifest("a"), manifest("c", "b")], "Secret a and 1 more: why"),
    ],
)
def test_a_refusal_names_the_object(objects: list[dict[str, Any]], told: str) -> None:
    assert about(objects, "why") == told


def test_a_refusal_that_names_its_object_is_left_alone() -> None:
    assert about([manifest("a", "b")], 'secrets "a" not found') == 'secrets "a" not found'
    error = refusal("c", "failed calling webhook", [manifest("a", "b")])
    assert isinstance(error, WebhookUnavailableError)
    assert error.reasons == ("Secret b/a: failed calling webhook",)
