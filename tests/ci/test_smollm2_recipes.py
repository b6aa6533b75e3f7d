import re
import runpy
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_TABLE = runpy.run_path(str(_ROOT / "ci/smollm2/recipes.py"))
RECIPES, BASE, lineage = _TABLE["RECIPES"], _TABLE["BASE"], _TABLE["lineage"]


def depth(name):
    return 0 if name == BASE else 1 + depth(next(recipe.parent for recipe in RECIPES if recipe.name == name))


def test_the_tree_has_at_least_44_descendants_with_names_of_their_own():
    names = [recipe.name for recipe in RECIPES]

    assert len(names) >= 44
    assert len({BASE, *names}) == len(names) + 1
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name) for name in names)


def test_what_a_recipe_needs_stands_before_it():
    made = {BASE}
    for recipe in RECIPES:
        assert set(recipe.needed) <= made, recipe.name
        made.add(recipe.name)


def test_no_two_recipes_make_the_same_checkpoint():
    assert len({(recipe.parent, recipe.change) for recipe in RECIPES}) == len(RECIPES)


def test_the_tree_is_four_generations_deep():
    assert max(depth(recipe.name) for recipe in RECIPES) == 4


def test_a_lineage_is_a_recipe_after_all_that_it_needs():
    assert [recipe.name for recipe in lineage("linear-arith-words-int8")] == [
        "words-lr1e-4",
        "arith-lr1e-4",
        "linear-arith-words",
        "linear-arith-words-int8",
    ]


def test_the_base_needs_no_recipe():
    assert list(lineage(BASE)) == []


def test_an_unknown_name_has_no_lineage():
    with pytest.raises(KeyError, match="nobody"):
        lineage("nobody")
