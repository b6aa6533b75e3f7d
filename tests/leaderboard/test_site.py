import base64
import hashlib
import re
import shlex
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from boards import CARD, make_published, make_scores
from sites import BENCHMARK, BETTER, HALF, PUBLISHED, REFERENCE, pages_of, squeezed

from gembench.errors import BenchmarkError
from gembench.leaderboard.result_file import make_result
from gembench.leaderboard.site.board import make_board, mean_recall
from gembench.leaderboard.site.build import SiteError, build_site
from gembench.leaderboard.site.links import policy_page
from gembench.leaderboard.site.policy_page import commands

HOSTILE = (
    "<script>hacked()</script>\"'><img src=x onerror=hacked()></title></style></textarea></pre>"
    "{{ 7 * 7 }}{% raw %}&lt;svg/onload=hacked()&gt;<!--]]>\u202e"
)
SEEN_HOSTILE = HOSTILE.replace("\u202e", "\ufffd")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    build_site(folder, BENCHMARK, PUBLISHED)
    return folder


def test_every_link_between_pages_leads_to_a_page_and_every_policy_has_one(site):
    pages = pages_of(site)
    assert set(pages) == {"index.html", "about.html", *(policy_page(name) for name in ("reference", "better", "worse"))}
    for page in pages.values():
        for link in page.links():
            assert link in pages or link == "#main", link
    assert {policy_page(each.card.name) for each in PUBLISHED} <= set(pages["index.html"].links())


def test_the_ranking_has_the_numbers_of_a_hand_computation(site):
    table = squeezed(pages_of(site)["index.html"]).split("Quality against cost")[0]
    # Ranks of 2, 4 and 8 in every run of every cell, so that each interval has width 0.
    assert re.search(r"1 better submitted by Ann Author .*?0\.500 0\.500–0\.500", table)
    assert re.search(r"2 reference catalog · the reference .*?1\.00 1\.00–1\.00", table)
    assert re.search(r"3 worse catalog .*?2\.00 2\.00–2\.00", table)
    assert "3 policies, 1 submitted · 2 tensors · N = 10, 50 · seed 0" in table
    assert "50 times in each of 4 cells" in table


def test_policies_that_cannot_be_told_apart_are_marked_and_kept_together(tmp_path):
    rng = np.random.default_rng(1)
    twins = [make_published(BENCHMARK, name, rng.integers(5, 9, (4, 50))) for name in ("one", "two")]
    build_site(tmp_path, BENCHMARK, [REFERENCE, BETTER, *twins])
    index = pages_of(tmp_path)["index.html"]
    body = squeezed(index).split("Front")[1].split("Quality against cost")[0]
    assert re.findall(r"(\d+) (=?) ?(?:better|reference|one|two)", body) == [
        ("1", ""),
        ("2", ""),
        ("3", "="),
        ("3", "="),
    ]
    rows = [attributes.get("class") for tag, attributes in index.tags if tag == "tr"]
    assert rows[1:5] == ["first", "first", "first", None]


def test_a_policys_page_says_whom_it_beats_and_by_how_much(site):
    text = (
        squeezed(pages_of(site)["policy-reference.html"]).split("Against every other policy")[1].split("Every cell")[0]
    )
    assert "better 1 0.500 0.500–0.500 worse" in text
    assert "worse 3 2.00 2.00–2.00 better" in text


def test_a_policys_page_has_its_card_its_code_and_what_made_its_result(site):
    page = pages_of(site)["policy-better.html"]
    text = squeezed(page)
    for wanted in (
        *("Ann Author", "Journal of Searches", "MIT", "InTurn", "It asks all models in turn."),
        *("patience 2", "warmth 0.5", "kind mild", "is_greedy true"),
        *(BETTER.result.file_sha256, BETTER.result.platform, BETTER.result.versions["jax"]),
        *(
            "gembench leaderboard score policies/submissions/better/policy.py:InTurn:patience=2,warmth=0.5",
            ",kind=mild,is_greedy=True ",
            "gembench leaderboard verify better",
        ),
    ):
        assert wanted in text
    assert "class InTurn: ...\n" in page.text
    assert "gembench simulate -p worse" in squeezed(pages_of(site)["policy-worse.html"])


def test_nothing_that_a_stranger_wrote_becomes_mark_up(tmp_path):
    def published(text, name):
        card = replace(
            CARD,
            author=text,
            source=text,
            license=text,
            description=text,
            policy_class=text,
            hyper_parameters={text: text, "other": 1},
        )
        each = make_published(BENCHMARK, name, HALF, is_submission=True, code=text, card=card)
        return replace(each, result=replace(each.result, versions={text: text}, platform=text))

    hidden = replace(BENCHMARK, tensors=tuple(replace(each, name=each.digest) for each in BENCHMARK.tensors))
    hidden = replace(hidden, version="test-private")
    structures = []
    for folder, text, name in ((tmp_path / "bad", HOSTILE, HOSTILE), (tmp_path / "good", "a text", "a_name")):
        private = [make_result(hidden, make_scores(hidden, each, HALF)) for each in ("reference", name)]
        build_site(folder, BENCHMARK, [REFERENCE, published(text, name)], private=private)
        pages = pages_of(folder)
        page_of_it = pages.pop(policy_page(name))
        # Names that are too long for a chart have no label there.
        structures.append(
            [
                Counter((tag, *sorted(attributes)) for tag, attributes in page.tags if tag not in left_out)
                for page, left_out in ((page_of_it, ()), (pages["index.html"], ("text", "path")))
            ]
        )
        assert page_of_it.text.count(SEEN_HOSTILE if text == HOSTILE else "a text") >= 7
    assert structures[0] == structures[1]


def test_pages_run_and_apply_only_what_their_policy_allows_and_ask_nothing_of_anybody(site):
    for name, page in pages_of(site).items():
        policies = [
            attributes["content"]
            for tag, attributes in page.tags
            if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
        ]
        assert len(policies) == 1
        directives = dict(part.strip().split(" ", 1) for part in policies[0].split(";"))
        assert directives["default-src"] == "'none'"
        assert set(directives) == {"default-src", "style-src", "script-src", "img-src", "base-uri", "form-action"}
        assert directives["img-src"] == "data:"
        for kind in ("script", "style"):
            hashes = [
                f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
                for code in page.code[kind]
            ]
            assert directives[f"{kind}-src"].split() == (hashes or ["'none'"]), name
        for tag, attributes in page.tags:
            assert not [each for each in attributes if each.startswith("on") or each in ("style", "src", "srcset")]
            if tag == "link":
                assert attributes["href"] == "data:,"


def test_a_source_is_a_link_that_tells_its_target_nothing(tmp_path):
    sourced = make_published(
        BENCHMARK, "sourced", HALF, card=replace(CARD, source="Ann, see https://example.org/a?b=1&c=2.")
    )
    build_site(tmp_path, BENCHMARK, [REFERENCE, sourced])
    page = pages_of(tmp_path)["policy-sourced.html"]
    outside = [attributes for tag, attributes in page.tags if tag == "a" and ":" in attributes["href"]]
    assert [each["href"] for each in outside] == ["https://example.org/a?b=1&c=2"]
    assert {"noopener", "noreferrer"} <= set(outside[0]["rel"].split())
    assert "Ann, see https://example.org/a?b=1&c=2." in page.text


def test_a_name_adds_no_word_and_no_command_to_what_a_reader_copies():
    name = "x; rm -rf ~ `id` $(id) 'q'"
    card = replace(CARD, name=name, policy_class="A && b", hyper_parameters={"c": "| d"})
    for is_submission in (True, False):
        for line in commands(card, is_submission=is_submission):
            words = shlex.split(line)
            assert words[0] == "gembench"
            assert words[-1] in (name, f"policies/submissions/{name}/policy.py:A && b:c=| d")
            assert len(words) == 4


def test_code_is_shown_line_by_line_and_what_would_hide_in_it_is_seen(tmp_path):
    code = "if a:\r\n\tb = '\u202eevil\u2066'\n    # c\x0c <b>&amp;\rd()\n"
    build_site(tmp_path, BENCHMARK, [REFERENCE, make_published(BENCHMARK, "sly", HALF, code=code)])
    assert (
        "if a:\n\tb = '\ufffdevil\ufffd'\n    # c\ufffd <b>&amp;\nd()\n" in pages_of(tmp_path)["policy-sly.html"].text
    )


@pytest.mark.slow
def test_the_same_input_gives_the_same_bytes_in_another_process(tmp_path):
    program = (
        "import sys; from pathlib import Path; import test_site as t; "
        "t.build_site(Path(sys.argv[1]), t.BENCHMARK, t.PUBLISHED)"
    )
    trees = []
    for seed in "12":
        folder = tmp_path / seed
        subprocess.run(
            [sys.executable, "-c", program, folder],
            check=True,
            cwd=Path(__file__).parent,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": f"{Path(__file__).parent}:{Path(__file__).parents[2]}"},
        )
        trees.append({place.name: place.read_bytes() for place in folder.iterdir()})
    assert trees[0] == trees[1]


def test_the_order_of_the_policies_changes_no_byte(site, tmp_path):
    build_site(tmp_path, BENCHMARK, PUBLISHED[::-1])
    assert {place.name: place.read_bytes() for place in tmp_path.iterdir()} == {
        place.name: place.read_bytes() for place in site.iterdir()
    }


def test_a_second_build_replaces_its_pages_removes_those_that_are_gone_and_leaves_what_is_not_its_own(tmp_path):
    folder = tmp_path / "deep" / "site"
    build_site(folder, BENCHMARK, PUBLISHED)
    (folder / "CNAME").write_text("leaderboard.example")
    (folder / "policy-mine.html").write_text("written by hand")
    assert build_site(folder, BENCHMARK, [REFERENCE, BETTER]) == folder / "index.html"
    left = {"CNAME", "policy-mine.html", "index.html", "about.html", "policy-better.html", "policy-reference.html"}
    assert {place.name for place in folder.iterdir()} == left
    assert (
        "worse"
        not in (folder / "index.html").read_text(encoding="utf-8").split("Quality against cost")[0].split("Front")[1]
    )


def test_a_disk_that_fills_up_leaves_the_earlier_site_whole(tmp_path, monkeypatch):
    build_site(tmp_path, BENCHMARK, PUBLISHED)
    before = {place.name: place.read_bytes() for place in tmp_path.iterdir()}
    written, write_text = [], Path.write_text

    def write_until_full(self, *arguments, **settings):
        written.append(self)
        if len(written) == 3:
            raise OSError(28, "No space left on device", str(self))
        return write_text(self, *arguments, **settings)

    monkeypatch.setattr(Path, "write_text", write_until_full)
    with pytest.raises(SiteError, match=r"No space left on device; choose another folder\."):
        build_site(tmp_path, BENCHMARK, [REFERENCE, BETTER])
    assert {place.name: place.read_bytes() for place in tmp_path.iterdir()} == before


def test_a_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "site").write_text("")
    with pytest.raises(SiteError, match=r"site: cannot be written"):
        build_site(tmp_path / "site", BENCHMARK, PUBLISHED)


def test_a_card_that_comes_with_anothers_result_is_refused():
    mixed = replace(BETTER, card=replace(CARD, name="somebody_else"))
    with pytest.raises(BenchmarkError, match="the card of somebody_else comes with the result of better"):
        make_board(BENCHMARK, [REFERENCE, mixed], (), ())


def test_a_result_of_another_benchmark_is_refused():
    other = replace(BETTER, result=replace(BETTER.result, benchmark="0"))
    with pytest.raises(BenchmarkError, match="better: the benchmark's version"):
        make_board(BENCHMARK, [REFERENCE, other], (), ())


def test_recall_over_tensors_is_the_mean_of_the_tensors_and_its_interval_is_of_runs():
    ranks = np.full((4, 50), 5)
    ranks[0, :25] = 1  # oak at N = 10: half of the runs
    scores = make_scores(BENCHMARK, "any", ranks)
    recall = mean_recall(scores, 10, 1)
    assert recall.value == 0.25
    # The mean of 50 runs of 0 or 1/2 with equal odds has a standard error of 0.25 / sqrt(50) = 0.0354.
    assert recall.interval == pytest.approx((0.25 - 1.96 * 0.0354, 0.25 + 1.96 * 0.0354), abs=0.02)


def test_a_recall_that_no_run_had_is_not_called_impossible():
    never = mean_recall(make_scores(BENCHMARK, "any", np.full((4, 50), 9)), 50, 1)
    always = mean_recall(make_scores(BENCHMARK, "any", np.full((4, 50), 1)), 50, 1)
    unseen = 1 - 0.025 ** (1 / 50)  # Clopper and Pearson, for 0 of 50
    assert never.value == 0
    assert never.interval == pytest.approx((0, unseen))
    assert always.interval == pytest.approx((1 - unseen, 1))


def test_the_about_page_says_which_benchmark_this_is(site):
    text = squeezed(pages_of(site)["about.html"])
    assert "Benchmark test has 2 tensors, known by content digest, and 2 budgets" in text
    assert "replayed 50 times in each cell, from seed 0" in text
