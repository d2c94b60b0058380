"""The finished demo job, field by field and line by line, against the page of a job of the platform itself."""

import json
import re
from pathlib import Path
from typing import Any

import httpx2

from db.connections import Database
from demo import rows as demo_rows
from tests.field import Field, Person
from tests.waiting import job_in

PAGE = Path(__file__).parent / "data" / "seed_page.txt"


def seed_page() -> tuple[dict[str, str], dict[str, Any]]:
    """The headers and the JSON of the page."""
    text = PAGE.read_text()
    head, _, body = text[text.index("HTTP 200 OK") :].partition("\n\n")
    headers = dict(line.split(": ", 1) for line in head.splitlines()[1:])
    return headers, json.loads(body)


def without_what_differs(value: Any) -> Any:
    """The same with ids, times and hosts replaced, so that everything else can be compared."""
    if isinstance(value, dict):
        return {key: _masked(key, inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_what_differs(inner) for inner in value]
    return _text_without(value) if isinstance(value, str) else value


def _masked(key: str, value: Any) -> Any:
    if key == "id":
        assert isinstance(value, int)
        return "<id>"
    if key.endswith("_at"):
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", value), value
        return "<time>"
    if key == "duration":
        assert re.fullmatch(r"\d+\.\d{6}", value), value
        return "<duration>"
    return without_what_differs(value)


def _text_without(text: str) -> str:
    text = re.sub(r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\]", "[<time>]", text)
    text = re.sub(r"^https?://[^/]+", "<host>", text)
    return re.sub(r"(#|\bjob |collection |/)\d+\b", r"\1<id>", text)


async def test_the_finished_demo_job_equals_the_page(
    address: str, database: Database, field: Field, worker: None
) -> None:
    owner: Person = await field.person("owner@example.org")
    async with database.transaction() as db:
        _, set_id = await demo_rows.find_or_make(db, owner.id)
    async with httpx2.AsyncClient(base_url=f"{address}/api/v2") as anonymous:
        answer = await anonymous.post(f"/captures/collections/{set_id}/populate/", headers=owner.headers)
        job_id = answer.json()["job_id"]
        await job_in(anonymous, job_id, "SUCCESS")
        response = await anonymous.get(f"/jobs/{job_id}/?format=api")

    headers, page = seed_page()
    assert response.headers["allow"] == headers["Allow"]
    assert response.headers["content-type"] == headers["Content-Type"]
    assert "Accept" in response.headers["vary"]
    job = response.json()
    # the one field that the page does not have comes last
    assert list(job)[-1] == "paused_at"
    assert job.pop("paused_at") is None
    # as text: the order of keys, nesting and the forms of numbers count
    assert json.dumps(without_what_differs(job), indent=1) == json.dumps(without_what_differs(page), indent=1)


async def test_the_demo_project_is_made_once(database: Database, field: Field) -> None:
    owner = await field.person("owner@example.org")
    async with database.transaction() as db:
        first = await demo_rows.find_or_make(db, owner.id)
    async with database.transaction() as db:
        again = await demo_rows.find_or_make(db, owner.id)
        cursor = await db.execute("SELECT count(DISTINCT event_id) AS nights FROM source_images")
        row = await cursor.fetchone()

    assert again == first
    assert row == {"nights": 403}
