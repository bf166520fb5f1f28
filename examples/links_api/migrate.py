"""``python -m links_api.migrate``: brings the database to what this version needs.

It may run any number of times, and several at once. An older version finds a newer database and
changes nothing, so that a rollback passes too; each step therefore keeps what the version before
it reads and writes.
"""

import asyncio
import logging
import os
from typing import Final

import asyncpg

from links_api import log

STEPS: Final = (
    "CREATE TABLE links (name text PRIMARY KEY, url text NOT NULL)",
    "ALTER TABLE links ADD COLUMN expires timestamptz",
    "CREATE INDEX links_expires ON links (expires)",
)
"""Never edited: a change is a new step at the end."""
LOCK: Final = 0x6C696E6B73
"""PostgreSQL's advisory lock of this program; any number that no other program uses."""


async def migrate(database_url: str) -> int:
    """Takes the steps that are missing, all or none; returns their number."""
    connection = await asyncpg.connect(database_url, timeout=5)
    try:
        async with connection.transaction():
            # Kept until the end of the transaction.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
            # Pods that serve wait behind a change of a table that waits for others.
            await connection.execute("SET LOCAL lock_timeout = '10s'")
            await connection.execute("CREATE TABLE IF NOT EXISTS steps (number integer)")
            done: int = await connection.fetchval("SELECT count(*) FROM steps")
            for number, step in enumerate(STEPS[done:], done):
                await connection.execute(step)
                await connection.execute("INSERT INTO steps VALUES ($1)", number)
    finally:
        await connection.close()
    return max(0, len(STEPS) - done)


if __name__ == "__main__":
    log.configure()
    taken = asyncio.run(migrate(os.environ["DATABASE_URL"]))
    logging.getLogger(__package__).info("%d steps taken, %d in all", taken, len(STEPS))
