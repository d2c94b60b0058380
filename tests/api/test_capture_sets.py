"""Capture sets over HTTP: shapes as recorded, who may do what, and filling them (contract 1.8, 1.11)."""

from typing import Any

import httpx2

from db import capture_set_rows
from tests.field import Field, Person
from tests.golden import recorded, shape
from tests.waiting import job_in

SETS = "/captures/collections/"
NOT_FOUND = {"detail": "Not found."}
FORBIDDEN = {"detail": "You do not have permission to perform this action."}
COUNTS = (
    "source_images_count",
    "source_images_with_detections_count",
    "source_images_processed_count",
    "occurrences_count",
    "taxa_count",
)
MANAGERS = ("MLDataManager", "ProjectManager")
MEMBERS = ("BasicMember", "Researcher", "Identifier")


def counted(body: dict[str, Any]) -> dict[str, Any]:
    """The same with every count a number: the recorded server leaves some of them out, ours counts always."""
    return {key: 0 if key in COUNTS and value is None else value for key, value in body.items()}


async def make(client: httpx2.AsyncClient, project_id: int, **more: Any) -> dict[str, Any]:
    response = await client.post(SETS, json={"name": "Set", "project": project_id, **more})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def fetch(client: httpx2.AsyncClient, set_id: int) -> dict[str, Any]:
    response = await client.get(f"{SETS}{set_id}/")
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.json()
    return found


# shapes -----------------------------------------------------------------------------------------------------


CREATED = (
    "collections_create_full",
    "collections_create_full_hours",
    "collections_create_detections_only",
    "collections_create_greatest_file_size_from_each_event",
    "collections_create_random_from_each_event",
    "collections_create_manual",
)


async def test_new_sets_are_answered_as_recorded(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    ours = ("id", "details", "source_images", "created_at", "updated_at")

    for name in CREATED:
        exchange = recorded(name)
        sent = {**exchange.request["json"], "project": project_id}
        response = await client.post(SETS, json=sent)
        made = response.json()
        # the recorded server drops the argument of `manual`
        expected = {**counted(exchange.body), "project": project_id, "kwargs": sent["kwargs"]}
        assert response.status_code == exchange.status
        assert list(made) == list(exchange.body)
        assert shape({**made, "kwargs": {}}) == shape({**expected, "kwargs": {}})
        assert made == {**expected, **{key: made[key] for key in ours}}
        assert response.headers["allow"] == exchange.headers["allow"]
        assert response.headers["vary"].startswith(exchange.headers["vary"])
        assert await fetch(client, made["id"]) == made


async def test_the_details_of_a_set_are_answered_as_recorded(
    client: httpx2.AsyncClient, field: Field
) -> None:
    exchange = recorded("collections_detail")
    project_id, set_id = await field.small_set(nights=1)
    await client.post(f"{SETS}{set_id}/populate/")

    response = await client.get(f"{SETS}{set_id}/", params={"project_id": project_id})

    assert response.status_code == exchange.status
    assert shape(response.json()) == shape({**exchange.body, "kwargs": {"num_each": 0}})
    assert response.headers["allow"] == exchange.headers["allow"]
    assert response.headers["content-type"] == exchange.headers["content-type"]


async def test_the_list_of_sets_is_answered_as_recorded(client: httpx2.AsyncClient, field: Field) -> None:
    exchange = recorded("collections_list")
    project_id, with_jobs = await field.small_set(nights=1, method="full", hour_start=20)
    await field.capture_set(project_id)
    await field.capture_set(project_id)
    await client.post(f"{SETS}{with_jobs}/populate/")

    response = await client.get(SETS, params={"project_id": project_id, "limit": 2})

    page = response.json()
    assert response.status_code == exchange.status
    assert shape({**page, "results": []}) == shape({**exchange.body, "results": []})
    assert page["next"].endswith(f"{SETS}?limit=2&offset=2&project_id={project_id}")
    assert (page["count"], page["previous"], len(page["results"])) == (3, None, 2)
    # recorded are a set without jobs and one with; ours come the other way round
    empty, filled = (shape(counted({**each, "kwargs": {}})) for each in exchange.body["results"])
    assert [shape({**each, "kwargs": {}}) for each in page["results"]] == [filled, empty]


async def test_a_method_that_nobody_can_choose_is_refused_as_recorded(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()

    for name in ("collections_create_nth", "collections_create_positional"):
        exchange = recorded(name)
        response = await client.post(SETS, json={**exchange.request["json"], "project": project_id})
        assert (response.status_code, response.json()) == (exchange.status, exchange.body)


async def test_addresses_in_a_set_are_absolute(
    client: httpx2.AsyncClient, field: Field, address: str
) -> None:
    made = await make(client, await field.project())

    assert made["details"] == f"{address}/api/v2/captures/collections/{made['id']}/"
    assert made["source_images"] == f"{address}/api/v2/captures/?collections={made['id']}"
    assert (await client.get(made["details"])).json() == made


async def test_times_are_naive(client: httpx2.AsyncClient, field: Field) -> None:
    made = await make(client, await field.project())

    for key in ("created_at", "updated_at"):
        date, _, time = made[key].partition("T")
        assert len(date) == 10
        assert not set(time) & set("Z+-")


# reading ----------------------------------------------------------------------------------------------------


async def test_a_set_counts_captures_those_with_detections_and_those_looked_at(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    [found, marked, unseen] = await field.captures(project_id, None, [None, None, None])
    set_id = await field.capture_set(project_id)
    async with field.database.transaction() as db:
        for capture in (found, marked, unseen):
            await capture_set_rows.add(db, set_id, capture)
        await db.execute(
            """INSERT INTO detections (source_image_id, bbox)
            VALUES (%(found)s, '[]'), (%(found)s, '[]'), (%(found)s, NULL), (%(marked)s, NULL)""",
            {"found": found, "marked": marked},
        )

    body = await fetch(client, set_id)

    assert [body[count] for count in COUNTS] == [3, 1, 2, 0, 0]


async def test_a_set_shows_its_newest_jobs_first_and_ten_at_most(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id, set_id = await field.small_set(nights=1)
    other_id = await field.capture_set(project_id)
    job = {"name": "X", "delay": 0, "project_id": project_id, "job_type_key": "populate_captures_collection"}
    made = []
    for number in range(12):
        answer = await client.post("/jobs/", json={**job, "source_image_collection_id": set_id})
        made.append(answer.json())
        if number == 0:
            await client.post("/jobs/", json={**job, "source_image_collection_id": other_id})

    jobs = (await fetch(client, set_id))["jobs"]

    keys = ("id", "details", "status", "job_type", "created_at", "updated_at", "user_permissions")
    assert jobs == [{key: each[key] for key in keys} for each in reversed(made[2:])]


async def test_times_of_the_jobs_of_a_set_look_as_other_times_do(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id, set_id = await field.small_set(nights=1)
    async with field.database.transaction() as db:
        await db.execute(
            """INSERT INTO jobs
                (name, project_id, source_image_collection_id, job_type_key, created_at, updated_at)
            VALUES ('X', %s, %s, 'unknown', '2024-06-01 12:00:00.5Z', '2024-06-01 12:00:01Z')""",
            (project_id, set_id),
        )

    [job] = (await fetch(client, set_id))["jobs"]
    whole = (await client.get(f"/jobs/{job['id']}/")).json()

    assert job["created_at"] == whole["created_at"]
    assert job["updated_at"] == whole["updated_at"]
    assert job["created_at"].endswith(":00:00.500000")
    assert job["updated_at"].endswith(":00:01")


async def test_nulls_among_the_arguments_of_a_set_are_not_shown(
    client: httpx2.AsyncClient, field: Field
) -> None:
    set_id = await field.capture_set(await field.project(), "random", {"size": 5, "hour_start": None})

    assert (await fetch(client, set_id))["kwargs"] == {"size": 5}


async def test_a_list_has_the_sets_of_the_project_asked_for_a_page_at_a_time(
    client: httpx2.AsyncClient, field: Field
) -> None:
    one, other = await field.project("Moths"), await field.project("Bees")
    sets = [await field.capture_set(one) for _ in range(3)]
    elsewhere = await field.capture_set(other)

    async def ids(**params: Any) -> list[int]:
        page = (await client.get(SETS, params=params)).json()
        return [each["id"] for each in page["results"]]

    assert await ids() == [*sets, elsewhere]
    assert await ids(project_id=one) == sets
    assert await ids(project_id=other) == [elsewhere]
    assert await ids(limit=2) == sets[:2]
    assert await ids(limit=2, offset=2) == [sets[2], elsewhere]
    assert await ids(offset=9) == []
    assert await ids(limit="x", offset="-1", colour="red") == [*sets, elsewhere]

    second = (await client.get(SETS, params={"limit": 1, "offset": 1})).json()
    assert second["count"] == 4
    assert second["next"].endswith(f"{SETS}?limit=1&offset=2")
    assert second["previous"].endswith(f"{SETS}?limit=1")


async def test_a_project_that_cannot_be_an_id_is_refused(client: httpx2.AsyncClient) -> None:
    word = await client.get(SETS, params={"project_id": "x"})
    negative = await client.get(SETS, params={"project_id": -1})

    assert (word.status_code, negative.status_code) == (400, 400)
    assert word.json() == {"project_id": ["A valid integer is required."]}
    assert negative.json() == {"project_id": ["Ensure this value is greater than or equal to 0."]}


async def test_a_set_that_is_not_there_is_not_found_by_any_method(client: httpx2.AsyncClient) -> None:
    answers = {}
    for key in ("999999", "0", "-1", "x", "1.5", "99999999999999999999", "%00", "٣"):
        path = f"{SETS}{key}/"
        for response in (
            await client.get(path),
            await client.put(path, json={}),
            await client.patch(path, json={}),
            await client.delete(path),
            await client.post(f"{path}populate/"),
        ):
            answers[key, response.request.method] = (response.status_code, response.json())

    assert len(answers) == 8 * 5
    assert answers == dict.fromkeys(answers, (404, NOT_FOUND))


async def test_other_methods_are_not_allowed(client: httpx2.AsyncClient, field: Field) -> None:
    set_id = await field.capture_set(await field.project())

    put = await client.put(SETS, json={})
    get = await client.get(f"{SETS}{set_id}/populate/")

    assert (put.status_code, put.json()) == (405, {"detail": 'Method "PUT" not allowed.'})
    assert (get.status_code, get.json()) == (405, {"detail": 'Method "GET" not allowed.'})
    assert get.headers["allow"] == recorded("collections_populate").headers["allow"]


# changing ---------------------------------------------------------------------------------------------------


async def test_an_edit_changes_what_is_sent_and_nothing_else(
    client: httpx2.AsyncClient, field: Field
) -> None:
    made = await make(client, await field.project(), method="random", kwargs={"size": 5}, description="First")

    response = await client.patch(made["details"], json={"name": "Renamed", "source_images_count": 9})

    changed = response.json()
    assert response.status_code == 200
    assert changed.pop("updated_at") > made.pop("updated_at")
    assert changed == {**made, "name": "Renamed"}
    assert {**await fetch(client, made["id"]), "updated_at": None} == {**changed, "updated_at": None}


async def test_a_full_edit_needs_name_and_project_and_keeps_what_is_left_out(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    made = await make(client, project_id, method="random", kwargs={"size": 5}, description="First")

    refused = await client.put(made["details"], json={"description": "Second"})
    taken = await client.put(made["details"], json={"name": "Renamed", "project": project_id})

    assert refused.status_code == 400
    assert refused.json() == {"name": ["This field is required."], "project": ["This field is required."]}
    assert taken.status_code == 200
    assert {key: taken.json()[key] for key in ("name", "description", "method", "kwargs")} == {
        "name": "Renamed",
        "description": "First",
        "method": "random",
        "kwargs": {"size": 5},
    }


async def test_a_full_edit_replaces_method_and_arguments(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    made = await make(client, project_id, method="random", kwargs={"size": 5}, description="First")
    sent = {
        "name": "Renamed",
        "project": str(project_id),
        "method": "interval",
        "kwargs": {"minute_interval": 30},
        "description": "",
    }

    response = await client.put(made["details"], json=sent)

    assert response.status_code == 200
    assert {key: response.json()[key] for key in sent} == {**sent, "project": project_id}


async def test_an_edit_does_not_change_which_captures_are_in_the_set(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id, set_id = await field.small_set(nights=1)
    [capture] = await field.captures(project_id, None, [None])
    async with field.database.transaction() as db:
        await capture_set_rows.add(db, set_id, capture)

    body = {"method": "detections_only", "kwargs": {}}
    assert (await client.patch(f"{SETS}{set_id}/", json=body)).status_code == 200

    assert await field.members(set_id) == {capture}


async def test_a_set_cannot_move_to_another_project(client: httpx2.AsyncClient, field: Field) -> None:
    project_id, other_id = await field.project("Moths"), await field.project("Bees")
    made = await make(client, project_id)

    moved = await client.patch(made["details"], json={"project": other_id})
    unknown = await client.patch(made["details"], json={"project": 999999})
    same = await client.patch(made["details"], json={"project": project_id})

    assert (moved.status_code, list(moved.json())) == (400, ["project"])
    assert unknown.json() == {"project": ['Invalid pk "999999" - object does not exist.']}
    assert (same.status_code, same.json()["project"]) == (200, project_id)


async def test_a_set_that_is_deleted_is_gone_and_its_jobs_and_captures_stay(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    _, set_id = await field.small_set(nights=1)
    job_id = (await client.post(f"{SETS}{set_id}/populate/")).json()["job_id"]
    await job_in(client, job_id, "SUCCESS")

    response = await client.delete(f"{SETS}{set_id}/")

    assert (response.status_code, response.content) == (204, b"")
    assert (await client.get(f"{SETS}{set_id}/")).status_code == 404
    assert (await client.delete(f"{SETS}{set_id}/")).status_code == 404
    assert (await client.get(f"/jobs/{job_id}/")).json()["source_image_collection"] is None
    assert await field.members(set_id) == set()


# sampling methods and their arguments -----------------------------------------------------------------------


async def test_arguments_that_do_not_fit_the_method_are_refused(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    cases: list[tuple[str, dict[str, Any], str]] = [
        ("full", {"size": 5}, "size: unknown argument of the sampling method 'full'"),
        ("full", {"hour_start": "8h"}, "hour_start: expected an integer, got '8h'"),
        ("full", {"max_num": "-1"}, "max_num: must not be negative, got -1"),
        (
            "full",
            {"deployment_ids": ["3", "x"]},
            "deployment_ids: expected a list of integers, got ['3', 'x']",
        ),
        ("full", {"date_start": "1.6.2024"}, "date_start: expected a date as YYYY-MM-DD, got '1.6.2024'"),
        ("random", {"size": -1}, "size: must not be negative, got -1"),
        ("random_from_each_event", {"num_each": -1}, "num_each: must not be negative, got -1"),
        ("interval", {"exclude_events": "3"}, "exclude_events: expected a list of integers, got '3'"),
        ("interval", {"minute_interval": "ten"}, "minute_interval: expected a number of minutes, got 'ten'"),
        ("interval", {"minute_interval": "1e999"}, "minute_interval: out of range, got '1e999'"),
        ("random", {"size": "9223372036854775808"}, "size: out of range, got '9223372036854775808'"),
        ("manual", {}, "image_ids: a value is required"),
        ("manual", {"image_ids": None}, "image_ids: a value is required"),
        ("detections_only", {"event_ids": []}, "event_ids: unknown argument of the sampling method"),
        ("common_combined", {"shuffle": 1}, "shuffle: expected true or false, got 1"),
    ]

    answers = []
    for method, kwargs, _ in cases:
        body = {"name": "Set", "project": project_id, "method": method, "kwargs": kwargs}
        response = await client.post(SETS, json=body)
        [reason] = response.json()["kwargs"]
        answers.append((response.status_code, reason))

    expected = [reason for _, _, reason in cases]
    assert [status for status, _ in answers] == [400] * len(cases)
    assert [found[: len(reason)] for (_, found), reason in zip(answers, expected, strict=True)] == expected
    assert (await client.get(SETS)).json()["count"] == 0


async def test_every_method_that_clients_can_choose_is_taken(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    methods: dict[str, dict[str, Any]] = {
        "full": {"hour_start": 1700, "hour_end": 600, "date_start": "2024-06-01", "deployment_ids": []},
        "random": {"size": 0},
        "stratified_random": {},
        "interval": {"minute_interval": 2.5, "exclude_events": [3]},
        "manual": {"image_ids": [1, 2]},
        "starred": {},
        "random_from_each_event": {"num_each": 0},
        "last_and_random_from_each_event": {},
        "greatest_file_size_from_each_event": {"num_each": 3},
        "detections_only": {},
        "common_combined": {"minute_interval": 10, "max_num": 5, "shuffle": False},
    }

    for method, kwargs in methods.items():
        made = await make(client, project_id, method=method, kwargs=kwargs)
        assert (made["method"], made["kwargs"]) == (method, kwargs)


async def test_a_method_is_not_changed_to_one_that_the_arguments_do_not_fit(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    made = await make(client, project_id, method="random", kwargs={"size": 5})
    whole = {"name": "Set", "project": project_id}
    reason = {"kwargs": ["size: unknown argument of the sampling method 'full'"]}

    for response in (
        await client.patch(made["details"], json={"method": "full"}),
        await client.put(made["details"], json={**whole, "method": "full"}),
        await client.patch(made["details"], json={"method": "full", "kwargs": {"size": 5}}),
    ):
        assert (response.status_code, response.json()) == (400, reason)
    both = await client.patch(made["details"], json={"method": "full", "kwargs": {"hour_start": 5}})
    arguments = await client.patch(made["details"], json={"kwargs": {"num_each": 5}})

    assert (both.status_code, both.json()["method"], both.json()["kwargs"]) == (
        200,
        "full",
        {"hour_start": 5},
    )
    assert arguments.status_code == 400


async def test_a_null_argument_is_one_that_was_left_out(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, _ = await field.small_set(nights=2)
    # what a form sends that has a field for every argument of every method
    blank = {"minute_interval": None, "size": None, "num_each": None, "hour_start": None}

    totals = {}
    for method in ("full", "interval", "random_from_each_event", "detections_only"):
        made = await make(client, project_id, method=method, kwargs=blank)
        assert made["kwargs"] == {}
        job_id = (await client.post(f"{made['details']}populate/")).json()["job_id"]
        assert (await job_in(client, job_id))["status"] == "SUCCESS"
        totals[method] = len(await field.members(made["id"]))

    assert totals == {"full": 20, "interval": 2, "random_from_each_event": 20, "detections_only": 0}


async def test_arguments_may_be_text_as_the_form_of_the_page_sends_them(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    project_id, _ = await field.small_set(nights=3)
    [station] = (await client.get("/deployments/", params={"project_id": project_id})).json()["results"]
    blank = dict.fromkeys(("hour_start", "month_end", "date_start", "event_ids", "num_each"), "")
    cases: list[tuple[str, dict[str, Any], dict[str, Any], int]] = [
        (
            "interval",
            {"minute_interval": "3", "max_num": "5", "deployment_ids": [str(station["id"])], "size": None},
            {"minute_interval": 3, "max_num": 5, "deployment_ids": [station["id"]]},
            5,
        ),
        ("random", {"size": "7", "minute_interval": ""}, {"size": 7}, 7),
        ("full", {"hour_end": "20", "max_num": "11"}, {"hour_end": 20, "max_num": 11}, 11),
        ("common_combined", {"shuffle": "false", "max_num": "2"}, {"shuffle": False, "max_num": 2}, 2),
    ]

    for method, sent, kept, total in cases:
        made = await make(client, project_id, method=method, kwargs={**blank, **sent})
        assert made["kwargs"] == kept
        [row] = await field.read(
            "SELECT kwargs FROM source_image_collections WHERE id = %(id)s", id=made["id"]
        )
        assert row["kwargs"] == kept
        job_id = (await client.post(f"{made['details']}populate/")).json()["job_id"]
        assert (await job_in(client, job_id))["status"] == "SUCCESS"
        assert len(await field.members(made["id"])) == total
        changed = await client.patch(made["details"], json={"kwargs": {"max_num": "1"}})
        assert changed.json()["kwargs"] == {"max_num": 1}


async def test_arguments_that_a_program_wrote_as_text_are_read_as_numbers(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    _, set_id = await field.small_set(nights=3, method="random", size="4", hour_start="20", hour_end="")

    job_id = (await client.post(f"{SETS}{set_id}/populate/")).json()["job_id"]

    assert (await job_in(client, job_id))["status"] == "SUCCESS"
    assert len(await field.members(set_id)) == 4


# populate ---------------------------------------------------------------------------------------------------


async def test_populate_makes_a_job_that_fills_the_set(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    exchange = recorded("collections_populate")
    project_id, set_id = await field.small_set(nights=3)

    response = await client.post(f"{SETS}{set_id}/populate/", params={"project_id": project_id})

    answer = response.json()
    assert response.status_code == exchange.status
    assert shape(answer) == shape(exchange.body)
    assert answer["project_id"] == project_id
    assert response.headers["allow"] == exchange.headers["allow"]
    job = await job_in(client, answer["job_id"])
    assert (job["status"], job["name"]) == ("SUCCESS", f"Populate captures for collection {set_id}")
    assert job["job_type"]["key"] == "populate_captures_collection"
    assert job["source_image_collection"]["id"] == set_id
    body = await fetch(client, set_id)
    assert body["source_images_count"] == len(await field.members(set_id)) == 3
    assert [(each["id"], each["status"]) for each in body["jobs"]] == [(answer["job_id"], "SUCCESS")]


async def test_populating_again_makes_another_job_and_follows_the_edit(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    _, set_id = await field.small_set(nights=3, method="full", hour_start=20)

    first = (await client.post(f"{SETS}{set_id}/populate/")).json()["job_id"]
    await job_in(client, first, "SUCCESS")
    before = await field.members(set_id)
    await client.patch(f"{SETS}{set_id}/", json={"kwargs": {"date_end": "2024-06-01"}})
    second = (await client.post(f"{SETS}{set_id}/populate/")).json()["job_id"]
    await job_in(client, second, "SUCCESS")

    assert first != second
    assert len(before) == 30
    assert len(await field.members(set_id)) == 10
    assert [job["id"] for job in (await fetch(client, set_id))["jobs"]] == [second, first]


async def test_a_set_that_is_filled_by_other_means_cannot_be_populated(
    client: httpx2.AsyncClient, field: Field, worker: None
) -> None:
    made = await make(client, await field.project(), method="starred")

    response = await client.post(f"{made['details']}populate/")
    job = await job_in(client, response.json()["job_id"])

    assert response.status_code == 200
    assert job["status"] == "FAILURE"
    assert "captures cannot be sampled by the method 'starred'" in job["logs"]["stderr"][0]


# who may do what --------------------------------------------------------------------------------------------


def credentials(person: Person | None) -> dict[str, str]:
    return {} if person is None else person.headers


async def test_a_draft_project_is_there_for_its_people_only(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project(draft=True)
    set_id = await field.capture_set(project_id)
    other_id = await field.project("Bees")
    outsider = await field.person("outsider@example.org", ProjectManager=other_id)
    member = await field.person("member@example.org", BasicMember=project_id)
    path = f"{SETS}{set_id}/"

    for headers in ({}, outsider.headers):
        listed = await anonymous.get(SETS, headers=headers)
        answers = [
            await anonymous.get(path, headers=headers),
            await anonymous.put(path, json={"name": "X", "project": project_id}, headers=headers),
            await anonymous.patch(path, json={"name": "X"}, headers=headers),
            await anonymous.delete(path, headers=headers),
            await anonymous.post(f"{path}populate/", headers=headers),
        ]
        assert listed.json()["count"] == 0
        assert [(each.status_code, each.json()) for each in answers] == [(404, NOT_FOUND)] * 5

    by_member = await anonymous.get(path, headers=member.headers)
    listed = await anonymous.get(SETS, headers=member.headers)
    assert (by_member.status_code, by_member.json()["id"]) == (200, set_id)
    assert listed.json()["count"] == 1
    assert (await client.get(path)).status_code == 200


async def test_the_owner_of_a_draft_project_manages_its_sets(
    anonymous: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project(draft=True)
    owner = await field.person("owner@example.org")
    async with field.database.transaction() as db:
        await db.execute("UPDATE projects SET owner_id = %s WHERE id = %s", (owner.id, project_id))

    made = await anonymous.post(SETS, json={"name": "Set", "project": project_id}, headers=owner.headers)

    assert made.status_code == 201
    assert made.json()["user_permissions"] == ["populate", "update", "delete"]


async def test_everybody_reads_the_sets_of_a_project_that_is_no_draft(
    anonymous: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    set_id = await field.capture_set(project_id)

    page = (await anonymous.get(SETS, params={"project_id": project_id})).json()
    body = (await anonymous.get(f"{SETS}{set_id}/")).json()

    assert (page["count"], page["user_permissions"]) == (1, [])
    assert (body["id"], body["user_permissions"]) == (set_id, [])
    assert page["results"] == [body]


async def test_a_list_says_who_may_create(
    anonymous: httpx2.AsyncClient, client: httpx2.AsyncClient, field: Field
) -> None:
    ours, other = await field.project("Moths"), await field.project("Bees")
    manager = await field.person("manager@example.org", ProjectManager=ours)

    async def says(params: dict[str, int], person: Person | None = None) -> list[str]:
        response = await anonymous.get(SETS, params=params, headers=credentials(person))
        permissions: list[str] = response.json()["user_permissions"]
        return permissions

    assert await says({"project_id": ours}, manager) == ["create"]
    assert await says({"project_id": other}, manager) == []
    assert await says({}, manager) == []
    assert await says({"project_id": ours}) == []
    assert (await client.get(SETS)).json()["user_permissions"] == ["create"]


async def test_managers_do_what_members_and_outsiders_may_not(
    anonymous: httpx2.AsyncClient, field: Field
) -> None:
    project_id, other_id = await field.project("Moths"), await field.project("Bees")
    people: dict[str, Person | None] = {"anonymous": None}
    for role in (*MEMBERS, *MANAGERS):
        roles: dict[str, Any] = {role: project_id}
        people[role] = await field.person(f"{role}@example.org", **roles)
    people["outsider"] = await field.person("outsider@example.org", ProjectManager=other_id)
    new = {"name": "Set", "project": project_id}

    statuses, permissions, details = {}, {}, []
    for role, person in people.items():
        path = f"{SETS}{await field.capture_set(project_id)}/"
        headers = credentials(person)
        permissions[role] = (await anonymous.get(path, headers=headers)).json()["user_permissions"]
        answers = [
            await anonymous.post(SETS, json=new, headers=headers),
            await anonymous.put(path, json={**new, "method": "detections_only"}, headers=headers),
            await anonymous.patch(path, json={"name": "Renamed"}, headers=headers),
            await anonymous.post(f"{path}populate/", headers=headers),
            await anonymous.delete(path, headers=headers),
        ]
        statuses[role] = [answer.status_code for answer in answers]
        details += [answer.json() for answer in answers if answer.status_code == 403]

    assert statuses == {
        "anonymous": [401] * 5,
        **{role: [403] * 5 for role in MEMBERS},
        **{role: [201, 200, 200, 200, 204] for role in MANAGERS},
        "outsider": [403] * 5,
    }
    assert permissions == {
        role: ["populate", "update", "delete"] if role in MANAGERS else [] for role in people
    }
    assert details == [FORBIDDEN] * 20


async def test_who_may_not_write_changes_nothing(anonymous: httpx2.AsyncClient, field: Field) -> None:
    project_id, set_id = await field.small_set(nights=1)
    member = await field.person("member@example.org", Identifier=project_id)
    before = (await anonymous.get(f"{SETS}{set_id}/")).json()

    for headers in ({}, member.headers):
        await anonymous.post(SETS, json={"name": "New", "project": project_id}, headers=headers)
        await anonymous.patch(f"{SETS}{set_id}/", json={"name": "Renamed"}, headers=headers)
        await anonymous.post(f"{SETS}{set_id}/populate/", headers=headers)
        await anonymous.delete(f"{SETS}{set_id}/", headers=headers)

    assert (await anonymous.get(SETS)).json()["results"] == [before]
    assert before["jobs"] == []


async def test_a_set_is_not_made_in_a_project_where_one_has_no_role(
    anonymous: httpx2.AsyncClient, field: Field
) -> None:
    ours, other = await field.project("Moths"), await field.project("Bees")
    manager = await field.person("manager@example.org", MLDataManager=ours)

    response = await anonymous.post(SETS, json={"name": "Set", "project": other}, headers=manager.headers)

    assert (response.status_code, response.json()) == (403, FORBIDDEN)
