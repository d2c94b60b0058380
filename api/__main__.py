"""Serves the API until told to stop: `python -m api`, or `nightjar api`."""

import socket
import sys
from functools import partial

import uvicorn

from api.app import create_app
from config import Settings

COULD_NOT_START = 3


def main(settings: Settings | None = None) -> None:
    """Serve by those settings; they are read from the environment if none are given.

    Ends the process with status 3 if the application did not start, 1 if its port is taken.
    """
    chosen = settings or Settings()
    server = uvicorn.Server(
        uvicorn.Config(
            partial(create_app, chosen),
            factory=True,
            host=chosen.api_host,
            port=chosen.api_port,
            log_level=chosen.log_level.lower(),
            access_log=False,
            loop="uvloop",
            http="httptools",
        )
    )
    try:
        server.run(None if chosen.api_fd is None else [socket.socket(fileno=chosen.api_fd)])
    except KeyboardInterrupt:
        return
    if not server.started:
        sys.exit(COULD_NOT_START)


if __name__ == "__main__":
    main()
