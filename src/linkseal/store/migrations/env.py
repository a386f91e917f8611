"""Alembic's entry: migrate over the connection the store hands in."""

from alembic import context

from linkseal.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
