"""The weekly forecast review: one page that a sales leader runs the meeting from."""
