"""CountCache for the menu, and the lists that the API offers (domain 8)."""

from typing import Any

import httpx2

from api.app import RESOURCES
from tests.field import Field

NAMES = ("projects", "deployments", "events", "captures", "detections")


async def summary(
    client: httpx2.AsyncClient, headers: dict[str, str] | None = None, **params: Any
) -> list[int]:
    """How many there are of each of the names."""
    response = await client.get("/status/summary/", params=params, headers=headers or {})
    assert response.status_code == 200, response.text
    body = response.json()
    for name in NAMES[:4]:
        assert body[f"{name}_count"] == body[f"num_{name}"]
    assert body["num_sessions"] == body["num_events"]
    return [body[f"num_{name}"] for name in NAMES]


async def test_a_summary_counts_what_the_caller_may_see(
    anonymous: httpx2.AsyncClient, client: httpx2.AsyncClient, field: Field
) -> None:
    draft_id = await field.project("Draft", draft=True)
    open_id = await field.project("Open")
    for project_id, captures in ((open_id, 3), (draft_id, 2)):
        station_id = await field.station(project_id)
        await client.post("/events/", json={"deployment_id": station_id, "start": "2024-06-01T22:00:00"})
        for number in range(captures):
            made = await client.post(
                "/captures/", json={"deployment_id": station_id, "path": f"{number}.jpg"}
            )
            await field.read(
                """INSERT INTO detections (source_image_id, bbox) VALUES (%(id)s, '[]'), (%(id)s, NULL)
                RETURNING 1""",
                id=made.json()["id"],
            )
    member = await field.person("member@example.org", BasicMember=draft_id)

    assert await summary(anonymous) == [1, 1, 1, 3, 3]
    assert await summary(anonymous, member.headers) == [2, 2, 2, 5, 5]
    assert await summary(client) == [2, 2, 2, 5, 5]
    assert await summary(client, project_id=open_id) == [2, 1, 1, 3, 3]
    assert await summary(anonymous, member.headers, project_id=draft_id) == [2, 1, 1, 2, 2]
    assert await summary(anonymous, project_id=draft_id) == [1, 0, 0, 0, 0]
    assert await summary(client, project_id=999999) == [2, 2, 2, 5, 5]
    assert (await client.get("/status/summary/", params={"project_id": "x"})).status_code == 400


async def test_an_empty_database_is_summed_up(anonymous: httpx2.AsyncClient) -> None:
    assert await summary(anonymous) == [0, 0, 0, 0, 0]


async def test_the_root_names_every_list(client: httpx2.AsyncClient, field: Field, address: str) -> None:
    project_id = await field.project()

    body = (await client.get("/")).json()

    assert list(body) == [resource.path for resource in RESOURCES if "{" not in resource.path]
    for path, link in body.items():
        assert link == f"{address}/api/v2/{path}/"
        assert (await client.get(link, params={"project_id": project_id})).status_code == 200
