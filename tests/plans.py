"""What the planner of PostgreSQL makes of a statement, and whether any of it compares each row with each row."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg

from db.connections import driver_address

Node = dict[str, Any]

BY_INDEX = ("Index Scan", "Index Only Scan", "Bitmap Heap Scan", "Tid Scan")
_ONE = re.compile(r"\(\w+\.id = ('?\d+'?(::bigint)?|\(InitPlan \d+\)\.col\d+)\)")


def plan(database_url: str, statement: str, values: Mapping[str, Any]) -> Node:
    """The plan of a statement, which is not run."""
    with psycopg.connect(driver_address(database_url), cursor_factory=psycopg.ClientCursor) as db:
        row = db.execute(f"EXPLAIN (FORMAT JSON, VERBOSE) {statement}", values).fetchone()
    assert row is not None
    found: Node = row[0][0]["Plan"] if isinstance(row[0], list) else json.loads(row[0])[0]["Plan"]
    return found


def nodes(root: Node) -> Iterator[Node]:
    yield root
    for child in root.get("Plans", []):
        yield from nodes(child)


def quadratic(root: Node) -> list[Node]:
    """Loops that go through all of something, not found by an index, for each row of something else."""
    return [node for node in nodes(root) if node["Node Type"] == "Nested Loop" and _is_quadratic(node)]


def _is_quadratic(loop: Node) -> bool:
    inner = next(child for child in loop["Plans"] if child["Parent Relationship"] == "Inner")
    outer = next(child for child in loop["Plans"] if child["Parent Relationship"] == "Outer")
    return not _is_one_row(outer) and not _is_found(inner)


def _is_one_row(node: Node) -> bool:
    kind = node["Node Type"]
    if kind in ("Result", "Aggregate") and "Group Key" not in node:
        return True
    if kind == "Nested Loop":
        return all(
            _is_one_row(child) for child in node["Plans"] if child["Parent Relationship"] != "InitPlan"
        )
    if kind == "Subquery Scan":
        return _is_one_row(node["Plans"][-1])
    # by its primary key, from a value or from what was computed once
    return kind in BY_INDEX and bool(_ONE.fullmatch(node.get("Index Cond", "")))


def _is_found(node: Node) -> bool:
    """Whether what is looped over is looked up each time, not gone through."""
    kind = node["Node Type"]
    if kind in ("Memoize", "Limit", "Aggregate", "Subquery Scan", "Unique", "Sort", "Incremental Sort"):
        return all(_is_found(child) for child in node["Plans"] if child["Parent Relationship"] != "InitPlan")
    if kind == "Nested Loop":
        return all(_is_found(child) for child in node["Plans"])
    if kind == "Result":
        return "Plans" not in node
    return kind in BY_INDEX and ("Index Cond" in node or "TID Cond" in node or kind == "Bitmap Heap Scan")
