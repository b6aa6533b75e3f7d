"""The page of an atlas says in text what its picture shows, and takes nothing from strangers for markup."""

import html
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from atlases import atlas_of, tree_race

from gembench.leaderboard.site.atlas_page import render_atlas

HOSTILE = "evil/</title></svg><script>alert(1)</script>\"'><img src=x onerror=alert(2)>"


class Page(HTMLParser):
    """What a browser would make of the page: its elements in order, and its text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.text = [], ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def with_id(self, name):
        (found,) = [attributes for _, attributes in self.elements if attributes.get("id") == name]
        return found


@pytest.fixture
def race(tmp_path):
    """Five models: a base, three made from it, one made from one of those. The last is a gem."""
    return tree_race(
        tmp_path,
        [8, 4, 12, 2, 16],
        parent=["", *["org/model-0"] * 3, "org/model-1"],
        base=["org/model-0"] * 5,
        downloads=[1_000_000, 30, 20, 1, 2],
    )


def rows(text):
    """The cells of every row of the page's tables."""
    return [
        [re.sub("<[^>]+>", " ", cell).split() for cell in re.findall("<t[hd][ >].*?</t[hd]>", row, re.DOTALL)]
        for row in re.findall("<tr.*?</tr>", text, re.DOTALL)
    ]


def test_every_model_has_a_circle_with_its_facts_and_a_line_to_its_parent(race):
    text = render_atlas(atlas_of(race, "uniform", 20))
    circles = re.findall(r'<circle class="a\d"[^>]*><title>(.*?)</title></circle>', text, re.DOTALL)
    assert len(circles) == 5
    assert re.split("\n+", circles[0]) == [
        "org/model-4",
        "accuracy 80.0%, rank 1 of 5, 2 downloads",
        "most accurate, hidden gem",
        "16 right of 20 queries, recommended",
    ]
    assert re.split("\n+", circles[4]) == [
        "org/model-3",
        "accuracy 10.0%, rank 5 of 5, 1 download",
        "2 right of 20 queries, lost after stage 1",
    ]
    (edges,) = re.findall(r'class="edges" d="([^"]*)"', text)
    assert edges.count("M") == 4
    assert text.count('class="gem"') == 2  # in the picture, and in the key
    assert text.count('class="base"') == 2


def test_each_stage_says_who_is_left_what_they_answer_and_what_is_paid(race):
    # 5 models, 50 pulls, 3 rounds: 50/3/5 = 3, 35/2/3 = 5, 20/2 = 10.
    atlas = atlas_of(race, "accelerated_sequential_halving", 10)
    page = Page(render_atlas(atlas))
    assert [row["data-label"] for row in page.all("tr") if "data-label" in row] == [
        "Stage 1 of 3: 5 models left, each 3 queries more, 15 of 50 pulls",
        "Stage 2 of 3: 3 models left, each 5 queries more, 30 of 50 pulls",
        "Stage 3 of 3: 2 models left, each 10 queries more, 50 of 50 pulls",
    ]
    assert f"The end: {atlas.recommended.name} is recommended, accuracy " in page.text
    assert "after 50 of 50 pulls" in page.text
    (slider,) = [each for each in page.all("input") if each["type"] == "range"]
    assert (slider["min"], slider["max"], slider["value"]) == ("1", "4", "4")


def test_the_tables_say_what_the_picture_shows(race):
    table = rows(render_atlas(atlas_of(race, "uniform", 20)))
    assert [["1"], ["5"], ["20"], ["100"], ["1", "of", "1"], ["left"]] in table
    names = [row[1][0] for row in table if len(row) == 5 and row[0] != ["Rank"]]
    assert names == ["org/model-4", "org/model-2", "org/model-0", "org/model-1", "org/model-3"]
    (base,) = [row for row in table if row[1][:1] == ["org/model-0"]]
    assert base[0] == ["3"]
    assert base[2:4] == [["40.0%"], ["1,000,000"]]


def test_the_table_of_models_has_the_best_20_and_those_with_a_mark(tmp_path):
    num_right = [1, *range(30, 130)]
    names = [f"org/m{number}" for number in range(101)]
    race = tree_race(
        tmp_path,
        num_right,
        num_queries=130,
        names=names,
        base=["org/m0"] * 101,
        downloads=list(range(500, 399, -1)),
    )
    # Of 101 models the top 1% is two: m100 and m99 by accuracy, m0 and m1 by downloads.
    table = rows(render_atlas(atlas_of(race, "uniform", 130)))
    listed = [row for row in table if len(row) == 5 and row[0] != ["Rank"]]
    assert [row[1][0] for row in listed] == [f"org/m{number}" for number in (*range(100, 80, -1), 0)]
    assert [row[1][0] for row in listed if "gem" in " ".join(row[1])] == ["org/m100", "org/m99"]


def test_names_of_strangers_are_text(tmp_path):
    names = [HOSTILE, "org/\u202eladom", "javascript:alert(1)//x"]
    race = tree_race(tmp_path, [3, 9, 5], names=names, parent=["", HOSTILE, HOSTILE], base=[HOSTILE] * 3)
    page = Page(text := render_atlas(atlas_of(race, "uniform", 5)))
    assert [tag for tag, _ in page.elements if tag in ("script", "img", "iframe")] == ["script"]
    assert html.escape(HOSTILE, quote=False) in text.replace("&#34;", '"').replace("&#39;", "'")
    assert "\u202e" not in text
    assert not [link for link in page.all("a") if not re.match(r"[\w-]+\.html|#", link["href"])]
    for _, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]


def test_the_page_asks_nothing_of_any_server(race):
    page = Page(text := render_atlas(atlas_of(race, "uniform", 5)))
    for tag, attributes in page.elements:
        for name in ("src", "srcset", "action", "data"):
            assert name not in attributes
        if tag != "a":
            assert attributes.get("href", "data:,") == "data:,"
    assert "url(" not in text
    assert "@import" not in text


def test_without_scripts_nothing_is_offered_that_needs_them(race):
    page = Page(render_atlas(atlas_of(race, "uniform", 5)))
    assert "hidden" in page.with_id("controls")
    assert "hidden" in page.with_id("one")
    assert not [each for each in page.elements if each[0] == "circle" and "out" in each[1].get("class", "").split()][2:]


def test_the_same_search_makes_the_same_bytes(race):
    assert render_atlas(atlas_of(race)) == render_atlas(atlas_of(race))


def test_a_thousand_models_with_long_names_stay_under_400_kilobytes(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"some-organization/Llama-3.1-8B-Instruct-finetuned-{number:04d}" for number in range(1000)]
    race = tree_race(
        tmp_path,
        rng.integers(0, 100, 1000),
        num_queries=100,
        names=names,
        parent=["", *[names[place] for place in rng.integers(0, 30, 999)]],
        base=[names[0]] * 1000,
        downloads=rng.integers(0, 10**7, 1000).tolist(),
    )
    assert len(render_atlas(atlas_of(race, "accelerated_sequential_halving", 5)).encode()) < 400_000
