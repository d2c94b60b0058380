"""Whatever people of any role do with jobs, in whatever order, no job is ever in a state that cannot be."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx2
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from api.auth import permissions
from db import job_rows
from jobs.status import ACTIVE, FINAL, Status
from tests.field import Field
from tests.waiting import LONGEST, job_in, make_job

TYPE = "populate_captures_collection"
WRITTEN = {"CREATED", *FINAL, *ACTIVE}
"""The states that anything here writes; the others are declared only."""
ROLES = ("superuser", "outsider", "anonymous", *permissions.ROLES)
Job = dict[str, Any]


@dataclass(frozen=True)
class Scene:
    """Where it happens: a server with a worker, people of every role, and sets to fill."""

    clients: dict[str, httpx2.Client]
    project_id: int
    sets: tuple[int, ...]
    is_running: Callable[[int], bool]
    """Whether Temporal runs the workflow of a job."""


def may(role: str, permission: str) -> bool:
    return role == "superuser" or (role in permissions.ROLES and permission in permissions.ROLES[role].holds)


def check(job: Job) -> None:
    """Everything that holds for a job at any moment."""
    status, progress = job["status"], job["progress"]
    assert status in WRITTEN
    assert progress["summary"]["status"] == status
    assert 0 <= progress["summary"]["progress"] <= 1
    assert (job["finished_at"] is not None) == (status in FINAL)
    if status in ("CREATED", "PENDING"):
        assert job["started_at"] is None
    if status in ("STARTED", "CANCELING", "SUCCESS"):
        assert job["started_at"] is not None
    for stage in progress["stages"]:
        assert stage["status"] in Status.__members__
        assert 0 <= stage["progress"] <= 1
        if status == "SUCCESS":
            assert (stage["status"], stage["progress"]) == ("SUCCESS", 1)
    if status == "SUCCESS":
        assert [stage["key"] for stage in progress["stages"]][-1] == TYPE
    check_times(job)


def check_times(job: Job) -> None:
    names = ("created_at", "started_at", "finished_at")
    created, started, finished = (job[name] and datetime.fromisoformat(job[name]) for name in names)
    if started:
        assert created <= started
    if started and finished:
        assert started <= finished
        assert float(job["duration"]) == pytest.approx((finished - started).total_seconds(), abs=1e-6)
    else:
        assert job["duration"] is None


class JobLife(RuleBasedStateMachine):
    """People at work. What a worker does meanwhile may come at any moment, so only what must hold is checked."""

    scene: Scene
    ends: set[str]
    """Every way in which a job has ended."""
    jobs: Bundle[int] = Bundle("jobs")
    actors = st.sampled_from(ROLES)

    def __init__(self) -> None:
        super().__init__()
        self.over: dict[int, Job] = {}
        """Jobs as they were when they were over; taken out by whoever has them run again."""
        self.there: set[int] = set()
        self.deleted: set[int] = set()

    def ask(self, role: str, method: str, path: str, body: Any = None) -> httpx2.Response:
        response = self.scene.clients[role].request(method, path, json=body)
        assert response.status_code < 500, response.text
        return response

    def asked(
        self, role: str, method: str, job_id: int, permission: str, action: str = "", body: Any = None
    ) -> httpx2.Response | None:
        """Ask something of a job; None, once it is clear that nothing came of it, for who may not."""
        path = f"/jobs/{job_id}/{action}"
        before = [] if may(role, permission) else self.words(job_id)
        response = self.ask(role, method, path, body)
        if job_id in self.deleted:
            assert response.status_code == 404
            return None
        if not may(role, permission):
            assert response.status_code == (401 if role == "anonymous" else 403)
            assert self.words(job_id)[: len(before)] == before
            return None
        assert response.status_code == (204 if method == "DELETE" else 200), response.text
        return response

    def words(self, job_id: int) -> list[Any]:
        """What people alone change of a job; empty if it is not there."""
        response = self.ask("superuser", "GET", f"/jobs/{job_id}/")
        if response.status_code == 404:
            return []
        job = response.json()
        said = [job["name"], job["delay"], job["limit"]]
        if job["status"] in ACTIVE:
            # which a worker may end in between
            return said
        return [*said, job["status"], job["finished_at"], job["logs"]["stdout"]]

    def look(self, job: Job) -> None:
        """A job as it was answered."""
        check(job)
        job_id = job["id"]
        known = self.over.get(job_id)
        told = ("status", "started_at", "finished_at", "duration", "result", "progress")
        if known is not None:
            assert {name: job[name] for name in told} == {name: known[name] for name in told}
        elif job["status"] in FINAL:
            self.over[job_id] = job
            self.ends.add(job["status"])

    # what people do -----------------------------------------------------------------------------------------

    @initialize(target=jobs, start=st.booleans())
    def begin(self, start: bool) -> int:
        return self.make("superuser", start, 0, 0)

    @rule(target=jobs, start=st.booleans(), delay=st.sampled_from([0, 0, 0, 1]), which=st.integers(0, 2))
    def create(self, start: bool, delay: int, which: int) -> int:
        return self.make("ProjectManager", start, delay, which)

    def make(self, role: str, start: bool, delay: int, which: int) -> int:
        response = self.ask(role, "POST", f"/jobs/{'?start_now' if start else ''}", self.body(delay, which))
        assert response.status_code == 201, response.text
        job = response.json()
        assert job["status"] == ("PENDING" if start else "CREATED")
        self.there.add(job["id"])
        self.look(job)
        return int(job["id"])

    def body(self, delay: int, which: int) -> Job:
        sets = (*self.scene.sets, None)
        return {
            "name": "Populate",
            "delay": delay,
            "project_id": self.scene.project_id,
            "source_image_collection_id": sets[which % len(sets)],
            "job_type_key": TYPE,
        }

    @rule(role=st.sampled_from(("outsider", "anonymous", "Worker")))
    def create_without_permission(self, role: str) -> None:
        response = self.ask(role, "POST", "/jobs/?start_now", self.body(0, 0))
        assert response.status_code == (401 if role == "anonymous" else 403)

    @rule(role=st.sampled_from(("BasicMember", "Researcher", "Identifier")))
    def start_without_permission(self, role: str) -> None:
        count = self.ask("superuser", "GET", "/jobs/?limit=1").json()["count"]
        assert self.ask(role, "POST", "/jobs/?start_now", self.body(0, 0)).status_code == 403
        assert self.ask("superuser", "GET", "/jobs/?limit=1").json()["count"] == count

    @rule(role=actors, job_id=jobs, name=st.sampled_from(["One", "Two"]), delay=st.sampled_from([0, 1]))
    def edit(self, role: str, job_id: int, name: str, delay: int) -> None:
        given = {"name": name, "delay": delay, "status": "SUCCESS", "finished_at": None}
        response = self.asked(role, "PATCH", job_id, "update_job", body=given)
        if response is not None:
            job = response.json()
            assert (job["name"], job["delay"]) == (name, delay)
            known = self.over.get(job_id)
            if known is not None and not known["progress"]["stages"]:
                # one that was cancelled before it began shows the delay that its next run will have
                self.over[job_id] = {**known, "progress": job["progress"]}
            self.look(job)

    @rule(role=actors, job_id=jobs, action=st.sampled_from(["run/", "retry/"]))
    def run_again(self, role: str, job_id: int, action: str) -> None:
        before = self.over.pop(job_id, None)
        response = self.asked(role, "POST", job_id, f"run_{TYPE}_job", action)
        if response is None:
            if before is not None:
                self.over[job_id] = before
            return
        job = response.json()
        # one that is under way goes on as it is, and may end before it is read for the answer
        assert job["status"] in (("PENDING",) if before is not None else (*ACTIVE, *FINAL))
        self.look(job)

    @rule(role=actors, job_id=jobs)
    def cancel(self, role: str, job_id: int) -> None:
        response = self.asked(role, "POST", job_id, f"run_{TYPE}_job", "cancel/")
        if response is not None:
            job = response.json()
            assert job["status"] in {"CANCELING", *FINAL}
            self.look(job)

    @rule(role=st.sampled_from(("superuser", "superuser", *ROLES)), job_id=jobs)
    def delete(self, role: str, job_id: int) -> None:
        if self.asked(role, "DELETE", job_id, "delete_job") is not None:
            self.deleted.add(job_id)
            self.there.discard(job_id)
            self.over.pop(job_id, None)

    @rule(role=actors, job_id=jobs)
    def read(self, role: str, job_id: int) -> None:
        response = self.ask(role, "GET", f"/jobs/{job_id}/")
        assert response.status_code == (404 if job_id in self.deleted else 200)
        if response.status_code == 200:
            self.look(response.json())

    @rule(role=actors)
    def read_all(self, role: str) -> None:
        jobs = self.ask(role, "GET", f"/jobs/?limit=1000&project_id={self.scene.project_id}").json()[
            "results"
        ]
        assert self.there <= {job["id"] for job in jobs}
        assert not self.deleted & {job["id"] for job in jobs}
        for job in jobs:
            check(job)

    @rule()
    def wait(self) -> None:
        time.sleep(0.1)

    @invariant()
    def what_is_deleted_is_gone(self) -> None:
        for job_id in self.deleted:
            assert self.ask("superuser", "GET", f"/jobs/{job_id}/").status_code == 404

    # what comes of it ---------------------------------------------------------------------------------------

    def teardown(self) -> None:
        """After a while everything is over, in the rows as in Temporal."""
        deadline = time.monotonic() + LONGEST
        for job_id in self.there:
            while (job := self.ask("superuser", "GET", f"/jobs/{job_id}/").json())["status"] in ACTIVE:
                assert time.monotonic() < deadline, f"not over: {job}"
                time.sleep(0.05)
            self.look(job)
        for job_id in self.there | self.deleted:
            # the row is closed a little before its workflow
            while self.scene.is_running(job_id):
                assert time.monotonic() < deadline, f"Temporal runs the workflow of job {job_id}"
                time.sleep(0.05)


async def test_no_job_is_ever_in_a_state_that_cannot_be(
    address: str, worker: None, field: Field, temporal: Client
) -> None:
    project_id, set_id = await field.small_set(nights=2)
    broken = await field.capture_set(project_id, "no_such_method")
    clients = {"anonymous": httpx2.Client(base_url=f"{address}/api/v2", timeout=20)}
    for role in ("superuser", "outsider", *permissions.ROLES):
        roles: dict[str, Any] = {role: project_id} if role in permissions.ROLES else {}
        person = await field.person(f"{role.lower()}@example.org", superuser=role == "superuser", **roles)
        clients[role] = httpx2.Client(base_url=f"{address}/api/v2", headers=person.headers, timeout=20)
    loop = asyncio.get_running_loop()

    async def running(job_id: int) -> bool:
        try:
            described = await temporal.get_workflow_handle(f"job-{job_id}").describe()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return False
            raise
        return described.status is WorkflowExecutionStatus.RUNNING

    def is_running(job_id: int) -> bool:
        return asyncio.run_coroutine_threadsafe(running(job_id), loop).result(LONGEST)

    class Here(JobLife):
        scene = Scene(clients, project_id, (set_id, broken), is_running)
        ends = set()

    # server and worker are on the loop of the test, people in a thread
    chosen = settings(
        max_examples=15,
        stateful_step_count=25,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    try:
        await asyncio.to_thread(run_state_machine_as_test, Here, settings=chosen)
    finally:
        for client in clients.values():
            client.close()
    assert Here.ends == FINAL


async def test_a_delay_that_comes_once_a_worker_has_begun_changes_no_stages(
    client: httpx2.AsyncClient, worker: None, field: Field
) -> None:
    project_id, set_id = await field.small_set(nights=1)
    job = await job_in(client, (await make_job(client, project_id, set_id))["id"])

    # what an edit does that read the job a moment before
    async with field.database.transaction() as db:
        await job_rows.seed_delay(db, job["id"], 5)

    assert (await job_in(client, job["id"]))["progress"] == job["progress"]
    assert job["progress"]["stages"]
