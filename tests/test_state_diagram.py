"""The diagram of a job's states in docs/architecture.md has the transitions of the table below it, and no others."""

import re
from pathlib import Path

from jobs.status import Status

ARCHITECTURE = (Path(__file__).parent.parent / "docs" / "architecture.md").read_text()
SECTION = re.search(r"^## States\n(.*?)^## ", ARCHITECTURE, re.MULTILINE | re.DOTALL)
BEGIN = "[*]"

Transitions = set[tuple[str, str]]


def drawn(section: str) -> Transitions:
    return set(re.findall(r"^ +(\S+) --> (\S+):", section, re.MULTILINE))


def listed(section: str) -> Transitions:
    """Those of the table whose header is `from`, `by`, `to`; a row that changes nothing is none."""
    table = section.partition("| from | by | to |\n|---|---|---|\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table.splitlines()]
    return {
        (before, after)
        for first, _, last in rows
        for before in (re.findall(r"`([A-Z]+)`", first) or [BEGIN])
        for after in re.findall(r"`([A-Z]+)`", last)
    }


def test_the_diagram_is_that_of_the_table() -> None:
    assert SECTION is not None

    assert drawn(SECTION[1]) == listed(SECTION[1])
    assert (Status.STARTED, Status.CANCELING) in drawn(SECTION[1])


def test_the_diagram_knows_only_states_of_jobs() -> None:
    assert SECTION is not None

    assert {state for arrow in drawn(SECTION[1]) for state in arrow} - {BEGIN} <= set(Status)
