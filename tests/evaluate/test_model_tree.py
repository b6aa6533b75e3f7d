from datetime import date

import pytest
from fake_hub import FakeHub

from gembench.errors import UsageError
from gembench.evaluate.evaluator import EvaluatorFailure
from gembench.evaluate.model_list import ModelSource
from gembench.evaluate.model_tree import ModelTreeError, TreeFilter, model_tree


def made_from(*bases: str, how: str = "finetune", **about) -> dict:
    tags = [tag for base in bases for tag in (f"base_model:{base}", f"base_model:{how}:{base}")]
    return {"tags": [*tags, *about.pop("tags", [])], **about}


@pytest.fixture
def tree(fake_hub: FakeHub) -> FakeHub:
    """base ← {tuned ← {again ← deep, adapter}, quantized, merge of tuned and quantized}, and a stranger."""
    fake_hub.add("org/base", downloads=1000, num_parameters=100)
    fake_hub.add(
        "org/tuned",
        **made_from(
            "org/base",
            downloads=50,
            num_parameters=100,
            tags=["license:mit", "math"],
            created="2025-03-01T12:00:00.000Z",
        ),
    )
    fake_hub.add("org/again", **made_from("org/tuned", downloads=0, created="2025-02-01T00:00:00.000Z"))
    fake_hub.add("org/deep", **made_from("org/again", downloads=70, tags=["license:apache-2.0"]))
    fake_hub.add("org/adapter", **made_from("org/tuned", how="adapter", downloads=50, num_parameters=3))
    fake_hub.add("org/quantized", **made_from("org/base", how="quantized", downloads=9, num_parameters=25))
    fake_hub.add("org/merge", **made_from("org/tuned", "org/quantized", how="merge", downloads=50))
    fake_hub.add("org/stranger", **made_from("org/another", downloads=99))
    return fake_hub


def names(sources: tuple[ModelSource, ...]) -> list[str]:
    return [source.model.removeprefix("org/") for source in sources]


def test_a_tree_is_the_base_and_all_its_descendants_the_most_downloaded_first(tree: FakeHub):
    sources = model_tree("org/base")
    assert names(sources) == ["base", "deep", "adapter", "merge", "tuned", "quantized", "again"]
    assert all(source.revision == tree.repos[source.model].revisions["main"] for source in sources)
    assert {source.base for source in sources} == {"org/base"}
    parents = {source.model: source.parent for source in sources}
    assert parents == {
        "org/base": "",
        "org/tuned": "org/base",
        "org/again": "org/tuned",
        "org/deep": "org/again",
        "org/adapter": "org/tuned",
        "org/quantized": "org/base",
        "org/merge": "org/tuned",
    }
    tuned = sources[4]
    assert (tuned.license, tuned.downloads, tuned.num_parameters) == ("mit", 50, 100)
    assert tuned.created == "2025-03-01T12:00:00+00:00"


def test_the_order_does_not_depend_on_the_hubs(tree: FakeHub):
    before = model_tree("org/base")
    tree.repos = dict(reversed(tree.repos.items()))
    assert model_tree("org/base") == before


@pytest.mark.parametrize(
    ("tree_filter", "expected"),
    [
        (TreeFilter(relations=frozenset({"finetune"})), ["deep", "tuned", "again"]),
        (TreeFilter(relations=frozenset({"merge", "quantized"})), ["merge", "quantized"]),
        (TreeFilter(max_parameters=25), ["adapter", "quantized"]),
        (TreeFilter(licenses=frozenset({"mit", "apache-2.0"})), ["deep", "tuned"]),
        (TreeFilter(min_downloads=50), ["deep", "adapter", "merge", "tuned"]),
        (TreeFilter(created_after=date(2025, 2, 1)), ["tuned", "again"]),
        (TreeFilter(created_after=date(2025, 2, 1), created_before=date(2025, 3, 1)), ["again"]),
        (TreeFilter(tags=frozenset({"math", "license:mit"})), ["tuned"]),
    ],
)
def test_a_filter_leaves_models_out_but_not_what_was_made_from_them(
    tree: FakeHub, tree_filter: TreeFilter, expected: list[str]
):
    assert names(model_tree("org/base", tree_filter=tree_filter)) == ["base", *expected]


def test_a_limit_counts_the_base(tree: FakeHub):
    assert names(model_tree("org/base", limit=3)) == ["base", "deep", "adapter"]
    with pytest.raises(ModelTreeError, match="limit on models is 0"):
        model_tree("org/base", limit=0)


def test_models_that_name_each_other_are_met_once(fake_hub: FakeHub):
    fake_hub.add("org/base", **made_from("org/b"))
    fake_hub.add("org/a", **made_from("org/base", "org/b", downloads=2))
    fake_hub.add("org/b", **made_from("org/a", "org/b"))
    assert names(model_tree("org/base")) == ["base", "a", "b"]
    assert fake_hub.count("/api/models", "GET") == 4  # The base itself, and the children of each.


def test_a_model_whose_card_does_not_say_how_it_was_made_is_a_fine_tune(fake_hub: FakeHub):
    fake_hub.add("org/base")
    fake_hub.add("org/tuned", tags=["base_model:org/base"])
    assert names(model_tree("org/base", tree_filter=TreeFilter(relations=frozenset({"finetune"})))) == ["base", "tuned"]


def test_every_page_of_a_long_list_is_read(fake_hub: FakeHub):
    fake_hub.add("org/base")
    for number in range(10):
        fake_hub.add(f"org/m{number}", **made_from("org/base", downloads=number))
    assert names(model_tree("org/base")) == ["base", *(f"m{number}" for number in reversed(range(10)))]


@pytest.mark.parametrize("base", ["org/nowhere", "base", "org/base@v1", ""])
def test_a_base_that_is_not_on_the_hub_is_an_error_of_usage(tree: FakeHub, base: str):
    with pytest.raises(ModelTreeError, match="--tree") as raised:
        model_tree(base)
    assert isinstance(raised.value, UsageError)
    assert "\n" not in str(raised.value)


def test_a_tree_needs_the_network(tree: FakeHub, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelTreeError, match="HF_HUB_OFFLINE is set"):
        model_tree("org/base")
    assert tree.seen == []


def test_an_outage_while_a_tree_is_listed_is_said(tree: FakeHub, hub_sleeps: list[float]):
    tree.plant("/api/models", times=2, status=503)
    assert len(model_tree("org/base")) == 7
    tree.plant("/api/models", times=999, status=503)
    with pytest.raises(EvaluatorFailure, match="503"):
        model_tree("org/base")


def test_an_unknown_relation_is_refused():
    with pytest.raises(ModelTreeError, match="no relation is called 'distilled'; there are finetune, adapter"):
        TreeFilter(relations=frozenset({"distilled", "merge"}))
