"""The steps that bring a database to the schema of this release; Alembic runs them."""
