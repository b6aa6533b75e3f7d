"""Check that stdin is a sound report of as many rows as the argument says.

Run as `gembench simulate --json - | python ci/check_report.py 80`.
"""

import json
import sys


def main() -> None:
    """Exit with a message where something is wrong."""
    report = json.load(sys.stdin)
    rows = report["rows"]
    if len(rows) != int(sys.argv[1]):
        sys.exit(f"the report has {len(rows)} rows, not {sys.argv[1]}.")
    for row in rows:
        if not 1 <= row["mean_rank"] <= row["num_models"]:
            sys.exit(f"{row['policy']} on {row['tensor']}: a mean rank of {row['mean_rank']} is none.")
        if row["pulls_max"] > row["budget"]:
            sys.exit(f"{row['policy']} on {row['tensor']}: {row['pulls_max']} pulls, but a budget of {row['budget']}.")


if __name__ == "__main__":
    main()
