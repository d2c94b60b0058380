"""Users, their profiles and tokens, and the roles over HTTP (contract 1.9, domain 8)."""

import asyncio
from typing import Any

import httpx2

from tests.field import Field, Person

PASSWORD = "a long password"


async def test_a_user_reads_and_changes_what_they_say_of_themselves(
    anonymous: httpx2.AsyncClient, field: Field, address: str
) -> None:
    person = await field.person("moth@example.org")

    before = await anonymous.get("/users/me/", headers=person.headers)
    changed = await anonymous.patch(
        "/users/me/", json={"name": " Ada ", "email": "x@example.org"}, headers=person.headers
    )
    nothing = await anonymous.put("/users/me/", json={}, headers=person.headers)

    expected = {
        "id": person.id,
        "name": "",
        "details": f"{address}/api/v2/users/{person.id}/",
        "image": None,
        "identifications": [],
        "email": "moth@example.org",
        "user_permissions": [],
    }
    assert (before.status_code, before.json(), list(before.json())) == (200, expected, list(expected))
    assert (changed.status_code, changed.json()) == (200, {**expected, "name": "Ada"})
    assert (
        nothing.json() == (await anonymous.get("/users/me/", headers=person.headers)).json() == changed.json()
    )


async def test_a_name_that_cannot_be_one_is_refused(anonymous: httpx2.AsyncClient, field: Field) -> None:
    person = await field.person("moth@example.org")

    answers = [
        await anonymous.patch("/users/me/", json={"name": name}, headers=person.headers)
        for name in ("x" * 256, None, ["Ada"], "A\x00")
    ]

    assert [(answer.status_code, list(answer.json())) for answer in answers] == [(400, ["name"])] * 4


async def test_users_see_themselves_and_superusers_everybody(
    anonymous: httpx2.AsyncClient, field: Field, admin: Person
) -> None:
    one, other = await field.person("one@example.org"), await field.person("other@example.org")

    async def ids(headers: dict[str, str], **params: Any) -> list[int]:
        page = (await anonymous.get("/users/", headers=headers, params=params)).json()
        return [each["id"] for each in page["results"]]

    async def statuses(headers: dict[str, str]) -> list[int]:
        keys = (one.id, other.id, admin.id, 999999, "x")
        return [(await anonymous.get(f"/users/{key}/", headers=headers)).status_code for key in keys]

    assert await ids({}) == []
    assert await ids(one.headers) == [one.id]
    assert await ids(admin.headers) == [admin.id, one.id, other.id]
    assert await statuses({}) == [404] * 5
    assert await statuses(one.headers) == [200, 404, 404, 404, 404]
    assert await statuses(admin.headers) == [200, 200, 200, 404, 404]
    body = (await anonymous.get(f"/users/{other.id}/", headers=admin.headers)).json()
    assert (body["id"], body["email"]) == (other.id, "other@example.org")


async def test_a_superuser_makes_a_user_who_can_log_in(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient
) -> None:
    made = await client.post(
        "/users/", json={"email": "New@Example.org", "password": PASSWORD, "name": "New"}
    )
    login = await anonymous.post(
        "/auth/token/login/", json={"email": "new@example.org", "password": PASSWORD}
    )

    headers = {"Authorization": f"Token {login.json()['auth_token']}"}
    me = (await anonymous.get("/users/me/", headers=headers)).json()
    assert (made.status_code, made.json()) == (201, {"email": "new@example.org", "id": me["id"]})
    assert (me["email"], me["name"]) == ("new@example.org", "New")


async def test_a_user_who_cannot_be_made_is_refused(client: httpx2.AsyncClient, field: Field) -> None:
    await field.person("there@example.org")
    short = "This password is too short. It must contain at least 8 characters."
    cases: list[tuple[dict[str, Any], dict[str, list[str]]]] = [
        ({}, {"email": ["This field is required."], "password": ["This field is required."]}),
        ({"email": "new@example.org", "password": "short"}, {"password": [short]}),
        ({"email": "new", "password": PASSWORD}, {"email": ["Enter a valid email address."]}),
        (
            {"email": "There@example.org", "password": PASSWORD},
            {"email": ["user with this email already exists."]},
        ),
    ]

    for body, messages in cases:
        response = await client.post("/users/", json=body)
        assert (response.status_code, response.json()) == (400, messages)


async def test_a_user_who_is_made_by_several_at_once_is_made_once(client: httpx2.AsyncClient) -> None:
    body = {"email": "new@example.org", "password": PASSWORD}

    answers = await asyncio.gather(*(client.post("/users/", json=body) for _ in range(4)))

    assert sorted(answer.status_code for answer in answers) == [201, 400, 400, 400]
    refused = next(answer for answer in answers if answer.status_code == 400)
    assert refused.json() == {"email": ["user with this email already exists."]}


async def test_a_user_has_several_named_tokens_and_takes_any_back(
    anonymous: httpx2.AsyncClient, field: Field
) -> None:
    person, other = await field.person("moth@example.org"), await field.person("bee@example.org")

    async def make(name: str) -> dict[str, Any]:
        response = await anonymous.post("/users/me/tokens/", json={"name": name}, headers=person.headers)
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    async def works(token: str) -> int:
        return (await anonymous.get("/users/me/", headers={"Authorization": f"Token {token}"})).status_code

    cluster, laptop = await make("Cluster"), await make("Laptop")
    listed = (await anonymous.get("/users/me/tokens/", headers=person.headers)).json()
    by_other = await anonymous.delete(f"/users/me/tokens/{cluster['id']}/", headers=other.headers)
    both = [await works(cluster["auth_token"]), await works(laptop["auth_token"])]
    taken_back = await anonymous.delete(f"/users/me/tokens/{cluster['id']}/", headers=person.headers)
    again = await anonymous.delete(f"/users/me/tokens/{cluster['id']}/", headers=person.headers)

    assert cluster["auth_token"] != laptop["auth_token"]
    assert [each["name"] for each in listed["results"]] == ["test", "Cluster", "Laptop"]
    assert {tuple(each) for each in listed["results"]} == {("id", "name", "created_at")}
    assert (by_other.status_code, both) == (404, [200, 200])
    assert (taken_back.status_code, again.status_code) == (204, 404)
    assert [await works(cluster["auth_token"]), await works(laptop["auth_token"])] == [401, 200]


async def test_a_superuser_sees_no_tokens_but_their_own(
    anonymous: httpx2.AsyncClient, field: Field, admin: Person
) -> None:
    await field.person("moth@example.org")
    [token] = await field.read(
        "SELECT t.id FROM auth_tokens t JOIN users u ON u.id = t.user_id WHERE u.email = 'moth@example.org'"
    )

    page = (await anonymous.get("/users/me/tokens/", headers=admin.headers)).json()
    response = await anonymous.delete(f"/users/me/tokens/{token['id']}/", headers=admin.headers)

    assert page["count"] == 1
    assert token["id"] not in [each["id"] for each in page["results"]]
    assert response.status_code == 404


async def test_what_a_token_is_the_database_does_not_know(client: httpx2.AsyncClient, field: Field) -> None:
    made = (await client.post("/users/me/tokens/", json={"name": "Cluster"})).json()

    kept = await field.read("SELECT to_jsonb(t)::text AS row FROM auth_tokens t")
    answers = await field.read("SELECT count(*) AS rows FROM idempotency_keys")

    assert len(kept) == 2
    assert not any(made["auth_token"] in each["row"] for each in kept)
    assert answers == [{"rows": 0}]


async def test_a_token_needs_a_name(client: httpx2.AsyncClient) -> None:
    answers = [
        await client.post("/users/me/tokens/", json=body) for body in ({}, {"name": ""}, {"name": None})
    ]

    assert [(answer.status_code, list(answer.json())) for answer in answers] == [(400, ["name"])] * 3


async def test_every_role_is_described(anonymous: httpx2.AsyncClient) -> None:
    roles = (await anonymous.get("/users/roles/")).json()

    assert {tuple(role) for role in roles} == {("id", "name", "description")}
    assert [role["id"] for role in roles] == [
        "BasicMember",
        "Researcher",
        "Identifier",
        "MLDataManager",
        "ProjectManager",
        "Worker",
    ]
    assert all(role["name"] and role["description"] for role in roles)
