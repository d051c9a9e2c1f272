"""What goes out: scores written back to where a company looks at its deals."""
