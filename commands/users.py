"""`nightjar users`: people, programs, their tokens and their roles, straight in the database.

The way in where nobody has an account yet, and for programs, which need a token and no password.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from commands.choosing import USUAL_FOLDER, DataDir, choose_settings
from commands.connection import Refused

if TYPE_CHECKING:
    from db.connections import Connection

# What talks to the database is imported when it is needed: other commands need not wait for it to load.

T = TypeVar("T")

app = typer.Typer(
    help="Users, their tokens and their roles (works on the database itself).", no_args_is_help=True
)
console = Console()

Email = Annotated[str, typer.Argument(help="E-mail address of the account.")]


def _in_transaction(data_dir: Path, act: Callable[["Connection"], Awaitable[T]]) -> T:
    """What `act` gives, done in one transaction."""
    from db.connections import Database

    chosen = choose_settings(data_dir, "database_url")
    chosen.tell("database_url")

    async def acting() -> T:
        async with (
            Database(chosen.settings.database_url, size=2, name="nightjar users") as database,
            database.transaction() as db,
        ):
            return await act(db)

    return asyncio.run(acting())


async def _id_of(db: "Connection", email: str) -> int:
    from db import user_rows

    user_id = await user_rows.id_of(db, email)
    if user_id is None:
        raise Refused(f"there is no user {email}")
    return user_id


@app.command()
def add(
    email: Email,
    name: Annotated[str, typer.Option(help="What people call them.")] = "",
    superuser: Annotated[bool, typer.Option("--superuser", help="May do everything.")] = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="A program: it has tokens and cannot log in.")
    ] = False,
    password: Annotated[str | None, typer.Option(envvar="NIGHTJAR_PASSWORD", show_envvar=False)] = None,
    data_dir: DataDir = USUAL_FOLDER,
) -> None:
    """Make a user."""
    from api.auth.authentication import hash_password
    from db import user_rows

    if password is None and not no_password:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    password_hash = None if no_password or password is None else hash_password(password)

    async def act(db: "Connection") -> int:
        if await user_rows.taken(db, email):
            raise Refused(f"there is a user {email} already")
        return await user_rows.upsert(
            db, email, name=name, password_hash=password_hash, is_superuser=superuser
        )

    user_id = _in_transaction(data_dir, act)
    kind = "superuser" if superuser else "user"
    console.print(f"Made {kind} #{user_id} {email}", highlight=False)


@app.command("list")
def list_users(data_dir: DataDir = USUAL_FOLDER) -> None:
    """Everybody, with what they may do and how many tokens they have."""
    from db import user_rows

    rows = _in_transaction(data_dir, user_rows.everybody)
    table = Table("id", "email", "name", "rights", "tokens", "roles", box=None)
    for row in rows:
        rights = "superuser" if row["is_superuser"] else "user"
        roles = ", ".join(f"{project}: {role}" for project, role in row["roles"].items())
        active = "" if row["is_active"] else ", inactive"
        table.add_row(
            str(row["id"]), row["email"], row["name"], f"{rights}{active}", str(row["tokens"]), roles
        )
    console.print(table)


@app.command()
def password(
    email: Email,
    new: Annotated[
        str,
        typer.Option(
            "--password", prompt=True, hide_input=True, confirmation_prompt=True, envvar="NIGHTJAR_PASSWORD"
        ),
    ],
    data_dir: DataDir = USUAL_FOLDER,
) -> None:
    """Set a password; tokens stay as they are."""
    from api.auth.authentication import hash_password
    from db import user_rows

    password_hash = hash_password(new)

    async def act(db: "Connection") -> None:
        await user_rows.change(db, await _id_of(db, email), {"password_hash": password_hash})

    _in_transaction(data_dir, act)
    console.print(f"{email} has a new password", highlight=False)


@app.command()
def token(
    email: Email,
    name: Annotated[
        str, typer.Option(help="What it is for, such as the host that uses it.")
    ] = "command line",
    data_dir: DataDir = USUAL_FOLDER,
) -> None:
    """Make a token and print it: it can be read here only."""
    from api.auth.tokens import new_token
    from db import user_rows

    made, token_hash = new_token()

    async def act(db: "Connection") -> None:
        await user_rows.add_token(db, await _id_of(db, email), name, token_hash)

    _in_transaction(data_dir, act)
    console.print(made, highlight=False)


@app.command()
def revoke(
    email: Email,
    name: Annotated[str, typer.Option(help="Only tokens of that name; all of them otherwise.")] = "",
    data_dir: DataDir = USUAL_FOLDER,
) -> None:
    """Take tokens back."""
    from db import user_rows

    async def act(db: "Connection") -> int:
        return await user_rows.revoke(db, await _id_of(db, email), name or None)

    console.print(f"{_in_transaction(data_dir, act)} tokens taken back", highlight=False)


@app.command()
def role(
    email: Email,
    project_id: Annotated[int, typer.Argument(help="Id of the project.")],
    key: Annotated[str, typer.Argument(metavar="ROLE", help="A role of `GET users/roles/`, such as Worker.")],
    data_dir: DataDir = USUAL_FOLDER,
) -> None:
    """Take a user into a project, or change what they are there."""
    from api.auth.permissions import ROLES
    from db import project_rows

    if key not in ROLES:
        raise Refused(f"{key} is no role: {', '.join(ROLES)}")

    async def act(db: "Connection") -> None:
        if not await project_rows.exists(db, project_id):
            raise Refused(f"there is no project {project_id}")
        await project_rows.set_role(db, project_id, await _id_of(db, email), key)

    _in_transaction(data_dir, act)
    console.print(f"{email} is {ROLES[key].name} of project {project_id}", highlight=False)


@app.command()
def deactivate(email: Email, data_dir: DataDir = USUAL_FOLDER) -> None:
    """Shut a user out: logins and tokens are refused from now on."""
    _set_active(email, data_dir, active=False)


@app.command()
def activate(email: Email, data_dir: DataDir = USUAL_FOLDER) -> None:
    """Let a user in again."""
    _set_active(email, data_dir, active=True)


def _set_active(email: str, data_dir: Path, *, active: bool) -> None:
    from db import user_rows

    async def act(db: "Connection") -> None:
        await user_rows.change(db, await _id_of(db, email), {"is_active": active})

    _in_transaction(data_dir, act)
    console.print(f"{email} is {'active' if active else 'inactive'}", highlight=False)
