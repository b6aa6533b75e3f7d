"""No two models overlap, and what is near a model is near it in the picture."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gembench.leaderboard.site.atlas import Node
from gembench.leaderboard.site.atlas_drawing import LETTER_HEIGHT, WIDTH, colour_numbers, draw
from gembench.leaderboard.site.atlas_layout import GAP, lay_out


@st.composite
def trees(draw):
    """Parents, before or after their children, and radii."""
    num_models = draw(st.integers(1, 40))
    parents = [None if number == 0 else draw(st.none() | st.integers(0, number - 1)) for number in range(num_models)]
    radii = draw(st.lists(st.floats(0.5, 20), min_size=num_models, max_size=num_models))
    order = draw(st.permutations(range(num_models)))
    place = {model: number for number, model in enumerate(order)}
    moved = [parents[model] for model in order]
    return [None if parent is None else place[parent] for parent in moved], radii


def gaps(centres, radii):
    """The room between every two circles, [M, M]; infinite between one and itself."""
    distance = np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1))
    room = distance - np.add.outer(radii, radii)
    np.fill_diagonal(room, np.inf)
    return room


def node(place, *, parent=None, accuracy=None, downloads=5, rank=2, **marks):
    settings = {"is_base": False, "is_gem": False, "is_recommended": False, **marks}
    accuracy = 1 / (2 + place) if accuracy is None else accuracy
    return Node(
        name=f"org/{place}",
        parent=parent,
        accuracy=accuracy,
        rank=rank,
        downloads=downloads,
        num_asked=1,
        num_right=0,
        last_stage=1,
        **settings,
    )


@settings(deadline=None, max_examples=60)
@given(trees())
def test_no_two_models_come_closer_than_the_gap(tree):
    parents, radii = tree
    assert gaps(lay_out(parents, radii), np.asarray(radii)).min() >= GAP - 1e-6


def test_equal_children_surround_their_parent_in_rings_as_pennies_do():
    # Around one penny there is room for six, and for twelve around those, within 3 radii and 5 radii of the middle
    # (in a lattice of hexagons); what is beyond the eighteenth penny has to be in a third ring.
    radius = 1.0 - GAP / 2  # so that the pitch of the pennies is 2
    centres = lay_out([None] + [0] * 18, [radius] * 19)
    distance = np.sort(np.hypot(*(centres - centres[0]).T))
    np.testing.assert_allclose(distance[:7], [0] + [2] * 6, atol=1e-6)
    assert distance[7:].min() > 2 * math.sqrt(3) - 1e-6
    assert distance[7:].max() <= 4 + 0.1  # directions are half a degree apart


def test_the_more_downloaded_of_childless_models_lie_closer_to_their_parent():
    rng = np.random.default_rng(1)
    radii = [8.0, *rng.uniform(2, 7, 60)]
    centres = lay_out([None] + [0] * 60, radii)
    distance = np.hypot(*(centres - centres[0]).T)[1:]
    largest = np.argsort(radii[1:])[::-1]
    assert distance[largest[:10]].max() < distance[largest[-30:]].min()


def test_a_branch_keeps_its_shape_whatever_the_others_do():
    branch = [None, 0, 1, 1, 1, 2]
    alone = lay_out(branch, [3.0] * 6)[1:]
    beside = lay_out([*branch, 0, 0, 6, 6, 8], [3.0] * 6 + [5.0] * 5)[1:6]

    def distances(centres):
        return np.hypot(*(centres[:, None] - centres[None]).transpose(2, 0, 1))

    np.testing.assert_allclose(distances(alone), distances(beside), atol=1e-9)


def test_trees_lie_apart_and_side_by_side():
    parents = [None, *[0] * 60, None, *[61] * 20]
    centres = lay_out(parents, [3.0] * len(parents))
    first, second = centres[:61], centres[61:]
    across, down = np.abs(second.mean(axis=0) - first.mean(axis=0))
    assert across > 3 * down
    assert gaps(centres, np.full(len(parents), 3.0))[:61, 61:].min() > 2 * GAP


def test_an_eighth_of_the_models_has_each_colour_and_equal_models_have_one():
    assert colour_numbers([number / 80 for number in range(80)]) == [number // 10 for number in range(80)]
    assert colour_numbers([0.5] * 9) == [0] * 9
    # Two are below 0.5 of ten: 8 * 2 / 10 is 1.6; nine are below 0.9.
    assert colour_numbers([0.9, 0.1, 0.2, *[0.5] * 7]) == [7, 0, 0, *[1] * 7]


def covered(label, circles):
    """Which circles a label's text touches where letters are largest, on narrow screens.

    They are taken as half as wide as high, which no common font exceeds on average.
    """
    length = 0.5 * LETTER_HEIGHT * len(label.text)
    left = label.x - length * {"start": 0, "middle": 0.5, "end": 1}[label.anchor]
    touched = set()
    for place, circle in enumerate(circles):
        x = min(max(circle.x, left), left + length)
        y = min(max(circle.y, label.y - LETTER_HEIGHT / 2), label.y + LETTER_HEIGHT / 2)
        if math.hypot(circle.x - x, circle.y - y) < circle.radius:
            touched.add(place)
    return touched


def test_a_label_would_rather_cover_models_without_a_mark():
    nodes = [node(0, is_recommended=True), *[node(place, parent=0) for place in range(1, 30)]]
    drawing = draw(nodes)
    under = covered(drawing.labels[0], drawing.circles)
    assert under
    nodes = [replace(each, is_gem=place in under) for place, each in enumerate(nodes)]
    drawing = draw(nodes)
    assert not covered(drawing.labels[0], drawing.circles) & under


def test_all_of_the_picture_is_within_its_borders_and_labels_cover_nothing_that_is_marked():
    nodes = [
        node(0, rank=1, is_gem=True, parent=2),
        node(1, is_recommended=True, is_gem=True, parent=2),
        node(2, downloads=10**6, is_base=True),
        *[node(place, parent=2, downloads=place) for place in range(3, 80)],
    ]
    drawing = draw(nodes)
    for circle in drawing.circles:
        assert circle.radius <= circle.x <= WIDTH - circle.radius
        assert circle.radius <= circle.y <= drawing.height - circle.radius
    assert [label.text for label in drawing.labels] == ["best", "recommended"]
    for label in drawing.labels:
        length = 0.5 * LETTER_HEIGHT * len(label.text)
        left = label.x - length * {"start": 0, "middle": 0.5, "end": 1}[label.anchor]
        assert left >= 0
        assert left + length <= WIDTH
        assert not covered(label, drawing.circles[:3])


def test_a_model_that_is_best_and_recommended_has_one_label():
    assert [label.text for label in draw([node(0, rank=1, is_recommended=True)]).labels] == ["best, recommended"]


def test_sizes_grow_with_downloads_and_the_legend_says_how():
    drawing = draw([node(0), *[node(1 + power, parent=0, downloads=10**power) for power in range(7)]])
    radii = [circle.radius for circle in drawing.circles[1:]]
    assert radii == sorted(radii)
    assert [key.text for key in drawing.size_keys] == ["1", "100", "10K", "1M"]
    assert [key.radius for key in drawing.size_keys] == radii[::2]


@pytest.mark.parametrize("downloads", [None, 0, 7])
def test_where_all_models_are_of_one_size_there_is_no_legend_of_sizes(downloads):
    assert draw([node(place, downloads=downloads) for place in range(4)]).size_keys == ()
