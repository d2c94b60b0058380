"""One face for every store: buckets over the network and folders of this machine."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from storage import buckets
from storage.folders import Folders
from storage.sources import Page, Source


class Stores:
    """Reads sources of every kind; `roots` are the folders under which buckets may be folders."""

    def __init__(self, roots: Sequence[Path] = ()) -> None:
        self.folders = Folders(roots)

    def pages(
        self, source: Source, subdir: str | None = None, after: str | None = None
    ) -> AsyncGenerator[Page, None]:
        """The objects of a source, a page at a time; those `after` a key, if one is given. Raises StorageError."""
        kind = self.folders if source.is_folder else buckets
        return kind.pages(source, subdir, after)

    def chunks(self, source: Source, key: str) -> AsyncGenerator[bytes, None]:
        """An object from its beginning; who has seen enough stops. Raises StorageError."""
        kind = self.folders if source.is_folder else buckets
        return kind.chunks(source, key)
