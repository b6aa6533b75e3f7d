"""Exports: what each holds by hand, and that import makes the same tensor of it again."""

import csv
import hashlib
import json
import re
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet
from tensor_examples import full_tensor, tensors

from gembench.data.digest import content_digest
from gembench.data.export_catalog import EXPORT_FORMATS
from gembench.data.exporting import export_tensor
from gembench.data.importing import import_logs
from gembench.data.outcomes import Outcome
from gembench.data.schema import make_tensor
from gembench.data.tensor import open_tensor, write_tensor
from gembench.errors import CorruptTensorError, TensorError, TensorExistsError, UsageError

IMPORTERS = {"eee": "eee", "parquet": "table", "csv": "table", "npz": "table"}
TARGETS = {"eee": "out", "parquet": "out.parquet", "csv": "out.csv", "npz": "out.npz"}
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much]
every_format = pytest.mark.parametrize("name", EXPORT_FORMATS)


def exported(folder, name, tensor, **options):
    """Exports a tensor, and returns where."""
    target = folder / TARGETS[name]
    export_tensor(tensor, name, str(target), **options)
    return target


def imported(folder, name, target):
    """The tensor that import makes of an export."""
    import_logs(IMPORTERS[name], [str(target)], folder / "again.zarr", overwrite=True, num_processes=1)
    return open_tensor(folder / "again.zarr")


def digest_after_round_trip(folder, name, tensor):
    return content_digest(imported(folder, name, exported(folder, name, tensor, overwrite=True)))


def with_failures(tensor, seed=0):
    """The tensor with a reason for each cell that has no answer."""
    reasons = [Outcome.NOT_ASKED, Outcome.TRUNCATED, Outcome.UNGRADED, Outcome.FAILED]
    drawn = np.random.default_rng(seed).choice(reasons, tensor["outcome"].shape).astype(np.uint8)
    outcome = np.where(tensor["correct"] >= 0, np.uint8(Outcome.ANSWERED), drawn)
    return tensor.assign(outcome=(tensor["outcome"].dims, outcome, tensor["outcome"].attrs))


@every_format
def test_a_format_has_a_row_in_the_docs(name):
    page = Path(__file__).parents[2] / "docs" / "export.md"
    assert re.search(rf"^\| `{name}` \|", page.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize("name", ["npz", "parquet"])
@settings(max_examples=30, derandomize=True, deadline=None, database=None, suppress_health_check=QUIET)
@given(tensor=tensors(), seed=st.none() | st.integers(0, 99))
def test_any_tensor_has_its_digest_again_after_npz_and_parquet(tmp_path, name, tensor, seed):
    tensor = tensor if seed is None else with_failures(tensor, seed)
    assert digest_after_round_trip(tmp_path, name, tensor) == content_digest(tensor)


@settings(max_examples=30, derandomize=True, deadline=None, database=None, suppress_health_check=QUIET)
@given(tensor=tensors(), seed=st.none() | st.integers(0, 99))
def test_a_tensor_of_which_all_was_asked_has_its_digest_again_after_every_eval_ever(tmp_path, tensor, seed):
    tensor = tensor if seed is None else with_failures(tensor, seed)
    asked = tensor["outcome"].values != Outcome.NOT_ASKED
    kept = tensor.isel(model=asked.any(axis=1))
    kept = kept.isel(query=(kept["outcome"].values != Outcome.NOT_ASKED).any(axis=0))
    if kept.sizes["model"] and kept.sizes["query"] and (kept["correct"].values >= 0).any():
        assert digest_after_round_trip(tmp_path, "eee", kept) == content_digest(kept)


@settings(max_examples=30, derandomize=True, deadline=None, database=None, suppress_health_check=QUIET)
@given(tensor=tensors())
def test_a_tensor_without_tasks_has_its_digest_again_after_csv(tmp_path, tensor):
    """Where the scores say what is right, and cells without an answer were never asked."""
    tensor = tensor.drop_vars("task", errors="ignore")
    if "score" in tensor:
        right = (tensor["score"].values >= 0.5) & (tensor["correct"].values >= 0)
        graded = ~np.isin(tensor["score"].values, (0, 1)) & (tensor["correct"].values >= 0)
        # Scores that are all 0 or 1 are no more than what is right, and are read as that.
        tensor = tensor if graded.any() else tensor.drop_vars("score")
        tensor["correct"] = tensor["correct"].copy(
            data=np.where(tensor["correct"].values < 0, -1, right).astype(np.int8)
        )
    assert digest_after_round_trip(tmp_path, "csv", tensor) == content_digest(tensor)


@pytest.mark.parametrize("name", ["parquet", "eee"])
def test_what_is_known_of_models_and_queries_survives_too(tmp_path, name):
    tensor = with_failures(full_tensor())
    again = imported(tmp_path, name, exported(tmp_path, name, tensor))
    assert content_digest(again) == content_digest(tensor)
    again = again.sel(model=tensor["model"].values.tolist(), query=tensor["query"].values.tolist())
    for coordinate in ("parent", "downloads", "subject"):
        assert again[coordinate].values.tolist() == tensor[coordinate].values.tolist()
    assert {str(one)[:10] for one in again["created"].values} == {"2025-01-01"}
    np.testing.assert_allclose(again["seconds"].values, tensor["seconds"].values, rtol=1e-6)


@every_format
def test_a_store_is_exported_block_by_block_to_the_same_bytes(tmp_path, name, monkeypatch):
    tensor = full_tensor(num_models=7, num_queries=5)
    write_tensor(tensor, tmp_path / "tensor.zarr")
    monkeypatch.setattr("gembench.data.export_eee.time.time", lambda: 0)
    whole = exported(tmp_path, name, tensor)
    monkeypatch.setattr("gembench.data.cells.CELLS_PER_BLOCK", 10)
    monkeypatch.setattr("gembench.data.export_parquet.BYTES_PER_ROW_GROUP", 1)
    (tmp_path / "blocks").mkdir()
    stored = open_tensor(tmp_path / "tensor.zarr")
    stored.attrs, stored.encoding = tensor.attrs, tensor.encoding
    blocks = exported(tmp_path / "blocks", name, stored)
    if name == "parquet":
        assert parquet.read_table(blocks).to_pylist() == parquet.read_table(whole).to_pylist()
        assert parquet.ParquetFile(blocks).num_row_groups == 7
    else:
        assert _contents(blocks) == _contents(whole)


def _contents(path):
    if path.is_file():
        return path.read_bytes()
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


SMALL = make_tensor(
    np.array([[1, 0, -1], [0, 1, 1]], np.int8),
    ["org/a@main", "b"],
    ["q1", "q,2", "q3"],
    tasks=["t", "t", "u"],
    variables={"score": np.array([[0.75, 0.1, np.nan], [0, 1, 0.5]], np.float32)},
)


def test_an_npz_holds_plain_arrays(tmp_path):
    with np.load(exported(tmp_path, "npz", SMALL), allow_pickle=False) as arrays:
        assert set(arrays) == {"correct", "models", "queries", "outcome", "task", "score"}
        assert arrays["correct"].tolist() == [[1, 0, -1], [0, 1, 1]]
        assert arrays["models"].tolist() == ["org/a@main", "b"]
        assert arrays["score"].dtype == np.float32
    assert content_digest(open_tensor(tmp_path / "out.npz")) == content_digest(SMALL)


def test_a_csv_has_a_row_a_model_of_the_shortest_numbers_that_are_exact(tmp_path):
    with exported(tmp_path, "csv", SMALL).open(encoding="utf-8", newline="") as file:
        assert list(csv.reader(file)) == [
            ["model", "q1", "q,2", "q3"],
            ["org/a@main", "0.75", "0.1", ""],
            ["b", "0.0", "1.0", "0.5"],
        ]
    plain = SMALL.drop_vars("score")
    assert exported(tmp_path, "csv", plain, overwrite=True).read_text() == (
        'model,q1,"q,2",q3\norg/a@main,1,0,\nb,0,1,1\n'
    )


def test_a_parquet_has_a_row_a_cell(tmp_path):
    rows = parquet.read_table(exported(tmp_path, "parquet", SMALL)).to_pylist()
    assert len(rows) == 6
    assert rows[2] == {
        "model": "org/a@main",
        "query": "q3",
        "task": "u",
        "outcome": "not_asked",
        "correct": None,
        "score": None,
    }
    assert rows[5] == {"model": "b", "query": "q3", "task": "u", "outcome": "answered", "correct": 1, "score": 0.5}


def test_a_run_of_every_eval_ever_says_what_its_schema_requires(tmp_path):
    """The fields and values that `eval.schema.json` and `instance_level_eval.schema.json` 0.3.0 demand, by hand."""
    tensor = with_failures(full_tensor())
    folder = exported(tmp_path, "eee", tensor)
    files = sorted(folder.rglob("*.json"))
    assert len(files) == tensor.sizes["model"]
    for file in files:
        run = json.loads(file.read_text())
        required = {"schema_version", "evaluation_id", "retrieved_timestamp", "source_metadata", "model_info"}
        assert set(run) == required | {"eval_library", "evaluation_results", "detailed_evaluation_results"}
        assert run["retrieved_timestamp"].isdecimal()
        assert run["source_metadata"]["source_type"] in ("documentation", "evaluation_run")
        assert run["source_metadata"]["evaluator_relationship"] in (
            "first_party",
            "third_party",
            "collaborative",
            "other",
        )
        assert {"name", "id"} < set(run["model_info"])
        texts = [run["model_info"]["additional_details"], run["eval_library"]["additional_details"]]
        assert all(isinstance(value, str) for details in texts for value in details.values())
        assert {"deployment_type", "model_availability"} <= set(texts[0])
        samples_path = run["detailed_evaluation_results"]["file_path"]
        assert samples_path == file.relative_to(folder).as_posix().replace(".json", "_samples.jsonl")
        assert file.parent.relative_to(folder).as_posix() == f"data/tests/{run['model_info']['id']}"
        assert file.stem[14] == "4"
        assert file.stem[19] in "89ab"
        content = (folder / samples_path).read_bytes()
        assert run["detailed_evaluation_results"]["checksum"] == hashlib.sha256(content).hexdigest()
        samples = [json.loads(line) for line in content.splitlines()]
        assert run["detailed_evaluation_results"]["total_rows"] == len(samples)
        _check_samples(run, samples, tensor.sel(model=run["model_info"]["name"]))


def _check_samples(run, samples, row):
    results = {one["evaluation_result_id"]: one for one in run["evaluation_results"]}
    answered = [one for one in samples if one["error"] is None]
    for sample in samples:
        assert sample["evaluation_id"] == run["evaluation_id"]
        assert sample["model_id"] == run["model_info"]["id"]
        assert sample["interaction_type"] == "single_turn"
        assert {"sample_id", "input", "output", "answer_attribution", "evaluation_name"} < set(sample)
        assert isinstance(sample["evaluation"]["is_correct"], bool)
        assert isinstance(sample["evaluation"]["score"], float)
        assert sample["evaluation_result_id"] in results
        if sample["error"] is not None:
            assert sample["evaluation"] == {"score": 0.0, "is_correct": False}
            assert sample["error"] == f"no graded answer: {sample['metadata']['outcome']}"
    scores = row["score"].values[row["correct"].values >= 0].astype(np.float64)
    (reported,) = results.values()
    assert reported["score_details"]["score"] == pytest.approx(scores.mean(), abs=1e-12)
    assert reported["score_details"]["uncertainty"]["num_samples"] == len(answered) == len(scores)
    if len(scores) == 1:
        assert "standard_error" not in reported["score_details"]["uncertainty"]
    else:
        error = reported["score_details"]["uncertainty"]["standard_error"]["value"]
        assert error == pytest.approx(scores.std(ddof=1) / len(scores) ** 0.5)


@pytest.mark.skipif(
    find_spec("jsonschema") is None or find_spec("every_eval_ever") is None,
    reason="needs pip install jsonschema, and every-eval-ever with --no-deps (--ignore-requires-python on 3.11)",
)
def test_an_export_is_valid_by_every_eval_ever_s_own_schemas(tmp_path):
    from jsonschema import Draft7Validator

    schemas = Path(find_spec("every_eval_ever").origin).parent / "schemas"
    aggregate, instance = (
        Draft7Validator(json.loads((schemas / f"{name}.schema.json").read_text()))
        for name in ("eval", "instance_level_eval")
    )
    folder = exported(tmp_path, "eee", with_failures(full_tensor()))
    for file in folder.rglob("*.json"):
        aggregate.validate(json.loads(file.read_text()))
    for file in folder.rglob("*_samples.jsonl"):
        for line in file.read_text().splitlines():
            instance.validate(json.loads(line))


def test_ids_that_are_no_file_names_stay_inside_the_folder(tmp_path):
    models = ["../../up", "/root@x", "a/../../b", "con/nul", "a\\b:c*", "data/data", ".", "x" * 300, "@", "ä|é/ö"]
    tensor = make_tensor(np.ones((len(models), 1), np.int8), models, ["q"])
    folder = exported(tmp_path, "eee", tensor)
    files = list(folder.rglob("*.json"))
    assert len(files) == len(models)
    assert {len(file.relative_to(folder).parts) for file in files} == {5}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert digest_after_round_trip(tmp_path, "eee", tensor) == content_digest(tensor)


def test_what_a_format_cannot_hold_is_said(tmp_path):
    tensor = with_failures(full_tensor())

    def left_out(name, dataset):
        return set(export_tensor(dataset, name, str(tmp_path / TARGETS[name]), overwrite=True).left_out)

    beside = {"created", "downloads", "load_seconds", "parent", "response", "seconds", "subject"}
    assert left_out("npz", tensor) == beside
    assert left_out("parquet", tensor) == set()
    assert left_out("csv", tensor) == beside | {"correct", "outcome", "task"}
    assert left_out("csv", SMALL) == {"task"}
    assert left_out("eee", tensor) == {"load_seconds"}
    nobody = make_tensor(np.array([[1, -1], [-1, -1]], np.int8), ["a", "b"], ["x", "y"])
    assert left_out("eee", nobody) == {"model", "query"}


@every_format
def test_what_lies_there_stays_unless_told_otherwise(tmp_path, name):
    target = exported(tmp_path, name, SMALL)
    before = _contents(target)
    with pytest.raises(TensorExistsError, match="something lies there"):
        exported(tmp_path, name, full_tensor())
    assert _contents(target) == before
    exported(tmp_path, name, full_tensor(), overwrite=True)
    assert _contents(target) != before
    assert [path.name for path in tmp_path.iterdir()] == [target.name]


@every_format
def test_what_is_no_export_is_never_overwritten(tmp_path, name):
    target = tmp_path / TARGETS[name]
    if name == "eee":
        target.mkdir()
        (target / "thesis.tex").write_text("x")
    else:
        target.mkdir()
    with pytest.raises(TensorExistsError, match="no such export"):
        exported(tmp_path, name, SMALL, overwrite=True)
    if name == "eee":
        (target / "thesis.tex").unlink()
        target.rmdir()
        target.write_text("x")
        with pytest.raises(TensorExistsError, match="no such export"):
            exported(tmp_path, name, SMALL, overwrite=True)


@every_format
def test_a_failure_leaves_what_was_there_and_nothing_half_written(tmp_path, name):
    target = exported(tmp_path, name, SMALL)
    before = _contents(target)
    tensor = full_tensor()
    write_tensor(tensor, tmp_path / "tensor.zarr")
    chunk = max((tmp_path / "tensor.zarr" / "score" / "c").rglob("0"))
    chunk.write_bytes(b"damaged" * 9)
    damaged = open_tensor(tmp_path / "tensor.zarr")
    with pytest.raises(CorruptTensorError, match="'score' cannot be read back"):
        exported(tmp_path, name, damaged, overwrite=True)
    assert _contents(target) == before
    assert {path.name for path in tmp_path.iterdir()} == {target.name, "tensor.zarr"}


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def refuse(dataset, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gembench.data.export_npz.write", refuse)
    with pytest.raises(TensorError, match=r"out\.npz: cannot be written: OSError: .*No space left"):
        exported(tmp_path, "npz", SMALL)
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written_to_are_refused_before_the_work(tmp_path):
    with pytest.raises(UsageError, match="local paths"):
        export_tensor(SMALL, "npz", "memory://out.npz")
    with pytest.raises(UsageError, match="there is no folder"):
        export_tensor(SMALL, "npz", str(tmp_path / "missing" / "out.npz"))
    with pytest.raises(UsageError, match="no format is called 'xlsx'; there are eee, parquet, csv, npz"):
        export_tensor(SMALL, "xlsx", str(tmp_path / "out.xlsx"))


def test_an_id_that_numpy_cannot_store_is_refused(tmp_path):
    tensor = make_tensor(np.ones((1, 1), np.int8), ["m"], ["q\0"])
    with pytest.raises(TensorError, match="'query': a text ends in a NUL"):
        exported(tmp_path, "npz", tensor)
