"""Sessions over HTTP: those without a station, what the page of one shows, and its timeline (domain 8)."""

from typing import Any

import httpx2

from tests.field import Field


async def fetch(client: httpx2.AsyncClient, path: str, **params: Any) -> dict[str, Any]:
    response = await client.get(path, params=params)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


# without a station ----------------------------------------------------------------------------------------------


async def test_sessions_of_a_station_that_is_deleted_are_shown_nowhere(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    oak, elm = await field.station(project_id, "Oak"), await field.station(project_id, "Elm")
    lost = await field.session(project_id, oak, "2024-06-01")
    kept = await field.session(project_id, elm, "2024-06-01")
    capture: dict[str, Any] = {"deployment_id": oak, "event_id": lost, "path": "1.jpg"}
    made = (await client.post("/captures/", json=capture)).json()
    here = {"deployment_id": elm, "event_id": kept, "path": "2.jpg"}
    other = (await client.post("/captures/", json=here)).json()
    for capture_id in (made["id"], other["id"]):
        await field.row("detections", source_image_id=capture_id, bbox="[1, 1, 2, 2]")
    before = await fetch(client, "/status/summary/", project_id=project_id)

    gone = await client.delete(f"/deployments/{oak}/")

    assert gone.status_code == 204
    for params in ({}, {"project_id": project_id}, {"ordering": "deployment"}):
        page = await fetch(client, "/events/", **params)
        assert (page["count"], [each["id"] for each in page["results"]]) == (1, [kept])
    answers = [
        await client.get(f"/events/{lost}/"),
        await client.patch(f"/events/{lost}/", json={"group_by": "x"}),
        await client.put(
            f"/events/{lost}/", json={"deployment_id": elm, "group_by": "x", "start": "2024-06-01T22:00:00"}
        ),
        await client.delete(f"/events/{lost}/"),
    ]
    assert [answer.status_code for answer in answers] == [404] * 4
    assert await field.read("SELECT group_by FROM events WHERE id = %(id)s", id=lost) == [
        {"group_by": "2024-06-01"}
    ]
    after = await fetch(client, "/status/summary/", project_id=project_id)
    names = ("deployments", "events", "captures", "detections")
    assert [before[f"num_{name}"] for name in names] == [2, 2, 2, 2]
    assert [after[f"num_{name}"] for name in names] == [1, 1, 1, 1]
    assert after == await fetch(client, "/status/summary/")


async def test_what_names_a_session_names_none_whose_station_is_deleted(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    oak, elm = await field.station(project_id, "Oak"), await field.station(project_id, "Elm")
    lost = await field.session(project_id, oak, "2024-06-01")
    first, second = [
        (
            await client.post(
                "/captures/",
                json={
                    "deployment_id": oak,
                    "event_id": lost,
                    "path": f"{minute}.jpg",
                    "timestamp": f"2024-06-01T22:0{minute}:00",
                },
            )
        ).json()["id"]
        for minute in (1, 2)
    ]
    there = (await client.post("/captures/", json={"deployment_id": elm, "path": "x.jpg"})).json()
    job = {"project_id": project_id, "source_image_single_id": first, "job_type_key": "ml"}
    job_id = await field.row("jobs", name="Job", **job)
    assert (await fetch(client, f"/captures/{first}/"))["event_next_capture_id"] == second
    assert (await fetch(client, f"/jobs/{job_id}/"))["source_image_single"]["event_id"] == lost

    await client.delete(f"/deployments/{oak}/")

    body = await fetch(client, f"/captures/{first}/")
    assert (body["deployment"], body["event"], body["event_next_capture_id"]) == (None, None, None)
    page = await fetch(client, "/captures/", project_id=project_id)
    assert [(each["id"], each["event"]) for each in page["results"]] == [
        (first, None),
        (second, None),
        (there["id"], None),
    ]
    assert (await fetch(client, f"/jobs/{job_id}/"))["source_image_single"]["event_id"] is None
    filtered = await client.get("/captures/", params={"project_id": project_id, "event": lost})
    named = await client.patch(there["details"], json={"event_id": lost})
    assert (filtered.status_code, list(filtered.json())) == (400, ["event"])
    assert (named.status_code, named.json()) == (
        400,
        {"event_id": [f'Invalid pk "{lost}" - object does not exist.']},
    )
    # one that is removed is counted off the session that it is still of, shown or not
    assert (await client.delete(f"/captures/{first}/")).status_code == 204
    assert await field.read("SELECT captures_count FROM events WHERE id = %(id)s", id=lost) == [
        {"captures_count": 1}
    ]
