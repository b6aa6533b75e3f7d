"""Every policy on every tensor: what is raced, how it is measured, and the tables of docs/policy-results.md."""
