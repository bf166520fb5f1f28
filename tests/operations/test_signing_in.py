"""The trial of a token at a region's API server."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import trustme

from operations import signing_in
from operations.signing_in import AccountRefusedError, WrongAuthorityError


class ApiServer(BaseHTTPRequestHandler):
    """Knows one token."""

    def do_GET(self) -> None:
        known = self.headers["Authorization"] == "Bearer good" and self.path == "/api"
        self.send_response(200 if known else 401)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


AUTHORITY = trustme.CA()
PEM = AUTHORITY.cert_pem.bytes().decode()


@pytest.fixture
def url() -> Iterator[str]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    with HTTPServer(("127.0.0.1", 0), ApiServer) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"https://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_token_that_is_accepted_is_fine(url: str) -> None:
    signing_in.attempt("edge", url, {"token": "good", "ca.crt": PEM})


def test_a_token_that_is_refused_is_reported(url: str) -> None:
    with pytest.raises(AccountRefusedError) as caught:
        signing_in.attempt("edge", url, {"token": "bad", "ca.crt": PEM})
    assert str(caught.value).startswith(f"edge: {url} answers 401 to the account of Argo CD; ")


def test_an_authority_of_somebody_else_is_reported(url: str) -> None:
    other = trustme.CA().cert_pem.bytes().decode()
    with pytest.raises(WrongAuthorityError, match="not of the cluster's own authority") as caught:
        signing_in.attempt("edge", url, {"token": "good", "ca.crt": other})
    assert "--server REGION=URL" in str(caught.value)


def test_that_nobody_answers_is_no_reason_to_stop() -> None:
    """The hub may reach what this machine does not."""
    signing_in.attempt("edge", "https://127.0.0.1:1", {"token": "good", "ca.crt": PEM})
