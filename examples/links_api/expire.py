"""``python -m links_api.expire``: deletes links that have expired, which nobody can follow."""

import asyncio
import logging
import os

from links_api import log, store


async def delete_expired(database_url: str) -> int:
    """Returns how many there were."""
    async with store.connected(database_url) as links:
        return await links.delete_expired()


if __name__ == "__main__":
    log.configure()
    deleted = asyncio.run(delete_expired(os.environ["DATABASE_URL"]))
    logging.getLogger(__package__).info("%d expired links deleted", deleted)
