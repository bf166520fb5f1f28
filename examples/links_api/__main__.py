"""``python -m links_api``: serves until SIGTERM."""

import asyncio
import signal
from functools import partial
from types import FrameType

import uvicorn

from links_api import log
from links_api.application import application
from links_api.settings import Settings


class Server(uvicorn.Server):
    """Still accepts connections for a while after SIGTERM, until Traefik knows that it goes."""

    def __init__(self, config: uvicorn.Config, drain_seconds: float) -> None:
        super().__init__(config)
        self._drain_seconds = drain_seconds
        self._draining = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if sig != signal.SIGTERM or self._draining:
            super().handle_exit(sig, frame)
            return
        self._draining = True
        stop = partial(super().handle_exit, sig, frame)
        loop = asyncio.get_running_loop()
        loop.call_soon_threadsafe(loop.call_later, self._drain_seconds, stop)


def main() -> None:
    log.configure()
    settings = Settings.of_environment()
    config = uvicorn.Config(
        application(settings),
        host="0.0.0.0",  # noqa: S104 - the pod's address
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=10,
    )
    Server(config, settings.drain_seconds).run()


if __name__ == "__main__":
    main()
