"""The sampling methods of capture sets: which there are, and which arguments each takes (contract: domain 2.2)."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

Check = Callable[[Any], str | None]
"""Gives the reason why a value does not fit, or None if it does."""

REQUIRED = object()

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


class SamplingError(ValueError):
    """A method or an argument does not fit."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


def _is_int(value: Any) -> bool:
    # the bounds are those of a bigint column
    return isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63


def integer(value: Any) -> str | None:
    return None if _is_int(value) else f"expected an integer, got {value!r}"


def count(value: Any) -> str | None:
    if not _is_int(value):
        return f"expected an integer, got {value!r}"
    return None if value >= 0 else f"must not be negative, got {value}"


def boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else f"expected true or false, got {value!r}"


def minutes(value: Any) -> str | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return f"expected a number of minutes, got {value!r}"
    # a hundred years: beyond, interval arithmetic leaves the range of a timestamp
    return None if abs(value) <= 60 * 24 * 36525 else f"out of range, got {value!r}"


def integers(value: Any) -> str | None:
    if isinstance(value, list) and all(_is_int(each) for each in value):
        return None
    return f"expected a list of integers, got {value!r}"


def day(value: Any) -> str | None:
    reason = f"expected a date as YYYY-MM-DD, got {value!r}"
    # Python by itself also reads weeks, as in 2024-W22-6
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        return reason
    try:
        date.fromisoformat(value)
    except ValueError:
        return reason
    return None


@dataclass(frozen=True)
class Argument:
    """One keyword argument of a method."""

    check: Check
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


@dataclass(frozen=True)
class Method:
    """A way to choose captures for a set."""

    key: str
    arguments: Mapping[str, Argument] = field(default_factory=dict)
    has_sampler: bool = True


METHODS = {
    method.key: method
    for method in (
        Method("full", COMMON),
        Method("random", {"size": Argument(count, 100), **COMMON}),
        Method("stratified_random", has_sampler=False),
        Method(
            "interval",
            {
                "minute_interval": Argument(minutes, 10, nullable=False),
                "exclude_events": Argument(integers, []),
                "deployment_id": Argument(integer),
                **COMMON,
            },
        ),
        Method("manual", {"image_ids": Argument(integers, REQUIRED, nullable=False)}),
        Method("starred", has_sampler=False),
        Method("random_from_each_event", {"num_each": Argument(count, 10)}),
        Method("last_and_random_from_each_event", {"num_each": Argument(count, 1)}),
        Method("greatest_file_size_from_each_event", {"num_each": Argument(count, 1)}),
        Method("detections_only"),
        Method(
            "common_combined",
            {
                "minute_interval": Argument(minutes),
                "max_num": Argument(count),
                "shuffle": Argument(boolean, True),
                **COMMON,
            },
        ),
    )
}


def sampler(key: str, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Every argument of a method, defaults filled in.

    Raises SamplingError naming the field: `method` if it is unknown or has no sampler, otherwise the first
    argument that is unknown, missing, null where it may not be, or of the wrong kind.
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


def _value(name: str, argument: Argument, kwargs: Mapping[str, Any]) -> Any:
    if name not in kwargs:
        if argument.default is REQUIRED:
            raise SamplingError(name, "a value is required")
        return argument.default
    value = kwargs[name]
    if value is None and argument.nullable:
        return None
    reason = argument.check(value)
    if reason is not None:
        raise SamplingError(name, reason)
    return value
