"""The leaderboard as static pages, which need no server and ask nothing of one."""
