"""Measures every policy on every tensor at N = 5 to 200, beside accelerated sequential halving: docs/policy-results.md.

    python ci/policy_page.py --results FILE [--folder TENSORS]            # measures what FILE does not have yet
    python ci/policy_page.py --results FILE [--folder TENSORS] --write    # writes the page from what FILE has

Each cell is a line of FILE as soon as it is measured, so that the command can be stopped and goes on where it was.
Sections, policies and Ns are in ci/policy_results/plan.py; of the folder's tensors, those named in races.py.
"""

import sys
import time
from pathlib import Path

import click
import jax
from policy_results.findings import findings
from policy_results.measuring import measure_cells
from policy_results.plan import REFERENCE, SLOW, SLOW_N, SLOW_RUNS, Plan, all_sections
from policy_results.results_file import append_result, is_settled, read_results
from policy_results.tables import Lookup, section_tables

from gembench.jax_setup import num_cores

PAGE = Path(__file__).parents[1] / "docs" / "policy-results.md"
BEGIN, END = "<!-- made by ci/policy_page.py: begin -->\n", "<!-- made by ci/policy_page.py: end -->\n"
_SECONDS_BETWEEN_NEWS = 10


@click.command()
@click.option("--results", "path", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path), required=True)
@click.option("--folder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Of real tensors (.npz).")
@click.option("--section", "keys", multiple=True, help="Measure only this one; may be repeated.")
@click.option("-p", "--policy", "names", multiple=True, help="Measure only this one, and the reference.")
@click.option("-n", "--queries-per-model", "numbers", type=int, multiple=True, help="Measure only this N.")
@click.option("--runs", type=click.IntRange(min=20), default=100, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--full", is_flag=True, help="Every policy at every N in all runs.")
@click.option(
    "--limit", type=click.FloatRange(min=0, min_open=True), default=120.0, show_default=True, help="Seconds for a cell."
)
@click.option("--jobs", type=click.IntRange(min=1), default=num_cores, show_default="the cores", help="At once.")
@click.option("--write", is_flag=True, help=f"Measure nothing; put FILE into {PAGE.name}.")
def main(path, folder, keys, names, numbers, runs, seed, full, limit, jobs, write):
    """Measure what is not measured yet, or write the page."""
    plan = Plan(all_sections(folder, full), runs, seed, full)
    known = [section.key for section in plan.sections]
    if unknown := set(keys) - set(known):
        raise click.UsageError(f"no section {', '.join(sorted(unknown))}; there are {', '.join(known)}.")
    results = read_results(path)
    if write:
        write_page(make_page(plan, results))
        return
    batches = missing_batches(plan, results, limit, keys or known, names, numbers)
    total, counted = sum(map(len, batches)), 0
    started, last_news = time.monotonic(), 0.0

    def note(cell, outcome):
        nonlocal last_news, counted
        results[cell.key] = append_result(path, cell, outcome)
        counted += 1
        if "failed" in outcome:
            click.echo(f"{cell.race}, {cell.row.label} at N = {cell.num_each}: {outcome['failed']}", err=True)
        if time.monotonic() > last_news + _SECONDS_BETWEEN_NEWS or counted == total:
            last_news = time.monotonic()
            click.echo(f"{counted:,} of {total:,} cells in {last_news - started:,.0f} s", err=True)

    measure_cells(batches, folder, jobs, limit, note)


def write_page(made):
    """Put it between the marks."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}", encoding="utf-8")


def missing_batches(plan, results, limit, keys, names, numbers):
    """The cells that are to be measured, those of one row of a section together."""
    batches, planned = [], set()
    for section in plan.sections:
        for row in section.rows if section.key in keys else ():
            if names and row.name not in {REFERENCE, *names}:
                continue
            cells = [cell for cell in plan.cells(section, row) if not numbers or cell.num_each in numbers]
            missing = [cell for cell in cells if not is_settled(results.get(cell.key), limit)]
            batches.append([cell for cell in missing if cell.key not in planned])
            planned.update(cell.key for cell in missing)
    return [batch for batch in batches if batch]


def make_page(plan, results):
    """What was measured of the plan, as Markdown."""
    lookup = Lookup(plan, results)
    tables = {section: section_tables(lookup, section) for section in plan.sections}
    measured = [section for section in plan.sections if tables[section]]
    slow = f"; {min(SLOW_RUNS, plan.runs)}, and at N = {', '.join(map(str, SLOW_N))} only, of `{'`, `'.join(SLOW)}`"
    lines = [
        f"{plan.runs} runs (seed {plan.seed}){'' if plan.is_full else slow}. JAX {jax.__version__}.",
        "",
        *findings(lookup, [section for section in measured if section.key != "ablation"]),
        *(line for section in measured for line in tables[section]),
    ]
    if missing := [f"`{section.key}`" for section in plan.sections if not tables[section]]:
        lines += [f"Not measured: {', '.join(missing)}.", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
