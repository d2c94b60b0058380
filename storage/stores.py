"""One face for every store: buckets over the network and folders of this machine."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path

from storage import buckets
from storage.egress import Egress, Reach
from storage.folders import Folders
from storage.networks import Networks
from storage.sources import Page, Source


class Stores:
    """Reads sources of every kind. To be closed."""

    def __init__(
        self,
        roots: Sequence[Path] = (),
        *,
        networks: Networks | None = None,
        folders_for_all: bool = False,
        egress: Egress | None = None,
    ) -> None:
        """`roots` are the folders under which buckets may be folders, `networks` those that any source may reach.

        `folders_for_all` has any source be a folder, not only one that is trusted.
        """
        self.folders = Folders(roots, for_all=folders_for_all)
        self.egress = egress or Egress(networks)

    def pages(
        self, source: Source, subdir: str | None = None, after: str | None = None
    ) -> AsyncGenerator[Page, None]:
        """The objects of a source, a page at a time; those `after` a key, if one is given. Raises StorageError."""
        if source.is_folder:
            return self.folders.pages(source, subdir, after)
        return buckets.pages(source, subdir, after, self.egress)

    def chunks(self, source: Source, key: str) -> AsyncGenerator[bytes, None]:
        """An object from its beginning; who has seen enough stops. Raises StorageError."""
        if source.is_folder:
            return self.folders.chunks(source, key)
        return buckets.chunks(source, key, self.egress)

    async def reach(self, source: Source) -> Reach:
        """Whether a source that nobody vouches for could lie there, as far as can be told now."""
        if source.is_folder:
            return Reach.ALLOWED if self.folders.for_all else Reach.PRIVATE
        return await self.egress.reach(source)

    async def close(self) -> None:
        """End what goes on in the background."""
        await self.egress.close()
