"""What activities work with, made once by the worker."""

from dataclasses import dataclass, field

from activities.news import News
from db.connections import Database
from storage.stores import Stores


@dataclass(frozen=True)
class Resources:
    """Given to every class of activities."""

    database: Database
    news: News = field(default_factory=News)
    """Who wants to know at once what happens to a job."""
    stores: Stores = field(default_factory=Stores)
    """Where captures lie."""
