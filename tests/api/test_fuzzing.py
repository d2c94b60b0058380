"""The whole OpenAPI document, asked in every way that it allows and in many that it does not."""

import asyncio
import copy
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx2
import jsonschema_rs
import pytest
import schemathesis
from hypothesis.errors import Flaky
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

from db.connections import Database, every
from tests.field import Field, Person
from tests.waiting import make_job

Document = dict[str, Any]

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
    "unsupported_method",
    "allow_header_conformance",
    "use_after_free",
    "ensure_resource_availability",
)
"""Left out are those that the contract contradicts, as Django REST framework reads more than a schema says:

positive_data_acceptance, because which ids there are and which values go together no schema can say;
negative_data_rejection, because numbers may come as text and unknown keys and parameters are passed over;
ignored_auth, because what is public is so without a token, and a token that is not one is answered 401 even there;
missing_required_header, because no header is required; object_level_authorization needs a second user.
"""
PHASES = ("examples", "coverage", "fuzzing", "stateful")
SEED = 20240601
# of no use to the other requests of a run, since they would have no token from then on
TAKE_THE_TOKEN = ["log_out", "delete_token"]
CONDITIONAL = ("If-Match", "If-None-Match", "Idempotency-Key")
OPERATION_ID = re.compile(r"[a-z]+(_[a-z]+)+")


@dataclass
class Findings:
    """What came of a run."""

    asked: Counter[str] = field(default_factory=Counter)
    """Requests by operation."""
    statuses: Counter[int] = field(default_factory=Counter)
    failures: set[str] = field(default_factory=set)


def run(
    address: str,
    document: Document,
    phases: dict[str, int],
    *,
    person: Person | None = None,
    without: list[str] | None = None,
    once_more: bool = True,
) -> Findings:
    """Ask what the document allows; `phases` are those that are gone through, with their examples an operation.

    An operation for which no example could be made, which Hypothesis itself says did not happen when it tried again,
    is asked once more.
    """
    headers = {"Authorization": f"Token {person.token}"} if person else {}
    settings: dict[str, Any] = {
        "base-url": address,
        "seed": SEED,
        "workers": 1,
        "cache": {"enabled": False},
        "request-timeout": 20,
        "continue-on-failure": True,
        "headers": headers,
        "generation": {
            "deterministic": True,
            "no-shrink": True,
            "database": "none",
            "with-security-parameters": False,
        },
        "checks": {"enabled": False, **{name: {"enabled": True} for name in CHECKS}},
        "phases": {name: _phase(name, phases) for name in PHASES},
        # how long the making of an example takes says nothing of the server
        "suppress-health-check": ["all"],
        "operations": [{"include-operation-id": name, "enabled": False} for name in without or []],
    }
    loaded = schemathesis.openapi.from_dict(document, config=SchemathesisConfig.from_dict(settings))
    found, flaky = Findings(), set[str]()
    for event in from_schema(loaded).execute():
        if isinstance(event, events.ScenarioFinished):
            _note(event.recorder, found)
        elif isinstance(event, events.NonFatalError) and isinstance(event.value, Flaky) and once_more:
            flaky.add(event.label)
        elif isinstance(event, events.NonFatalError):
            found.failures.add(f"{event.label}: {event.value!r}")
        elif isinstance(event, events.FatalError):
            raise event.exception
    if flaky:
        others = [
            each["operationId"]
            for path, method, each in operations(document)
            if f"{method.upper()} {path}" not in flaky
        ]
        again = run(address, document, phases, person=person, without=others, once_more=False)
        found.asked += again.asked
        found.statuses += again.statuses
        found.failures |= again.failures
    return found


def _phase(name: str, phases: dict[str, int]) -> dict[str, Any]:
    # the boundaries of a schema are as many as they are
    examples = {} if name == "coverage" else {"generation": {"max-examples": phases.get(name, 1)}}
    return {"enabled": name in phases, **examples}


def _note(recorder: ScenarioRecorder, found: Findings) -> None:
    for case_id, interaction in recorder.interactions.items():
        found.asked[recorder.cases[case_id].value.operation.label] += 1
        if interaction.response is not None:
            found.statuses[interaction.response.status_code] += 1
    for case_id, checks in recorder.checks.items():
        label = recorder.cases[case_id].value.operation.label
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                sample = check.failure_info.code_sample
                found.failures.add(f"{label}: {failure.title}: {failure.message}\n{sample}")


def operations(document: Document) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def labels(document: Document, *without: str) -> set[str]:
    return {
        f"{method.upper()} {path}"
        for path, method, operation in operations(document)
        if operation["operationId"] not in without
    }


@pytest.fixture
async def document(client: httpx2.AsyncClient) -> Document:
    """The document, as it is served."""
    made: Document = (await client.get("/schema/")).json()
    return made


# what there is ------------------------------------------------------------------------------------------------


@pytest.fixture
async def known(field: Field, client: httpx2.AsyncClient) -> dict[str, int]:
    """One of everything; ids by the names that they have in paths and bodies."""
    project_id, set_id = await field.small_set(nights=1)
    station_id = await field.station(project_id)
    session_id = await field.session(project_id, station_id, "2024-06-01")
    capture_id = (
        await field.captures(
            project_id,
            station_id,
            [datetime(2024, 6, 1, 22)],  # noqa: DTZ001
            session_id=session_id,
        )
    )[0]
    job = await make_job(client, project_id, set_id, start=False)
    given = {"name": "One", "project": project_id}
    site = await client.post("/deployments/sites/", json=given)
    device = await client.post("/deployments/devices/", json=given)
    # without an address it would be one of AWS
    storage = await client.post(
        "/storage/", json={**given, "bucket": "captures", "endpoint_url": "http://127.0.0.1:1"}
    )
    user = await client.post("/users/", json={"email": "text@example.org", "password": "text and more"})
    role = {"email": "text@example.org", "role_id": "BasicMember"}
    member = await client.post(f"/projects/{project_id}/members/", json=role)
    return {
        "jobs": job["id"],
        "captures/collections": set_id,
        "source_image_collection_id": set_id,
        "events": session_id,
        "event_id": session_id,
        "captures": capture_id,
        "source_image": capture_id,
        "source_image_single_id": capture_id,
        "deployments/sites": site.json()["id"],
        "research_site_id": site.json()["id"],
        "deployments/devices": device.json()["id"],
        "device_id": device.json()["id"],
        "deployments": station_id,
        "deployment_id": station_id,
        "storage": storage.json()["id"],
        "data_source_id": storage.json()["id"],
        "projects": project_id,
        "project": project_id,
        "project_id": project_id,
        "users": user.json()["id"],
        "projects/{project}/members": member.json()["id"],
    }


def about(document: Document, known: dict[str, int]) -> Document:
    """The document with the ids that there are; in JSON alone, and without conditions on requests.

    Ids at random are of nothing, and nearly every answer would be that. Forms are read as JSON is once they are
    parsed; a condition on a request is looked at before what else it says. Both are in the run of all operations.
    """
    narrowed = copy.deepcopy(document)
    for path, _, operation in operations(narrowed):
        kept = [each for each in operation.get("parameters", []) if each["name"] not in CONDITIONAL]
        for parameter in kept:
            resource = path.removeprefix("/api/v2/").partition("/{item_id}")[0]
            name = resource if parameter["name"] == "item_id" else parameter["name"]
            if name in known:
                parameter["schema"] = {"type": "integer", "enum": [known[name]]}
        operation["parameters"] = kept
        for kind, content in list(operation.get("requestBody", {}).get("content", {}).items()):
            if kind != "application/json":
                del operation["requestBody"]["content"][kind]
                continue
            properties = content["schema"].get("properties", {})
            for name in properties.keys() & known.keys():
                properties[name] = {"type": "integer", "enum": [known[name]]}
    return narrowed


# the runs -----------------------------------------------------------------------------------------------------


async def test_every_operation_answers_as_it_says_it_would(
    address: str, document: Document, admin: Person, worker: None
) -> None:
    phases = {"examples": 1, "fuzzing": 6, "stateful": 25}

    found = await asyncio.to_thread(run, address, document, phases, person=admin, without=TAKE_THE_TOKEN)

    assert found.failures == set()
    assert set(found.asked) == labels(document, *TAKE_THE_TOKEN)
    assert found.statuses[500] == 0


async def test_every_bound_of_every_field_is_answered_as_it_says_it_would(
    address: str, document: Document, admin: Person, known: dict[str, int], worker: None
) -> None:
    # what is deleted cannot be asked any more: deletes are in the run of all operations
    deletes = [each["operationId"] for _, method, each in operations(document) if method == "delete"]
    without = [*TAKE_THE_TOKEN, *deletes]

    found = await asyncio.to_thread(
        run, address, about(document, known), {"coverage": 1}, person=admin, without=without
    )

    assert found.failures == set()
    assert set(found.asked) == labels(document, *without)
    # most requests reached what they were about
    assert found.statuses[404] < found.statuses.total() / 10


async def test_the_operations_that_take_a_token_back_answer_as_they_say(
    address: str, document: Document, field: Field
) -> None:
    somebody = await field.person("somebody@example.org")
    others = labels_to_ids(document) - set(TAKE_THE_TOKEN)

    found = await asyncio.to_thread(
        run, address, document, {"examples": 1, "fuzzing": 10}, person=somebody, without=sorted(others)
    )

    assert found.failures == set()
    assert len(found.asked) == len(TAKE_THE_TOKEN)


async def test_anonymous_gets_answers_as_documented_and_changes_nothing(
    address: str, document: Document, known: dict[str, int], database: Database
) -> None:
    before = await rows(database)

    # with what there is, since ids of nothing are refused to everybody
    found = await asyncio.to_thread(run, address, about(document, known), {"examples": 1, "fuzzing": 4})

    assert found.failures == set()
    assert set(found.asked) == labels(document)
    # failed attempts to log in are counted, of whoever it is
    assert {**await rows(database), "login_failures": []} == {**before, "login_failures": []}


async def rows(database: Database) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    async with database.autocommit() as db:
        tables = await every(db, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1", {})
        found = {}
        for table in (row["tablename"] for row in tables):
            each = await every(db, f"SELECT t::text AS text FROM {table} t ORDER BY 1", {})
            found[table] = [row["text"] for row in each]
    return found


def labels_to_ids(document: Document) -> set[str]:
    return {operation["operationId"] for _, _, operation in operations(document)}


# the document itself ------------------------------------------------------------------------------------------


def test_the_document_is_openapi_3_1(document: Document) -> None:
    assert document["openapi"].startswith("3.1.")
    schemathesis.openapi.from_dict(document).validate()


def test_operations_have_names_of_their_own(document: Document) -> None:
    names = [operation["operationId"] for _, _, operation in operations(document)]

    assert [name for name, times in Counter(names).items() if times > 1] == []
    assert [name for name in names if not OPERATION_ID.fullmatch(name)] == []


def test_every_operation_says_what_it_does_and_how_it_may_fail(document: Document) -> None:
    silent = []
    for path, _, operation in operations(document):
        responses = operation["responses"]
        errors = {status for status in responses if status >= "400"}
        of_api = path.startswith("/api/")
        if not operation.get("description") or (of_api and not {"400", "401", "404"} <= errors):
            silent.append(operation["operationId"])
        silent += [
            f"{operation['operationId']} {status}" for status in responses if not _told(responses[status])
        ]

    assert silent == []


def _told(response: dict[str, Any]) -> bool:
    return bool(response["description"]) and all(
        "example" in each for each in response.get("content", {}).values()
    )


def test_every_example_fits_its_schema(document: Document) -> None:
    unfit, seen = [], 0
    for _, _, operation in operations(document):
        bodies = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for name, body in bodies.items():
            content = body.get("content", {}).get("application/json")
            if content is None:
                continue
            schema = {**content["schema"], "components": document["components"]}
            seen += 1
            if not jsonschema_rs.is_valid(schema, content["example"]):
                unfit.append((operation["operationId"], name, content["example"]))

    assert unfit == []
    assert seen > len(list(operations(document)))


def test_what_makes_a_thing_is_linked_with_what_can_be_done_with_it(document: Document) -> None:
    made = {
        operation["operationId"]: set(operation["responses"]["201"].get("links", {}))
        for _, method, operation in operations(document)
        if method == "post" and "201" in operation["responses"]
    }

    words = ("get", "replace", "edit", "delete", "run", "retry", "cancel", "pause", "resume", "explain")
    whole = {f"{word}_job" for word in words}
    assert made["create_job"] == whole
    assert {"list_members", "create_member", "edit_project"} <= made["create_project"]
    assert made["create_member"] == {"get_member", "replace_member", "edit_member", "delete_member"}
    assert all(made.values())
