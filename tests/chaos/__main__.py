"""Kills everything at random while jobs run, and says whether anything was lost: `python -m tests.chaos`."""

import argparse
import asyncio
import logging
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.chaos import plan, running, stack
from tests.chaos.quiet import Patience
from tests.chaos.report import Report


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=300, help="how long faults go on (300)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="decides everything (the time)")
    parser.add_argument("--rate", type=float, default=2.0, help="jobs a second (2)")
    parser.add_argument("--only", default="", help="kinds of faults by a part of their names: kill, postgres")
    parser.add_argument("--gap", type=float, nargs=2, default=(3, 8), help="seconds between two faults (3 8)")
    parser.add_argument(
        "--still",
        type=float,
        default=Patience.still,
        help=f"seconds without any movement after which it is quiet ({Patience.still:.0f})",
    )
    parser.add_argument(
        "--wait",
        type=float,
        default=Patience.longest,
        help=f"seconds that it is waited for at most while it moves ({Patience.longest:.0f})",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures here too")
    parser.add_argument("--keep", action="store_true", help="keep data and logs in any case")
    return parser.parse_args()


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _log_to(folder: Path) -> None:
    logging.basicConfig(
        filename=folder / "chaos.log",
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        level=logging.INFO,
        force=True,
    )
    for name in ("httpx2", "httpcore2", "alembic"):
        logging.getLogger(name).setLevel(logging.WARNING)


async def _run(chosen: plan.Plan, folder: Path, patience: Patience) -> Report:
    """The run, ended in order by SIGINT and SIGTERM."""
    task = asyncio.current_task()
    assert task is not None
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, _stop, task)
    return await running.run(chosen, folder, _say, patience=patience)


def _stop(task: asyncio.Task[Report]) -> None:
    """The first word is enough: a second one must not break off what ends the servers."""
    if not task.cancelling():
        _say("stopping")
        task.cancel()


def main() -> int:
    given = _arguments()
    gap = (given.gap[0], given.gap[1])
    chosen = plan.make(given.seed, given.seconds, rate=given.rate, gap=gap, only=given.only)
    stack.forget_environment()
    folder = Path(tempfile.mkdtemp(prefix="nightjar-chaos-"))
    _log_to(folder)
    keep = True
    try:
        made = asyncio.run(_run(chosen, folder, Patience(given.still, given.wait)))
        keep = given.keep or not made.clean
    except asyncio.CancelledError:
        keep = given.keep
        _say("stopped")
        return 130
    finally:
        if keep:
            _say(f"data and logs: {folder}")
        else:
            shutil.rmtree(folder)
    _say(made.as_text())
    if given.json is not None:
        given.json.write_text(made.as_json())
    _say(made.verdict)
    return made.exit_status


if __name__ == "__main__":
    sys.exit(main())
