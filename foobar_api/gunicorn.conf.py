"""``gunicorn -c foobar_api/gunicorn.conf.py`` serves with the settings of the environment alone.

``python -m foobar_api`` takes flags as well.
"""

import os
import sys

from foobar_api import server
from foobar_api.settings import InvalidSettings, load
from foobar_api.tls import CertificateError

wsgi_app = "foobar_api.application:from_environment()"

try:
    _settings = load([], os.environ)
    server.certificates(_settings)
    globals().update(server.configuration(_settings))
except (InvalidSettings, CertificateError) as error:
    print(*(f"foobar_api: {line}" for line in str(error).splitlines()), sep="\n", file=sys.stderr)
    sys.exit(2)
