"""`nightjar demo`: the demo project, and a job on it from request to result."""

import asyncio
import json
from collections.abc import Callable

import httpx2
from rich.console import Console

from api.tokens import new_token
from commands import display
from commands.connection import Server
from config import Settings
from db import demo_rows, user_rows
from db.connections import Database

OWNER = "demo@example.org"
TOKEN_NAME = "demo"


async def _prepare(settings: Settings) -> tuple[int, str]:
    """The demo's capture set, and a fresh token of its owner: the one before is taken back."""
    token, token_hash = new_token()
    async with (
        Database(settings.database_url, size=2, name="nightjar demo") as database,
        database.transaction() as db,
    ):
        owner_id = await user_rows.upsert(db, OWNER, name="Demo")
        await user_rows.revoke(db, owner_id, TOKEN_NAME)
        await user_rows.add_token(db, owner_id, TOKEN_NAME, token_hash)
        _, set_id = await demo_rows.find_or_make(db, owner_id)
    return set_id, token


def show(settings: Settings, api_url: str, console: Console, say: Callable[[str], None]) -> tuple[str, bool]:
    """Run the demo job and print it as it ended; gives a token, and whether the job succeeded."""
    say("the demo project and its job")
    set_id, token = asyncio.run(_prepare(settings))
    server = Server(api_url, token)
    job_id = server.call("POST", f"/captures/collections/{set_id}/populate/")["job_id"]
    job = display.watch(console, lambda: server.call("GET", f"/jobs/{job_id}/"))
    address = f"/api/v2/jobs/{job_id}/?format=api"
    # as anybody may see it: without a token
    response = httpx2.get(f"{api_url}{address}", timeout=10)
    console.print(f"\nGET {address}\nHTTP {response.status_code} OK", highlight=False)
    for header in ("Allow", "Content-Type", "Vary"):
        console.print(f"{header}: {response.headers[header]}", highlight=False)
    console.print()
    text = json.dumps(response.json(), indent=4, ensure_ascii=False)
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    return token, job["status"] == "SUCCESS"
