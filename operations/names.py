"""Which addresses a hostname leads to, as the world sees it or as one server of DNS does."""

import socket
from collections.abc import Callable, Collection
from typing import TypeAlias

import dns.exception
import dns.resolver

Resolve: TypeAlias = Callable[[str], Collection[str]]
"""The addresses of a name; raises LookupError with the reason where it has none."""


def resolver(server: str | None) -> Resolve:
    """Asks ``server``, or without one what this machine asks, /etc/hosts included."""
    return _system if server is None else lambda host: _asked(host, server)


def _system(host: str) -> Collection[str]:
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise LookupError(error.strerror or str(error)) from None
    return {str(each[4][0]) for each in found}


def _asked(host: str, server: str) -> Collection[str]:
    asking = dns.resolver.Resolver(configure=False)
    asking.nameservers = [server]
    asking.lifetime = 5
    found: set[str] = set()
    for kind in ("A", "AAAA"):
        try:
            found |= {str(each) for each in asking.resolve(host, kind)}
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
            continue
        except (dns.exception.DNSException, OSError) as error:
            raise LookupError(f"{server}: {error}") from None
    if not found:
        raise LookupError(f"{server} knows no such name")
    return found
