"""Sampling methods and their arguments, without a database."""

from typing import Any

import pytest

from db.sampling_rows import SAMPLERS
from monitoring.sampling import COMMON, METHODS, SamplingError, normalised, sampler

OFF = dict.fromkeys(COMMON)
ALL = {"max_num": None}


def refusal(method: str, kwargs: dict[str, Any]) -> SamplingError:
    with pytest.raises(SamplingError) as caught:
        sampler(method, kwargs)
    return caught.value


def test_the_methods_are_those_that_clients_can_choose() -> None:
    assert list(METHODS) == [
        "full",
        "random",
        "stratified_random",
        "interval",
        "manual",
        "starred",
        "random_from_each_event",
        "last_and_random_from_each_event",
        "greatest_file_size_from_each_event",
        "detections_only",
        "common_combined",
    ]


def test_every_method_with_a_sampler_has_a_query_and_no_other_has() -> None:
    assert set(SAMPLERS) == {key for key, method in METHODS.items() if method.has_sampler}


@pytest.mark.parametrize("method", ["", "positional", "nth", "sample_full", "FULL"])
def test_an_unknown_method_is_refused_by_name(method: str) -> None:
    error = refusal(method, {})

    assert error.field == "method"
    assert str(error) == f"method: unknown sampling method {method!r}"


@pytest.mark.parametrize("method", ["starred", "stratified_random"])
def test_a_method_without_a_sampler_is_refused_whatever_its_arguments(method: str) -> None:
    error = refusal(method, {"size": 10})

    assert error.field == "method"
    assert error.reason == f"captures cannot be sampled by the method {method!r}"


@pytest.mark.parametrize(
    ("method", "defaults"),
    [
        ("full", {**OFF, **ALL}),
        ("random", {"size": 100, **OFF, **ALL}),
        ("interval", {"minute_interval": 10, "exclude_events": [], "deployment_id": None, **OFF, **ALL}),
        ("random_from_each_event", {"num_each": 10, **ALL}),
        ("last_and_random_from_each_event", {"num_each": 1, **ALL}),
        ("greatest_file_size_from_each_event", {"num_each": 1, **ALL}),
        ("detections_only", ALL),
        ("common_combined", {"minute_interval": None, "shuffle": True, **OFF, **ALL}),
    ],
)
def test_arguments_that_are_left_out_get_their_defaults(method: str, defaults: dict[str, Any]) -> None:
    assert sampler(method, {}) == defaults


def test_the_common_filters_are_nine_and_off_by_default() -> None:
    assert OFF == {
        "hour_start": None,
        "hour_end": None,
        "month_start": None,
        "month_end": None,
        "date_start": None,
        "date_end": None,
        "deployment_ids": None,
        "research_site_ids": None,
        "event_ids": None,
    }


def test_given_arguments_are_taken_as_they_are() -> None:
    given = {
        "minute_interval": 2.5,
        "exclude_events": [1, 2],
        "hour_start": 1700,
        "month_end": -1,
        "date_start": "2024-02-29",
        "deployment_ids": [],
    }

    assert sampler("interval", given).items() >= given.items()


@pytest.mark.parametrize(
    ("method", "name"),
    [
        ("full", "size"),
        ("random", "num_each"),
        ("interval", "deployment"),
        ("manual", "hour_start"),
        ("detections_only", "event_ids"),
        ("random_from_each_event", "deployment_ids"),
        ("last_and_random_from_each_event", "size"),
        ("greatest_file_size_from_each_event", "size"),
        ("common_combined", "exclude_events"),
    ],
)
@pytest.mark.parametrize("value", [1, None])
def test_an_argument_that_the_method_does_not_have_is_refused_by_name(
    method: str, name: str, value: Any
) -> None:
    kwargs = {"image_ids": [], name: value} if method == "manual" else {name: value}

    error = refusal(method, kwargs)

    assert (error.field, error.reason) == (name, f"unknown argument of the sampling method {method!r}")


def test_an_argument_that_must_be_given_is_asked_for_by_name() -> None:
    error = refusal("manual", {})

    assert str(error) == "image_ids: a value is required"


@pytest.mark.parametrize(
    ("method", "name"),
    [
        *(("full", name) for name in COMMON),
        ("random", "size"),
        ("interval", "exclude_events"),
        ("interval", "deployment_id"),
        ("random_from_each_event", "num_each"),
        ("last_and_random_from_each_event", "num_each"),
        ("greatest_file_size_from_each_event", "num_each"),
        ("common_combined", "minute_interval"),
        ("common_combined", "max_num"),
        ("common_combined", "shuffle"),
    ],
)
def test_null_is_passed_on_where_it_means_something(method: str, name: str) -> None:
    assert sampler(method, {name: None})[name] is None


@pytest.mark.parametrize("empty", [None, ""])
def test_null_where_it_means_nothing_is_an_argument_that_was_not_given(empty: str | None) -> None:
    assert sampler("interval", {"minute_interval": empty}) == sampler("interval", {})
    assert str(refusal("manual", {"image_ids": empty})) == "image_ids: a value is required"


@pytest.mark.parametrize("method", [key for key, method in METHODS.items() if method.has_sampler])
def test_an_empty_text_is_an_argument_that_was_not_given(method: str) -> None:
    needed = {"image_ids": [1]} if method == "manual" else {}
    empty = dict.fromkeys(METHODS[method].arguments, "")

    assert sampler(method, empty | needed) == sampler(method, needed)


def typed(values: dict[str, Any]) -> dict[str, Any]:
    """Values with their kinds: to Python true, 1 and 1.0 are equal."""
    return {
        name: (type(value), value, [type(each) for each in value] if isinstance(value, list) else None)
        for name, value in values.items()
    }


@pytest.mark.parametrize("method", [key for key, method in METHODS.items() if method.has_sampler])
def test_numbers_and_truth_may_be_text(method: str) -> None:
    """As HTML forms send them, whatever the method and the argument."""
    plain = {
        **dict.fromkeys(METHODS[method].arguments, 7),
        **{
            name: [3, 5]
            for name in ("deployment_ids", "research_site_ids", "event_ids", "exclude_events", "image_ids")
        },
        "date_start": "2024-06-01",
        "date_end": "2024-06-02",
        "shuffle": False,
        "minute_interval": 7.5,
    }
    given = {name: value for name, value in plain.items() if name in METHODS[method].arguments}
    as_text = {
        name: [str(value[0]), value[1]] if isinstance(value, list) else str(value)
        for name, value in given.items()
    }

    assert typed(sampler(method, as_text)) == typed(sampler(method, given)) == typed(given)
    assert typed(normalised(method, {**as_text, "unheard_of": "", "another": None})) == typed(given)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        *(("7", 7), ("0", 0), ("007", 7), ("-0", 0), ("+7", 7), ("-7", -7)),
        *(("9223372036854775807", 2**63 - 1), ("-9223372036854775808", -(2**63))),
    ],
)
def test_a_whole_number_is_read_from_text(text: str, number: int) -> None:
    assert typed(sampler("full", {"hour_start": text})).items() >= typed({"hour_start": number}).items()
    assert sampler("full", {"event_ids": [text, number]})["event_ids"] == [number, number]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("7", 7),
        ("2.5", 2.5),
        (".5", 0.5),
        ("5.", 5.0),
        ("10.0", 10.0),
        ("1e2", 100.0),
        ("-1", -1),
        ("1e-9999", 0.0),
    ],
)
def test_a_number_of_minutes_is_read_from_text(text: str, number: float) -> None:
    found = sampler("interval", {"minute_interval": text})["minute_interval"]

    assert (type(found), found) == (type(number), number)


def test_what_is_kept_has_no_defaults_and_nothing_that_was_left_empty() -> None:
    assert normalised("random", {"size": "5", "hour_start": None, "hour_end": "", "num_each": None}) == {
        "size": 5
    }
    assert normalised("random", {}) == {}
    # an empty list is one: it chooses nothing
    assert normalised("full", {"deployment_ids": []}) == {"deployment_ids": []}
    with pytest.raises(SamplingError, match="num_each: unknown argument"):
        normalised("random", {"num_each": "5"})
    with pytest.raises(SamplingError, match="image_ids: a value is required"):
        normalised("manual", {"image_ids": ""})


NO_NUMBERS = [
    *(
        "x",
        " ",
        " 7",
        "7 ",
        "7\n",
        "1_000",
        "1,000",
        "0x10",
        "--7",
        "+",
        "NaN",
        "nan",
        "Infinity",
        "-inf",
        "1e999",
    ),
    # digits of other scripts, and wide ones
    *("\u0663", "\uff17", "\u00b2"),
    *("9" * 20, "9" * 31, "9" * 5000, "0" * 31),
]
INTEGERS = [True, 1.0, "1.0", "1.", "1e3", *NO_NUMBERS, [1], {}, 2**63, -(2**63) - 1, "9223372036854775808"]
COUNTS = [*INTEGERS, -1, "-1"]
LISTS = [
    "1",
    1,
    {},
    [None],
    [""],
    ["x"],
    ["1.0"],
    [1.0],
    [True],
    [[1]],
    [2**63],
    {"1": 1},
    *([text] for text in NO_NUMBERS),
]
DAYS = [
    20240601,
    "2024-6-1",
    "20240601",
    "2024-06-31",
    "2024-13-01",
    "0000-01-01",
    "01.06.2024",
    "2024-06-01T00:00",
    "2024-W01-1",
    "2024-06-01 ",
    "\uff12\uff10\uff12\uff14-\uff10\uff16-\uff10\uff11",  # wide digits
]
MINUTES = [True, *NO_NUMBERS, "1e12", "1e", ".", [], {}, float("inf"), float("nan"), 1e12, -1e12, 10**400]
BOOLEANS = [0, 1, "1", "0", "yes", " true", "t", []]


@pytest.mark.parametrize(
    ("method", "name", "value"),
    [
        *(
            ("full", name, value)
            for name in ("hour_start", "hour_end", "month_start", "month_end")
            for value in INTEGERS
        ),
        *(("full", name, value) for name in ("date_start", "date_end") for value in DAYS),
        *(
            ("full", name, value)
            for name in ("deployment_ids", "research_site_ids", "event_ids")
            for value in LISTS
        ),
        *(("random", "size", value) for value in COUNTS),
        *(("interval", "minute_interval", value) for value in MINUTES),
        *(("interval", "exclude_events", value) for value in LISTS),
        *(("interval", "deployment_id", value) for value in INTEGERS),
        *(("manual", "image_ids", value) for value in LISTS),
        *(("random_from_each_event", "num_each", value) for value in COUNTS),
        *(("last_and_random_from_each_event", "num_each", value) for value in COUNTS),
        *(("greatest_file_size_from_each_event", "num_each", value) for value in COUNTS),
        *(("common_combined", "minute_interval", value) for value in MINUTES),
        *(
            (key, "max_num", value)
            for key, method in METHODS.items()
            if method.has_sampler
            for value in COUNTS
        ),
        *(("common_combined", "shuffle", value) for value in BOOLEANS),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_by_name(method: str, name: str, value: Any) -> None:
    needed = {"image_ids": [1], name: value} if method == "manual" else {name: value}
    assert refusal(method, needed).field == name


def test_a_refusal_says_what_was_expected_and_what_came() -> None:
    reasons = {
        "hour_start": refusal("full", {"hour_start": "8h"}).reason,
        "hour_end": refusal("full", {"hour_end": "9223372036854775808"}).reason,
        "date_start": refusal("full", {"date_start": "June"}).reason,
        "event_ids": refusal("full", {"event_ids": 3}).reason,
        "size": refusal("random", {"size": -5}).reason,
        "max_num": refusal("random", {"max_num": "-5"}).reason,
        "minute_interval": refusal("interval", {"minute_interval": "10 min"}).reason,
        "exclude_events": refusal("interval", {"exclude_events": ["3", "x" * 5000]}).reason,
        "shuffle": refusal("common_combined", {"shuffle": 1}).reason,
    }

    assert reasons == {
        "hour_start": "expected an integer, got '8h'",
        "hour_end": "out of range, got '9223372036854775808'",
        "date_start": "expected a date as YYYY-MM-DD, got 'June'",
        "event_ids": "expected a list of integers, got 3",
        "size": "must not be negative, got -5",
        "max_num": "must not be negative, got -5",
        "minute_interval": "expected a number of minutes, got '10 min'",
        # no more than one can read
        "exclude_events": f"expected a list of integers, got ['3', '{'x' * 73}…",
        "shuffle": "expected true or false, got 1",
    }


def test_the_first_argument_that_does_not_fit_is_named() -> None:
    assert refusal("full", {"hour_end": "x", "hour_start": "x"}).field == "hour_start"
    assert refusal("full", {"hour_end": "x", "nights": 1}).field == "nights"
