"""foobar-api: prints where it runs and the request it got, over TLS that it terminates itself.

It knows nothing of the platform around it. Reads in this order: ``settings`` says what can be set,
``__main__`` starts gunicorn with ``worker``, which reads requests off ``connection`` by ``http1``
or ``http2``, and hands them to ``application`` by ``gateway``.
"""

import sys

VERSION = "1.0.0"
"""The version that ``/version`` says and the image is tagged with."""

OLDEST_PYTHON = (3, 11)
"""As pyproject.toml has it, which the image does not have. This module runs on any Python 3."""

if sys.version_info < OLDEST_PYTHON:
    print(
        f"foobar_api: needs Python {'.'.join(map(str, OLDEST_PYTHON))} or newer, and "
        f"{sys.executable} is Python {'.'.join(map(str, sys.version_info[:3]))}",
        file=sys.stderr,
    )
    sys.exit(2)
