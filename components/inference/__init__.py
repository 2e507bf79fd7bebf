"""What runs a stored model, without the code that trained it."""
