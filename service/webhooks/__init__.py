"""What CRMs send: each delivery verified over its raw bytes, kept, and later told as events."""
