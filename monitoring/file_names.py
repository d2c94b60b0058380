"""When a capture was taken, by the name of its file (domain 3.4).

Camera traps write the time into the name, each make in its own way. Only what stands there counts: nothing is filled
in from today's date, so the same name gives the same time on any day.
"""

import re
from datetime import datetime

FIRST_CREDIBLE_YEAR = 2000
"""Before that a clock was not set: the capture is taken all the same, and people are warned."""

# in this order at each place of the name; the first place that fits decides, real date or not
_STAMP = re.compile(
    r"(?P<together>\d{14})"
    r"|(?P<halves>\d{8}\D+\d{6})"
    r"|(?P<parts>\d{4}\D\d{2}\D\d{2}\D+\d{2}\D\d{2}\D\d{2})"
    r"|(?P<short>(?<!\d)\d{12}(?!\d))",
    re.ASCII,
)
# the whole name is a date, perhaps with hours and minutes
_DATE = re.compile(r"(\d{4})([-_. ]?)(\d{2})\2(\d{2})(?:[-_T ](\d{2})[-:_]?(\d{2}))?", re.ASCII)
_CENTURY_TURNS = 69
"""Years of two digits from here on are of the last century, as POSIX has it."""


def taken_at(key: str) -> datetime | None:
    """The wall clock of the station when the file was written, to the second; None if its name does not say.

    `key` is a path with slashes; only what stands after the last one counts, without its extension.
    """
    name = key.rpartition("/")[2]
    stem, dot, _ = name.rpartition(".")
    name = stem if dot and stem else name
    found = _STAMP.search(name)
    if found is not None:
        digits = re.sub(r"\D", "", found[0], flags=re.ASCII)
        if found.lastgroup == "short":
            digits = ("19" if int(digits[:2]) >= _CENTURY_TURNS else "20") + digits
        at = _real(*(int(part) for part in _cut(digits)))
        if at is not None:
            return at
    whole = _DATE.fullmatch(name)
    if whole is None:
        return None
    year, _, month, day, hour, minute = whole.groups(default="0")
    return _real(int(year), int(month), int(day), int(hour), int(minute))


def _cut(digits: str) -> tuple[str, ...]:
    return (digits[:4], *(digits[place : place + 2] for place in range(4, 14, 2)))


def _real(*parts: int) -> datetime | None:
    try:
        return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001 - wall clock of the station
    except ValueError:
        return None
