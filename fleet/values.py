"""The kinds of value that the registry has: what is accepted, and what is said of the rest.

Each has two forms: a function for ``fleet.registry``, which names the fault and the remedy, and a
pattern for editors, which says no more than that there is one. Patterns are in the syntax that
Python and JavaScript share.
"""

import base64
import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Final, TypeAlias, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticKnownError

from fleet import buckets
from fleet.diagnostics import shown

V = TypeVar("V")


class FrozenDict(dict[str, V]):
    """A dictionary of facts. Nothing changes it, so it has a hash."""

    def __hash__(self) -> int:  # type: ignore[override]
        return hash(tuple(self.items()))


class Facts(BaseModel):
    """A mapping of clusters.yaml or of an app's file; equal ones have the same hash."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


LONGEST_LABEL: Final = 63
LONGEST_NAME: Final = 253
_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"

# The grammar of github.com/distribution/reference, by which a kubelet reads an image. The first
# part of a path is a registry when it looks like a host; what looks like none is on docker.io.
_PART: Final = r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*"
_PORT: Final = "(:[1-9][0-9]{0,4})?"
_HOST: Final = r"[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*"
_REGISTRY: Final = rf"(?=[^/]*[.:]|localhost/){_HOST}{_PORT}"
_REPOSITORY: Final = f"{_PART}(/{_PART})*"
_TAG: Final = "[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST: Final = "@(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})"
_IMAGE: Final = re.compile(
    f"((?P<registry>{_REGISTRY})/)?{_REPOSITORY}(:(?P<tag>{_TAG}))?(?P<digest>{_DIGEST})?"
)
_WHOLE_IMAGE: Final = f"{_REGISTRY}/{_REPOSITORY}(:(?!latest(@|$)){_TAG}({_DIGEST})?|{_DIGEST})"

# No query, no fragment and no password, where credentials are; and no {{, which is a template to
# Argo CD.
_GIT_PATH: Final = "[A-Za-z0-9_.~%+:@,=()!/-]+"
_GIT_USER: Final = "[A-Za-z0-9_.-]+"
_GIT: Final = (
    f"(https://{_HOST}{_PORT}/{_GIT_PATH}|ssh://({_GIT_USER}@)?{_HOST}{_PORT}/{_GIT_PATH}"
    f"|{_GIT_USER}@{_HOST}:{_GIT_PATH})"
)
# The types that OpenSSH's servers have by default.
_HOST_KEY: Final = "(ssh-ed25519|ssh-rsa|ecdsa-sha2-nistp(256|384|521)) [A-Za-z0-9+/]+={0,2}"
# What `git check-ref-format` allows in a name, less what git takes for an option, and {{.
_REVISION: Final = (
    r"(?![-/.])(?!@$)(?!.*(\.\.|//|/\.|@\{|\{\{|\.lock(/|$)|[./]$))"
    r"[^\s~^:?*\[\\\x00-\x1f\x7f]+"
)
_DAYS: Final = "[1-9][0-9]{0,3}d"
_SIZE: Final = "[1-9][0-9]{0,4}(Gi|Ti)"
# A bucket's name is that of S3, without dots.
_BUCKET: Final = rf"https://{_LABEL}(\.{_LABEL})+{_PORT}/[a-z0-9][a-z0-9-]{{1,61}}[a-z0-9]"
# One that begins with a hyphen would be an option of kubectl.
_CONTEXT: Final = r"(?!-)\S+"
# What Let's Encrypt refuses: ValidEmail and ValidDomain in policy/pa.go of
# github.com/letsencrypt/boulder. It knows every top-level domain; people use these, which are none.
_MOST_LABELS: Final = 10
_NO_TOP_LEVEL: Final = "(local|internal|localhost|invalid|example|onion)"
_ATOM: Final = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_MAILBOX: Final = rf"{_ATOM}(\.{_ATOM})*"
_NO_MAIL: Final = rf"(.*[.@])?(example\.(com|net|org)|test|{_NO_TOP_LEVEL})"

# No load balancer is in these, by IANA's registry of special-purpose IPv4 addresses; and it is in
# one of those, by its registry of the IPv6 address space, where all else is no unicast or no use.
_NO_IPV4: Final = {
    IPv4Network("0.0.0.0/8"): "stands for this network",
    IPv4Network("127.0.0.0/8"): "is a loopback address",
    IPv4Network("169.254.0.0/16"): "is a link-local address",
    IPv4Network("224.0.0.0/4"): "is a multicast address",
    IPv4Network("240.0.0.0/4"): "is reserved",
}
_IPV6: Final = (IPv6Network("2000::/3"), IPv6Network("fc00::/7"))
NODES_ONLY: Final[Mapping[IPv4Network | IPv6Network, str]] = {
    IPv4Network("169.254.0.0/16"): "where clouds give out the credentials of their nodes",
    IPv6Network("fd00:ec2::254/128"): "where AWS gives out the credentials of its nodes",
    IPv6Network("fe80::/10"): "which is link-local",
}
"""Networks that nodes alone may reach, with what is there.

AWS answers by IPv6 outside the link-local addresses: see "Access instance metadata" in its EC2 user
guide.
"""
# Where nothing is that an app may ask.
_NO_DESTINATION: Final[Mapping[IPv4Network | IPv6Network, str]] = {
    **NODES_ONLY,
    IPv4Network("127.0.0.0/8"): "the pod itself",
    IPv4Network("224.0.0.0/3"): "which is multicast or reserved",
    IPv6Network("::1/128"): "the pod itself",
    IPv6Network("ff00::/8"): "which is multicast",
}
# The prefixes of the largest private networks, 10.0.0.0/8 and fc00::/7, by IP version.
_SHORTEST_PREFIX: Final = {4: 8, 6: 7}


def dns_label(text: str) -> str:
    """``text``; raises ValueError, with the remedy, unless it is a label of RFC 1123."""
    if not text:
        raise ValueError("is empty; give a DNS label")
    if len(text) > LONGEST_LABEL:
        raise ValueError(
            f"{shown(text)} has {len(text)} characters; a DNS label has {LONGEST_LABEL} at most"
        )
    if not re.fullmatch(_LABEL, text):
        raise ValueError(
            f"{shown(text)} is no DNS label; use lower-case letters, digits and inner hyphens"
        )
    return text


def not_empty(items: tuple[object, ...]) -> tuple[object, ...]:
    """``items``; raises ValueError if there is none.

    Pydantic's min_length counts the items that are right, and so reports a fault twice.
    """
    if not items:
        raise ValueError("is empty; give an item, or remove the key")
    return items


def once(items: tuple[object, ...]) -> tuple[object, ...]:
    """``items``; raises ValueError if two are equal."""
    for at, item in enumerate(items):
        if item in items[:at]:
            raise ValueError(f"{item} is listed twice; keep one of the two")
    return items


def _cluster_name(text: str) -> str:
    # Argo CD's name for the cluster that it runs in, and for the project that it always has.
    if text in ("in-cluster", "default"):
        raise ValueError(f"{text} has a meaning of its own in Argo CD; choose another name")
    return dns_label(text)


def _name(text: str) -> str:
    if text.endswith("."):
        raise ValueError(f"{shown(text)} ends with a dot; leave the dot out")
    if len(text) > LONGEST_NAME:
        raise ValueError(
            f"{shown(text)} has {len(text)} characters; a DNS name has {LONGEST_NAME} at most"
        )
    labels = text.split(".")
    if len(labels) > 1 and "" in labels:
        raise ValueError(f"{shown(text)} has an empty label; leave the dot out")
    for label in labels:
        try:
            dns_label(label)
        except ValueError as error:
            raise ValueError(f"in {shown(text)}, {error}" if label != text else error) from None
    return text


def _secret_name(text: str) -> str:
    """The name of a Secret; what is none is not shown, for people paste what is in the Secret."""
    try:
        return _name(text)
    except ValueError:
        raise ValueError(
            "is no name of a Secret, which has lower-case letters, digits, hyphens and dots; write "
            "the name, and never what is in it"
        ) from None


def _domain(text: str) -> str:
    top = text.rpartition(".")[2]
    # No top-level domain is a number (RFC 3696, section 2).
    if top.isdecimal():
        raise ValueError(f"{shown(text)} is no domain; remove the key for names under nip.io")
    labels = _name(text).split(".")
    if len(labels) == 1:
        raise ValueError(
            f"{shown(text)} is only one label; write a domain of your own, such as example.org"
        )
    if labels[-2:] == ["nip", "io"]:
        raise ValueError(f"{shown(text)} belongs to nip.io; remove the key for names under nip.io")
    if len(labels) >= _MOST_LABELS:
        raise ValueError(
            f"{shown(text)} has {len(labels)} labels; Let's Encrypt takes {_MOST_LABELS - 1} "
            "and a hostname in front"
        )
    for label in labels:
        _host_label(label)
    if re.fullmatch(_NO_TOP_LEVEL, top):
        raise ValueError(
            f"{shown(text)} is under .{top}, where Let's Encrypt issues nothing; choose a domain "
            "of your own"
        )
    return text


def _host_label(text: str) -> str:
    """A label that Let's Encrypt takes: its third and fourth characters are special."""
    if dns_label(text)[2:4] == "--":
        try:
            known = text.startswith("xn--") and text.encode().decode("idna") != text
        except UnicodeError:
            known = False
        if not known:
            raise ValueError(
                f"{shown(text)} has two hyphens where Let's Encrypt reads punycode; write only one"
            )
    return text


def _address(value: object) -> object:
    text = _text(value)
    remedy = "give the load balancer's"
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError(
            f"{shown(text)} is neither an IPv4 nor an IPv6 address; {remedy}"
        ) from None
    if isinstance(address, IPv4Address):
        for network, what in _NO_IPV4.items():
            if address in network:
                raise ValueError(f"{address} {what}; {remedy}")
    elif address.ipv4_mapped:
        raise ValueError(f"{text} is an IPv4 address as IPv6; write {address.ipv4_mapped}")
    elif address.scope_id or not any(address in network for network in _IPV6):
        raise ValueError(f"{shown(text)} is no address that is routed; {remedy}")
    return address


def _network(value: object) -> object:
    return _narrow(
        value,
        "is more than nodes and pods have, and a PROXY header from all of it would be believed; "
        "give their own network",
    )


def _destination(value: object) -> object:
    network = _narrow(value, "is more than an app connects to; name the networks of what it needs")
    for refused, what in _NO_DESTINATION.items():
        # Networks of different versions never overlap.
        if network.overlaps(refused):
            raise ValueError(f"{network} reaches {refused}, {what}; name networks without it")
    return network


def _narrow(value: object, complaint: str) -> IPv4Network | IPv6Network:
    network = _cidr(value)
    if network.prefixlen < _SHORTEST_PREFIX[network.version]:
        raise ValueError(f"{network} {complaint}")
    return network


def _cidr(value: object) -> IPv4Network | IPv6Network:
    text = _text(value)
    if not re.fullmatch("[0-9a-fA-F.:]+/[0-9]{1,3}", text):
        raise ValueError(f"{shown(text)} is no network in CIDR notation, such as 10.0.0.0/8")
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(
            f"{shown(text)} is neither an IPv4 nor an IPv6 network, such as 10.0.0.0/8"
        ) from None
    if ip_address(text.partition("/")[0]) != network.network_address:
        raise ValueError(f"{text} has bits set beyond its prefix; write {network}")
    return network


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise PydanticKnownError("string_type")
    return value


def _image(text: str) -> str:
    found = _IMAGE.fullmatch(text)
    if not found:
        raise ValueError(
            f"{shown(text)} is no image; write one such as registry.example/team/app:1.0.0"
        )
    faults = {}
    if not found["registry"]:
        faults["names no registry"] = "put its host in front"
    if found["tag"] == "latest":
        faults["has tag latest, which is another image tomorrow"] = "name a version"
    if not found["tag"] and not found["digest"]:
        faults["has neither tag nor digest"] = "name a version"
    if faults:
        raise ValueError(f"{shown(text)} {' and '.join(faults)}; {' and '.join(faults.values())}")
    return text


def _git(text: str) -> str:
    if not re.fullmatch(_GIT, text):
        raise ValueError(
            f"{shown(text)} is no URL of a repository; write https://…, ssh://… or git@host:path"
        )
    _check_port(text)
    return text


def _check_port(url: str) -> None:
    try:
        _ = urlsplit(url).port
    except ValueError:
        raise ValueError(f"{shown(url)} has a port above 65535; write the one it has") from None


def _host_key(text: str) -> str:
    """A public key of SSH, whose text is its type and, in base64, its type once more."""
    kind, _, encoded = text.partition(" ")
    try:
        blob = base64.b64decode(encoded, validate=True)
    except ValueError:
        blob = b""
    if not re.fullmatch(_HOST_KEY, text) or blob[4 : 4 + len(kind)] != kind.encode():
        raise ValueError(
            f"{shown(text)} is no host key; write its type and its base64, as ssh-keyscan prints "
            "them after the host"
        )
    return text


def _revision(text: str) -> str:
    if not re.fullmatch(_REVISION, text):
        raise ValueError(f"{shown(text)} is no revision; write a branch, a tag or a commit")
    return text


def _email(text: str) -> str:
    mailbox, _, domain = text.rpartition("@")
    domain = domain.lower()
    try:
        labels = _name(domain).split(".")
        for label in labels:
            _host_label(label)
    except ValueError:
        labels = []
    one_label_or_many = not 1 < len(labels) <= _MOST_LABELS
    if one_label_or_many or labels[-1].isdecimal() or not re.fullmatch(_MAILBOX, mailbox):
        raise ValueError(f"{shown(text)} is no e-mail address; write one of your own")
    if re.fullmatch(_NO_MAIL, domain):
        raise ValueError(
            f"{shown(text)} is at a domain that Let's Encrypt refuses; write an address of your own"
        )
    return text


def _days(text: str) -> str:
    if not re.fullmatch(_DAYS, text):
        raise ValueError(f"{shown(text)} is no number of days; write one such as 30d")
    return text


def _size(text: str) -> str:
    if not re.fullmatch(_SIZE, text):
        raise ValueError(f"{shown(text)} is no size of a volume; write one such as 50Gi or 2Ti")
    return text


def _bucket(text: str) -> str:
    if not re.fullmatch(_BUCKET, text):
        raise ValueError(
            f"{shown(text)} is no URL of a bucket; write one such as "
            "https://sjc1.vultrobjects.com/name"
        )
    _check_port(text)
    buckets.check(text)
    return text


def _context(text: str) -> str:
    if text.startswith("-"):
        raise ValueError(
            f"{shown(text)} begins with a hyphen, so kubectl would read it as an option; "
            "rename the context"
        )
    if not re.fullmatch(_CONTEXT, text):
        raise ValueError(
            f"{shown(text)} is no kubectl context; write one that `kubectl config get-contexts` has"
        )
    return text


def _annotation_name(text: str) -> str:
    if not re.fullmatch(_ANNOTATION, text):
        raise ValueError(
            f"{shown(text)} is no name of an annotation; write one such as example.org/name"
        )
    return text


def _pattern(pattern: str, longest: int | None = None) -> WithJsonSchema:
    """What editors check a text by."""
    limit = {"maxLength": longest} if longest else {}
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern}$", **limit})


_DNS_NAME: Final = rf"{_LABEL}(\.{_LABEL})*"
# A qualified name with its prefix, by the validation of annotations in apimachinery.
_ANNOTATION: Final = rf"{_DNS_NAME}/[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?"

Label: TypeAlias = Annotated[str, AfterValidator(dns_label), _pattern(_LABEL, LONGEST_LABEL)]
ClusterName: TypeAlias = Annotated[
    str,
    AfterValidator(_cluster_name),
    _pattern(f"(?!(in-cluster|default)$){_LABEL}", LONGEST_LABEL),
]
Name: TypeAlias = Annotated[str, AfterValidator(_name), _pattern(_DNS_NAME, LONGEST_NAME)]
SecretName: TypeAlias = Annotated[
    str, AfterValidator(_secret_name), _pattern(_DNS_NAME, LONGEST_NAME)
]
HostLabel: TypeAlias = Annotated[str, AfterValidator(_host_label), _pattern(_LABEL, LONGEST_LABEL)]
Domain: TypeAlias = Annotated[
    str,
    AfterValidator(_domain),
    _pattern(rf"(?!(.*\.)?([0-9]+|nip\.io|{_NO_TOP_LEVEL})$)(?=.*\.){_DNS_NAME}", LONGEST_NAME),
]
Address: TypeAlias = Annotated[
    IPv4Address | IPv6Address,
    BeforeValidator(_address),
    WithJsonSchema({"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]}),
]
Network: TypeAlias = Annotated[
    IPv4Network | IPv6Network, BeforeValidator(_network), _pattern("[0-9a-fA-F.:]+/[0-9]{1,3}")
]
Destination: TypeAlias = Annotated[
    IPv4Network | IPv6Network, BeforeValidator(_destination), _pattern("[0-9a-fA-F.:]+/[0-9]{1,3}")
]
Image: TypeAlias = Annotated[str, AfterValidator(_image), _pattern(_WHOLE_IMAGE)]
GitUrl: TypeAlias = Annotated[str, AfterValidator(_git), _pattern(_GIT)]
HostKey: TypeAlias = Annotated[str, AfterValidator(_host_key), _pattern(_HOST_KEY)]
Revision: TypeAlias = Annotated[str, AfterValidator(_revision), _pattern(_REVISION)]
Email: TypeAlias = Annotated[
    str,
    AfterValidator(_email),
    _pattern(rf"(?!{_NO_MAIL}$){_MAILBOX}@[a-zA-Z0-9.-]+\.[a-zA-Z0-9-]+"),
]
Days: TypeAlias = Annotated[str, AfterValidator(_days), _pattern(_DAYS)]
Size: TypeAlias = Annotated[str, AfterValidator(_size), _pattern(_SIZE)]
Context: TypeAlias = Annotated[str, AfterValidator(_context), _pattern(_CONTEXT)]
AnnotationName: TypeAlias = Annotated[str, AfterValidator(_annotation_name), _pattern(_ANNOTATION)]
Bucket: TypeAlias = Annotated[str, AfterValidator(_bucket), _pattern(_BUCKET)]
