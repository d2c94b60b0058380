"""CountCache of long lists, remembered for a while: the page polls them every ten seconds, from many windows."""

import time
from collections.abc import Awaitable, Callable, Hashable

FEW = 10_000
CHEAP = 0.1
"""What gives fewer rows, in fewer seconds, is counted each time."""
WORTH = 100
"""A count is remembered for so many times as long as it took,"""
LONGEST = 10.0
"""but no longer than these seconds."""
MOST = 1000


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
        if counted >= FEW or took > CHEAP:
            if len(self._known) >= MOST:
                self._known.clear()
            self._known[key] = (time.monotonic() + min(took * WORTH, LONGEST), counted)
        return counted

    def forget(self) -> None:
        """Something was added or removed by this process: whoever did it wants to see it."""
        self._known.clear()
