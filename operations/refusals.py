"""Reads from kubectl's standard error what kind of refusal it is.

kubectl has no other form for it. The texts are those of kubectl 1.32 to 1.34, which
tests/fixtures/kubectl holds as they were printed.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from operations.cluster import (
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    ForbiddenError,
    ImmutableError,
    InvalidError,
    Manifest,
    NotFoundError,
    OverloadedError,
    RejectedError,
    TerminatingError,
    UnauthorizedError,
    UnknownKindError,
    UnreachableError,
    WebhookUnavailableError,
)

_LOG: Final = re.compile(r"[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ ")
"""How a line of klog begins: kubectl logs each of its attempts to connect."""

_ADVICE: Final = re.compile(
    r"^Please review the fields above|^ensure CRDs are installed first"
    r"|; if you choose to ignore these errors| - did you specify the right host or port"
    r"|; please apply your changes to the latest version"
)
"""Where kubectl begins to advise how to go on with kubectl, which is not how to go on here."""

_REASON: Final = re.compile(r"^Error from server \((\w+)\): ")

_PREAMBLE: Final = re.compile(
    r"^(?:Error from server(?: \(\w+\))?: |error: )?"
    r'(?:error when \w+ "STDIN": |error validating "STDIN": error validating data: )*'
)

_KINDS: Final[tuple[tuple[re.Pattern[str], type[ClusterError]], ...]] = tuple(
    (re.compile(pattern), kind)
    for pattern, kind in (
        # The most telling part comes first: validation needs the API server's schema, so a server
        # that does not answer is reported as an error of validation.
        (r"failed calling webhook", WebhookUnavailableError),
        (
            (
                r"^Unable to connect to the server|^The connection to the server|dial tcp|x509: "
                r"|no such host|no route to host|context deadline exceeded|Client\.Timeout"
                r"|unexpected EOF|connection reset|lost connection"
            ),
            UnreachableError,
        ),
        (
            r"You must be logged in to the server|asked for the client to provide credentials",
            UnauthorizedError,
        ),
        (
            (
                r"the server doesn't have a resource type|no matches for kind"
                r"|could not find the requested resource"
            ),
            UnknownKindError,
        ),
        (r"because it is being terminated", TerminatingError),
        (r'is forbidden: User "', ForbiddenError),
        (r"exceeded quota|violates PodSecurity|denied the request|is forbidden", RejectedError),
        (r"field is immutable", ImmutableError),
        (r"^Apply failed with \d+ conflict|the object has been modified", ConflictError),
        (
            (
                r" is invalid: |unknown field|ValidationError|failed to create typed patch object"
                r"|failed to convert new object|strict decoding error|field not declared in schema"
            ),
            InvalidError,
        ),
        (r"already exists$", AlreadyExistsError),
        (r"etcdserver: |the server is currently unable|Too many requests", OverloadedError),
        (r" not found$", NotFoundError),
    )
)

_REASONS: Final[dict[str, type[ClusterError]]] = {
    "AlreadyExists": AlreadyExistsError,
    "BadRequest": InvalidError,
    "Conflict": ConflictError,
    "Forbidden": ForbiddenError,
    "Invalid": InvalidError,
    "NotFound": NotFoundError,
    "ServerTimeout": OverloadedError,
    "ServiceUnavailable": OverloadedError,
    "Timeout": OverloadedError,
    "TooManyRequests": OverloadedError,
    "Unauthorized": UnauthorizedError,
}
"""Reasons of the API server's Status (metav1.StatusReason), where the text decides nothing."""

_TRANSIENT: Final = (WebhookUnavailableError, OverloadedError)
"""Kinds that another attempt may cure, unless the same answer has a refusal of another kind."""


def refusal(cluster: str, stderr: str, objects: Sequence[Manifest] = ()) -> ClusterError:
    """The error that kubectl's ``stderr`` amounts to, with one line for each refused object.

    ``objects`` are those that kubectl was given, which not every refusal names. The error is of a
    kind that another attempt may cure only if all refusals are.
    """
    reasons: dict[type[ClusterError], list[str]] = {}
    for reason in dict.fromkeys(_refusals(stderr)):
        kind, text = _kind(reason)
        reasons.setdefault(kind, []).append(about(objects, text))
    errors = [kind(cluster, *texts) for kind, texts in reasons.items()]
    if not errors:
        return ClusterError(cluster, "kubectl failed and printed no reason")
    first = min(errors, key=lambda error: isinstance(error, _TRANSIENT))
    rest = [error for error in errors if error is not first]
    return type(first)(cluster, *first.reasons, also=rest)


def about(objects: Sequence[Manifest], reason: str) -> str:
    """``reason`` with the names of ``objects``, unless it has the name of one itself."""
    names = [manifest["metadata"]["name"] for manifest in objects]
    if not names or any(f'"{name}"' in reason for name in names):
        return reason
    first = objects[0]
    where = "/".join(filter(None, (first["metadata"].get("namespace"), names[0])))
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{first['kind']} {where}{more}: {reason}"


def _refusals(stderr: str) -> Iterator[str]:
    """The refusals, each in one line, without kubectl's log and its advice.

    An object with several faults has them in a list below its own line.
    """
    parts: list[str] = []
    for printed in stderr.splitlines():
        line, *advice = _ADVICE.split(printed, maxsplit=1)
        if advice and not line:
            break
        if _LOG.match(line) or line.startswith("Warning: "):
            continue
        if line.startswith("* ") and parts:
            parts.append(line)
            continue
        if parts:
            yield _joined(parts)
        parts = [line] if line.strip() else []
    if parts:
        yield _joined(parts)


def _joined(parts: list[str]) -> str:
    """``The Deployment "a" is invalid: `` and its causes as a sentence."""
    head, *causes = (part.removeprefix("* ").strip() for part in parts)
    return f"{head} {', '.join(causes)}" if causes else head


def _kind(line: str) -> tuple[type[ClusterError], str]:
    """What kind of refusal a line is, and its text without what kubectl puts before it."""
    text = _PREAMBLE.sub("", line)
    for pattern, kind in _KINDS:
        if pattern.search(text):
            return kind, text
    reason = _REASON.match(line)
    return _REASONS.get(reason[1], ClusterError) if reason else ClusterError, text
