"""Rules of the tree that no linter knows."""

import re
import tomllib
from pathlib import Path

from config import Settings

ROOT = Path(__file__).parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
NOT_PACKAGED = ("benchmarks", "tests")
PRODUCT = sorted(
    path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name not in NOT_PACKAGED
)
PACKAGES = [name for name in PRODUCT if name not in ("commands", "demo")]
"""Those that are no part of the command line, which is an entry point as a whole."""
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
        for package in (*PRODUCT, *NOT_PACKAGED, "examples")
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


def test_every_package_is_checked_for_its_layer() -> None:
    linter = PYPROJECT["tool"]["importlinter"]

    assert sorted(linter["root_packages"]) == PRODUCT
    for contract in linter["contracts"]:
        if contract["type"] == "forbidden" and "commands" in contract["forbidden_modules"]:
            # who is not named may import them
            named = {*contract["source_modules"], *contract["forbidden_modules"]}
            assert set(PRODUCT) - named == set(), contract["name"]


def test_every_folder_of_the_tree_is_described() -> None:
    readme = re.findall(r"^(\w+)/ ", (ROOT / "README.md").read_text(), re.MULTILINE)
    architecture = re.findall(
        r"^(?:cli\.py, )?(\w+)/ ", (ROOT / "docs" / "architecture.md").read_text(), re.MULTILINE
    )

    assert set(PRODUCT) <= set(readme)
    assert set(PRODUCT) <= set(architecture)


def test_every_module_that_a_document_names_is_there() -> None:
    # the worked example of a job type names modules that are to be made
    documents = [path for path in ROOT.glob("docs/*.md") if path.name != "adding-a-job-type.md"]
    named = {
        module
        for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *documents)
        for module in re.findall(r"`([\w/]+/\w+\.py)`", path.read_text())
    }

    assert len(named) > 10
    assert sorted(module for module in named if not (ROOT / module).exists()) == []


def test_the_lock_names_no_host() -> None:
    assert "://" not in (ROOT / "requirements.lock").read_text()


def test_every_setting_is_described_for_operators() -> None:
    table = re.findall(r"^\| `(NIGHTJAR_\w+)` \|", (ROOT / "docs" / "operating.md").read_text(), re.MULTILINE)

    assert sorted(table) == sorted(f"NIGHTJAR_{name.upper()}" for name in Settings.model_fields)
