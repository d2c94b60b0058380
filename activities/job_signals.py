"""Tells attempts at once what happens to their jobs: that they were cancelled, or paused.

Heartbeats bring a cancellation a second late, or later still where Temporal is slow; PostgreSQL's notifications
bring it within milliseconds.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from db.notifications import Change, Notifications


class JobSignals:
    """Who waits for news of which job, in this process."""

    def __init__(self) -> None:
        self._waiting: defaultdict[int, set[asyncio.Event]] = defaultdict(set)

    @contextmanager
    def subscribe(self, job_id: int) -> Iterator[asyncio.Event]:
        """An event that is set whenever there may be news of the job."""
        news = asyncio.Event()
        self._waiting[job_id].add(news)
        try:
            yield news
        finally:
            self._waiting[job_id].discard(news)
            if not self._waiting[job_id]:
                del self._waiting[job_id]

    def notify(self, change: Change) -> None:
        """Wake who waits for the job; an attempt's own progress is no news to it."""
        if change.is_progress:
            return
        for news in self._waiting.get(change.job_id, ()):
            news.set()

    def notify_all(self) -> None:
        """Wake everybody: something may have been missed."""
        for waiting in self._waiting.values():
            for news in waiting:
                news.set()

    async def follow(self, notifications: Notifications) -> None:
        """Pass on what PostgreSQL tells, until cancelled."""
        async for change in notifications.follow():
            if change is None:
                self.notify_all()
            else:
                self.notify(change)
