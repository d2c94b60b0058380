"""People's own regular expressions: what they mean, what is refused, and that nothing else waits for them."""

import asyncio
import threading

import pytest

from storage import patterns
from storage.patterns import InvalidRegex, Pattern


@pytest.mark.parametrize(
    ("expression", "text", "found"),
    [
        ("night-[12]", "station/night-1/a.jpg", True),
        ("night-[12]", "station/night-3/a.jpg", False),
        (r"\.jpe?g$", "a.jpeg", True),
        (r"^a", "b/a", False),
        (r"(?i)été", "ÉTÉ/1.jpg", True),
        (r"^.{3}$", "été", True),
        (r"^\pL+$", "мотылёк", True),
        (r"^\w+$", "été", False),
        (r"(a|aa)+$", "a" * 1000 + "!", False),
        (r"(?P<year>\d{4})", "2023", True),
        ("", "anything", True),
        # names of files that are not UTF-8, and what JSON can hold
        (r"^a.b$", "a\udcffb", True),
        (r"^a[^b]b$", "a\ud800b", True),
        (r"b$", "a\x00\nb", True),
    ],
)
def test_an_expression_is_sought_anywhere_in_a_text(expression: str, text: str, found: bool) -> None:
    assert Pattern(expression).is_found_in(text) is found


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("[a", "missing ]: [a"),
        ("é(", "missing ): é("),
        ("a**", "bad repetition operator: **"),
        (
            r"(a)\1",
            r"invalid escape sequence: \1 (RE2 syntax, which has no backreferences and no look-around)",
        ),
        ("(?=a)", "invalid perl operator: (?= (RE2 syntax"),
        ("(?<!a)b", "invalid perl operator: (?<! (RE2 syntax"),
        ("(?>a)", "invalid perl operator: (?> (RE2 syntax"),
        (r"\é", r"invalid escape sequence: \é (RE2 syntax"),
        ("a" * 256, "it has more than 255 characters"),
        ("\ud800", "it has characters that are none"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(expression: str, reason: str) -> None:
    with pytest.raises(InvalidRegex) as caught:
        Pattern(expression)

    assert caught.value.reason.startswith(reason)
    assert len(str(caught.value)) < 400


def test_an_expression_that_needs_more_memory_than_is_allowed_is_refused(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    Pattern(r"\pL")
    monkeypatch.setattr(patterns, "MOST_MEMORY", 16 * 1024)

    with pytest.raises(InvalidRegex, match="pattern too large"):
        Pattern(r"\pL")
    # what it would remember while it searches is bounded too, and nothing is logged of that
    assert Pattern("a.{12}b").is_found_in("aab" * 200 + "b")
    assert capfd.readouterr() == ("", "")


async def test_many_texts_are_searched_bit_by_bit_in_another_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "AT_ONCE", 3)
    threads, parts = set(), []
    whole = Pattern._all_found_in

    def noted(self: Pattern, texts: list[str]) -> list[bool]:
        threads.add(threading.current_thread())
        parts.append(len(texts))
        return whole(self, texts)

    monkeypatch.setattr(Pattern, "_all_found_in", noted)

    found = await Pattern("[02468]$").found_in([str(number) for number in range(10)])

    assert found == [number % 2 == 0 for number in range(10)]
    assert parts == [3, 3, 3, 1]
    assert threading.main_thread() not in threads


async def test_the_event_loop_goes_on_while_expressions_are_compiled() -> None:
    begun, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow() -> Pattern:
        loop.call_soon_threadsafe(begun.set)
        # on the event loop this would wait for itself
        assert go_on.wait(20)
        return Pattern("a")

    compiled = asyncio.create_task(patterns.compiling(slow))
    await begun.wait()
    searched = await Pattern("b").found_in(["b"])
    go_on.set()

    assert searched == [True]
    assert (await compiled).expression == "a"
