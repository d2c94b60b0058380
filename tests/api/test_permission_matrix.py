"""Every route, asked by everybody, of an open project and of a draft: who is answered what (contract 1.1, 1.8)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx2
import pytest
from starlette.routing import Mount, Route

from api.app import create_app
from api.http.links import FILES, PREFIX
from config import Settings
from tests.field import Field, Person

ROLES = ("BasicMember", "Researcher", "Identifier", "MLDataManager", "ProjectManager", "Worker")
CALLERS = ("anonymous", "outsider", *ROLES, "owner", "superuser")
AT_ONCE = 8

Callers = frozenset[str]
EVERYBODY: Callers = frozenset(CALLERS)
USERS = EVERYBODY - {"anonymous"}
INSIDERS = USERS - {"outsider"}
"""Who sees a draft."""
MEMBERS = INSIDERS - {"Worker"}
DATA_MANAGERS: Callers = frozenset({"MLDataManager", "ProjectManager", "owner", "superuser"})
MANAGERS = DATA_MANAGERS - {"MLDataManager"}
EXPORTERS = MANAGERS | {"Researcher"}
SUPERUSERS: Callers = frozenset({"superuser"})


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """The storage sources here lie at this machine's own address, which is for superusers otherwise."""
    return settings.model_copy(update={"storage_networks": "127.0.0.0/8"})


# the contract ---------------------------------------------------------------------------------------------------

EMPTY = "empty"
"""A list without rows."""
Outcome = int | str


@dataclass(frozen=True)
class Rule:
    """What a route answers: to whom it does what they ask, and to the others."""

    may: Callers
    done: int = 200
    hidden: Outcome | None = 404
    """For who does not see the project; null for what has nothing to do with one."""
    denied: int = 403
    who_first: bool = False
    """Whether one must say who one is before it is looked what is asked for."""

    def outcome(self, caller: str, *, draft: bool) -> Outcome:
        if draft and self.hidden is not None and caller not in INSIDERS:
            # so it is, too, where a project is named in a body
            who_first = self.who_first or self.hidden == 400
            return 401 if who_first and caller == "anonymous" else self.hidden
        if caller in self.may:
            return self.done
        return 401 if caller == "anonymous" and self.denied == 403 else self.denied


Rules = dict[tuple[str, str], Rule]


def entity(path: str, *, create: Callers, change: Callers, delete: Callers) -> Rules:
    """The rules of a thing that belongs to a project."""
    one = f"{path}{{item_id}}/"
    return {
        ("GET", path): Rule(EVERYBODY, hidden=EMPTY),
        ("POST", path): Rule(create, 201, hidden=400),
        ("GET", one): Rule(EVERYBODY),
        ("PUT", one): Rule(change),
        ("PATCH", one): Rule(change),
        ("DELETE", one): Rule(delete, 204),
    }


def managed(path: str, by: Callers) -> Rules:
    """The rules of a thing that the same people make, change and remove."""
    return entity(path, create=by, change=by, delete=by)


def open_to(callers: Callers, *addresses: tuple[str, str], done: int = 200) -> Rules:
    """The rules of what has nothing to do with projects."""
    return {address: Rule(callers, done, hidden=None) for address in addresses}


CAPTURE_FILE = f"{FILES}/{{capture_id}}"

RULES: Rules = {
    **entity("/jobs/", create=MEMBERS, change=DATA_MANAGERS, delete=SUPERUSERS),
    ("GET", "/jobs/{item_id}/explain/"): Rule(EVERYBODY),
    ("POST", "/jobs/{item_id}/run/"): Rule(DATA_MANAGERS),
    ("POST", "/jobs/{item_id}/retry/"): Rule(DATA_MANAGERS),
    ("POST", "/jobs/{item_id}/cancel/"): Rule(DATA_MANAGERS),
    ("POST", "/jobs/{item_id}/pause/"): Rule(DATA_MANAGERS),
    ("POST", "/jobs/{item_id}/resume/"): Rule(DATA_MANAGERS),
    **managed("/captures/collections/", DATA_MANAGERS),
    ("POST", "/captures/collections/{item_id}/populate/"): Rule(DATA_MANAGERS),
    ("POST", "/captures/collections/{item_id}/add/"): Rule(SUPERUSERS),
    ("POST", "/captures/collections/{item_id}/remove/"): Rule(SUPERUSERS),
    **managed("/captures/", MANAGERS),
    # a list that is of one project only
    ("GET", "/captures/"): Rule(EVERYBODY),
    ("POST", "/captures/{item_id}/star/"): Rule(MEMBERS),
    ("POST", "/captures/{item_id}/unstar/"): Rule(MEMBERS),
    **managed("/events/", MANAGERS),
    ("GET", "/events/{item_id}/timeline/"): Rule(EVERYBODY),
    **managed("/deployments/", MANAGERS),
    ("POST", "/deployments/{item_id}/sync/"): Rule(DATA_MANAGERS),
    ("POST", "/deployments/sync-all/"): Rule(DATA_MANAGERS, who_first=True),
    ("POST", "/deployments/{item_id}/regroup-sessions/"): Rule(MANAGERS, 202),
    **managed("/deployments/sites/", MANAGERS),
    **managed("/deployments/devices/", MANAGERS),
    **managed("/storage/", MANAGERS),
    # no store listens where that of the test is said to be
    ("POST", "/storage/{item_id}/test/"): Rule(MANAGERS, 400),
    **managed("/projects/", MANAGERS),
    ("POST", "/projects/"): Rule(USERS, 201, hidden=None),
    **managed("/projects/{project}/members/", MANAGERS),
    # e-mail addresses are for those who work together
    ("GET", "/projects/{project}/members/"): Rule(INSIDERS),
    ("POST", "/projects/{project}/members/"): Rule(MANAGERS, 201),
    ("GET", "/projects/{project}/members/{item_id}/"): Rule(INSIDERS),
    ("GET", "/exports/"): Rule(EVERYBODY, hidden=EMPTY),
    ("GET", "/exports/{item_id}/"): Rule(EVERYBODY),
    ("GET", "/ml/processing_services/"): Rule(EVERYBODY),
    ("GET", "/ml/processing_services/{item_id}/"): Rule(EVERYBODY),
    # models belong to nobody; which of them a draft uses is nobody's business
    ("GET", "/ml/pipelines/"): Rule(EVERYBODY, hidden=EMPTY),
    ("GET", "/ml/algorithms/"): Rule(EVERYBODY, hidden=EMPTY),
    **open_to(EVERYBODY, ("GET", "/ml/pipelines/{item_id}/"), ("GET", "/ml/algorithms/{item_id}/")),
    **open_to(USERS, ("GET", "/users/me/"), ("PUT", "/users/me/"), ("PATCH", "/users/me/")),
    **open_to(USERS, ("GET", "/users/me/tokens/")),
    **open_to(USERS, ("POST", "/users/me/tokens/"), done=201),
    **open_to(USERS, ("DELETE", "/users/me/tokens/{item_id}/"), ("POST", "/auth/token/logout/"), done=204),
    **open_to(EVERYBODY, ("GET", "/users/"), ("GET", "/users/roles/"), ("POST", "/auth/token/login/")),
    **open_to(SUPERUSERS, ("POST", "/users/"), done=201),
    # somebody else than the caller
    ("GET", "/users/{item_id}/"): Rule(SUPERUSERS, hidden=None, denied=404),
    **open_to(EVERYBODY, ("GET", "/"), ("GET", "/status/summary/"), ("GET", "/schema/"), ("GET", "/docs/")),
    **open_to(EVERYBODY, ("GET", "/livez"), ("GET", "/readyz"), ("GET", "/version")),
    # without a signature; with one it is for whoever has it, and who that is does not matter (test_files.py)
    **open_to(EVERYBODY, ("GET", CAPTURE_FILE), ("HEAD", CAPTURE_FILE), done=403),
}
OUTSIDE = {"/livez", "/readyz", "/version", CAPTURE_FILE}
"""What has no version in its address."""

WORDS: dict[str, dict[str, Callers]] = {
    "/captures/collections/": dict.fromkeys(("populate", "update", "delete"), DATA_MANAGERS),
    "/captures/": {
        **dict.fromkeys(("star", "run_single_image_ml_job"), MEMBERS),
        **dict.fromkeys(("update", "delete"), MANAGERS),
    },
    "/events/": dict.fromkeys(("update", "delete"), MANAGERS),
    "/deployments/": {"sync": DATA_MANAGERS, **dict.fromkeys(("regroup", "update", "delete"), MANAGERS)},
    "/deployments/sites/": dict.fromkeys(("update", "delete"), MANAGERS),
    "/deployments/devices/": dict.fromkeys(("update", "delete"), MANAGERS),
    "/storage/": dict.fromkeys(("test", "update", "delete"), MANAGERS),
    "/projects/": {
        **dict.fromkeys(("update", "delete"), MANAGERS),
        **dict.fromkeys(("add", "change"), SUPERUSERS),
    },
    "/projects/{project}/members/": dict.fromkeys(("update", "delete"), MANAGERS),
    "/exports/": {"delete": EXPORTERS, "update": SUPERUSERS},
    "/ml/pipelines/": dict.fromkeys(("update", "delete"), SUPERUSERS),
    "/ml/algorithms/": dict.fromkeys(("update", "delete"), SUPERUSERS),
    "/ml/processing_services/": dict.fromkeys(("update", "delete"), SUPERUSERS),
}
"""What `user_permissions` of a thing may say, and to whom."""

RUNNABLE = ("ml", "populate_captures_collection", "data_storage_sync", "regroup_events", "data_export")
JOB_TYPES = (*RUNNABLE, "post_processing", "unknown")


def runners(job_type: str, *, single: bool) -> Callers:
    """Who may run, retry and cancel a job; `single` if it is about one capture."""
    if single:
        return MEMBERS if job_type == "ml" else SUPERUSERS
    return DATA_MANAGERS if job_type in RUNNABLE else SUPERUSERS


def words_of_job(job_type: str) -> dict[str, Callers]:
    """What `user_permissions` of a job may say, and to whom."""
    run = {} if job_type == "unknown" else {"run": runners(job_type, single=False)}
    single = {"run_single_image": MEMBERS} if job_type == "ml" else {}
    return {"update": DATA_MANAGERS, "delete": SUPERUSERS, **run, **single}


# whom and what it is about --------------------------------------------------------------------------------------


class World:
    """A project with something of everything in it, and everybody around it."""

    def __init__(self, field: Field, people: dict[str, Person | None], draft: bool) -> None:
        self.field = field
        self.people = people
        self.draft = draft
        self.emails: dict[int, str] = {}

    def headers(self, caller: str) -> dict[str, str]:
        person = self.people[caller]
        return {} if person is None else person.headers

    async def begin(self) -> "World":
        row = self.field.row
        self.project_id = await self.new_project()
        self.source_id = await self.make("/storage/", "")
        self.station_id = await row("deployments", name="Station", project_id=self.project_id)
        self.set_id = await row("source_image_collections", name="Set", project_id=self.project_id)
        self.capture_id = await self.make("/captures/", "")
        self.pipeline_id = await row("pipelines", name="Pipeline", slug=str(uuid4()))
        self.algorithm_id = await row("algorithms", name=str(uuid4()), key=str(uuid4()))
        self.service_id = await row("processing_services", name="Service")
        await self.field.read(
            """
            WITH used AS (
                INSERT INTO pipeline_algorithms (pipeline_id, algorithm_id)
                VALUES (%(pipeline_id)s, %(algorithm_id)s)
            ), enabled AS (
                INSERT INTO project_pipeline_configs (project_id, pipeline_id)
                VALUES (%(project_id)s, %(pipeline_id)s)
            )
            INSERT INTO processing_service_projects (processing_service_id, project_id)
            VALUES (%(service_id)s, %(project_id)s) RETURNING 1
            """,
            project_id=self.project_id,
            pipeline_id=self.pipeline_id,
            algorithm_id=self.algorithm_id,
            service_id=self.service_id,
        )
        # nothing is empty for who sees it
        for path in (
            "/jobs/",
            "/events/",
            "/deployments/sites/",
            "/deployments/devices/",
            "/exports/",
        ):
            await self.make(path, "")
        return self

    async def new_project(self) -> int:
        owner = self.people["owner"]
        assert owner is not None
        project_id = await self.field.row("projects", name="Moths", draft=self.draft, owner_id=owner.id)
        for role in ROLES:
            person = self.people[role]
            assert person is not None
            await self.field.row("project_members", project_id=project_id, user_id=person.id, role=role)
        return project_id

    async def make(self, path: str, caller: str) -> int:
        """A new one of what the path is about, which nobody else asks about; gives its id."""
        if path == "/projects/":
            return await self.new_project()
        if path in ("/users/", "/projects/{project}/members/"):
            email = f"{uuid4()}@example.org"
            user_id = await self.field.row("users", email=email)
            if path == "/users/":
                return user_id
            values = {"project_id": self.project_id, "user_id": user_id, "role": "BasicMember"}
            member_id = await self.field.row("project_members", **values)
            self.emails[member_id] = email
            return member_id
        if path == "/users/me/tokens/":
            person = self.people[caller] or self.people["superuser"]
            assert person is not None
            return await self.field.row("auth_tokens", user_id=person.id, key_hash=str(uuid4()))
        there = {
            "/ml/pipelines/": "pipeline_id",
            "/ml/algorithms/": "algorithm_id",
            "/ml/processing_services/": "service_id",
        }
        if path in there:
            return int(getattr(self, there[path]))
        table, values = self._row(path)
        return await self.field.row(table, project_id=self.project_id, **values)

    def _row(self, path: str) -> tuple[str, dict[str, Any]]:
        superuser = self.people["superuser"]
        assert superuser is not None
        rows: dict[str, Callable[[], tuple[str, dict[str, Any]]]] = {
            "/jobs/": lambda: (
                "jobs",
                {
                    "name": "Job",
                    "job_type_key": "populate_captures_collection",
                    "source_image_collection_id": self.set_id,
                },
            ),
            "/captures/collections/": lambda: ("source_image_collections", {"name": "Set"}),
            "/captures/": lambda: ("source_images", {"deployment_id": self.station_id, "path": str(uuid4())}),
            "/events/": lambda: (
                "events",
                {"deployment_id": self.station_id, "group_by": str(uuid4()), "start": "2024-06-01"},
            ),
            "/deployments/": lambda: ("deployments", {"name": "Station", "data_source_id": self.source_id}),
            "/deployments/sites/": lambda: ("sites", {"name": "Site"}),
            "/deployments/devices/": lambda: ("devices", {"name": "Device"}),
            "/storage/": lambda: (
                "storage_sources",
                {"name": "Storage", "bucket": "ours", "endpoint_url": "http://127.0.0.1:1"},
            ),
            "/exports/": lambda: (
                "data_exports",
                {"user_id": superuser.id, "format": "occurrences_simple_csv"},
            ),
        }
        return rows[path]()

    def body(self, path: str, item_id: int) -> dict[str, Any]:
        """What makes one, or changes that one."""
        bodies: dict[str, dict[str, Any]] = {
            "/jobs/": {
                "name": "Renamed",
                "delay": 0,
                "project_id": self.project_id,
                "job_type_key": "populate_captures_collection",
            },
            "/captures/": {"deployment_id": self.station_id, "path": str(uuid4())},
            "/events/": {
                "deployment_id": self.station_id,
                "group_by": str(uuid4()),
                "start": "2024-06-02T22:00:00",
            },
            "/deployments/": {"name": "Renamed", "project_id": self.project_id},
            "/storage/": {"name": "Renamed", "bucket": "theirs", "project": self.project_id},
            "/projects/": {"name": "Renamed"},
            "/projects/{project}/members/": {
                "email": self.emails.get(item_id) or "newcomer@example.org",
                "role_id": "Researcher",
            },
            "/users/": {"email": f"{uuid4()}@example.org", "password": "a long password"},
            "/users/me/": {"name": "Renamed"},
            "/users/me/tokens/": {"name": "New"},
        }
        return bodies.get(path, {"name": "Renamed", "project": self.project_id})

    async def ask(self, client: httpx2.AsyncClient, method: str, path: str, caller: str) -> httpx2.Response:
        """The answer to a request about something new."""
        noun, item_id = path.partition("{item_id}")[0], 0
        if "{item_id}" in path:
            item_id = await self.make(noun, caller)
        headers = self.headers(caller)
        if path == "/auth/token/login/":
            body: dict[str, Any] = {"email": "superuser@example.org", "password": "a long password"}
        elif path == "/auth/token/logout/":
            body = {}
            if headers:
                headers = (await self.field.person(f"{caller}@example.org")).headers
        elif path.endswith(("/add/", "/remove/")):
            body = {"source_image": self.capture_id}
        else:
            body = self.body(noun, item_id) if noun == path or path.endswith("{item_id}/") else {}
            if (method, path) == ("POST", "/projects/{project}/members/"):
                body["email"] = f"{uuid4()}@example.org"
                await self.field.row("users", email=body["email"])
        ids = {"item_id": item_id, "project": self.project_id, "capture_id": self.capture_id}
        address = path.format(**ids)
        reads = method in ("GET", "HEAD")
        of_project = "{item_id}" not in path and (reads or path.endswith("/sync-all/"))
        return await client.request(
            method,
            str(client.base_url).removesuffix("/").removesuffix(PREFIX) + address
            if path in OUTSIDE
            else address,
            headers=headers,
            json=None if reads else body,
            params={"project_id": self.project_id} if of_project else {},
        )


async def crowd(field: Field) -> dict[str, Person | None]:
    """One person of every kind; the outsider manages another project."""
    elsewhere = await field.project("Bees")
    people: dict[str, Person | None] = {"anonymous": None}
    people["outsider"] = await field.person("outsider@example.org", ProjectManager=elsewhere)
    for name in (*ROLES, "owner"):
        people[name] = await field.person(f"{name}@example.org")
    people["superuser"] = await field.person(
        "superuser@example.org", superuser=True, password="a long password"
    )
    return people


async def bounded(work: Iterable[Awaitable[None]]) -> None:
    """All of it, some at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one(each: Awaitable[None]) -> None:
        async with places:
            await each

    await asyncio.gather(*(one(each) for each in work))


@pytest.fixture
async def people(field: Field) -> dict[str, Person | None]:
    return await crowd(field)


# what the application has ---------------------------------------------------------------------------------------


def addresses() -> set[tuple[str, str]]:
    """Method and path of every route, as the rules name them."""
    found: set[tuple[str, str]] = set()
    for route in create_app().routes:
        if isinstance(route, Mount):
            assert route.path == f"{PREFIX}/docs/files", route.path
            continue
        if isinstance(route, Route):
            # both slash forms have a route of their own
            each = [(method, f"{route.path.rstrip('/')}/") for method in (route.methods or set()) - {"HEAD"}]
        else:
            contexts = route.effective_route_contexts()  # type: ignore[attr-defined]
            each = [(method, context.path) for context in contexts for method in context.methods]
        found |= {(method, path.removeprefix(PREFIX)) for method, path in each}
    return found


def test_every_route_has_a_rule_and_every_rule_a_route() -> None:
    there = addresses()

    assert {"without a rule": there - set(RULES), "without a route": set(RULES) - there} == {
        "without a rule": set(),
        "without a route": set(),
    }


# who is answered what -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("draft", [False, True], ids=["open", "draft"])
async def test_everybody_is_answered_by_the_rules(
    anonymous: httpx2.AsyncClient, field: Field, people: dict[str, Person | None], draft: bool
) -> None:
    world = await World(field, people, draft).begin()
    wrong: list[str] = []

    async def check(method: str, path: str, rule: Rule, caller: str) -> None:
        response = await world.ask(anonymous, method, path, caller)
        found: Outcome = response.status_code
        if rule.hidden == EMPTY and found == 200 and response.json()["count"] == 0:
            found = EMPTY
        expected = rule.outcome(caller, draft=draft)
        if found != expected:
            wrong.append(f"{method} {path} by {caller}: {found}, not {expected}: {response.text[:200]}")
        if found == 401 and response.headers["www-authenticate"] != "Token":
            wrong.append(f"{method} {path} by {caller}: 401 does not say how to log in")

    await bounded(check(*address, rule, caller) for address, rule in RULES.items() for caller in CALLERS)

    assert not wrong, "\n".join(sorted(wrong))


async def test_a_refused_project_is_named_by_its_field(
    anonymous: httpx2.AsyncClient, field: Field, people: dict[str, Person | None]
) -> None:
    world = await World(field, people, draft=True).begin()

    named = {}
    for (method, path), rule in RULES.items():
        if rule.hidden == 400:
            response = await world.ask(anonymous, method, path, "outsider")
            named[path] = response.json()
    stations = ("/captures/", "/events/")
    unknown = 'Invalid pk "{}" - object does not exist.'

    assert named == {
        **{path: {"project": [unknown.format(world.project_id)]} for path in named},
        **{path: {"project_id": [unknown.format(world.project_id)]} for path in ("/jobs/", "/deployments/")},
        **{path: {"deployment_id": [unknown.format(world.station_id)]} for path in stations},
    }


# what people are told that they may do --------------------------------------------------------------------------


def words(table: dict[str, Callers], caller: str) -> list[str]:
    return sorted(word for word, callers in table.items() if caller in callers)


async def test_things_say_what_the_caller_may_do_with_them(
    anonymous: httpx2.AsyncClient, field: Field, people: dict[str, Person | None]
) -> None:
    world = await World(field, people, draft=False).begin()
    wrong: list[str] = []

    async def check(path: str, caller: str) -> None:
        if caller not in RULES["GET", path].may:
            return
        item_id = await world.make(path, caller)
        address = path.replace("{project}", str(world.project_id))
        one = await anonymous.get(f"{address}{item_id}/", headers=world.headers(caller))
        project_id = item_id if path == "/projects/" else world.project_id
        page = await anonymous.get(
            address, params={"project_id": project_id, "limit": 1000}, headers=world.headers(caller)
        )
        [listed] = [each for each in page.json()["results"] if each["id"] == item_id]
        making = RULES.get(("POST", path))
        expected = (
            words(WORDS[path], caller),
            words(WORDS[path], caller),
            ["create"] if making and caller in making.may else [],
        )
        found = (
            sorted(one.json()["user_permissions"]),
            sorted(listed["user_permissions"]),
            page.json()["user_permissions"],
        )
        if found != expected:
            wrong.append(f"{path} for {caller}: {found}, not {expected}")

    await bounded(check(path, caller) for path in WORDS for caller in CALLERS)

    assert not wrong, "\n".join(sorted(wrong))


async def test_lists_of_no_certain_project_promise_to_superusers_alone_that_they_may_create(
    anonymous: httpx2.AsyncClient, field: Field, people: dict[str, Person | None]
) -> None:
    world = await World(field, people, draft=False).begin()
    # captures are listed by project only, members are below theirs
    paths = [path for path in ("/jobs/", *WORDS) if ("POST", path) in RULES and path != "/captures/"]

    found = {}
    for path in (*(path for path in paths if "{" not in path), "/users/", "/users/me/tokens/"):
        for caller in RULES["GET", path].may:
            page = (await anonymous.get(path, headers=world.headers(caller))).json()
            found[path, caller] = page["user_permissions"]

    everybodys = ("/projects/", "/users/me/tokens/")
    assert found == {
        (path, caller): ["create"]
        if caller == "superuser" or (path in everybodys and caller != "anonymous")
        else []
        for path, caller in found
    }


async def make_job(world: World, job_type: str, *, single: bool = False) -> int:
    """A job of any type, also of those that nobody can create yet."""
    return await world.field.row(
        "jobs",
        name="Job",
        project_id=world.project_id,
        job_type_key=job_type,
        source_image_single_id=world.capture_id if single else None,
    )


async def test_jobs_say_what_the_caller_may_do_with_them(
    anonymous: httpx2.AsyncClient, field: Field, people: dict[str, Person | None]
) -> None:
    world = await World(field, people, draft=False).begin()
    jobs = {await make_job(world, job_type): job_type for job_type in JOB_TYPES}

    found, listed, creating = {}, {}, {}
    for caller in CALLERS:
        headers = world.headers(caller)
        for job_id, job_type in jobs.items():
            job = (await anonymous.get(f"/jobs/{job_id}/", headers=headers)).json()
            found[caller, job_type] = sorted(job["user_permissions"])
        page = (
            await anonymous.get("/jobs/", params={"project_id": world.project_id}, headers=headers)
        ).json()
        for job in page["results"]:
            if job["id"] in jobs:
                listed[caller, jobs[job["id"]]] = sorted(job["user_permissions"])
        creating[caller] = page["user_permissions"]

    assert found == {
        (caller, key): words(words_of_job(key), caller) for caller in CALLERS for key in JOB_TYPES
    }
    assert listed == found
    assert creating == {caller: ["create"] if caller in MEMBERS else [] for caller in CALLERS}


async def test_things_inside_a_job_say_what_the_caller_may_do_with_them(
    anonymous: httpx2.AsyncClient, field: Field, people: dict[str, Person | None]
) -> None:
    world = await World(field, people, draft=False).begin()
    inside = {
        "project": "/projects/",
        "deployment": "/deployments/",
        "source_image_collection": "/captures/collections/",
        "source_image_single": "/captures/",
        "pipeline": "/ml/pipelines/",
    }
    job_id = await field.row(
        "jobs",
        name="Job",
        project_id=world.project_id,
        job_type_key="ml",
        deployment_id=world.station_id,
        source_image_collection_id=world.set_id,
        source_image_single_id=world.capture_id,
        pipeline_id=world.pipeline_id,
    )

    found = {}
    for caller in CALLERS:
        job = (await anonymous.get(f"/jobs/{job_id}/", headers=world.headers(caller))).json()
        found[caller] = {name: sorted(job[name]["user_permissions"]) for name in inside}

    assert found == {
        caller: {name: words(WORDS[path], caller) for name, path in inside.items()} for caller in CALLERS
    }


# jobs: what each type and each capture asks for -------------------------------------------------------------------


async def test_who_runs_retries_and_cancels_a_job_depends_on_its_type_and_on_its_capture(
    anonymous: httpx2.AsyncClient, field: Field, people: dict[str, Person | None]
) -> None:
    world = await World(field, people, draft=False).begin()
    wrong: list[str] = []

    async def check(job_type: str, single: bool, action: str, caller: str) -> None:
        job_id = await make_job(world, job_type, single=single)
        response = await anonymous.post(f"/jobs/{job_id}/{action}/", headers=world.headers(caller))
        # a type that does not run here is refused for what it is, to who might run it
        may = response.status_code == 200 or "job_type_key" in response.json()
        denied = 401 if caller == "anonymous" else 403
        expected = caller in runners(job_type, single=single)
        if may != expected or (not may and response.status_code != denied):
            kind = f"{job_type}{' of one capture' if single else ''}"
            wrong.append(f"{action} {kind} by {caller}: {response.status_code}, may: {expected}")

    await bounded(
        check(job_type, single, action, caller)
        for job_type in JOB_TYPES
        for single in (False, True)
        for action in ("run", "retry", "cancel", "pause", "resume")
        for caller in CALLERS
    )

    assert not wrong, "\n".join(sorted(wrong))


async def test_who_may_create_but_not_run_creates_nothing_that_starts(
    anonymous: httpx2.AsyncClient, field: Field, people: dict[str, Person | None]
) -> None:
    world = await World(field, people, draft=False).begin()
    body = world.body("/jobs/", 0)
    single = {**body, "source_image_single_id": world.capture_id}

    found = {}
    for caller in CALLERS:
        for name, each in (("whole", body), ("single", single)):
            before = (await anonymous.get("/jobs/")).json()["count"]
            response = await anonymous.post("/jobs/?start_now", json=each, headers=world.headers(caller))
            after = (await anonymous.get("/jobs/")).json()["count"]
            found[caller, name] = (response.status_code, after - before)

    denied = {caller: (401 if caller == "anonymous" else 403, 0) for caller in CALLERS}
    assert found == {
        **{(caller, "whole"): (201, 1) if caller in DATA_MANAGERS else denied[caller] for caller in CALLERS},
        **{(caller, "single"): (201, 1) if caller in SUPERUSERS else denied[caller] for caller in CALLERS},
    }


async def test_a_role_that_is_taken_away_holds_no_longer(
    anonymous: httpx2.AsyncClient, field: Field, people: dict[str, Person | None]
) -> None:
    world = await World(field, people, draft=False).begin()
    manager = people["ProjectManager"]
    assert manager is not None

    before = await world.ask(anonymous, "PATCH", "/jobs/{item_id}/", "ProjectManager")
    await field.read(
        "UPDATE project_members SET role = NULL WHERE user_id = %(user_id)s RETURNING 1", user_id=manager.id
    )
    without_role = await world.ask(anonymous, "PATCH", "/jobs/{item_id}/", "ProjectManager")
    await field.read(
        "DELETE FROM project_members WHERE user_id = %(user_id)s RETURNING 1", user_id=manager.id
    )
    outside = await world.ask(anonymous, "POST", "/jobs/", "ProjectManager")

    assert [each.status_code for each in (before, without_role, outside)] == [200, 403, 403]


async def test_who_is_not_active_any_more_is_nobody(
    anonymous: httpx2.AsyncClient, field: Field, people: dict[str, Person | None]
) -> None:
    superuser = people["superuser"]
    assert superuser is not None
    await field.read("UPDATE users SET is_active = false WHERE id = %(id)s RETURNING 1", id=superuser.id)

    answer = await anonymous.get("/jobs/", headers=superuser.headers)
    login = {"email": "superuser@example.org", "password": "a long password"}

    assert (answer.status_code, answer.json()) == (401, {"detail": "Invalid token."})
    assert (await anonymous.post("/auth/token/login/", json=login)).status_code == 400


async def test_a_project_that_is_not_active_is_there_for_nobody(
    anonymous: httpx2.AsyncClient, field: Field, people: dict[str, Person | None]
) -> None:
    world = await World(field, people, draft=False).begin()
    await field.read("UPDATE projects SET active = false WHERE id = %(id)s RETURNING 1", id=world.project_id)

    found = {}
    for caller in CALLERS:
        one = await world.ask(anonymous, "GET", "/jobs/{item_id}/", caller)
        project = await anonymous.get(f"/projects/{world.project_id}/", headers=world.headers(caller))
        made = await world.ask(anonymous, "POST", "/jobs/", caller)
        found[caller] = (one.status_code, project.status_code, made.status_code)

    assert found == {caller: (404, 404, 401 if caller == "anonymous" else 400) for caller in CALLERS}
