"""Every recorded exchange, sent again: the answer equals the recorded one but where a table says that it does not."""

from collections.abc import Iterable
from typing import Any

import httpx2
import pytest

from config import Settings
from db.connections import Database
from storage.sources import Source
from tests.conformance.bucket import filled
from tests.conformance.comparing import (
    HEADERS,
    RECORDED_HOST,
    Path,
    as_meant,
    differences,
    without_repetition,
)
from tests.conformance.exceptions import ARBITRARY, INTENDED, WAITING
from tests.conformance.scenes import (
    ASKING_TO_SYNC,
    READING,
    RUNNING,
    SETTING_UP,
    SYNCING,
    Replay,
    Step,
)
from tests.conformance.situation import ZONE, Situation
from tests.golden import GOLDEN, recorded
from worker import working
from workflows.registry import JOB_TYPES

RECORDED = {path.stem for path in GOLDEN.glob("*.json")}
SCENES = (SETTING_UP, READING, RUNNING, ASKING_TO_SYNC, SYNCING)
WAIT = {name for names in WAITING.values() for name in names}


def played(*scenes: Iterable[Step]) -> list[str]:
    """The exchanges of scenes, by name."""
    return [step for scene in scenes for step in scene if isinstance(step, str)]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Times are printed in the zone of the recordings."""
    return settings.model_copy(update={"time_zone": ZONE})


@pytest.fixture
async def replay(anonymous: httpx2.AsyncClient, database: Database) -> Replay:
    return Replay(anonymous, Situation(database))


def body_of(response: httpx2.Response) -> Any:
    """As it is recorded: JSON, nothing, or a page of text."""
    if not response.content:
        return None
    if response.headers["content-type"].startswith("application/json"):
        return response.json()
    return {"_text": response.text, "_bytes": 0}


def compare(name: str, response: httpx2.Response) -> list[Path]:
    """Where an answer differs from the recorded one."""
    wanted = recorded(name)
    found = [] if response.status_code == wanted.status else ["status"]
    headers = {key: response.headers.get(key) for key in HEADERS}
    # the recorded server did not compress, so nothing varied with what can be unpacked
    headers["vary"] = str(headers["vary"]).removesuffix(", Accept-Encoding")
    found += [f"headers.{key}" for key in HEADERS if headers[key] != wanted.headers.get(key)]
    address = str(response.request.url).partition("/api/v2")[0]
    body = without_repetition(_with_host(body_of(response), address))
    if is_page(wanted.body) != is_page(body):
        return [*found, "body"]
    found += differences(as_meant(_with_host(wanted.body, RECORDED_HOST)), body)
    ignored = ARBITRARY.get(name, ())
    return sorted({path for path in found if not path.startswith(ignored)} if ignored else set(found))


def is_page(body: Any) -> bool:
    return isinstance(body, dict) and "_text" in body


def _with_host(value: Any, host: str) -> Any:
    if isinstance(value, dict):
        return {key: 0 if key == "_bytes" else _with_host(inner, host) for key, inner in value.items()}
    if isinstance(value, list):
        return [_with_host(inner, host) for inner in value]
    return value.replace(host, "<host>") if isinstance(value, str) else value


def _covers(pattern: Path, path: Path) -> bool:
    return path.startswith(pattern[:-1]) if pattern.endswith("*") else path == pattern


async def play(replay: Replay, scene: Iterable[Step]) -> dict[str, list[Path]]:
    """Where the answers of a scene differ but should not, or should but do not, by name."""
    wrong: dict[str, list[Path]] = {}
    for step in scene:
        if not isinstance(step, str):
            await step(replay)
            continue
        found = compare(step, await replay.send(step))
        allowed = INTENDED[step].paths if step in INTENDED else ()
        problems = [path for path in found if not any(_covers(each, path) for each in allowed)]
        problems += [f"equal: {each}" for each in allowed if not any(_covers(each, path) for path in found)]
        if problems:
            wrong[step] = problems
    return wrong


async def test_a_new_server_is_set_up_as_recorded(replay: Replay) -> None:
    assert await play(replay, SETTING_UP) == {}


async def test_a_server_is_read_as_recorded(replay: Replay) -> None:
    assert await play(replay, READING) == {}


async def test_jobs_run_as_recorded(replay: Replay, worker: None) -> None:
    assert await play(replay, RUNNING) == {}


async def test_stations_are_synced_as_recorded(replay: Replay, settings: Settings, s3: Source) -> None:
    await replay.situation.settle(await filled(s3))

    assert await play(replay, ASKING_TO_SYNC) == {}
    async with working(settings):
        assert await play(replay, SYNCING) == {}


async def test_what_waits_is_not_as_recorded_yet(replay: Replay) -> None:
    await replay.situation.fill()
    await replay.situation.hold("jobs_list", 41)

    equal = [name for name in sorted(WAIT) if not compare(name, await replay.send(name))]

    # it has come: let it play in a scene
    assert equal == []
    assert set(WAITING) & set(JOB_TYPES) == set()


def test_every_exchange_is_played_once_or_waits() -> None:
    names = [*played(*SCENES), *WAIT]

    assert sorted(names) == sorted(RECORDED)


def test_only_what_is_played_may_differ() -> None:
    names = set(played(*SCENES))

    assert set(INTENDED) - names == set()
    assert set(ARBITRARY) - names == set()
    assert all(intended.paths for intended in INTENDED.values())
