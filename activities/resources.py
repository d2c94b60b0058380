"""What activities work with, made once by the worker."""

from dataclasses import dataclass, field

from activities.job_signals import JobSignals
from db.connections import Database
from storage.stores import Stores


@dataclass(frozen=True)
class Resources:
    """Given to every class of activities."""

    database: Database
    signals: JobSignals = field(default_factory=JobSignals)
    """Who wants to know at once what happens to a job."""
    stores: Stores = field(default_factory=Stores)
    """Where captures lie."""
