"""A real S3 server, for the tests that need one."""

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import obstore
import pytest

from embedded.child import Child
from embedded.ports import LOOPBACK, free_port
from storage.buckets import store_of
from storage.sources import Source

KEYS = {"moth": "moth-secret", "amistorage": "amistorage"}
"""Of those who may do everything; the second are the keys of the recorded source."""


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Source]:
    """One server for the session; who wants to be alone takes a prefix."""
    with s3_server(tmp_path_factory.mktemp("s3")) as source:
        yield source


@contextmanager
def s3_server(folder: Path) -> Iterator[Source]:
    """SeaweedFS with one bucket, as a source that reaches all of it; who puts an object into another makes that."""
    identities = [
        {
            "name": access_key,
            "credentials": [{"accessKey": access_key, "secretKey": secret_key}],
            "actions": ["Admin", "Read", "Write", "List"],
        }
        for access_key, secret_key in KEYS.items()
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    ports = {name: free_port() for name in ("master", "volume", "filer", "s3")}
    command = [
        str(Path(sys.executable).parent / "weed"),
        f"-logdir={folder}",
        "server",
        f"-ip={LOOPBACK}",
        f"-ip.bind={LOOPBACK}",
        f"-dir={folder}",
        "-filer",
        "-s3",
        f"-s3.config={folder / 's3.json'}",
        "-master.volumeSizeLimitMB=64",
        # each bucket takes several; with the eight that are usual a second bucket may find none left
        "-volume.max=200",
        *(f"-{name}.port={port}" for name, port in ports.items()),
        *(f"-{name}.port.grpc={free_port()}" for name in ports),
        # what it serves besides, on ports of its own choice
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
    ]
    # nobody needs its files afterwards, and it takes its time to close them
    server = Child("seaweedfs", command, folder / "weed.log", stop_signal=signal.SIGKILL)
    source = Source(
        "moths",
        access_key="moth",
        secret_key=KEYS["moth"],
        endpoint_url=f"http://{LOOPBACK}:{ports['s3']}",
        trusted=True,
    )

    def takes_objects() -> bool:
        try:
            httpx2.get(source.endpoint_url or "", timeout=1)
            obstore.put(store_of(source), "ready.txt", b"ready")
        except (httpx2.HTTPError, obstore.exceptions.BaseError):
            return False
        return True

    server.start()
    try:
        server.wait_until(takes_objects, seconds=60)
        yield source
    finally:
        server.stop()
