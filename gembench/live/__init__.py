"""Driving live evaluators: queries out, graded cells in, a journal that keeps them."""
