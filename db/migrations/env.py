"""Alembic's entry point: where the database is, and what the tables should be."""

import sqlalchemy as sa
from alembic import context

from config import Settings
from db.tables import Base


def run_migrations() -> None:
    """Run on the connection handed in by the caller, else on one of our own."""
    connection = context.config.attributes.get("connection")
    if connection is not None:
        _run(connection)
        return
    engine = sa.create_engine(Settings().database_url)
    with engine.begin() as own:
        _run(own)
    engine.dispose()


def _run(connection: sa.Connection) -> None:
    context.configure(connection=connection, target_metadata=Base.metadata, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()


run_migrations()
