"""Counts of long lists, remembered for a while: the page polls them every ten seconds, from many windows."""

import time
from collections.abc import Awaitable, Callable, Hashable

MIN_CACHED_ROWS = 10_000
MIN_CACHED_SECONDS = 0.1
"""What counts fewer rows, in less time, is counted each time."""
SECONDS_KEPT_PER_SECOND = 100
"""A count is remembered for so many times as long as it took,"""
MAX_SECONDS_KEPT = 10.0
"""but no longer than this."""
MAX_COUNTS = 1000
"""Counts that are remembered at a time."""


class CountCache:
    """The counts that one process remembers. What is cheap to count is never remembered."""

    def __init__(self) -> None:
        self._known: dict[Hashable, tuple[float, int]] = {}

    async def get(self, key: Hashable, count: Callable[[], Awaitable[int]]) -> int:
        """The count of that name, made by `count` unless it is remembered."""
        now = time.monotonic()
        until, known = self._known.get(key, (0.0, 0))
        if now < until:
            return known
        counted = await count()
        took = time.monotonic() - now
        if counted >= MIN_CACHED_ROWS or took > MIN_CACHED_SECONDS:
            if len(self._known) >= MAX_COUNTS:
                self._known.clear()
            self._known[key] = (
                time.monotonic() + min(took * SECONDS_KEPT_PER_SECOND, MAX_SECONDS_KEPT),
                counted,
            )
        return counted

    def forget(self) -> None:
        """Something was added or removed by this process: whoever did it wants to see it."""
        self._known.clear()
