"""A client that is generated from the OpenAPI document makes, starts, waits for and reads a job."""

import asyncio
import json
import os
import subprocess
import sys
import venv
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from api.app import create_app
from config import Settings
from tests.field import Field, Person

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return create_app(Settings(database_url="postgresql+psycopg://localhost/none")).openapi()


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment of its own that has the generator."""
    folder = tmp_path_factory.mktemp("generator")
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    pip = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "--requirement", str(HERE / "requirements.txt")], check=True)
    return programs


def test_no_two_schemas_share_a_name_or_a_title(document: dict[str, Any]) -> None:
    """A generator names classes by titles: of two alike it leaves out one, and all that refers to it."""
    schemas = document["components"]["schemas"]
    titles = {name: schema.get("title", name) for name, schema in schemas.items()}

    assert [name for name in schemas if "__" in name] == []
    assert [title for title, times in Counter(titles.values()).items() if times > 1] == []


def test_no_two_operations_share_an_id(document: dict[str, Any]) -> None:
    ids = [each["operationId"] for path in document["paths"].values() for each in path.values()]

    assert [name for name, times in Counter(ids).items() if times > 1] == []


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("list_jobs", {"ids_only", "incomplete_only", "cutoff_hours", "page_size"}),
        ("create_job", {"start_now"}),
        ("get_job", {"logs_limit"}),
        ("run_job", {"no_async"}),
        ("retry_job", {"no_async"}),
        ("list_projects", {"user_id"}),
    ],
)
def test_what_an_operation_reads_from_its_query_is_declared(
    document: dict[str, Any], operation: str, parameters: set[str]
) -> None:
    found = [each for path in document["paths"].values() for each in path.values()]
    operations = {each["operationId"]: each for each in found}
    declared = {each["name"] for each in operations[operation]["parameters"] if each["in"] == "query"}

    assert parameters <= declared


async def test_a_generated_client_makes_starts_awaits_and_reads_a_job(
    document: dict[str, Any],
    generator: Path,
    tmp_path: Path,
    address: str,
    worker: None,
    field: Field,
    admin: Person,
) -> None:
    project_id, set_id = await field.small_set(nights=3)
    (tmp_path / "openapi.json").write_text(json.dumps(document))

    async def run(*command: str | Path) -> str:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={
                **os.environ,
                "PATH": f"{generator}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": str(tmp_path),
            },
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()
        return said.decode()

    await run(
        generator / "openapi-python-client",
        *("generate", "--path", "openapi.json", "--output-path", "nightjar_client", "--meta", "none"),
        "--fail-on-warning",
    )
    said = await run(
        generator / "python", HERE / "use.py", address, admin.token, str(project_id), str(set_id)
    )

    assert json.loads(said) == {
        "made": "CREATED",
        "started": "PENDING",
        "ran": "SUCCESS",
        "read": "SUCCESS",
        "lines": 1,
        "captures": 3,
        "listed": ["Made and run"],
        "count": 2,
        "polled": 1,
    }
