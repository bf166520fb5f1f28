"""The links in PostgreSQL."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import asyncpg


@dataclass(frozen=True)
class Link:
    name: str
    url: str
    expires: datetime | None


@asynccontextmanager
async def connected(database_url: str) -> AsyncIterator["Links"]:
    """The links of a database, which need not answer yet: connections are made when needed."""
    async with asyncpg.create_pool(
        database_url, min_size=0, max_size=5, timeout=2, command_timeout=5
    ) as pool:
        yield Links(pool)


@dataclass(frozen=True)
class Links:
    """What is stored; every method raises OSError or asyncpg's errors if the database is away."""

    pool: "asyncpg.Pool[asyncpg.Record]"

    async def check(self) -> None:
        await self.pool.fetchval("SELECT 1 FROM links LIMIT 1", timeout=1)

    async def put(self, link: Link) -> bool:
        """Stores a link in place of one of the same name; returns whether there was none."""
        created: bool = await self.pool.fetchval(
            "INSERT INTO links (name, url, expires) VALUES ($1, $2, $3)"
            " ON CONFLICT (name) DO UPDATE SET url = excluded.url, expires = excluded.expires"
            " RETURNING xmax = 0",
            link.name,
            link.url,
            link.expires,
        )
        return created

    async def url(self, name: str) -> str | None:
        found: str | None = await self.pool.fetchval(
            "SELECT url FROM links WHERE name = $1 AND (expires IS NULL OR expires > now())", name
        )
        return found

    async def first(self, number: int) -> list[Link]:
        """The first links by name, at most ``number``."""
        rows = await self.pool.fetch(
            "SELECT name, url, expires FROM links ORDER BY name LIMIT $1", number
        )
        return [Link(row["name"], row["url"], row["expires"]) for row in rows]

    async def delete_expired(self) -> int:
        """Returns how many there were."""
        status = await self.pool.execute("DELETE FROM links WHERE expires <= now()")
        return int(status.removeprefix("DELETE "))
