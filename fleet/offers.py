"""What clusters can have, and what of it a cluster may leave out, add or replace."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import ValidationInfo

from fleet import catalogue, problems
from fleet.catalogue import Catalogue, Offer, Role
from fleet.diagnostics import did_you_mean, listed, shown


@dataclass(frozen=True)
class Offers:
    """What clusters can have, by which a fleet is validated."""

    components: Catalogue
    apps: Mapping[str, Sequence[Offer]]
    """The components of each app that regions can run, by the app's name."""


def offers_of(info: ValidationInfo) -> Offers:
    """What clusters can have, which whoever validates a fleet says."""
    if info.context is None:
        raise TypeError("a fleet is validated with the offers of components and apps as context")
    return cast(Offers, info.context)


def _catalogue(info: ValidationInfo) -> Catalogue:
    return offers_of(info).components


def _known(
    choose: Callable[[Catalogue, Role], Iterable[str]], info: ValidationInfo
) -> tuple[Role | None, dict[str, None]]:
    """The role of a cluster, and the names that ``choose`` has for it.

    A role that is wrong is a problem of its own; the names may be of either then.
    """
    offered = _catalogue(info)
    role: Role | None = info.data.get("role")
    roles = (role,) if role else tuple(offered)
    return role, dict.fromkeys(name for each in roles for name in choose(offered, each))


def _check_no_app(name: str, info: ValidationInfo) -> None:
    if name in offers_of(info).apps:
        raise ValueError(f"{name} is an app; a region runs those under `apps`, so remove it here")


def can_be_left_out(value: object, info: ValidationInfo) -> object:
    """A component is left out where a cluster of the role has it and can do without."""
    role, optional = _known(catalogue.optional, info)
    if not isinstance(value, str) or value in optional:
        return value
    if role and value in catalogue.required(_catalogue(info), role):
        raise ValueError(f"a {role} cannot do without {value}; remove it from the list")
    _check_no_app(value, info)
    if "/" in value:
        raise ValueError(f"{problems.AN_ADDRESS}; write names of {', '.join(optional)}")
    raise ValueError(
        f"{shown(value)} is none of what a {role or 'cluster'} can do without, which is "
        f"{', '.join(optional)}{did_you_mean(value, optional)}"
    )


def can_be_added(value: object, info: ValidationInfo) -> object:
    """A component is added where clusters of the role can have it, and have it on request."""
    role, known = _known(catalogue.on_request, info)
    if not isinstance(value, str) or value in known:
        return value
    if role and value in (each.NAME for each in _catalogue(info)[role]):
        raise ValueError(f"{value} is there by default; remove it from the list")
    _check_no_app(value, info)
    which = f", which is {', '.join(known)}" if known else "; there is none"
    raise ValueError(
        f"{shown(value)} is none of what a {role or 'cluster'} can have on request{which}"
        f"{did_you_mean(value, known)}"
    )


def have_their_needs(added: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """Whatever a component on request needs is there, or has a replacement."""
    role: Role | None = info.data.get("role")
    if role is None or "without" not in info.data:
        return added
    for each in _catalogue(info)[role]:
        if each.NAME not in added:
            continue
        for needed in (*lacking_for(each, info), *_not_asked_for(each, added)):
            raise ValueError(
                f"{each.NAME} needs {needed.NAME}, which the cluster does not have; add that, or "
                f"remove {each.NAME}"
            )
    return added


def _not_asked_for(offer: Offer, added: tuple[str, ...]) -> Iterator[Offer]:
    return (each for each in offer.NEEDS if each.ON_REQUEST and each.NAME not in added)


def lacking_for(offer: Offer, info: ValidationInfo) -> list[Offer]:
    """What ``offer`` needs, ``without`` leaves out, and nothing replaces."""
    without: tuple[str, ...] = info.data.get("without", ())
    # Where the key of a replacement is wrong, that is a problem of its own.
    replacements = {
        "traefik": info.data.get("traefik", "wrong"),
        "issuerName": info.data.get("issuer_name", "wrong"),
    }
    return [
        needed
        for needed in offer.NEEDS
        if needed.NAME in without and replacements.get(needed.REPLACED_BY or "") is None
    ]


def missed_by_none(without: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    """No component that stays needs one that is left out, unless something can replace it."""
    role: Role | None = info.data.get("role")
    if role is None:
        return without
    replaceable = {each.NAME for each in _catalogue(info)[role] if each.REPLACED_BY}
    for name in without:
        users = _users(name, without, info)
        if users and name not in replaceable:
            raise ValueError(
                f"{name} is needed by {listed(users)}; leave these out as well, or remove "
                f"{name} from the list"
            )
    return without


def _users(name: str, without: tuple[str, ...], info: ValidationInfo) -> list[str]:
    """The components that stay in a cluster and need the one of ``name``."""
    return [
        user
        for user in catalogue.users(_catalogue(info), info.data["role"], name)
        if user not in without
    ]


def check_replacement(key: str, value: object, info: ValidationInfo) -> None:
    """Raises ValueError unless the cluster has a component, or says what it has in its place.

    ``key`` is that of the registry under which ``value`` describes the replacement.
    """
    role: Role | None = info.data.get("role")
    if role is None or "without" not in info.data:
        return
    without: tuple[str, ...] = info.data["without"]
    name = next((each.NAME for each in _catalogue(info)[role] if key == each.REPLACED_BY), key)
    if value is not None and name not in without:
        raise ValueError(
            f"describes what replaces {name}, which the cluster has; add {name} to `without`, or "
            "remove this"
        )
    if value is None and name in without and (users := _users(name, without, info)):
        raise ValueError(
            f"is missing, and `without` leaves out {name}, which {listed(users)} "
            f"need{'s' if len(users) == 1 else ''}; name the cluster's own, or remove {name} from "
            "`without`"
        )
