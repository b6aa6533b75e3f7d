"""The leaderboard: policies scored on one fixed benchmark, and what the scores can be said to show."""
