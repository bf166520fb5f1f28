"""What is seen of a hostname from outside: its addresses, its certificate, and what answers."""

import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from operations import hostnames, probes
from operations.probes import Outside, ProbeError


def test_names_are_resolved_by_this_machine() -> None:
    assert set(hostnames.resolver(None)("localhost")) <= {"127.0.0.1", "::1"}
    with pytest.raises(LookupError):
        hostnames.resolver(None)("no-such-name.invalid")


def test_a_dns_server_that_does_not_answer_is_reported() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        # It has no port of DNS; nothing listens there.
        with pytest.raises(LookupError, match=r"127\.0\.0\.2"):
            hostnames.resolver("127.0.0.2")("a.example")


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    """A server of TLS on this machine, as the host `app.test`, and who signed its certificate."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("app.test").configure_cert(context)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]

    def serve() -> None:
        while True:
            try:
                raw, _ = listener.accept()
            except OSError:
                return
            try:
                with context.wrap_socket(raw, server_side=True) as tls:
                    if tls.recv(1000):
                        tls.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a": 1}\n')
            except OSError:
                continue

    threading.Thread(target=serve, daemon=True).start()
    monkeypatch.setattr(probes, "PORT", port)
    yield Outside(lambda host: ["127.0.0.1"], tmp_path / "ca.pem")
    listener.close()


def test_a_certificate_is_seen_whether_or_not_it_is_trusted(served: Outside) -> None:
    found = served.certificate("app.test")
    assert found.distrust == ""
    assert found.life_left > 0.5
    assert "trustme" in found.issuer
    stranger = Outside(served.resolve, None).certificate("app.test")
    assert stranger.serial == found.serial
    assert "clients refuse its certificate" in stranger.distrust
    assert "clients refuse its certificate" in served.certificate("other.test").distrust


def test_the_answer_comes_with_the_serial_of_its_own_connection(served: Outside) -> None:
    assert served.get("app.test", "/") == (200, {"a": 1}, served.certificate("app.test").serial)


def test_a_host_that_does_not_answer_is_reported(
    served: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probes, "PORT", 1)
    with pytest.raises(ProbeError, match=r"app\.test gives no answer at 127\.0\.0\.1:1"):
        served.certificate("app.test")
