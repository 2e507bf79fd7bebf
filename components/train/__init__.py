"""Train: one network or an ensemble, from first weights to the best ones."""
