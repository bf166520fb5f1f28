"""foobar-api: prints where it runs and the request it got, over TLS that it terminates itself.

It knows nothing of the platform around it. Reads in this order: ``settings`` says what can be set,
``__main__`` starts gunicorn with ``worker``, which reads requests off ``connection`` and hands them
to ``application``.
"""

from typing import Final

VERSION: Final = "1.0.0"
"""The version that ``/version`` says and the image is tagged with."""
