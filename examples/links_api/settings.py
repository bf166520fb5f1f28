"""What the environment says, as links-api.yaml sets it."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How one process is to run."""

    database_url: str
    """``DATABASE_URL``, as libpq reads it: ``postgresql://user:password@host:5432/links``."""
    token_file: Path
    """``TOKEN_FILE`` holds the token of those who may store links."""
    port: int
    """``PORT``, 8080 if absent, in plain HTTP."""
    drain_seconds: float
    """``DRAIN_SECONDS`` after SIGTERM the process still accepts connections; 0 if absent."""

    @classmethod
    def of_environment(cls) -> Self:
        """Raises KeyError for a variable that is required and absent."""
        return cls(
            database_url=os.environ["DATABASE_URL"],
            token_file=Path(os.environ["TOKEN_FILE"]),
            port=int(os.environ.get("PORT", "8080")),
            drain_seconds=float(os.environ.get("DRAIN_SECONDS", "0")),
        )
