"""Slow twins of the policies, in plain Python and NumPy, written from the papers and not from the package's code."""
