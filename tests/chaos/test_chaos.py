"""A short chaos run, as `make chaos` does it for longer: everything is killed, and nothing is lost."""

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos import plan, running
from tests.chaos.plan import Action
from tests.processes import ROOT
from tests.waiting import LONGEST, until

SHORT = plan.make(90, 9, rate=1.5, gap=(0.9, 1.5))


def test_the_short_plan_kills_servers_and_a_worker_and_disturbs_connections_in_every_way() -> None:
    assert {fault.target for fault in SHORT.faults if fault.action is Action.KILL} >= {
        "worker",
        "temporal",
        "postgres",
    }
    assert {fault.action for fault in SHORT.faults} == set(Action)


async def test_nothing_is_lost_doubled_wrong_or_stuck_while_everything_is_killed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "chaos")

    made = await running.run(SHORT, tmp_path, logging.getLogger("chaos").info, fence=2)

    assert made.findings == []
    assert sum(made.in_a_final_state.values()) == made.jobs_asked_for == len(SHORT.wishes)
    assert sum(made.faults.values()) == len(SHORT.faults)
    assert made.recovery is not None
    assert made.recovery.count == len(SHORT.faults)


def test_who_cannot_wait_is_told_what_still_moves_and_not_that_anything_is_lost(tmp_path: Path) -> None:
    told = tmp_path / "told.json"
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.chaos",
            "--seconds",
            "9",
            "--seed",
            "90",
            "--wait",
            "0",
            "--json",
            str(told),
        ],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )

    assert done.returncode == 3, done.stdout
    assert done.stdout.splitlines()[-1].startswith("NOT QUIET IN TIME")
    found = json.loads(told.read_text())
    assert found["findings"] == []
    assert (found["lost"], found["doubled"], found["wrong"], found["stuck"]) == (0, 0, 0, 0)
    assert re.search(r"Chaos \d+: job \d+ is (PENDING|STARTED): \w+", " ".join(found["not_quiet"]["moving"]))
    assert "  moving: " in done.stdout


def test_told_to_stop_it_ends_with_everything_that_it_started(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "tests.chaos", "--seconds", "60", "--seed", "1"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            children = asyncio.run(until(lambda: _servers(tmp_path), "servers that run", 2 * LONGEST))
            process.send_signal(signal.SIGINT)
            said, _ = process.communicate(timeout=2 * LONGEST)
        finally:
            process.kill()

    assert process.returncode == 130, said
    assert list(tmp_path.iterdir()) == []
    for pid in children:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


async def _servers(folder: Path) -> list[int]:
    """PostgreSQL, once it takes connections."""
    found = [path.read_text().splitlines() for path in folder.glob("*/undisturbed/postgres/postmaster.pid")]
    return [int(told[0]) for told in found if len(told) >= 8 and told[7].strip() == "ready"]
