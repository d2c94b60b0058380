"""Sessions, captures and what sets have of them over HTTP (domain 1.2, 2.4, 8)."""

import asyncio
from typing import Any

import httpx2
import pytest

from tests.field import Field

SETS = "/captures/collections/"


async def make(client: httpx2.AsyncClient, path: str, /, **body: Any) -> dict[str, Any]:
    response = await client.post(path, json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def fetch(client: httpx2.AsyncClient, path: str) -> dict[str, Any]:
    response = await client.get(path)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


async def ids(client: httpx2.AsyncClient, path: str, **params: Any) -> list[int]:
    response = await client.get(path, params=params)
    assert response.status_code == 200, response.text
    page = response.json()
    assert page["count"] == len(page["results"])
    return [each["id"] for each in page["results"]]


# sessions -------------------------------------------------------------------------------------------------------


async def test_a_session_is_named_by_its_night(
    client: httpx2.AsyncClient, field: Field, address: str
) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id)

    made = await make(
        client, "/events/", deployment_id=station_id, start="2024-06-03T22:05:00", end="2024-06-04T05:40:00"
    )

    assert (made["name"], made["date_label"]) == ("Monday, Jun 3-4 2024", "Jun 3-4 2024")
    assert (made["start"], made["end"]) == ("2024-06-03T22:05:00", "2024-06-04T05:40:00")
    assert (made["day"], made["duration"], made["duration_label"]) == (
        "2024-06-03",
        "27300.0",
        "7 hours 35 min",
    )
    assert made["captures"] == f"{address}/api/v2/captures/?event={made['id']}&ordering=timestamp"
    assert made["deployment"]["id"] == station_id
    [kept] = await field.read("SELECT group_by, project_id FROM events")
    assert kept == {"group_by": "2024-06-03", "project_id": project_id}
    station = await fetch(client, f"/deployments/{station_id}/")
    assert (station["events_count"], station["events"][0]["id"]) == (1, made["id"])


async def test_a_station_has_one_session_of_a_name_however_many_ask_at_once(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    body = {"deployment_id": await field.station(project_id), "start": "2024-06-03T22:05:00"}
    taken = {"group_by": ["The station has a session of that name already."]}

    answers = await asyncio.gather(*(client.post("/events/", json=body) for _ in range(6)))
    other = await make(client, "/events/", **body, group_by="second")
    renamed = await client.patch(other["details"], json={"group_by": "2024-06-03"})
    same = await client.patch(other["details"], json={"group_by": "second"})

    assert sorted(answer.status_code for answer in answers) == [201, *[400] * 5]
    assert [answer.json() for answer in answers if answer.status_code == 400] == [taken] * 5
    assert (renamed.status_code, renamed.json(), same.status_code) == (400, taken, 200)


async def test_a_session_that_makes_no_sense_is_refused(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    body = {"deployment_id": await field.station(project_id), "start": "2024-06-03T22:05:00"}
    made = await make(client, "/events/", **body, end="2024-06-04T05:00:00")

    before = await client.post("/events/", json={**body, "end": "2024-06-03T20:00:00"})
    moved = await client.patch(made["details"], json={"start": "2024-06-05T00:00:00"})
    zoned = await client.patch(made["details"], json={"start": "2024-06-03T22:05:00Z"})
    unknown = await client.post("/events/", json={**body, "deployment_id": 999999})

    assert (before.status_code, list(before.json())) == (400, ["end"])
    assert (moved.status_code, list(moved.json())) == (400, ["end"])
    assert (zoned.status_code, list(zoned.json())) == (400, ["start"])
    assert unknown.json() == {"deployment_id": ['Invalid pk "999999" - object does not exist.']}


async def test_sessions_are_filtered_by_station_and_ordered(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    oak, elm = await field.station(project_id, "Oak"), await field.station(project_id, "Elm")
    row: dict[str, Any] = {"table": "events", "project_id": project_id}
    first = await field.row(**row, deployment_id=oak, group_by="1", start="2024-06-01", captures_count=5)
    second = await field.row(
        **row, deployment_id=elm, group_by="2", start="2024-06-02", end="2024-06-03", captures_count=9
    )
    third = await field.row(**row, deployment_id=oak, group_by="3", start="2024-06-03", end="2024-06-05")

    assert await ids(client, "/events/") == [first, second, third]
    assert await ids(client, "/events/", deployment=oak) == [first, third]
    assert await ids(client, "/events/", ordering="-start") == [third, second, first]
    assert await ids(client, "/events/", ordering="end") == [second, third, first]
    assert await ids(client, "/events/", ordering="-end") == [third, second, first]
    assert await ids(client, "/events/", ordering="-captures_count") == [second, first, third]
    assert await ids(client, "/events/", ordering="deployment,start") == [second, first, third]


async def test_the_captures_of_a_session_that_is_deleted_stay(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id)
    session_id = await field.session(project_id, station_id, "2024-06-01")
    [capture_id] = await field.captures(project_id, station_id, [None], session_id=session_id)

    gone = await client.delete(f"/events/{session_id}/")

    assert gone.status_code == 204
    assert (await fetch(client, f"/captures/{capture_id}/"))["event"] is None
    assert (await fetch(client, f"/deployments/{station_id}/"))["events_count"] == 0


# captures -------------------------------------------------------------------------------------------------------


async def test_a_capture_says_where_it_is_from_and_where_its_file_is(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id, "Oak")
    session_id = await field.session(project_id, station_id, "2024-06-01")

    made = await make(
        client,
        "/captures/",
        deployment_id=station_id,
        event_id=session_id,
        path="oak/1.jpg",
        public_base_url="https://files.example.org/moths/",
        timestamp="2024-06-01T22:15:00",
        width=4096,
        height=2160,
        size=16733,
    )

    assert made["url"] == "https://files.example.org/moths/oak/1.jpg"
    assert (made["deployment"]["name"], made["event"]["id"], made["project"]) == (
        "Oak",
        session_id,
        project_id,
    )
    assert (made["timestamp"], made["width"], made["height"]) == ("2024-06-01T22:15:00", 4096, 2160)
    assert (made["size"], made["size_display"]) == (16733, "16.3\xa0KB")
    assert made["thumbnails"] is None
    assert (made["detections"], made["jobs"], made["collections"]) == ([], [], [])
    assert made == await fetch(client, f"/captures/{made['id']}/")
    [listed] = (await fetch(client, f"/captures/?project_id={project_id}"))["results"]
    # a list counts no occurrences and taxa unless it is asked to
    uncounted = {"occurrences_count": None, "taxa_count": None}
    assert listed == {key: made[key] for key in listed} | uncounted


async def test_captures_are_listed_by_project_only(client: httpx2.AsyncClient, field: Field) -> None:
    ours, other = await field.project("Moths"), await field.project("Bees")
    [capture_id] = await field.captures(ours, None, [None])

    missing = await client.get("/captures/")
    empty = await client.get("/captures/", params={"project_id": ""})
    unknown = await client.get("/captures/", params={"project_id": 999999})
    word = await client.get("/captures/", params={"project_id": "x"})

    assert (missing.status_code, missing.json()) == (400, {"project_id": ["This field is required."]})
    assert (empty.status_code, word.status_code) == (400, 400)
    assert (unknown.status_code, unknown.json()) == (404, {"detail": "Not found."})
    assert await ids(client, "/captures/", project_id=ours) == [capture_id]
    assert await ids(client, "/captures/", project_id=other) == []


async def test_a_station_has_one_capture_of_a_path_however_many_ask_at_once(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    body = {"deployment_id": await field.station(project_id), "path": "1.jpg"}
    taken = {"path": ["The station has a capture with this path already."]}

    answers = await asyncio.gather(*(client.post("/captures/", json=body) for _ in range(6)))
    other = await make(client, "/captures/", **{**body, "path": "2.jpg"})
    renamed = await client.patch(other["details"], json={"path": "1.jpg"})
    elsewhere = await make(client, "/captures/", deployment_id=await field.station(project_id), path="1.jpg")
    moved = await client.patch(elsewhere["details"], json={"deployment_id": body["deployment_id"]})

    assert sorted(answer.status_code for answer in answers) == [201, *[400] * 5]
    assert [answer.json() for answer in answers if answer.status_code == 400] == [taken] * 5
    assert [(each.status_code, each.json()) for each in (renamed, moved)] == [(400, taken)] * 2


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"width": 0}, "Ensure this value is greater than or equal to 1."),
        ({"size": -1}, "Ensure this value is greater than or equal to 0."),
        ({"timestamp": "yesterday"}, "Datetime has wrong format."),
        ({"timestamp": "2024-13-01T00:00:00"}, "Datetime has wrong format."),
        ({"public_base_url": "files"}, "Enter a valid URL."),
        ({"path": ""}, "This field may not be blank."),
        ({"path": "x" * 256}, "Ensure this field has no more than 255 characters."),
        ({"event_id": 999999}, 'Invalid pk "999999" - object does not exist.'),
    ],
)
async def test_a_capture_that_makes_no_sense_is_refused(
    client: httpx2.AsyncClient, field: Field, values: dict[str, Any], message: str
) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id)

    response = await client.post("/captures/", json={"deployment_id": station_id, "path": "1.jpg", **values})

    [(name, [said])] = response.json().items()
    assert (response.status_code, name) == (400, next(iter(values)))
    assert said.startswith(message)
    assert (await fetch(client, f"/deployments/{station_id}/"))["captures_count"] == 0


async def test_a_capture_stays_within_its_project(client: httpx2.AsyncClient, field: Field) -> None:
    ours, other = await field.project("Moths"), await field.project("Bees")
    station_id, foreign_id = await field.station(ours), await field.station(other)
    session_id = await field.session(other, foreign_id, "2024-06-01")
    made = await make(client, "/captures/", deployment_id=station_id, path="1.jpg")

    answers = [
        await client.patch(made["details"], json={"deployment_id": foreign_id}),
        await client.patch(made["details"], json={"event_id": session_id}),
        await client.post(
            "/captures/", json={"deployment_id": station_id, "path": "2.jpg", "event_id": session_id}
        ),
    ]

    fields = ["deployment_id", "event_id", "event_id"]
    assert [(answer.status_code, list(answer.json())) for answer in answers] == [
        (400, [name]) for name in fields
    ]


async def test_counts_of_stations_and_sessions_follow_their_captures(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    oak, elm = await field.station(project_id, "Oak"), await field.station(project_id, "Elm")
    session_id = await field.session(project_id, oak, "2024-06-01")

    async def counts() -> list[Any]:
        one, two = await fetch(client, f"/deployments/{oak}/"), await fetch(client, f"/deployments/{elm}/")
        session = await fetch(client, f"/events/{session_id}/")
        return [
            (one["captures_count"], one["data_source_total_size"], one["first_date"], one["last_date"]),
            (two["captures_count"], session["captures_count"], session["start"], session["end"]),
        ]

    capture = {"deployment_id": oak, "event_id": session_id, "size": 10}
    first = await make(client, "/captures/", **capture, path="1.jpg", timestamp="2024-06-01T22:00:00")
    second = await make(client, "/captures/", **capture, path="2.jpg", timestamp="2024-06-02T03:00:00")
    with_both = await counts()
    await client.patch(second["details"], json={"deployment_id": elm, "event_id": None})
    moved = await counts()
    await client.patch(first["details"], json={"timestamp": "2024-06-01T23:00:00", "size": 99})
    changed = await counts()
    await client.delete(first["details"])
    gone = await counts()

    ten, eleven = "2024-06-01T22:00:00", "2024-06-01T23:00:00"
    assert with_both == [(2, 20, "2024-06-01", "2024-06-02"), (0, 2, ten, "2024-06-02T03:00:00")]
    assert moved == [(1, 10, "2024-06-01", "2024-06-01"), (1, 1, ten, ten)]
    assert changed == [(1, 99, "2024-06-01", "2024-06-01"), (1, 1, eleven, eleven)]
    # a session without captures keeps its time
    assert gone == [(0, None, None, None), (1, 0, eleven, eleven)]


async def test_a_capture_knows_its_neighbours_in_the_session(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id)
    session_id = await field.session(project_id, station_id, "2024-06-01")
    row: dict[str, Any] = {"table": "source_images", "project_id": project_id, "deployment_id": station_id}
    late = await field.row(**row, event_id=session_id, path="c", timestamp="2024-06-01 23:00")
    same = [
        await field.row(**row, event_id=session_id, path=path, timestamp="2024-06-01 22:00")
        for path in ("a", "b")
    ]
    undated = await field.row(**row, event_id=session_id, path="d")
    alone = await field.row(**row, path="e", timestamp="2024-06-01 22:30")

    found = {}
    for capture_id in (*same, late, undated, alone):
        body = await fetch(client, f"/captures/{capture_id}/")
        found[capture_id] = (
            *(body["event_prev_capture_id"], body["event_next_capture_id"]),
            *(body["event_current_capture_index"], body["event_total_captures"]),
        )

    # those of one time have one index, that of the last of them
    assert found == {
        same[0]: (None, same[1], 2, 4),
        same[1]: (same[0], late, 2, 4),
        late: (same[1], None, 3, 4),
        undated: (None, None, None, 4),
        alone: (None, None, None, None),
    }


async def test_a_capture_says_who_made_it_and_what_was_found_on_it(
    anonymous: httpx2.AsyncClient, client: httpx2.AsyncClient, field: Field
) -> None:
    project_id, other_id = await field.project(), await field.project("Bees")
    station_id = await field.station(project_id)
    manager = await field.person("manager@example.org", ProjectManager=project_id)
    body = {"deployment_id": station_id, "path": "1.jpg"}
    made = (await client.post("/captures/", json=body, headers=manager.headers)).json()
    ours = await field.row("occurrences", project_id=project_id)
    theirs = await field.row("occurrences", project_id=other_id)
    boxes = [("[10, 20, 110, 70.5]", ours), ("[1, 2, 3, 4]", theirs), ("[5, 5, 6, 6]", None), (None, None)]
    ids = [
        await field.row("detections", source_image_id=made["id"], bbox=box, occurrence_id=occurrence_id)
        for box, occurrence_id in boxes
    ]

    found = await fetch(anonymous, f"/captures/{made['id']}/")

    assert (found["uploaded_by"], found["test_image"]) == (manager.id, False)
    # a mark that nothing was found is no detection
    assert [each["id"] for each in found["detections"]] == ids[:3]
    assert found["detections"][0] == {
        "id": ids[0],
        "details": None,
        "url": None,
        "width": 100,
        "height": 50.5,
        "bbox": [10, 20, 110, 70.5],
        "occurrence": {
            "id": ours,
            "details": None,
            "determination": None,
            "determination_score": None,
            "user_permissions": [],
        },
        "classifications": None,
        "occurrence_meets_criteria": True,
        "user_permissions": [],
    }
    rest = [(each["occurrence"], each["occurrence_meets_criteria"]) for each in found["detections"][1:]]
    assert rest == [(None, False)] * 2
    order = [
        *("last_processed", "detections", "project", "uploaded_by", "test_image", "jobs", "collections"),
        *("event_next_capture_id", "event_prev_capture_id", "event_current_capture_index"),
        *("event_total_captures", "thumbnails", "user_permissions"),
    ]
    assert [name for name in found if name in order] == order


async def test_captures_are_filtered(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    oak, elm = await field.station(project_id, "Oak"), await field.station(project_id, "Elm")
    session_id = await field.session(project_id, oak, "2024-06-01")
    [found] = await field.captures(project_id, oak, [None], session_id=session_id)
    [marked] = await field.captures(project_id, oak, [None])
    [unseen] = await field.captures(project_id, elm, [None])
    set_id = await field.capture_set(project_id)
    async with field.database.transaction() as db:
        await db.execute(
            """INSERT INTO detections (source_image_id, bbox)
            VALUES (%(found)s, '[]'), (%(found)s, NULL), (%(marked)s, NULL)""",
            {"found": found, "marked": marked},
        )
    await client.post(f"{SETS}{set_id}/add/", json={"source_image": unseen})

    async def which(**params: Any) -> list[int]:
        return await ids(client, "/captures/", project_id=project_id, **params)

    assert await which() == [found, marked, unseen]
    assert [await which(deployment=oak), await which(deployment=elm)] == [[found, marked], [unseen]]
    assert [await which(event=session_id), await which(collections=set_id)] == [[found], [unseen]]
    assert [await which(processed="true"), await which(processed="false")] == [[found, marked], [unseen]]
    assert [await which(has_detections=""), await which(has_detections="0")] == [[found], [marked, unseen]]
    assert await which(processed="true", has_detections="false", deployment=oak) == [marked]
    for name in ("deployment", "event", "collections"):
        for value in ("999999", "x"):
            response = await client.get("/captures/", params={"project_id": project_id, name: value})
            assert (response.status_code, list(response.json())) == (400, [name])
    # filters narrow details too
    assert (await client.get(f"/captures/{found}/", params={"deployment": elm})).status_code == 404
    body = await fetch(client, f"/captures/{found}/")
    assert body["detections_count"] == 1
    assert body["last_processed"] is not None


async def test_captures_are_ordered_both_ways_with_what_is_unknown_last(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    oak, elm = await field.station(project_id, "Oak"), await field.station(project_id, "Elm")
    session_id = await field.session(project_id, oak, "2024-06-01")
    row: dict[str, Any] = {"table": "source_images", "project_id": project_id}
    late = await field.row(
        **row, deployment_id=oak, path="b", timestamp="2024-06-02", size=1, event_id=session_id
    )
    early = await field.row(**row, deployment_id=elm, path="c", timestamp="2024-06-01", size=9)
    undated = await field.row(**row, path="a")

    async def which(ordering: str) -> list[int]:
        return await ids(client, "/captures/", project_id=project_id, ordering=ordering)

    assert await ids(client, "/captures/", project_id=project_id) == [early, late, undated]
    assert [await which("timestamp"), await which("-timestamp")] == [
        [early, late, undated],
        [late, early, undated],
    ]
    assert [await which("size"), await which("-size")] == [[late, early, undated], [early, late, undated]]
    assert [await which("path"), await which("-path")] == [[undated, late, early], [early, late, undated]]
    assert [await which("deployment__name"), await which("-deployment__name")] == [
        [early, late, undated],
        [late, early, undated],
    ]
    assert (await which("event__start"))[0] == (await which("-event__start"))[0] == late
    assert await which("-id,invented") == [undated, early, late]


async def test_captures_are_found_by_their_path(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    row: dict[str, Any] = {"table": "source_images", "project_id": project_id}
    first = await field.row(**row, path="Oak/2024_06.jpg")
    second = await field.row(**row, path="elm/2024-06.png")

    async def which(search: str) -> list[int]:
        return await ids(client, "/captures/", project_id=project_id, search=search)

    assert [await which("oak"), await which("JPG oak"), await which("2024_")] == [[first]] * 3
    assert [await which("2024"), await which("")] == [[first, second]] * 2
    assert [await which("%"), await which("oak elm")] == [[], []]


async def test_a_capture_shows_the_jobs_about_it_and_the_sets_that_it_is_in(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    [capture_id] = await field.captures(project_id, None, [None])
    set_id = await field.capture_set(project_id, name="Best")
    await client.post(f"{SETS}{set_id}/add/", json={"source_image": capture_id})
    job = {"project_id": project_id, "source_image_single_id": capture_id, "job_type_key": "ml"}
    jobs = [await field.row("jobs", name="Job", **job) for _ in range(2)]

    body = await fetch(client, f"/captures/{capture_id}/")

    assert [each["id"] for each in body["jobs"]] == jobs[::-1]
    assert [(each["id"], each["name"]) for each in body["collections"]] == [(set_id, "Best")]
    whole = await fetch(client, f"/jobs/{jobs[-1]}/")
    assert body["jobs"][0] == {key: whole[key] for key in body["jobs"][0]}
    assert whole["source_image_single"]["id"] == capture_id


# in sets --------------------------------------------------------------------------------------------------------


async def test_the_first_star_makes_the_set_of_starred_captures_and_no_other_does(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id, other_id = await field.project("Moths"), await field.project("Bees")
    captures = await field.captures(project_id, None, [None] * 5)
    [elsewhere] = await field.captures(other_id, None, [None])

    answers = await asyncio.gather(*(client.post(f"/captures/{each}/star/") for each in captures))
    again = await client.post(f"/captures/{captures[0]}/star/")
    other = await client.post(f"/captures/{elsewhere}/star/")
    unstarred = await client.post(f"/captures/{captures[0]}/unstar/")
    twice = await client.post(f"/captures/{captures[0]}/unstar/")

    [starred] = (await fetch(client, f"{SETS}?project_id={project_id}"))["results"]
    assert (starred["name"], starred["method"]) == ("Starred Images", "starred")
    assert {answer.json()["collection"] for answer in answers} == {starred["id"]}
    assert sorted(answer.json()["total_images"] for answer in answers) == [1, 2, 3, 4, 5]
    assert again.json() == {"collection": starred["id"], "total_images": 5}
    assert other.json()["collection"] != starred["id"]
    assert unstarred.json() == twice.json() == {"collection": starred["id"], "total_images": 4}
    assert await field.members(starred["id"]) == set(captures[1:])
    flags = [(await fetch(client, f"/captures/{each}/"))["is_starred"] for each in captures[:2]]
    assert flags == [False, True]


async def test_captures_are_put_into_a_set_and_taken_out(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    captures = await field.captures(project_id, None, [None] * 4)
    set_id = await field.capture_set(project_id)
    path = f"{SETS}{set_id}/"

    answers = [
        await client.post(f"{path}add/", json={"source_image": captures[0]}),
        await client.post(f"{path}add/", json={"source_image": str(captures[1])}),
        await client.post(f"{path}add/", params={"source_image": captures[2]}),
        await client.post(f"{path}add/", json={"source_image": captures[2]}),
        await client.post(f"{path}remove/", json={"source_image": captures[0]}),
        await client.post(f"{path}remove/", json={"source_image": captures[3]}),
    ]

    assert [(each.status_code, each.json()) for each in answers] == [
        (200, {"collection": set_id, "total_images": total}) for total in (1, 2, 3, 3, 2, 2)
    ]
    assert await field.members(set_id) == set(captures[1:3])
    assert (await fetch(client, path))["source_images_count"] == 2


async def test_what_cannot_be_put_into_a_set_is_refused(client: httpx2.AsyncClient, field: Field) -> None:
    project_id, other_id = await field.project("Moths"), await field.project("Bees")
    [foreign] = await field.captures(other_id, None, [None])
    path = f"{SETS}{await field.capture_set(project_id)}/add/"

    answers = [
        await client.post(path, json={"source_image": foreign}),
        await client.post(path, json={"source_image": 999999}),
        await client.post(path, json={"source_image": "x"}),
        await client.post(path, json={"source_image": None}),
        await client.post(path, json={}),
        await client.post(f"{SETS}999999/add/", json={"source_image": foreign}),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 400, 400, 400, 404]
    assert answers[4].json() == {"source_image": ["This field is required."]}


async def test_a_set_counts_right_after_captures_in_it_are_deleted(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id)
    captures = await field.captures(project_id, station_id, [None] * 6)
    sets = [await field.capture_set(project_id) for _ in range(2)]
    for set_id, some in zip(sets, (captures, captures[:2]), strict=True):
        await asyncio.gather(
            *(client.post(f"{SETS}{set_id}/add/", json={"source_image": each}) for each in some)
        )

    async def counts() -> list[int]:
        return [(await fetch(client, f"{SETS}{set_id}/"))["source_images_count"] for set_id in sets]

    before = await counts()
    await asyncio.gather(*(client.delete(f"/captures/{each}/") for each in captures[1:4]))
    after = await counts()
    # many at once, as a program may
    await field.read("DELETE FROM source_images WHERE id = ANY(%(ids)s) RETURNING 1", ids=captures)

    assert (before, after) == ([6, 2], [3, 1])
    assert await counts() == [0, 0]
    assert [await field.members(set_id) for set_id in sets] == [set(), set()]


async def test_a_job_of_a_capture_that_is_deleted_stays(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    [capture_id] = await field.captures(project_id, None, [None])
    job_id = await field.row(
        "jobs", name="Job", project_id=project_id, source_image_single_id=capture_id, job_type_key="ml"
    )

    gone = await client.delete(f"/captures/{capture_id}/")

    assert gone.status_code == 204
    assert (await fetch(client, f"/jobs/{job_id}/"))["source_image_single"] is None


# addresses ------------------------------------------------------------------------------------------------------


async def test_thumbnails_are_named_nowhere_as_long_as_there_are_none(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id)
    session_id = await field.session(project_id, station_id, "2024-06-01")
    [capture_id] = await field.captures(project_id, station_id, [None], session_id=session_id)
    job = {"project_id": project_id, "source_image_single_id": capture_id, "job_type_key": "ml"}
    job_id = await field.row("jobs", name="Job", **job)
    paths = (
        f"/captures/{capture_id}/",
        f"/captures/?project_id={project_id}",
        f"/events/{session_id}/",
        "/events/",
        f"/deployments/{station_id}/",
        f"/jobs/{job_id}/",
    )

    texts = [(await client.get(path)).text for path in paths]

    assert ["captures/thumbnails" in text for text in texts] == [False] * 6
    # the field stays
    assert ['"thumbnails":null' in text for text in texts[:5]] == [True] * 5
    schemas = (await client.get("/schema/")).json()["components"]["schemas"]
    for name in ("Capture", "CaptureInList", "ExampleCapture"):
        kinds = schemas[name]["properties"]["thumbnails"]["anyOf"]
        assert kinds == [{"$ref": "#/components/schemas/Thumbnails"}, {"type": "null"}]
        assert "thumbnails" in schemas[name]["required"]
