"""What the makers of a chaos run take for right where a job may have been stopped half-way."""

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from monitoring.file_names import taken_at
from storage.folders import Folders
from storage.sources import Source
from tests.chaos.makers import BUCKET, FOLDERS, PREFIX, Sync, errors_of, files_in, listed, write_files
from tests.chaos.work import Left, Work

SYNC = Sync()
WORK: Work = SYNC.plain(Random(1), large=True, steady=True)
FILES = files_in(WORK.details["folder"])
DAYS = sorted({f"{each.at:%Y-%m-%d}" for each in FILES if each.is_capture})
NOTHING: dict[str, Any] = {
    **listed(WORK, 0),
    "changed": 0,
    "missing": 0,
    "sessions": None,
    "measured": None,
    "measured_captures": 0,
    "checked": False,
    "counts": [None] * 5,
    "events_count": None,
}
SYNCED = {
    **NOTHING,
    **listed(WORK, len(FILES)),
    "checked": True,
    "counts": [1, 2, 3, None, None],
    "events_count": 0,
}
GROUPED = {**SYNCED, "sessions": "a hash", "events_count": len(DAYS)}
WHOLE = {**GROUPED, "measured": DAYS, "measured_captures": SYNCED["captures"]}


def done(*stages: str) -> dict[str, str]:
    """The states of the stages of a job that was stopped after those."""
    states = dict.fromkeys((Sync.key, Sync.grouping, Sync.measuring), "CREATED")
    return {**states, **dict.fromkeys(stages, "SUCCESS")}


def left(stages: dict[str, str], effect: dict[str, Any], many: int = len(FILES)) -> Left:
    there, whole, before = (json.dumps(each) for each in (effect, WHOLE, NOTHING))
    return Left(WORK, stages, there, whole, before, errors_of(FILES[:many]))


def beginning(many: int) -> dict[str, Any]:
    return {**NOTHING, **listed(WORK, many)}


@pytest.mark.parametrize("many", [0, 1, 1000, len(FILES)])
def test_a_sync_that_was_stopped_while_it_listed_may_leave_a_beginning(many: int) -> None:
    assert SYNC.may_leave(left(done(), beginning(many), many))


@pytest.mark.parametrize(
    "wrong", [{"total_files": 999}, {"failed": 0}, {"captures": 0, "hash": None}, {"events_count": 3}]
)
def test_a_beginning_has_what_was_listed_and_its_figures(wrong: dict[str, Any]) -> None:
    assert not SYNC.may_leave(left(done(), {**beginning(1000), **wrong}, 1000))


def test_a_beginning_has_all_errors_of_what_was_listed_and_no_others() -> None:
    assert not SYNC.may_leave(left(done(), beginning(1000), 2000))
    assert not SYNC.may_leave(left(done(), beginning(1000), 500))
    assert not SYNC.may_leave(left(done(), beginning(0), 500))


def test_a_sync_that_has_listed_leaves_all_captures_and_one_that_has_grouped_all_sessions() -> None:
    listing, grouping = done(Sync.key), done(Sync.key, Sync.grouping)

    assert SYNC.may_leave(left(listing, SYNCED))
    assert SYNC.may_leave(left(grouping, GROUPED))
    for stages, effect in (
        (listing, beginning(len(FILES))),
        (listing, NOTHING),
        (listing, GROUPED),
        (grouping, SYNCED),
        (done(), SYNCED),
    ):
        assert not SYNC.may_leave(left(stages, effect))
    assert not SYNC.may_leave(left(listing, SYNCED, many=1000))


def test_pictures_are_measured_a_session_at_a_time_from_the_first_one() -> None:
    stages = done(Sync.key, Sync.grouping)
    each = [sum(f"{file.at:%Y-%m-%d}" == day for file in FILES if file.is_capture) for day in DAYS]
    first_two = {**GROUPED, "measured": DAYS[:2], "measured_captures": sum(each[:2])}

    assert SYNC.may_leave(left(stages, first_two))
    assert SYNC.may_leave(left(stages, WHOLE))
    assert SYNC.may_leave(left(done(*done()), WHOLE))
    assert not SYNC.may_leave(left(stages, {**first_two, "measured": DAYS[1:3]}))
    assert not SYNC.may_leave(left(stages, {**first_two, "measured_captures": sum(each[:2]) + 1}))
    assert not SYNC.may_leave(left(done(*done()), first_two))


def test_a_job_of_one_effect_leaves_all_of_it_or_nothing() -> None:
    whole = Left(WORK, {"one": "SUCCESS"}, "whole", "whole", "before")

    assert whole.all_or_nothing("one")
    assert not replace(whole, effect="half").all_or_nothing("one")
    assert not replace(whole, stages={"one": "REVOKED"}).all_or_nothing("one")
    assert replace(whole, stages={"one": "REVOKED"}, effect="before").all_or_nothing("one")


async def test_files_are_listed_in_the_order_in_which_they_are_counted(tmp_path: Path) -> None:
    write_files(tmp_path / BUCKET, "small-0")
    source = Source(BUCKET, PREFIX, endpoint_url=f"file://{tmp_path}", trusted=True)

    found = [each async for page in Folders([tmp_path]).pages(source, "small-0") for each in page.objects]

    assert [(each.key, each.size) for each in found] == [
        (each.key, each.size) for each in files_in("small-0")
    ]


def test_every_folder_has_bad_names_and_empty_files_and_the_names_say_what_they_should() -> None:
    for size, many in FOLDERS.items():
        for number in range(many):
            files = files_in(f"{size}-{number}")
            assert {each.counts for each in files} == {each.at is None for each in files} == {True, False}
            assert [taken_at(each.key) for each in files] == [each.at for each in files]
