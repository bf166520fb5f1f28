"""What is known of a connection, apart from the requests on it."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography import x509

from foobar_api.tls import Certificate


@dataclass(kw_only=True, eq=False)
class Session:
    """A connection once it is ready for requests. Addresses are (host, port)."""

    client: tuple[str, int]
    """Who the requests come from: as a trusted proxy says, or else the peer."""
    peer: tuple[str, int]
    """Who the socket is connected to."""
    tls: "Tls | None" = None

    @property
    def proxied(self) -> bool:
        return self.client != self.peer

    @cached_property
    def log_fields(self) -> dict[str, object]:
        fields: dict[str, object] = {}
        if self.proxied:
            fields["proxy"] = self.peer[0]
        if self.tls:
            fields |= {
                "tls": self.tls.version,
                "cipher": self.tls.cipher,
                "sni": self.tls.server_name,
            }
        return fields


def session_of(environ: Mapping[str, Any]) -> Session | None:
    """Of the connection that a request came by; None where another worker than ours serves."""
    found = getattr(environ.get("gunicorn.socket"), "session", None)
    # A socket of ssl has something else by that name.
    return found if isinstance(found, Session) else None


@dataclass(kw_only=True, eq=False, slots=True)
class Tls:
    """A TLS session as its handshake left it."""

    version: str
    cipher: str
    protocol: str
    """By ALPN; ``http/1.1`` of a client that offers none."""
    server_name: str | None
    """By SNI."""
    client_subject: str | None
    """Of the certificate that the client was asked for, when it was."""
    certificate: Certificate
    """The one that was served."""

    @classmethod
    def of(cls, tls: ssl.SSLObject, certificate: Certificate, server_name: str | None) -> "Tls":
        name, _, _ = tls.cipher() or ("", "", 0)
        return cls(
            version=tls.version() or "",
            cipher=name,
            protocol=tls.selected_alpn_protocol() or "http/1.1",
            server_name=server_name,
            client_subject=_subject(tls),
            certificate=certificate,
        )


def _subject(tls: ssl.SSLObject) -> str | None:
    if tls.context.verify_mode is ssl.CERT_NONE:
        return None
    found = tls.getpeercert(binary_form=True)
    if not found:
        return None
    try:
        return x509.load_der_x509_certificate(found).subject.rfc4514_string()
    except ValueError:
        return "unreadable"  # OpenSSL is less strict, and it has checked the signature
