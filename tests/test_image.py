"""The container image and the Compose file: what they copy, install, set and run is there."""

import json
import os
import re
import shutil
import subprocess
import time
import tomllib
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import make_url

from config import Settings
from embedded.child import Child
from embedded.ports import LOOPBACK, free_port
from embedded.stack import Stack
from tests import image
from tests.image import Ignore, clean_environment
from tests.processes import ROOT
from tests.waiting import LONGEST

COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
STAGES = image.stages((ROOT / "Dockerfile").read_text())
SETTINGS = {f"NIGHTJAR_{name.upper()}" for name in Settings.model_fields}
OURS = {name: each for name, each in COMPOSE["services"].items() if each["image"].startswith("nightjar:")}

PLANTED_SECRETS = (
    ".env",
    ".env.production",
    "api/.env",
    ".nightjar/running.json",
    ".nightjar/postgres.password",
    "embedded/.nightjar/signing.key",
    "db/server.pem",
    "credentials.json",
    "storage/credentials.json",
)
PLANTED_LITTER = (
    ".git/config",
    ".venv/bin/python",
    ".mypy_cache/x.json",
    "api/__pycache__/app.cpython-311.pyc",
    "nightjar.egg-info/PKG-INFO",
    "build/lib/api/app.py",
    "tests/test_moths.py",
    "benchmarks/moths.py",
    "docs/moths.md",
    ".ci/run",
)
NEWCOMER = (
    "newcomer/__init__.py",
    "newcomer/deeper/__init__.py",
    "newcomer/deeper/moths.py",
    "newcomer/pages/x.html",
)
"""A package that no list names, with a file that is no module."""


def packaged() -> list[Path]:
    """Every file of the tree that belongs to the product, from the root of the tree."""
    apart = {"tests", "benchmarks", "examples", "findings", "docs", "build", "dist"}
    packages = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name not in apart]
    files = [path for package in packages for path in package.rglob("*") if path.is_file()]
    modules = [ROOT / f"{name}.py" for name in PYPROJECT["tool"]["setuptools"]["py-modules"]]
    return [path.relative_to(ROOT) for path in [*files, *modules] if "__pycache__" not in path.parts]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree as it may lie on somebody's disk: with secrets, litter, and a new package."""
    folder = tmp_path_factory.mktemp("tree")
    for name in (
        "pyproject.toml",
        "requirements.lock",
        "README.md",
        "LICENSE",
        ".dockerignore",
        "Dockerfile",
    ):
        shutil.copy(ROOT / name, folder)
    for path in packaged():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, folder / path)
    for planted in (*PLANTED_SECRETS, *PLANTED_LITTER, *NEWCOMER):
        (folder / planted).parent.mkdir(parents=True, exist_ok=True)
        (folder / planted).touch()
    return folder


@pytest.fixture(scope="module")
def installed(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs that the stage `build` of the Dockerfile leaves."""
    [stage] = [stage for stage in STAGES if stage.name == "build"]
    built = image.build(tree, stage, tmp_path_factory.mktemp("image"))
    # what the last stage takes from it
    [taken] = [copied for copied in STAGES[-1].all_of("COPY") if copied.startswith("--from=build ")]
    assert taken.split()[1:] == ["/opt/nightjar", "/opt/nightjar"]
    return built.at("/opt/nightjar/bin")


def test_the_builder_gets_all_that_is_packaged_and_nothing_else_of_ours(tree: Path) -> None:
    sent = set(image.context(tree))

    assert sent >= {str(path) for path in packaged()}
    assert sent >= set(NEWCOMER)
    assert sent.isdisjoint({*PLANTED_SECRETS, *PLANTED_LITTER})


def test_every_module_of_the_tree_is_packaged() -> None:
    assert {path.stem for path in ROOT.glob("*.py")} == set(PYPROJECT["tool"]["setuptools"]["py-modules"])


def test_what_the_image_installs_is_whole_and_can_be_imported_from_anywhere(
    installed: Path, tmp_path: Path
) -> None:
    files = [str(path) for path in packaged()]
    # alembic runs it: see below, where the schema is made
    modules = [
        path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        for path in [*files, *NEWCOMER]
        if path.endswith(".py") and path != "db/migrations/env.py"
    ]
    program = (
        "import importlib, json, os, sys, sysconfig\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "place = sysconfig.get_path('purelib')\n"
        "found = [os.path.join(at, name) for at, _, names in os.walk(place) for name in names]\n"
        "json.dump([os.path.relpath(path, place) for path in found], sys.stdout)"
    )

    done = subprocess.run(
        [installed / "python", "-c", program],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    assert {*files, *NEWCOMER} - set(json.loads(done.stdout)) == set()


def run(installed: Path, tmp_path: Path, *words: str, **environment: str) -> tuple[int, str]:
    """A command of the image, in a folder that has nothing to do with the tree."""
    done = subprocess.run(
        words,
        cwd=tmp_path,
        env=clean_environment(PATH=f"{installed}:/usr/bin:/bin", **environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LONGEST,
    )
    return done.returncode, done.stdout


def test_without_servers_the_command_helps_and_the_doctor_misses_servers_and_no_file(
    installed: Path, tmp_path: Path
) -> None:
    nowhere = {
        "NIGHTJAR_DATABASE_URL": f"postgresql+psycopg://nightjar@{LOOPBACK}:9/nightjar",
        "NIGHTJAR_TEMPORAL_ADDRESS": f"{LOOPBACK}:9",
    }

    assert "doctor" in run(installed, tmp_path, *json.loads(STAGES[-1].all_of("CMD")[0]))[1]
    status, told = run(installed, tmp_path, "nightjar", "doctor", **nowhere)

    assert status == 1
    assert re.findall(r"^bad +([\w ]+):", told, re.MULTILINE) == ["Database", "Temporal"]
    assert "Traceback" not in told


def interpolated(text: str) -> str:
    """A value of the Compose file where nothing but the password is set."""
    text = re.sub(r"\$\{(\w+):-([^}]*)\}", r"\2", text)
    text = re.sub(r"\$\{POSTGRES_PASSWORD:\?[^}]*\}", "the password", text)
    assert "${" not in text, text
    return text.replace("$$", "$")


def test_every_setting_that_the_image_and_the_compose_file_give_is_one() -> None:
    given = [name for each in OURS.values() for name in each["environment"]]
    given += [part.partition("=")[0] for line in STAGES[-1].all_of("ENV") for part in line.split()]

    assert {name for name in given if name.startswith("NIGHTJAR_")} <= SETTINGS
    assert {name for name in given if not name.startswith("NIGHTJAR_")} <= {
        "PGPASSWORD",
        "PATH",
        "PYTHONUNBUFFERED",
    }


def test_a_setting_that_the_compose_file_passes_on_is_the_variable_of_that_name() -> None:
    for each in OURS.values():
        for name, value in each["environment"].items():
            passed = re.findall(r"\$\{(NIGHTJAR_\w+)", value)
            assert passed in ([], [name])


def test_the_image_of_the_compose_file_is_of_this_version_and_every_service_is_known() -> None:
    assert {each["image"] for each in OURS.values()} == {f"nightjar:{PYPROJECT['project']['version']}"}
    assert set(OURS) == {"setup", "api", "worker"}
    for service in COMPOSE["services"].values():
        assert set(service.get("depends_on", ())) <= set(COMPOSE["services"])


def environment_of(service: dict[str, Any], servers: Stack, database_url: str) -> dict[str, str]:
    """As the Compose file gives it, with the addresses of the servers of the tests for those of the containers."""
    given = {name: interpolated(value) for name, value in service["environment"].items()}
    theirs, ours = make_url(given["NIGHTJAR_DATABASE_URL"]), make_url(database_url)
    assert (theirs.drivername, theirs.password, theirs.host) == ("postgresql+psycopg", None, "postgres")
    there = theirs.set(username=ours.username, host=ours.host, port=ours.port, database=ours.database)
    return {
        **given,
        "NIGHTJAR_DATABASE_URL": there.render_as_string(),
        "PGPASSWORD": str(ours.password),
        "NIGHTJAR_TEMPORAL_ADDRESS": servers.temporal.address,
        # the tests share a Temporal: see tests.conftest
        "NIGHTJAR_TASK_QUEUE": str(ours.database),
        "NIGHTJAR_SWEEP_EVERY": "0",
    }


@contextmanager
def serving(
    installed: Path, folder: Path, service: dict[str, Any], environment: dict[str, str]
) -> Iterator[Child]:
    """A process of the image, by the command of its service."""
    program, *words = service["command"]
    assert program == "nightjar"
    changed: dict[str, str | None] = {
        name: None for name in os.environ if name.startswith(("NIGHTJAR_", "PYTHONPATH"))
    }
    child = Child(
        "service", [str(installed / program), *words], folder / "service.log", {**changed, **environment}
    )
    child.start()
    try:
        yield child
    finally:
        child.stop(seconds=30)


def test_the_services_of_the_compose_file_run(
    installed: Path, servers: Stack, settings: Settings, tmp_path: Path
) -> None:
    setup, api, worker = (
        (OURS[name], environment_of(OURS[name], servers, settings.database_url))
        for name in ("setup", "api", "worker")
    )
    status, told = run(installed, tmp_path, *setup[0]["command"], **setup[1])
    assert status == 0, told

    port = free_port()
    with (
        serving(installed, tmp_path, api[0], {**api[1], "NIGHTJAR_API_PORT": str(port)}) as child,
        serving(installed, tmp_path, worker[0], worker[1]),
    ):

        def ready() -> bool:
            try:
                with urllib.request.urlopen(f"http://{LOOPBACK}:{port}/readyz", timeout=2) as answer:
                    return bool(json.load(answer)["status"] == "ok")
            except OSError:
                return False

        child.wait_until(ready, LONGEST)
        # as the Compose file asks it
        _, *checking = api[0]["healthcheck"]["test"]
        checking[-1] = checking[-1].replace(":8000/", f":{port}/")
        assert run(installed, tmp_path, *checking) == (0, "")
        deadline = time.monotonic() + LONGEST
        while "nobody polls" in (told := run(installed, tmp_path, "nightjar", "doctor", **setup[1])[1]):
            assert time.monotonic() < deadline, told


IGNORED: dict[str, tuple[str, list[str], list[str]]] = {
    "a folder takes all that is in it": ("docs", ["docs", "docs/a/b.md"], ["api/docs", "docs.py"]),
    "a leading slash means the same": ("/docs/", ["docs/a"], ["api/docs/a"]),
    "a star stays in its folder": ("*.md", ["a.md"], ["docs/a.md", "amd"]),
    "two stars go through folders": ("**/*.key", ["a.key", "b/c/a.key"], ["a.keys"]),
    "two stars in the middle": ("a/**/b", ["a/b", "a/x/y/b"], ["b", "xa/b"]),
    "the last rule decides": ("*.md\n!README.md", ["a.md"], ["README.md"]),
    "a folder may be taken back in part": ("docs\n!docs/api.md", ["docs/b.md"], ["docs/api.md"]),
    "and again": ("docs\n!docs/api.md\ndocs/*", ["docs/api.md"], []),
    "comments and empty lines": ("# a\n\n  b  \n", ["b"], ["a", "# a"]),
    "one sign, one of several": ("a?c\n[xy]z", ["abc", "xz", "yz"], ["a/c", "zz"]),
    "names that begin with a dot": (".*", [".git/config", ".env"], ["a/.env"]),
}


@pytest.mark.parametrize("rule", IGNORED)
def test_rules_are_read_as_the_builder_reads_them(rule: str) -> None:
    text, excluded, kept = IGNORED[rule]

    assert [path for path in excluded if not Ignore(text).excludes(path)] == []
    assert [path for path in kept if Ignore(text).excludes(path)] == []


COPIES: dict[str, tuple[str, list[str]]] = {
    "a folder's content goes into the target": ("COPY a b", ["b/in.py"]),
    "everything": ("COPY . .", ["a/in.py", "one.py", "two.txt"]),
    "a file is renamed": ("COPY one.py three.py", ["three.py"]),
    "a file goes into a folder": ("COPY one.py b/", ["b/one.py"]),
    "several go into a folder": ("COPY one.py two.txt ./", ["one.py", "two.txt"]),
    "a pattern": ("COPY *.py ./", ["one.py"]),
    "as a list": ('COPY ["a", "b/"]', ["b/in.py"]),
    "over two lines": ("COPY one.py \\\n  # why\n  two.txt b/", ["b/one.py", "b/two.txt"]),
}


@pytest.mark.parametrize("case", COPIES)
def test_files_are_copied_as_the_builder_copies_them(case: str, tmp_path: Path) -> None:
    line, expected = COPIES[case]
    folder = tmp_path / "context"
    for name in ("a/in.py", "one.py", "two.txt", "left.out"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (folder / ".dockerignore").write_text(".*\n*.out\n")

    built = image.build(
        folder, image.stages(f"FROM scratch\nWORKDIR /source\n{line}\n")[0], tmp_path / "root"
    )

    found = [path.relative_to(built.at(".")) for path in built.at(".").rglob("*") if path.is_file()]
    assert sorted(map(str, found)) == expected


def test_what_is_not_there_and_what_is_not_known_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").touch()
    for line in ("COPY missing .", "COPY --chmod=600 . .", "ADD . .", "RUN --mount=type=cache true"):
        [stage] = image.stages(f"FROM scratch\n{line}\n")
        with pytest.raises(ValueError, match=re.escape(line.split()[-2].lstrip("-").split("=")[0])):
            image.build(tmp_path, stage, tmp_path / "root")
