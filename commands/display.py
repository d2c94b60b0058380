"""Jobs in the terminal: tables, live stages and progress."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from jobs.status import FINAL

Job = dict[str, Any]

COLOURS = {
    "SUCCESS": "green",
    "FAILURE": "red",
    "REVOKED": "red",
    "STARTED": "yellow",
    "PENDING": "yellow",
    "CANCELING": "yellow",
}
SECONDS_BETWEEN_LOOKS = 0.2


def status(word: str) -> Text:
    return Text(word, style=COLOURS.get(word, "dim"))


def listing(jobs: list[Job]) -> Table:
    """Jobs, a line each."""
    table = Table(box=None, pad_edge=False)
    for column in ("id", "status", "progress", "type", "name", "created"):
        table.add_column(column, overflow="fold")
    for job in jobs:
        table.add_row(
            str(job["id"]),
            status(job["status"]),
            f"{job['progress']['summary']['progress']:.0%}",
            job["job_type"]["key"],
            Text(job["name"]),
            job["created_at"][:19].replace("T", " "),
        )
    return table


def stages(job: Job) -> RenderableType:
    """A job with how far each of its stages is."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for stage in job["progress"]["stages"]:
        figures = ", ".join(
            f"{param['name']}: {param['value']}" for param in stage["params"] if param["value"] != ""
        )
        bar = ProgressBar(total=1.0, completed=stage["progress"], width=24)
        table.add_row(f"  {stage['name']}", bar, f"{stage['progress']:.0%}", status(stage["status"]), figures)
    title = Text.assemble(
        ("Job ", "bold"), (str(job["id"]), "bold"), f"  {job['name']}  ", status(job["status"])
    )
    return Group(title, table)


MENDERS = {
    "nobody": "nothing to do",
    "owner": "whoever may run the job",
    "operator": "an operator",
    "service": "whoever runs that service",
}
"""What people read of who can mend it."""


def explanation(said: dict[str, Any]) -> RenderableType:
    """Why a job is where it is."""
    title = Text.assemble(
        ("Job ", "bold"), (str(said["id"]), "bold"), "  ", status(said["status"]), f"  {said['summary']}"
    )
    table = Table(box=None, show_header=False, pad_edge=False)
    for what, value in (
        ("cause", said["cause"]),
        ("since", said["since"]),
        ("mended by", MENDERS.get(said["action_by"], said["action_by"])),
    ):
        if value is not None:
            table.add_row(f"  {what}", Text(str(value)))
    for each in said["evidence"]:
        table.add_row(Text(f"  {each['what']}", style="dim"), Text(str(each["value"])))
    return Group(title, table)


def lines(jobs: Sequence[Job]) -> Table:
    """Jobs that run at the same time, a line each: the stage that one is at, or how it ended."""
    table = Table(box=None, show_header=False, pad_edge=False)
    for job in jobs:
        progress = job["progress"]["summary"]["progress"]
        at = next((each["name"] for each in job["progress"]["stages"] if each["status"] == "STARTED"), None)
        table.add_row(
            Text(f"Job {job['id']}", style="bold"),
            Text(job["name"]),
            ProgressBar(total=1.0, completed=progress, width=12),
            f"{progress:.0%}",
            Text(at, style=COLOURS["STARTED"]) if at else status(job["status"]),
        )
    return table


def watch(console: Console, look: Callable[[], Job]) -> Job:
    """Show a job until it is over; gives it as it ended."""
    [job] = _watch(console, [look], lambda jobs: stages(jobs[0]))
    return job


def watch_all(console: Console, looks: Sequence[Callable[[], Job]]) -> list[Job]:
    """Show jobs until all are over; gives them as they ended."""
    return _watch(console, looks, lines)


def _watch(
    console: Console, looks: Sequence[Callable[[], Job]], shown: Callable[[Sequence[Job]], RenderableType]
) -> list[Job]:
    jobs = [look() for look in looks]
    with Live(shown(jobs), console=console, refresh_per_second=10, transient=False) as live:
        while any(job["status"] not in FINAL for job in jobs):
            time.sleep(SECONDS_BETWEEN_LOOKS)
            jobs = [job if job["status"] in FINAL else look() for job, look in zip(jobs, looks, strict=True)]
            live.update(shown(jobs))
    if not console.is_terminal:
        # only there the last line is ended
        console.line()
    return jobs
