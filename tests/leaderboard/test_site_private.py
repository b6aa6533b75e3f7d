import re
from dataclasses import replace

import pytest
from boards import make_benchmark, make_scores
from sites import BENCHMARK, PUBLISHED, pages_of, squeezed

from gembench.errors import BenchmarkError
from gembench.leaderboard.benchmark import BenchmarkTensor
from gembench.leaderboard.result_file import make_result
from gembench.leaderboard.site.board import make_board
from gembench.leaderboard.site.build import build_site
from gembench.leaderboard.site.links import policy_page

DIGESTS = tuple(f"sha256:{letter * 64}" for letter in "ab")
HIDDEN = replace(
    make_benchmark(DIGESTS, (10,), runs=30, seed=7),
    version="test-private",
    tensors=tuple(BenchmarkTensor(digest, digest, "/secret/tree.zarr") for digest in DIGESTS),
)


def hidden_result(name, rank, benchmark=HIDDEN):
    return make_result(benchmark, make_scores(benchmark, name, rank))


def test_hidden_tensors_have_a_ranking_of_their_own_and_no_name_but_their_digests(tmp_path):
    private = [hidden_result("reference", 2), hidden_result("better", 3), hidden_result("unpublished", 1)]
    build_site(tmp_path, BENCHMARK, PUBLISHED, private=private)
    pages = pages_of(tmp_path)
    text = squeezed(pages["index.html"])
    hidden = text.split("Ranking on hidden tensors")[1].split("Quality against cost")[0]
    assert "30 runs in each of 2 cells, seed 7" in hidden
    assert re.findall(r"(\d) (unpublished|reference|better) .*?(\d\.\d+) ", hidden) == [
        ("1", "unpublished", "0.500"),
        ("2", "reference", "1.00"),
        ("3", "better", "1.50"),
    ]
    assert all(digest in hidden for digest in DIGESTS)
    assert policy_page("unpublished") not in pages["index.html"].links()
    assert "3 on hidden tensors" in squeezed(pages["policy-better.html"])
    assert not any("secret" in place.read_text(encoding="utf-8") for place in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (
            lambda: [hidden_result("reference", 2, replace(HIDDEN, version="other-private"))],
            "no private one .* of 'test'",
        ),
        (
            lambda: [
                hidden_result("reference", 2, replace(HIDDEN, version="test-private-history-0123abcd")),
                hidden_result("better", 2),
            ],
            "better: the benchmark's version was 'test-private', but is 'test-private-history-0123abcd' here",
        ),
        (
            lambda: [hidden_result("reference", 2, make_benchmark(("my secret tree",), version="test-private"))],
            "a hidden tensor is called my secret tree, not by its digest",
        ),
        (lambda: [hidden_result("better", 2)], "the reference, reference, is not among the scores"),
        (
            lambda: [hidden_result("reference", 2), hidden_result("better", 2, replace(HIDDEN, seed=8))],
            "better: the benchmark's seed",
        ),
        (
            lambda: [
                hidden_result("reference", 2),
                hidden_result("better", 2, replace(HIDDEN, tensors=HIDDEN.tensors[:1])),
            ],
            "better: was not scored on the cells",
        ),
    ],
)
def test_private_results_that_do_not_belong_together_or_tell_too_much_are_refused(results, message):
    with pytest.raises(BenchmarkError, match=message):
        make_board(BENCHMARK, PUBLISHED, results(), ())
