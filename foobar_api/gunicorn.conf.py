"""``gunicorn -c foobar_api/gunicorn.conf.py`` serves with the settings of the environment alone.

``python -m foobar_api`` takes flags as well, and checks the certificate before anything starts.
"""

import os
import sys

from foobar_api import server
from foobar_api.settings import InvalidSettings, load

wsgi_app = "foobar_api.application:from_environment()"

try:
    globals().update(server.configuration(load([], os.environ)))
except InvalidSettings as error:
    print("\n".join(error.problems), file=sys.stderr)
    sys.exit(2)
