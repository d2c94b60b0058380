"""Reaching Temporal: the connection that every process makes."""

import asyncio
import atexit
import logging
import time
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr
from temporalio.client import Client
from temporalio.service import GrpcCompression, RPCError, TLSConfig

logger = logging.getLogger("nightjar.temporal")


class Settings(Protocol):
    """What of the settings says where Temporal is (see config)."""

    @property
    def temporal_address(self) -> str: ...
    @property
    def temporal_namespace(self) -> str: ...
    @property
    def temporal_tls(self) -> bool: ...
    @property
    def temporal_api_key(self) -> SecretStr | None: ...
    @property
    def temporal_tls_ca(self) -> Path | None: ...
    @property
    def temporal_tls_cert(self) -> Path | None: ...
    @property
    def temporal_tls_key(self) -> Path | None: ...


LONGEST_ATTEMPT = 10.0
"""Seconds: a server may hang instead of refusing."""
LONGEST_PAUSE = 15.0


def tls(settings: Settings) -> TLSConfig | bool:
    """How to speak TLS to Temporal, if at all."""
    files = (settings.temporal_tls_ca, settings.temporal_tls_cert, settings.temporal_tls_key)
    if not any(files):
        return settings.temporal_tls
    ca, cert, key = (None if file is None else file.read_bytes() for file in files)
    return TLSConfig(server_root_ca_cert=ca, client_cert=cert, client_private_key=key)


def compression(address: str) -> GrpcCompression:
    """None on the machine itself, where it only costs CPU time: a tenth of that of a short job."""
    host = address.rpartition(":")[0]
    local = host == "localhost" or host.startswith("127.") or host == "[::1]"
    return GrpcCompression.NONE if local else GrpcCompression.GZIP


@atexit.register
def let_go() -> None:
    """Let the SDK's threads finish what the last answer began, before the interpreter is taken apart.

    A process that ends right after its last call to Temporal aborts otherwise, once in a while, in a thread that
    lets go of the interpreter too late (temporalio/sdk-python issue 300: clients cannot be closed).
    """
    for _ in range(5):
        time.sleep(0.02)


async def connect(settings: Settings, *, lazy: bool = False) -> Client:
    """A client for the namespace of the settings; a lazy one connects at its first call."""
    api_key = settings.temporal_api_key
    return await Client.connect(
        settings.temporal_address,
        namespace=settings.temporal_namespace,
        tls=tls(settings),
        api_key=None if api_key is None else api_key.get_secret_value(),
        connect_timeout=timedelta(seconds=5),
        lazy=lazy,
        grpc_compression=compression(settings.temporal_address),
    )


async def connect_once_reachable(settings: Settings) -> Client:
    """A client for the namespace of the settings, as soon as Temporal answers; a line in the log for each attempt."""
    pause = 1.0
    while True:
        try:
            async with asyncio.timeout(LONGEST_ATTEMPT):
                return await connect(settings)
        except (RPCError, RuntimeError, TimeoutError) as error:
            reason = str(error) or type(error).__name__
            logger.warning(
                "Temporal at %s cannot be reached: %s; trying again in %.0f s",
                settings.temporal_address,
                reason,
                pause,
            )
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
