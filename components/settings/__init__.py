"""Every setting: one frozen dataclass per stage. Standard library only."""
