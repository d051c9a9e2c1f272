"""Run by Alembic, which loads this file by its path: the migrations on the connection given."""

from alembic import context

from service.storage.schema import METADATA

# Both databases undo a change of the schema with its transaction. Alembic thinks that SQLite does
# not, as Python's driver would not begin one; ours is begun.
context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
