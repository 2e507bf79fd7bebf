"""Pages about the registered models: their history, two versions side by side."""
