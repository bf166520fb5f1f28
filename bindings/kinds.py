"""What a kind is: a callable that makes a cdk8s ApiObject of plain data.

``Deployment(chart, "id", metadata=…, spec=…)`` checks that the fields are plain data and sends them
to Node as one JSON text, so names and values are those of the API reference. Inside
``with batch():`` objects wait, and all of them cross in one call when it ends.

jsii is imported when the first object is made: a module that only names kinds starts no Node.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, SupportsIndex, TypedDict, cast

if TYPE_CHECKING:
    from cdk8s import ApiObject
    from constructs import Construct


class Strings(Protocol):
    """A list or a tuple of strings, but not a string, which passes for a Sequence[str].

    Only ``str`` narrows the argument of ``__contains__``.
    """

    def __contains__(self, value: object, /) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: SupportsIndex, /) -> str: ...


class ObjectMeta(TypedDict, total=False):
    name: str
    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    finalizers: Strings
    generateName: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of the API; its stub in imports/ names the fields that it takes."""

    api_version: str
    name: str

    def __call__(
        self,
        scope: "Construct",
        id: str,
        # An app's own object may have any field, these names included.
        /,
        *,
        metadata: ObjectMeta | None = None,
        **body: Any,
    ) -> "ApiObject":
        """Adds an object to ``scope``. Raises TypeError for a field that is not plain data."""
        head = {"apiVersion": self.api_version, "kind": self.name, "metadata": metadata or {}}
        try:
            text = json.dumps(head | body, default=_plain, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            name = (metadata or {}).get("name", id)
            raise TypeError(f"{self.name}/{name}: {error}") from None
        if _batch is not None:
            _batch.append(_Object(scope, id, text))
            return cast("ApiObject", _Waiting(f"{self.name} {id!r}"))
        from bindings.manifest import Manifest  # noqa: PLC0415 - starts Node

        return Manifest(scope, id, text)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(
        f"{value!r} is a {type(value).__name__}; fields take plain data only "
        "(dict, list, str, int, float, bool)"
    )


class _Object(NamedTuple):
    scope: "Construct"
    id: str
    text: str


_batch: list[_Object] | None = None
"""Objects that wait for their batch to end; None outside of ``batch``."""


@contextmanager
def batch() -> Iterator[None]:
    """Objects that are made inside become constructs when it ends, in one call into Node.

    Until then nothing can be done with them. When the block raises, none of them is made.
    """
    global _batch  # noqa: PLW0603 - jsii has one Node, and one thread uses it
    if _batch is not None:
        raise RuntimeError("batch() inside batch()")
    _batch = []
    try:
        yield
        objects = _batch
    finally:
        _batch = None
    if objects:
        _send(objects)


def _send(objects: Sequence[_Object]) -> None:
    from bindings.manifest import Manifest  # noqa: PLC0415 - starts Node

    scopes: list[Construct] = []
    rows: list[str] = []
    for scope, id, text in objects:
        if not scopes or scopes[-1] is not scope:
            scopes.append(scope)
        rows.append(f"[{len(scopes) - 1},{json.dumps(id)},{text}]")
    Manifest.create_all(scopes, f"[{','.join(rows)}]")


class _Waiting:
    """What a kind returns inside ``batch``, where there is no construct yet."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        raise RuntimeError(
            f"{self._name} becomes a construct when its batch() ends: "
            f"make it outside, if you need its {attribute}"
        )
