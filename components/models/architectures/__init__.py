"""The networks: each module has a function of its own name that returns a list of blocks."""
