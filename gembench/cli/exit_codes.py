"""How a command ends, but for 0, done, and those of the classes in `gembench.errors`."""

FAILED = 1
SOME_FAILED = 3
"""Done, but some models or logs could not be used."""
INTERRUPTED = 130
