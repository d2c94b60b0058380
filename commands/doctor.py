"""`nightjar doctor`: is everything there that the processes need, and how is it mended?"""

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import sqlalchemy.exc
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    ListWorkflowExecutionsRequest,
    RegisterNamespaceRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from commands import running_stack
from commands.choosing import ADDRESSES, ChosenSettings, named_by_environment
from commands.connection import Refused, request
from commands.running_stack import RunningStack
from config import Settings
from db import schema
from jobs.search_attributes import TYPE_NAMES
from jobs.stages import JOBS_QUEUE, QUEUES
from temporal import schedules
from temporal.connection import connect
from temporal.describe import ACTIVITIES, WORKFLOWS, describe_queue

RETENTION = timedelta(days=30)
"""How long a new namespace keeps closed workflows; jobs themselves are kept in PostgreSQL."""

INDEXED_TYPES = {
    "Int": IndexedValueType.INDEXED_VALUE_TYPE_INT,
    "Double": IndexedValueType.INDEXED_VALUE_TYPE_DOUBLE,
    "Keyword": IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD,
}


@dataclass(frozen=True)
class Finding:
    """What one check found."""

    subject: str
    fine: bool
    words: str
    remedy: str = ""
    mends: Callable[[], Awaitable[None]] | None = None
    """How `--fix` mends it, if it can."""


def looked_at(chosen: ChosenSettings, folder: Path) -> list[str]:
    """What the checks look at, and who named it."""
    if chosen.stack is not None:
        stack = f"{chosen.stack}, process {chosen.stack.pid}, since {chosen.stack.started_at}"
    elif all(named_by_environment(name) for name in ADDRESSES):
        stack = "the environment names the servers"
    elif running_stack.left_behind(folder):
        stack = (
            f"no `nightjar up` runs in {folder.resolve()}: the last one was killed, what it left is not used"
        )
    else:
        stack = f"no `nightjar up` runs in {folder.resolve()}"
    return [stack, *(chosen.words(name) for name in ADDRESSES)]


async def examine(settings: Settings, stack: RunningStack | None = None) -> list[Finding]:
    """Every check, in the order in which things depend on each other; with a running stack, its API too."""
    api = [] if stack is None else [_api(stack)]
    return [_database(settings), _folders(settings), *await _temporal(settings), *api]


def _api(stack: RunningStack) -> Finding:
    try:
        stack.require_own_api()
        answer = request("GET", f"{stack.api_url}/readyz", timeout=10)
    except (Refused, httpx2.HTTPError) as error:
        return Finding("API", False, str(error), "look into the log of `nightjar up`, or start it again")
    told = answer.json()
    words = "; ".join([f"{stack.api_url}: {told['status']}", *told["reasons"]])
    return Finding("API", told["status"] == "ok", words)


def _database(settings: Settings) -> Finding:
    async def migrate() -> None:
        schema.create_database(settings.database_url)
        schema.migrate(settings.database_url)

    try:
        current, newest = schema.revisions(settings.database_url)
    except sqlalchemy.exc.OperationalError as error:
        reason = str(error.orig).strip().split("\n")[0]
        if "does not exist" in reason and "database" in reason:
            return Finding("Database", False, reason, "nightjar doctor --fix makes it", migrate)
        return Finding(
            "Database", False, reason, "start PostgreSQL, or set NIGHTJAR_DATABASE_URL to where it is"
        )
    if current == newest:
        return Finding("Database", True, f"schema {current}")
    words = f"schema {current or 'empty'}, newest is {newest}"
    return Finding("Database", False, words, "nightjar doctor --fix migrates it", migrate)


async def _temporal(settings: Settings) -> list[Finding]:
    try:
        client = await connect(settings)
    except (RuntimeError, OSError) as error:
        reason = str(error).split("\n")[0]
        remedy = "start Temporal, or set NIGHTJAR_TEMPORAL_ADDRESS (and TLS or API key) to where it is"
        return [Finding("Temporal", False, f"{settings.temporal_address}: {reason}", remedy)]
    found = [Finding("Temporal", True, settings.temporal_address)]
    found.append(await _namespace(client, settings.temporal_namespace))
    if found[-1].fine:
        found.append(await _search_attributes(client, settings.temporal_namespace))
        found.append(await _sweep(client, settings))
        found.append(await _workers(client, settings))
    return found


async def _namespace(client: Client, namespace: str) -> Finding:
    async def register() -> None:
        period = Duration()
        period.FromTimedelta(RETENTION)
        await client.workflow_service.register_namespace(
            RegisterNamespaceRequest(namespace=namespace, workflow_execution_retention_period=period)
        )
        await _until_known(client, namespace)

    try:
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=namespace))
    except RPCError as error:
        missing = error.status is RPCStatusCode.NOT_FOUND
        remedy = (
            "nightjar doctor --fix registers it"
            if missing
            else "check NIGHTJAR_TEMPORAL_NAMESPACE and rights"
        )
        return Finding(
            "Namespace", False, f"{namespace}: {error.message}", remedy, register if missing else None
        )
    return Finding("Namespace", True, namespace)


async def _until_known(client: Client, namespace: str) -> None:
    """A new namespace reaches the server's services a few seconds after it was registered."""
    async with asyncio.timeout(60):
        while True:
            try:
                await client.workflow_service.list_workflow_executions(
                    ListWorkflowExecutionsRequest(namespace=namespace, page_size=1)
                )
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                await asyncio.sleep(0.5)
            else:
                return


async def _search_attributes(client: Client, namespace: str) -> Finding:
    try:
        answer = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=namespace)
        )
    except RPCError as error:
        remedy = "add them by hand: " + ", ".join(f"{name}={kind}" for name, kind in TYPE_NAMES.items())
        return Finding("Search attributes", False, error.message, remedy)
    missing = [name for name in TYPE_NAMES if name not in answer.custom_attributes]

    async def add() -> None:
        types = {name: INDEXED_TYPES[TYPE_NAMES[name]] for name in missing}
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=namespace, search_attributes=types)
        )

    if missing:
        words = "missing: " + ", ".join(missing)
        return Finding("Search attributes", False, words, "nightjar doctor --fix adds them", add)
    return Finding("Search attributes", True, ", ".join(TYPE_NAMES))


async def _sweep(client: Client, settings: Settings) -> Finding:
    name, every = schedules.schedule_id(settings.task_queue), settings.sweep_every

    async def make() -> None:
        await schedules.ensure(client, settings.task_queue, timedelta(seconds=every))

    try:
        described = await client.get_schedule_handle(name).describe()
    except RPCError as error:
        if error.status is not RPCStatusCode.NOT_FOUND:
            return Finding("Sweep", False, f"{name}: {error.message}", "check the rights to Schedules")
        if not every:
            return Finding("Sweep", True, "not wanted here (NIGHTJAR_SWEEP_EVERY is 0)")
        remedy = "the next worker that starts makes it, or nightjar doctor --fix"
        return Finding("Sweep", False, f"there is no Schedule {name}", remedy, make)
    if described.schedule.state.paused:
        return Finding("Sweep", False, f"{name} is paused", "unpause it in the Temporal Web UI")
    return Finding("Sweep", True, name)


async def _workers(client: Client, settings: Settings) -> Finding:
    words, fine = [], True
    for kind in QUEUES:
        queue = f"{settings.task_queue}-{kind}"
        asked = WORKFLOWS if kind == JOBS_QUEUE else ACTIVITIES
        asking = (await describe_queue(client, queue, asked)).alive(datetime.now(UTC))
        workers = sorted({poller.identity for poller in asking})
        words.append(f"{queue}: {', '.join(workers) or 'nobody polls'}")
        fine = fine and bool(workers)
    return Finding("Workers", fine, "; ".join(words), "" if fine else "start one: nightjar worker")


def _folders(settings: Settings) -> Finding:
    """The folders in which storage sources may lie, as far as this machine can tell."""
    roots = settings.storage_folders
    if not roots:
        return Finding("Storage folders", True, "none (NIGHTJAR_STORAGE_ROOTS is empty)")
    words = ", ".join(map(str, roots))
    unread = [str(root) for root in roots if not os.access(root, os.R_OK | os.X_OK)]
    if unread:
        return Finding("Storage folders", False, f"cannot be read: {', '.join(unread)}", "mount or make them")
    if settings.signing_key is None:
        remedy = "set NIGHTJAR_SIGNING_KEY, the same for every API process"
        return Finding("Storage folders", False, f"{words}: files in them have no addresses", remedy)
    return Finding("Storage folders", True, f"{words}; for {settings.storage_folders_for}")
