"""Stations, sites, devices and storage over HTTP: what is taken, what is refused, what is never said (domain 1.2)."""

import logging
from datetime import datetime
from typing import Any

import httpx2
import pytest

from tests.field import Field

UNKNOWN = 'Invalid pk "{}" - object does not exist.'
ACCESS, SECRET = "AKIA-never-to-be-read", "s3cret-never-to-be-read"


async def make(client: httpx2.AsyncClient, path: str, **body: Any) -> dict[str, Any]:
    response = await client.post(path, json=body)
    assert response.status_code == 201, response.text
    assert response.headers["location"] == response.json()["details"]
    made: dict[str, Any] = response.json()
    return made


async def listed(client: httpx2.AsyncClient, path: str, **params: Any) -> list[dict[str, Any]]:
    response = await client.get(path, params=params)
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def timeless(body: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != "updated_at"}


# sites and devices ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/deployments/sites/", "/deployments/devices/"])
async def test_a_site_or_a_device_is_made_read_changed_and_removed(
    client: httpx2.AsyncClient, field: Field, path: str
) -> None:
    project_id = await field.project()

    made = await make(client, path, name="First", description="By the river", project=project_id)
    patched = await client.patch(made["details"], json={"name": "Second"})
    replaced = await client.put(made["details"], json={"name": "Third", "project": project_id})
    refused = await client.put(made["details"], json={"description": ""})
    [found] = await listed(client, path, project_id=project_id)
    gone = await client.delete(made["details"])

    assert (made["name"], made["description"], made["project"]) == ("First", "By the river", project_id)
    assert timeless(patched.json()) == timeless({**made, "name": "Second"})
    assert timeless(replaced.json()) == timeless({**made, "name": "Third"})
    assert refused.json() == {"name": ["This field is required."], "project": ["This field is required."]}
    assert found == replaced.json()
    assert gone.status_code == 204
    assert await listed(client, path, project_id=project_id) == []


async def test_a_site_reaches_as_far_as_its_stations(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    site = await make(client, "/deployments/sites/", name="Forest", project=project_id)
    for name, latitude, longitude in (("A", 45.5, -73.0), ("B", 46.0, -74.5), ("C", None, None)):
        body = {"latitude": latitude, "longitude": longitude, "research_site_id": site["id"]}
        await make(client, "/deployments/", name=name, project_id=project_id, **body)

    assert site["boundary_rect"] is None
    assert (await client.get(site["details"])).json()["boundary_rect"] == [45.5, -74.5, 46.0, -73.0]


# stations -------------------------------------------------------------------------------------------------------


async def test_a_station_is_made_of_what_belongs_to_its_project(
    client: httpx2.AsyncClient, field: Field, address: str
) -> None:
    project_id = await field.project()
    site = await make(client, "/deployments/sites/", name="Forest", project=project_id)
    device = await make(client, "/deployments/devices/", name="Trap", project=project_id)
    storage = await make(
        client, "/storage/", name="Ours", bucket="moths", prefix="/quebec/", project=project_id
    )

    made = await make(
        client,
        "/deployments/",
        name="Oak",
        description="South side",
        project_id=str(project_id),
        research_site_id=site["id"],
        device_id=device["id"],
        data_source_id=storage["id"],
        data_source_subdir="oak",
        data_source_regex=r".*\.jpe?g$",
        latitude=45.5,
        longitude=-73,
    )

    assert (made["name"], made["description"]) == ("Oak", "South side")
    assert (made["latitude"], made["longitude"]) == (45.5, -73.0)
    assert (made["research_site"]["id"], made["device"]["id"]) == (site["id"], device["id"])
    assert (made["project"]["id"], made["data_source"]["id"]) == (project_id, storage["id"])
    assert made["data_source_connected"] is True
    assert made["data_source_uri"] == "s3://moths/quebec/oak/?regex=.%2A%5C.jpe%3Fg%24"
    assert made["data_source"]["uri"] == made["data_source_uri"]
    assert (made["events"], made["events_count"], made["captures_count"]) == ([], 0, 0)
    [found] = await listed(client, "/deployments/", project_id=project_id)
    assert found["events"] == f"{address}/api/v2/events/?deployment={made['id']}"
    assert {key: found[key] for key in ("id", "device", "research_site", "data_source_connected")} == {
        key: made[key] for key in ("id", "device", "research_site", "data_source_connected")
    }


async def test_a_change_of_a_station_keeps_what_is_not_named(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    device = await make(client, "/deployments/devices/", name="Trap", project=project_id)
    made = await make(
        client, "/deployments/", name="Oak", project_id=project_id, device_id=device["id"], latitude=1
    )

    renamed = await client.patch(made["details"], json={"name": "Elm", "captures_count": 9})
    replaced = await client.put(made["details"], json={"name": "Ash", "project_id": project_id})
    without = await client.patch(made["details"], json={"device_id": None, "latitude": None})

    assert timeless(renamed.json()) == timeless({**made, "name": "Elm"})
    assert timeless(replaced.json()) == timeless({**made, "name": "Ash"})
    assert (without.json()["device"], without.json()["latitude"]) == (None, None)


async def test_what_belongs_to_another_project_cannot_be_named(
    client: httpx2.AsyncClient, field: Field
) -> None:
    ours, other = await field.project("Moths"), await field.project("Bees")
    foreign = {
        "research_site_id": await field.row("sites", name="Site", project_id=other),
        "device_id": await field.row("devices", name="Device", project_id=other),
        "data_source_id": await field.row("storage_sources", name="Theirs", bucket="b", project_id=other),
    }
    station = await make(client, "/deployments/", name="Oak", project_id=ours)
    messages = {name: [UNKNOWN.format(row_id)] for name, row_id in foreign.items()}

    created = await client.post("/deployments/", json={"name": "Elm", "project_id": ours, **foreign})
    changed = await client.patch(station["details"], json=foreign)
    absent = await client.patch(station["details"], json=dict.fromkeys(foreign, 999999))
    moved = [
        await client.patch(station["details"], json={"project_id": other}, params={"project_id": ours}),
        await client.patch(f"/deployments/devices/{foreign['device_id']}/", json={"project": ours}),
        await client.patch(f"/deployments/sites/{foreign['research_site_id']}/", json={"project": ours}),
        await client.patch(f"/storage/{foreign['data_source_id']}/", json={"project": ours}),
    ]

    assert (created.status_code, created.json()) == (400, messages)
    assert (changed.status_code, changed.json()) == (400, messages)
    assert absent.json() == {name: [UNKNOWN.format(999999)] for name in foreign}
    assert [(each.status_code, list(each.json())) for each in moved] == [
        (400, ["project_id"]),
        *[(400, ["project"])] * 3,
    ]
    # the body names the project that the request is about: there the station is not
    assert (await client.patch(station["details"], json={"project_id": other})).status_code == 404
    assert timeless((await client.get(station["details"])).json()) == timeless(station)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"latitude": 91}, "Ensure this value is less than or equal to 90.0."),
        ({"latitude": -90.5}, "Ensure this value is greater than or equal to -90.0."),
        ({"longitude": 181}, "Ensure this value is less than or equal to 180.0."),
        ({"longitude": "west"}, "A valid number is required."),
        ({"data_source_regex": "(unclosed"}, "Not a valid regular expression: missing )"),
        (
            {"data_source_regex": "(?=a)"},
            "Not a valid regular expression: invalid perl operator: (?= (RE2 syntax",
        ),
        ({"data_source_regex": "a" * 256}, "Ensure this field has no more than 255 characters."),
        ({"data_source_subdir": "x" * 256}, "Ensure this field has no more than 255 characters."),
        ({"device_id": "first"}, "Incorrect type. Expected pk value, received str."),
        ({"name": " "}, "This field may not be blank."),
        ({"description": None}, "This field may not be null."),
    ],
)
async def test_a_station_that_makes_no_sense_is_refused(
    client: httpx2.AsyncClient, field: Field, values: dict[str, Any], message: str
) -> None:
    project_id = await field.project()

    response = await client.post("/deployments/", json={"name": "Oak", "project_id": project_id, **values})

    [(name, [said])] = response.json().items()
    assert (response.status_code, name) == (400, next(iter(values)))
    assert said.startswith(message)
    assert await listed(client, "/deployments/") == []


async def test_stations_are_filtered_found_and_ordered(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    site_id = await field.row("sites", name="Site", project_id=project_id)
    device_id = await field.row("devices", name="Device", project_id=project_id)
    storage_id = await field.row("storage_sources", name="S", bucket="b", project_id=project_id)
    row: dict[str, Any] = {"table": "deployments", "project_id": project_id}
    oak = await field.row(**row, name="Oak", research_site_id=site_id, last_capture_timestamp="2024-06-02")
    elm = await field.row(**row, name="Elm", device_id=device_id, last_capture_timestamp="2024-06-01")
    ash = await field.row(**row, name="Ash", description="An old one", data_source_id=storage_id)

    async def ids(**params: Any) -> list[int]:
        return [each["id"] for each in await listed(client, "/deployments/", **params)]

    assert await ids() == [ash, elm, oak]
    assert await ids(ordering="-name") == [oak, elm, ash]
    assert await ids(ordering="last_date") == [elm, oak, ash]
    assert await ids(ordering="-last_date") == [oak, elm, ash]
    assert [await ids(research_site=site_id), await ids(device=device_id)] == [[oak], [elm]]
    assert await ids(data_source=storage_id) == [ash]
    assert await ids(search="OLD one") == [ash]
    assert await ids(search="%") == []
    for params in ({"device": 999999}, {"device": "x"}):
        assert (await client.get("/deployments/", params=params)).status_code == 400


async def test_a_station_that_is_removed_leaves_its_captures_to_the_project(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id)
    [capture_id] = await field.captures(project_id, station_id, [None])

    gone = await client.delete(f"/deployments/{station_id}/")

    assert gone.status_code == 204
    assert (await client.get(f"/captures/{capture_id}/")).json()["deployment"] is None


async def test_what_a_station_is_made_of_may_be_removed(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    parts = {
        "research_site": f"/deployments/sites/{await field.row('sites', name='S', project_id=project_id)}/",
        "device": f"/deployments/devices/{await field.row('devices', name='D', project_id=project_id)}/",
        "data_source": f"/storage/{await field.row('storage_sources', name='T', bucket='b', project_id=project_id)}/",
    }
    references = {f"{name}_id": int(path.split("/")[-2]) for name, path in parts.items()}
    station = await make(client, "/deployments/", name="Oak", project_id=project_id, **references)

    statuses = [(await client.delete(path)).status_code for path in parts.values()]

    after = (await client.get(station["details"])).json()
    assert statuses == [204] * 3
    assert [after[name] for name in parts] == [None] * 3
    assert (after["data_source_connected"], after["data_source_uri"]) == (False, None)


async def test_a_station_shows_its_newest_jobs(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id)
    job = {"project_id": project_id, "deployment_id": station_id, "job_type_key": "data_storage_sync"}
    jobs = [await field.row("jobs", name="Sync", **job) for _ in range(12)]

    detail = (await client.get(f"/deployments/{station_id}/")).json()["jobs"]
    [station] = await listed(client, "/deployments/")

    assert [each["id"] for each in detail] == jobs[:1:-1]
    assert station["jobs"] == detail
    whole = (await client.get(f"/jobs/{jobs[-1]}/")).json()
    assert detail[0] == {key: whole[key] for key in detail[0]}


# storage --------------------------------------------------------------------------------------------------------


async def test_the_keys_of_a_storage_are_taken_and_never_given(
    client: httpx2.AsyncClient, field: Field, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    project_id = await field.project()
    keys = {"access_key": ACCESS, "secret_key": SECRET}
    body = {"name": "Ours", "bucket": "moths", "project": project_id, **keys}

    made = await client.post("/storage/", json=body)
    path = f"/storage/{made.json()['id']}/"
    station = {"name": "Oak", "project_id": project_id, "data_source_id": made.json()["id"]}
    answers = [
        made,
        await client.post("/storage/", json=body, headers={"Idempotency-Key": "again"}),
        await client.post("/storage/", json={**body, "endpoint_url": "nowhere"}),
        await client.post("/storage/", json={**body, "project": 999999}),
        await client.post("/deployments/", json=station),
        await client.get("/deployments/"),
        await client.put(path, json=body),
        await client.patch(path, json=keys),
        await client.get(path),
        await client.get("/storage/"),
        await client.get(path, headers={"Accept": "text/html"}),
        await client.get(f"/projects/{project_id}/"),
        await client.get("/storage/", params={"search": SECRET, "ordering": "secret_key"}),
    ]

    assert [answer.status_code for answer in answers] == [201, 201, 400, 400, 201, *[200] * 8]
    for answer in answers:
        text = answer.text.replace(f"search={SECRET}", "")
        assert ACCESS not in text
        assert SECRET not in text
        assert "secret_key" not in text.replace("ordering=secret_key", "")
    # the client of this test logs the address that it asks, and the last one had the secret in it
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("httpx2")]
    assert not [
        line for line in ours if ACCESS in line or (f"search={SECRET}" not in line and SECRET in line)
    ]
    [kept] = await field.read(
        "SELECT access_key, secret_key FROM storage_sources WHERE bucket = 'moths' LIMIT 1"
    )
    assert kept == keys
    answered = await field.read("SELECT convert_from(body, 'UTF8') AS body FROM idempotency_keys")
    assert len(answered) == 1
    assert SECRET not in answered[0]["body"]


async def test_keys_that_are_left_out_stay_as_they_are(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    body = {"name": "Ours", "bucket": "moths", "project": project_id}
    made = await make(client, "/storage/", **body, access_key=ACCESS, secret_key=SECRET)

    await client.put(made["details"], json={**body, "name": "Renamed"})
    await client.patch(made["details"], json={"prefix": "quebec"})

    [kept] = await field.read("SELECT name, prefix, access_key, secret_key FROM storage_sources")
    assert kept == {"name": "Renamed", "prefix": "quebec", "access_key": ACCESS, "secret_key": SECRET}


@pytest.mark.parametrize("name", ["endpoint_url", "public_base_url"])
@pytest.mark.parametrize(
    "value", ["nowhere", "ftp://host/x", "http://", "https://a b/", "javascript:alert(1)"]
)
async def test_a_storage_with_a_bad_address_is_refused(
    client: httpx2.AsyncClient, field: Field, name: str, value: str
) -> None:
    body = {"name": "Ours", "bucket": "moths", "project": await field.project(), name: value}

    response = await client.post("/storage/", json=body)

    assert (response.status_code, response.json()) == (400, {name: ["Enter a valid URL."]})


async def test_a_storage_counts_what_its_stations_have(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    storage_id = await field.row("storage_sources", name="Ours", bucket="moths", project_id=project_id)
    for name, size in (("Oak", 1000), ("Elm", 24)):
        station_id = await field.row(
            "deployments", name=name, project_id=project_id, data_source_id=storage_id
        )
        capture = {"deployment_id": station_id, "path": "1.jpg", "size": size}
        assert (await client.post("/captures/", json=capture)).status_code == 201

    body = (await client.get(f"/storage/{storage_id}/")).json()

    assert body["deployments_count"] == 2
    assert (body["total_files_indexed"], body["total_captures_indexed"]) == (2, 2)
    assert (body["total_size_indexed"], body["total_size_indexed_display"]) == (1024, "1.0\xa0KB")


async def test_the_examples_of_a_station_are_its_largest_captures(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    station_id = await field.station(project_id)
    times = [datetime(2024, 6, 1, 20, minute) for minute in range(12)]  # noqa: DTZ001 - clock of the station
    ids = await field.captures(project_id, station_id, [*times, None], sizes=[*range(100, 112), 5])

    examples = (await client.get(f"/deployments/{station_id}/")).json()["example_captures"]

    assert [each["id"] for each in examples] == ids[11:1:-1]
