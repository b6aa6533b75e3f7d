"""An atlas in a real browser: all of it works from a file, by keyboard and pointer, on a phone and on a desk."""

import functools
import shutil

import pytest
from atlases import atlas_of, tree_race
from needs import needs_browser

from gembench.leaderboard.benchmark import load_benchmark
from gembench.leaderboard.site.atlas_page import render_atlas
from gembench.load_race import load_race

CHROMIUM = shutil.which("chromium")
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
TREES = [tensor.name for tensor in load_benchmark().tensors]

pytestmark = [pytest.mark.slow, needs_browser]


@functools.cache
def atlas_named(tree):
    return atlas_of(load_race(tree), seed=load_benchmark().seed)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, tmp_path):
    """Opens an atlas from a file; whatever the page complains of, or asks of a server, fails the test."""
    complaints = []
    contexts = []

    def opened(atlas, **settings):
        place = tmp_path / "atlas.html"
        place.write_text(render_atlas(atlas), encoding="utf-8")
        context = browser.new_context(**{"viewport": DESK, **settings})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.extend([request.url] * (request.url != place.as_uri())))
        page.goto(place.as_uri())
        return page

    yield opened
    for context in contexts:
        context.close()
    assert complaints == []


def num_faded(page):
    return page.locator("#nodes circle.out").count()


@pytest.mark.parametrize("tree", TREES)
def test_the_stages_are_shown_by_slider_keys_and_buttons(visit, tree):
    atlas = atlas_named(tree)
    page = visit(atlas)
    left = [stage.num_left for stage in atlas.replay.stages]
    label, slider = page.locator("#stage-label"), page.locator("#stage")
    assert label.inner_text().startswith("The end: ")
    assert num_faded(page) == 0
    slider.focus()
    page.keyboard.press("Home")
    for number, num_left in enumerate(left, start=1):
        assert label.inner_text().startswith(f"Stage {number} of {len(left)}: {num_left:,} models left")
        assert slider.get_attribute("aria-valuetext") == label.inner_text()
        assert num_faded(page) == left[0] - num_left
        num_just = page.locator("#nodes circle.out.just").count()
        assert num_just == (0 if number == 1 else left[number - 2] - num_left)
        assert page.locator("#stage-table [aria-current=step] th").inner_text() == str(number)
        page.keyboard.press("ArrowRight")
    assert label.inner_text().startswith("The end: ")
    assert num_faded(page) == 0
    page.get_by_role("button", name="Previous").click()
    assert label.inner_text().startswith(f"Stage {len(left)} of ")
    page.get_by_role("button", name="Next").click()
    assert page.get_by_role("button", name="Next").is_disabled()


def test_play_goes_from_the_first_stage_to_the_end_and_can_be_halted(visit):
    atlas = atlas_named("smollm2-135m")
    page = visit(atlas)
    page.clock.install()
    label = page.locator("#stage-label")
    page.locator("#play").click()
    assert page.locator("#play").inner_text() == "Pause"
    assert label.inner_text().startswith("Stage 1 of 6")
    page.clock.run_for(2 * 1500)
    assert label.inner_text().startswith("Stage 3 of 6")
    page.locator("#play").click()
    page.clock.run_for(10 * 1500)
    assert label.inner_text().startswith("Stage 3 of 6")
    page.locator("#play").click()
    page.clock.run_for(10 * 1500)
    assert label.inner_text().startswith("The end")
    assert page.locator("#play").inner_text() == "Play"


def test_a_model_is_told_by_pointer_by_touch_and_by_keyboard(visit):
    atlas = atlas_named("qwen2.5-7b")
    page = visit(atlas)
    facts = page.locator("#facts")
    assert page.locator("#nodes title").count() == 0  # or the browser would show them beside the facts
    page.locator("#nodes circle").nth(0).hover()
    assert facts.inner_text().splitlines()[0] == atlas.nodes[0].name
    assert "rank 1 of 636" in facts.inner_text()
    page.locator("#model").focus()
    page.keyboard.press("ArrowDown")
    assert facts.inner_text().splitlines()[0] == atlas.nodes[1].name
    touched = visit(atlas, viewport=PHONE, has_touch=True)
    touched.locator("#nodes circle").nth(5).tap()
    assert touched.locator("#facts").inner_text().splitlines()[0] == atlas.nodes[5].name
    # From the model to its base: as many points as the path through the tree has models.
    depth, place = 0, 5
    while place is not None:
        depth, place = depth + 1, atlas.nodes[place].parent
    assert touched.locator("path.lineage").get_attribute("d").count("L") == depth - 1


def test_the_keyboard_reaches_everything_in_a_dozen_steps(visit):
    page = visit(atlas_named("qwen2.5-7b"))
    reached = []
    for _ in range(14):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    assert {"stage", "previous", "play", "model", "SUMMARY"} <= set(reached)


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("tree", TREES)
def test_the_page_fits_its_screen_and_is_there_at_once(visit, tree, viewport):
    page = visit(atlas_named(tree), viewport=viewport)
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= viewport["width"]
    assert page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd") < 1000
    assert page.locator("#stage-table").bounding_box()["width"] <= viewport["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_axe_finds_no_fault(visit, scheme, viewport):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(atlas_named("mistral-7b"), viewport=viewport, color_scheme=scheme, reduced_motion="reduce")
    for stage in (4, 1):
        page.locator("#stage").fill(str(stage))
        page.locator("#model").select_option("3")
        page.locator("details").evaluate("details => { details.open = true; }")
        found = Axe().run(page).response["violations"]
        assert [(each["id"], each["impact"], [node["html"] for node in each["nodes"]]) for each in found] == []


def test_without_scripts_the_whole_tree_and_the_tables_are_there(visit):
    page = visit(atlas_named("mistral-7b"), java_script_enabled=False)
    assert page.locator("#map").is_visible()
    assert page.locator("#stage-table").is_visible()
    assert not page.locator("#controls").is_visible()
    assert not page.locator("#one").is_visible()
    assert page.locator("#stage-label").inner_text().startswith("The end")


def test_who_wants_no_motion_sees_none(visit):
    page = visit(atlas_named("smollm2-135m"), reduced_motion="reduce")
    assert page.locator("#nodes circle").first.evaluate("each => getComputedStyle(each).transitionDuration") == "0s"


def test_a_name_with_markup_runs_nothing(visit, tmp_path):
    name = "evil/</title></svg><script>document.title = 'owned'</script><img src=x onerror=alert(1)>"
    race = tree_race(tmp_path, [3, 9, 5], names=[name, "b", "c"], parent=["", name, name], base=[name] * 3)
    page = visit(atlas_of(race, "uniform", 5))
    for place in range(3):
        page.locator("#model").select_option(str(place))
        assert page.locator("#facts img").count() == 0
    assert page.title().startswith("The model tree of ")
