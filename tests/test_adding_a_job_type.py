"""The worked example of a job type is true to the letter: its code is taken into a copy of the tree, and run there."""

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import ROOT

PAGE = ROOT / "docs" / "adding-a-job-type.md"
BLOCK = re.compile(r"^`([\w/]+\.py)`:\n\n```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__", "*.egg-info", "build", "data")


def blocks(page: str) -> Iterator[tuple[str, str]]:
    """The files that the page names, each with its code."""
    for found in BLOCK.finditer(page):
        yield found[1], found[2]


def added(text: str, block: str) -> str:
    """A file with the lines of a block that begin with `+`, each after the line that stands before it there.

    Raises ValueError for a line of the block that is not in the file.
    """
    lines, place = text.splitlines(), 0
    for line in block.splitlines():
        if line.startswith("+"):
            lines.insert(place, line[1:])
            place += 1
        else:
            place = lines.index(line[1:], place) + 1
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with the job type of the page."""
    tree = tmp_path_factory.mktemp("extended") / "tree"
    shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
    for name, code in blocks(PAGE.read_text()):
        path = tree / name
        if re.search(r"^\+", code, re.MULTILINE):
            path.write_text(added(path.read_text(), code))
        else:
            assert not path.exists(), f"{name} is there already"
            path.write_text(code)
    return tree


async def run(tree: Path, *words: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *words,
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()


def test_lines_are_added_where_the_page_says() -> None:
    assert added("a\nb\nc\n", " b\n+x\n+y\n") == "a\nb\nx\ny\nc\n"
    with pytest.raises(ValueError, match="is not in list"):
        added("a\n", " b\n+x\n")


def test_the_page_names_every_file_that_a_job_type_touches() -> None:
    assert [name for name, _ in blocks(PAGE.read_text())] == [
        "workflows/count_captures.py",
        "db/counting_rows.py",
        "activities/count_captures.py",
        "workflows/registry.py",
        "activities/registry.py",
        "tests/test_count_captures.py",
        "tests/activities/test_count_captures.py",
        "tests/chaos/counting.py",
        "tests/chaos/makers.py",
    ]


async def test_types_and_layers_of_the_example_are_right(extended: Path) -> None:
    names = [name for name, _ in blocks(PAGE.read_text())]

    types = await run(extended, "mypy", *names)
    lint = await run(extended, "ruff", "check", *names)

    assert types[0] == 0, types[1]
    assert lint[0] == 0, lint[1]


async def test_the_tests_of_the_example_pass_in_the_tree_with_the_new_type(extended: Path) -> None:
    status, said = await run(
        extended,
        *("pytest", "-q", "-p", "no:cacheprovider", "tests/test_count_captures.py"),
        *(
            "tests/activities/test_count_captures.py",
            "tests/chaos/test_plan.py",
            "tests/chaos/test_makers.py",
        ),
        # a history is recorded, not written
        *(
            "tests/test_registry.py",
            "--deselect",
            "tests/test_registry.py::test_every_job_type_has_a_recorded_history",
        ),
    )

    assert status == 0, said
    assert "passed" in said
