"""The shared language and the mathematics of Redflare: pure, with time always passed in."""
