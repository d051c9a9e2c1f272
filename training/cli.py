"""The commands that make up, read and learn from deals: simulate, import and train."""
