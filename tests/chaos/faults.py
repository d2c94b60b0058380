"""Carries out the faults of a plan."""

import asyncio
import logging

from tests.chaos.plan import Action, Fault
from tests.chaos.stack import Platform
from tests.passages import Passage

logger = logging.getLogger("chaos.faults")


class Faults:
    """What goes wrong, and how often it did."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.done: dict[str, int] = {}
        self._alone = {id(made): asyncio.Lock() for all_ in platform.passages.values() for made in all_}

    async def inject(self, fault: Fault) -> None:
        """Do it, and undo it after its time; everything that it hits is as it was when this ends."""
        logger.info("%s %s for %.1f s", fault.kind, fault.who, fault.lasts)
        if fault.action is Action.KILL:
            hit = [self.platform.processes[fault.target][each].kill(fault.lasts) for each in fault.who]
        else:
            passages = self.platform.passages[fault.target]
            hit = [self._disturb(fault, passages[each]) for each in fault.who]
        await asyncio.gather(*hit)
        self.done[fault.kind] = self.done.get(fault.kind, 0) + 1
        logger.info("%s %s is over", fault.kind, fault.who)

    async def _disturb(self, fault: Fault, passage: Passage) -> None:
        # one at a time: the end of one would end the other
        async with self._alone[id(passage)]:
            try:
                match fault.action:
                    case Action.INTERRUPT:
                        await passage.interrupt()
                    case Action.CUT:
                        await passage.cut()
                    case _:
                        passage.freeze()
                await asyncio.sleep(fault.lasts)
            finally:
                await passage.open()
