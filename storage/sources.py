"""What a storage source is, what a listing of it tells, and what can go wrong with it (domain 1.2, 3.3, 3.6)."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple
from urllib.parse import urlsplit

from storage.places import FOLDER, folder

PAGE = 1000
"""Objects of one page of a listing: as many as a store gives at once."""


@dataclass(frozen=True)
class Source:
    """A bucket, and how it is reached."""

    bucket: str
    prefix: str = ""
    region: str | None = None
    access_key: str = ""
    secret_key: str = field(default="", repr=False)
    endpoint_url: str | None = None
    """Null for AWS itself; `file:///…` if the bucket is a folder in that folder of this machine."""
    public_base_url: str | None = None
    """Below which anybody can fetch what is in the bucket."""
    trusted: bool = False
    """Whether a superuser vouches for where it lies: it may be a folder, or in a network that is not public."""

    @property
    def is_folder(self) -> bool:
        return (self.endpoint_url or "").startswith(FOLDER)

    @property
    def host(self) -> str | None:
        """The name or address of the store; None for AWS, a folder, and what cannot be an address."""
        try:
            return urlsplit(self.endpoint_url or "").hostname or None
        except ValueError:
            return None

    def holds(self, key: str) -> bool:
        """Whether a key lies under the prefix, and does not lead out of it."""
        begin = folder(self.prefix)
        return not begin or (key.startswith(begin) and ".." not in key[len(begin) :].split("/"))


class StoredObject(NamedTuple):
    """One object, as a listing tells of it."""

    key: str
    size: int
    last_modified: datetime
    etag: str | None


class Page(NamedTuple):
    """What a listing gives at once."""

    objects: list[StoredObject]
    unreadable: tuple[str, ...] = ()
    """Folders whose content cannot be read, with the reason; only where buckets are folders."""


class StorageError(Exception):
    """A store that does not do what it is asked; `code` is one of domain 3.6, or the store's own."""

    def __init__(self, code: str, message: str, *, passing: bool) -> None:
        super().__init__(message)
        self.code = code
        self.passing = passing
        """Whether trying again may help."""
