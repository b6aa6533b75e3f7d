"""The search policies, one file each."""
