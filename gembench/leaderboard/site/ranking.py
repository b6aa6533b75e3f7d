"""The page of the ranking: its table, the charts, and the numbers by budget and by tensor."""

from collections.abc import Sequence
from dataclasses import dataclass

from gembench.leaderboard.benchmark import Benchmark
from gembench.leaderboard.entry import Published
from gembench.leaderboard.relative import Estimate
from gembench.leaderboard.site.axis import Axis, log_axis
from gembench.leaderboard.site.board import Board, mean_recall
from gembench.leaderboard.site.chart import Series, series_of
from gembench.leaderboard.site.panel import Panel, line_panel
from gembench.leaderboard.site.rendering import render
from gembench.leaderboard.site.scatter import scatter
from gembench.leaderboard.standing import Entry, Standing

_ON_WIDE_PAGES, _ON_PHONES = (1080, 460), (358, 400)


@dataclass(frozen=True)
class Row:
    """A policy of the table.

    Attributes:
        entry: its numbers.
        published: None where a private result is of no published policy.
        recall: of the first k, at each N.
        is_tied: whether another policy has its place.
        is_first: whether it is the first of its place.
    """

    entry: Entry
    published: Published | None
    recall: tuple[Estimate, ...]
    is_tied: bool
    is_first: bool


@dataclass(frozen=True)
class Measure:
    """A measure, and its charts against N: first that of all tensors together, then one a tensor."""

    title: str
    is_share: bool
    panels: tuple[Panel, ...]


def render_ranking(board: Board) -> str:
    """The page."""
    standing = board.standing
    series = series_of(
        [entry.name for entry in standing.entries],
        frozenset(each.card.name for each in board.published if each.is_submission),
        standing.reference,
    )
    seconds, ranks = ([getattr(entry, name) for entry in standing.entries] for name in ("cost_seconds", "rank"))
    on_front = [entry.is_on_front for entry in standing.entries]
    recalls = {
        k: [
            [mean_recall(each.result.scores, num_each, k) for num_each in board.benchmark.queries_per_model]
            for each in board.published
        ]
        for k in board.benchmark.top_k
    }
    first_k = min(board.benchmark.top_k)
    private = board.private
    return render(
        "ranking.html.jinja",
        section="ranking",
        has_atlases=bool(board.atlases),
        styles=("charts.css",),
        scripts=("sorting.js", "highlight.js"),
        benchmark=board.benchmark,
        standing=standing,
        num_submissions=sum(each.is_submission for each in board.published),
        rows=_rows(standing, board.published, recalls[first_k]),
        axis=_bars(standing),
        first_k=first_k,
        private=private,
        private_rows=_rows(private.standing, board.published, None) if private else (),
        private_axis=_bars(private.standing) if private else None,
        series=series,
        scatters=[
            scatter(series, seconds, ranks, on_front, width=width, height=height)
            for width, height in (_ON_WIDE_PAGES, _ON_PHONES)
        ],
        measures=_measures(board.benchmark, standing, series, recalls),
        budget_columns=[(f"N = {num_each:g}", num_each) for num_each in board.benchmark.queries_per_model],
        tensor_columns=[(tensor.name, tensor.name) for tensor in board.benchmark.tensors],
        atlas_of={atlas.name: atlas for atlas in board.atlases},
    )


def _rows(
    standing: Standing, published: Sequence[Published], recalls: Sequence[Sequence[Estimate]] | None
) -> list[Row]:
    by_name = {each.card.name: each for each in published}
    places = [entry.place for entry in standing.entries]
    return [
        Row(
            entry=entry,
            published=by_name.get(entry.name),
            recall=tuple(recalls[number]) if recalls is not None else (),
            is_tied=places.count(entry.place) > 1,
            is_first=places.index(entry.place) == number,
        )
        for number, entry in enumerate(standing.entries)
    ]


def _bars(standing: Standing) -> Axis:
    """The axis of the bars in the table, in percent of a bar."""
    ends = [end for entry in standing.entries for end in (entry.rank.value, *entry.rank.span)]
    return log_axis(ends, 0.0, 100.0)


def _measures(
    benchmark: Benchmark,
    standing: Standing,
    series: Sequence[Series],
    recalls: dict[int, list[list[Estimate]]],
) -> list[Measure]:
    budgets = benchmark.queries_per_model

    def panels(title: str, overall: list[list[Estimate]], of_cell: list[list[Estimate]], is_share: bool) -> Measure:
        """`of_cell` is [P, C], by tensor, then by N."""
        first = line_panel("All tensors", series, budgets, overall, is_share=is_share)
        others = [
            line_panel(
                tensor.name,
                series,
                budgets,
                [line[place * len(budgets) : (place + 1) * len(budgets)] for line in of_cell],
                is_share=is_share,
            )
            for place, tensor in enumerate(benchmark.tensors)
        ]
        return Measure(title, is_share, (first, *others))

    relative = [[entry.rank_by_queries_per_model[num_each] for num_each in budgets] for entry in standing.entries]
    ranks = [[cell.rank for cell in entry.cells] for entry in standing.entries]
    measures = [panels("Mean rank", relative, ranks, is_share=False)]
    for k in benchmark.top_k:
        of_cell = [[cell.recall[k] for cell in entry.cells] for entry in standing.entries]
        measures.append(panels(f"Top-{k} recall", recalls[k], of_cell, is_share=True))
    return measures
