"""What a sync says of itself: its figures, how far and how fast it is, and trouble with single objects."""

import time
from typing import Any

from activities.reporter import StageReporter

NAMED = 100
"""Objects of one kind of trouble that are named in the log; of the rest there is a count."""
SECONDS_BETWEEN_WORDS = 30.0


class SyncFigures:
    """The figures and log lines of one attempt; counts of trouble lie in the cursor, so that attempts share them."""

    def __init__(self, report: StageReporter, last_total: int | None) -> None:
        self.report = report
        self.last_total = last_total
        """Captures that the sync before found; None if there was none."""
        self.began = self.told = time.monotonic()
        self.listed_before: int = report.stage.param("Files listed").value or 0

    @property
    def _cursor(self) -> dict[str, Any]:
        return self.report.cursor or {}

    def bad(self, words: str) -> None:
        """Count an object that should be a capture and cannot be one, and say why."""
        self.report.count("Failed")
        self._name("bad", words, "ERROR")

    def suspicious(self, words: str) -> None:
        """Say what is odd about a capture that is made all the same."""
        self._name("suspicious", words, "WARNING")

    def _name(self, kind: str, words: str, level: str) -> None:
        """Say it in the log, if not too much of the kind has been said."""
        so_far: int = self._cursor.get(kind, 0)
        self.report.cursor = {**self._cursor, kind: so_far + 1}
        if so_far < NAMED:
            self.report.log(words, level)

    def measure(self) -> None:
        """How far, if it is known how far it is; how fast in this attempt."""
        report = self.report
        total, last = report.stage.param("Total files").value, self.last_total
        if last:
            report.progress(min(0.99, total / last))
        listed = report.stage.param("Files listed").value - self.listed_before
        report.set("Files per second", round(listed / max(time.monotonic() - self.began, 0.001)))

    def tell(self) -> None:
        """Say how many files were processed so far, if that was not said lately."""
        if time.monotonic() - self.told > SECONDS_BETWEEN_WORDS:
            self.told = time.monotonic()
            self.report.log(f"Processed {self.report.stage.param('Total files').value} files")

    def say_what_is_not_named(self) -> None:
        """How much trouble of each kind there was besides that which the log names."""
        for kind, words in (("bad", "objects that failed"), ("suspicious", "suspicious timestamps")):
            rest = self._cursor.get(kind, 0) - NAMED
            if rest > 0:
                self.report.log(f"{rest} more {words} are not named", "WARNING")
