"""Export: the model in every format, measured against Keras."""
