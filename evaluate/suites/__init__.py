"""The suites that ship: a YAML file a suite, and the harness tasks that need no download."""
