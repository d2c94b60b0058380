"""Who may say that captures lie in folders of the server, or in networks that are not public."""

import contextlib
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest

from config import Settings
from storage.sources import Source
from tests.conftest import serving
from tests.fake_s3 import FakeS3, picture
from tests.field import Field, Person
from tests.storage.test_buckets import filled
from tests.stores import Bucket, folder_in

FOR_SUPERUSERS = "Only superusers can have a source"
VOUCHED_FOR = "A superuser vouches for where this source lies: only superusers can change that."
PRIVATE = (
    "http://127.0.0.1:1",
    "http://localhost:9000",
    "https://10.1.2.3",
    "http://169.254.169.254/latest",
    "http://[::1]:9000",
    "http://[::ffff:192.168.0.1]:9000",
    "http://[fd00::1]",
    "http://2130706433",
)
PUBLIC = ("", None, "https://1.1.1.1", "http://[2606:4700::1111]:9000")


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Names that this machine does not know, with the addresses that they lead to."""
    known: dict[str, str] = {}
    whole = socket.getaddrinfo

    def look_up(host: Any, *args: Any, **more: Any) -> Sequence[tuple[Any, ...]]:
        return whole(known.get(host, host), *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


@contextlib.asynccontextmanager
async def calling(address: str, person: Person) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=f"{address}/api/v2", headers=person.headers, timeout=20) as opened:
        yield opened


@pytest.fixture
async def project_id(field: Field) -> int:
    return await field.project()


@pytest.fixture
async def manager(field: Field, project_id: int, address: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of who manages the project, as anybody is who makes one."""
    person = await field.person("manager@example.org", ProjectManager=project_id)
    async with calling(address, person) as opened:
        yield opened


def body(source: Source, project_id: int, **more: Any) -> dict[str, Any]:
    return {**vars(source), "name": "Bucket", "project": project_id, **more}


async def trusted(field: Field) -> list[bool]:
    rows = await field.read("SELECT trusted FROM storage_sources ORDER BY id")
    return [row["trusted"] for row in rows]


@pytest.mark.parametrize("endpoint_url", PRIVATE)
async def test_a_private_network_is_for_superusers_who_vouch_for_it(
    client: httpx2.AsyncClient,
    manager: httpx2.AsyncClient,
    field: Field,
    project_id: int,
    endpoint_url: str,
) -> None:
    given = body(Source("moths", endpoint_url=endpoint_url), project_id, trusted=True)

    refused = await manager.post("/storage/", json=given)
    made = await client.post("/storage/", json=given)

    assert (refused.status_code, list(refused.json())) == (400, ["endpoint_url"])
    assert refused.json()["endpoint_url"] == [f"{FOR_SUPERUSERS} in a network that is not public."]
    assert made.status_code == 201
    assert "trusted" not in made.json()
    assert await trusted(field) == [True]


@pytest.mark.parametrize("endpoint_url", PUBLIC)
async def test_what_is_public_is_for_managers_and_nobody_has_to_vouch_for_it(
    client: httpx2.AsyncClient,
    manager: httpx2.AsyncClient,
    field: Field,
    project_id: int,
    endpoint_url: str | None,
) -> None:
    given = body(Source("moths", endpoint_url=endpoint_url), project_id, trusted=True)

    made = [await each.post("/storage/", json=given) for each in (manager, client)]

    assert [each.status_code for each in made] == [201, 201]
    assert await trusted(field) == [False, False]


async def test_a_folder_is_for_superusers_who_vouch_for_it(
    client: httpx2.AsyncClient,
    manager: httpx2.AsyncClient,
    field: Field,
    project_id: int,
    settings: Settings,
) -> None:
    bucket = folder_in(Path(settings.storage_roots))
    given = body(bucket.source, project_id)
    # what lies outside of the roots is not told from what lies under them
    outside = {**given, "endpoint_url": "file:///etc", "bucket": "."}

    refused = [await manager.post("/storage/", json=each) for each in (given, outside)]
    made = await client.post("/storage/", json=given)

    wanted = {"endpoint_url": [f"{FOR_SUPERUSERS} be a folder of the server."]}
    assert [(each.status_code, each.json()) for each in refused] == [(400, wanted)] * 2
    assert made.status_code == 201
    assert await trusted(field) == [True]


@pytest.mark.parametrize("role", ["BasicMember", "MLDataManager", None])
async def test_who_may_not_make_sources_may_not_make_these_either(
    field: Field, address: str, project_id: int, role: str | None
) -> None:
    roles = {} if role is None else {role: project_id}
    person = await field.person("member@example.org", superuser=False, password=None, **roles)
    async with calling(address, person) as member:
        for endpoint_url in ("http://127.0.0.1:1", "file:///mnt", None):
            answer = await member.post(
                "/storage/", json=body(Source("b", endpoint_url=endpoint_url), project_id)
            )
            assert answer.status_code == 403


PLACES = ("folder", "private network")


@pytest.fixture(params=PLACES)
async def vouched_for(
    request: pytest.FixtureRequest,
    client: httpx2.AsyncClient,
    settings: Settings,
    project_id: int,
) -> AsyncIterator[dict[str, Any]]:
    """A source that a superuser made for the project, where captures lie; as it is answered."""
    async with FakeS3([("captures/20230801120000.jpg", 5)]) as fake:
        if request.param == "folder":
            bucket = folder_in(Path(settings.storage_roots))
            await bucket.put({"20230801120000.jpg": picture()})
            source = bucket.source
        else:
            source = fake.source("captures")
        made = await client.post("/storage/", json=body(source, project_id))
        assert made.status_code == 201, made.text
        yield made.json()


CHANGES: dict[str, Any] = {
    "endpoint_url": "https://1.1.1.1",
    "bucket": "others",
    "prefix": "",
    "region": "elsewhere",
    "access_key": "mine",
    "secret_key": "mine",
}


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_managers_edit_what_a_superuser_vouches_for_but_not_where_it_lies(
    manager: httpx2.AsyncClient,
    field: Field,
    project_id: int,
    vouched_for: dict[str, Any],
    method: str,
) -> None:
    place = f"/storage/{vouched_for['id']}/"
    whole = {name: vouched_for[name] for name in ("name", "bucket", "prefix", "endpoint_url", "project")}
    begin = whole if method == "PUT" else {}
    before = await field.read("SELECT * FROM storage_sources")

    for name, value in CHANGES.items():
        answer = await manager.request(method, place, json={**begin, "name": "Moved", name: value})
        assert (answer.status_code, answer.json()) == (400, {name: [VOUCHED_FOR]})
    assert await field.read("SELECT * FROM storage_sources") == before
    renamed = await manager.request(
        method, place, json={**begin, "name": "Renamed", "public_base_url": "https://pictures.example.org/"}
    )
    tested = await manager.post(f"{place}test/", json={})

    assert renamed.status_code == 200
    assert renamed.json()["name"] == "Renamed"
    assert await trusted(field) == [True]
    assert (tested.status_code, tested.json()["files_checked"]) == (200, 1)


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_managers_move_other_sources_but_not_to_where_only_superusers_may(
    manager: httpx2.AsyncClient, field: Field, project_id: int, settings: Settings, method: str
) -> None:
    whole = {"name": "Bucket", "bucket": "moths", "project": project_id}
    made = (await manager.post("/storage/", json={**whole, "endpoint_url": "https://1.1.1.1"})).json()
    begin = whole if method == "PUT" else {}

    answers = [
        await manager.request(method, f"/storage/{made['id']}/", json={**begin, "endpoint_url": address})
        for address in ("http://10.0.0.1", f"file://{settings.storage_roots}", "https://1.0.0.1", None)
    ]

    assert [each.status_code for each in answers] == [400, 400, 200, 200]
    assert [list(each.json()) for each in answers[:2]] == [["endpoint_url"]] * 2
    assert await trusted(field) == [False]


async def test_within_a_private_network_managers_move_nothing(
    manager: httpx2.AsyncClient, field: Field, project_id: int
) -> None:
    """Also where nobody vouches for it: as sources are that were there before."""
    source_id = await field.row(
        "storage_sources", name="Old", bucket="b", endpoint_url="http://10.0.0.1", project_id=project_id
    )

    moved = await manager.patch(f"/storage/{source_id}/", json={"bucket": "others"})
    renamed = await manager.patch(f"/storage/{source_id}/", json={"name": "Renamed"})

    assert (moved.status_code, list(moved.json())) == (400, ["endpoint_url"])
    assert renamed.status_code == 200
    assert await trusted(field) == [False]


async def test_a_name_is_looked_up_and_looked_at_again_when_it_is_connected_to(
    client: httpx2.AsyncClient,
    manager: httpx2.AsyncClient,
    field: Field,
    project_id: int,
    named: dict[str, str],
) -> None:
    async with FakeS3(1) as fake:
        source = Source("moths", endpoint_url=f"http://moths.example:{fake.port}")
        named["moths.example"] = "127.0.0.1"
        refused = await manager.post("/storage/", json=body(source, project_id))
        named["moths.example"] = "1.1.1.1"
        made = await manager.post("/storage/", json=body(source, project_id))
        storage_id = made.json()["id"]
        named["moths.example"] = "127.0.0.1"
        tested = await manager.post(f"/storage/{storage_id}/test/", json={})
        assert fake.listings == 0
        saved = await client.patch(f"/storage/{storage_id}/", json={"endpoint_url": source.endpoint_url})
        vouched = await manager.post(f"/storage/{storage_id}/test/", json={})

    assert (refused.status_code, made.status_code, saved.status_code) == (400, 201, 200)
    assert (tested.status_code, tested.json()["code"]) == (400, "NotAllowed")
    # it goes by itself, and the machine really knows no such name
    assert vouched.json()["code"] == "EndpointConnectionError"
    assert await trusted(field) == [True]


async def test_a_superuser_who_edits_something_else_vouches_for_nothing(
    client: httpx2.AsyncClient, field: Field, project_id: int, named: dict[str, str]
) -> None:
    for address in ("http://10.0.0.1", "https://moths.example"):
        source_id = await field.row(
            "storage_sources", name="Old", bucket="b", endpoint_url=address, project_id=project_id
        )
        assert (await client.patch(f"/storage/{source_id}/", json={"name": "Renamed"})).status_code == 200
        named["moths.example"] = "1.1.1.1"
    # nor by writing down a name that leads to a public address
    assert (await client.patch(f"/storage/{source_id}/", json={"bucket": "c"})).status_code == 200

    assert await trusted(field) == [False, False]


async def test_a_name_that_cannot_be_looked_up_stays_as_it_was(
    client: httpx2.AsyncClient, field: Field, project_id: int
) -> None:
    for before in (True, False):
        place = {"bucket": "b", "endpoint_url": "http://nowhere.invalid", "trusted": before}
        source_id = await field.row("storage_sources", name="Old", project_id=project_id, **place)
        assert (await client.patch(f"/storage/{source_id}/", json={"bucket": "c"})).status_code == 200

    assert await trusted(field) == [True, False]


async def test_an_ordinary_account_does_not_learn_what_is_open(
    manager: httpx2.AsyncClient, field: Field, project_id: int
) -> None:
    said = []
    async with FakeS3(1) as fake:
        for port in (fake.port, 1):
            place = {"bucket": "b", "endpoint_url": f"http://127.0.0.1:{port}", "access_key": "a"}
            source_id = await field.row("storage_sources", name="Old", project_id=project_id, **place)
            answer = await manager.post(f"/storage/{source_id}/test/", json={})
            said.append((answer.status_code, answer.json()))
        assert fake.listings == 0

    assert said[0] == said[1]
    assert said[0][0] == 400
    assert said[0][1]["code"] == "NotAllowed"
    assert "superuser" in said[0][1]["detail"]


async def test_folders_can_be_for_managers_by_setting(
    field: Field, project_id: int, settings: Settings
) -> None:
    bucket = folder_in(Path(settings.storage_roots))
    await bucket.put({"20230801120000.jpg": picture()})
    person = await field.person("manager@example.org", ProjectManager=project_id)
    async with (
        serving(settings.model_copy(update={"storage_folders_for": "managers"})) as address,
        calling(address, person) as manager,
    ):
        made = await manager.post("/storage/", json=body(bucket.source, project_id))
        tested = await manager.post(f"/storage/{made.json()['id']}/test/", json={})
        outside = await manager.patch(f"/storage/{made.json()['id']}/", json={"bucket": "../.."})

    assert (made.status_code, tested.status_code) == (201, 200)
    assert tested.json()["files_checked"] == 1
    assert outside.json() == {"endpoint_url": ["The folder is not under a root that this server allows."]}
    assert await trusted(field) == [False]


async def test_networks_can_be_for_managers_by_setting(
    field: Field, project_id: int, settings: Settings, s3: Source
) -> None:
    source = await filled(s3, "a.jpg")
    person = await field.person("manager@example.org", ProjectManager=project_id)
    allowing = settings.model_copy(update={"storage_networks": "10.0.0.0/8, 127.0.0.1"})
    async with serving(allowing) as address, calling(address, person) as manager:
        made = await manager.post("/storage/", json=body(source, project_id))
        tested = await manager.post(f"/storage/{made.json()['id']}/test/", json={})
        refused = await manager.post(
            "/storage/", json=body(Source("b", endpoint_url="http://127.0.0.2"), project_id)
        )

    assert (made.status_code, tested.status_code, refused.status_code) == (201, 200, 400)
    assert tested.json()["files_checked"] == 1
    assert await trusted(field) == [False]


def test_a_network_that_is_none_is_refused_when_a_process_starts() -> None:
    with pytest.raises(ValueError, match="storage_networks"):
        Settings(storage_networks="10.0.0.0/8,ours")


# files ------------------------------------------------------------------------------------------------------------


@pytest.fixture
async def capture(client: httpx2.AsyncClient, field: Field, settings: Settings, project_id: int) -> Any:
    """A capture of a station whose source is a trusted folder with pictures, and that folder."""
    bucket = folder_in(Path(settings.storage_roots))
    source_id = (await client.post("/storage/", json=body(bucket.source, project_id))).json()["id"]
    station_id = await field.row(
        "deployments", name="Station", project_id=project_id, data_source_id=source_id
    )
    return bucket, station_id


async def fetched(client: httpx2.AsyncClient, station_id: int, path: str) -> httpx2.Response:
    """What the address gives of a capture that is made with a path."""
    made = await client.post("/captures/", json={"deployment_id": station_id, "path": path})
    assert made.status_code == 201, made.text
    async with httpx2.AsyncClient() as anybody:
        return await anybody.get(made.json()["url"])


TEXTS = {
    "notes.txt": b"moths of the night",
    "notes.jpg": b"moths of the night",
    "notes.bmp": b"BM are the letters that this text begins with",
    "settings.png": b"NIGHTJAR_SIGNING_KEY=0123456789abcdef0123456789abcdef",
    "page.svg": b"<html><svg></svg></html>",
    "data.svg": b"<?xml version='1.0'?><secrets/>",
    "empty.jpg": b"",
    # a picture, whose name says that it is none
    "picture.txt": picture(),
}


@pytest.mark.parametrize("name", TEXTS)
async def test_what_is_no_picture_is_not_given_by_any_address(
    manager: httpx2.AsyncClient, capture: tuple[Bucket, int], name: str
) -> None:
    bucket, station_id = capture
    await bucket.put({name: TEXTS[name]})

    answer = await fetched(manager, station_id, bucket.path(name))

    assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."})


async def test_pictures_are_given_as_what_they_are(
    manager: httpx2.AsyncClient, capture: tuple[Bucket, int]
) -> None:
    bucket, station_id = capture
    svg = b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- moths -->\n<svg xmlns="http://www.w3.org/2000/svg"/>'
    await bucket.put({"a.jpg": picture(), "b.PNG": picture(), "c.svg": svg})

    answers = [await fetched(manager, station_id, bucket.path(each)) for each in ("a.jpg", "b.PNG", "c.svg")]

    assert [each.headers["content-type"] for each in answers] == [
        "image/jpeg",
        "image/jpeg",
        "application/octet-stream",
    ]
    assert [each.content for each in answers] == [picture(), picture(), svg]


async def test_what_lies_beside_the_prefix_is_not_given(
    manager: httpx2.AsyncClient, capture: tuple[Bucket, int]
) -> None:
    bucket, station_id = capture
    (bucket.folder / "others").mkdir()
    (bucket.folder / "others" / "a.jpg").write_bytes(picture())
    await bucket.put({"a.jpg": picture()})

    paths = ("others/a.jpg", "captures/../others/a.jpg", "captures/a.jpg")
    answers = [await fetched(manager, station_id, path) for path in paths]

    assert [each.status_code for each in answers] == [404, 404, 200]


async def test_files_of_a_folder_that_nobody_vouches_for_are_not_given(
    client: httpx2.AsyncClient, field: Field, capture: tuple[Bucket, int]
) -> None:
    bucket, station_id = capture
    await bucket.put({"a.jpg": picture()})
    async with field.database.transaction() as db:
        # as it is after an upgrade
        await db.execute("UPDATE storage_sources SET trusted = false")

    before = await fetched(client, station_id, bucket.path("a.jpg"))
    [row] = await field.read("SELECT id, endpoint_url FROM storage_sources")
    await client.patch(f"/storage/{row['id']}/", json={"endpoint_url": row["endpoint_url"]})
    async with httpx2.AsyncClient() as anybody:
        after = await anybody.get(before.url)

    assert (before.status_code, after.status_code) == (404, 200)


async def test_only_what_lies_under_the_prefix_that_a_superuser_vouches_for_is_signed(
    client: httpx2.AsyncClient, manager: httpx2.AsyncClient, field: Field, project_id: int
) -> None:
    async with FakeS3([("captures/a.jpg", 5), ("others/a.jpg", 5)]) as fake:
        made = await client.post("/storage/", json=body(fake.source("captures"), project_id))
        station_id = await field.row(
            "deployments", name="Station", project_id=project_id, data_source_id=made.json()["id"]
        )
        urls = []
        for path in ("captures/a.jpg", "others/a.jpg", "captures/../others/a.jpg"):
            given = {"deployment_id": station_id, "path": path}
            urls.append((await manager.post("/captures/", json=given)).json()["url"])

    assert [each is not None for each in urls] == [True, False, False]
