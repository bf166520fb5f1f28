"""What a rule is: an expression with a name, and of an alert what a person needs to be told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from imports.monitoring import Group as GroupSpec
from imports.monitoring import Rule as RuleSpec

Severity: TypeAlias = Literal["critical", "warning"]
"""``critical`` wakes somebody up; ``warning`` is read in the morning."""


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

    def spec(self, runbooks: str) -> RuleSpec:
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": self.wait,
            "labels": {"severity": self.severity, **self.labels},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                "runbook_url": f"{runbooks}/{self.name}.md",
            },
        }


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
