"""Carries what PostgreSQL says was asked for to Temporal, and notes that it arrived: for the relay and the recovery."""

from dataclasses import dataclass

from db import job_rows, run_rows
from db.connections import Database
from db.job_rows import RunStart
from jobs.errors import RunRefused
from jobs.runs import Closing
from jobs.status import Status
from temporal.launcher import Launcher


@dataclass(frozen=True)
class Delivery:
    """What is done for a run whose own request, or whose own workflow, did not do it."""

    database: Database
    launcher: Launcher

    async def start(self, launch: RunStart) -> bool:
        """Start the workflow of a run, also while Temporal seems to be away; false if that did not come about."""
        if not await self.launcher.start(launch, insist=True):
            return False
        async with self.database.transaction() as db:
            await job_rows.mark_launched(db, launch.job_id, launch.run)
        return True

    async def close(
        self, launch: RunStart, status: Status, *, remark: str | None = None, unclaimed: bool = False
    ) -> bool:
        """Close a run without its workflow; false if it is gone: deleted, or run again meanwhile.

        It is fenced from then on, so whoever still works for it writes nothing more. With `unclaimed` also one that no
        worker has claimed. The log says the `remark`.
        """
        closing = Closing(launch.job_id, launch.run, status, remark)
        try:
            async with self.database.transaction() as db:
                await run_rows.close(db, closing, unclaimed=unclaimed, remark=remark)
        except RunRefused:
            return False
        return True

    async def revoke(self, launch: RunStart, reason: str) -> bool:
        """Close a run that was asked to stop and that nobody closes, and end its workflow; false if it is gone."""
        if not await self.close(launch, Status.REVOKED, unclaimed=True):
            return False
        await self.launcher.terminate(launch.workflow, reason)
        return True
