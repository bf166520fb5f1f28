"""``python -m foobar_api`` serves; with ``healthcheck`` it asks whether a server here is alive."""

import http.client
import os
import ssl
import sys
from collections.abc import Sequence

try:
    from gunicorn.app.base import BaseApplication

    from foobar_api.application import Application
    from foobar_api.server import certificates, configuration
    from foobar_api.settings import InvalidSettings, Settings, load
    from foobar_api.tls import CertificateError, load_chain
except ImportError as missing:
    if (missing.name or "").startswith("foobar_api"):
        raise
    print(
        f"foobar_api: {missing}; install what is pinned: "
        f"{sys.executable} -m pip install -r foobar_api/requirements.txt",
        file=sys.stderr,
    )
    sys.exit(2)


class _Server(BaseApplication):
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        super().__init__()

    def load_config(self) -> None:
        for name, value in configuration(self.settings).items():
            self.cfg.set(name, value)

    def load(self) -> Application:
        return Application(self.settings)


def main(arguments: Sequence[str]) -> int:
    command, *rest = arguments or [""]
    try:
        if command == "healthcheck":
            return healthcheck(load(rest, os.environ))
        settings = load(arguments, os.environ)
        certificates(settings)
    except InvalidSettings as error:
        return _complain(*error.problems)
    except CertificateError as error:
        return _complain(str(error))
    _Server(settings).run()
    return 0


def healthcheck(settings: Settings) -> int:
    """0 when the server on this machine, with the same settings, answers ``/livez``."""
    host = settings.host or "localhost"
    connection: http.client.HTTPConnection
    if settings.tls:
        # Of a server on this machine the name is not to be proved, only that it answers.
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if settings.cacert and settings.cert and settings.key:
            load_chain(context, settings.cert, settings.key)
        connection = http.client.HTTPSConnection(host, settings.port, timeout=5, context=context)
    else:
        connection = http.client.HTTPConnection(host, settings.port, timeout=5)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return _complain(f"{host}:{settings.port}: {error}", status=1)
    finally:
        connection.close()
    return (
        0 if status == http.client.OK else _complain(f"{host}:{settings.port}: {status}", status=1)
    )


def _complain(*lines: str, status: int = 2) -> int:
    for line in lines:
        print(f"foobar_api: {line}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
