"""The networks, one module each: a function of the module's name that returns a list of blocks."""
