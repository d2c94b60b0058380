"""Compares an answer with the recorded one: keys and their order, kinds, formats, and values that no run changes."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

Path = str
"""Where answers differ, such as `results[].jobs.length`; items of lists share a path.

A line that only one of two logs has is named: `logs.stdout + INFO Finished`, or `-` for one that is only recorded. So
is a stage or a figure: `progress.stages + delay`.
"""

HEADERS = ("allow", "content-type", "vary", "www-authenticate")
RECORDED_HOST = "http://127.0.0.1:58000"

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")
_LINE = re.compile(r"^\[\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\] ")
_DURATION = re.compile(r"\d+\.\d{1,6}")
_TOKEN = re.compile(r"[0-9a-f]{40}")

# the newer server's words for what the seed page says otherwise (design 9)
_WORDS = (
    (re.compile(r"Populate capture set"), "Populate captures collection"),
    (re.compile(r"Populate captures for capture set"), "Populate captures for collection"),
    (re.compile(r"capture set #"), "source image collection #"),
    (re.compile(r"(Changing status of job \d+) from [A-Z]+ to"), r"\1 to"),
)


def as_meant(value: Any) -> Any:
    """What is recorded, in the words and with the rules of the seed page, which hold for every answer."""
    if isinstance(value, dict):
        return _job_as_meant({key: as_meant(inner) for key, inner in value.items()})
    if isinstance(value, list):
        return [as_meant(inner) for inner in value]
    if isinstance(value, str):
        for pattern, words in _WORDS:
            value = pattern.sub(words, value)
    return value


def _job_as_meant(body: dict[str, Any]) -> dict[str, Any]:
    """The status of a summary is that of the job, the log is said twice, and a job says whether it is paused."""
    progress = body.get("progress")
    if isinstance(progress, dict) and "stages" in progress and "status" in body:
        summary = {**progress["summary"], "status": body["status"]}
        said = {**progress, "summary": summary, "errors": "stderr", "logs": "stdout"}
        paused = {"paused_at": None} if "job_type" in body else {}
        return {**body, "progress": said, **paused}
    return body


def without_repetition(value: Any) -> Any:
    """An answer of ours without the second copy of the log, if it is one."""
    if isinstance(value, list):
        return [without_repetition(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    body = {key: without_repetition(inner) for key, inner in value.items()}
    progress, logs = body.get("progress"), body.get("logs")
    if isinstance(progress, dict) and isinstance(logs, dict) and "stdout" in logs:
        names = {"errors": "stderr", "logs": "stdout"}
        copies = {key: name for key, name in names.items() if progress[key] == logs[name]}
        return {**body, "progress": {**progress, **copies}}
    return body


def differences(recorded: Any, answered: Any, path: Path = "", key: str = "") -> Iterator[Path]:
    """Where the two differ in what they should have alike."""
    if isinstance(recorded, dict) and isinstance(answered, dict):
        yield from _of_objects(recorded, answered, path)
    elif isinstance(recorded, list) and isinstance(answered, list):
        yield from _of_lists(recorded, answered, path, key)
    elif _essence(recorded, key) != _essence(answered, key):
        yield path


def _of_objects(recorded: dict[str, Any], answered: dict[str, Any], path: Path) -> Iterator[Path]:
    yield from _keys(recorded, answered, path)
    for name in [name for name in recorded if name in answered]:
        # the duration of a job is that of the run; the duration of a session is that of the night
        known_as = "" if name == "duration" and "started_at" not in recorded else name
        yield from differences(recorded[name], answered[name], f"{path}.{name}".lstrip("."), known_as)


def _of_lists(recorded: list[Any], answered: list[Any], path: Path, key: str) -> Iterator[Path]:
    if key in ("user_permissions", "stdout", "stderr"):
        yield from _lines(recorded, answered, path, in_order=key != "user_permissions")
        return
    if len(recorded) != len(answered):
        yield from _more_or_less(recorded, answered, path)
    for one, other in zip(recorded, answered, strict=False):
        yield from differences(one, other, f"{path}[]", key)


def _more_or_less(recorded: list[Any], answered: list[Any], path: Path) -> Iterator[Path]:
    """How lists of different lengths differ: by the keys of stages and figures, which are what they are known by."""
    if any(not isinstance(each, dict) or "key" not in each for each in (*recorded, *answered)):
        yield f"{path}.length"
        return
    wanted, found = ([each["key"] for each in items] for items in (recorded, answered))
    yield from (f"{path} - {key}" for key in wanted if key not in found)
    yield from (f"{path} + {key}" for key in found if key not in wanted)


def _lines(recorded: list[str], answered: list[str], path: Path, *, in_order: bool) -> Iterator[Path]:
    """What only one of two lists of texts has, and whether the rest is in the same order and of the same form."""
    wanted, found = ([_LINE.sub("", line) for line in lines] for lines in (recorded, answered))
    missing, added = Counter(wanted) - Counter(found), Counter(found) - Counter(wanted)
    yield from (f"{path} - {line}" for line in missing)
    yield from (f"{path} + {line}" for line in added)
    rest, ours = ([line for line in lines if line not in missing + added] for lines in (wanted, found))
    if in_order and rest != ours:
        yield f"{path} order"
    with_time, ours_with_time = (
        {_LINE.match(line) is not None for line in lines} for lines in (recorded, answered)
    )
    if with_time and ours_with_time and with_time != ours_with_time:
        yield f"{path} format"


def _keys(recorded: dict[str, Any], answered: dict[str, Any], path: Path) -> Iterator[Path]:
    for name in {**recorded, **answered}:
        if name not in answered:
            yield f"{path}.{name} missing".lstrip(".")
        if name not in recorded:
            yield f"{path}.{name} added".lstrip(".")
    if [name for name in recorded if name in answered] != [name for name in answered if name in recorded]:
        yield f"{path} order".lstrip()


def _essence(value: Any, key: str) -> tuple[str, Any]:
    """The kind of a value, and what no run changes of it."""
    if key == "progress" and isinstance(value, int):
        # a stage that was never stored is recorded with 0, all others with 0.0
        value = float(value)
    if isinstance(value, str):
        value = _text(value, key)
    return type(value).__name__, value


def _text(text: str, key: str) -> str:
    if _TIME.fullmatch(text):
        return "<time>"
    if key == "duration" and _DURATION.fullmatch(text):
        return "<duration>"
    if key == "auth_token" and _TOKEN.fullmatch(text):
        return "<token>"
    if key == "_text":
        return "<page>"
    return text
