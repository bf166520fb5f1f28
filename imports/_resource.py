"""What every kind is: a cdk8s ApiObject whose fields are plain data, made by one call into jsii.

The fields cross as one JSON text, so names and values are those of the API reference. Inside
``with bulk():`` creations wait and cross together. Whatever uses jsii next, a handle or other code,
sends them first, so the tree that anybody can see is the one that immediate creation gives.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, ClassVar, Protocol, SupportsIndex, TypedDict, TypeVar

import jsii
from constructs import Construct
from jsii._kernel.providers.process import ProcessProvider
from jsii._reference_map import register_reference

from imports.manifest import Manifest

T = TypeVar("T")


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


class _Deferrable(jsii.JSIIMeta):
    """Creates instances without reading their reference, which a waiting one has not got.

    JSIIMeta reads it to register the instance, which ``jsii.create`` and ``_Queue.flush`` do too.
    """

    def __call__(cls: type[T], *args: Any, **kwargs: Any) -> T:  # noqa: N805
        return type.__call__(cls, *args, **kwargs)  # type: ignore[no-any-return]


class Resource(Manifest, metaclass=_Deferrable):
    """One object. A kind names its apiVersion and kind, and its stub the fields it takes."""

    API_VERSION: ClassVar[str]
    KIND: ClassVar[str]

    def __init__(
        self, scope: Construct, id: str, *, metadata: ObjectMeta | None = None, **body: Any
    ) -> None:
        head = {"apiVersion": self.API_VERSION, "kind": self.KIND, "metadata": metadata or {}}
        try:
            text = json.dumps(head | body, default=_plain, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError) as error:
            name = (metadata or {}).get("name", id)
            raise TypeError(f"{self.KIND}/{name}: {error}") from None
        # What a subclass of a kind overrides in Python is registered by jsii.create alone.
        if _queue.open and "KIND" in vars(type(self)):
            _queue.add(self, scope, id, text)
        else:
            super().__init__(scope, id, text)

    def __getattr__(self, name: str) -> Any:
        """Called for what the instance has not got: the jsii reference, while it waits."""
        if name == "__jsii_ref__":
            _queue.flush()
            if name in vars(self):
                return vars(self)[name]
            raise RuntimeError(f"this {self.KIND} is not in the tree: creating it in bulk failed")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence):
        return list(value)
    raise TypeError(
        f"{value!r} is a {type(value).__name__}; fields take plain data only "
        "(dict, list, str, int, float, bool)"
    )


class _Queue:
    """Objects that wait to be created, in order."""

    def __init__(self) -> None:
        self.open = False
        self.waiting: list[tuple[Resource, Construct, str, str]] = []

    def add(self, handle: Resource, scope: Construct, id: str, text: str) -> None:
        if "__jsii_ref__" not in vars(scope):
            self.flush()
        self.waiting.append((handle, scope, id, text))

    def flush(self) -> None:
        # Emptied first: sending comes back here, and what failed is not sent again.
        waiting, self.waiting = self.waiting, []
        if not waiting:
            return
        scopes: list[Construct] = []
        rows: list[str] = []
        for _, scope, id, text in waiting:
            if not scopes or scopes[-1] is not scope:
                scopes.append(scope)
            rows.append(f"[{len(scopes) - 1},{json.dumps(id)},{text}]")
        created = Manifest.create_all(scopes, f"[{','.join(rows)}]")
        for (handle, *_), made in zip(waiting, created, strict=True):
            handle.__jsii_ref__ = made.__jsii_ref__
            register_reference(handle)


class _FlushFirst:
    """A jsii provider that sends what waits before it passes a request on."""

    def __init__(self, provider: object, flush: Callable[[], None]) -> None:
        self._provider = provider
        self._flush = flush

    def __getattr__(self, name: str) -> Any:
        self._flush()
        return getattr(self._provider, name)


_queue = _Queue()


@contextmanager
def bulk() -> Iterator[None]:
    """Creations of kinds wait until jsii is used for something else, or the context ends."""
    if _queue.open:
        yield
        return
    provider = jsii.kernel.provider
    jsii.kernel.provider = _FlushFirst(provider, _queue.flush)  # type: ignore[assignment]
    _queue.open = True
    try:
        yield
        _queue.flush()
    except Exception as error:
        try:
            _queue.flush()
        except Exception as other:  # noqa: BLE001  (the first error is the one to show)
            error.add_note(f"objects that waited in bulk() could not be created either: {other}")
        raise
    finally:
        _queue.open, _queue.waiting = False, []
        jsii.kernel.provider = provider


def end_node() -> None:
    """Waits for Node to finish what it was asked to do, and ends it; jsii cannot be used again.

    A Node that has ended already, as ^C in a terminal ends it, is left as it is.
    """
    provider = jsii.kernel.provider
    if isinstance(provider, ProcessProvider):
        with suppress(BrokenPipeError):
            provider._process.stop()  # noqa: SLF001  (jsii has no public way)
