"""The `nightjar` command as a person uses it: as a process of its own."""

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import httpx2
import psycopg
import pytest
from sqlalchemy import make_url

from config import Settings
from db import schema
from db.connections import driver_address
from embedded.ports import LOOPBACK
from embedded.stack import Stack
from tests.conftest import serving
from tests.field import Field, Person
from tests.passages import passage
from tests.processes import ROOT, environment
from tests.waiting import job_in, make_job


async def nightjar(*words: str, there: dict[str, str] | None = None, status: int = 0, text: str = "") -> str:
    """What the command prints; it must end with that status."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        *words,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "160", **(there or {})},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(text.encode())
    assert process.returncode == status, output.decode()
    return output.decode()


async def test_jobs_are_listed_shown_run_watched_and_cancelled(
    address: str, client: httpx2.AsyncClient, field: Field, admin: Person, worker: None
) -> None:
    project_id, set_id = await field.small_set()
    job = str((await make_job(client, project_id, set_id, start=False))["id"])
    there = {"NIGHTJAR_API_URL": address, "NIGHTJAR_API_TOKEN": admin.token}

    assert "CREATED" in await nightjar("jobs", "list", there=there)
    assert "Captures added: 5" in await nightjar("jobs", "run", job, "--watch", there=there)
    assert json.loads(await nightjar("jobs", "show", job, "--json", there=there))["status"] == "SUCCESS"
    log = (await nightjar("jobs", "logs", job, there=there)).splitlines()
    assert log[0].endswith(f'INFO Running job #{job} "Populate" (PENDING)')
    assert log[-1].endswith(f'INFO Finished job #{job} "Populate" (SUCCESS)')
    await client.patch(f"/jobs/{job}/", json={"delay": 60})
    await nightjar("jobs", "retry", job, there=there)
    await job_in(client, int(job), "STARTED")
    assert "Paused since" in await nightjar("jobs", "pause", job, there=there)
    assert "Paused since" not in await nightjar("jobs", "resume", job, there=there)
    await nightjar("jobs", "cancel", job, there=there)
    assert "REVOKED" in await nightjar("jobs", "watch", job, status=1, there=there)


async def test_a_job_is_explained(
    address: str, client: httpx2.AsyncClient, field: Field, admin: Person, settings: Settings
) -> None:
    job = str((await make_job(client, *await field.small_set()))["id"])
    there = {"NIGHTJAR_API_URL": address, "NIGHTJAR_API_TOKEN": admin.token}

    lines = (await nightjar("jobs", "explain", job, there=there)).splitlines()
    said = json.loads(await nightjar("jobs", "explain", job, "--json", there=there))

    words = f"No worker is running: ask an operator to start one (queue {settings.task_queue}-jobs)"
    assert lines[0].rstrip() == f"Job {job}  PENDING  {words}"
    told = [re.split(r"  +", line.strip()) for line in lines[1:4]]
    assert [told[0], told[1][0], told[2]] == [["cause", "no_worker"], "since", ["mended by", "an operator"]]
    assert (said["cause"], said["summary"], said["action_by"]) == ("no_worker", words, "operator")


async def test_a_database_that_is_away_is_said_to_be_so(
    field: Field, admin: Person, settings: Settings
) -> None:
    at = make_url(settings.database_url)
    async with passage(f"{at.host}:{at.port}") as way:
        detour = at.set(host=LOOPBACK, port=way.port).render_as_string(hide_password=False)
        async with serving(settings.model_copy(update={"database_url": detour})) as address:
            there = {"NIGHTJAR_API_URL": address, "NIGHTJAR_API_TOKEN": admin.token}
            await way.cut()

            output = await nightjar("jobs", "explain", "7", status=1, there=there)

    assert output == "nightjar: 503: The database cannot be reached.\n"


async def test_a_login_is_kept_for_its_server_and_readable_by_its_owner_only(
    address: str, field: Field, tmp_path: Path
) -> None:
    await field.person("moth@example.org", password="sphinx", superuser=True)
    home = {"XDG_CONFIG_HOME": str(tmp_path), "NIGHTJAR_API_URL": address}

    assert "token is kept" in await nightjar(
        "login", "--email", "moth@example.org", text="sphinx\n", there=home
    )

    kept = tmp_path / "nightjar" / "credentials.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    token = json.loads(kept.read_text())["token"]
    assert token not in await nightjar("jobs", "list", there=home)
    wrong = await nightjar("login", "--email", "moth@example.org", text="wrong\n", status=1, there=home)
    assert "Unable to log in with provided credentials." in wrong


async def test_an_answer_of_no_is_one_line_and_status_1(address: str) -> None:
    output = await nightjar("jobs", "--url", address, "show", "7", status=1)
    assert output == "nightjar: 404: Not found.\n"


async def test_the_doctor_says_what_is_wrong_and_mends_it(settings: Settings, servers: Stack) -> None:
    url = servers.postgres.url(f"doctor_{settings.task_queue}")
    away = {**environment(settings), "NIGHTJAR_DATABASE_URL": url, "NIGHTJAR_TEMPORAL_NAMESPACE": "clinic"}

    ill = await nightjar("doctor", status=1, there=away)
    assert re.search(r"bad .*Database: .*does not exist", ill)
    assert re.search(r"bad .*Namespace: clinic", ill)
    assert "nightjar doctor --fix" in ill
    mended = await nightjar("doctor", "--fix", there=away)
    assert re.search(r"ok .*Database: schema \d+", mended)
    assert re.search(r"ok .*Search attributes: JobId", mended)
    assert schema.revisions(url)[0] == schema.revisions(url)[1]
    with psycopg.connect(driver_address(servers.postgres.url("postgres")), autocommit=True) as connection:
        connection.execute(f"DROP DATABASE doctor_{settings.task_queue}")


async def test_the_doctor_says_where_nothing_answers(settings: Settings) -> None:
    nowhere = {
        "NIGHTJAR_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:9/none",
        "NIGHTJAR_TEMPORAL_ADDRESS": "127.0.0.1:9",
    }

    words = await nightjar("doctor", "--fix", status=1, there={**environment(settings), **nowhere})

    assert "set NIGHTJAR_DATABASE_URL" in words
    assert "set NIGHTJAR_TEMPORAL_ADDRESS" in words


@pytest.fixture
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("NIGHTJAR_")]:
        monkeypatch.delenv(name)


async def test_everything_comes_up_does_the_demo_and_goes_down(
    tmp_path: Path, clean_environment: None
) -> None:
    first = await nightjar("up", "--demo", "--exit", "--data-dir", str(tmp_path / "data"))
    again = await nightjar("up", "--demo", "--exit", "--data-dir", str(tmp_path / "data"))

    for output in (first, again):
        assert re.findall(r"Captures added: (\d+)", output) == ["9", "403"]
        assert re.search(r"^A picture: +http://127\.0\.0\.1:\d+/files/captures/\d+\?", output, re.MULTILINE)
        assert re.search(r"^Token: +[0-9a-f]{40}$", output, re.MULTILINE)
        assert re.search(r"^Temporal Web UI: http://127\.0\.0\.1:\d+$", output, re.MULTILINE)
    assert "drew 72 pictures" in first
    assert "72 captures, 72 of them new, in 9 new sessions" in first
    # the second run found the pictures, the captures and the jobs of the first
    assert "drew" not in again
    assert "72 captures, 0 of them new, in 0 new sessions" in again
    assert '"id": 5,' in first
    assert '"id": 10,' in again
    for pid in (entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit()):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        assert str(tmp_path).encode() not in command
