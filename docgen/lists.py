"""The lists that code knows: keys, hostnames, components, commands, alerts, versions, requests."""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from inspect import getdoc
from typing import Final

from pydantic import BaseModel

from charts import upstream
from charts.catalogue import CATALOGUE, COMPONENTS
from charts.monitoring.dashboards import DASHBOARDS, UPSTREAM
from commands import COMMANDS
from docgen.fleets import APP, EXAMPLE, complete, synthesize
from docgen.markdown import Part, code, listed, table
from docgen.sizes import NODES, Sizes
from fleet import apps, score
from fleet.catalogue import Offer, Role, optional
from fleet.errors import InputError
from fleet.git import Git
from fleet.registry import MODELS, Fleet, Hub, Placement, Region, keys
from foobar_api import VERSION
from foobar_api.settings import OPTIONS, flag, variable
from operations import credentials
from operations.image import repository
from operations.status import RED_WHEN

BUCKET: Final = "https://s3.example.com/logs"
"""Stands for the bucket of a fleet that has none, so that its variables are listed as well."""

GIT_FORMS: Final = (
    Git(repository="https://git.example.com/fleet.git", revision="main", credential="token"),
    Git(repository="https://github.com/acme/fleet.git", revision="main", credential="github-app"),
    Git(repository="git@github.com:acme/fleet.git", revision="main"),
)
"""Each way of signing in to a repository, so that the variables of all are listed."""

HUB, REGION = keys(Hub), keys(Region)
_DESCRIBED: Final[Mapping[str, type[BaseModel]]] = {
    "description": score.Description,
    "platform": score.Platform,
    "metrics": score.Metrics,
    "service-levels": score.ServiceLevels,
    "scaling": score.Scaling,
    "egress": score.Egress,
    "job": score.ScheduledJob,
    "before-rollout": score.BeforeRollout,
    "container": score.Container,
    "mount": score.Mount,
    "resources": score.Resources,
    "http-get": score.HttpGet,
    "http-header": score.HttpHeader,
    "exec": score.Exec,
    "secret": score.SecretParams,
    "volume": score.VolumeParams,
    "certificate": score.CertificateParams,
    "port": score.ServicePort,
}
KEYS: Final[Mapping[str, tuple[type[BaseModel], tuple[str, ...]]]] = {
    "git": (MODELS["git"], keys(MODELS["git"])),
    "acme": (MODELS["acme"], keys(MODELS["acme"])),
    "cluster": (Region, tuple(key for key in HUB if key in REGION)),
    "loadBalancer": (MODELS["loadBalancer"], keys(MODELS["loadBalancer"])),
    "traefik": (MODELS["traefik"], keys(MODELS["traefik"])),
    "hub": (Hub, tuple(key for key in HUB if key not in REGION)),
    "region": (Region, tuple(key for key in REGION if key not in HUB)),
    "app": (Placement, keys(Placement)),
    **{name: (model, keys(model)) for name, model in _DESCRIBED.items()},
}
"""The keys that each table explains, and the model that they are of."""


def _keys(name: str, _: Fleet) -> Iterator[str]:
    """The keys of a mapping of clusters.yaml, or of an app's file."""
    model, chosen = KEYS[name]
    described = {field.alias or name: field for name, field in model.model_fields.items()}

    def row(key: str) -> Sequence[str]:
        field = described[key]
        default = field.get_default(call_default_factory=True)
        shown = code(_flow(default)) if default is not None else "none"
        examples = field.examples or ()
        return (
            code(key),
            "required" if field.is_required() else shown,
            ", ".join(code(_flow(example)) for example in examples),
            field.description or "",
        )

    return table(("key", "default", "example", "meaning"), map(row, chosen))


def _flow(value: object) -> str:
    """A value as YAML writes it on one line."""
    match value:
        case BaseModel():
            return _flow(value.model_dump(mode="json", by_alias=True, exclude_none=True))
        case dict():
            return f"{{{', '.join(f'{key}: {_flow(item)}' for key, item in value.items())}}}"
        case list() | tuple():
            return f"[{', '.join(map(_flow, value))}]"
        case bool():
            return str(value).lower()
        case _:
            return str(value)


def _refused(_: Fleet) -> Iterator[str]:
    """Keys of Score that no description may have."""
    yield from table(
        ("key", "why not"), ((code(".".join(key)), why) for key, why in apps.REFUSED.items())
    )


def _derived(_: Fleet) -> Iterator[str]:
    """What follows from the keys, in terms of the keys."""
    hub, region = _in_words("<domain>")
    plain_hub, plain_region = _in_words(None)
    yield from table(
        ("fact", "with `domain`", "without it"),
        [
            ("hostname of an app", code(region.hosts[0]), code(plain_region.hosts[0])),
            *(
                ("hostname of the hub", code(host), code(plain))
                for host, plain in zip(hub.hosts, plain_hub.hosts, strict=True)
            ),
        ],
    )
    yield ""
    yield from table(
        ("fact", "derived as"),
        [
            ("label of the load balancer at the provider", code(hub.load_balancer_label)),
            ("folder of the rendered manifests", "`dist/<name>/<component>/`"),
            ("folder of patches written by hand", "`overlays/<name>/<component>/`"),
        ],
    )


def _in_words(domain: str | None) -> tuple[Hub, Region]:
    """Clusters whose facts are the words for them."""
    facts = {"name": "<name>", "address": "<address>", "domain": domain}
    apps = {"<app>": Placement.model_construct(None, hostname="<hostname>")}
    return Hub.model_construct(None, **facts), Region.model_construct(None, **facts, apps=apps)


def _records(_: Fleet) -> Iterator[str]:
    """The names that a domain must have."""
    hub, region = _in_words("<domain>")
    yield from table(
        ("name", "leads to `address` of"),
        [
            *((code(host), "the hub") for host in hub.hosts),
            *((code(host), "the region") for host in region.hosts),
        ],
    )


def _components(_: Fleet) -> Iterator[str]:
    """Every component, what it is for, and which clusters have it."""

    def has(role: Role, component: Offer) -> str:
        if component not in CATALOGUE[role]:
            return ""
        if component.ON_REQUEST:
            return "on request"
        if component.REPLACED_BY:
            return "can be replaced"
        return "can be left out" if component.NAME in optional(CATALOGUE, role) else "always"

    yield from table(
        ("component", "hub", "region", "namespace", "what it is"),
        (
            (
                code(component.NAME),
                has("hub", component),
                has("region", component),
                code(component.NAMESPACE),
                (getdoc(sys.modules[component.__module__]) or "").partition("\n")[0],
            )
            for component in COMPONENTS
        ),
    )


def _optional(_: Fleet) -> Iterator[str]:
    """What can be left out, by role."""
    yield from table(
        ("role", "can do without"),
        ((code(role), listed(optional(CATALOGUE, role))) for role in CATALOGUE),
    )


def _commands(_: Fleet) -> Iterator[str]:
    yield from table(
        ("command", "what it does"),
        ((code(f"python -m fleet {name}"), each.help) for name, each in COMMANDS.items()),
    )


def _variables(fleet: Fleet) -> Iterator[str]:
    """What bootstrap cannot generate, and where it goes."""
    whole = complete(fleet)
    hub = whole.hub.model_copy(update={"logs_bucket": whole.hub.logs_bucket or BUCKET})
    everything = whole.model_copy(update={"clusters": (hub, *whole.regions)})
    meanings: dict[str, dict[str, None]] = {}
    for git in GIT_FORMS:
        for secret in credentials.supplied(everything.model_copy(update={"git": git})):
            for name, what in secret.variables.items():
                meanings.setdefault(name, {})[what] = None
    yield from table(
        ("variable", "what it is"),
        ((code(name), "; ".join(meaning)) for name, meaning in meanings.items()),
    )


def _status(_: Fleet) -> Iterator[str]:
    yield from table(("column", "is red when"), RED_WHEN.items())


def _alerts(fleet: Fleet) -> Iterator[str]:
    """Our alerts, as the hub has them."""
    whole = complete(fleet)
    found: dict[str, list[tuple[str, str, str]]] = {}
    for manifest in synthesize(whole, whole.hub)["rules"]:
        for group in manifest["spec"].get("groups", ()):
            for rule in group["rules"]:
                if "alert" in rule:
                    summary = re.sub(
                        r"{{ \$(?:labels\.)?(\w+)[^}]* }}", r"*\1*", rule["annotations"]["summary"]
                    )
                    # Those that are the alert's own are in the text already.
                    for name in ("app", "cluster", "signal"):
                        if name in rule["labels"]:
                            value = re.escape(rule["labels"][name])
                            summary = re.sub(rf"\b{value}\b", f"*{name}*", summary)
                    found.setdefault(rule["alert"], []).append(
                        (rule["labels"]["severity"], rule["for"], summary)
                    )
    yield from table(
        ("alert", "severity", "after", "summary"),
        (
            (
                f"[{name}](runbooks/{name}.md)",
                ", ".join(dict.fromkeys(severity for severity, *_ in cases)),
                ", ".join(dict.fromkeys(wait for _, wait, _ in cases)),
                cases[0][2],
            )
            for name, cases in sorted(found.items())
        ),
    )


def _dashboards(_: Fleet) -> Iterator[str]:
    titles = ", ".join(f"*{each['title']}*" for each in DASHBOARDS)
    yield f"- Ours: {titles}."
    yield f"- {len(UPSTREAM)} of kube-prometheus's, in the folder *Kubernetes*: {listed(UPSTREAM)}."


def _versions(_: Fleet) -> Iterator[str]:
    """What charts/upstream.py pins."""
    pins = {
        name.rpartition("_")[0].lower().replace("_", "-"): (name, str(value))
        for name, value in vars(upstream).items()
        if name.endswith(("_VERSION", "_REVISION"))
    }
    yield from table(
        ("project", "version", "constant"),
        ((name, code(value), code(constant)) for name, (constant, value) in pins.items()),
    )


def _settings(_: Fleet) -> Iterator[str]:
    """The settings of foobar-api."""
    yield from table(
        ("flag", "environment", "default", "meaning"),
        (
            (
                code(flag(name)),
                code(variable(name)),
                code(option.default) if option.default else "",
                option.says,
            )
            for name, option in OPTIONS.items()
        ),
    )


def _new_region(fleet: Fleet) -> Iterator[str]:
    """An entry to copy, with the image repository that this fleet has."""
    try:
        image = repository(fleet)
    except InputError:
        image = EXAMPLE.apps[APP].image_repository
    yield "```yaml"
    yield f"  - name: {EXAMPLE.name}"
    yield f"    role: {EXAMPLE.role}"
    yield f"    address: {EXAMPLE.address}"
    yield "    apps:"
    yield f"      {APP}:"
    yield f"        hostname: {EXAMPLE.apps[APP].hostname}"
    yield f"        image: {image}:{VERSION}"
    yield "```"


def _nodes(fleet: Fleet) -> Iterator[str]:
    """The nodes that each cluster needs, and what has to fit on them."""
    yield from table(
        ("cluster", "nodes", "pods can have of each", "limits of all pods", "of the largest pod"),
        (
            (
                role,
                f"{nodes.number} of `{nodes.plan}`: {nodes.cores} vCPU, {nodes.memory} GiB",
                f"{_amounts(nodes.allocatable)}",
                f"{sizes.limits} MiB",
                f"{code(sizes.largest[1])}: {sizes.largest[0]} MiB",
            )
            for role, sizes in _sizes(fleet)
            for nodes in [NODES[role]]
        ),
    )


def _requests(fleet: Fleet) -> Iterator[str]:
    """What the pods of a cluster request of its nodes, overlays aside."""
    yield from table(
        ("cluster", "its pods", "and on each node", "and with its apps at their limits"),
        (
            (role, _amounts(sizes.once), _amounts(sizes.node), _amounts(sizes.scaled))
            for role, sizes in _sizes(fleet)
        ),
    )


def _sizes(fleet: Fleet) -> Iterator[tuple[Role, Sizes]]:
    whole = complete(fleet)
    yield "hub", Sizes.of(synthesize(whole, whole.hub))
    yield "region", Sizes.of(synthesize(whole, whole.regions[0]))


def _amounts(total: Counter[str]) -> str:
    return f"{total['cpu']}m CPU, {total['memory']} MiB" if total else ""


PARTS: Final[Mapping[str, Part]] = {
    **{f"keys-{name}": partial(_keys, name) for name in KEYS},
    "refused": _refused,
    "derived": _derived,
    "records": _records,
    "components": _components,
    "optional": _optional,
    "commands": _commands,
    "variables": _variables,
    "status": _status,
    "alerts": _alerts,
    "dashboards": _dashboards,
    "versions": _versions,
    "settings": _settings,
    "new-region": _new_region,
    "nodes": _nodes,
    "requests": _requests,
}
