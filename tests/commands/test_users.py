"""`nightjar users`: accounts, tokens and roles, made without the API and good for it."""

import httpx2

from config import Settings
from tests.commands.test_cli import nightjar
from tests.field import Field


async def test_a_superuser_is_made_and_can_log_in(anonymous: httpx2.AsyncClient, settings: Settings) -> None:
    there = {"NIGHTJAR_DATABASE_URL": settings.database_url, "NIGHTJAR_PASSWORD": "hawk moth at dusk"}
    credentials = {"email": "keeper@example.org", "password": "hawk moth at dusk"}

    assert "superuser" in await nightjar("users", "add", "Keeper@example.org", "--superuser", there=there)
    answer = await anonymous.post("/auth/token/login/", json=credentials)

    assert answer.status_code == 200
    headers = {"Authorization": f"Token {answer.json()['auth_token']}"}
    made = await anonymous.post("/projects/", json={"name": "Moths"}, headers=headers)
    assert made.status_code == 201
    assert "already" in await nightjar("users", "add", "keeper@example.org", there=there, status=1)


async def test_a_program_gets_a_role_and_tokens_that_can_be_taken_back(
    anonymous: httpx2.AsyncClient, settings: Settings, field: Field
) -> None:
    there = {"NIGHTJAR_DATABASE_URL": settings.database_url}
    project_id = await field.project(draft=True)
    email = "gpu-1@example.org"

    async def status_with(token: str) -> int:
        headers = {"Authorization": f"Token {token}"}
        return (await anonymous.get(f"/projects/{project_id}/", headers=headers)).status_code

    await nightjar("users", "add", email, "--no-password", there=there)
    first = (await nightjar("users", "token", email, "--name", "gpu-1", there=there)).strip()
    second = (await nightjar("users", "token", email, "--name", "gpu-2", there=there)).strip()
    assert await status_with(first) == 404
    await nightjar("users", "role", email, str(project_id), "Worker", there=there)
    assert "is no role" in await nightjar(
        "users", "role", email, str(project_id), "Owl", there=there, status=1
    )
    assert (await status_with(first), await status_with(second)) == (200, 200)
    assert "1 tokens" in await nightjar("users", "revoke", email, "--name", "gpu-1", there=there)
    assert (await status_with(first), await status_with(second)) == (401, 200)
    listed = await nightjar("users", "list", there=there)
    assert email in listed
    assert "Worker" in listed
    await nightjar("users", "deactivate", email, there=there)
    assert await status_with(second) == 401
    await nightjar("users", "activate", email, there=there)
    assert await status_with(second) == 200


async def test_who_is_not_there_is_refused(settings: Settings) -> None:
    there = {"NIGHTJAR_DATABASE_URL": settings.database_url}
    assert "there is no user" in await nightjar("users", "token", "nobody@example.org", there=there, status=1)
