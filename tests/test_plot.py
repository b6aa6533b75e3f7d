import io
import re

import numpy as np
import pytest
from matplotlib.image import imread
from reports import make_test_report

from gembench.plot.interactive import to_html
from gembench.plot.panels import lay_out, looks_of
from gembench.plot.picture import to_png


def test_each_tensor_has_a_panel_for_the_rank_each_recall_and_the_cost():
    grid = lay_out(make_test_report(tensors=("oak", "ash")))
    assert [[(panel.tensor, panel.measure) for panel in row] for row in grid] == [
        [(tensor, measure) for measure in ("mean rank", "recall@1", "recall@3", "mean rank by cost")]
        for tensor in ("oak", "ash")
    ]


def test_a_line_holds_the_rows_of_its_policy_by_rising_queries_per_model():
    report = make_test_report(queries_per_model=(50, 2.5, 10))
    rank, recall, _, by_cost = lay_out(report)[0]
    (uniform, ucb) = rank.lines
    assert (uniform.policy, ucb.policy) == ("uniform", "ucb")
    rows = sorted((row for row in report.rows if row.policy == "ucb"), key=lambda row: row.queries_per_model)
    assert ucb.x == (2.5, 10, 50)
    assert ucb.y == tuple(row.mean_rank for row in rows)
    assert ucb.intervals == tuple(row.mean_rank_ci for row in rows)
    assert recall.lines[1].y == tuple(row.recall[1] for row in rows)
    assert by_cost.lines[1].x == tuple(row.cost_seconds_mean for row in rows)


def test_a_policy_looks_the_same_in_every_panel_and_like_no_other():
    grid = lay_out(make_test_report(policies=tuple("abcdefghijkl"), tensors=("oak", "ash")))
    for row in grid:
        for panel in row:
            assert [line.look for line in panel.lines] == [line.look for line in grid[0][0].lines]
    looks = looks_of([str(number) for number in range(70)])
    assert len(set(looks.values())) == 70


def luminance_weighted(colour):
    return np.array([int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]) ** 2.2


@pytest.mark.parametrize(
    "seen_by",
    [
        # Machado, Oliveira and Fernandes (2009), severity 1: protanopia and deuteranopia.
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    ],
)
def test_policies_that_share_a_marker_differ_in_colour_for_readers_who_see_no_red_or_no_green(seen_by):
    looks = list(looks_of([str(number) for number in range(10)]).values())
    for place, look in enumerate(looks):
        for other in looks[:place]:
            if look.marker == other.marker:
                seen = [np.clip(seen_by @ luminance_weighted(colour), 0, 1) for colour in (look.colour, other.colour)]
                assert np.abs(seen[0] ** (1 / 2.2) - seen[1] ** (1 / 2.2)).max() > 0.15


def test_the_png_is_a_picture_that_grows_by_a_row_with_each_tensor():
    one = imread(io.BytesIO(to_png(make_test_report(tensors=("oak",)))))
    two = imread(io.BytesIO(to_png(make_test_report(tensors=("oak", "ash")))))
    assert one.shape[1] == two.shape[1]
    assert two.shape[0] > 1.5 * one.shape[0]
    assert one.min() < 0.5 < one[..., :3].max()


def test_the_page_needs_no_network_and_names_every_policy_once_in_its_legend():
    page = to_html(make_test_report(policies=("uniform", "ucb_e:exploration=1.5"), tensors=("oak", "ash")))
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=", page)
    assert len(re.findall(r'"name":"ucb_e:exploration=1.5","showlegend":true', page)) == 1


def test_the_same_report_gives_the_same_page():
    assert to_html(make_test_report()) == to_html(make_test_report())


@pytest.mark.parametrize("draw", [to_png, to_html])
def test_one_run_at_one_budget_is_drawn_without_bands(draw):
    assert draw(make_test_report(queries_per_model=(10,), num_runs=1))


def test_a_mean_without_runs_to_vary_has_no_interval_to_draw():
    panels = lay_out(make_test_report(num_runs=1))[0]
    assert all(interval is None for panel in panels for line in panel.lines for interval in line.intervals)
