"""Sections that comments cite are there: `contract 2.4` in docs/contract.md, `domain 3.3` in docs/domain.md."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("contract", "domain")

_NUMBER = r"\d+(?:\.\d+)*"
# a comment may go on in the next line, after its mark
_GAP = r"\s+(?:#:?\s+)?"
_JOINT = rf"(?:,(?:{_GAP}|)(?:and{_GAP})?|{_GAP}(?:and|or|to){_GAP}|[-\u2013])"
_CITATION = re.compile(
    rf"\b(?P<document>contract|domain){_GAP}(?P<sections>{_NUMBER}(?:{_JOINT}{_NUMBER})*)(?![\w%])",
    re.IGNORECASE,
)
_RANGE = re.compile(rf"({_NUMBER})(?:{_GAP}to{_GAP}|[-\u2013])({_NUMBER})")
_HEADING = re.compile(rf"^#+ (?P<number>{_NUMBER})\.? \S", re.MULTILINE)
_CODE_BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)

Section = tuple[int, ...]


def cited(text: str) -> list[tuple[str, str]]:
    """Document and number of every section that a text cites, ranges spelt out, in the order of the text."""
    return [
        (found["document"].lower(), number)
        for found in _CITATION.finditer(text)
        for number in _numbers(found["sections"])
    ]


def _numbers(sections: str) -> list[str]:
    spelt_out = _RANGE.sub(lambda found: ", ".join(_between(found[1], found[2])), sections)
    return re.findall(_NUMBER, spelt_out)


def _between(first: str, last: str) -> list[str]:
    """`1.1` to `1.3` is 1.1, 1.2, 1.3; ends that do not belong together are left, and name what is nowhere."""
    (*parent, begin), (*other, end) = _section(first), _section(last)
    if parent != other or begin > end:
        return [first, f"{last}.0"]
    return [".".join(map(str, (*parent, number))) for number in range(begin, end + 1)]


def _section(number: str) -> Section:
    return tuple(map(int, number.split(".")))


def headings(text: str) -> list[str]:
    """The numbers of a document's headings, in its order."""
    return [found["number"] for found in _HEADING.finditer(_CODE_BLOCK.sub("", text))]


def dangling(text: str, there: dict[str, set[str]]) -> list[str]:
    """What a text cites and is not there."""
    return [f"{document} {number}" for document, number in cited(text) if number not in there[document]]


@pytest.fixture(scope="module")
def sections() -> dict[str, set[str]]:
    return {name: set(headings((ROOT / "docs" / f"{name}.md").read_text())) for name in DOCUMENTS}


def texts() -> Iterator[Path]:
    """Every module and document of the repository, but this one, which makes citations up."""
    for folder, inside, names in os.walk(ROOT):
        inside[:] = [
            each for each in inside if not each.startswith(".") and each not in ("build", "__pycache__")
        ]
        found = (Path(folder, name) for name in names if name.endswith((".py", ".md")))
        yield from (path for path in found if path != Path(__file__))


def test_every_cited_section_is_there(sections: dict[str, set[str]]) -> None:
    lost = {str(path.relative_to(ROOT)): dangling(path.read_text(), sections) for path in texts()}

    assert {path: numbers for path, numbers in lost.items() if numbers} == {}


def test_both_documents_are_cited() -> None:
    found = {document for path in texts() if path.suffix == ".py" for document, _ in cited(path.read_text())}

    assert found == set(DOCUMENTS)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_sections_are_numbered_once_and_in_order(name: str) -> None:
    numbers = headings((ROOT / "docs" / f"{name}.md").read_text())

    assert numbers
    assert [_section(number) for number in numbers] == sorted({_section(number) for number in numbers})


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_section_is_left_out(name: str) -> None:
    found = {_section(number) for number in headings((ROOT / "docs" / f"{name}.md").read_text())}
    before = {(*parent, last - 1) for *parent, last in found if last > 1}
    above = {tuple(parent) for *parent, _ in found if parent}

    assert (before | above) - found == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The envelope of lists (contract 1.3).", ["contract 1.3"]),
        ("(contract 1.4, 1.5, 2.4)", ["contract 1.4", "contract 1.5", "contract 2.4"]),
        ("(contract 1.1 to 1.3)", ["contract 1.1", "contract 1.2", "contract 1.3"]),
        ("(domain 2.1 to 2.3, 8)", ["domain 2.1", "domain 2.2", "domain 2.3", "domain 8"]),
        ("(domain 1.1\u20131.2)", ["domain 1.1", "domain 1.2"]),
        ("contract 4.3 to 4.4 and 8", ["contract 4.3", "contract 4.4", "contract 8"]),
        ("(contract 1.8, domain 1.1): roles hold", ["contract 1.8", "domain 1.1"]),
        ("(contract 1.11; domain 2)", ["contract 1.11", "domain 2"]),
        ("(contract: domain 2.2)", ["domain 2.2"]),
        ("(domain 6: event_name)", ["domain 6"]),
        ("See domain 3.5. Going through a million captures", ["domain 3.5"]),
        ("one of domain 3.6, or the store's own", ["domain 3.6"]),
        ("# as it was synced (domain\n    # 1.2, 3.6,\n    # 8)", ["domain 1.2", "domain 3.6", "domain 8"]),
        ("Contract 2.4.1 says so", ["contract 2.4.1"]),
        ("the subdomain 3 of a contract for 2 years", []),
        ("contract 4x faster", []),
        ("the contract of a job type", []),
    ],
)
def test_citations_are_read(text: str, expected: list[str]) -> None:
    assert [f"{document} {number}" for document, number in cited(text)] == expected


@pytest.mark.parametrize(
    "text",
    [
        "contract 1.99",
        "domain 99",
        "domain 1.1, 3.99",
        "contract 1.9 to 1.12",
        "contract 1.8 to 2.2",
        "contract 2.3 to 2.1",
        "domain 2.4.1",
        "domain 1.\n# contract\n# 7.7",
    ],
)
def test_a_citation_of_what_is_nowhere_is_found(text: str, sections: dict[str, set[str]]) -> None:
    assert dangling(text, sections)


def test_headings_are_those_with_a_number_outside_of_code() -> None:
    text = "# Title\n\n## 1. First\n\n```\n# 2 in a listing\n```\n\n### 1.1 More\n\n## Words\n\n10. an item\n"

    assert headings(text) == ["1", "1.1"]
