"""The plan of a chaos run: the same for the same seed, and nothing left out of it."""

import pytest

from monitoring import sampling
from tests.chaos import makers, plan
from tests.chaos.makers import MAKERS, NoMaker
from tests.chaos.plan import BY_CHANCE, KINDS_OF_FAULTS, UNSURE, Kind
from workflows.registry import JOB_TYPES

LONG = plan.make(3, 300)
POPULATING = [wish for wish in LONG.wishes if wish.work.job_type == makers.Populate.key]


def test_every_registered_job_type_has_a_maker() -> None:
    makers.require(tuple(JOB_TYPES))


def test_no_plan_is_made_while_a_job_type_has_no_maker() -> None:
    with pytest.raises(NoMaker, match="new_type"):
        makers.require([*JOB_TYPES, "new_type"])


def test_the_same_seed_makes_the_same_plan_and_another_one_another() -> None:
    assert plan.make(3, 300) == LONG
    assert plan.make(4, 300).wishes != LONG.wishes
    assert plan.make(4, 300).faults != LONG.faults


@pytest.mark.parametrize("seconds", [10, 60, 300])
def test_every_kind_of_job_of_every_type_is_in_every_plan(seconds: float) -> None:
    made = plan.make(5, seconds)

    pairs = {(wish.work.job_type, wish.kind) for wish in made.wishes if wish.kind is not Kind.PROBE}
    assert pairs == {(key, kind) for key in MAKERS for kind in plan.DRAWN}


def test_a_plan_of_five_minutes_has_every_kind_of_fault_and_no_more_jobs_than_asked_for() -> None:
    assert {(fault.action, fault.target) for fault in LONG.faults} == set(KINDS_OF_FAULTS)
    assert len(LONG.wishes) == 600 + 2 * len(LONG.faults)


def test_wishes_are_numbered_in_the_order_of_their_times() -> None:
    assert [wish.number for wish in LONG.wishes] == list(range(1, len(LONG.wishes) + 1))
    assert [wish.at for wish in LONG.wishes] == sorted(wish.at for wish in LONG.wishes)


def test_every_fault_has_a_probe_of_its_own_and_is_over_before_the_end() -> None:
    probes = [LONG.wish(fault.probe) for fault in LONG.faults]

    assert [probe.kind for probe in probes] == [Kind.PROBE] * len(LONG.faults)
    assert [probe.at for probe in probes] == [fault.at for fault in LONG.faults]
    assert len({probe.number for probe in probes}) == len(probes)
    assert all(fault.at + fault.lasts < LONG.seconds for fault in LONG.faults)


def test_each_fault_comes_upon_a_large_job_that_was_just_asked_for() -> None:
    for fault in LONG.faults:
        just_before = [wish for wish in LONG.wishes if fault.at - 0.5 <= wish.at <= fault.at]
        assert any(wish.work.details["size"] == "large" for wish in just_before)


def test_no_method_draws_by_job_id_where_ids_come_by_chance() -> None:
    steady = {method for method, _ in makers.STEADY + makers.LARGE[:3]}

    unsure = [wish for wish in POPULATING if wish.kind in UNSURE]
    assert set(BY_CHANCE) < {wish.kind for wish in unsure}
    assert {wish.work.details["method"] for wish in unsure} <= steady


def test_every_sampling_method_that_has_a_sampler_is_used() -> None:
    methods = {wish.work.details["method"] for wish in POPULATING if wish.work.cause is None}

    assert methods == {method.key for method in sampling.METHODS.values() if method.has_sampler}


def test_only_bad_works_have_a_cause() -> None:
    assert all((wish.kind is Kind.BAD) == (wish.work.cause is not None) for wish in LONG.wishes)


def test_in_calm_a_job_that_may_be_cancelled_shows_its_whole_effect() -> None:
    kinds = {wish.kind: wish.calm.kind for wish in LONG.wishes}

    changed = {kind: calm for kind, calm in kinds.items() if kind is not calm}
    assert changed == {Kind.CANCELLED_SOMETIME: Kind.PLAIN}


def test_a_plan_may_be_kept_to_some_kinds_of_faults() -> None:
    faults = plan.make(3, 60, only="kill").faults

    assert {fault.target for fault in faults} == set(plan.PROCESSES)
    with pytest.raises(ValueError, match="earthquake"):
        plan.make(3, 60, only="earthquake")
