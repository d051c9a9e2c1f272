"""What the service keeps: one schema in SQLite or PostgreSQL, a module for each noun in it."""
