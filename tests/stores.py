"""Stores of every kind with objects in them, for tests that sync from them."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import obstore

from storage.buckets import store_of
from storage.sources import Source

WRITTEN = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


@dataclass
class Bucket:
    """A prefix of its own in a store, and how objects are put and removed there."""

    source: Source

    @property
    def folder(self) -> Path:
        """Where it lies, if it is a folder."""
        return Path((self.source.endpoint_url or "").removeprefix("file://")) / self.source.bucket

    def path(self, key: str) -> str:
        """The whole key."""
        return f"{self.source.prefix}/{key}" if self.source.prefix else key

    async def put(self, objects: Mapping[str, bytes]) -> None:
        for key, content in objects.items():
            if self.source.is_folder:
                file = self.folder / self.path(key)
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
                os.utime(file, (WRITTEN.timestamp(), WRITTEN.timestamp()))
            else:
                await obstore.put_async(store_of(self.source), self.path(key), content)

    async def remove(self, *keys: str) -> None:
        for key in keys:
            if self.source.is_folder:
                (self.folder / self.path(key)).unlink()
            else:
                await obstore.delete_async(store_of(self.source), self.path(key))


def bucket_of(s3: Source) -> Bucket:
    """A prefix of its own in an S3 server."""
    return Bucket(replace(s3, prefix=f"{uuid4()}"))


def folder_in(root: Path) -> Bucket:
    """A folder of its own under an allowed root."""
    bucket = Bucket(Source(f"bucket-{uuid4()}", "captures", endpoint_url=f"file://{root}", trusted=True))
    bucket.folder.mkdir(parents=True)
    return bucket
