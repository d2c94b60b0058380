"""In which order the recorded requests are sent again, and what happens between them."""

from collections.abc import Awaitable, Callable

import httpx2

from tests.conformance.situation import PEOPLE, Situation
from tests.golden import recorded
from tests.waiting import job_in


class Replay:
    """Sends recorded requests to our server, as the person who sent them."""

    def __init__(self, client: httpx2.AsyncClient, situation: Situation) -> None:
        self.client = client
        self.situation = situation

    async def send(self, name: str) -> httpx2.Response:
        """The recorded request of that name."""
        request = recorded(name).request
        headers = dict(request.get("headers", {}))
        person = request["as"]
        if person != "(no token)":
            headers["Authorization"] = f"Token {self.situation.tokens.get(person, person)}"
        url = request["url"].removeprefix("/api/v2")
        if "raw" in request:
            return await self.client.request(request["method"], url, content=request["raw"], headers=headers)
        if "form" in request:
            return await self.client.request(request["method"], url, data=request["form"], headers=headers)
        if "json" in request:
            return await self.client.request(request["method"], url, json=request["json"], headers=headers)
        return await self.client.request(request["method"], url, headers=headers)

    async def as_admin(self, method: str, url: str, body: object = None) -> None:
        """A request that was made, but not recorded."""
        headers = {"Authorization": f"Token {self.situation.tokens['admin']}"}
        answer = await self.client.request(method, url, json=body, headers=headers)
        assert answer.status_code < 300, answer.text

    async def over(self, job_id: int) -> None:
        """Wait for the end of a run."""
        await job_in(self.client, job_id)


Step = str | Callable[[Replay], Awaitable[object]]
"""A recorded exchange by name, or what happens before the next one."""


def holding(newest: int, name: str) -> Step:
    return lambda replay: replay.situation.hold(name, newest)


def next_id(table: str, number: int) -> Step:
    return lambda replay: replay.situation.next_id(table, number)


def over(job_id: int) -> Step:
    return lambda replay: replay.over(job_id)


def asked(method: str, url: str, body: object = None) -> Step:
    return lambda replay: replay.as_admin(method, url, body)


def registered(name: str) -> Step:
    """Somebody who was made without a record of it."""
    return lambda replay: replay.situation.person(name, PEOPLE[name], f"{name}@example.org")


def job(name: str, set_id: int | None) -> dict[str, object]:
    """The body of a request for a job that fills a set."""
    return {
        "name": name,
        "project_id": 2,
        "delay": 0,
        "job_type_key": "populate_captures_collection",
        "source_image_collection_id": set_id,
    }


def while_newest(newest: int, *names: str) -> list[Step]:
    """Exchanges of a time when that job was the newest, each with the jobs as its answer shows them."""
    return [step for name in names for step in (holding(newest, name), name)]


# a new server: people, a project and its stations are made
SETTING_UP: list[Step] = [
    lambda replay: replay.situation.begin(),
    "api_root",
    "auth_login_200",
    "auth_login_400_empty",
    "auth_login_400_unknown",
    "users_me_200",
    "users_me_401_bad",
    "users_me_401_none",
    "users_roles",
    "projects_list",
    "projects_detail",
    next_id("users", 4),
    "users_create_manager",
    registered("mldm"),
    registered("researcher"),
    registered("member"),
    "users_create_403",
    next_id("project_members", 3),
    "projects_members_create_manager",
    "projects_members_create_mldm",
    "projects_members_create_researcher",
    asked("POST", "/projects/2/members/", {"email": "member@example.org", "role_id": "BasicMember"}),
    "projects_members_list",
    next_id("storage_sources", 2),
    "storage_create",
    next_id("deployments", 4),
    "deployments_create_dep",
    "deployments_detail",
    "deployments_create_dep2",
    next_id("deployments", 7),
    "deployments_create_nosource",
    next_id("projects", 3),
    "projects_create_second",
    next_id("source_image_collections", 4),
    "collections_create_full",
    "collections_create_nth",
    "collections_create_positional",
    next_id("source_image_collections", 7),
    "collections_create_manual",
    "collections_create_random_from_each_event",
    next_id("source_image_collections", 10),
    "collections_create_greatest_file_size_from_each_event",
    "collections_create_detections_only",
    next_id("source_image_collections", 13),
    "collections_create_full_hours",
]

# a server with much in it is read, and refuses what is wrong
READING: list[Step] = [
    lambda replay: replay.situation.fill(),
    lambda replay: replay.situation.fill_set(),
    *while_newest(8, "deployments_list"),
    holding(26, "job_detail_ml_async_partial"),
    "jobs_ids_only",
    *while_newest(37, "exports_list", "exports_detail_occurrences_api_json"),
    "exports_detail_occurrences_simple_csv",
    *while_newest(
        41,
        "jobs_list",
        "jobs_list_collection",
        "jobs_list_cutoff",
        "jobs_list_deployment",
        "jobs_list_format_json",
        "jobs_list_html",
        "jobs_list_last",
        "jobs_list_limit0",
        "jobs_list_multi",
        "jobs_list_order_name",
        "jobs_list_page2",
        "jobs_list_pipeline",
        "jobs_list_project",
        "jobs_list_project_filter",
        "jobs_list_project_id_unknown",
        "jobs_list_search",
        "jobs_list_search_none",
        "jobs_list_single",
        "jobs_list_status",
        "jobs_ids_only_default",
        "jobs_ids_only_bad",
    ),
    "head_jobs",
    "options_jobs_admin",
    "options_job_admin",
    "jobs_list_accept_bad",
    "jobs_list_deployment_bad",
    "jobs_list_format_bad",
    "jobs_list_project_bad",
    "jobs_list_status_bad",
    "jobs_list_type_bad",
    "jobs_401_malformed",
    "job_404",
    "job_404_text",
    "job_detail_logs_limit_0",
    "jobs_delete_405_list",
    "jobs_run_401",
    "jobs_run_403",
    "jobs_run_403_outsider",
    "jobs_cancel_403",
    "jobs_cancel_403_outsider",
    "jobs_post_400_collection_unknown",
    "jobs_post_400_empty",
    "jobs_post_400_image_unknown",
    "jobs_post_400_json",
    "jobs_post_400_list",
    "jobs_post_400_name_blank",
    "jobs_post_400_name_type",
    "jobs_post_400_no_name",
    "jobs_post_400_shuffle",
    "jobs_post_401_anon",
    "jobs_post_401_badtoken",
    "jobs_post_403_member_start",
    "jobs_post_403_outsider",
    "jobs_post_415",
    "jobs_post_unknown_type",
    next_id("jobs", 50),
    asked("POST", "/jobs/", job("To keep", 4)),
    "jobs_delete_403_manager",
    asked("POST", "/jobs/", {**job("In a draft", None), "project_id": 3}),
    "job_draft_member",
    *while_newest(49, "jobs_401_header", "collections_list"),
    "status_summary",
    "captures_list",
    "events_list",
    "ml_pipelines_list",
    lambda replay: replay.situation.services_before(),
    "ml_services_list",
    lambda replay: replay.situation.forget_detections(),
    *while_newest(10, "collections_detail"),
]

# jobs are made, run, repeated, changed and stopped
RUNNING: list[Step] = [
    lambda replay: replay.situation.fill(),
    next_id("jobs", 9),
    "jobs_post_regroup_nodeployment",
    over(9),
    "job_detail_regroup_events_failed",
    next_id("jobs", 10),
    "jobs_post_populate_full",
    over(10),
    "job_detail_populate_full",
    "job_detail_logs_limit",
    "jobs_post_populate_random",
    over(11),
    "job_detail_populate_random",
    next_id("jobs", 14),
    asked("POST", "/jobs/?start_now", job("Populate captures for collection 8", 8)),
    over(14),
    "job_detail_populate_random_from_each_event",
    "jobs_post_populate_last_and_random_from_each_event",
    over(15),
    "job_detail_populate_last_and_random_from_each_event",
    "jobs_post_populate_greatest_file_size_from_each_event",
    next_id("jobs", 18),
    "jobs_post_populate_common_combined",
    next_id("jobs", 20),
    "collections_populate",
    asked("POST", "/jobs/?start_now", job("Populate nothing", None)),
    over(21),
    "job_detail_populate_failed",
    "jobs_retry_failed",
    over(21),
    "jobs_run_no_async_failing",
    next_id("jobs", 31),
    "jobs_post_created",
    "job_detail_created",
    "jobs_run",
    over(31),
    "job_detail_created_then_run",
    "jobs_run_again",
    over(31),
    asked("POST", "/jobs/31/retry/"),
    over(31),
    "jobs_run_no_async",
    "jobs_post_created2",
    "jobs_cancel_created",
    next_id("jobs", 42),
    "jobs_post_name_number",
    next_id("jobs", 46),
    "jobs_post_201_member",
    next_id("jobs", 48),
    "jobs_post_201_mldm_start",
    "jobs_patch",
    "jobs_patch_status",
    "jobs_patch_mldm",
    "jobs_put_400",
    "jobs_put",
    over(48),
]

# stations are to be synced while no worker is there
ASKING_TO_SYNC: list[Step] = [
    next_id("jobs", 1),
    "deployments_sync_400",
    "deployments_sync_all_400",
    asked("POST", "/deployments/4/sync/"),
    "job_detail_data_storage_sync_just_after",
]

# they are synced, one alone and all of them, and grouped into sessions once more
SYNCING: list[Step] = [
    "storage_test",
    over(1),
    "job_detail_data_storage_sync",
    "job_detail_data_storage_sync_as_anon",
    "job_detail_data_storage_sync_as_mldm",
    "jobs_post_sync",
    over(2),
    "jobs_post_sync_nosource",
    over(3),
    "job_detail_data_storage_sync_failed_nosource",
    asked("POST", "/deployments/6/sync/"),
    over(4),
    "deployments_sync_all",
    over(5),
    over(6),
    over(7),
    "deployments_regroup_202",
    over(8),
    "job_detail_regroup_events",
]
