"""What runs a stored model without Keras' training code."""
