"""What users get from a hostname: the certificate that is served, and the app's answers."""

import http.client
import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.x509.oid import NameOID

from operations.hostnames import Resolve

TIMEOUT_SECONDS: Final = 10
PORT: Final = 443


class ProbeError(Exception):
    """Why a hostname does not serve what it should, in a sentence."""


@dataclass(frozen=True)
class Served:
    """The certificate that a hostname answers with."""

    host: str
    certificate: x509.Certificate
    distrust: str
    """Why a client would refuse it, or nothing."""

    @property
    def issuer(self) -> str:
        """Who issued it: the organization, or the name of one that does not say its own."""
        names = self.certificate.issuer
        for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
            if attributes := names.get_attributes_for_oid(kind):
                return str(attributes[0].value)
        return names.rfc4514_string() or "nobody"

    @property
    def serial(self) -> str:
        return format(self.certificate.serial_number, "x")

    @property
    def seconds_left(self) -> float:
        return (self.certificate.not_valid_after_utc - datetime.now(UTC)).total_seconds()

    @property
    def life_left(self) -> float:
        """The share of its life that is left, from 1 to 0 and below."""
        whole = self.certificate.not_valid_after_utc - self.certificate.not_valid_before_utc
        return self.seconds_left / whole.total_seconds()


@dataclass(frozen=True)
class Outside:
    """The way in from the internet."""

    resolve: Resolve
    authority: Path | None
    """Trusted besides what this machine trusts."""

    def certificate(self, host: str) -> Served:
        """Raises ProbeError where nothing answers by TLS."""
        with self._connected(host, self._unverified()) as tls:
            der = tls.getpeercert(binary_form=True)
        if not der:
            raise ProbeError(f"{host} serves no certificate")
        return Served(host, x509.load_der_x509_certificate(der), self._distrust(host))

    def get(self, host: str, path: str) -> tuple[int, Any, str]:
        """Status, body as JSON and the serial of the certificate, all of one connection."""
        with self._connected(host, self._unverified()) as tls:
            der = tls.getpeercert(binary_form=True) or b""
            connection = http.client.HTTPConnection(host, timeout=TIMEOUT_SECONDS)
            connection.sock = tls
            connection.request("GET", path, headers={"Host": host})
            response = connection.getresponse()
            body = response.read()
        serial = format(x509.load_der_x509_certificate(der).serial_number, "x")
        try:
            return response.status, json.loads(body), serial
        except ValueError:
            return response.status, None, serial

    def _distrust(self, host: str) -> str:
        context = ssl.create_default_context()
        if self.authority:
            context.load_verify_locations(self.authority)
        try:
            with self._connected(host, context):
                return ""
        except ProbeError as error:
            return str(error)

    @staticmethod
    def _unverified() -> ssl.SSLContext:
        # Reads any certificate, valid or not; ``_distrust`` checks whether clients accept it.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    @contextmanager
    def _connected(self, host: str, context: ssl.SSLContext) -> Iterator[ssl.SSLSocket]:
        try:
            address = min(self.resolve(host))
        except LookupError as error:
            raise ProbeError(f"{host} does not resolve: {error}") from None
        try:
            with (
                socket.create_connection((address, PORT), timeout=TIMEOUT_SECONDS) as raw,
                context.wrap_socket(raw, server_hostname=host) as tls,
            ):
                yield tls
        except ssl.SSLCertVerificationError as error:
            raise ProbeError(f"clients refuse its certificate: {error.verify_message}") from None
        except (OSError, http.client.HTTPException) as error:
            raise ProbeError(f"{host} gives no answer at {address}:{PORT}: {error}") from None
