"""Projects and their members over HTTP: what making one makes, settings, and who belongs to it (domain 1.1, 8)."""

import asyncio
from typing import Any

import httpx2

from tests.field import Field, Person

FLAGS = {
    "tags": False,
    "reprocess_existing_detections": False,
    "default_filters": False,
    "reprocess_all_images": False,
    "async_pipeline_workers": True,
}


async def make(
    client: httpx2.AsyncClient, headers: dict[str, str] | None = None, **more: Any
) -> dict[str, Any]:
    response = await client.post("/projects/", json={"name": "Moths", **more}, headers=headers or {})
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


async def listed(client: httpx2.AsyncClient, path: str, **params: Any) -> list[dict[str, Any]]:
    response = await client.get(path, params=params)
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


async def pipeline(field: Field, name: str = "Quebec") -> int:
    return await field.row("pipelines", name=name, slug=name.lower())


# projects -------------------------------------------------------------------------------------------------------


async def test_a_new_project_begins_with_a_device_a_site_a_station_and_a_set_of_everything(
    client: httpx2.AsyncClient,
) -> None:
    made = await make(client, description="Of Quebec")

    project = {"project_id": made["id"]}
    [device] = await listed(client, "/deployments/devices/", **project)
    [site] = await listed(client, "/deployments/sites/", **project)
    [station] = await listed(client, "/deployments/", **project)
    [capture_set] = await listed(client, "/captures/collections/", **project)
    assert (device["name"], site["name"]) == ("Default Device", "Default Site")
    assert (station["name"], station["latitude"], station["longitude"]) == ("Default Station", 0.0, 0.0)
    assert (station["device"]["id"], station["research_site"]["id"]) == (device["id"], site["id"])
    assert (capture_set["name"], capture_set["method"]) == ("All Images", "full")
    assert capture_set["source_images_count"] == 0
    assert [each["id"] for each in made["deployments"]] == [station["id"]]
    assert made["deployments_count"] == 1


async def test_who_makes_a_project_owns_and_manages_it(anonymous: httpx2.AsyncClient, field: Field) -> None:
    person = await field.person("founder@example.org")

    made = await make(anonymous, person.headers, draft=True)
    members = await anonymous.get(f"/projects/{made['id']}/members/", headers=person.headers)

    assert (made["owner"]["id"], made["is_member"], made["draft"]) == (person.id, True, True)
    assert made["user_permissions"] == ["update", "delete"]
    [member] = members.json()["results"]
    assert (member["user"]["id"], member["role"]) == (person.id, "ProjectManager")
    assert (await anonymous.get(made["details"])).status_code == 404
    body = {"name": "Sheet", "project_id": made["id"]}
    assert (await anonymous.post("/deployments/", json=body, headers=person.headers)).status_code == 201


async def test_a_project_says_whether_the_caller_is_of_it(
    anonymous: httpx2.AsyncClient, field: Field
) -> None:
    owner = await field.person("owner@example.org")
    project_id = await field.row("projects", name="Moths", owner_id=owner.id)
    ownerless_id = await field.project("Bees")
    people = {
        "superuser": await field.person("superuser@example.org", superuser=True),
        "owner": owner,
        "member": await field.person("member@example.org", BasicMember=project_id),
        "outsider": await field.person("outsider@example.org", ProjectManager=ownerless_id),
    }
    callers = {"anonymous": {}, **{name: person.headers for name, person in people.items()}}

    said = {
        name: [
            (await anonymous.get(f"/projects/{each}/", headers=headers)).json()["is_member"]
            for each in (project_id, ownerless_id)
        ]
        for name, headers in callers.items()
    }

    assert said == {
        "anonymous": [False, False],
        "superuser": [True, True],
        "owner": [True, False],
        "member": [True, False],
        "outsider": [False, True],
    }


async def test_settings_and_flags_begin_with_what_is_usual(client: httpx2.AsyncClient) -> None:
    made = await make(client)

    assert made["feature_flags"] == FLAGS
    assert {name: each for name, each in made["settings"].items() if name != "user_permissions"} == {
        "default_filters_exclude_taxa": [],
        "default_filters_include_taxa": [],
        "default_filters_score_threshold": 0.5,
        "default_processing_pipeline": None,
        "session_time_gap_seconds": 7200,
    }


async def test_a_change_of_settings_keeps_those_that_are_not_named(
    client: httpx2.AsyncClient, field: Field
) -> None:
    made = await make(client)
    pipeline_id = await pipeline(field)

    await client.patch(made["details"], json={"settings": {"session_time_gap_seconds": 3600}})
    await client.patch(
        made["details"], json={"settings": {"default_processing_pipeline_id": pipeline_id}, "name": "Bees"}
    )
    both = (await client.get(made["details"])).json()
    await client.patch(made["details"], json={"settings": {"default_processing_pipeline_id": None}})
    without = (await client.get(made["details"])).json()

    assert both["name"] == "Bees"
    assert both["settings"]["session_time_gap_seconds"] == 3600
    assert both["settings"]["default_processing_pipeline"] == {"id": pipeline_id, "name": "Quebec"}
    assert both["settings"]["default_filters_score_threshold"] == 0.5
    assert without["settings"]["default_processing_pipeline"] is None


async def test_a_change_of_flags_keeps_those_that_are_not_named(client: httpx2.AsyncClient) -> None:
    made = await make(client, feature_flags={"tags": True})

    await client.patch(made["details"], json={"feature_flags": {"async_pipeline_workers": False}})
    await client.patch(made["details"], json={"feature_flags": {"default_filters": True, "invented": True}})

    changed = {"tags": True, "async_pipeline_workers": False, "default_filters": True}
    assert (await client.get(made["details"])).json()["feature_flags"] == {**FLAGS, **changed}


async def test_settings_that_make_no_sense_are_refused(client: httpx2.AsyncClient) -> None:
    made = await make(client)
    unknown = 'default_processing_pipeline_id: Invalid pk "999999" - object does not exist.'
    cases: list[tuple[dict[str, Any], dict[str, list[str]]]] = [
        ({"settings": {"default_processing_pipeline_id": 999999}}, {"settings": [unknown]}),
        (
            {"settings": {"session_time_gap_seconds": 0}},
            {"settings": ["session_time_gap_seconds: Ensure this value is greater than or equal to 1."]},
        ),
        (
            {"settings": {"default_filters_score_threshold": 1.5}},
            {
                "settings": [
                    "default_filters_score_threshold: Ensure this value is less than or equal to 1.0."
                ]
            },
        ),
        ({"settings": []}, {"settings": ["Invalid data. Expected a dictionary, but got list."]}),
        ({"feature_flags": {"tags": "perhaps"}}, {"feature_flags": ["tags: Must be a valid boolean."]}),
        ({"name": ""}, {"name": ["This field may not be blank."]}),
        ({"name": "x" * 81}, {"name": ["Ensure this field has no more than 80 characters."]}),
    ]

    for body, messages in cases:
        response = await client.patch(made["details"], json=body)
        assert (response.status_code, response.json()) == (400, messages)
    assert {**(await client.get(made["details"])).json()} == made


async def test_the_list_of_projects_has_forty_to_a_page_by_priority(
    client: httpx2.AsyncClient, field: Field
) -> None:
    projects = [await field.project(f"Project {number}") for number in range(42)]
    await field.read("UPDATE projects SET priority = 9 WHERE id = %(id)s RETURNING 1", id=projects[-1])

    page = (await client.get("/projects/")).json()

    assert [each["id"] for each in page["results"]] == [projects[-1], *projects[:39]]
    assert page["count"] == 42
    assert page["next"].endswith("/projects/?limit=40&offset=40")
    assert len(await listed(client, "/projects/", limit=3)) == 3


async def test_a_user_asks_for_the_projects_that_they_belong_to(
    anonymous: httpx2.AsyncClient, client: httpx2.AsyncClient, field: Field, admin: Person
) -> None:
    joined, _, draft = (
        await field.project("A"),
        await field.project("B"),
        await field.project("C", draft=True),
    )
    person = await field.person("one@example.org", BasicMember=joined, Worker=draft)
    own = await make(anonymous, person.headers, name="D")

    async def ask(user_id: object, headers: dict[str, str]) -> httpx2.Response:
        return await anonymous.get("/projects/", params={"user_id": str(user_id)}, headers=headers)

    page = (await ask(person.id, person.headers)).json()
    statuses = [
        (await ask(admin.id, person.headers)).status_code,
        (await ask(person.id, {})).status_code,
        (await ask(person.id, admin.headers)).status_code,
        (await ask("x", person.headers)).status_code,
    ]

    assert [each["id"] for each in page["results"]] == [joined, draft, own["id"]]
    assert page["count"] == 3
    assert statuses == [403, 403, 403, 400]


async def test_projects_are_found_by_words_and_ordered_by_name(
    client: httpx2.AsyncClient, field: Field
) -> None:
    for name in ("Moths of Quebec", "Bees", "Moths of Panama"):
        await field.project(name)

    names = [each["name"] for each in await listed(client, "/projects/", search="moths OF", ordering="-name")]

    assert names == ["Moths of Quebec", "Moths of Panama"]


async def test_a_project_that_is_deleted_takes_what_is_its_own(
    client: httpx2.AsyncClient, field: Field
) -> None:
    made = await make(client)
    job = {"name": "x", "delay": 0, "project_id": made["id"], "job_type_key": "populate_captures_collection"}
    job_id = (await client.post("/jobs/", json=job)).json()["id"]

    response = await client.delete(made["details"])

    assert (response.status_code, response.content) == (204, b"")
    assert (await client.get(made["details"])).status_code == 404
    assert (await client.get(f"/jobs/{job_id}/")).status_code == 404
    for path in ("/deployments/", "/deployments/sites/", "/deployments/devices/", "/captures/collections/"):
        assert await listed(client, path) == []


# members --------------------------------------------------------------------------------------------------------


async def test_a_member_is_taken_in_by_email_given_another_role_and_dismissed(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project(draft=True)
    person = await field.person("newcomer@example.org")
    path = f"/projects/{project_id}/members/"

    async def sees() -> list[Any]:
        answer = await anonymous.get(f"/projects/{project_id}/", headers=person.headers)
        return [answer.status_code, answer.json().get("user_permissions")]

    before = await sees()
    made = await client.post(path, json={"email": "NewComer@Example.org", "role_id": "BasicMember"})
    as_member = await sees()
    one = f"{path}{made.json()['id']}/"
    changed = await client.patch(one, json={"role_id": "ProjectManager"})
    as_manager = await sees()
    whole = await client.put(one, json={"email": "newcomer@example.org", "role_id": "Identifier"})
    gone = await client.delete(one)

    assert (made.status_code, made.json()["role"], made.json()["role_display_name"]) == (
        201,
        "BasicMember",
        "Basic member",
    )
    assert made.json()["user"]["email"] == "newcomer@example.org"
    assert made.json()["project"].endswith(f"/projects/{project_id}/")
    assert (changed.status_code, changed.json()["role"]) == (200, "ProjectManager")
    assert (whole.status_code, whole.json()["role"]) == (200, "Identifier")
    assert gone.status_code == 204
    assert [before, as_member, as_manager] == [[404, None], [200, []], [200, ["update", "delete"]]]
    assert await sees() == [404, None]
    assert await listed(client, path) == []


async def test_a_member_who_cannot_be_one_is_refused(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    await field.person("member@example.org", BasicMember=project_id)
    path = f"/projects/{project_id}/members/"
    good = {"email": "member@example.org", "role_id": "Researcher"}
    cases: list[tuple[dict[str, Any], dict[str, list[str]]]] = [
        (good, {"email": ["This user is a member of the project already."]}),
        (
            {**good, "email": "nobody@example.org"},
            {"email": ["There is no user with this email address."]},
        ),
        ({**good, "email": "nobody"}, {"email": ["Enter a valid email address."]}),
        ({**good, "role_id": "Emperor"}, {"role_id": ['"Emperor" is not a valid choice.']}),
        ({}, {"email": ["This field is required."], "role_id": ["This field is required."]}),
    ]

    for body, messages in cases:
        response = await client.post(path, json=body)
        assert (response.status_code, response.json()) == (400, messages)
    assert [each["role"] for each in await listed(client, path)] == ["BasicMember"]


async def test_a_membership_does_not_pass_to_another_user(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    await field.person("member@example.org", BasicMember=project_id)
    await field.person("other@example.org")
    [member] = await listed(client, f"/projects/{project_id}/members/")

    one = f"/projects/{project_id}/members/{member['id']}/"
    response = await client.patch(one, json={"email": "other@example.org", "role_id": "Worker"})

    assert (response.status_code, list(response.json())) == (400, ["email"])
    assert (await client.get(one)).json()["role"] == "BasicMember"


async def test_a_member_is_found_below_their_own_project_only(
    client: httpx2.AsyncClient, field: Field
) -> None:
    ours, other = await field.project("Moths"), await field.project("Bees")
    await field.person("member@example.org", BasicMember=ours)
    [member] = await listed(client, f"/projects/{ours}/members/")

    wrong = f"/projects/{other}/members/{member['id']}/"
    answers = [
        await client.get(wrong),
        await client.patch(wrong, json={"role_id": "Worker"}),
        await client.delete(wrong),
        await client.get("/projects/999999/members/"),
        await client.get("/projects/x/members/"),
    ]

    assert [answer.status_code for answer in answers] == [404] * 5
    assert await listed(client, f"/projects/{other}/members/") == []
    assert await listed(client, f"/projects/{ours}/members/") == [member]


async def test_a_user_who_is_taken_in_by_several_at_once_is_a_member_once(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    await field.person("member@example.org")
    path, body = f"/projects/{project_id}/members/", {"email": "member@example.org", "role_id": "Worker"}

    answers = await asyncio.gather(*(client.post(path, json=body) for _ in range(6)))

    assert sorted(answer.status_code for answer in answers) == [201, *[400] * 5]
    assert len(await listed(client, path)) == 1


async def test_members_are_ordered_by_role_as_asked(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    for role in ("Worker", "BasicMember", "Identifier"):
        roles: dict[str, Any] = {role: project_id}
        await field.person(f"{role}@example.org", **roles)

    up = await listed(client, f"/projects/{project_id}/members/", ordering="role")
    down = await listed(client, f"/projects/{project_id}/members/", ordering="-role")

    assert [each["role"] for each in up] == ["BasicMember", "Identifier", "Worker"]
    assert up == down[::-1]
