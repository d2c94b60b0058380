"""The `nightjar` command."""

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from commands import jobs as jobs_command
from commands import users as users_command
from commands.choosing import (
    USUAL_FOLDER,
    ApiUrl,
    DataDir,
    choose_matching_settings,
    choose_server,
    choose_settings,
)
from commands.connection import Refused, Server, remember

if TYPE_CHECKING:
    from commands.choosing import ChosenSettings
    from commands.up import Platform
    from demo.show import Shown

# A command imports what it needs when it is called: listing jobs need not wait for servers to load.

app = typer.Typer(
    help="Durable background jobs for insect-monitoring platforms.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(jobs_command.app, name="jobs")
app.add_typer(users_command.app, name="users")
console = Console()


def say(words: str) -> None:
    console.print(f"nightjar: {words}", style="dim", markup=False, highlight=False, soft_wrap=True)


@app.command()
def up(
    data_dir: DataDir = USUAL_FOLDER,
    demo: Annotated[bool, typer.Option("--demo", help="Make the demo projects and run their jobs.")] = False,
    leave: Annotated[bool, typer.Option("--exit", help="End after the demo instead of serving on.")] = False,
) -> None:
    """PostgreSQL, Temporal with its Web UI, API and worker on this machine, until Ctrl-C."""
    from commands import up as up_command
    from demo import show as demo_command

    shown = None
    with up_command.until_told_to_stop() as told, up_command.running(data_dir, say) as platform:
        if demo:
            shown = demo_command.show(platform.settings, platform.api_url, console, say)
        _print_addresses(platform, shown)
        if not leave and (sys.stdout.isatty() or not demo):
            console.print("\nCtrl-C stops everything.", style="dim")
            up_command.keep_serving(platform, told, say)
        say("stopping")
    raise typer.Exit(0 if shown is None or shown.succeeded else 1)


def _print_addresses(platform: "Platform", shown: "Shown | None") -> None:
    lines = {
        "API": f"{platform.api_url}/api/v2/jobs/",
        "API docs": f"{platform.api_url}/api/v2/docs/",
        "Temporal Web UI": platform.servers.temporal.ui,
        "Temporal": platform.servers.temporal.address,
        "Data and logs": str(platform.settings.data_dir.resolve()),
        **_of_demo(shown),
    }
    console.print()
    for name, where in lines.items():
        console.print(f"{name + ':':<17}{where}", markup=False, highlight=False, soft_wrap=True)


def _of_demo(shown: "Shown | None") -> dict[str, str]:
    if shown is None:
        return {}
    return {
        **({"A picture": shown.picture} if shown.picture else {}),
        "Token": shown.token,
    }


@app.command()
def demo(url: ApiUrl = None, data_dir: DataDir = USUAL_FOLDER) -> None:
    """Make the demo projects in the database of the settings, and run their jobs over the API."""
    from demo import show as demo_command

    server = choose_server(url, None, data_dir).server
    chosen = choose_settings(data_dir, "database_url")
    if chosen.stack is not None and chosen.stack.api_url != server.url:
        # a token that is made in one database is of no use at the API of another
        raise Refused(
            f"{server.url} is not the API of {chosen.stack}: set NIGHTJAR_DATABASE_URL to its database"
        )
    chosen.tell("database_url")
    shown = demo_command.show(chosen.settings, server.url, console, say)
    console.print()
    for name, value in _of_demo(shown).items():
        console.print(f"{name}: {value}", markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(0 if shown.succeeded else 1)


@app.command()
def worker(data_dir: DataDir = USUAL_FOLDER) -> None:
    """Run workflows and activities until told to stop."""
    from worker import main

    main(choose_matching_settings(data_dir).settings)


@app.command()
def api(data_dir: DataDir = USUAL_FOLDER) -> None:
    """Serve the REST API until told to stop."""
    from api.__main__ import main

    main(choose_matching_settings(data_dir).settings)


@app.command()
def doctor(
    fix: Annotated[bool, typer.Option("--fix", help="Mend what can be mended.")] = False,
    data_dir: DataDir = USUAL_FOLDER,
) -> None:
    """Check database and migrations, Temporal, namespace, search attributes and workers."""
    from commands import doctor as doctor_command

    chosen = choose_settings(data_dir)
    for words in doctor_command.looked_at(chosen, data_dir):
        console.print(f"     {words}", markup=False, highlight=False, soft_wrap=True)
    fine = asyncio.run(_examine(chosen, fix=fix))
    raise typer.Exit(0 if fine else 1)


async def _examine(chosen: "ChosenSettings", *, fix: bool) -> bool:
    from commands import doctor as doctor_command

    findings = await doctor_command.examine(chosen.settings, chosen.stack)
    if fix and any(finding.mends for finding in findings):
        for finding in findings:
            if finding.mends is not None:
                console.print(f"mending {finding.subject}: {finding.words}", highlight=False)
                await finding.mends()
        return await _examine(chosen, fix=fix)
    for finding in findings:
        mark = "[green]ok[/]  " if finding.fine else "[red]bad[/] "
        console.print(f"{mark} {finding.subject}: {finding.words}", highlight=False, soft_wrap=True)
        if finding.remedy:
            console.print(f"     → {finding.remedy}", highlight=False, soft_wrap=True)
    # that no worker runs yet is no fault of the place
    return all(finding.fine for finding in findings if finding.subject != "Workers")


@app.command()
def login(
    email: Annotated[str, typer.Option(prompt=True, help="E-mail address of the account.")],
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, envvar="NIGHTJAR_PASSWORD", show_envvar=False)
    ],
    url: ApiUrl = None,
    data_dir: DataDir = USUAL_FOLDER,
) -> None:
    """Get a token and keep it for the commands that follow."""
    chosen = choose_server(url, None, data_dir)
    server = Server(chosen.server.url, None)
    answer = server.call("POST", "/auth/token/login/", {"email": email, "password": password})
    remember(chosen.credentials, server.url, answer["auth_token"])
    words = f"Logged in to {server.url}; the token is kept in {chosen.credentials}."
    console.print(words, highlight=False, soft_wrap=True)


def main() -> None:
    try:
        app()
    except Refused as error:
        Console(stderr=True).print(
            f"nightjar: {error}", style="red", markup=False, highlight=False, soft_wrap=True
        )
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
