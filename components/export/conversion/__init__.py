"""How a model is converted to another file format, so that equal models give equal bytes."""
