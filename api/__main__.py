"""Serves the API until told to stop: `python -m api`, or `nightjar api`."""

import uvicorn

from config import Settings


def main() -> None:
    settings = Settings()
    uvicorn.run(
        "api.app:create_app",
        factory=True,
        host=settings.api_host,
        port=settings.api_port,
        log_level=settings.log_level.lower(),
        access_log=False,
        loop="uvloop",
        http="httptools",
    )


if __name__ == "__main__":
    main()
