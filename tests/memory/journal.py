"""What a command did to clusters, and when it is killed."""

from dataclasses import dataclass, field


class Interrupted(BaseException):
    """The command was killed."""


@dataclass
class Journal:
    """The calls to all clusters, and at which of them the command is killed.

    Only calls that change something count: what is killed between two of them leaves the clusters
    as if it had been killed right after the first.
    """

    calls: list[str] = field(default_factory=list)
    changing: list[str] = field(default_factory=list)
    """Those of the calls that may change something."""
    changes: list[str] = field(default_factory=list)
    """What they did change, object by object."""
    kill_at: int | None = None
    """The position among the changing calls of the one that is not made."""
    kill_within: bool = False
    """It is made half."""

    def killed(self) -> bool:
        return self.kill_at is not None and len(self.changing) > self.kill_at

    def enter(self, call: str, *, changing: bool) -> None:
        if self.killed():
            raise Interrupted(call)
        self.calls.append(call)
        if changing:
            self.changing.append(call)
            if self.killed() and not self.kill_within:
                raise Interrupted(call)

    def halfway(self, done: int, whole: int) -> None:
        if self.killed() and done >= whole // 2:
            raise Interrupted(self.changing[-1])

    def go_on(self) -> None:
        """Lets the next command live, and forgets what this one did."""
        self.kill_at = None
        for entries in (self.calls, self.changing, self.changes):
            entries.clear()
