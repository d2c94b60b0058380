"""What no client should send: refused quickly, with a reason, and without a trace in the database."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest

from config import Settings
from db.connections import Database, every, value
from tests.field import Field, Person
from tests.waiting import make_job

QUICKLY = 3.0
"""Seconds; most answers take a hundredth, but the machine may have more to do."""
HUGE = [2**63, 2**64, -(2**63) - 1, 10**400]


@dataclass(frozen=True)
class Writable:
    """What can be made, and a body that makes it."""

    path: str
    body: dict[str, Any]
    texts: tuple[str, ...]
    """Fields that take text of any kind."""
    choices: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    scoped: tuple[str, ...] = ()
    """References to what belongs to a project."""
    one: str = ""
    """The path of one that is there, if it can be changed."""


@pytest.fixture
async def writables(field: Field, client: httpx2.AsyncClient) -> dict[str, Writable]:
    """Everything that a client can make, by name."""
    project_id = await field.project()
    set_id = await field.capture_set(project_id)
    station_id = await field.station(project_id)
    session_id = await field.session(project_id, station_id, "2024-07-01")
    job = {"name": "Job", "delay": 0, "project_id": project_id, "source_image_collection_id": set_id}
    of_project = {"name": "One", "project": project_id}
    capture = {"deployment_id": station_id, "event_id": session_id, "path": "a.jpg"}
    storage = {**of_project, "bucket": "captures", "endpoint_url": "https://objects.example.org"}
    await client.post("/users/", json={"email": "member@example.org", "password": "a long password"})
    all_texts = ("name", "bucket", "region", "prefix", "access_key", "secret_key")
    return {
        "jobs": Writable(
            "/jobs/",
            {**job, "job_type_key": "populate_captures_collection"},
            ("name",),
            ("job_type_key",),
            ("delay", "limit"),
            ("project_id", "pipeline_id"),
            ("deployment_id", "source_image_collection_id", "source_image_single_id"),
            f"/jobs/{(await make_job(client, project_id, set_id, start=False))['id']}/",
        ),
        "capture sets": Writable(
            "/captures/collections/",
            {**of_project, "method": "full"},
            ("name", "description"),
            ("method",),
            (),
            ("project",),
            (),
            f"/captures/collections/{set_id}/",
        ),
        "sessions": Writable(
            "/events/",
            {"deployment_id": station_id, "start": "2024-06-01T22:00:00"},
            ("group_by",),
            ("start", "end"),
            (),
            ("deployment_id",),
            (),
            f"/events/{session_id}/",
        ),
        "captures": Writable(
            "/captures/",
            capture,
            ("path", "public_base_url"),
            ("timestamp",),
            ("width", "height", "size"),
            ("deployment_id",),
            ("event_id",),
            await made(client, "/captures/", {**capture, "path": "b.jpg"}),
        ),
        "sites": Writable(
            "/deployments/sites/",
            of_project,
            ("name", "description"),
            references=("project",),
            one=await made(client, "/deployments/sites/", of_project),
        ),
        "devices": Writable(
            "/deployments/devices/",
            of_project,
            ("name", "description"),
            references=("project",),
            one=await made(client, "/deployments/devices/", of_project),
        ),
        "stations": Writable(
            "/deployments/",
            {"name": "Station", "project_id": project_id},
            ("name", "description", "data_source_subdir", "data_source_regex"),
            (),
            ("latitude", "longitude"),
            ("project_id",),
            ("device_id", "research_site_id", "data_source_id"),
            f"/deployments/{station_id}/",
        ),
        "storage sources": Writable(
            "/storage/",
            storage,
            (*all_texts, "endpoint_url", "public_base_url"),
            references=("project",),
            one=await made(client, "/storage/", storage),
        ),
        "projects": Writable(
            "/projects/",
            {"name": "Project"},
            ("name", "description"),
            ("draft", "settings", "feature_flags"),
            one=f"/projects/{project_id}/",
        ),
        "members": Writable(
            f"/projects/{project_id}/members/",
            {"email": "member@example.org", "role_id": "BasicMember"},
            ("email",),
            ("role_id",),
        ),
        "users": Writable(
            "/users/",
            {"email": "new@example.org", "password": "a long password", "name": "New"},
            ("email", "password", "name"),
        ),
        "tokens": Writable("/users/me/tokens/", {"name": "laptop"}, ("name",)),
    }


async def made(client: httpx2.AsyncClient, path: str, body: dict[str, Any]) -> str:
    response = await client.post(path, json=body)
    assert response.status_code == 201, response.text
    return f"{path}{response.json()['id']}/"


@pytest.fixture
async def untouched(database: Database, writables: dict[str, Writable]) -> AsyncIterator[None]:
    """Fails if the test left more or fewer rows, or other ones, than it found."""
    before = await state(database)
    yield
    assert await state(database) == before


async def state(database: Database) -> dict[str, tuple[int, str | None]]:
    """How many rows each table has, and a digest of them."""
    async with database.autocommit() as db:
        tables = await every(db, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'", {})
        rows = "count(*) || ' ' || coalesce(md5(string_agg(t::text, ' ' ORDER BY t::text)), '')"
        return {
            table["tablename"]: await value(db, f"SELECT {rows} AS rows FROM {table['tablename']} t", {})
            for table in tables
        }


class Asking:
    """Sends, and sees to it that what comes back is quick, JSON, and neither a defect nor a success."""

    def __init__(self, client: httpx2.AsyncClient) -> None:
        self.client = client

    async def refused(self, method: str, path: str, *statuses: int, **sent: Any) -> Any:
        """The body of an answer that must have one of the statuses; 400 if none is named."""
        began = time.monotonic()
        response = await self.client.request(method, path, **sent)
        took = time.monotonic() - began
        case = f"{method} {path[:100]} {str(sent)[:200]}: {response.status_code} {response.text[:300]}"
        assert response.status_code in (statuses or (400,)), case
        assert took < QUICKLY, f"{took:.1f} s: {case}"
        assert response.headers["content-type"] == "application/json", case
        assert response.headers["x-request-id"], case
        return reasons(response.json(), case)

    async def raw(self, method: str, path: str, content: bytes, *statuses: int) -> Any:
        headers = {"Content-Type": "application/json"}
        return await self.refused(method, path, *statuses, content=content, headers=headers)


def reasons(body: Any, case: str) -> Any:
    """The body, which must say why: `detail`, or messages by field."""
    assert isinstance(body, dict), case
    assert body, case
    for name, messages in body.items():
        told = [messages] if name == "detail" else messages
        assert isinstance(told, list), case
        assert told, case
        assert all(isinstance(message, str) and message for message in told), case
    return body


@pytest.fixture
def asking(client: httpx2.AsyncClient) -> Asking:
    return Asking(client)


def ways(writables: dict[str, Writable]) -> Iterator[tuple[Writable, str, str]]:
    """How everything can be written: made, and changed in whole or in part where it can be."""
    for writable in writables.values():
        yield writable, "POST", writable.path
        if writable.one:
            yield writable, "PUT", writable.one
            yield writable, "PATCH", writable.one


def as_json(body: dict[str, Any], name: str, raw: str) -> bytes:
    """The body with one value as it stands, be it JSON or not."""
    rest = json.dumps({key: each for key, each in body.items() if key != name})
    return f'{rest[:-1]}{", " if len(rest) > 2 else ""}"{name}": {raw}}}'.encode()


# bodies -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("untouched")
async def test_a_body_that_is_no_json_object_is_refused(
    writables: dict[str, Writable], asking: Asking
) -> None:
    good = json.dumps({"name": "Käfer"}, ensure_ascii=False)
    bodies: list[bytes] = [
        good[:-1].encode(),
        good.encode("latin-1"),
        good.encode("utf-16"),
        good.encode("utf-32"),
        good.encode("utf-8-sig"),
        good.encode("cp037"),
        b"\xff\xfe\xfd",
        b"\x00",
        good.encode() + b"\x00",
        good.encode() + good.encode(),
        b"'" + good.encode() + b"'",
        b"[" + good.encode() + b"]",
        b"[]",
        b'"text"',
        b"12",
        b"null",
        b"true",
        b"NaN",
        b"9" * 100_000,
        b"[" * 200_000,
        b'{"name":' * 100_000,
        b'{"name":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b"<xml/>",
    ]

    for _, method, path in ways(writables):
        for body in bodies:
            await asking.raw(method, path, body)


@pytest.mark.usefixtures("untouched")
async def test_a_body_of_another_kind_is_refused_by_name(
    writables: dict[str, Writable], asking: Asking
) -> None:
    kinds = ("text/plain", "application/xml", "application/octet-stream", "text/json", "x" * 500)

    for writable, method, path in ways(writables):
        for kind in kinds:
            body = await asking.refused(
                method, path, 415, content=json.dumps(writable.body), headers={"Content-Type": kind}
            )
            assert f'"{kind}"' in body["detail"]


@pytest.mark.usefixtures("untouched")
async def test_ten_megabytes_are_refused_without_being_read(
    writables: dict[str, Writable], asking: Asking
) -> None:
    text = b'{"name": "' + b"x" * 10_000_000 + b'"}'

    for _, method, path in ways(writables):
        body = await asking.raw(method, path, text, 413)
        assert "at most 2621440 bytes" in body["detail"]


@pytest.mark.usefixtures("untouched")
async def test_a_body_of_unsaid_length_is_refused_once_it_is_too_long(
    writables: dict[str, Writable], address: str, admin: Person, settings: Settings
) -> None:
    most = settings.max_body_bytes
    answers = [
        answer_to_endless(f"{address}/api/v2{path}", method, admin, most)
        for _, method, path in ways(writables)
    ]

    # side by side: each is waited for until the sender has been silent for a while
    for head, body in await asyncio.gather(*answers):
        assert head.startswith("HTTP/1.1 413"), head
        assert "connection: close" in head.lower()
        assert f"at most {most} bytes" in json.loads(body)["detail"]


async def answer_to_endless(url: str, method: str, person: Person, most: int) -> tuple[str, str]:
    """Send one chunk more than is read, and no end of the body; gives head and body of the answer."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = f"{method} {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
    token = f"Authorization: Token {person.token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%s\r\n" % (65536, b"[" * 65536)
    try:
        writer.write((head + token).encode())
        async with asyncio.timeout(5 * QUICKLY):
            for _ in range(most // 65536 + 1):
                writer.write(chunk)
            answer = (await reader.read()).decode()
    finally:
        writer.close()
    said, _, body = answer.partition("\r\n\r\n")
    return said, body


@pytest.mark.usefixtures("untouched")
async def test_an_empty_body_makes_nothing_and_names_what_is_required(
    writables: dict[str, Writable], asking: Asking
) -> None:
    for writable, content in product(writables.values(), (b"", b"{}", b" {} ")):
        body = await asking.raw("POST", writable.path, content)
        assert "This field is required." in next(iter(body.values()))


async def test_of_a_key_that_comes_twice_the_last_value_is_checked(
    writables: dict[str, Writable], asking: Asking
) -> None:
    for writable, method, path in ways(writables):
        name = writable.texts[0]
        twice = json.dumps(writable.body)[:-1] + f', "{name}": "fine", "{name}": {{}}}}'
        assert list(await asking.raw(method, path, twice.encode())) == [name]


# values -------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("untouched")
async def test_text_that_no_column_can_hold_is_refused_by_field(
    writables: dict[str, Writable], asking: Asking
) -> None:
    bad = (r'"a\u0000b"', r'"\u0000"', r'"\ud800"', r'"\udfff\ud800"', r'"a\udc00"')

    for writable, method, path in ways(writables):
        for name in (*writable.texts, *writable.choices, *writable.references, *writable.scoped):
            for raw in bad:
                body = await asking.raw(method, path, as_json(writable.body, name, raw))
                assert list(body) == [name]


@pytest.mark.usefixtures("untouched")
async def test_text_of_a_form_is_checked_alike(writables: dict[str, Writable], asking: Asking) -> None:
    for writable, method, path in ways(writables):
        given = {name: str(each) for name, each in writable.body.items()}
        for name in writable.texts:
            body = await asking.refused(method, path, data={**given, name: "a\x00b"})
            assert list(body) == [name]
            part = {name: ("file.txt", b"text")}
            others = {key: each for key, each in given.items() if key != name}
            body = await asking.refused(method, path, data=others, files=part)
            assert list(body) == [name]


@pytest.mark.usefixtures("untouched")
async def test_values_of_another_type_are_refused_by_field(
    writables: dict[str, Writable], asking: Asking
) -> None:
    for writable, method, path in ways(writables):
        named = (
            *writable.texts,
            *writable.choices,
            *writable.numbers,
            *writable.references,
            *writable.scoped,
        )
        for name, bad in product(named, ([], [1], ["text"], [[[]]], [{"$ne": None}])):
            body = await asking.refused(method, path, json={**writable.body, name: bad})
            assert list(body) == [name]


@pytest.mark.usefixtures("untouched")
async def test_numbers_beyond_any_column_are_refused_by_field(
    writables: dict[str, Writable], asking: Asking
) -> None:
    for writable, method, path in ways(writables):
        for name in (*writable.numbers, *writable.references, *writable.scoped):
            for number in HUGE:
                body = await asking.refused(method, path, json={**writable.body, name: number})
                assert list(body) == [name]
                body = await asking.refused(method, path, json={**writable.body, name: str(number)})
                assert list(body) == [name]


@pytest.mark.usefixtures("untouched")
async def test_what_is_no_number_is_none(writables: dict[str, Writable], asking: Asking) -> None:
    for writable, method, path in ways(writables):
        for name in (*writable.texts, *writable.numbers, *writable.references, *writable.scoped):
            for word in ("NaN", "Infinity", "-Infinity"):
                await asking.raw(method, path, as_json(writable.body, name, word))
        for name in (*writable.numbers, *writable.references, *writable.scoped):
            for raw in ("1e999", '"NaN"', '"Infinity"', '"1e999"', '"0x10"', '"12 34"', '"\u0661\u0662x"'):
                body = await asking.raw(method, path, as_json(writable.body, name, raw))
                assert list(body) == [name]


@pytest.mark.usefixtures("untouched")
async def test_choices_that_there_are_not_are_refused_by_field(
    writables: dict[str, Writable], asking: Asking
) -> None:
    for writable, method, path in ways(writables):
        for name in writable.choices:
            for bad in ("no such thing", "x" * 100_000, "Full", "💥", "' OR 1=1 --"):
                body = await asking.refused(method, path, json={**writable.body, name: bad})
                assert list(body) == [name]


@pytest.mark.usefixtures("untouched")
async def test_text_that_is_too_long_is_refused_by_field(
    writables: dict[str, Writable], asking: Asking
) -> None:
    for writable, method, path in ways(writables):
        for name in writable.texts:
            if name == "description":
                continue  # as long as a body may be
            body = await asking.refused(method, path, json={**writable.body, name: "x" * 1_000_000})
            assert list(body) == [name]


@pytest.mark.usefixtures("untouched")
async def test_what_is_not_there_cannot_be_named(writables: dict[str, Writable], asking: Asking) -> None:
    for writable, method, path in ways(writables):
        for name in (*writable.references, *writable.scoped):
            for number in (0, -1, 987654321, 2**63 - 1):
                body = await asking.refused(method, path, json={**writable.body, name: number})
                # with the project what belongs to it is of another one
                assert body[name] == [f'Invalid pk "{number}" - object does not exist.']


async def test_what_belongs_to_another_project_cannot_be_named(
    writables: dict[str, Writable],
    asking: Asking,
    field: Field,
    client: httpx2.AsyncClient,
    database: Database,
) -> None:
    other, set_id = await field.small_set(nights=1)
    station_id = await field.station(other)
    session_id = await field.session(other, station_id, "2024-07-01")
    capture_ids = await field.captures(other, station_id, [None])
    given = {"name": "Theirs", "project": other}
    theirs = {
        "source_image_collection_id": set_id,
        "deployment_id": station_id,
        "event_id": session_id,
        "source_image_single_id": capture_ids[0],
        "research_site_id": (await client.post("/deployments/sites/", json=given)).json()["id"],
        "device_id": (await client.post("/deployments/devices/", json=given)).json()["id"],
        "data_source_id": (await client.post("/storage/", json={**given, "bucket": "b"})).json()["id"],
    }
    before = await state(database)

    for writable, method, path in ways(writables):
        for name in writable.scoped:
            body = await asking.refused(method, path, json={**writable.body, name: theirs[name]})
            assert body == {name: [f'Invalid pk "{theirs[name]}" - object does not exist.']}

    assert await state(database) == before


# addresses and headers ----------------------------------------------------------------------------------------


@pytest.mark.usefixtures("untouched")
async def test_ids_that_cannot_be_one_are_of_nothing(writables: dict[str, Writable], asking: Asking) -> None:
    ids = (
        "0",
        "-1",
        "1.5",
        "1e3",
        "x",
        "%00",
        "1%00",
        "%ff",
        "%C3%28",
        "%zz",
        "%",
        "%2e%2e",
        "\u0661",
        "null",
        "' OR 1=1",
    )

    for writable, item_id in product(writables.values(), (*ids, *map(str, HUGE), "9" * 5000)):
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            sent = {"json": writable.body} if method in ("PUT", "PATCH") else {}
            await asking.refused(method, f"{writable.path}{item_id}/", 404, 405, **sent)


REFUSED_QUERIES = (
    "project_id=x",
    "project_id=-1",
    "project_id=1.5",
    f"project_id={2**63}",
    f"project_id={10**400}",
    "project_id=%00",
    "project_id=NaN",
)
IGNORED_QUERIES = (
    *(
        f"{name}={bad}"
        for name in ("limit", "offset", "page_size")
        for bad in ("x", "-1", "0", "1.5", "%00", "NaN", "%ff")
    ),
    *(f"{name}={number}" for name in ("limit", "offset", "page_size") for number in HUGE),
    "ordering=%00",
    "ordering=no_such_field,-,--id,;DROP",
    f"ordering={'name,' * 2000}",
    "search=%00",
    "search=a%00b",
    "search=%ff%fe",
    "search=%ED%A0%80",
    "search=%zz%",
    f"search={'long%20' * 1500}",
    f"search={'x' * 10_000}",
    "search=%25_%5C",
    "%00=%00&=&&&%ff",
)


@pytest.mark.usefixtures("untouched")
async def test_bad_values_in_addresses_are_refused_or_passed_over_as_the_contract_says(
    writables: dict[str, Writable], client: httpx2.AsyncClient, asking: Asking
) -> None:
    project = writables["projects"].one.split("/")[2]
    # lists of one project need it named
    needed = f"&project_id={project}"

    for writable, query in product(writables.values(), IGNORED_QUERIES):
        began = time.monotonic()
        response = await client.get(f"{writable.path}?{query}{needed}")
        assert response.status_code == 200, (query[:100], response.text)
        assert {"count", "next", "previous", "results", "user_permissions"} == set(response.json())
        assert time.monotonic() - began < QUICKLY
    for writable, query in product(writables.values(), REFUSED_QUERIES):
        body = await asking.refused("GET", f"{writable.path}?{query}")
        assert list(body) == ["project_id"]


async def test_bad_filters_are_refused_by_name(
    client: httpx2.AsyncClient, asking: Asking, field: Field
) -> None:
    project_id = await field.project()
    document = (await client.get("/schema/")).json()
    lists = {
        path: each["get"] for path, each in document["paths"].items() if "{" not in path and "get" in each
    }
    # what cannot be a page is the usual page
    usual = ("project_id", "limit", "page_size", "offset", "ordering", "search")
    asked = 0

    for path, operation in lists.items():
        for parameter in operation.get("parameters", []):
            schema, name = parameter["schema"], parameter["name"]
            if (
                parameter["in"] != "query"
                or name in usual
                or schema["type"] == "boolean"
                or path.count("/") < 3
            ):
                continue
            bad = (
                ["%00"] if schema == {"type": "string"} else ["x", "%00", "-1", "1.5", str(2**63), "9" * 400]
            )
            for text in bad:
                address = f"{path.removeprefix('/api/v2')}?{name}={text}&project_id={project_id}"
                if name == "format" and path.endswith("/exports/"):
                    # the name of a form of answer too
                    await asking.refused("GET", address, 404)
                    continue
                assert list(await asking.refused("GET", address)) == [name]
                asked += 1

    assert asked > 50


@pytest.mark.usefixtures("untouched")
async def test_forms_of_answer_that_are_not_written_are_refused(
    writables: dict[str, Writable], asking: Asking
) -> None:
    accepts = (
        "application/xml",
        "text/plain",
        "image/*;q=0.5",
        "nonsense",
        "application/json2",
        "\xff/",
    )
    for writable, accept in product(writables.values(), accepts):
        headers = {"Accept": accept.encode("latin-1")}
        body = await asking.refused("GET", writable.path, 406, headers=headers)
        assert body == {"detail": "Could not satisfy the request Accept header."}
        await asking.refused("POST", writable.path, 406, headers=headers, json=writable.body)
    for writable, name in product(writables.values(), ("xml", "%00", "%ff", "x" * 5000)):
        await asking.refused("GET", f"{writable.path}?format={name}", 404)
        await asking.refused("POST", f"{writable.path}?format={name}", 404, json=writable.body)


BAD_TOKENS: tuple[Callable[[str], bytes], ...] = (
    lambda token: b"Token",
    lambda token: f"Token {token} {token}".encode(),
    lambda token: f"Token {token}x".encode(),
    lambda token: f"Token {token.upper()}x".encode(),
    lambda token: b"Token \xff\xfe",
    lambda token: b"Token " + b"x" * 10_000,
    lambda token: f"Bearer {token}".encode(),
    lambda token: f"Basic {token}".encode(),
    lambda token: b"",
)


@pytest.mark.usefixtures("untouched")
async def test_whoever_has_no_token_of_ours_writes_nothing(
    writables: dict[str, Writable], anonymous: httpx2.AsyncClient, admin: Person
) -> None:
    asking = Asking(anonymous)
    for (writable, method, path), make in product(ways(writables), BAD_TOKENS):
        headers = {"Authorization": make(admin.token)}
        await asking.refused(method, path, 401, headers=headers, json=writable.body)


@pytest.mark.usefixtures("untouched")
async def test_keys_and_tags_that_cannot_be_one_change_nothing(
    writables: dict[str, Writable], asking: Asking
) -> None:
    for writable, key in product(writables.values(), (b"", b"x" * 256, b"\xff", "Käfer".encode())):
        if "tokens" in writable.path:
            continue  # they take none: what is answered once must not be kept
        sent = {"headers": {"Idempotency-Key": key}, "json": writable.body}
        assert list(await asking.refused("POST", writable.path, **sent)) == ["Idempotency-Key"]
    for writable, method, path in ways(writables):
        for tag in (b"", b'"', b"\xff", b"nonsense", b",,,", b'W/"x"'):
            if method != "POST":
                await asking.refused(method, path, 412, headers={"If-Match": tag}, json=writable.body)


async def test_the_bodies_that_everything_is_tried_on_are_good_ones(
    writables: dict[str, Writable], client: httpx2.AsyncClient
) -> None:
    for writable, method, path in ways(writables):
        body = dict(writable.body)
        if method != "POST" and "path" in body:
            body["path"] = "c.jpg"  # of one station one capture has it
        response = await client.request(method, path, json=body)
        assert response.status_code == (201 if method == "POST" else 200), (path, response.text)
