"""How captures of a station are grouped into sessions (domain 4.2).

Distinct capture times are walked in order. A new group begins where the time since the capture before is at least the
gap, or where the group would last longer than a day. Groups that begin on the same date are one session.
"""

from datetime import timedelta

DEFAULT_GAP = timedelta(hours=2)
LONGEST = timedelta(hours=24)
"""From the first capture of a group to its last."""


def gap(seconds: int | None) -> timedelta:
    """The gap that a project's setting means; one that makes no sense means the default."""
    return DEFAULT_GAP if seconds is None or seconds <= 0 else timedelta(seconds=seconds)
