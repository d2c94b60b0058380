"""Which recorded answers ours differ from: on purpose, by chance, or because that part does not run here yet.

What holds for all answers alike (the words of the seed page, the status of a summary) is in `comparing.as_meant`.
"""

from dataclasses import dataclass

from tests.conformance.comparing import Path


@dataclass(frozen=True)
class Intended:
    """Why an answer differs on purpose, and exactly where; a path with `*` at its end covers what begins so."""

    reason: str
    paths: tuple[Path, ...]


# fields of the answers that describe a noun, with what ours say of them in other words
_DESCRIBED = (
    *("data_export.children*", "deployment.children*", "pipeline.children*", "project.children*"),
    *("source_image_collection.children*", "source_image_single.children*", "job_type.children*"),
    *(
        "delay.help_text added",
        "delay.max_value added",
        "delay.min_value added",
        "job_type_key.help_text added",
    ),
    *("dispatch_mode.help_text missing", "dispatch_mode.type", "duration.type", "status.type"),
    *(
        "logs.children added",
        "logs.type",
        "progress.children added",
        "progress.type",
        "params added",
        "paused_at added",
    ),
)


def _options(method: str) -> Intended:
    return Intended(
        "nested fields cannot be written, so no limits are said of them; what can be written has help and limits",
        ("description", *(f"actions.{method}.{path}" for path in _DESCRIBED)),
    )


_PAGE_500 = ("status", "headers.allow", "headers.content-type", "headers.vary", "body")
_COUNTS = (
    *("source_images_count", "source_images_with_detections_count", "source_images_processed_count"),
    *("occurrences_count", "taxa_count"),
)
_COUNTED = Intended("a new set has counts, where null is recorded", _COUNTS)
_NO_SPECIES = "nothing is identified here yet: occurrences and taxa are 0"
_NO_DELETE = Intended("a user is not deleted by themselves", ("headers.allow",))
_READ_ONLY = Intended("exports are made with a later part", ("headers.allow",))
_READ_ONLY_LIST = "made and registered with a later part: nothing to create yet"
_WITH_EXAMPLES = Intended("a new station is answered with all its details", ("example_captures added",))
_NO_ASYNC = Intended(
    "a run that the request waited for is a run like any other, and logs its begin and end",
    (
        'logs.stdout + INFO Running job #31 "Created only" (PENDING)',
        'logs.stdout + INFO Finished job #31 "Created only" (SUCCESS)',
    ),
)
_FAILED = 'Job #21 "Populate nothing" failed: '
_MISSING_HERE = f"{_FAILED}No source image collection provided (source_image_collection_id)"
_MISSING_THERE = f"{_FAILED}No capture set provided"
_FAILED_LOG = (
    f"logs.stderr + {_MISSING_HERE}",
    f"logs.stderr - {_MISSING_THERE}",
    f"logs.stdout + ERROR {_MISSING_HERE}",
    f"logs.stdout - ERROR {_MISSING_THERE}",
    "logs.stdout + INFO Changing status of job 21 to FAILURE",
)
_NO_SOURCE = 'Job #3 "Sync nothing" failed: Deployment No source has no data source configured'
_MORE = (
    "progress.stages + measure_captures",
    *(f"progress.stages[].params + {each}" for each in ("added", "changed", "missing")),
    *(f"progress.stages[].params + {each}" for each in ("files_listed", "pages", "files_per_second")),
)
_MEASURED = "pictures are measured in a stage of their own"
_SYNCED = Intended(
    f"a sync tells what it added, changed and missed; {_MEASURED}; that captures are synced is said once",
    (
        *_MORE,
        "logs.stdout - INFO Syncing captures for deployment #4 Golden station-1",
    ),
)
_NO_STATION = 'Job #9 "Regroup nothing" failed: No deployment provided for regroup events job'

INTENDED: dict[str, Intended] = {
    "api_root": Intended(
        "what is not served is not listed; tokens are",
        (
            *("captures/thumbnails missing", "captures/upload missing", "classifications missing"),
            *("detections missing", "identifications missing", "labelstudio/captures missing"),
            *("labelstudio/detections missing", "labelstudio/occurrences missing", "ml/labels missing"),
            *("occurrences missing", "pages missing", "tags missing", "taxa missing", "taxa/lists missing"),
            *("users/me/tokens added", "order"),
        ),
    ),
    "users_me_200": _NO_DELETE,
    "users_me_401_bad": _NO_DELETE,
    "users_me_401_none": _NO_DELETE,
    "users_roles": Intended("programs that work on tasks have a role of their own", (".length",)),
    "projects_detail": Intended("charts are not drawn here", ("summary_data missing",)),
    "deployments_create_dep": _WITH_EXAMPLES,
    "deployments_create_dep2": _WITH_EXAMPLES,
    "deployments_create_nosource": _WITH_EXAMPLES,
    "deployments_list": Intended(_NO_SPECIES, ("results[].occurrences_count", "results[].taxa_count")),
    "collections_create_full": _COUNTED,
    "collections_create_random_from_each_event": _COUNTED,
    "collections_create_greatest_file_size_from_each_event": _COUNTED,
    "collections_create_detections_only": _COUNTED,
    "collections_create_manual": Intended(
        "arguments are kept as they were sent, and counted", (*_COUNTS, "kwargs.image_ids added")
    ),
    "collections_create_full_hours": Intended(
        "PostgreSQL settles the order of keys in a document", (*_COUNTS, "kwargs order")
    ),
    "collections_list": Intended(
        "a set shows its ten newest jobs; counts are numbers, where null is recorded",
        ("results[].jobs.length", "results[].occurrences_count", "results[].taxa_count"),
    ),
    "status_summary": Intended(
        f"{_NO_SPECIES}; detections are counted",
        (
            *("num_detections added", "num_occurrences", "num_species", "num_taxa"),
            *("occurrences_count", "taxa_count"),
        ),
    ),
    "captures_list": Intended(
        "no thumbnails are made here yet, so none are named: the page shows the picture itself",
        ("results[].thumbnails",),
    ),
    "events_list": Intended(
        f"{_NO_SPECIES}; the example of a session is its first capture, without thumbnails",
        ("results[].occurrences_count", "results[].taxa_count", "results[].example_captures[]*"),
    ),
    "ml_pipelines_list": Intended(
        f"{_READ_ONLY_LIST}; PostgreSQL settles the order of keys in a document",
        ("headers.allow", "user_permissions - create", "results[].stages[].params[] order"),
    ),
    "ml_services_list": Intended(_READ_ONLY_LIST, ("headers.allow", "user_permissions - create")),
    "exports_list": Intended(_READ_ONLY_LIST, ("headers.allow", "user_permissions - create")),
    "exports_detail_occurrences_api_json": _READ_ONLY,
    "exports_detail_occurrences_simple_csv": _READ_ONLY,
    "options_jobs_admin": _options("POST"),
    "options_job_admin": _options("PUT"),
    "jobs_list_cutoff": Intended("the parameter works: what failed is hidden", ("count", "results[]*")),
    "jobs_list_html": Intended("no answer depends on a cookie", ("headers.vary",)),
    "jobs_post_unknown_type": Intended("an unknown type is refused by name, not by a page 500", _PAGE_500),
    "jobs_run_no_async_failing": Intended("the job failed, the request did not", _PAGE_500),
    "job_detail_populate_failed": Intended(
        "an error is logged once, names the field, and the stage that failed says so",
        (*_FAILED_LOG, "progress.stages[].status"),
    ),
    "job_detail_regroup_events_failed": Intended(
        "a run has its stages and the time of its start once it is taken up; an error is logged once",
        (
            *("started_at", "duration"),
            *("progress.stages + regroup_events", "progress.stages + measure_captures"),
            f"logs.stderr - {_NO_STATION}",
            f"logs.stdout - ERROR {_NO_STATION}",
            "logs.stdout + INFO Changing status of job 9 to STARTED",
            "logs.stdout + INFO Changing status of job 9 to FAILURE",
        ),
    ),
    "job_detail_data_storage_sync_just_after": Intended(
        "a job and its log change together: nothing is logged of a run while the job is still PENDING",
        (
            "logs.stdout - INFO Changing status of job 1 to STARTED",
            'logs.stdout - INFO Running job #1 "Sync captures for deployment 4" (PENDING)',
        ),
    ),
    "job_detail_data_storage_sync": _SYNCED,
    "job_detail_data_storage_sync_as_anon": _SYNCED,
    "job_detail_data_storage_sync_as_mldm": _SYNCED,
    "job_detail_data_storage_sync_failed_nosource": Intended(
        f"an error is logged once, and the stage that failed says so; it tells more; {_MEASURED}",
        (
            *(*_MORE, "progress.stages[].status"),
            f"logs.stderr - {_NO_SOURCE}",
            f"logs.stdout - ERROR {_NO_SOURCE}",
            "logs.stdout + INFO Changing status of job 3 to FAILURE",
        ),
    ),
    "job_detail_regroup_events": Intended(_MEASURED, ("progress.stages + measure_captures",)),
    "jobs_retry_failed": Intended("an error is logged once, and names the field", _FAILED_LOG),
    "jobs_run_again": Intended(
        "a run begins at nothing, and says so at once",
        (
            *("progress.summary.progress", "progress.stages[].status", "progress.stages[].progress"),
            "progress.stages[].params[].value",
        ),
    ),
    "jobs_cancel_created": Intended(
        "every change of a status is logged", ("logs.stdout + INFO Changing status of job 32 to REVOKED",)
    ),
    "jobs_run_no_async": _NO_ASYNC,
    "jobs_patch": _NO_ASYNC,
    "jobs_patch_status": _NO_ASYNC,
    "jobs_patch_mldm": _NO_ASYNC,
    "jobs_put": _NO_ASYNC,
}

ARBITRARY: dict[str, tuple[Path, ...]] = {
    # one job of all, in any order
    "jobs_ids_only_default": ("results",),
    "jobs_ids_only_bad": ("results",),
    # how long it took
    "storage_test": ("latency", "total_time"),
}
"""What differs, or not, from one request to the next."""

WAITING: dict[str, tuple[str, ...]] = {
    "ml": (
        "job_detail_cancelled_just_after",
        "job_detail_ml_async",
        "job_detail_ml_async_cancelled",
        "job_detail_ml_async_partial",
        "job_detail_ml_async_waiting",
        "job_detail_ml_failed_nopipeline",
        "job_detail_ml_single",
        "job_detail_ml_sync",
        "jobs_cancel_again",
        "jobs_cancel_ml_async",
        "jobs_cancel_running",
        "jobs_post_ml_async2",
        "jobs_post_ml_nopipeline",
        "jobs_post_ml_sync",
        "jobs_retry_cancelled",
    ),
    "data_export": (
        "exports_create_400_collection",
        "exports_create_403",
        "exports_create_collection",
        "exports_create_occurrences_api_json",
        "job_detail_data_export_failed",
        "job_detail_data_export_occurrences_api_json",
        "job_detail_data_export_occurrences_simple_csv",
        "jobs_post_export_bare",
    ),
    "post_processing": (
        "job_detail_post_processing",
        "job_detail_post_processing_bad_config",
        "jobs_post_postprocessing",
    ),
    "unknown": ("jobs_post_type_unknown",),
    "tasks are handed out to workers": (
        "jobs_tasks_200",
        "jobs_tasks_200_finished",
        "jobs_tasks_400_internal",
        "jobs_tasks_400_sync",
        "jobs_tasks_401",
        "jobs_tasks_405",
    ),
    "results are taken from workers": ("jobs_result_200", "jobs_result_400_empty", "jobs_result_internal"),
    "services are asked and registered": ("ml_services_register", "ml_services_status"),
}
"""What is not played, by the type of job or by the words that say what it waits for."""
