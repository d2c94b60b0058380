"""Filters of lists: each query parameter becomes a condition, or a message why not (contract 1.2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request

from api.http import queries
from api.http.errors import Invalid
from db import writing
from db.connections import Connection
from db.listing import Condition

NO_CHOICE = "Select a valid choice. {} is not one of the available choices."
ANY_OTHER = "Select a valid choice. That choice is not one of the available choices."


@dataclass(frozen=True)
class Filter:
    """What all filters have in common; `column` is SQL about `t`."""

    column: str

    def condition(self, name: str, text: str) -> Condition | None:
        """The condition that a value stands for; raises Invalid for one that is none."""
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """What OpenAPI says of the value."""
        return {"type": "string"}


@dataclass(frozen=True)
class ChoiceFilter(Filter):
    """One of a closed list, in exactly that case of letters."""

    choices: Sequence[str] = ()

    def condition(self, name: str, text: str) -> Condition | None:
        if not text:
            return None
        if text not in self.choices:
            raise Invalid({name: [NO_CHOICE.format(text)]})
        return Condition(f"{self.column} = %({name})s", {name: text})

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "enum": list(self.choices)}


@dataclass(frozen=True)
class Exactly(Filter):
    """That very text."""

    def condition(self, name: str, text: str) -> Condition | None:
        if not text:
            return None
        return Condition(f"{self.column} = %({name})s", {name: _without_nul(name, text)})


@dataclass(frozen=True)
class OneOf(Filter):
    """One of several texts, with commas between them."""

    def condition(self, name: str, text: str) -> Condition | None:
        wanted = [word for word in _without_nul(name, text).split(",") if word]
        return Condition(f"{self.column} = ANY(%({name})s)", {name: wanted}) if wanted else None


@dataclass(frozen=True)
class Yes(Filter):
    """A condition (`column`) that holds or, for a value that says no, does not; see `queries.Flag`."""

    def condition(self, name: str, text: str) -> Condition | None:
        return Condition(f"NOT ({self.column})" if text in queries.FALSE else f"({self.column})")

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class RowFilter(Filter):
    """The id of a row of `table`, which must be there."""

    table: str = ""
    condition_sql: str = ""
    """Where the column alone does not say it: SQL with `%(name)s`."""

    def condition(self, name: str, text: str) -> Condition | None:
        if not text:
            return None
        number = row_number(text)
        if number is None:
            raise Invalid({name: [ANY_OTHER]})
        sql = self.condition_sql or f"{self.column} = %({name})s"
        return Condition(sql, {name: number})

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": 1}


def row_number(text: str) -> int | None:
    """The id that a text names; None if it cannot be one."""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        return None
    return number if 0 < (number := int(text)) < 2**63 else None


def _without_nul(name: str, text: str) -> str:
    if "\x00" in text:
        raise Invalid({name: ["Null characters are not allowed."]})
    return text


def read(request: Request, filters: Mapping[str, Filter]) -> tuple[Condition, ...]:
    """The conditions of every filter that a request has; raises Invalid with every message there is."""
    found: list[Condition] = []
    messages: dict[str, Sequence[str]] = {}
    for name, filter_ in filters.items():
        text = queries.last(request, name)
        if text is None:
            continue
        try:
            condition = filter_.condition(name, text)
        except Invalid as error:
            messages |= error.messages
        else:
            found += [condition] if condition is not None else []
    if messages:
        raise Invalid(messages)
    return tuple(found)


async def check_rows(db: Connection, filters: Mapping[str, Filter], conditions: Sequence[Condition]) -> None:
    """Raises Invalid if a filter names a row that is not there: one statement, none without such filters."""
    given = {name: value for condition in conditions for name, value in condition.values.items()}
    named = [
        (name, filter_.table, given[name])
        for name, filter_ in filters.items()
        if isinstance(filter_, RowFilter) and name in given
    ]
    absent = await writing.missing(db, named, None, scoped=False)
    if absent:
        raise Invalid({name: [ANY_OTHER] for name in absent})


@dataclass(frozen=True)
class Sort:
    """What `?ordering=` may name: SQL about `t`, and whether it may be null."""

    sql: str
    nullable: bool = False

    def order(self, *, descending: bool) -> str:
        """Nulls come last; said only where there may be some, since an index is of no use then."""
        direction = " DESC" if descending else ""
        return f"{self.sql}{direction}{' NULLS LAST' if descending and self.nullable else ''}"


TIMES = {"created_at": Sort("t.created_at"), "updated_at": Sort("t.updated_at")}
"""What nearly every list may be ordered by."""


def ordering(request: Request, allowed: Mapping[str, Sort], tie: str = "t.id") -> tuple[str, ...]:
    """The order that a request asks for, as SQL; unknown names are dropped."""
    wanted = (queries.last(request, "ordering") or "").replace(" ", "").split(",")
    found = [(name.startswith("-"), allowed.get(name.removeprefix("-"))) for name in wanted]
    orders = [sort.order(descending=descending) for descending, sort in found if sort is not None]
    if not orders:
        return ()
    # rows that are equal so far keep one order from page to page
    return (*orders, f"{tie} DESC" if " DESC" in orders[-1] else tie)


MAX_SEARCH_WORDS = 10


def search(request: Request, columns: Sequence[str]) -> tuple[Condition, ...]:
    """Every word of `?search=` must be part of one of the columns, in any case of letters."""
    text = (queries.last(request, "search") or "").replace("\x00", "").replace(",", " ")
    conditions = []
    for number, word in enumerate(text.split()[:MAX_SEARCH_WORDS]):
        name = f"search_{number}"
        pattern = "%" + word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
        either = " OR ".join(f"{column} ILIKE %({name})s" for column in columns)
        conditions.append(Condition(f"({either})", {name: pattern}))
    return tuple(conditions)
