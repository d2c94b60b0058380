"""Buckets that are folders of this machine: a NAS that is mounted, a disk from the field.

Only what lies under the roots that the operator allows is ever touched, and links are not followed out of them.
*Why not the client library's own listing:* it follows links wherever they lead, and gives files in the order of the
disk, in which nothing can go on after a key.
"""

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote, urlsplit

from storage.pictures import BEGINNING, kind_of
from storage.places import folder, is_picture, shown
from storage.sources import PAGE, Page, Source, StorageError, StoredObject

CHUNK = 64 * 1024
NOT_ALLOWED = "NotAllowed"
ADVICE = (
    "Only a superuser can have a source be a folder of the server: ask one to save the address of this source,"
    " or the operator to allow it to all (NIGHTJAR_STORAGE_FOLDERS_FOR=managers)"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Folders:
    """The roots under which buckets may be folders; none if there are none."""

    def __init__(self, roots: Sequence[Path] = (), *, for_all: bool = False) -> None:
        """`for_all` has any source be a folder under a root, not only one that is trusted."""
        self.roots = tuple(root.resolve() for root in roots)
        self.for_all = for_all

    def top(self, source: Source) -> Path:
        """The folder that is the bucket; raises StorageError if the source may be none, or it is not under a root."""
        if not (source.trusted or self.for_all):
            raise StorageError(NOT_ALLOWED, ADVICE, passing=False)
        place = Path(unquote(urlsplit(source.endpoint_url or "").path)) / source.bucket
        # no path has a zero in it, and to look for one is an error of its own
        real = Path() if "\0" in str(place) else place.resolve()
        if not any(real == root or root in real.parents for root in self.roots):
            raise StorageError(
                NOT_ALLOWED, "The folder is not under a root that this server allows", passing=False
            )
        return real

    def within(self, source: Source) -> Path:
        """The folder in the bucket that the prefix names: all of the source lies in it. Raises StorageError."""
        top = self.top(source)
        real = (top / folder(source.prefix)).resolve()
        if real != top and top not in real.parents:
            raise StorageError(NOT_ALLOWED, "The prefix leads out of the bucket", passing=False)
        return real

    def file(self, source: Source, key: str) -> Path:
        """The file of a key; raises StorageError if there is none under the prefix."""
        top, within = self.top(source), self.within(source)
        real = Path() if "\0" in key else (top / key).resolve()
        if within not in real.parents or not real.is_file():
            raise StorageError("NoSuchKey", f"There is no file {key!r} in the folder", passing=False)
        return real

    def picture(self, source: Source, key: str) -> tuple[Path, str]:
        """The file of a key and its media type, if it is a picture by its name and by its content.

        Raises StorageError if not, and OSError.
        """
        path = self.file(source, key)
        with path.open("rb") as opened:
            kind = kind_of(opened.read(BEGINNING))
        if kind is None or not is_picture(key):
            raise StorageError("NoSuchKey", f"The file {key!r} is no picture", passing=False)
        return path, kind

    async def pages(
        self, source: Source, subdir: str | None = None, after: str | None = None
    ) -> AsyncGenerator[Page, None]:
        """The files of a bucket in the order of their keys, a page at a time; those `after` a key, if one is given.

        Raises StorageError if the bucket cannot be read; a folder in it that cannot is told of with its page.
        """
        walk = self._pages(source, folder(source.prefix, subdir), after or "")
        while True:
            try:
                page = await asyncio.to_thread(next, walk, None)
            except OSError as error:
                raise meaning_of(error) from error
            if page is None:
                return
            yield page

    def _pages(self, source: Source, begin: str, after: str) -> Iterator[Page]:
        top, within = self.top(source), self.within(source)
        os.stat(top)  # noqa: PTH116 - raises what is wrong with the bucket itself
        start = (top / begin).resolve()
        if start != within and within not in start.parents:
            raise StorageError(NOT_ALLOWED, "The subdirectory leads out of the prefix", passing=False)
        objects: list[StoredObject] = []
        unreadable: list[str] = []
        for found in _walk(str(start), begin, after):
            if isinstance(found, str):
                unreadable.append(found)
                continue
            objects.append(found)
            if len(objects) == PAGE:
                yield Page(objects, tuple(unreadable))
                objects, unreadable = [], []
        if objects or unreadable:
            yield Page(objects, tuple(unreadable))

    async def chunks(self, source: Source, key: str) -> AsyncGenerator[bytes, None]:
        """A file from its beginning. Raises StorageError."""
        try:
            path = await asyncio.to_thread(self.file, source, key)
            opened = await asyncio.to_thread(path.open, "rb")
            try:
                while chunk := await asyncio.to_thread(opened.read, CHUNK):
                    yield chunk
            finally:
                opened.close()
        except OSError as error:
            raise meaning_of(error) from error


def _walk(path: str, key: str, after: str) -> Iterator[StoredObject | str]:
    """The files below a folder in the order of their keys, and words on folders that cannot be read.

    The names of one folder are held at a time. A folder sorts with the slash at its end, as keys do.
    """
    try:
        with os.scandir(path) as entries:
            names = [
                f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name for entry in entries
            ]
    except (FileNotFoundError, NotADirectoryError):
        return  # a prefix under which there is nothing, or a folder that has just been removed
    except PermissionError as error:
        yield f"{shown(key)}: {error.strerror}"
        return
    names.sort()
    for name in names:
        full = key + name
        if name.endswith("/"):
            # all that is in a folder comes before `after`, or none of it, unless that lies in it
            if full >= after or after.startswith(full):
                yield from _walk(f"{path}/{name[:-1]}", full, after)
        elif full > after and (found := _stored(f"{path}/{name}", full)) is not None:
            yield found


def _stored(path: str, key: str) -> StoredObject | None:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    modified = _EPOCH + timedelta(microseconds=found.st_mtime_ns // 1000)
    return StoredObject(key, found.st_size, modified, None)


def meaning_of(error: OSError) -> StorageError:
    """What an error of the system means."""
    words = f"The folder cannot be read: {error.strerror or error}"
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return StorageError("NoSuchBucket", "There is no such folder", passing=False)
    if isinstance(error, PermissionError):
        return StorageError("InvalidCredentials", words, passing=False)
    # a NAS that does not answer, a disk that was pulled out
    return StorageError("EndpointConnectionError", words, passing=True)
