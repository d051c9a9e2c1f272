"""The simulated company: its worlds, its deals, what they show and the exact truth about them."""
