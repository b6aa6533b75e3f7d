"""gembench: find the best fine-tuned checkpoints with the fewest queries."""
