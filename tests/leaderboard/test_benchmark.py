import hashlib
from dataclasses import replace

import numpy as np
import pytest

from gembench.data.embedded import EMBEDDED
from gembench.errors import BenchmarkError, TensorError
from gembench.leaderboard.benchmark import BenchmarkTensor, load_benchmark, open_races, private_benchmark
from gembench.load_race import load_race
from gembench.policies.catalog import CATALOG

SOUND = {
    "version": '"7"',
    "seed": "3",
    "runs": "20",
    "queries_per_model": "[10, 2.5]",
    "top_k": "[1, 3]",
    "reference": '"uniform"',
    "tensors": f'{{ oak = "sha256:{"0" * 64}", ash = "sha256:{"1" * 64}" }}',
}


def write_settings(folder, **changes):
    path = folder / "benchmark.toml"
    settings = {name: value for name, value in {**SOUND, **changes}.items() if value is not None}
    path.write_text("".join(f"{name} = {value}\n" for name, value in settings.items()))
    return path


def write_npz(path, seed=0, num_models=4):
    correct = np.random.default_rng(seed).integers(0, 2, (num_models, 6)).astype(np.uint8)
    names = [f"model-{model}" for model in range(num_models)]
    np.savez(path, correct=correct, models=np.array(names), queries=np.array(list("abcdef")))


def test_the_public_benchmark_is_of_embedded_tensors_by_their_released_digests():
    benchmark = load_benchmark()
    assert {tensor.name: tensor.digest for tensor in benchmark.tensors} == {
        name: embedded.digest for name, embedded in EMBEDDED.items()
    }
    assert benchmark.reference in CATALOG
    assert (benchmark.queries_per_model, benchmark.runs, benchmark.top_k) == ((10, 50), 200, (1, 3, 5))


def test_the_public_seed_follows_from_the_version():
    benchmark = load_benchmark()
    digest = hashlib.sha256(f"gembench benchmark {benchmark.version}".encode()).hexdigest()
    assert benchmark.seed == int(digest[:8], 16)


def test_the_settings_of_a_file_are_read_in_their_order(tmp_path):
    benchmark = load_benchmark(write_settings(tmp_path))
    assert (benchmark.version, benchmark.seed, benchmark.runs) == ("7", 3, 20)
    assert (benchmark.queries_per_model, benchmark.top_k, benchmark.reference) == ((10, 2.5), (1, 3), "uniform")
    assert [tensor.name for tensor in benchmark.tensors] == ["oak", "ash"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": None}, "seed is missing"),
        ({"speed": "1"}, "speed is no setting of a benchmark"),
        ({"version": "1"}, "version should be a text, got 1"),
        ({"reference": '" "'}, "reference should be a text"),
        ({"seed": "-1"}, "seed should be an integer from 0"),
        ({"seed": "true"}, "seed should be an integer from 0"),
        ({"runs": "19"}, "runs should be an integer from 20 up, got 19"),
        ({"queries_per_model": "[]"}, "queries_per_model should be a list of positive numbers"),
        ({"queries_per_model": "[10, 0]"}, "queries_per_model should be a list of positive numbers"),
        ({"queries_per_model": "[nan]"}, "queries_per_model should be a list of positive numbers"),
        ({"queries_per_model": "[10, 10.0]"}, "a list of different positive numbers"),
        ({"queries_per_model": "10"}, "queries_per_model should be a list of positive numbers"),
        ({"top_k": "[1.5]"}, "top_k should be a list of positive integers"),
        ({"tensors": "{}"}, "tensors should be a table"),
        ({"tensors": '{ oak = "sha256:12" }'}, "tensors.oak should be a content digest"),
        ({"tensors": SOUND["tensors"].replace("1", "0")}, "different tensors"),
        ({"tensors": "["}, "is no TOML"),
        ({"seed": "9" * 5000}, "is no TOML"),
        ({"seed": "9" * 400}, "seed should be an integer from 0"),
    ],
)
def test_a_setting_that_is_wrong_is_named_in_one_line_with_its_file(tmp_path, changes, message):
    path = write_settings(tmp_path, **changes)
    with pytest.raises(BenchmarkError, match=message) as caught:
        load_benchmark(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BenchmarkError, match=r"none\.toml: cannot be read: No such file"):
        load_benchmark(tmp_path / "none.toml")


def test_the_races_of_a_benchmark_bear_its_names_and_are_of_its_digests():
    benchmark = replace(load_benchmark(), tensors=load_benchmark().tensors[-1:])
    (loaded,) = open_races(benchmark)
    assert (loaded.tensor, loaded.digest) == ("smollm2-135m", benchmark.tensors[0].digest)


def test_a_tensor_of_other_content_is_refused_by_name(tmp_path):
    write_npz(tmp_path / "a.npz")
    tensor = BenchmarkTensor("oak", f"sha256:{'0' * 64}", str(tmp_path / "a.npz"))
    with pytest.raises(BenchmarkError, match="tensor oak: its content hashes to sha256:"):
        open_races(replace(load_benchmark(), tensors=(tensor,)))


def test_a_tensor_whose_models_cost_nothing_is_refused(tmp_path, monkeypatch):
    write_npz(tmp_path / "a.npz")
    free = load_race(str(tmp_path / "a.npz"))
    monkeypatch.setattr(
        "gembench.load_race.load_race",
        lambda location: replace(free, race=replace(free.race, load_seconds=np.zeros(4), query_seconds=np.zeros(4))),
    )
    with pytest.raises(BenchmarkError, match="tensor oak: some of its models take no seconds"):
        open_races(replace(load_benchmark(), tensors=(BenchmarkTensor("oak", free.digest, "oak"),)))


def test_hidden_tensors_are_known_by_their_digests_alone_whatever_their_files_are_called(tmp_path):
    folders = tmp_path / "first", tmp_path / "second"
    for folder, names in zip(folders, ("abc", "cab"), strict=True):
        folder.mkdir()
        for seed, name in enumerate(names):
            write_npz(folder / f"{name}.npz", seed)
    (folders[0] / "README.md").write_text("Hidden.")
    (folders[0] / ".a.npz").write_text("half a file")
    first, second = (private_benchmark(load_benchmark(), folder) for folder in folders)
    races = open_races(first)
    assert [tensor.name for tensor in first.tensors] == [tensor.name for tensor in second.tensors]
    assert [loaded.tensor for loaded in races] == [loaded.digest for loaded in races]
    assert len({loaded.digest for loaded in races}) == 3
    assert replace(first, tensors=(), version="1") == replace(load_benchmark(), tensors=())
    assert first.version == "1-private"


def test_a_folder_without_a_tensor_is_refused_and_so_is_none(tmp_path):
    with pytest.raises(BenchmarkError, match="no tensor lies there"):
        private_benchmark(load_benchmark(), tmp_path)
    with pytest.raises(BenchmarkError, match="cannot be read as a folder"):
        private_benchmark(load_benchmark(), tmp_path / "none")


def test_a_hidden_tensor_that_is_there_twice_is_refused(tmp_path):
    write_npz(tmp_path / "a.npz")
    write_npz(tmp_path / "b.npz")
    with pytest.raises(BenchmarkError, match=r"a\.npz and b\.npz have the same content"):
        private_benchmark(load_benchmark(), tmp_path)


def test_a_hidden_file_that_is_no_tensor_is_an_error(tmp_path):
    (tmp_path / "a.npz").write_text("no zip")
    with pytest.raises(TensorError, match=r"a\.npz"):
        private_benchmark(load_benchmark(), tmp_path)
