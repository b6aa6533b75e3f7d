"""The site as a person has it: opened from the disk in Chromium, without a server."""

import os
import shutil
from dataclasses import replace
from statistics import median

import numpy as np
import pytest
from boards import CARD, make_benchmark, make_published, make_scores
from needs import needs_browser

from gembench.experiment import make_policies
from gembench.leaderboard.result_file import make_result
from gembench.leaderboard.site.atlas import make_atlas
from gembench.leaderboard.site.build import build_site
from gembench.leaderboard.site.links import atlas_page, policy_page
from gembench.load_race import load_race

pytestmark = [pytest.mark.slow, needs_browser]

EMBEDDED = "smollm2-135m"
BENCHMARK = make_benchmark((EMBEDDED, "oak", "elm", "ash"), (10, 50))
HOSTILE = "<script>document.title='hacked'</script><img src=x onerror=\"document.title='hacked'\">"
PHONE, DESKTOP = {"width": 390, "height": 844}, {"width": 1280, "height": 900}


def published_policies():
    rng = np.random.default_rng(3)
    published = [make_published(BENCHMARK, "reference", rng.integers(3, 7, (8, 50)))]
    for number in range(11):
        ranks = rng.integers(1 + number, 4 + 2 * number, (8, 50))
        name, seconds = f"policy_{'of_a_long_name_' * (number % 3)}{number}", float(rng.uniform(20, 300))
        published.append(
            make_published(BENCHMARK, name, ranks, is_submission=number % 2 == 0, seconds=seconds, pulls=90 + number)
        )
    card = replace(
        CARD,
        author=HOSTILE,
        source=f"https://example.org/{HOSTILE}",
        license=HOSTILE,
        description=HOSTILE,
        policy_class=HOSTILE,
        hyper_parameters={HOSTILE: HOSTILE},
    )
    code = f"{HOSTILE}\nx = {'1' * 300}\n"
    ranks = rng.integers(20, 40, (8, 50))
    return [*published, make_published(BENCHMARK, HOSTILE, ranks, is_submission=True, code=code, card=card)]


def atlas_of_an_embedded_tensor():
    policy = "accelerated_sequential_halving"
    return make_atlas(load_race(EMBEDDED), make_policies([policy])[policy], policy, queries_per_model=10, seed=0)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    published = published_policies()
    hidden = replace(
        BENCHMARK,
        version="test-private",
        tensors=tuple(replace(tensor, name=tensor.digest) for tensor in BENCHMARK.tensors),
    )
    private = [
        make_result(
            hidden,
            make_scores(hidden, each.card.name, [[cell.rank.mean().round()] for cell in each.result.scores.cells]),
        )
        for each in published
    ]
    build_site(folder, BENCHMARK, published, private=private, atlases=[atlas_of_an_embedded_tensor()])
    return folder


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    # Chromium's own sandbox does not start for root.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=arguments)
        yield running
        running.close()


@pytest.fixture
def open_page(browser):
    """Opens a file in a fresh profile and notes on `page.complaints` all that should not happen."""
    contexts = []

    def open_it(path, **settings):
        context = browser.new_context(**{"viewport": DESKTOP, **settings})
        contexts.append(context)
        page = context.new_page()
        page.complaints = []
        page.on("console", lambda message: page.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("dialog", lambda dialog: page.complaints.append(dialog.message))
        page.on("request", lambda request: request.url.startswith("file:") or page.complaints.append(request.url))
        page.goto(path.as_uri())
        return page

    yield open_it
    for context in contexts:
        context.close()


def names_in(table):
    return table.locator("tbody th").evaluate_all("cells => cells.map(cell => cell.dataset.value)")


def column(table, number):
    return [
        float(each)
        for each in table.locator(f"tbody td:nth-child({number})").evaluate_all(
            "cells => cells.map(cell => cell.dataset.value)"
        )
    ]


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_no_page_complains_asks_a_server_overflows_or_shuts_anybody_out(site, open_page, viewport, colours):
    from axe_playwright_python.sync_playwright import Axe

    names = ("index.html", "about.html", "atlas.html", atlas_page(EMBEDDED), *map(policy_page, ("reference", HOSTILE)))
    for path in (site / name for name in names):
        page = open_page(path, viewport=viewport, color_scheme=colours)
        for details in page.locator("details").all():
            details.evaluate("details => { details.open = true }")
        found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
        faults = [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")]
        assert faults == [], path.name
        width = page.evaluate("document.documentElement.scrollWidth")
        assert width <= viewport["width"], path.name
        assert page.title().endswith("gembench leaderboard")
        assert page.complaints == [], path.name


def test_a_heading_sorts_by_click_the_best_first_and_then_the_worst(site, open_page):
    page = open_page(site / "index.html")
    table = page.locator("table.ranking").first
    by_place = names_in(table)
    heading = table.get_by_role("columnheader", name="Seconds")
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert table.locator("th[aria-sort]").count() == 1
    seconds = column(table, 7)
    assert seconds == sorted(seconds)
    assert len(set(seconds)) > 5
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "descending"
    assert column(table, 7) == seconds[::-1]
    recall = table.get_by_role("columnheader", name="N = 50")
    recall.get_by_role("button").click()
    assert recall.get_attribute("aria-sort") == "descending"
    assert column(table, 5) == sorted(column(table, 5), reverse=True)
    table.get_by_role("columnheader", name="Place").get_by_role("button").click()
    assert names_in(table) == by_place
    assert page.complaints == []


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_a_heading_sorts_by_the_keyboard_alone(site, open_page, key):
    page = open_page(site / "index.html")
    table = page.locator("table.ranking").first
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('th')?.textContent") == "Policy":
            break
    page.keyboard.press(key)
    names = names_in(table)
    assert names == sorted(names, key=str.lower)
    assert table.get_by_role("columnheader", name="Policy").get_attribute("aria-sort") == "ascending"
    assert page.evaluate("document.activeElement.closest('th').textContent") == "Policy"


def test_a_wide_table_scrolls_in_its_own_box_on_a_phone(site, open_page):
    page = open_page(site / "index.html", viewport=PHONE)
    box = page.locator(".wide").first
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    box.evaluate(
        "box => { window.scrolled = new Promise(done => box.addEventListener('scroll', done, { once: true })) }"
    )
    box.focus()
    page.keyboard.press("ArrowRight")
    page.evaluate("window.scrolled.then(() => true)")
    assert box.evaluate("box => box.scrollLeft") > 0


def test_the_chosen_policy_alone_stands_out_in_every_chart(site, open_page):
    page = open_page(site / "index.html")
    page.get_by_label("Show").select_option("policy_3")
    bright = page.locator(".charts [data-policy].on")
    value = page.get_by_label("Show").input_value()
    assert set(bright.evaluate_all("marks => marks.map(mark => mark.dataset.policy)")) == {value}
    # One line a panel, of 4 measures and 4 tensors, and one for all tensors; and the two charts of quality and seconds.
    assert page.locator(".charts .series.on").count() == (1 + 2) * (1 + 4)
    assert page.locator(".charts .point.on").count() == 2
    assert (
        page.locator(".charts [data-policy]:not(.on)").first.evaluate("mark => getComputedStyle(mark).opacity") < "0.5"
    )
    assert page.locator(".picked").first.text_content() == "policy_3"


def test_the_mark_nearest_to_the_pointer_is_named_and_a_click_keeps_it(site, open_page):
    page = open_page(site / "index.html")
    point = page.locator(".for-wide .point").nth(4)
    policy = point.get_attribute("data-policy")
    point.scroll_into_view_if_needed()
    box = point.locator(".mark").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2)
    assert page.locator(".for-wide .point.on").get_attribute("data-policy") == policy
    page.mouse.move(5, 5)
    assert page.locator(".for-wide .point.on").count() == 0
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(5, 5)
    assert page.get_by_label("Show").input_value() == policy
    assert page.locator(".for-wide .point.on").get_attribute("data-policy") == policy


def test_what_strangers_wrote_is_read_and_not_run(site, open_page):
    index = open_page(site / "index.html")
    link = index.get_by_role("link", name=HOSTILE, exact=True).first
    link.click()
    index.wait_for_load_state()
    assert index.get_by_role("heading", level=1).text_content() == HOSTILE
    assert index.locator("pre.code").text_content().startswith(HOSTILE)
    assert index.locator("main script, main img").count() == 0
    assert index.title() == f"{HOSTILE} · gembench leaderboard"
    assert index.complaints == []


def test_without_scripts_all_numbers_and_charts_are_there(site, open_page):
    page = open_page(site / "index.html", java_script_enabled=False)
    assert page.locator("table.ranking").first.locator("tbody tr").count() == 13
    assert page.locator(".for-wide .point").first.is_visible()
    assert page.locator("th button").count() == 0


def test_a_hundred_policies_on_twenty_tensors_load_in_under_a_second(tmp_path, open_page):
    names = [f"tree-{number}" for number in range(20)]
    benchmark = make_benchmark(names, (10, 50), runs=20, top_k=(1, 3, 5))
    rng = np.random.default_rng(4)
    published = [
        make_published(
            benchmark,
            f"policy_{number}" if number else "reference",
            1 + rng.poisson(2 + number / 9, (40, 20)),
            is_submission=number % 2 == 0,
            seconds=float(rng.uniform(10, 300)),
        )
        for number in range(100)
    ]
    index = build_site(tmp_path, benchmark, published)
    times = []
    for _ in range(5):
        page = open_page(index)
        times.append(page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd"))
        assert page.locator("table.ranking tbody tr").count() == 100
        assert page.complaints == []
    assert 0 < median(times) < 1000
