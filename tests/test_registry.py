"""No job type is half there."""

from temporalio import activity, workflow

from activities.registry import activities
from activities.resources import Resources
from db.connections import Database
from tests.workflows.test_replay import HISTORIES
from workflows import sweep
from workflows.registry import JOB_TYPES, WORKFLOWS
from workflows.run_records import CHANGE_PAUSE, CLAIM, CLOSE, REPORT

ACTIVITIES = {
    definition.name
    for each in activities(Resources(Database("postgresql://nowhere", size=2, name="none")))
    if (definition := activity._Definition.from_callable(each)) is not None
}


def test_every_job_type_has_a_workflow_of_its_name() -> None:
    names = [workflow._Definition.must_from_class(each).name for each in WORKFLOWS]

    assert sorted(name for name in names if name) == sorted([*JOB_TYPES, sweep.NAME])
    assert {key: job_type.key for key, job_type in JOB_TYPES.items()} == {key: key for key in JOB_TYPES}


def test_every_stage_has_an_activity_and_every_activity_a_stage() -> None:
    stages = {stage.key for job_type in JOB_TYPES.values() for stage in job_type.stages}

    assert stages | {CLAIM, REPORT, CHANGE_PAUSE, CLOSE, sweep.RECONCILE} == ACTIVITIES


def test_every_job_type_has_a_recorded_history() -> None:
    recorded = {path.name.split(".")[0] for path in HISTORIES.glob("*.json")}

    assert recorded == {*JOB_TYPES, sweep.NAME}
