"""Live answers: evaluators and their suites."""
