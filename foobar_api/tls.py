"""The certificate that is served: one context, renewed when the mounted files change.

A new pair takes the old one's place only once OpenSSL has read it and found that key and
certificate belong together, so that an old key never meets a new certificate; a pair that is
broken leaves the old one in service.

A context encrypts session tickets with keys that it draws when it is made and that Python cannot
set. Workers therefore share the context that the arbiter has made before it forked, and a renewal
puts the new pair into it.
"""

import contextlib
import logging
import os
import ssl
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

log = logging.getLogger(__name__)

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2; forward secret and authenticated, all that browsers of the last ten years need."""

PROTOCOLS: Final = ("h2", "http/1.1")
"""What ALPN can choose, the preferred one first."""

MAX_FILE: Final = 2**20
"""Bytes of a file of certificates, or of a key; chains have a few thousand."""


class CertificateError(Exception):
    """Why a certificate cannot be served, in a sentence."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """The first certificate of a chain. Names as RFC 4514 writes them, times in UTC."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    serial: str
    not_before: datetime
    not_after: datetime

    @classmethod
    def of(cls, found: x509.Certificate) -> "Certificate":
        """Raises ValueError."""
        try:
            alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            names: tuple[str, ...] = ()
        else:
            names = tuple(str(each.value) for each in alternatives.value)
        return cls(
            subject=found.subject.rfc4514_string(),
            issuer=found.issuer.rfc4514_string(),
            names=names,
            serial=format(found.serial_number, "x"),
            not_before=found.not_valid_before_utc,
            not_after=found.not_valid_after_utc,
        )


def _no_password() -> str:
    # Without this OpenSSL would ask for it at the terminal.
    raise ValueError("the key is encrypted; give one that is not")


def _at_once(path: str, flags: int) -> int:
    # Without O_NONBLOCK, opening a FIFO waits for its writer.
    return os.open(path, flags | os.O_NONBLOCK)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """``path``, if it can be read without a wait. Raises CertificateError."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise CertificateError(f"{path}: is not a regular file")
            if status.st_size > MAX_FILE:
                raise CertificateError(f"{path}: has more than {MAX_FILE} bytes")
            yield file
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror}") from None


def _name(file: BinaryIO) -> str:
    """For OpenSSL, which takes names only: what was checked is what it opens."""
    return f"/dev/fd/{file.fileno()}"


def load_chain(context: ssl.SSLContext, cert: Path, key: Path) -> tuple[Certificate, str]:
    """Have ``context`` present ``cert``; what that is, and the identifier of its key's algorithm.

    Raises CertificateError.
    """
    with _opened(cert) as cert_file, _opened(key) as key_file:
        try:
            context.load_cert_chain(_name(cert_file), _name(key_file), password=_no_password)
            found = x509.load_pem_x509_certificate(cert_file.read())
            return Certificate.of(found), found.public_key_algorithm_oid.dotted_string
        except (ssl.SSLError, ValueError) as error:
            cert_file.seek(0)
            key_file.seek(0)
            fault = _fault(cert, cert_file.read(), key, key_file.read())
            raise CertificateError(fault or f"{cert} with {key}: {_reason(error)}") from None


def _fault(cert: Path, cert_pem: bytes, key: Path, key_pem: bytes) -> str | None:
    """Which of two files is at fault and why, since OpenSSL names neither."""
    try:
        found = x509.load_pem_x509_certificate(cert_pem).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return f"{cert}: holds no certificate in PEM"
    try:
        private = load_pem_private_key(key_pem, password=None)
    except TypeError:
        return f"{key}: the key is encrypted; give one that is not"
    except (ValueError, UnsupportedAlgorithm):
        return f"{key}: holds no private key in PEM"
    return None if private.public_key() == found else f"{key}: is not the key of {cert}"


def _reason(error: Exception) -> str:
    """OpenSSL's, without the line of its source; or that of a certificate with a bad extension."""
    if isinstance(error, ssl.SSLError):
        return (error.reason or "OpenSSL cannot read them").replace("_", " ").lower()
    return str(error)


@dataclass(frozen=True, slots=True)
class _Served:
    context: ssl.SSLContext
    certificate: Certificate
    key_algorithm: str
    authorities: bytes
    """PEM; those that may have signed a client's certificate."""

    def take(self, new: "_Served", cert: Path, key: Path) -> "_Served":
        """``new``, whose pair is in these files, in the context of this one if that is possible.

        It is not if the key has another algorithm, since a context keeps a pair for each, nor if
        the authorities have changed, since a context forgets none.
        """
        if (self.key_algorithm, self.authorities) == (new.key_algorithm, new.authorities):
            # If the files have changed once more, the context of the new one holds a good pair.
            with contextlib.suppress(CertificateError):
                loaded = load_chain(self.context, cert, key)
                if loaded == (new.certificate, new.key_algorithm):
                    return replace(new, context=self.context)
        return new


def _build(cert: Path, key: Path, cacert: Path | None) -> _Served:
    # Not ssl.create_default_context: that one writes session keys to SSLKEYLOGFILE.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(list(PROTOCOLS))
    # Of two, most clients throw one away, and each costs a handshake some of its time.
    context.num_tickets = 1
    certificate, key_algorithm = load_chain(context, cert, key)
    authorities = b""
    if cacert:
        with _opened(cacert) as file:
            try:
                context.load_verify_locations(_name(file))
            except ssl.SSLError:
                raise CertificateError(f"{cacert}: holds no certificate of an authority") from None
            authorities = file.read()
        context.verify_mode = ssl.CERT_REQUIRED
    return _Served(context, certificate, key_algorithm, authorities)


class OnReload(Protocol):
    def __call__(self, certificate: Certificate, *, good: bool) -> None:
        """Told what is served from now on, and whether that is what the files hold."""


class Certificates:
    """What is served now, and what follows when the files change."""

    def __init__(
        self,
        cert: Path,
        key: Path,
        cacert: Path | None = None,
        *,
        on_reload: "OnReload | None" = None,
    ) -> None:
        """``on_reload`` hears of each attempt to replace it.

        Raises CertificateError.
        """
        self._files = (cert, key, cacert)
        self.on_reload = on_reload
        self.newest = True
        """Whether the files hold what is served."""
        self._seen = self._look()
        self._served = _build(cert, key, cacert)

    @property
    def context(self) -> ssl.SSLContext:
        return self._served.context

    @property
    def certificate(self) -> Certificate:
        return self._served.certificate

    def refresh(self) -> None:
        """Serve what the files hold now, if they changed and are good."""
        while (seen := self._look()) != self._seen:
            self._seen = seen
            try:
                new = _build(*self._files)
            except CertificateError as error:
                if self._look() != seen:
                    continue  # they changed while they were read
                log.error("certificate not replaced: %s", error)  # noqa: TRY400 - it says all
                self._tell(good=False)
            else:
                cert, key, _ = self._files
                self._served = self._served.take(new, cert, key)
                log.info("certificate replaced: %s, until %s", new.certificate.subject,
                         new.certificate.not_after.isoformat())  # fmt: skip
                self._tell(good=True)

    def _tell(self, *, good: bool) -> None:
        self.newest = good
        if self.on_reload:
            self.on_reload(self.certificate, good=good)

    def _look(self) -> tuple[object, ...]:
        """What tells one state of the files from another; kubelet swaps all of them at once."""
        return tuple(_identity(path) for path in self._files if path)


def _identity(path: Path) -> object:
    try:
        found = path.stat()
    except OSError as error:
        return error.errno
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
