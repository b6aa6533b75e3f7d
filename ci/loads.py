"""What the policies cost in model loads and seconds on the recorded SmolLM2 tree, as Markdown.

Run: python ci/loads.py    (half a minute)
"""

import sys

from gembench.experiment import Settings, make_policies, plan_contests, run_contests
from gembench.load_race import load_race

TENSOR = "smollm2-135m"
POLICIES = ("accelerated_sequential_halving", "sequential_halving", "ucb_e", "ttts")
QUERIES_PER_MODEL = (10, 50)
NUM_RUNS = 1000


def main() -> int:
    loaded = load_race(TENSOR)
    race = loaded.race
    print(f"{loaded.num_models} models x {loaded.num_queries} queries; {race.load_seconds.mean():.2f} s a load and")
    print(f"{race.query_seconds.mean():.3f} s a query on average, as recorded; {NUM_RUNS:,} runs, seed 0.\n")
    print("| N | policy | mean rank | pulls | model loads | seconds | of it loading |")
    print("|---|---|---|---|---|---|---|")
    contests = plan_contests([loaded], make_policies(POLICIES), QUERIES_PER_MODEL)
    for result in run_contests(contests, Settings(num_runs=NUM_RUNS)):
        row = result.row
        loading = row.model_loads_mean * race.load_seconds.mean() / row.cost_seconds_mean
        print(
            f"| {row.queries_per_model:g} | {row.policy} | {row.mean_rank:.2f} | {row.pulls_mean:,.0f} | "
            f"{row.model_loads_mean:,.0f} | {row.cost_seconds_mean:,.0f} | {loading:.0%} |"
        )
    cells = loaded.num_models * loaded.num_queries
    seconds = float(race.load_seconds.sum() + race.query_seconds.sum() * loaded.num_queries)
    print(
        f"| – | every cell | 1.00 | {cells:,} | {loaded.num_models} | {seconds:,.0f} | "
        f"{race.load_seconds.sum() / seconds:.0%} |"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
