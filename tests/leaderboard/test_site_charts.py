import itertools
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gembench.gem_card.words import percent as share
from gembench.leaderboard.relative import Estimate
from gembench.leaderboard.site.axis import axis_of, log_axis
from gembench.leaderboard.site.chart import LABEL_HEIGHT, LABEL_LETTER, series_of
from gembench.leaderboard.site.numbers import number, number_interval, share_interval
from gembench.leaderboard.site.panel import line_panel
from gembench.leaderboard.site.scatter import scatter

NAMES = ("best", "reference", "worst")
SERIES = series_of(NAMES, frozenset({"worst"}), "reference")


def exactly(*values):
    return [Estimate(value, (value, value)) for value in values]


def numbers_of(path):
    return [float(each) for each in re.findall(r"-?[\d.]+", path)]


@given(low=st.floats(1e-3, 1e5), factor=st.floats(1, 1e6))
def test_a_logarithmic_axis_shows_its_numbers_and_has_a_few_round_ones_written_beside(low, factor):
    axis = log_axis([low, low * factor], 0.0, 300.0)
    assert 0 <= axis.at(low) <= axis.at(low * factor) <= 300
    assert 0 < axis.low < low
    assert low * factor < axis.high
    assert 1 <= len(axis.ticks) <= 8
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)
    assert all(first < second for first, second in itertools.pairwise(axis.ticks))
    if factor >= 2:
        assert len(axis.ticks) >= 2


def test_equal_factors_have_equal_lengths_on_a_logarithmic_axis():
    axis = log_axis([1, 16], 100.0, 0.0)
    places = [axis.at(value) for value in (1, 2, 4, 8, 16)]
    steps = [first - second for first, second in itertools.pairwise(places)]
    assert steps == pytest.approx([steps[0]] * 4)
    assert steps[0] > 0


def test_what_lies_beyond_an_axis_stands_at_its_end_even_nothing_at_all():
    axis = log_axis([0.0, 1, 10], 0.0, 100.0)
    assert axis.at(0.0) == 0
    assert axis.at(1e9) == 100


def test_budgets_themselves_are_written_beside_their_axis_but_for_those_too_near_to_read():
    assert axis_of([50, 10], 0, 200, room_for_text=30).ticks == (10, 50)
    assert axis_of([100, 101, 1, 10], 0, 300, room_for_text=30).ticks == (1, 10, 100)


def test_a_line_goes_through_its_values_and_shows_each_interval():
    values = [
        [Estimate(0.5, (0.25, 0.75)), Estimate(1.0, (0.5, 1.0))],
        [Estimate(0.0, None), Estimate(0.0, None)],
        exactly(0.0, 0.0),
    ]
    panel = line_panel("oak", SERIES, (50, 10), values, is_share=True)
    x10, x50 = panel.x_axis.at(10), panel.x_axis.at(50)
    top, upper, middle, lower, bottom = 12, 60.5, 109, 157.5, 206
    # Values came for N = 50 first, but lines are drawn from the least N on.
    assert numbers_of(panel.lines[0].path) == pytest.approx(
        [x10, top, x50, middle, x10, middle, top, x50, lower, upper], abs=0.06
    )
    assert numbers_of(panel.lines[1].path) == pytest.approx([x10, bottom, x50, bottom], abs=0.06)


def test_the_best_rank_and_the_best_share_are_on_top():
    ranks = line_panel("oak", SERIES, (10,), [exactly(1), exactly(2), exactly(4)], is_share=False)
    shares = line_panel("oak", SERIES, (10,), [exactly(0.9), exactly(0.5), exactly(0.1)], is_share=True)
    for panel in (ranks, shares):
        assert [label.series.name for label in panel.labels] == list(NAMES)
        assert panel.labels[0].y < panel.labels[1].y < panel.labels[2].y


@given(ranks=st.lists(st.floats(1, 100), min_size=1, max_size=40), place=st.integers(0, 39))
def test_labels_beside_lines_never_touch_and_the_reference_has_one(ranks, place):
    names = [f"policy {number}" for number in range(len(ranks))]
    reference = names[place % len(names)]
    series = series_of(names, frozenset(), reference)
    panel = line_panel("oak", series, (10,), [exactly(rank) for rank in ranks], is_share=False)
    ys = [label.y for label in panel.labels]
    assert all(second - first >= LABEL_HEIGHT - 1e-6 for first, second in itertools.pairwise(ys))
    assert min(ys) >= 12 - 1e-6
    assert max(ys) <= 206 + 1e-6
    assert reference in [label.series.name for label in panel.labels]


def test_the_front_is_drawn_in_steps_from_the_quickest_to_the_best():
    # The best is slowest; the reference is quicker and worse; the last is beaten in both by the reference.
    chart = scatter(SERIES, exactly(4, 2, 3), exactly(1, 2, 4), [True, True, False], width=600, height=400)
    best, reference, _ = chart.points
    assert best.y < reference.y
    assert reference.x < best.x
    steps = [reference.x, reference.y, best.x, reference.y, best.x, best.y]
    assert numbers_of(chart.front) == pytest.approx(steps, abs=0.06)


def test_an_interval_reaches_as_far_around_its_point_as_on_the_axes():
    chart = scatter(SERIES[:1], [Estimate(2, (1, 4))], [Estimate(3, (2, 9))], [True], width=600, height=400)
    point = chart.points[0]
    left, _, right, _, top, low = numbers_of(point.whiskers)
    for axis, at, pixels, value in (
        (chart.x_axis, point.x, left, 1),
        (chart.x_axis, point.x, right, 4),
        (chart.y_axis, point.y, top, 2),
        (chart.y_axis, point.y, low, 9),
    ):
        share_of_axis = math.log(value / axis.low) / math.log(axis.high / axis.low)
        assert at + pixels == pytest.approx(axis.start + (axis.end - axis.start) * share_of_axis, abs=0.06)


@pytest.mark.parametrize("width", [1080, 358])
def test_labels_of_points_never_touch_and_stay_on_the_chart(width):
    rng = np.random.default_rng(5)
    names = [f"policy_{number}_of_many" for number in range(100)]
    series = series_of(names, frozenset(), names[7])
    seconds, ranks = (exactly(*rng.lognormal(size=100)) for _ in range(2))
    chart = scatter(series, seconds, ranks, [number == 0 for number in range(100)], width=width, height=400)
    boxes = []
    for label in chart.labels:
        length = len(label.text) * LABEL_LETTER
        left = label.x if label.anchor == "start" else label.x - length
        boxes.append((left, label.y - LABEL_HEIGHT / 2, left + length, label.y + LABEL_HEIGHT / 2))
    for box in boxes:
        assert box[0] >= 0
        assert box[2] <= width
        assert box[1] >= 0
        assert box[3] <= 400
    for first, second in itertools.combinations(boxes, 2):
        assert first[2] <= second[0] or second[2] <= first[0] or first[3] <= second[1] or second[3] <= first[1]
    assert len(chart.labels) >= 8


def test_colours_go_from_the_first_of_ten_to_the_last_in_the_order_of_the_policies():
    many = series_of([str(number) for number in range(100)], frozenset(), "0")
    assert [series.colour for series in many] == [number // 10 for number in range(100)]
    assert [series.colour for series in series_of(["a", "b"], frozenset(), "a")] == [0, 5]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.4771, "0.477"),
        (0.8, "0.800"),
        (1, "1.00"),
        (35.07, "35.1"),
        (999.7, "1,000"),
        (23_350, "23,350"),
        (0, "0.00"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text


def test_intervals_are_from_to_and_a_dash_where_there_is_none():
    assert number_interval((0.4474, 0.5091)) == "0.447–0.509"
    assert share_interval((0.07, 0.1034)) == "7.0–10.3%"
    assert share(0.3433) == "34.3%"
    assert (number_interval(None), share_interval(None)) == ("–", "–")
