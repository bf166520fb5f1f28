"""What the mappings of a description have in common, and the kinds of text and number in them."""

import re
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema
from pydantic.alias_generators import to_camel

from fleet.diagnostics import shown


class Facts(BaseModel):
    """A mapping of a description; equal ones have the same hash."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


def _matching(text: str, pattern: str, told: str) -> str:
    if not re.fullmatch(pattern, text):
        raise ValueError(f"{shown(text)} {told}")
    return text


_PORT_NAME: Final = "(?=.{1,15}$)(?!.*--)[a-z0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*"
_PATH: Final = r"/[^\s?#$]*"
_TARGET: Final = r"/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*"
_CPU: Final = "[1-9][0-9]{0,3}m?"
_MEMORY: Final = "[1-9][0-9]{0,4}(Mi|Gi)"
_VARIABLE: Final = "[A-Za-z_][A-Za-z0-9_]*"
_METRIC: Final = "[A-Za-z_:][A-Za-z0-9_:]*"
# IsConfigMapKey in validation.go of apimachinery's util.
_KEY: Final = r"(?=.{1,253}$)(?!\.\.?$)(?!\.\.)[A-Za-z0-9_.-]+"
_FILE: Final = "[A-Za-z0-9_-][A-Za-z0-9_.-]*"


_NO_KEY: Final = "is no key of a Secret; use letters, digits, dots, hyphens and _"


def secret_key(text: str) -> str:
    """``text``; raises ValueError, with the remedy, unless a Secret can have it as a key."""
    return _matching(text, _KEY, _NO_KEY)


def _text(pattern: str, told: str) -> tuple[AfterValidator, WithJsonSchema]:
    """A text that matches ``pattern``, of which is said what it is if it does not."""
    return (
        AfterValidator(lambda text: _matching(text, pattern, told)),
        WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"}),
    )


PortName: TypeAlias = Annotated[
    str,
    *_text(_PORT_NAME, "is no name of a port; use up to 15 lower-case letters, digits and hyphens"),
]
Path: TypeAlias = Annotated[str, *_text(_PATH, "is no path of a URL; write one such as /readyz")]
Target: TypeAlias = Annotated[
    str, *_text(_TARGET, "is no path in the container; write one such as /data")
]
Cpu: TypeAlias = Annotated[str, *_text(_CPU, "is no amount of CPU; write one such as 250m or 2")]
Memory: TypeAlias = Annotated[
    str, *_text(_MEMORY, "is no amount of memory; write one such as 128Mi or 2Gi")
]
VariableName: TypeAlias = Annotated[
    str, *_text(_VARIABLE, "is no name of an environment variable; use letters, digits and _")
]
FileName: TypeAlias = Annotated[str, *_text(_FILE, "is no name of a file; write one such as a.pem")]
MetricName: TypeAlias = Annotated[
    str, *_text(_METRIC, "is no name of a metric; write one such as app_requests_total")
]
SecretKey: TypeAlias = Annotated[str, *_text(_KEY, _NO_KEY)]
Truth: TypeAlias = Annotated[bool, Field(strict=True)]
# Below 1024 a port needs a capability, which no pod of ours has.
Port: TypeAlias = Annotated[int, Field(strict=True, ge=1024, le=65535)]
AnyPort: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=65535)]


def millicores(cpu: str) -> int:
    """An amount of CPU in thousandths of a core."""
    return int(cpu.removesuffix("m")) * (1 if cpu.endswith("m") else 1000)


def mebibytes(memory: str) -> int:
    """An amount of memory in MiB."""
    return int(memory[:-2]) * {"Mi": 1, "Gi": 1024}[memory[-2:]]
