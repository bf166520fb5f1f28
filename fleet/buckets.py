"""What the URL of a bucket tells, at S3 and at providers whose storage looks like it."""

import re
from typing import Final, NamedTuple
from urllib.parse import urlsplit


class _Endpoint(NamedTuple):
    """How a provider names the hosts that take the bucket in the path."""

    example: str
    pattern: str
    region: str
    """The region of a host that names none."""


_ENDPOINTS: Final = {
    # https://docs.aws.amazon.com/general/latest/gr/s3.html
    "amazonaws.com": _Endpoint(
        "s3.<region>.",
        r"s3(-fips)?(\.dualstack)?([.-](?P<region>[a-z]{2}(-[a-z]+)+-[0-9]))?\.",
        "us-east-1",
    ),
    "amazonaws.com.cn": _Endpoint(
        "s3.<region>.", r"s3(\.dualstack)?\.(?P<region>cn-[a-z]+-[0-9])\.", ""
    ),
    "storage.googleapis.com": _Endpoint("", "", "auto"),
    "r2.cloudflarestorage.com": _Endpoint("<account>.", r"[0-9a-f]{32}\.((eu|fedramp)\.)?", "auto"),
}


def check(url: str) -> None:
    """Raises ValueError where a known provider would look for the bucket elsewhere."""
    host = _host(url)
    for domain, endpoint in _of(host):
        if not re.fullmatch(endpoint.pattern, host.removesuffix(domain)):
            raise ValueError(
                f"{host} is no host of {domain} that takes the bucket in the path; write "
                f"https://{endpoint.example}{domain}/<bucket>"
            )


def region(url: str) -> str | None:
    """The region of a bucket, as far as its host names one.

    Most look-alikes of S3 have it as the first label, or as the second after ``s3``. A host with a
    port is somebody's own, and its name says nothing.
    """
    host = _host(url)
    for domain, endpoint in _of(host):
        found = re.fullmatch(endpoint.pattern, host.removesuffix(domain))
        return (found.groupdict().get("region") if found else None) or endpoint.region
    if urlsplit(url).port:
        return None
    first, second, *rest = host.split(".")
    if first != "s3":
        return first
    return second if len(rest) > 1 else None


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _of(host: str) -> list[tuple[str, _Endpoint]]:
    """The provider that a host belongs to, if it is a known one."""
    return [
        (domain, endpoint)
        for domain, endpoint in _ENDPOINTS.items()
        if host == domain or host.endswith(f".{domain}")
    ]
