"""Rules of the tree that no linter knows."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGES = ("activities", "api", "db", "embedded", "executions", "jobs", "monitoring", "workflows")
ENTRY_POINTS = {"api/__main__.py", "api/app.py", "db/migrations/env.py"}


def test_settings_are_read_by_entry_points_only() -> None:
    readers = {
        str(path.relative_to(ROOT))
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if re.search(r"^(from config import|import config)", path.read_text(), re.MULTILINE)
    }

    assert readers == ENTRY_POINTS


def test_every_module_begins_with_its_caption() -> None:
    bare = [
        str(path.relative_to(ROOT))
        for package in (*PACKAGES, "commands", "benchmarks", "examples", "tests")
        for path in (ROOT / package).rglob("*.py")
        if path.name != "__init__.py" and not path.read_text().startswith('"""')
    ]

    assert bare == []


def test_every_package_file_is_empty() -> None:
    # the sandbox imports a workflow's package anew for each run
    full = [
        str(path)
        for package in PACKAGES
        for path in (ROOT / package).rglob("__init__.py")
        if path.read_text()
    ]

    assert full == []


def test_the_lock_names_no_host() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text()
