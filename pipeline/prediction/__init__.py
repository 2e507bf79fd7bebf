"""What `python -m pipeline predict` does: reads pictures, has a published model classify them, writes the rows."""
