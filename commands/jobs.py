"""`nightjar jobs …`: what people do with jobs, against any server."""

import json
import os
import sys
import time
from functools import partial
from typing import Annotated, Any

import typer
from rich.console import Console

from commands import choosing, display
from commands.choosing import USUAL_FOLDER, ApiUrl, DataDir
from commands.connection import Server
from jobs.status import FINAL

app = typer.Typer(help="List, show, explain, run, pause, cancel, retry and watch jobs.", no_args_is_help=True)
# a table that is piped into something is not folded to the width of a terminal that is not there
console = Console(width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 200)

JobId = Annotated[int, typer.Argument(help="Id of the job.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer of the API as it is.")]


@app.callback()
def choose_server(
    context: typer.Context,
    url: ApiUrl = None,
    token: Annotated[
        str | None, typer.Option(envvar="NIGHTJAR_API_TOKEN", help="Token of the caller.", show_default=False)
    ] = None,
    data_dir: DataDir = USUAL_FOLDER,
) -> None:
    # chosen when it is needed: a page of help asks no server
    context.obj = partial(choosing.choose_server, url, token, data_dir)


def _server(context: typer.Context) -> Server:
    server: Server = context.obj().server
    return server


def _print(answer: Any) -> None:
    console.print_json(json.dumps(answer, ensure_ascii=False))


@app.command("list")
def list_jobs(
    context: typer.Context,
    project: Annotated[int | None, typer.Option(help="Only jobs of this project.")] = None,
    status: Annotated[str | None, typer.Option(help="Only jobs in this state, such as STARTED.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many, newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Jobs, newest first."""
    page = _server(context).call("GET", "/jobs/", project_id=project, status=status, limit=limit)
    if as_json:
        _print(page)
        return
    console.print(display.listing(page["results"]))
    console.print(f"{len(page['results'])} of {page['count']}", style="dim")


@app.command()
def show(context: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """One job, with how far its stages are."""
    job = _server(context).call("GET", f"/jobs/{job_id}/")
    if as_json:
        _print(job)
        return
    console.print(display.stages(job))
    for name in ("created_at", "started_at", "finished_at", "duration"):
        console.print(f"  {name}: {job[name]}", style="dim")
    for line in job["logs"]["stderr"]:
        console.print(line, style="red", markup=False)


@app.command()
def explain(context: typer.Context, job_id: JobId, as_json: AsJson = False) -> None:
    """Why a job is where it is: the cause, since when, and who can mend it."""
    said = _server(context).call("GET", f"/jobs/{job_id}/explain/")
    if as_json:
        _print(said)
        return
    console.print(display.explanation(said))


@app.command()
def run(context: typer.Context, job_id: JobId, follow: bool = typer.Option(False, "--watch")) -> None:
    """Run a job; one that is under way goes on as it is."""
    _act(context, job_id, "run", follow)


@app.command()
def retry(context: typer.Context, job_id: JobId, follow: bool = typer.Option(False, "--watch")) -> None:
    """Run a job once more, from the start."""
    _act(context, job_id, "retry", follow)


@app.command()
def cancel(context: typer.Context, job_id: JobId, follow: bool = typer.Option(False, "--watch")) -> None:
    """Stop a job; one that is over stays as it ended."""
    _act(context, job_id, "cancel", follow)


@app.command()
def pause(context: typer.Context, job_id: JobId) -> None:
    """Have a job begin nothing new; what is under way is finished."""
    _act(context, job_id, "pause", follow=False)


@app.command()
def resume(context: typer.Context, job_id: JobId, follow: bool = typer.Option(False, "--watch")) -> None:
    """Have a paused job go on where it was."""
    _act(context, job_id, "resume", follow)


def _act(context: typer.Context, job_id: int, word: str, follow: bool) -> None:
    server = _server(context)
    job = server.call("POST", f"/jobs/{job_id}/{word}/")
    if follow:
        _watch(server, job_id)
    else:
        console.print(display.stages(job))


@app.command()
def watch(context: typer.Context, job_id: JobId) -> None:
    """Follow a job until it is over; ends with status 1 if it did not succeed."""
    _watch(_server(context), job_id)


def _watch(server: Server, job_id: int) -> None:
    job = display.watch(console, lambda: server.call("GET", f"/jobs/{job_id}/"))
    for line in job["logs"]["stderr"]:
        console.print(line, style="red", markup=False)
    if job["status"] != "SUCCESS":
        raise typer.Exit(1)


@app.command()
def logs(
    context: typer.Context,
    job_id: JobId,
    limit: Annotated[int, typer.Option(help="Newest lines to begin with.")] = 1000,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job is over.")] = False,
) -> None:
    """The log of a job, oldest line first."""
    server = _server(context)
    printed = 0
    while True:
        job = server.call("GET", f"/jobs/{job_id}/", logs_limit=limit)
        lines = job["logs"]["stdout"][::-1]
        for line in lines[printed:]:
            console.print(line, markup=False, highlight=False, soft_wrap=True)
        printed = len(lines)
        if not follow or job["status"] in FINAL:
            return
        time.sleep(display.SECONDS_BETWEEN_LOOKS)
