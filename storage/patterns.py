"""People's own regular expressions: matched in time that grows with the text alone, whatever the expression is.

They are in the syntax of RE2 (https://github.com/google/re2/wiki/Syntax), which has no backreferences and no
look-around: with those, some expressions take years on a name of sixty letters, and gigabytes to be compiled. `\\d`,
`\\w`, `\\s` and `\\b` know ASCII only; `\\pL` is a letter of any script, and `(?i)` folds those of all.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TypeVar

import re2

Made = TypeVar("Made")

LONGEST = 255
"""Characters of an expression: as many as the columns that hold them."""
MOST_MEMORY = 256 * 1024
"""Bytes that a compiled expression may take, with what it remembers while it searches.

One that needs more for itself is refused; one that would remember more forgets, and is slower.
"""
AT_ONCE = 100
"""Texts that are searched before others have their turn."""

_LACKING = ("invalid perl operator", "invalid escape sequence: \\")
_HINT = " (RE2 syntax, which has no backreferences and no look-around)"


class InvalidRegex(Exception):
    """A regular expression that cannot be one."""

    def __init__(self, expression: str, reason: str) -> None:
        super().__init__(f"The regular expression {expression!r} cannot be used: {reason}")
        self.reason = reason


class Pattern:
    """A regular expression, ready to search."""

    def __init__(self, expression: str) -> None:
        """Compile it: some milliseconds at most. Raises InvalidRegex."""
        if len(expression) > LONGEST:
            shown = f"{expression[:20]}…"
            raise InvalidRegex(shown, f"it has more than {LONGEST} characters")
        self.expression = expression
        try:
            # as bytes: texts then need not be UTF-8
            self._compiled = re2.compile(expression.encode(), _options())
        except UnicodeEncodeError as error:
            raise InvalidRegex(expression, "it has characters that are none") from error
        except re2.error as error:
            raise InvalidRegex(expression, _reason(error)) from error

    def is_found_in(self, text: str) -> bool:
        """Whether it is found anywhere in a text; linear in its length. What is not UTF-8 counts as a character."""
        return self._compiled.search(text.encode(errors="surrogatepass")) is not None

    async def found_in(self, texts: Sequence[str]) -> list[bool]:
        """The same for many, in a thread, in which others have their turn too."""
        found: list[bool] = []
        for begin in range(0, len(texts), AT_ONCE):
            found += await _apart(_searching(), self._all_found_in, texts[begin : begin + AT_ONCE])
        return found

    def _all_found_in(self, texts: Sequence[str]) -> list[bool]:
        return [self.is_found_in(text) for text in texts]


async def compiling(make: Callable[[], Made]) -> Made:
    """What `make` gives, which compiles expressions, in a thread: the event loop goes on meanwhile."""
    return await _apart(_compiling(), make)


async def _apart(pool: ThreadPoolExecutor, work: Callable[..., Made], *given: object) -> Made:
    return await asyncio.get_running_loop().run_in_executor(pool, work, *given)


# pools of their own: what hangs on a disk keeps no expression waiting, and a long search no short compilation
@cache
def _compiling() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "compiling-expressions")


@cache
def _searching() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(4, os.cpu_count() or 1), "searching-keys")


def _options() -> re2.Options:
    options = re2.Options()
    options.max_mem = MOST_MEMORY
    options.log_errors = False
    # whether it is found is all that is asked for
    options.never_capture = True
    return options


def _reason(error: re2.error) -> str:
    """The library's words, which come as bytes; the beginning of an expression may stand in them."""
    [words] = error.args
    text = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
    return text + _HINT if text.startswith(_LACKING) else text
