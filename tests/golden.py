"""Recorded exchanges with the server that this one is compatible with (tests/data/golden)."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GOLDEN = Path(__file__).parent / "data" / "golden"


@dataclass(frozen=True)
class Exchange:
    """One request and what came back."""

    request: dict[str, Any]
    status: int
    headers: dict[str, str]
    body: Any


def recorded(name: str) -> Exchange:
    """The exchange of that name."""
    found = json.loads((GOLDEN / f"{name}.json").read_text())
    answer = found["response"]
    return Exchange(found["request"], answer["status"], answer["headers"], answer["body"])


def shape(value: Any) -> Any:
    """What a JSON value is made of: keys in their order, and the kinds of values; lists by their first item."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return type(value).__name__
