"""Pipelines, algorithms, processing services and exports over HTTP, as they are read (domain 1.3, 8)."""

from typing import Any

import httpx2

from tests.field import Field


async def listed(client: httpx2.AsyncClient, path: str, **params: Any) -> list[dict[str, Any]]:
    response = await client.get(path, params=params)
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


async def ids(client: httpx2.AsyncClient, path: str, **params: Any) -> list[int]:
    return [each["id"] for each in await listed(client, path, **params)]


async def link(field: Field, table: str, **values: Any) -> None:
    """A row of a table without ids."""
    names, marks = ", ".join(values), ", ".join(f"%({name})s" for name in values)
    await field.read(f"INSERT INTO {table} ({names}) VALUES ({marks}) RETURNING 1", **values)


async def pipeline(field: Field, name: str, *, project_id: int | None = None, enabled: bool = True) -> int:
    pipeline_id = await field.row("pipelines", name=name, slug=name.lower().replace(" ", "-"))
    if project_id is not None:
        await field.row(
            "project_pipeline_configs", project_id=project_id, pipeline_id=pipeline_id, enabled=enabled
        )
    return pipeline_id


async def test_a_pipeline_says_its_models_in_their_order_and_who_runs_it(
    client: httpx2.AsyncClient, field: Field, address: str
) -> None:
    project_id = await field.project()
    pipeline_id = await pipeline(field, "Moths of Quebec", project_id=project_id)
    labels_id = await field.row("category_maps", labels=["Vanessa cardui", "Vanessa itea"])
    classifier = await field.row(
        "algorithms", name="C", key="c", task_type="classification", category_map_id=labels_id
    )
    detector = await field.row("algorithms", name="D", key="d", task_type="detection")
    for position, algorithm_id in enumerate((detector, classifier)):
        await link(
            field,
            "pipeline_algorithms",
            pipeline_id=pipeline_id,
            algorithm_id=algorithm_id,
            position=position,
        )
    service_id = await field.row("processing_services", name="Cluster", last_seen="2024-06-01 12:00Z")
    await link(
        field, "processing_service_pipelines", processing_service_id=service_id, pipeline_id=pipeline_id
    )
    await link(field, "processing_service_projects", processing_service_id=service_id, project_id=project_id)

    body = (await client.get(f"/ml/pipelines/{pipeline_id}/")).json()
    [service] = await listed(client, "/ml/processing_services/", project_id=project_id)

    assert [each["key"] for each in body["algorithms"]] == ["d", "c"]
    assert body["algorithms"][1]["category_map"]["id"] == labels_id
    assert body["algorithms"][0]["category_map"] is None
    [offered] = body["processing_services"]
    assert (offered["id"], offered["is_async"], offered["endpoint_url"]) == (service_id, True, None)
    assert offered["last_seen"] == service["last_seen"]
    [config] = body["project_pipeline_configs"]
    assert (config["enabled"], config["config"]) == (True, {})
    assert config["project"] == f"{address}/api/v2/projects/{project_id}/"
    assert (service["id"], service["projects"]) == (service_id, [project_id])
    assert [each["slug"] for each in service["pipelines"]] == ["moths-of-quebec"]
    assert await listed(client, "/ml/pipelines/") == [body]


async def test_pipelines_and_algorithms_of_a_project_are_those_enabled_there(
    client: httpx2.AsyncClient, field: Field
) -> None:
    ours, other = await field.project("Moths"), await field.project("Bees")
    on = await pipeline(field, "On", project_id=ours)
    off = await pipeline(field, "Off", project_id=ours, enabled=False)
    elsewhere = await pipeline(field, "Elsewhere", project_id=other)
    nowhere = await pipeline(field, "Nowhere")
    algorithms = {}
    for pipeline_id in (on, off, elsewhere, nowhere):
        algorithms[pipeline_id] = await field.row(
            "algorithms", name=f"A{pipeline_id}", key=f"a{pipeline_id}", task_type="detection"
        )
        await link(
            field, "pipeline_algorithms", pipeline_id=pipeline_id, algorithm_id=algorithms[pipeline_id]
        )

    assert await ids(client, "/ml/pipelines/") == [on, off, elsewhere, nowhere]
    assert await ids(client, "/ml/pipelines/", project_id=ours) == [on]
    assert await ids(client, "/ml/algorithms/") == list(algorithms.values())
    assert await ids(client, "/ml/algorithms/", project_id=ours) == [algorithms[on]]
    assert await ids(client, "/ml/pipelines/", slug="off") == [off]
    assert await ids(client, "/ml/pipelines/", search="where", ordering="-name") == [nowhere, elsewhere]
    assert await ids(client, "/ml/algorithms/", key=f"a{off}") == [algorithms[off]]
    assert await ids(client, "/ml/algorithms/", task_type="classification") == []


async def test_an_algorithm_says_how_many_labels_it_knows(client: httpx2.AsyncClient, field: Field) -> None:
    labels_id = await field.row("category_maps", labels=["a", "b", "c"])
    with_labels = await field.row("algorithms", name="C", key="c", category_map_id=labels_id)
    without = await field.row("algorithms", name="D", key="d")

    found = [(await client.get(f"/ml/algorithms/{each}/")).json() for each in (with_labels, without)]

    assert [each["category_count"] for each in found] == [3, None]
    assert [each["category_map"] and each["category_map"]["id"] for each in found] == [labels_id, None]


async def test_what_a_draft_uses_is_told_to_its_people_only(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient, field: Field
) -> None:
    open_id, draft_id = await field.project("Open"), await field.project("Draft", draft=True)
    member = await field.person("member@example.org", BasicMember=draft_id)
    pipeline_id = await pipeline(field, "Shared", project_id=open_id)
    await field.row("project_pipeline_configs", project_id=draft_id, pipeline_id=pipeline_id)
    both, secret = [await field.row("processing_services", name=name) for name in ("Both", "Secret")]
    for service_id, project_id in ((both, open_id), (both, draft_id), (secret, draft_id)):
        await link(
            field, "processing_service_projects", processing_service_id=service_id, project_id=project_id
        )
        await field.read(
            """INSERT INTO processing_service_pipelines (processing_service_id, pipeline_id)
            VALUES (%(service_id)s, %(pipeline_id)s) ON CONFLICT DO NOTHING RETURNING 1""",
            service_id=service_id,
            pipeline_id=pipeline_id,
        )

    async def told(headers: dict[str, str]) -> tuple[int, list[str], list[list[int]], list[int], int, int]:
        anonymous.headers.pop("authorization", None)
        anonymous.headers.update(headers)
        body = (await anonymous.get(f"/ml/pipelines/{pipeline_id}/")).json()
        services = await listed(anonymous, "/ml/processing_services/", project_id=open_id)
        of_draft = await anonymous.get("/ml/processing_services/", params={"project_id": draft_id})
        return (
            len(body["project_pipeline_configs"]),
            [each["name"] for each in body["processing_services"]],
            [each["projects"] for each in services],
            [each["id"] for each in of_draft.json().get("results", [])]
            + await ids(anonymous, "/ml/pipelines/", project_id=draft_id),
            of_draft.status_code,
            (await anonymous.get(f"/ml/processing_services/{secret}/")).status_code,
        )

    assert await told({}) == (1, ["Both"], [[open_id]], [], 404, 404)
    everything = (2, ["Both", "Secret"], [[open_id, draft_id]], [both, secret, pipeline_id], 200, 200)
    assert await told(member.headers) == everything


async def test_services_are_listed_by_project(client: httpx2.AsyncClient, field: Field) -> None:
    missing = await client.get("/ml/processing_services/")
    unknown = await client.get("/ml/processing_services/", params={"project_id": 999999})

    assert (missing.status_code, missing.json()) == (400, {"project_id": ["This field is required."]})
    assert unknown.status_code == 404


async def test_an_export_says_its_job_and_how_far_it_is(
    client: httpx2.AsyncClient, field: Field, address: str
) -> None:
    project_id = await field.project("Moths")
    person = await field.person("ada@example.org")
    export = {"user_id": person.id, "project_id": project_id}
    export_id = await field.row(
        "data_exports",
        **export,
        format="occurrences_simple_csv",
        filters={"collection_id": 7},
        file_url="/media/exports/1.csv",
        file_size=2048,
        record_count=3,
    )
    bare_id = await field.row("data_exports", **export, format="occurrences_api_json")
    job_id = await field.row(
        "jobs",
        name="Export occurrences",
        project_id=project_id,
        data_export_id=export_id,
        job_type_key="data_export",
    )
    await link(
        field,
        "job_stages",
        job_id=job_id,
        key="data_export",
        name="Exporting data",
        position=0,
        progress=0.5,
        status="STARTED",
    )

    body = (await client.get(f"/exports/{export_id}/")).json()
    bare = (await client.get(f"/exports/{bare_id}/")).json()
    job = (await client.get(f"/jobs/{job_id}/")).json()

    assert (body["format"], body["filters"], body["record_count"]) == (
        "occurrences_simple_csv",
        {"collection_id": 7},
        3,
    )
    assert (body["file_size"], body["file_size_display"]) == (2048, "2.0\xa0KB")
    assert body["user"]["details"] == f"{address}/api/v2/users/{person.id}/"
    assert (body["job"]["id"], body["job"]["project"]["id"]) == (job_id, project_id)
    assert body["job"]["progress"]["stages"] == job["progress"]["stages"]
    assert body["job"]["progress"]["summary"] == {"status": "CREATED", "progress": 0.5}
    assert (bare["job"], bare["file_url"], bare["file_size_display"]) == (None, None, None)
    assert job["data_export"] == {
        "id": export_id,
        "user": person.id,
        "project": project_id,
        "format": "occurrences_simple_csv",
        "filters": {"collection_id": 7},
        "file_url": "/media/exports/1.csv",
    }
    assert await ids(client, "/exports/", ordering="-format") == [export_id, bare_id]


async def test_models_and_exports_are_read_only(client: httpx2.AsyncClient, field: Field) -> None:
    pipeline_id = await pipeline(field, "One")

    answers = [
        await client.post("/ml/pipelines/", json={"name": "Two"}),
        await client.patch(f"/ml/pipelines/{pipeline_id}/", json={"name": "Two"}),
        await client.delete(f"/ml/pipelines/{pipeline_id}/"),
        await client.post("/ml/algorithms/", json={}),
    ]

    assert [answer.status_code for answer in answers] == [405] * 4
    assert answers[1].headers["allow"] == "GET, HEAD, OPTIONS"
