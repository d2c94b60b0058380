"""The list of jobs: every query parameter, on the list and on what is done with one job; how jobs are dispatched."""

import itertools
from typing import Any

import httpx2
from psycopg.types.json import Jsonb

from db.connections import value
from tests.field import Field
from tests.waiting import make_job

POPULATE = "populate_captures_collection"
INVALID_CHOICE = "Select a valid choice. That choice is not one of the available choices."


async def add(field: Field, project_id: int, name: str = "Job", **columns: Any) -> int:
    """A job as a row, in whatever state; gives its id."""
    values = {"job_type_key": POPULATE, **columns, "project_id": project_id, "name": name}
    names = ", ".join(values)
    marks = ", ".join(f"%({each})s" for each in values)
    async with field.database.transaction() as db:
        return int(await value(db, f"INSERT INTO jobs ({names}) VALUES ({marks}) RETURNING id", values))


async def age(field: Field, job_id: int, column: str, hours: float | None) -> None:
    """Set a time of a job so many hours back; None for no time at all."""
    async with field.database.transaction() as db:
        await db.execute(
            f"UPDATE jobs SET {column} = now() - make_interval(secs => %s * 3600) WHERE id = %s",
            (hours, job_id),
        )


async def page(client: httpx2.AsyncClient, query: str = "") -> dict[str, Any]:
    answer = await client.get(f"/jobs/?{query}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def ids(client: httpx2.AsyncClient, query: str = "") -> list[int]:
    """The jobs that a query gives, in order; all of them are on the page."""
    found = await page(client, query)
    assert found["count"] == len(found["results"])
    return [job["id"] for job in found["results"]]


async def refusal(client: httpx2.AsyncClient, query: str, path: str = "/jobs/") -> Any:
    answer = await client.get(f"{path}?{query}")
    assert answer.status_code == 400, answer.text
    return answer.json()


# words that mean yes and no -----------------------------------------------------------------------------------


async def test_whatever_does_not_say_no_is_yes(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    waiting = await add(field, project_id)
    over = await add(field, project_id, status="SUCCESS")

    for yes in ("incomplete_only", "incomplete_only=", *(f"incomplete_only={word}" for word in YES)):
        assert await ids(client, yes) == [waiting], yes
    for no in ("", *(f"incomplete_only={word}" for word in ("0", "false", "False"))):
        assert await ids(client, no) == [over, waiting], no
    # the last of several
    assert await ids(client, "incomplete_only=1&incomplete_only=0") == [over, waiting]


YES = ("1", "true", "True", "no", "FALSE", "off", "n")


# a worker's poll ----------------------------------------------------------------------------------------------


async def test_a_poll_gets_one_job_and_the_count_of_all(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    made = {await add(field, project_id) for _ in range(3)}

    one = await page(client, "ids_only=True")

    assert list(one) == ["count", "next", "previous", "results", "user_permissions"]
    assert (one["count"], len(one["results"])) == (3, 1)
    assert one["results"][0]["id"] in made
    assert set(await ids(client, "ids_only=True&limit=10")) == made
    assert set(await ids(client, "ids_only=1&page_size=10")) == made
    assert len((await page(client, "ids_only=1&limit=2&page_size=10"))["results"]) == 2
    for odd in ("limit=0", "limit=-1", "limit=x", "limit=", "page_size=x"):
        assert len((await page(client, f"ids_only&{odd}"))["results"]) == 1


async def test_a_polled_job_is_its_id_and_its_pipeline(
    client: httpx2.AsyncClient, anonymous: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    pipeline_id = await field.pipeline("Moths of Panama", "panama")
    with_pipeline = await add(field, project_id, pipeline_id=pipeline_id, job_type_key="ml")
    without = await add(field, project_id)

    rows = {row["id"]: row for row in (await page(client, "ids_only=1&limit=10"))["results"]}
    for_anyone = (await page(anonymous, "ids_only=1&limit=10"))["results"]

    assert set(rows) == {with_pipeline, without}
    assert [list(row) for row in rows.values()] == [["id", "pipeline_slug", "user_permissions"]] * 2
    assert (rows[with_pipeline]["pipeline_slug"], rows[without]["pipeline_slug"]) == ("panama", None)
    assert sorted(rows[with_pipeline]["user_permissions"]) == ["delete", "run", "run_single_image", "update"]
    assert [row["user_permissions"] for row in for_anyone] == [[], []]


async def test_polls_do_not_always_get_the_same_job(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    made = {await add(field, project_id) for _ in range(6)}

    seen = [(await page(client, "ids_only=1"))["results"][0]["id"] for _ in range(40)]
    orders = {tuple(await ids(client, "ids_only=1&limit=6")) for _ in range(10)}

    assert set(seen) <= made
    assert len(set(seen)) > 1
    assert len(orders) > 1
    assert all(set(order) == made for order in orders)


async def test_a_poll_takes_the_filters_of_the_worker(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    slugs = {slug: await field.pipeline(slug.title(), slug) for slug in ("a", "b", "c")}
    wanted = [
        await add(field, project_id, pipeline_id=slugs[slug], dispatch_mode="async_api", status="STARTED")
        for slug in ("a", "b")
    ]
    await add(field, project_id, pipeline_id=slugs["c"], dispatch_mode="async_api")
    await add(field, project_id, pipeline_id=slugs["a"], dispatch_mode="sync_api")
    await add(field, project_id, pipeline_id=slugs["a"], dispatch_mode="async_api", status="SUCCESS")

    query = "pipeline__slug__in=a,b&ids_only=1&incomplete_only=1&dispatch_mode=async_api&limit=10"

    assert set(await ids(client, query)) == set(wanted)
    # as the worker asks, without a slash
    polled = await client.get(f"/jobs?{query}", follow_redirects=False)
    assert (polled.status_code, polled.json()["count"]) == (200, 2)


async def test_only_what_is_not_over_is_incomplete(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    made = {status: await add(field, project_id, status=status) for status in ALL}
    going, done = [await add(field, project_id, status="STARTED") for _ in range(2)]
    async with field.database.transaction() as db:
        for job_id, status in ((going, "STARTED"), (done, "SUCCESS")):
            await db.execute(
                """INSERT INTO job_stages (job_id, key, position, name, status, params)
                VALUES (%s, 'results', 0, 'Results', %s, %s)""",
                (job_id, status, Jsonb([])),
            )

    found = set(await ids(client, "incomplete_only=True&limit=100"))

    over = {made[status] for status in ("SUCCESS", "FAILURE", "REVOKED")}
    assert found == {*made.values(), going} - over
    assert (await client.get(f"/jobs/{done}/?incomplete_only=1")).status_code == 404
    assert (await client.get(f"/jobs/{going}/?incomplete_only=1")).status_code == 200


ALL = (
    "CREATED",
    "PENDING",
    "STARTED",
    "SUCCESS",
    "FAILURE",
    "RETRY",
    "REVOKED",
    "CANCELING",
    "RECEIVED",
    "UNKNOWN",
)


# old failures -------------------------------------------------------------------------------------------------


async def test_failures_older_than_the_cutoff_are_hidden(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    made = {}
    for status, hours in itertools.product(("FAILURE", "REVOKED", "SUCCESS", "STARTED"), (1, 100)):
        made[status, hours] = await add(field, project_id, status=status)
        await age(field, made[status, hours], "finished_at", None if status == "STARTED" else hours)
        await age(field, made[status, hours], "updated_at", hours)
    never_ended = await add(field, project_id, status="FAILURE")
    await age(field, never_ended, "updated_at", 100)
    old = {made["FAILURE", 100], made["REVOKED", 100], never_ended}

    everything = set(await ids(client))
    recent = set(await ids(client, "cutoff_hours=72"))

    assert everything == {*made.values(), never_ended}
    assert everything - recent == old
    assert set(await ids(client, "cutoff_hours=101")) == everything
    assert set(await ids(client, "cutoff_hours=2147483647")) == everything
    gone = {*old, made["FAILURE", 1], made["REVOKED", 1]}
    assert everything - set(await ids(client, "cutoff_hours=0")) == gone
    detail = f"/jobs/{made['FAILURE', 100]}/"
    assert (await client.get(detail)).status_code == 200
    assert (await client.get(f"{detail}?cutoff_hours=72")).status_code == 404
    assert (await client.post(f"{detail}retry/?cutoff_hours=72")).status_code == 404
    for bad, message in (
        ("abc", "A valid integer is required."),
        ("1.5", "A valid integer is required."),
        ("-1", "Ensure this value is greater than or equal to 0."),
    ):
        for path in ("/jobs/", detail):
            assert await refusal(client, f"cutoff_hours={bad}", path) == {"cutoff_hours": [message]}


# order --------------------------------------------------------------------------------------------------------


async def test_jobs_come_in_the_order_that_is_asked_for(client: httpx2.AsyncClient, field: Field) -> None:
    """Two with every value and one with none where there may be none: that one is last both ways."""
    jobs = []
    for number, letter in enumerate("ab"):
        project_id = await field.project(f"{letter} project")
        jobs.append(
            await add(
                field,
                project_id,
                f"{letter} job",
                status="CREATED" if letter == "a" else "STARTED",
                deployment_id=await field.station(project_id, f"{letter} station"),
                source_image_collection_id=await field.capture_set(project_id, name=f"{letter} set"),
                pipeline_id=await field.pipeline(f"{letter} pipeline", letter),
            )
        )
        for column in ("created_at", "updated_at", "started_at", "finished_at"):
            await age(field, jobs[-1], column, 10 - number)
    bare = await add(field, await field.project("c project"), "c job", status="SUCCESS")
    first, second = jobs

    for name in ("name", "created_at", "updated_at", "project"):
        assert await ids(client, f"ordering={name}") == [first, second, bare], name
        assert await ids(client, f"ordering=-{name}") == [bare, second, first], name
    for sign, order in (("", [first, second, bare]), ("-", [bare, second, first])):
        assert await ids(client, f"ordering={sign}status") == order
    for name in ("started_at", "finished_at", "deployment", "source_image_collection", "pipeline"):
        assert await ids(client, f"ordering={name}") == [first, second, bare], name
        assert await ids(client, f"ordering=-{name}") == [second, first, bare], name


async def test_orders_are_combined_and_unknown_ones_dropped(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    a1 = await add(field, project_id, "a", status="STARTED")
    b1 = await add(field, project_id, "b", status="STARTED")
    a2 = await add(field, project_id, "a", status="FAILURE")
    newest_first = [a2, b1, a1]

    assert await ids(client) == newest_first
    for unknown in ("id", "-id", "params", "t.name", "name;drop", "", "-", ",", "project__name", "NAME"):
        assert await ids(client, f"ordering={unknown}") == newest_first, unknown
    assert await ids(client, "ordering=name,status") == [a2, a1, b1]
    assert await ids(client, "ordering=-name,status") == [b1, a2, a1]
    assert await ids(client, "ordering=status, -name") == [a2, b1, a1]
    assert await ids(client, "ordering=nothing,-name,status") == [b1, a2, a1]
    # pages do not overlap where the order leaves something open
    pages = [await page(client, f"ordering=name&limit=1&offset={offset}") for offset in range(3)]
    assert sorted(each["results"][0]["id"] for each in pages) == sorted(newest_first)


# search -------------------------------------------------------------------------------------------------------


async def test_every_word_must_be_part_of_the_name_or_the_pipeline(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    pipeline_id = await field.pipeline("Panama Moths 2023", "panama")
    plain = await add(field, project_id, "Sync of Vermont")
    piped = await add(field, project_id, "Night 7", pipeline_id=pipeline_id)
    odd = await add(field, project_id, r"100%_done \o/ 'quoted'")

    for words, found in (
        ("vermont", [plain]),
        ("ERMON", [plain]),
        ("vermont sync", [plain]),
        ("vermont panama", []),
        ("panama", [piped]),
        ("moths night", [piped]),
        ("moths,night", [piped]),
        ("  ", [odd, piped, plain]),
        ("%", [odd]),
        ("_", [odd]),
        ("100%_", [odd]),
        ("n_ght", []),
        ("\\", [odd]),
        ("'", [odd]),
        ("\x00", [odd, piped, plain]),
        ("nothing", []),
    ):
        answer = await client.get("/jobs/", params={"search": words})
        assert [job["id"] for job in answer.json()["results"]] == found, words
        assert answer.json()["count"] == len(found)
    row = (await page(client, "search=panama"))["results"][0]
    assert row["pipeline"]["name"] == "Panama Moths 2023"


# pages --------------------------------------------------------------------------------------------------------


async def test_a_page_has_twenty_jobs_unless_asked_otherwise(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    newest_first = [await add(field, project_id) for _ in range(23)][::-1]

    for odd in (
        "",
        "limit=0",
        "limit=-5",
        "limit=x",
        "limit=",
        "limit=1.5",
        "offset=x",
        "offset=-1",
        "offset=",
    ):
        found = await page(client, odd)
        assert [job["id"] for job in found["results"]] == newest_first[:20], odd
        assert found["count"] == 23
    rest = await page(client, "offset=20")
    beyond = await page(client, "offset=50")
    middle = await page(client, "limit=4&limit=5&offset=7")

    assert [job["id"] for job in rest["results"]] == newest_first[20:]
    assert (beyond["count"], beyond["results"], beyond["next"]) == (23, [], None)
    assert [job["id"] for job in middle["results"]] == newest_first[7:12]
    assert middle["next"].endswith("/jobs/?limit=5&offset=12")
    assert middle["previous"].endswith("/jobs/?limit=5&offset=2")
    assert (await page(client, "limit=5&offset=5"))["previous"].endswith("/jobs/?limit=5")


async def test_no_page_is_longer_than_a_thousand(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    async with field.database.transaction() as db:
        await db.execute(
            """INSERT INTO jobs (name, project_id, job_type_key)
            SELECT 'Job ' || n, %s, %s FROM generate_series(1, 1001) n""",
            (project_id, POPULATE),
        )

    for query in ("ids_only=1&limit=1000000", "limit=9999999999"):
        found = await page(client, query)
        assert (found["count"], len(found["results"])) == (1001, 1000)
        assert "limit=1000&" in found["next"]
        assert "offset=1000" in found["next"]


# filters ------------------------------------------------------------------------------------------------------


async def test_closed_choices_are_taken_in_exactly_their_letters(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    internal = await add(field, project_id, status="SUCCESS")
    sync = await add(field, project_id, dispatch_mode="sync_api", job_type_key="ml")
    waiting = await add(field, project_id, dispatch_mode="async_api", job_type_key="ml")

    for query, found in (
        ("status=SUCCESS", [internal]),
        ("status=REVOKED", []),
        ("status=", [waiting, sync, internal]),
        ("status=SUCCESS&status=CREATED", [waiting, sync]),
        ("job_type_key=ml", [waiting, sync]),
        (f"job_type_key={POPULATE}", [internal]),
        ("dispatch_mode=internal", [internal]),
        ("dispatch_mode=sync_api", [sync]),
        ("dispatch_mode=async_api", [waiting]),
        ("dispatch_mode=async_api&status=SUCCESS", []),
        ("with_counts=1&whatever=1", [waiting, sync, internal]),
    ):
        assert await ids(client, query) == found, query
    assert (await page(client, "dispatch_mode=sync_api"))["results"][0]["dispatch_mode"] == "sync_api"
    for name, bad in (
        ("status", "success"),
        ("status", "DONE"),
        ("job_type_key", "coffee"),
        ("dispatch_mode", "x"),
    ):
        message = f"Select a valid choice. {bad} is not one of the available choices."
        assert await refusal(client, f"{name}={bad}") == {name: [message]}
    both = await refusal(client, "status=x&dispatch_mode=y&pipeline=z")
    assert sorted(both) == ["dispatch_mode", "pipeline", "status"]


async def test_rows_are_filtered_by_what_they_are_about(client: httpx2.AsyncClient, field: Field) -> None:
    project_id, other = await field.project(), await field.project("Other")
    station_id = await field.station(project_id)
    about = {
        "project": other,
        "deployment": station_id,
        "source_image_collection": await field.capture_set(project_id),
        "source_image_single": (await field.captures(project_id, station_id, [None]))[0],
        "pipeline": await field.pipeline("P", "p"),
    }
    made = {"project": await add(field, other)}
    for name in list(about)[1:]:
        columns: dict[str, Any] = {f"{name}_id": about[name]}
        made[name] = await add(field, project_id, **columns)

    for name, id_ in about.items():
        assert await ids(client, f"{name}={id_}") == [made[name]], name
        assert len(await ids(client, f"{name}=")) == len(made)
        for bad in ("999999", "x", "-1", "0", "1.0", "9" * 30, "\u0661"):
            assert await refusal(client, f"{name}={bad}") == {name: [INVALID_CHOICE]}, (name, bad)


async def test_jobs_are_found_by_the_words_for_their_pipeline(
    client: httpx2.AsyncClient, field: Field
) -> None:
    project_id = await field.project()
    made = {
        slug: await add(field, project_id, pipeline_id=await field.pipeline(slug.title(), slug))
        for slug in ("a", "b", "c")
    }
    bare = await add(field, project_id)
    a, b, c = made.values()

    for query, found in (
        ("pipeline__slug=a", [a]),
        ("pipeline__slug=A", []),
        ("pipeline__slug=a,b", []),
        ("pipeline__slug=", [bare, c, b, a]),
        ("pipeline__slug__in=a,b", [b, a]),
        ("pipeline__slug__in=c", [c]),
        ("pipeline__slug__in=a,nothing", [a]),
        ("pipeline__slug__in=nothing", []),
        ("pipeline__slug__in=", [bare, c, b, a]),
        ("pipeline__slug__in=a,b&pipeline__slug=b", [b]),
    ):
        assert await ids(client, query) == found, query
    for name in ("pipeline__slug", "pipeline__slug__in"):
        assert await refusal(client, f"{name}=%00") == {name: ["Null characters are not allowed."]}


async def test_filters_hold_for_what_is_done_with_one_job(client: httpx2.AsyncClient, field: Field) -> None:
    project_id = await field.project()
    for method, word in (("GET", ""), ("POST", "run/"), ("POST", "retry/"), ("POST", "cancel/")):
        job_id = await add(field, project_id, status="FAILURE")
        path = f"/jobs/{job_id}/{word}"
        for query, status in (
            ("status=SUCCESS", 404),
            ("status=bad", 400),
            ("pipeline=999999", 400),
            ("pipeline__slug=x", 404),
            ("project_id=x", 400),
            ("cutoff_hours=x", 400),
        ):
            answer = await client.request(method, f"{path}?{query}")
            assert answer.status_code == status, (word, query)
        assert (await client.get(f"/jobs/{job_id}/")).json()["status"] == "FAILURE"
        fitting = await client.request(method, f"{path}?status=FAILURE&project_id={project_id}&search=no")
        assert fitting.status_code == 200


# the project --------------------------------------------------------------------------------------------------


async def test_a_project_is_named_by_query_or_body(client: httpx2.AsyncClient, field: Field) -> None:
    project_id, other = await field.project(), await field.project("Other")
    mine, theirs = await add(field, project_id), await add(field, other)
    path = f"/jobs/{mine}/"

    assert await ids(client, f"project_id={project_id}") == [mine]
    # one that is none is no filter
    for unknown in ("999999", ""):
        assert await ids(client, f"project_id={unknown}") == [theirs, mine]
    for bad, message in (
        ("x", "A valid integer is required."),
        ("-1", "Ensure this value is greater than or equal to 0."),
    ):
        assert await refusal(client, f"project_id={bad}") == {"project_id": [message]}
    assert (await client.get(f"{path}?project_id={project_id}")).json()["id"] == mine
    for method, address, body in (
        ("GET", f"{path}?project_id={other}", None),
        ("PATCH", f"{path}?project_id={other}", {"name": "x"}),
        ("DELETE", f"{path}?project_id={other}", None),
        ("POST", f"{path}run/?project_id={other}", None),
        ("POST", f"{path}run/", {"project_id": other}),
        ("POST", f"{path}retry/", {"project_id": str(other)}),
        ("POST", f"{path}cancel/", {"project_id": other}),
        ("PATCH", path, {"name": "x", "project_id": other}),
        ("PUT", path, {"name": "x", "delay": 0, "project_id": other}),
    ):
        answer = await client.request(method, address, json=body)
        assert (answer.status_code, answer.json()) == (404, {"detail": "Not found."}), (method, address)
    # the query says more than the body
    fitting = await client.post(f"{path}cancel/?project_id={project_id}", json={"project_id": other})
    assert (fitting.status_code, fitting.json()["status"]) == (200, "REVOKED")


async def test_anyone_may_list_an_open_project(anonymous: httpx2.AsyncClient, field: Field) -> None:
    project_id, draft = await field.project(), await field.project("Draft", draft=True)
    job_id = await add(field, project_id)
    await add(field, draft)

    found = await page(anonymous, f"project_id={project_id}")

    assert (found["count"], found["user_permissions"]) == (1, [])
    assert await ids(anonymous) == [job_id]
    assert await ids(anonymous, f"project_id={draft}") == []


async def test_who_may_create_is_told_so_for_a_project(anonymous: httpx2.AsyncClient, field: Field) -> None:
    project_id, other = await field.project(), await field.project("Other")
    member = await field.person("member@example.org", BasicMember=project_id)

    for query, held in ((f"project_id={project_id}", ["create"]), (f"project_id={other}", []), ("", [])):
        for more in ("", "&ids_only=1"):
            answer = await anonymous.get(f"/jobs/?{query}{more}", headers=member.headers)
            assert answer.json()["user_permissions"] == held, (query, more)


# how the work is handed out -----------------------------------------------------------------------------------


async def test_a_pipeline_and_the_project_decide_how_a_job_is_dispatched(
    client: httpx2.AsyncClient, field: Field
) -> None:
    pipeline_id = await field.pipeline("Moths", "moths")
    project_id, set_id = await field.small_set(nights=1)

    async def switch(flags: dict[str, bool]) -> None:
        async with field.database.transaction() as db:
            await db.execute("UPDATE projects SET feature_flags = %s", (Jsonb(flags),))

    async def mode(**more: Any) -> str:
        job = await make_job(client, project_id, set_id, start=False, dispatch_mode="sync_api", **more)
        said: str = job["dispatch_mode"]
        return said

    assert await mode() == "internal"
    assert await mode(pipeline_id=pipeline_id) == "async_api"
    await switch({"async_pipeline_workers": False})
    assert await mode() == "internal"
    assert await mode(pipeline_id=pipeline_id) == "sync_api"
    await switch({"async_pipeline_workers": True})
    assert await mode() == "internal"
    assert await mode(pipeline_id=pipeline_id) == "async_api"
    # a later change of the flag changes no job
    assert len(await ids(client, "dispatch_mode=sync_api")) == 1
    assert len(await ids(client, "dispatch_mode=async_api")) == 2


async def test_a_pipeline_given_later_decides_then(client: httpx2.AsyncClient, field: Field) -> None:
    project_id, set_id = await field.small_set(nights=1)
    pipeline_id = await field.pipeline("Moths", "moths")
    job = await make_job(client, project_id, set_id, start=False)
    with_stage = await make_job(client, project_id, set_id, start=False, delay=5)

    changed = await client.patch(f"/jobs/{job['id']}/", json={"pipeline_id": pipeline_id})
    unchanged = await client.patch(f"/jobs/{with_stage['id']}/", json={"pipeline_id": pipeline_id})

    assert (changed.json()["dispatch_mode"], changed.json()["pipeline"]["slug"]) == ("async_api", "moths")
    assert (unchanged.json()["dispatch_mode"], unchanged.json()["pipeline"]["slug"]) == ("internal", "moths")


# within the request -------------------------------------------------------------------------------------------


async def test_a_run_may_be_waited_for(client: httpx2.AsyncClient, field: Field, worker: None) -> None:
    job = await make_job(client, *await field.small_set(nights=2), start=False)

    for word in ("run", "retry"):
        answer = await client.post(f"/jobs/{job['id']}/{word}/?no_async=True", timeout=60)
        assert answer.status_code == 200
        body = answer.json()
        assert (body["id"], body["status"]) == (job["id"], "SUCCESS")
        assert body["progress"]["summary"] == {"status": "SUCCESS", "progress": 1.0}
    not_waited = await client.post(f"/jobs/{job['id']}/retry/?no_async=false")
    assert not_waited.json()["status"] == "PENDING"
    failing = await make_job(client, job["project"]["id"], None, start=False)
    failed = await client.post(f"/jobs/{failing['id']}/run/?no_async", timeout=60)
    assert (failed.status_code, failed.json()["status"]) == (200, "FAILURE")
    assert failed.json()["logs"]["stderr"]
