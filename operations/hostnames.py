"""Which addresses a hostname leads to, as the world sees it or as one server of DNS does."""

import socket
from collections.abc import Callable, Collection
from typing import TypeAlias

Resolve: TypeAlias = Callable[[str], Collection[str]]
"""The addresses of a name; raises LookupError with the reason where it has none."""


def resolver(server: str | None) -> Resolve:
    """Asks ``server``; without one, what this machine asks, /etc/hosts included."""
    return _system if server is None else lambda host: _queried(host, server)


def _system(host: str) -> Collection[str]:
    try:
        entries = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError as error:
        raise LookupError(error.strerror or str(error)) from None
    return {str(entry[4][0]) for entry in entries}


def _queried(host: str, server: str) -> Collection[str]:
    # Takes a quarter of a second to import, which most commands can do without.
    import dns.exception  # noqa: PLC0415
    import dns.resolver  # noqa: PLC0415

    client = dns.resolver.Resolver(configure=False)
    client.nameservers = [server]
    client.lifetime = 5
    addresses: set[str] = set()
    for kind in ("A", "AAAA"):
        try:
            addresses |= {str(record) for record in client.resolve(host, kind)}
        except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
            continue
        except (dns.exception.DNSException, OSError) as error:
            raise LookupError(f"{server}: {error}") from None
    if not addresses:
        raise LookupError(f"{server} does not know the name")
    return addresses
