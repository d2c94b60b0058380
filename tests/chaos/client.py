"""A client as a good program is one: what it asks for it asks until it is answered, under one Idempotency-Key."""

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2

logger = logging.getLogger("chaos.client")

SLOW = 5.0
"""Seconds: an answer that takes longer is counted."""
PATIENCE = 10.0
"""Seconds that one request may take before it is sent again: each time twice as many, as a slow machine needs them."""
LONGEST_PATIENCE = 80.0
GIVES_UP = 300.0
AGAIN = (409, 503)
"""Busy or out of reach: both say when to try again."""


class Unanswered(Exception):
    """Nobody answered, however often it was asked."""


class Refused(Exception):
    """An answer that no fault excuses."""


@dataclass
class Figures:
    """How it was answered."""

    answers: int = 0
    slow: int = 0
    sent_again: int = 0
    odd: list[str] = field(default_factory=list)
    """Answers that are no good ones, but no 503 and no 409 either."""


class Client:
    """Asks one API after the other."""

    def __init__(self, apis: Sequence[httpx2.AsyncClient]) -> None:
        self._apis = itertools.cycle(apis)
        self.figures = Figures()

    async def post(self, path: str, key: str, body: Any = None) -> dict[str, Any]:
        """Ask for something, once only however often it is sent."""
        return await self._ask("POST", path, {"Idempotency-Key": key}, body)

    async def get(self, path: str) -> dict[str, Any]:
        return await self._ask("GET", path, {}, None)

    async def _ask(self, method: str, path: str, headers: dict[str, str], body: Any) -> dict[str, Any]:
        deadline = time.monotonic() + GIVES_UP
        pause, patience = 0.1, PATIENCE
        while True:
            began = time.monotonic()
            answer = await self._send(next(self._apis), method, path, headers, body, patience)
            if answer is None and time.monotonic() - began >= patience:
                patience = min(patience * 2, LONGEST_PATIENCE)
            if answer is not None and answer.is_success:
                found: dict[str, Any] = answer.json()
                return found
            if answer is not None and answer.status_code not in AGAIN:
                self._note_odd(method, path, answer)
            if time.monotonic() > deadline:
                raise Unanswered(f"{method} {path}")
            self.figures.sent_again += 1
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 1.0)

    async def _send(
        self,
        api: httpx2.AsyncClient,
        method: str,
        path: str,
        headers: dict[str, str],
        body: Any,
        patience: float,
    ) -> httpx2.Response | None:
        began = time.monotonic()
        try:
            return await api.request(method, path, headers=headers, json=body, timeout=patience)
        except httpx2.TransportError as error:
            logger.debug("%s %s: %s", method, path, error or type(error).__name__)
            return None
        finally:
            self.figures.answers += 1
            took = time.monotonic() - began
            if took > SLOW:
                self.figures.slow += 1
                logger.info("%s %s at %s took %.1f s", method, path, api.base_url, took)

    def _note_odd(self, method: str, path: str, answer: httpx2.Response) -> None:
        odd = f"{method} {path}: {answer.status_code} {answer.text[:200]}"
        logger.error("odd answer: %s", odd)
        self.figures.odd.append(odd)
        if answer.status_code < 500:
            raise Refused(odd)


@asynccontextmanager
async def client_of(addresses: Sequence[str], headers: dict[str, str]) -> AsyncIterator[Client]:
    async with AsyncExitStack() as opened:
        apis = [
            await opened.enter_async_context(
                httpx2.AsyncClient(base_url=f"{address}/api/v2", headers=headers)
            )
            for address in addresses
        ]
        yield Client(apis)
