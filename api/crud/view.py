"""For whom something is shown: what they may do with it, and the addresses that they can follow."""

from dataclasses import dataclass

from api.auth.signed_files import Signer
from api.http.links import Links
from db.user_rows import User


@dataclass(frozen=True)
class View:
    """`user` is null for anonymous."""

    user: User | None
    links: Links
    signer: Signer | None = None
    """Makes addresses of files that lie in folders; null where none can be given."""
