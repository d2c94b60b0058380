"""Puts the application together: `uvicorn --factory api.app:create_app`."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator

from fastapi import FastAPI
from psycopg import OperationalError
from starlette.exceptions import HTTPException

from api.conventions import AllowedMethods, Conventions
from api.courier import Courier
from api.errors import ApiError, answer_api_error, answer_http_error, answer_unavailable, answer_unforeseen
from api.launcher import Launcher
from api.links import PREFIX
from api.platform import Platform
from api.routes import authentication, capture_sets, health, jobs
from config import Settings
from db.connections import Database
from temporal_client import connect

PATIENCE = 2.0
"""Seconds that a request waits for a connection to the database before it is answered 503."""
TIME_LIMITS = "-c lock_timeout=5s -c statement_timeout=30s"
"""No request hangs on a row that somebody holds, or on a query that never ends."""

ROUTERS = (jobs.router, capture_sets.router, authentication.router)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; settings are read from the environment if none are given."""
    chosen = settings or Settings()

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # lazy: the API takes requests while Temporal is away
        temporal = await connect(chosen, lazy=True)
        async with Database(
            chosen.database_url,
            size=chosen.database_pool,
            name="nightjar api",
            patience=PATIENCE,
            check=True,
            options=TIME_LIMITS,
        ) as database:
            launcher = Launcher(temporal, chosen.task_queue)
            app.state.platform = Platform(database, launcher, chosen.time_zone)
            courier = asyncio.create_task(Courier(database, launcher).run())
            # what was loaded by now stays for good: the collector need not look at it again
            gc.freeze()
            try:
                yield
            finally:
                courier.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await courier

    app = FastAPI(
        title="Nightjar",
        description="Durable background jobs for insect-monitoring platforms.",
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=f"{PREFIX}/schema/",
        docs_url=f"{PREFIX}/docs/",
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    app.include_router(health.router)
    app.add_exception_handler(ApiError, answer_api_error)
    app.add_exception_handler(HTTPException, answer_http_error)
    app.add_exception_handler(OperationalError, answer_unavailable)
    app.add_exception_handler(Exception, answer_unforeseen)
    app.add_middleware(Conventions, allow=AllowedMethods(ROUTERS))
    return app
