"""Synchronous data-parallel training with several processes, on one machine or on several."""
