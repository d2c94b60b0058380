"""`nightjar demo`: a project with drawn pictures, one with made-up captures, and jobs on both."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import httpx2
from rich.console import Console

from api.auth.tokens import new_token
from commands import display, up
from commands.connection import Refused, Server
from config import Settings
from db import user_rows
from db.connections import Database
from demo import drawing
from demo import rows as demo_rows
from demo.rows import Sheet
from storage.folders import Folders
from storage.sources import Source, StorageError

OWNER = "demo@example.org"
TOKEN_NAME = "demo"
BUCKET = "demo"
LONGEST_ADDRESS = 255
"""Characters of the address of a store."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Shown:
    """What came of the demo."""

    token: str
    picture: str | None
    """Where one of the pictures can be seen."""
    succeeded: bool
    """Whether all its jobs did."""


def show(settings: Settings, api_url: str, console: Console, say: Say) -> Shown:
    """Run the jobs of the demo, and print the last one as it ended."""
    store = _draw(settings, say)
    token, set_id, sheet = asyncio.run(_prepare(settings, store))
    server = Server(api_url, token)
    picture, synced = None, True
    if sheet is not None and _sees_pictures(server, sheet, say):
        say(f'the project "{demo_rows.SHEET_PROJECT}": its captures, sessions and capture set')
        synced = _sync(server, sheet, console, say) and _populate(server, sheet.set_id, console)[1]
        picture = _picture(server, sheet)
    say(f'the project "{demo_rows.PROJECT}" and its job')
    job_id, populated = _populate(server, set_id, console)
    _print_page(f"/api/v2/jobs/{job_id}/?format=api", api_url, console)
    return Shown(token, picture, synced and populated)


def _draw(settings: Settings, say: Say) -> Source | None:
    """The folder in which the pictures now lie; none, with a word why, where no sync may read it."""
    root = up.pictures(settings.data_dir)
    store = Source(BUCKET, endpoint_url=root.as_uri(), trusted=True)
    try:
        folder = Folders(settings.storage_folders).top(store)
    except StorageError:
        say(f"no pictures: NIGHTJAR_STORAGE_ROOTS does not name {root}")
        return None
    if len(root.as_uri()) > LONGEST_ADDRESS:
        say(f"no pictures: {root} is too long a path")
        return None
    drawn = drawing.draw(folder, demo_rows.SHEET_STATIONS)
    if drawn:
        say(f"drew {drawn} pictures into {folder}")
    return store


async def _prepare(settings: Settings, store: Source | None) -> tuple[str, int, Sheet | None]:
    """A fresh token of the owner, the one before being taken back; the capture set; the project of the pictures."""
    token, token_hash = new_token()
    async with (
        Database(settings.database_url, size=2, name="nightjar demo") as database,
        database.transaction() as db,
    ):
        owner_id = await user_rows.upsert(db, OWNER, name="Demo")
        await user_rows.revoke(db, owner_id, TOKEN_NAME)
        await user_rows.add_token(db, owner_id, TOKEN_NAME, token_hash)
        _, set_id = await demo_rows.find_or_make(db, owner_id)
        sheet = None
        if store is not None:
            # who may give this command may say where pictures lie
            place = {"bucket": store.bucket, "endpoint_url": store.endpoint_url, "trusted": store.trusted}
            sheet = await demo_rows.find_or_make_sheet(db, owner_id, place)
    return token, set_id, sheet


def _sees_pictures(server: Server, sheet: Sheet, say: Say) -> bool:
    """Whether the server finds them: it may have other folders than this machine, or not allow this one."""
    try:
        found = server.call("POST", f"/storage/{sheet.source_id}/test/")
    except Refused as refusal:
        say(f"no pictures: {server.url} cannot read them: {refusal}")
        return False
    if found["error_code"] is not None:
        say(f"no pictures: {server.url} does not find them: {found['error_message']}")
        return False
    return True


def _sync(server: Server, sheet: Sheet, console: Console, say: Say) -> bool:
    """Sync all stations of the project; gives whether that went well."""
    job_ids = server.call("POST", "/deployments/sync-all/", project_id=sheet.project_id)["job_ids"]
    jobs = display.watch_all(console, [partial(server.call, "GET", f"/jobs/{each}/") for each in job_ids])
    found, added, nights = (_sum(jobs, key) for key in ("total_files", "added", "events_created"))
    say(f"{found} captures, {added} of them new, in {nights} new sessions")
    return all(job["status"] == "SUCCESS" for job in jobs)


def _sum(jobs: Sequence[display.Job], key: str) -> int:
    """A figure of all of them together."""
    stages = [stage for job in jobs for stage in job["progress"]["stages"]]
    return sum(param["value"] or 0 for stage in stages for param in stage["params"] if param["key"] == key)


def _populate(server: Server, set_id: int, console: Console) -> tuple[int, bool]:
    """Fill a capture set; gives the job's id and whether that went well."""
    job_id: int = server.call("POST", f"/captures/collections/{set_id}/populate/")["job_id"]
    job = display.watch(console, lambda: server.call("GET", f"/jobs/{job_id}/"))
    return job_id, job["status"] == "SUCCESS"


def _picture(server: Server, sheet: Sheet) -> str | None:
    """Where one of the set can be seen without a token."""
    chosen = {"project_id": sheet.project_id, "collections": sheet.set_id, "limit": 1}
    found: list[dict[str, Any]] = server.call("GET", "/captures/", **chosen)["results"]
    return found[0]["url"] if found else None


def _print_page(path: str, api_url: str, console: Console) -> None:
    """A job as anybody may see it: without a token."""
    response = httpx2.get(f"{api_url}{path}", timeout=10)
    console.print(f"\nGET {path}\nHTTP {response.status_code} OK", highlight=False)
    for header in ("Allow", "Content-Type", "Vary"):
        console.print(f"{header}: {response.headers[header]}", highlight=False)
    console.print()
    text = json.dumps(response.json(), indent=4, ensure_ascii=False)
    console.print(text, markup=False, highlight=False, soft_wrap=True)
