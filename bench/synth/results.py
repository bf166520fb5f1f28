"""What was measured, and the figures that are drawn from it: medians, and ratios in one round."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, TypeAlias

Subject: TypeAlias = tuple[str, int]
"""A contender and the number of regions it was given."""


@dataclass(frozen=True)
class Run:
    """One measured run of a contender: seconds, and bytes at the peak."""

    contender: str
    regions: int
    round: int
    processes: int
    cpu: float
    wall: float
    rss: int


@dataclass(frozen=True)
class Results:
    runs: Sequence[Run]

    def of(self, subject: Subject) -> list[Run]:
        return [run for run in self.runs if (run.contender, run.regions) == subject]

    def contenders(self, regions: int) -> list[str]:
        return list(dict.fromkeys(run.contender for run in self.runs if run.regions == regions))

    def cpu(self, subject: Subject) -> float:
        return median(run.cpu for run in self.of(subject))

    def wall(self, subject: Subject) -> float:
        return median(run.wall for run in self.of(subject))

    def rss(self, subject: Subject) -> int:
        """The highest of all rounds."""
        return max(run.rss for run in self.of(subject))

    def processes(self, subject: Subject) -> int:
        return self.of(subject)[0].processes

    def ratio(self, subject: Subject, to: Subject) -> float:
        """CPU seconds as a multiple of another's: the median of the ratios in each round."""
        pairs = zip(self.of(subject), self.of(to), strict=True)
        return median(one.cpu / other.cpu for one, other in pairs)

    def plain(self) -> list[dict[str, Any]]:
        return [asdict(run) for run in self.runs]
