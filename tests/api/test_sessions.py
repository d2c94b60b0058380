"""Sessions over HTTP: those without a station, what the page of one shows, and its timeline (domain 8)."""

from datetime import datetime
from typing import Any

import httpx2
import pytest

from db import session_rows
from tests.field import Field

BOX = "[1, 1, 2, 2]"


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
        await field.row("detections", source_image_id=capture_id, bbox=BOX)
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


# the page of one ------------------------------------------------------------------------------------------------

FIELDS = [
    *(
        "id",
        "name",
        "details",
        "deployment",
        "start",
        "end",
        "day",
        "date_label",
        "duration",
        "duration_label",
    ),
    *("captures_count", "detections_count", "occurrences_count", "stats", "taxa_count", "captures"),
    *("first_capture", "summary_data", "capture_page_offset", "created_at", "updated_at", "user_permissions"),
]
TOP_SPECIES = {"title": "Top species", "data": {"x": [], "y": []}, "type": "bar", "orientation": "h"}


async def night(field: Field, *times: str | None) -> tuple[int, int, list[int]]:
    """A project, a session in it, and its captures at those times."""
    project_id = await field.project()
    station_id = await field.station(project_id)
    session_id = await field.session(project_id, station_id, "2024-06-01")
    moments = [None if time is None else datetime.fromisoformat(time) for time in times]
    captures = await field.captures(project_id, station_id, moments, session_id=session_id)
    async with field.database.transaction() as db:
        await session_rows.refresh(db, [session_id])
    return project_id, session_id, captures


async def detect(
    field: Field, capture_id: int, *boxes: str | None, occurrence_id: int | None = None
) -> list[int]:
    """Detections on a capture, or with null marks that nothing was found; gives their ids."""
    values = {"source_image_id": capture_id, "occurrence_id": occurrence_id}
    return [await field.row("detections", bbox=box, **values) for box in boxes]


async def test_the_page_of_a_session_has_its_fields_in_order(
    anonymous: httpx2.AsyncClient, field: Field, address: str
) -> None:
    project_id, session_id, captures = await night(field, None, "2024-06-01T23:00:00", "2024-06-01T22:00:00")
    await detect(field, captures[1], BOX, BOX, None)
    await detect(field, captures[2], BOX, None)

    body = await fetch(anonymous, f"/events/{session_id}/")

    assert list(body) == FIELDS
    assert body == await fetch(anonymous, f"/events/{session_id}")
    assert (body["start"], body["end"]) == ("2024-06-01T22:00:00", "2024-06-01T23:00:00")
    assert (body["captures_count"], body["detections_count"], body["taxa_count"]) == (3, 3, 0)
    # marks count too
    assert body["stats"] == {"detections_max_count": 3, "detections_min_count": 0}
    assert body["captures"] == f"{address}/api/v2/captures/?event={session_id}&ordering=timestamp"
    assert body["first_capture"] == {
        "id": captures[2],
        "details": f"{address}/api/v2/captures/{captures[2]}/",
        "url": None,
        "width": None,
        "height": None,
        "timestamp": "2024-06-01T22:00:00",
        "detections_count": 1,
        "detections": [],
        "thumbnails": None,
        "user_permissions": [],
    }
    assert body["capture_page_offset"] is None
    [listed] = (await fetch(anonymous, "/events/", project_id=project_id))["results"]
    for name in set(FIELDS) & set(listed) - {"captures"}:
        assert listed[name] == body[name]


async def test_a_session_without_captures_says_so(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    body = {"deployment_id": await field.station(project_id), "start": "2024-06-01T22:00:00"}

    made = (await client.post("/events/", json=body)).json()

    assert list(made) == FIELDS
    assert made["first_capture"] is None
    assert made["stats"] == {"detections_max_count": None, "detections_min_count": None}
    empty = {"title": "Detections per hour", "data": {"x": [], "y": [], "ticktext": []}, "type": "bar"}
    assert made["summary_data"] == [empty, TOP_SPECIES]


async def test_detections_are_plotted_by_hour_in_the_order_of_the_night(
    client: httpx2.AsyncClient, field: Field
) -> None:
    times = [f"2024-06-01T{hour:02}:59:59" for hour in (12, 13, 21)]
    times += [f"2024-06-02T{hour:02}:00:00" for hour in (0, 4, 12)]
    project_id, session_id, captures = await night(field, *times, None)
    other_id = await field.project("Bees")
    ours = {"project_id": project_id, "event_id": session_id}
    mine, other = await field.row("occurrences", **ours), await field.row("occurrences", **ours)
    for capture_id in captures:
        await detect(field, capture_id, BOX, occurrence_id=mine)
    await detect(field, captures[2], BOX, BOX, occurrence_id=other)
    # what does not count: without an occurrence, a mark, an occurrence of another session or project
    await detect(field, captures[1], BOX)
    await detect(field, captures[1], None, occurrence_id=mine)
    for owner in ({"project_id": project_id}, {"project_id": other_id, "event_id": session_id}):
        await detect(field, captures[1], BOX, occurrence_id=await field.row("occurrences", **owner))

    [plot, species] = (await fetch(client, f"/events/{session_id}/"))["summary_data"]

    hours = ["1:00 PM", "9:00 PM", "12:00 AM", "4:00 AM", "12:00 PM"]
    assert plot == {
        "title": "Detections per hour",
        "data": {"x": hours, "y": [1, 3, 1, 1, 2], "ticktext": ["1:00 PM", "12:00 PM"]},
        "type": "bar",
    }
    assert species == TOP_SPECIES


async def test_the_page_of_a_session_says_how_many_captures_are_before_the_one_that_is_named(
    client: httpx2.AsyncClient, field: Field, address: str
) -> None:
    times = [f"2024-06-01T22:0{minute}:00" for minute in (0, 1, 1, 2)]
    project_id, session_id, captures = await night(field, *times, None)
    _, _, [elsewhere] = await night(field, "2024-06-01T22:01:00")
    occurrence_id = await field.row("occurrences", project_id=project_id, event_id=session_id)
    [late] = await detect(field, captures[3], BOX, occurrence_id=occurrence_id)
    [early] = await detect(field, captures[2], BOX, occurrence_id=occurrence_id)
    [of_undated] = await detect(field, captures[4], BOX)

    async def offset(**params: Any) -> int | None:
        body = await fetch(client, f"/events/{session_id}/", **params)
        given: int | None = body["capture_page_offset"]
        more = f"&offset={given}" if given else ""
        link = f"{address}/api/v2/captures/?event={session_id}&ordering=timestamp{more}"
        assert body["captures"] == link
        return given

    assert [await offset(capture=each) for each in captures] == [0, 1, 1, 3, None]
    assert [await offset(timestamp=each) for each in times] == [0, 1, 1, 3]
    assert [await offset(timestamp=each) for each in ("2024-06-01T22:00:00.5", "2024-06-01 22:02")] == [
        None,
        3,
    ]
    assert [await offset(detection=each) for each in (late, early, of_undated)] == [3, 1, None]
    # by its earliest detection
    assert await offset(occurrence=occurrence_id) == 1
    # what is not there, or of another session
    assert [await offset(capture=each) for each in (elsewhere, 999999, 0, 2**63, 10**30)] == [None] * 5
    assert [await offset(detection=999999), await offset(occurrence=999999)] == [None, None]
    # the first that is given goes before the others
    assert await offset(occurrence=occurrence_id, capture=captures[3], timestamp=times[0]) == 3
    assert await offset(capture="", occurrence=occurrence_id) == 1
    assert await offset(capture=999999, occurrence=occurrence_id) is None
    # without any
    assert [await offset(), await offset(offset=7), await offset(offset="x"), await offset(offset=-1)] == [
        *(None, 7),
        *(None, None),
    ]
    assert await offset(offset=7, capture=captures[1]) == 1
    # a list of the captures begins there
    page = await fetch(
        client, "/captures/", project_id=project_id, event=session_id, ordering="timestamp", offset=3
    )
    assert page["results"][0]["id"] == captures[3]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            (name, value)
            for name in ("capture", "detection", "occurrence")
            for value in ("x", "1.5", "1_000", "٣", "1e3", "NaN")
        ),
        *(
            ("timestamp", value)
            for value in ("x", "2024-06-01", "2024-13-01T00:00:00", "2024-06-01T22:00:00Z")
        ),
    ],
)
async def test_what_cannot_name_a_capture_is_refused(
    client: httpx2.AsyncClient, field: Field, name: str, value: str
) -> None:
    _, session_id, _ = await night(field, "2024-06-01T22:00:00")

    response = await client.get(f"/events/{session_id}/", params={name: value})

    assert (response.status_code, list(response.json())) == (400, [name])


# timelines ------------------------------------------------------------------------------------------------------


async def test_a_timeline_has_an_interval_for_each_minute(
    anonymous: httpx2.AsyncClient, field: Field, address: str
) -> None:
    times = [f"2024-06-01T22:{time}" for time in ("00:00", "01:00", "01:00.000001", "03:30")]
    _, session_id, captures = await night(field, *times, None)
    await detect(field, captures[1], BOX, BOX)
    await detect(field, captures[2], None)
    await detect(field, captures[4], BOX, BOX, BOX)

    body = await fetch(anonymous, f"/events/{session_id}/timeline/")

    def link(capture_id: int) -> dict[str, Any]:
        details = f"{address}/api/v2/captures/{capture_id}/"
        return {"id": capture_id, "details": details, "user_permissions": []}

    assert list(body) == ["data", "meta"]
    assert body["data"][0] == {
        "start": "2024-06-01T22:00:00",
        "end": "2024-06-01T22:01:00",
        "first_capture": link(captures[0]),
        "top_capture": link(captures[1]),
        "captures_count": 2,
        "detections_count": 2,
        "detections_avg": 2,
        "was_processed": True,
    }
    names = ("captures_count", "detections_count", "detections_avg", "was_processed")
    assert [[each[name] for name in names] for each in body["data"][1:]] == [
        [1, 0, 0, True],
        [0, 0, 0, False],
        [1, 0, 0, False],
    ]
    assert [each["first_capture"] for each in body["data"][1:]] == [
        link(captures[2]),
        None,
        link(captures[3]),
    ]
    assert body["data"][2]["top_capture"] is None
    assert list(body["data"][1]) == list(body["data"][0])
    assert (body["data"][3]["start"], body["data"][3]["end"]) == (
        "2024-06-01T22:03:00",
        "2024-06-01T22:03:30",
    )
    # over all captures, with a time or without
    assert list(body["meta"].items()) == [
        ("total_intervals", 4),
        ("resolution_minutes", 1),
        ("max_detections", 3),
        ("min_detections", 0),
        ("total_detections", 5),
        ("timeline_start", "2024-06-01T22:00:00"),
        ("timeline_end", "2024-06-01T22:03:30"),
    ]
    coarse = await fetch(anonymous, f"/events/{session_id}/timeline/", resolution_minutes=3)
    assert [each["captures_count"] for each in coarse["data"]] == [3, 1]
    assert coarse["meta"]["resolution_minutes"] == 3
    assert body == await fetch(anonymous, f"/events/{session_id}/timeline")
    assert body == await fetch(anonymous, f"/events/{session_id}/timeline/", resolution_minutes="")


async def test_a_timeline_of_one_moment_has_one_interval(client: httpx2.AsyncClient, field: Field) -> None:
    _, session_id, captures = await night(field, "2024-06-01T22:00:00", "2024-06-01T22:00:00")

    [only] = (await fetch(client, f"/events/{session_id}/timeline/"))["data"]

    assert (only["start"], only["end"]) == ("2024-06-01T22:00:00", "2024-06-01T22:00:00")
    assert (only["captures_count"], only["first_capture"]["id"], only["top_capture"]["id"]) == (2, *captures)


async def test_a_timeline_changes_nothing(client: httpx2.AsyncClient, field: Field) -> None:
    _, session_id, [capture_id, _] = await night(field, "2024-06-01T22:00:00", "2024-06-01T23:00:00")
    await detect(field, capture_id, BOX)
    row = "SELECT e.*, i.updated_at AS of_capture FROM events e JOIN source_images i ON i.event_id = e.id ORDER BY i.id"
    before = await field.read(row)

    await fetch(client, f"/events/{session_id}/timeline/")

    assert await field.read(row) == before


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5", "1_0", "٣", "1e1", "NaN", "2147483648", "9" * 40])
async def test_a_resolution_that_is_none_is_refused(
    client: httpx2.AsyncClient, field: Field, value: str
) -> None:
    _, session_id, _ = await night(field, "2024-06-01T22:00:00")

    response = await client.get(f"/events/{session_id}/timeline/", params={"resolution_minutes": value})

    assert (response.status_code, list(response.json())) == (400, ["resolution_minutes"])


async def test_a_long_session_is_shown_coarsely_and_in_no_more_intervals_than_may_be(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    body = {
        "deployment_id": await field.station(project_id),
        "start": "2014-06-01T00:00:00",
        "end": "2024-06-01T00:00:00",
    }
    path = f"{(await client.post('/events/', json=body)).json()['details']}timeline/"

    usual = await fetch(client, path)
    refused = await client.get(path, params={"resolution_minutes": 1826})
    taken = await fetch(client, path, resolution_minutes=1827)
    coarse = await fetch(client, path, resolution_minutes=2**31 - 1)

    assert usual == taken
    assert (usual["meta"]["resolution_minutes"], len(usual["data"])) == (1827, 2880)
    assert (refused.status_code, refused.json()) == (
        400,
        {
            "resolution_minutes": [
                "There would be 2881 intervals, and at most 2880 are given. "
                "Ensure this value is greater than or equal to 1827."
            ]
        },
    )
    assert [(each["start"], each["end"]) for each in coarse["data"]] == [(body["start"], body["end"])]


async def test_a_timeline_is_there_for_whoever_may_see_the_session(
    anonymous: httpx2.AsyncClient, client: httpx2.AsyncClient, field: Field
) -> None:
    project_id, session_id, _ = await night(field, "2024-06-01T22:00:00")
    path = f"/events/{session_id}/timeline/"
    other = await field.project("Bees")
    elsewhere = await field.station(other)

    narrowed = [
        await client.get(path, params={"project_id": other}),
        await client.get(path, params={"deployment": elsewhere}),
        await client.get("/events/999999/timeline/"),
        await client.get("/events/x/timeline/"),
    ]
    assert [answer.status_code for answer in narrowed] == [404] * 4
    await field.read("UPDATE projects SET draft = true WHERE id = %(id)s RETURNING 1", id=project_id)
    assert (await anonymous.get(path)).status_code == 404
    assert (await client.get(path)).status_code == 200
    station_id = (await fetch(client, f"/events/{session_id}/"))["deployment"]["id"]
    await client.delete(f"/deployments/{station_id}/")
    assert (await client.get(path)).status_code == 404


async def test_the_document_says_what_sessions_may_be_asked_for(client: httpx2.AsyncClient) -> None:
    paths = (await client.get("/schema/")).json()["paths"]

    def parameters(path: str) -> list[str]:
        return [each["name"] for each in paths[path]["get"]["parameters"] if each["in"] == "query"]

    places = ["capture", "timestamp", "detection", "occurrence", "offset"]
    assert [name for name in parameters("/api/v2/events/{item_id}/") if name in places] == places
    timeline = paths["/api/v2/events/{item_id}/timeline/"]["get"]
    assert timeline["operationId"] == "get_session_timeline"
    assert "resolution_minutes" in parameters("/api/v2/events/{item_id}/timeline/")
    schema = timeline["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/Timeline"}
