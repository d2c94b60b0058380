"""The sampling methods of capture sets: which there are, and which arguments each takes (domain 2.2)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

Parse = Callable[[Any], Any]
"""Gives the value that was meant; raises Unfit with the reason why what was sent is none."""

REQUIRED = object()

# what a number looks like as text, which is how HTML forms send it: nothing around it, and no digits but these ten
_WHOLE = re.compile(r"[+-]?[0-9]{1,30}")
_NUMBER = re.compile(r"[+-]?([0-9]{1,30}(\.[0-9]{0,30})?|\.[0-9]{1,30})([eE][+-]?[0-9]{1,4})?")
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_TRUTH = {"true": True, "false": False}
LONGEST_SHOWN = 80
"""Characters of a value in the reason why it is refused."""


class SamplingError(ValueError):
    """A method or an argument does not fit."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class Unfit(ValueError):
    """A value that an argument cannot have."""


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def integer(value: Any) -> int:
    """A whole number, as such or as text."""
    number = int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value
    if not isinstance(number, int) or isinstance(number, bool):
        raise Unfit(f"expected an integer, got {_shown(value)}")
    # the bounds are those of a bigint column
    if not -(2**63) <= number < 2**63:
        raise Unfit(f"out of range, got {_shown(value)}")
    return number


def count(value: Any) -> int:
    number = integer(value)
    if number < 0:
        raise Unfit(f"must not be negative, got {number}")
    return number


def boolean(value: Any) -> bool:
    """True or false, as such or as one of these words."""
    meant = _TRUTH.get(value.lower()) if isinstance(value, str) else value
    if not isinstance(meant, bool):
        raise Unfit(f"expected true or false, got {_shown(value)}")
    return meant


def minutes(value: Any) -> int | float:
    number = value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        number = int(value) if _WHOLE.fullmatch(value) else float(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise Unfit(f"expected a number of minutes, got {_shown(value)}")
    # a hundred years: beyond, interval arithmetic leaves the range of a timestamp
    if not abs(number) <= 60 * 24 * 36525:
        raise Unfit(f"out of range, got {_shown(value)}")
    return number


def integers(value: Any) -> list[int]:
    if isinstance(value, list):
        try:
            return [integer(each) for each in value]
        except Unfit:
            pass
    raise Unfit(f"expected a list of integers, got {_shown(value)}")


def day(value: Any) -> str:
    unfit = Unfit(f"expected a date as YYYY-MM-DD, got {_shown(value)}")
    # Python by itself also reads weeks, as in 2024-W22-6
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise unfit
    try:
        date.fromisoformat(value)
    except ValueError as error:
        raise unfit from error
    return value


@dataclass(frozen=True)
class Argument:
    """One keyword argument of a method."""

    parse: Parse
    default: Any = None
    nullable: bool = True


COMMON = {
    "hour_start": Argument(integer),
    "hour_end": Argument(integer),
    "month_start": Argument(integer),
    "month_end": Argument(integer),
    "date_start": Argument(day),
    "date_end": Argument(day),
    "deployment_ids": Argument(integers),
    "research_site_ids": Argument(integers),
    "event_ids": Argument(integers),
}


MAX_NUM = {"max_num": Argument(count)}
"""How many captures a method chooses at most; which go before others is its own affair (db.sampling_rows)."""


@dataclass(frozen=True)
class Method:
    """A way to choose captures for a set."""

    key: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    has_sampler: bool = True


METHODS = {
    method.key: method
    for method in (
        Method("full", {**COMMON, **MAX_NUM}),
        Method("random", {"size": Argument(count, 100), **COMMON, **MAX_NUM}),
        Method("stratified_random", has_sampler=False),
        Method(
            "interval",
            {
                "minute_interval": Argument(minutes, 10, nullable=False),
                "exclude_events": Argument(integers, []),
                "deployment_id": Argument(integer),
                **COMMON,
                **MAX_NUM,
            },
        ),
        Method("manual", {"image_ids": Argument(integers, REQUIRED, nullable=False), **MAX_NUM}),
        Method("starred", has_sampler=False),
        Method("random_from_each_event", {"num_each": Argument(count, 10), **MAX_NUM}),
        Method("last_and_random_from_each_event", {"num_each": Argument(count, 1), **MAX_NUM}),
        Method("greatest_file_size_from_each_event", {"num_each": Argument(count, 1), **MAX_NUM}),
        Method("detections_only", MAX_NUM),
        Method(
            "common_combined",
            {
                "minute_interval": Argument(minutes),
                "shuffle": Argument(boolean, True),
                **COMMON,
                **MAX_NUM,
            },
        ),
    )
}


def sampler(key: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Every argument of a method as a number, truth value, date or list, defaults filled in.

    Numbers may come as text. An empty text is an argument that was not given; so is null where it means nothing.
    Raises SamplingError naming the field: `method` if it is unknown or has no sampler, otherwise the first
    argument that is unknown, missing, or of the wrong kind.
    """
    method = METHODS.get(key)
    if method is None:
        raise SamplingError("method", f"unknown sampling method {key!r}")
    if not method.has_sampler:
        raise SamplingError("method", f"captures cannot be sampled by the method {key!r}")
    for name in kwargs:
        if name not in method.arguments:
            raise SamplingError(name, f"unknown argument of the sampling method {key!r}")
    return {name: _value(name, argument, kwargs) for name, argument in method.arguments.items()}


def given(kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that forms did not leave empty, be it one of another method: they send null or an empty text."""
    return {name: value for name, value in kwargs.items() if value is not None and value != ""}


def normalised(key: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that are given, and no defaults, as `sampler` reads them; raises the same errors."""
    wanted = given(kwargs)
    arguments = sampler(key, wanted)
    return {name: arguments[name] for name in wanted}


def _value(name: str, argument: Argument, kwargs: Mapping[str, Any]) -> Any:
    value = kwargs.get(name, "")
    if value == "" or (value is None and not argument.nullable):
        if argument.default is REQUIRED:
            raise SamplingError(name, "a value is required")
        return argument.default
    if value is None:
        return None
    try:
        return argument.parse(value)
    except Unfit as unfit:
        raise SamplingError(name, str(unfit)) from unfit
