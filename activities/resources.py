"""What activities work with, made once by the worker."""

from dataclasses import dataclass, field

from activities.watching import Watch
from db.connections import Database


@dataclass(frozen=True)
class Resources:
    """Given to every class of activities."""

    database: Database
    watch: Watch = field(default_factory=Watch)
    """Who wants to know at once what happens to a job."""
