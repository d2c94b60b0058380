"""Waiting for things to come about: one way, with one limit."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2

Out = TypeVar("Out")

LONGEST = 40.0


async def until(look: Callable[[], Awaitable[Out | None]], what: str, seconds: float = LONGEST) -> Out:
    """Look until there is something; fails saying what did not come about."""
    deadline = time.monotonic() + seconds
    while True:
        found = await look()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.02)


async def job_in(
    client: httpx2.AsyncClient, job_id: int, *statuses: str, seconds: float = LONGEST
) -> dict[str, Any]:
    """The job, once its status is one of those; final ones if none are named."""
    wanted = statuses or ("SUCCESS", "FAILURE", "REVOKED")
    seen: dict[str, Any] = {}

    async def look() -> dict[str, Any] | None:
        nonlocal seen
        response = await client.get(f"/jobs/{job_id}/")
        assert response.status_code == 200, response.text
        seen = response.json()
        return seen if seen["status"] in wanted else None

    try:
        return await until(look, f"job {job_id} in {wanted}", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {seen.get('status')}: {seen.get('logs')}") from None


async def make_job(
    client: httpx2.AsyncClient, project_id: int, set_id: int | None, *, start: bool = True, **more: Any
) -> dict[str, Any]:
    """A populate job over REST."""
    body = {
        "name": "Populate",
        "delay": 0,
        "project_id": project_id,
        "source_image_collection_id": set_id,
        "job_type_key": "populate_captures_collection",
        **more,
    }
    response = await client.post("/jobs/?start_now" if start else "/jobs/", json=body)
    assert response.status_code == 201, response.text
    job: dict[str, Any] = response.json()
    return job
