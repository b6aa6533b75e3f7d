"""The tensor: who answered what correctly."""
