"""Measurements, as ratios within one run: `make bench`. Not tests: nothing here fails for being slow."""
