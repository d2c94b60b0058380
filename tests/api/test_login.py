"""Logging in and out: what is answered, how often it may fail, and what is never written down."""

import asyncio
import logging

import httpx2
import pytest

from config import Settings
from tests.conftest import serving
from tests.field import Field, Person
from tests.golden import recorded
from tests.processes import api_process

EMAIL, PASSWORD = "moth@example.org", "death's-head sphinx"
LOGIN, LOGOUT = "/auth/token/login/", "/auth/token/logout/"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Few failures are enough."""
    return settings.model_copy(update={"login_attempts": 2})


@pytest.fixture
async def moth(field: Field) -> Person:
    return await field.person(EMAIL, password=PASSWORD)


async def log_in(client: httpx2.AsyncClient, email: str = EMAIL, password: str = PASSWORD) -> httpx2.Response:
    return await client.post(LOGIN, json={"email": email, "password": password})


async def whose(client: httpx2.AsyncClient, token: str) -> int:
    """What is answered to who shows that token."""
    answer = await client.get("/users/me/", headers={"Authorization": f"Token {token}"})
    return answer.status_code


async def failures_ago(field: Field, age: str) -> None:
    """Let that much time pass since the logins that failed."""
    async with field.database.transaction() as db:
        await db.execute("UPDATE login_failures SET since = since - %s::interval", (age,))


# in and out ---------------------------------------------------------------------------------------------------


async def test_a_login_gives_a_token(anonymous: httpx2.AsyncClient, moth: Person) -> None:
    for email in (EMAIL, EMAIL.upper(), f"  {EMAIL} "):
        answer = await log_in(anonymous, email)
        assert answer.status_code == 200
        assert list(answer.json()) == ["auth_token"]
        token = answer.json()["auth_token"]
        assert len(token) == 40
        assert set(token) <= set("0123456789abcdef")
        assert await whose(anonymous, token) == 200
    form = await anonymous.post(LOGIN, data={"email": EMAIL, "password": PASSWORD})
    assert form.status_code == 200


async def test_every_way_to_be_wrong_is_answered_alike(
    settings: Settings, field: Field, moth: Person
) -> None:
    await field.person("no-password@example.org")
    words = recorded("auth_login_400_unknown").body
    assert recorded("auth_login_400_empty").body == words
    wrong: list[dict[str, object]] = [
        {},
        {"email": EMAIL, "password": "x"},
        {"email": EMAIL, "password": PASSWORD.upper()},
        {"email": EMAIL, "password": ""},
        {"email": EMAIL},
        {"email": EMAIL, "password": None},
        {"email": EMAIL, "password": ["x"]},
        {"email": EMAIL, "password": "x" * 2000},
        {"email": "no-password@example.org", "password": "x"},
        {"email": "nobody@example.org", "password": PASSWORD},
        {"email": "mo\x00th@example.org", "password": PASSWORD},
        {"email": {"$ne": ""}, "password": PASSWORD},
        {"password": PASSWORD},
    ]
    async with (
        serving(settings.model_copy(update={"login_attempts": 100})) as address,
        httpx2.AsyncClient(base_url=f"{address}/api/v2", timeout=20) as client,
    ):
        for body in wrong:
            answer = await client.post(LOGIN, json=body)
            assert (answer.status_code, answer.json()) == (400, words), body


async def test_a_user_may_have_several_tokens_and_a_logout_takes_one(
    anonymous: httpx2.AsyncClient, moth: Person
) -> None:
    tokens = [(await log_in(anonymous)).json()["auth_token"] for _ in range(3)]
    assert len(set(tokens)) == 3

    gone = await anonymous.post(LOGOUT, headers={"Authorization": f"Token {tokens[1]}"})

    assert (gone.status_code, gone.content) == (204, b"")
    assert [await whose(anonymous, token) for token in (*tokens, moth.token)] == [200, 401, 200, 200]
    again = await anonymous.post(LOGOUT, headers={"Authorization": f"Token {tokens[1]}"})
    assert (again.status_code, again.json()) == (401, {"detail": "Invalid token."})
    nobody = await anonymous.post(LOGOUT)
    assert nobody.status_code == 401
    assert nobody.headers["www-authenticate"] == "Token"


async def test_who_is_not_active_does_not_come_in(
    anonymous: httpx2.AsyncClient, field: Field, moth: Person
) -> None:
    async with field.database.transaction() as db:
        await db.execute("UPDATE users SET is_active = false")

    answer = await log_in(anonymous)

    assert (answer.status_code, answer.json()) == (400, recorded("auth_login_400_unknown").body)
    assert await whose(anonymous, moth.token) == 401


# too often ----------------------------------------------------------------------------------------------------


async def test_an_account_waits_when_its_login_failed_too_often(
    anonymous: httpx2.AsyncClient, field: Field, moth: Person
) -> None:
    await field.person("other@example.org", password="other")
    for _ in range(2):
        assert (await log_in(anonymous, password="x")).status_code == 400

    refused = [await log_in(anonymous, password="x"), await log_in(anonymous, EMAIL.upper())]

    for answer in refused:
        assert answer.status_code == 429
        seconds = int(answer.headers["retry-after"])
        assert 290 <= seconds <= 300
        assert answer.json() == {"detail": f"Request was throttled. Expected available in {seconds} seconds."}
    assert (await log_in(anonymous, "other@example.org", "other")).status_code == 200
    # who is in stays in
    assert await whose(anonymous, moth.token) == 200
    await failures_ago(field, "4 minutes")
    assert 50 <= int((await log_in(anonymous)).headers["retry-after"]) <= 60
    await failures_ago(field, "61 seconds")
    assert (await log_in(anonymous)).status_code == 200


async def test_what_failed_before_the_window_does_not_count(
    anonymous: httpx2.AsyncClient, field: Field, moth: Person
) -> None:
    for _ in range(2):
        assert (await log_in(anonymous, password="x")).status_code == 400
        await failures_ago(field, "6 minutes")
    statuses = [(await log_in(anonymous, password="x")).status_code for _ in range(3)]

    assert statuses == [400, 400, 429]


async def test_a_login_that_succeeds_forgets_those_that_failed(
    anonymous: httpx2.AsyncClient, moth: Person
) -> None:
    for _ in range(3):
        assert (await log_in(anonymous, password="x")).status_code == 400
        assert (await log_in(anonymous)).status_code == 200
    # nor do they count for the address, from which ten may fail
    assert [(await log_in(anonymous)).status_code for _ in range(6)] == [200] * 6


async def test_an_account_that_is_not_there_is_limited_like_one_that_is(
    anonymous: httpx2.AsyncClient,
) -> None:
    statuses = [(await log_in(anonymous, "nobody@example.org")).status_code for _ in range(3)]

    assert statuses == [400, 400, 429]


async def test_many_logins_at_once_are_no_more_than_one_after_another(
    anonymous: httpx2.AsyncClient, field: Field, moth: Person
) -> None:
    answers = await asyncio.gather(*(log_in(anonymous, password=f"x{number}") for number in range(12)))

    assert sorted(answer.status_code for answer in answers) == [400] * 2 + [429] * 10


async def test_an_address_waits_when_logins_from_it_failed_too_often(
    anonymous: httpx2.AsyncClient, field: Field, moth: Person
) -> None:
    statuses = [(await log_in(anonymous, f"n{number}@example.org")).status_code for number in range(10)]
    refused = await log_in(anonymous)
    await failures_ago(field, "6 minutes")

    assert statuses == [400] * 10
    assert refused.status_code == 429
    assert 290 <= int(refused.headers["retry-after"]) <= 300
    assert (await log_in(anonymous)).status_code == 200


# what is kept -------------------------------------------------------------------------------------------------


async def test_neither_tokens_nor_passwords_are_kept(
    anonymous: httpx2.AsyncClient, field: Field, moth: Person
) -> None:
    token = (await log_in(anonymous)).json()["auth_token"]

    async with field.database.transaction() as db:
        cursor = await db.execute("SELECT password_hash FROM users WHERE id = %s", (moth.id,))
        (account,) = await cursor.fetchall()
        cursor = await db.execute(
            "SELECT t::text AS kept FROM auth_tokens t UNION ALL SELECT u::text FROM users u"
        )
        kept = " ".join(row["kept"] for row in await cursor.fetchall())

    assert account["password_hash"].startswith("$argon2id$")
    for secret in (token, moth.token, PASSWORD):
        assert secret not in kept


async def test_secrets_are_in_no_log(
    settings: Settings, field: Field, moth: Person, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        async with (
            serving(settings) as address,
            httpx2.AsyncClient(base_url=f"{address}/api/v2", timeout=20) as client,
        ):
            secrets = [PASSWORD, moth.token, "a wrong password", "0123abcd"]
            secrets.append(await _in_and_out(client, moth))
    logged = [caplog.text]
    with api_process(settings.model_copy(update={"log_level": "DEBUG"})) as (api, address):
        async with httpx2.AsyncClient(base_url=f"{address}/api/v2", timeout=20) as client:
            secrets.append(await _in_and_out(client, moth))
    logged.append(api.log.read_text())

    assert "Uvicorn running" in logged[1]
    for secret in secrets:
        for text in logged:
            assert secret not in text


async def _in_and_out(client: httpx2.AsyncClient, moth: Person) -> str:
    """All that somebody does with secrets; gives the token that they were given meanwhile."""
    token: str = (await log_in(client)).json()["auth_token"]
    headers = {"Authorization": f"Token {token}"}
    assert (await log_in(client, password="a wrong password")).status_code == 400
    assert (await client.post(LOGIN, content=f'{{"password": "{PASSWORD}"')).status_code == 415
    json = {"Content-Type": "application/json"}
    assert (await client.post(LOGIN, content=f'{{"password": "{PASSWORD}"', headers=json)).status_code == 400
    assert await whose(client, moth.token) == 200
    assert await whose(client, "0123abcd") == 401
    assert (await client.post(LOGOUT, headers=headers)).status_code == 204
    return token
