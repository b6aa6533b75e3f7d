import itertools

import numpy as np
import pytest
from toy import make_loaded

from gembench.errors import UsageError
from gembench.tuning.splits import FamilySize, part_sizes, split_families, split_tensors


@pytest.mark.parametrize(
    ("num_races", "sizes"), [(3, (1, 1, 1)), (4, (2, 1, 1)), (8, (4, 2, 2)), (11, (7, 2, 2)), (20, (10, 5, 5))]
)
def test_a_quarter_is_for_testing_and_a_quarter_for_validation(num_races, sizes):
    assert part_sizes(num_races) == sizes


def test_tensors_keep_their_order_and_the_last_are_for_testing():
    splits = split_tensors([make_loaded(name) for name in "abcdefgh"], seed=1)
    assert [[race.tensor for race in part.races] for part in splits.parts.values()] == [
        ["a", "b", "c", "d"],
        ["e", "f"],
        ["g", "h"],
    ]
    assert not splits.are_drawn
    assert splits.num_shared_models == 0


def test_runs_of_different_parts_and_seeds_meet_different_query_orders():
    races = [make_loaded(name) for name in "abc"]
    seeds = [part.seed for seed in (1, 2) for part in split_tensors(races, seed).parts.values()]
    assert len(set(seeds)) == 6


def test_models_that_race_in_the_test_and_before_it_are_counted_once():
    shared = tuple(f"org/{model}" for model in range(40))
    races = [make_loaded("a", models=shared), make_loaded("b", models=shared), make_loaded("c"), make_loaded("d")]
    assert split_tensors(races, seed=0).num_shared_models == 0
    assert split_tensors([races[2], races[0], races[3], races[1]], seed=0).num_shared_models == 40


@pytest.mark.parametrize("num_races", [1, 2])
def test_fewer_than_three_tensors_are_refused(num_races):
    with pytest.raises(UsageError, match="too few for training, validation and test; name 3 or more"):
        split_tensors([make_loaded(str(race)) for race in range(num_races)], seed=0)


def test_parts_of_a_tensor_with_room_share_no_model_in_races_or_histories():
    loaded = make_loaded(num_models=400, num_queries=60)
    splits = split_families([loaded], FamilySize(num_families=8, num_models=30, num_histories=40), seed=3)
    rows = {loaded.race.correct[model].tobytes(): name for model, name in enumerate(loaded.models)}
    assert len(rows) == 400  # All differ, so that an answer row says which model it is of.
    models = []
    for part in splits.parts.values():
        of_part = set(part.models)
        for race in part.races:
            background = splits.known[race.tensor].background
            assert background.history.shape == (40, 60)
            # The queries are in another order in each family: bring them back by what one of its models answers.
            order = order_of(race, loaded)
            of_part |= {rows[row.astype(np.uint8).tobytes()] for row in np.asarray(background.history)[:, order]}
        models.append(of_part)
    assert all(not first & second for first, second in itertools.combinations(models, 2))
    assert splits.num_shared_models == 0


def order_of(race, loaded):
    """The column of the family that each query of the tensor lies in, by the columns' contents."""
    rows = [loaded.models.index(model) for model in race.models]
    columns = {column.tobytes(): place for place, column in enumerate(race.race.correct.T.copy())}
    return [columns[column.tobytes()] for column in loaded.race.correct[rows].T.copy()]


def test_a_family_s_answers_and_costs_are_those_of_its_models_in_the_tensor():
    loaded = make_loaded(num_models=100)
    splits = split_families([loaded], FamilySize(8, num_models=10), seed=0)
    for part in splits.parts.values():
        for race in part.races:
            rows = [loaded.models.index(model) for model in race.models]
            assert race.race.load_seconds.tolist() == loaded.race.load_seconds[rows].tolist()
            assert race.race.query_seconds.tolist() == loaded.race.query_seconds[rows].tolist()
            assert race.accuracy.tolist() == pytest.approx(loaded.accuracy[rows].tolist())
            assert race.digest == loaded.digest


def test_a_tensor_without_room_has_families_of_all_its_models_and_says_how_many_are_shared():
    loaded = make_loaded(num_models=40)
    splits = split_families([loaded], FamilySize(8, num_models=30), seed=0)
    shared = splits.test.models & (splits.training.models | splits.validation.models)
    assert splits.num_shared_models == len(shared) > 0
    assert not splits.known


def test_every_family_is_another_and_each_tensor_gives_so_many():
    splits = split_families([make_loaded("a", 200), make_loaded("b", 200)], FamilySize(9, 12, num_queries=20), seed=0)
    races = [race for part in splits.parts.values() for race in part.races]
    assert [len(part.races) for part in splits.parts.values()] == [10, 4, 4]
    assert len({race.tensor for race in races}) == len({race.race.correct.tobytes() for race in races}) == 18
    assert {race.num_queries for race in races} == {20}


def test_the_same_seed_gives_the_same_families_and_another_seed_others():
    def cut(seed):
        parts = split_families([make_loaded(num_models=100)], FamilySize(8, 10), seed).parts.values()
        return [race.models for part in parts for race in part.races]

    assert cut(5) == cut(5)
    assert not set(cut(5)) & set(cut(6))


def test_families_that_do_not_fit_or_are_too_few_are_refused():
    with pytest.raises(UsageError, match=r"tree: a family of 41 models.* does not fit into 40 models x 30 queries"):
        split_families([make_loaded()], FamilySize(8, 41), seed=0)
    with pytest.raises(UsageError, match=r"7 families are too few .*; 8 are enough"):
        split_families([make_loaded()], FamilySize(7, 4), seed=0)
