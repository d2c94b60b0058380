"""The image without Docker: reads Dockerfile and .dockerignore as the builder does, and carries out a stage."""

import json
import os
import posixpath
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath


@dataclass(frozen=True)
class Instruction:
    word: str
    rest: str


@dataclass
class Stage:
    """From one FROM to the next."""

    name: str
    instructions: list[Instruction] = field(default_factory=list)

    def all_of(self, word: str) -> list[str]:
        return [each.rest for each in self.instructions if each.word == word]


def stages(dockerfile: str) -> list[Stage]:
    """The stages of a Dockerfile; raises ValueError for what this reader does not know."""
    found: list[Stage] = []
    for line in _logical_lines(dockerfile):
        word, _, rest = line.partition(" ")
        word, rest = word.upper(), rest.strip()
        if "<<" in rest:
            raise ValueError(f"a here-document: {line}")
        if word == "FROM":
            parts = rest.split()
            named = len(parts) == 3 and parts[1].upper() == "AS"
            found.append(Stage(parts[2] if named else str(len(found))))
        else:
            found[-1].instructions.append(Instruction(word, rest))
    return found


def _logical_lines(text: str) -> Iterator[str]:
    """Lines without comments, those that end with a backslash joined with the next."""
    joined = ""
    for line in text.splitlines():
        if line.lstrip().startswith("#") or (joined and not line.strip()):
            continue
        if line.rstrip().endswith("\\"):
            joined += line.rstrip()[:-1]
            continue
        if (joined + line).strip():
            yield (joined + line).strip()
        joined = ""


class Ignore:
    """The rules of a .dockerignore: the last one that fits a path, or a folder above it, decides."""

    def __init__(self, text: str) -> None:
        self._rules: list[tuple[bool, re.Pattern[str]]] = []
        for line in text.splitlines():
            if line.startswith("#") or not (pattern := line.strip()):
                continue
            back = pattern.startswith("!")
            cleaned = posixpath.normpath(pattern.removeprefix("!").strip()).lstrip("/")
            self._rules.append((not back, re.compile(_regex(cleaned))))

    def excludes(self, path: str) -> bool:
        """Whether a file of the context, by its path from there, is kept out."""
        steps = PurePosixPath(path)
        above = [str(each) for each in (steps, *steps.parents) if str(each) != "."]
        excluded = False
        for excludes, regex in self._rules:
            if any(regex.fullmatch(each) for each in above):
                excluded = excludes
        return excluded


def _regex(pattern: str) -> str:
    """As Go's filepath.Match, with ** for any number of folders."""
    made, rest = "", pattern
    while rest:
        if rest.startswith("**/"):
            made, rest = made + "(?:.*/)?", rest[3:]
        elif rest.startswith("**"):
            made, rest = made + ".*", rest[2:]
        elif rest[0] == "*":
            made, rest = made + "[^/]*", rest[1:]
        elif rest[0] == "?":
            made, rest = made + "[^/]", rest[1:]
        elif rest[0] == "[":
            inside, _, after = rest[1:].partition("]")
            made, rest = f"{made}[{inside}]", after
        elif rest[0] == "\\" and len(rest) > 1:
            made, rest = made + re.escape(rest[1]), rest[2:]
        else:
            made, rest = made + re.escape(rest[0]), rest[1:]
    return made


def context(folder: Path) -> list[str]:
    """Every file that the builder is sent, by its path from the folder."""
    ignore = Ignore((folder / ".dockerignore").read_text())
    found = []
    for parent, _, names in os.walk(folder):
        for name in names:
            path = str((Path(parent) / name).relative_to(folder).as_posix())
            if not ignore.excludes(path):
                found.append(path)
    return sorted(found)


@dataclass
class Built:
    """A stage that was carried out under a folder which stands for the root of its file system."""

    root: Path
    workdir: str = "/"

    def at(self, path: str) -> Path:
        """Where a path of the image is on this machine."""
        return self.root / posixpath.join(self.workdir, path).lstrip("/")

    def copy(self, folder: Path, arguments: str) -> None:
        """COPY from the context; raises ValueError for flags, and for sources that are not there."""
        words = json.loads(arguments) if arguments.startswith("[") else shlex.split(arguments)
        if any(word.startswith("--") for word in words):
            raise ValueError(f"a flag that is not known: COPY {arguments}")
        *sources, target = words
        files = context(folder)
        for source in sources:
            taken = list(_taken(posixpath.normpath(source).lstrip("/"), files))
            if not taken:
                raise ValueError(f"COPY {source}: it is not in the context")
            for path, below in taken:
                # a folder gives what is in it, a file goes under its name into a folder or is renamed
                into = (
                    target.endswith("/") or len(sources) > 1 or self.at(target).is_dir() or below is not None
                )
                name = below if below is not None else PurePosixPath(path).name
                there = self.at(target) / name if into else self.at(target)
                there.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(folder / path, there)

    def run(self, command: str) -> None:
        """RUN by the shell, with this folder for /opt; raises CalledProcessError with what it said."""
        if command.startswith(("--", "[")):
            raise ValueError(f"not a plain command: RUN {command}")
        moved = re.sub(r"(?<![\w.])/opt/", f"{self.root}/opt/", command)
        self.at(".").mkdir(parents=True, exist_ok=True)
        (self.root / "opt").mkdir(exist_ok=True)
        done = subprocess.run(
            ["/bin/sh", "-c", moved],
            cwd=self.at("."),
            env=clean_environment(PIP_NO_COMPILE="1"),  # it takes as long as all else
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise AssertionError(f"RUN {command} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def _taken(source: str, files: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Files of the context that one source names; for those of a folder also their path in it."""
    for path in files:
        if source == ".":
            yield path, path
        steps = path.split("/")
        depth = source.count("/") + 1
        if source != "." and len(steps) >= depth and _fits("/".join(steps[:depth]), source):
            yield path, "/".join(steps[depth:]) or None


def _fits(path: str, pattern: str) -> bool:
    pairs = zip(path.split("/"), pattern.split("/"), strict=True)
    return all(fnmatchcase(step, wanted) for step, wanted in pairs)


def clean_environment(**more: str) -> dict[str, str]:
    """What a process needs of this machine, and nothing of our settings or modules."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("NIGHTJAR_")}
    return {name: value for name, value in kept.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")} | more


def build(folder: Path, stage: Stage, root: Path) -> Built:
    """Carry out a stage over the files in a folder; raises ValueError for instructions that are not known."""
    built = Built(root)
    for each in stage.instructions:
        match each.word:
            case "WORKDIR":
                built.workdir = posixpath.join(built.workdir, each.rest)
            case "COPY":
                built.copy(folder, each.rest)
            case "RUN":
                built.run(each.rest)
            case _:
                raise ValueError(f"not known: {each.word} {each.rest}")
    return built
