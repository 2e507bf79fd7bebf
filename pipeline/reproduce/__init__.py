"""Make a registered version again from what was recorded of it, and say how far the two are the same."""
