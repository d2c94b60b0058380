"""Puts the application together: `uvicorn --factory api.app:create_app`."""

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator
from importlib.metadata import version

from fastapi import APIRouter, FastAPI
from psycopg import IntegrityError, InterfaceError, OperationalError
from psycopg.errors import ReadOnlySqlTransaction
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from api.auth.signed_files import Signer
from api.capture_sets import routes as capture_sets
from api.captures import files
from api.captures import routes as captures
from api.crud.options import Descriptions
from api.crud.resource import Resource
from api.exports import routes as exports
from api.http import docs, openapi
from api.http.addresses import Addresses
from api.http.body_limit import BodyLimit
from api.http.conditional import Conditional
from api.http.conventions import Conventions
from api.http.errors import (
    ApiError,
    answer_api_error,
    answer_conflict,
    answer_http_error,
    answer_job_error,
    answer_row_gone,
    answer_unavailable,
    answer_unforeseen,
)
from api.http.gzip_bodies import Gzip, GzipTags
from api.http.links import PREFIX
from api.http.request_ids import RequestIds
from api.jobs import routes as jobs
from api.pipelines import routes as pipelines
from api.platform import Platform
from api.projects import routes as projects
from api.sessions import routes as sessions
from api.stations import routes as stations
from api.status import health
from api.status import routes as status
from api.storage_sources import routes as storage_sources
from api.users import login
from api.users import routes as users
from config import Settings
from db.connections import Database
from db.liveness import Watch
from db.writing import RowGone
from dispatch.job_service import JobService
from dispatch.outbox_relay import OutboxRelay
from jobs.errors import JobError
from storage.networks import Networks
from storage.stores import Stores
from temporal.connection import connect
from temporal.launcher import Launcher

POOL_TIMEOUT = 2.0
"""Seconds that a request waits for a connection to the database before it is answered 503."""
TIME_LIMITS = "-c lock_timeout=5s -c statement_timeout=30s"
"""No request hangs on a row that somebody holds, or on a query that never ends."""
WATCH = Watch(silence=3.0, reply=1.5, longest=36.0)
"""Nor on a server that hangs: a request is answered 503 after five seconds. A query that only takes long may."""

# what has a word where another has an id comes first: capture sets before captures
NOUNS = (
    jobs,
    capture_sets,
    sessions,
    captures,
    stations,
    storage_sources,
    projects,
    pipelines,
    exports,
    users,
)
RESOURCES: list[Resource] = [resource for noun in NOUNS for resource in noun.resources]
ROUTERS: list[APIRouter] = [
    *(router for noun in NOUNS for router in noun.routers),
    login.router,
    status.router,
    status.index([resource.path for resource in RESOURCES if "{" not in resource.path]),
]
EXPOSED = ("Allow", "ETag", "Idempotency-Replayed", "Link", "Location", "Retry-After", "X-Request-ID")
MIN_GZIP_BYTES = 1000


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application; settings are read from the environment if none are given."""
    chosen = settings or Settings()
    signer = None if chosen.signing_key is None else Signer(chosen.signing_key.get_secret_value())

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # lazy: the API takes requests while Temporal is away
        temporal = await connect(chosen, lazy=True)
        async with Database(
            chosen.database_url,
            size=chosen.database_pool,
            name="nightjar api",
            patience=POOL_TIMEOUT,
            check=True,
            options=TIME_LIMITS,
            watch=WATCH,
        ) as database:
            launcher = Launcher(temporal, chosen.task_queue)
            relay = OutboxRelay(database, launcher)
            stores = Stores(
                chosen.storage_folders,
                networks=Networks(chosen.networks),
                folders_for_all=chosen.storage_folders_for == "managers",
            )
            app.state.platform = Platform(
                database,
                JobService(database, launcher, wake_relay=relay.wake_after),
                chosen.time_zone,
                chosen.login_attempts,
                stores=stores,
                signer=signer,
                instance=chosen.instance,
            )
            relaying = asyncio.create_task(relay.run())
            # what was loaded by now stays for good: the collector need not look at it again
            gc.freeze()
            try:
                yield
            finally:
                relaying.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await relaying
                await stores.close()

    app = FastAPI(
        title="Nightjar",
        version=version("nightjar"),
        description="Durable background jobs for insect-monitoring platforms.",
        lifespan=lifespan,
        redirect_slashes=False,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        separate_input_output_schemas=False,
    )
    for router in ROUTERS:
        app.include_router(router, prefix=PREFIX)
    app.include_router(health.router)
    app.include_router(files.router)
    openapi.install(app)
    docs.install(app)
    app.add_exception_handler(ApiError, answer_api_error)
    app.add_exception_handler(JobError, answer_job_error)
    app.add_exception_handler(HTTPException, answer_http_error)
    for unavailable in (OperationalError, InterfaceError, ReadOnlySqlTransaction):
        app.add_exception_handler(unavailable, answer_unavailable)
    app.add_exception_handler(RowGone, answer_row_gone)
    app.add_exception_handler(IntegrityError, answer_conflict)
    app.add_exception_handler(Exception, answer_unforeseen)
    _add_middleware(app, chosen)
    return app


def _add_middleware(app: FastAPI, settings: Settings) -> None:
    """From the inside out: the last one sees a request first."""
    app.add_middleware(BodyLimit, most=settings.max_body_bytes)
    app.add_middleware(Conditional)
    app.add_middleware(Gzip, minimum_size=MIN_GZIP_BYTES, compresslevel=5)
    app.add_middleware(GzipTags)
    app.add_middleware(Conventions, addresses=Addresses(ROUTERS), describe=Descriptions(RESOURCES))
    origins = [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]
    if origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=EXPOSED,
            max_age=600,
        )
    app.add_middleware(RequestIds)
