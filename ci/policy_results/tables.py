"""The tables of a section of docs/policy-results.md: a row a policy, a column an N."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from gembench.intervals import mean_interval, resampled_means
from policy_results.plan import Plan, Row, Section

TAIL = 0.025


@dataclass(frozen=True)
class Ratio:
    """How a policy's mean rank stands to the reference's, geometric over races, with its 95% interval."""

    value: float
    low: float
    high: float

    @property
    def is_better(self) -> bool:
        """Whether the whole interval lies below 1."""
        return self.high < 1

    @property
    def is_worse(self) -> bool:
        """Whether it lies above 1."""
        return self.low > 1

    def __str__(self) -> str:
        value = f"**{self.value:.2f}**" if self.is_better else f"{self.value:.2f}"
        return f"{value}{' ✗' if self.is_worse else ''}<br>{self.low:.2f}–{self.high:.2f}"


class Lookup:
    """What was measured of a plan."""

    def __init__(self, plan: Plan, results: Mapping[tuple, dict]):
        self.plan, self._results = plan, results

    def lines(self, section: Section, row: Row, num_each: int) -> list[dict] | None:
        """The lines of a cell of the table, one for each race; None where one is missing or failed."""
        lines = [self.line(race, row, num_each) for race in section.races]
        return None if any(line is None or "failed" in line for line in lines) else lines

    def line(self, race: str, row: Row, num_each: int) -> dict | None:
        """What the results file has of a cell, also where it failed."""
        cell = self.plan.cell(race, row, num_each)
        return None if cell is None else self._results.get(cell.key)

    def ratio(self, section: Section, row: Row, num_each: int) -> Ratio | None:
        """Of a cell, in the runs that both have."""
        own, base = (self.lines(section, each, num_each) for each in (row, section.rows[0]))
        return None if own is None or base is None else ratio_of_ranks(own, base)


def ratio_of_ranks(own: list[dict], base: list[dict]) -> Ratio:
    """The ratio over some races. Run r met the same query order in both, so runs are resampled as pairs."""
    num_runs = min(len(line["rank"]) for line in (*own, *base))
    ranks = np.array([[line["rank"][:num_runs] for line in lines] for lines in (own, base)], np.float64)
    log_ratio = np.log(ranks.mean(axis=2)[0] / ranks.mean(axis=2)[1]).mean()
    own_means, base_means = np.moveaxis(resampled_means(np.moveaxis(ranks, 2, 0)), 1, 0)
    low, high = np.quantile(np.log(own_means / base_means).mean(axis=1), [TAIL, 1 - TAIL])
    return Ratio(*(float(np.exp(each)) for each in (log_ratio, low, high)))


def mean_rank(lines: list[dict]) -> str:
    """The mean rank; of several races, the geometric mean of theirs."""
    ranks = np.array([line["rank"] for line in lines], np.float64)
    low, high = np.exp(np.quantile(np.log(resampled_means(ranks.T)).mean(axis=1), [TAIL, 1 - TAIL]))
    return f"{np.exp(np.log(ranks.mean(axis=1)).mean()):.1f}<br>{low:.1f}–{high:.1f}"


def simple_regret(lines: list[dict]) -> str:
    """In points of accuracy, the mean over runs and races."""
    points = np.mean([100 * np.array(line["missed"]) / line["num_queries"] for line in lines], axis=0)
    low, high = mean_interval(points)
    return f"{points.mean():.2f}<br>{low:.2f}–{high:.2f}"


def spent(lines: list[dict]) -> str:
    """Distinct queries, and the share of the budget that was spent where it is not all."""
    distinct = np.mean([line["distinct_queries"] for line in lines])
    share = np.mean([line["pulls"] / (line["num_each"] * line["num_models"]) for line in lines])
    return f"{distinct:,.0f}" if share > 0.995 else f"{distinct:,.0f}<br>{share:.0%}"


def section_tables(lookup: Lookup, section: Section) -> list[str]:
    """All tables of a section as lines of Markdown; none where nothing of it was measured."""
    cells = (lookup.lines(section, row, number) for row in section.rows for number in section.num_each)
    of_races = next((lines for lines in cells if lines is not None), None)
    if of_races is None:
        return []
    sizes = dict.fromkeys(f"{line['num_models']:,} models, {line['num_queries']:,} queries" for line in of_races)

    def ratio(row: Row, num_each: int) -> str:
        found = lookup.ratio(section, row, num_each)
        return "" if found is None else str(found)

    def of_lines(text: Callable[[list[dict]], str]) -> Callable[[Row, int], str]:
        def cell(row: Row, num_each: int) -> str:
            lines = lookup.lines(section, row, num_each)
            return "" if lines is None else text(lines)

        return cell

    others = section.rows[1:]
    return [
        f"### {section.title}",
        "",
        f"{'; '.join(sizes)}. Mean rank relative to the reference:",
        "",
        *_table(others, section.num_each, ratio),
        "",
        *_folded("Mean rank", _table(section.rows, section.num_each, of_lines(mean_rank))),
        *_folded("Simple regret in points", _table(section.rows, section.num_each, of_lines(simple_regret))),
        *_folded(
            "Distinct queries, and the share of the budget spent where it is not all",
            _table(section.rows, section.num_each, of_lines(spent)),
        ),
        *_failures(lookup, section),
    ]


def _table(rows: tuple[Row, ...], num_each: tuple[int, ...], text: Callable[[Row, int], str]) -> list[str]:
    cells = {row: [text(row, number) for number in num_each] for row in rows}
    lines = [[row.label, *texts] for row, texts in cells.items() if any(texts)]
    head = ["policy", *(f"N = {number}" for number in num_each)]
    return ["| " + " | ".join(line) + " |" for line in (head, ["---"] * len(head), *lines)]


def _folded(title: str, table: list[str]) -> list[str]:
    # GitHub reads Markdown inside HTML after an empty line.
    return [f"<details><summary>{title}</summary>", "", *table, "", "</details>", ""]


def _failures(lookup: Lookup, section: Section) -> list[str]:
    """A line for each policy that could not be measured somewhere, and why."""
    told = []
    for row in section.rows:
        reasons = {}
        for num_each in section.num_each:
            for race in section.races:
                line = lookup.line(race, row, num_each)
                if line is not None and "failed" in line:
                    reasons.setdefault(line["failed"], set()).add(num_each)
        told += [
            f"- {row.label} at N = {', '.join(map(str, sorted(numbers)))} is left out: {reason}."
            for reason, numbers in reasons.items()
        ]
    return [*told, ""] if told else []
