"""What the mappings of a description have in common, and the kinds of text and number in them."""

import re
from decimal import Decimal
from typing import Annotated, Final, TypeAlias

from pydantic import AfterValidator, Field, WithJsonSchema

from fleet.diagnostics import shown
from fleet.values import LONGEST_LABEL, dns_label


def _matching(text: str, pattern: str, complaint: str) -> str:
    if not re.fullmatch(pattern, text):
        raise ValueError(f"{shown(text)} {complaint}")
    return text


_PORT_NAME: Final = "(?=.{2,15}$)(?!.*--)[a-z0-9]*[a-z][a-z0-9]*(-[a-z0-9]+)*"
# What a path has by RFC 3986, section 3.3, less the dollar sign of placeholders. A backtick would
# end the text that the path is in Traefik's rules.
_PATH: Final = "/[A-Za-z0-9._~!&'()*+,;=:@%/-]*"
_TARGET: Final = r"/[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*"
_CPU: Final = "([1-9][0-9]{0,4}m|[1-9][0-9]{0,2}([.][0-9]{1,3})?|0[.](?!0+$)[0-9]{1,3})"
_MEMORY: Final = "[1-9][0-9]{0,4}(Mi|Gi)"
_VARIABLE: Final = "[A-Za-z_][A-Za-z0-9_]*"
_METRIC: Final = "[A-Za-z_:][A-Za-z0-9_:]*"
# IsConfigMapKey in validation.go of apimachinery's util.
_KEY: Final = r"(?=.{1,253}$)(?!\.\.?$)(?!\.\.)[A-Za-z0-9_.-]+"
_FILE: Final = "[A-Za-z0-9_-][A-Za-z0-9_.-]*"


# Score's own names, in its schema score-v1b1.json.
_NAME: Final = "[a-z0-9][a-z0-9-]{0,61}[a-z0-9]"
_ANNOTATION: Final = (
    f"(?=.{{2,316}}$)({_NAME}([.]{_NAME})*/)?[A-Za-z0-9][A-Za-z0-9._-]{{0,61}}[A-Za-z0-9]"
)


def _score_name(text: str) -> str:
    if len(dns_label(text)) == 1:
        raise ValueError(f"{shown(text)} is too short; Score asks for two characters or more")
    return text


ScoreName: TypeAlias = Annotated[
    str,
    AfterValidator(_score_name),
    WithJsonSchema({"type": "string", "pattern": f"^{_NAME}$", "maxLength": LONGEST_LABEL}),
]


def matching(pattern: str, complaint: str) -> tuple[AfterValidator, WithJsonSchema]:
    """A text that matches ``pattern``; of any other, ``complaint`` says what is wrong."""
    return (
        AfterValidator(lambda text: _matching(text, pattern, complaint)),
        WithJsonSchema({"type": "string", "pattern": f"^{pattern}$"}),
    )


PortName: TypeAlias = Annotated[
    str,
    *matching(_PORT_NAME, "is no name of a port; use 2 to 15 of a-z, 0-9 and hyphens"),
]
Path: TypeAlias = Annotated[str, *matching(_PATH, "is no path of a URL; write one such as /readyz")]
Target: TypeAlias = Annotated[
    str, *matching(_TARGET, "is no path in the container; write one such as /data")
]
Cpu: TypeAlias = Annotated[
    str, *matching(_CPU, "is no amount of CPU; write one such as 250m, 0.5 or 2")
]
Memory: TypeAlias = Annotated[
    str, *matching(_MEMORY, "is no amount of memory; write one such as 128Mi or 2Gi")
]
VariableName: TypeAlias = Annotated[
    str, *matching(_VARIABLE, "is no name of an environment variable; use letters, digits and _")
]
HeaderName: TypeAlias = Annotated[
    str, *matching("[A-Za-z0-9_-]+", "is no name of a header; use letters, digits, hyphens and _")
]
AnnotationKey: TypeAlias = Annotated[
    str, *matching(_ANNOTATION, "is no key of an annotation; write one such as example.org/owner")
]
FileName: TypeAlias = Annotated[
    str, *matching(_FILE, "is no name of a file; write one such as a.pem")
]
MetricName: TypeAlias = Annotated[
    str, *matching(_METRIC, "is no name of a metric; write one such as app_requests_total")
]
SecretKey: TypeAlias = Annotated[
    str, *matching(_KEY, "is no key of a Secret; use letters, digits, dots, hyphens and _")
]
Truth: TypeAlias = Annotated[bool, Field(strict=True)]
# Below 1024 a port needs a capability, which no pod of ours has.
Port: TypeAlias = Annotated[int, Field(strict=True, ge=1024, le=65535)]
AnyPort: TypeAlias = Annotated[int, Field(strict=True, ge=1, le=65535)]


def millicores(cpu: str) -> int:
    """An amount of CPU in thousandths of a core."""
    return int(cpu[:-1]) if cpu.endswith("m") else int(Decimal(cpu) * 1000)
