"""What a rule is: an expression with a name and, for an alert, the text that a person reads."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

from imports.monitoring import Group as GroupSpec
from imports.monitoring import Rule as RuleSpec

Severity: TypeAlias = Literal["critical", "warning"]
"""``critical`` wakes somebody up; ``warning`` is read in the morning."""

OUTSIDE: Final[Mapping[str, str]] = {"measured": "outside"}
"""The label of alerts about a cluster whose data comes from elsewhere: from the hub's Traefik, from
Argo CD, or from probes of other clusters. They stay true while the cluster itself is silent."""


@dataclass(frozen=True)
class Record:
    """A series that is worked out in advance."""

    name: str
    expression: str
    labels: dict[str, str] = field(default_factory=dict)
    """What the result does not say by itself."""

    def spec(self, _: str) -> RuleSpec:
        spec: RuleSpec = {"record": self.name, "expr": self.expression}
        if self.labels:
            spec["labels"] = self.labels
        return spec


@dataclass(frozen=True, kw_only=True)
class Alert:
    """A condition that somebody has to do something about; docs/runbooks/ says what.

    ``summary`` and ``description`` are templates of Prometheus.
    """

    name: str
    severity: Severity
    expression: str
    wait: str
    """How long the condition has to last."""
    summary: str
    description: str
    labels: dict[str, str] = field(default_factory=dict)
    """For an expression whose result does not say which cluster it is about."""
    outside: bool = False
    """Whether the alert is about a cluster but needs no data from it (``OUTSIDE``)."""

    def spec(self, runbooks: str) -> RuleSpec:
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.wait,
            "labels": {
                "severity": self.severity,
                **self.labels,
                **(OUTSIDE if self.outside else {}),
            },
            "annotations": {
                "summary": self._text(self.summary),
                "description": self._text(self.description),
                "runbook_url": f"{runbooks}/{self.name}.md",
            },
        }

    def _text(self, template: str) -> str:
        """``template`` with the values of the alert's own labels.

        For Prometheus, ``$labels`` in an annotation are the labels of the expression's result
        alone (rules/alerting.go of Prometheus v3.13). Where that has none, such as after
        ``sum()``, the text would have a gap.
        """
        return re.sub(
            r"\{\{ \$labels\.(\w+) \}\}",
            lambda found: self.labels.get(found[1], found[0]),
            template,
        )


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated one after the other."""

    name: str
    rules: Sequence[Record | Alert]
    interval: str | None = None
    """Time between two evaluations; None is that of Prometheus."""

    def spec(self, runbooks: str) -> GroupSpec:
        spec: GroupSpec = {"name": self.name}
        if self.interval:
            spec["interval"] = self.interval
        return {**spec, "rules": [rule.spec(runbooks) for rule in self.rules]}
