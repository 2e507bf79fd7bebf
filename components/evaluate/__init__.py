"""Evaluate: everything that is measured on the test split, and the gate."""
