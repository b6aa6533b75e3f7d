"""Writing and opening: the round trip, what else can read it, and that no failure leaves half a tensor."""

import json
import os
import uuid

import fsspec
import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from tensor_examples import full_tensor, tensors
from zarr.storage import ZipStore

from gembench.data import cells, tensor
from gembench.data.coverage import complete_part
from gembench.data.digest import content_digest, verify_digest
from gembench.data.schema import check_tensor
from gembench.data.tensor import open_tensor, write_tensor
from gembench.errors import (
    CorruptTensorError,
    NewerSchemaError,
    SchemaError,
    TensorError,
    TensorExistsError,
    TensorNotFoundError,
)


@pytest.fixture(params=["folder", "zip", "file URL", "memory URL"])
def location(request, tmp_path):
    return {
        "folder": tmp_path / "t.zarr",
        "zip": str(tmp_path / "t.zip"),
        "file URL": f"file://{tmp_path}/t.zarr",
        "memory URL": f"memory://tests/{uuid.uuid4().hex}/t.zarr",
    }[request.param]


def assert_same(found: xr.Dataset, expected: xr.Dataset) -> None:
    """Equal values, dimensions and attributes; strings may be NumPy's own or Python's."""
    xr.testing.assert_equal(found.load(), expected)
    assert set(found.variables) == set(expected.variables)
    assert {**found.attrs, "content_digest": None} == {**expected.attrs, "content_digest": None}
    for name in ("correct", "outcome", "score", "seconds", "downloads", "created"):
        if name in expected.variables:
            assert found[name].dtype == expected[name].dtype


def test_what_was_written_is_what_is_opened(location):
    digest = write_tensor(full_tensor(), location)
    opened = open_tensor(location)
    assert opened.attrs["content_digest"] == digest == content_digest(full_tensor())
    check_tensor(opened)
    assert verify_digest(opened) == digest
    assert_same(opened, full_tensor())


@settings(max_examples=30, deadline=None)
@given(tensors())
def test_any_tensor_comes_back_as_it_was_written(dataset):
    location = f"memory://tests/{uuid.uuid4().hex}.zarr"
    write_tensor(dataset, location)
    assert_same(open_tensor(location), dataset)


@pytest.mark.parametrize("num_models", [7, 20])
def test_a_tensor_of_many_blocks_and_shards_comes_back_whole(tmp_path, monkeypatch, num_models):
    monkeypatch.setattr(cells, "CELLS_PER_BLOCK", 35)  # Seven rows of five queries: one shard of four, or two.
    monkeypatch.setattr(tensor, "ROWS_PER_SHARD", 4)
    monkeypatch.setattr(tensor, "ROWS_BEFORE_SHARDS", 10)
    expected = full_tensor(num_models=num_models)
    write_tensor(expected, tmp_path / "t.zarr")
    num_files = len(list((tmp_path / "t.zarr" / "correct" / "c").iterdir()))
    assert num_files == (7 if num_models == 7 else 5)
    assert_same(open_tensor(tmp_path / "t.zarr"), expected)
    assert_same(xr.open_zarr(tmp_path / "t.zarr"), expected)


def test_blocks_hold_whole_shards_even_where_one_shard_is_more_than_a_block(monkeypatch):
    monkeypatch.setattr(cells, "CELLS_PER_BLOCK", 45)
    assert list(cells.row_blocks(20, 5, 4)) == [slice(0, 8), slice(8, 16), slice(16, 20)]
    assert list(cells.row_blocks(20, 5, 16)) == [slice(0, 16), slice(16, 20)]
    assert list(cells.row_blocks(20, 5)) == [slice(0, 9), slice(9, 18), slice(18, 20)]
    assert list(cells.row_blocks(2, 1000)) == [slice(0, 1), slice(1, 2)]


def test_plain_xarray_reads_a_folder_and_a_zip_without_a_warning(tmp_path):
    write_tensor(full_tensor(), tmp_path / "t.zarr")
    write_tensor(full_tensor(), tmp_path / "t.zip")
    assert_same(xr.open_zarr(tmp_path / "t.zarr"), full_tensor())
    assert_same(xr.open_zarr(ZipStore(tmp_path / "t.zip", mode="r")), full_tensor())


def test_each_models_row_is_a_chunk_with_a_checksum_and_a_lost_one_reads_as_never_answered(tmp_path):
    write_tensor(full_tensor(), tmp_path / "t.zarr")
    correct = zarr.open_group(tmp_path / "t.zarr", mode="r")["correct"]
    assert correct.chunks == (1, 5)
    assert correct.fill_value == -1
    assert [codec.to_dict()["name"] for codec in correct.compressors] == ["zstd", "crc32c"]


def test_a_zip_is_read_from_a_url_but_written_locally(tmp_path):
    write_tensor(full_tensor(), tmp_path / "t.zip")
    url = f"memory://tests/{uuid.uuid4().hex}/t.zip"
    fsspec.filesystem("memory").pipe(url, (tmp_path / "t.zip").read_bytes())
    for place in (url, f"zip::{url}"):
        assert_same(open_tensor(place), full_tensor())
    with pytest.raises(TensorError, match=r"t\.zip: a \.zip is written locally"):
        write_tensor(full_tensor(), url, overwrite=True)


def test_opening_reads_no_cell(tmp_path):
    write_tensor(full_tensor(), tmp_path / "t.zarr")
    for chunk in (tmp_path / "t.zarr" / "correct" / "c").glob("*/*"):
        chunk.write_bytes(b"damaged")
    assert open_tensor(tmp_path / "t.zarr").sizes == {"model": 6, "query": 5}


def test_an_opened_tensor_can_be_written_again_elsewhere_and_over_itself(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "CELLS_PER_BLOCK", 10)
    monkeypatch.setattr(tensor, "ROWS_PER_SHARD", 2)
    monkeypatch.setattr(tensor, "ROWS_BEFORE_SHARDS", 3)
    write_tensor(full_tensor(), tmp_path / "sharded.zarr")
    monkeypatch.setattr(tensor, "ROWS_BEFORE_SHARDS", 10)
    write_tensor(open_tensor(tmp_path / "sharded.zarr"), tmp_path / "plain.zarr")
    assert_same(open_tensor(tmp_path / "plain.zarr"), full_tensor())
    write_tensor(full_tensor(), tmp_path / "a.zarr")
    write_tensor(open_tensor(tmp_path / "a.zarr"), tmp_path / "b.zip")
    write_tensor(open_tensor(tmp_path / "a.zarr"), tmp_path / "a.zarr", overwrite=True)
    assert_same(open_tensor(tmp_path / "a.zarr"), full_tensor())
    assert_same(open_tensor(tmp_path / "b.zip"), full_tensor())


def test_a_tensor_that_is_there_is_replaced_only_when_asked(location):
    write_tensor(full_tensor(seed=1), location)
    with pytest.raises(TensorExistsError, match=r"t\.z.*overwrite"):
        write_tensor(full_tensor(seed=2), location)
    assert_same(open_tensor(location), full_tensor(seed=1))
    write_tensor(full_tensor(num_models=3, seed=2), location, overwrite=True)
    assert_same(open_tensor(location), full_tensor(num_models=3, seed=2))


def test_what_is_no_tensor_is_never_overwritten(tmp_path):
    precious = tmp_path / "folder" / "thesis.tex"
    precious.parent.mkdir()
    precious.write_text("years of work")
    (tmp_path / "notes.txt").write_text("more work")
    fsspec.filesystem("memory").pipe("/tests/precious/thesis.tex", b"years of work")
    for place in (tmp_path / "folder", tmp_path / "notes.txt", "memory://tests/precious"):
        with pytest.raises(TensorExistsError, match="no tensor"):
            write_tensor(full_tensor(), place, overwrite=True)
    assert precious.read_text() == "years of work"
    assert fsspec.filesystem("memory").exists("/tests/precious/thesis.tex")


@pytest.mark.parametrize("failure", [OSError("no space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("name", ["t.zarr", "t.zip"])
@pytest.mark.parametrize("replaces", [False, True])
def test_a_failed_or_interrupted_writer_leaves_all_as_it_was(tmp_path, monkeypatch, failure, name, replaces):
    if replaces:
        write_tensor(full_tensor(seed=1), tmp_path / name)
    before = sorted(tmp_path.iterdir())
    to_zarr = xr.Dataset.to_zarr

    def fail_in_the_second_block(dataset, *args, append_dim=None, **kwargs):
        if append_dim:
            raise failure
        return to_zarr(dataset, *args, **kwargs)

    monkeypatch.setattr(cells, "CELLS_PER_BLOCK", 10)
    monkeypatch.setattr(xr.Dataset, "to_zarr", fail_in_the_second_block)
    expected = KeyboardInterrupt if isinstance(failure, KeyboardInterrupt) else TensorError
    with pytest.raises(expected):
        write_tensor(full_tensor(seed=2), tmp_path / name, overwrite=True)
    assert sorted(tmp_path.iterdir()) == before
    if replaces:
        assert_same(open_tensor(tmp_path / name), full_tensor(seed=1))


def test_a_folder_that_cannot_move_in_gives_the_old_tensor_back(tmp_path, monkeypatch):
    write_tensor(full_tensor(seed=1), tmp_path / "t.zarr")
    rename = os.rename

    def fail_to_move_in(source, target):
        if str(target) == str(tmp_path / "t.zarr") and str(source).endswith("/tensor"):
            raise PermissionError("not here")
        return rename(source, target)

    monkeypatch.setattr(os, "rename", fail_to_move_in)
    with pytest.raises(TensorError, match="not here"):
        write_tensor(full_tensor(seed=2), tmp_path / "t.zarr", overwrite=True)
    assert_same(open_tensor(tmp_path / "t.zarr"), full_tensor(seed=1))
    assert [path.name for path in tmp_path.iterdir()] == ["t.zarr"]


def test_a_failure_at_a_url_removes_what_was_written(monkeypatch):
    url = f"memory://tests/{uuid.uuid4().hex}.zarr"

    def fail(*args, **kwargs):
        raise OSError("connection lost")

    monkeypatch.setattr(zarr, "consolidate_metadata", fail)
    with pytest.raises(TensorError, match="connection lost"):
        write_tensor(full_tensor(), url)
    with pytest.raises(TensorNotFoundError):
        open_tensor(url)


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file" / "t.zarr", tmp_path / "nowhere" / "t.zarr"):
        with pytest.raises(TensorError, match=r"t\.zarr: cannot be written: .*Error"):
            write_tensor(full_tensor(), place)


@pytest.fixture
def as_nobody(tmp_path):
    """Nobody in particular, whom permissions bind as they do not bind root."""
    if os.geteuid() == 0:
        for folder in (tmp_path, *tmp_path.parents):
            if not folder.stat().st_mode & 0o001:
                folder.chmod(0o755)
        os.seteuid(65534)
        yield
        os.seteuid(0)
    else:
        tmp_path.chmod(0o555)
        yield
        tmp_path.chmod(0o755)


@pytest.mark.usefixtures("as_nobody")
def test_a_read_only_folder_is_one_clear_line(tmp_path):
    for name in ("t.zarr", "t.zip"):
        with pytest.raises(TensorError, match=r"t\.z.*: cannot be written: PermissionError"):
            write_tensor(full_tensor(), tmp_path / name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lock a folder and then be someone else")
def test_a_folder_that_cannot_be_entered_is_one_clear_line(tmp_path):
    write_tensor(full_tensor(), tmp_path / "t.zarr")
    tmp_path.chmod(0o700)
    os.seteuid(65534)
    try:
        with pytest.raises(TensorError, match=r"t\.zarr: cannot be re"):
            open_tensor(tmp_path / "t.zarr")
        with pytest.raises(TensorError, match=r"t\.zarr: cannot be reached"):
            write_tensor(full_tensor(), tmp_path / "t.zarr")
    finally:
        os.seteuid(0)


def test_a_tensor_is_not_written_as_npz(tmp_path):
    with pytest.raises(TensorError, match=r"written as Zarr"):
        write_tensor(full_tensor(), tmp_path / "t.npz")


def test_attributes_that_are_no_json_are_one_clear_line(tmp_path):
    with pytest.raises(TensorError, match=r"cannot be written: .*attribute"):
        write_tensor(full_tensor().assign_attrs(engine=object()), tmp_path / "t.zarr")
    assert not list(tmp_path.iterdir())


def test_a_dataset_that_breaks_the_schema_is_not_written(tmp_path):
    dataset = full_tensor()
    dataset["correct"][5, 0] = 9
    with pytest.raises(SchemaError, match="'correct' is 9"):
        write_tensor(dataset, tmp_path / "t.zarr")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "place", ["{}/nowhere.zarr", "{}/nowhere.zip", "file://{}/nowhere", "memory://no/where", "memory://no/where.zip"]
)
def test_nothing_there_is_a_usage_error_that_names_the_place(tmp_path, place):
    place = place.format(tmp_path)
    with pytest.raises(TensorNotFoundError) as caught:
        open_tensor(place)
    assert place in str(caught.value)
    assert caught.value.exit_code == 2


def test_an_unknown_protocol_is_one_clear_line():
    with pytest.raises(TensorError, match=r"nosuch://x.*protocol"):
        open_tensor("nosuch://x")


def test_a_folder_or_file_that_is_no_tensor_says_so(tmp_path):
    (tmp_path / "file.csv").write_text("model,query")
    zarr.create_array(tmp_path / "array.zarr", shape=(2, 2), dtype="int8")
    zarr.create_group(tmp_path / "old.zarr", zarr_format=2)
    for place, said in ((tmp_path, "no Zarr v3 group"), (tmp_path / "file.csv", "neither"), ("old.zarr", "no Zarr v3")):
        with pytest.raises(SchemaError, match=said):
            open_tensor(tmp_path / place)
    with pytest.raises(TensorError, match=r"array\.zarr: .*Zarr"):
        open_tensor(tmp_path / "array.zarr")


def test_a_tensor_without_its_root_file_is_corrupt(tmp_path):
    write_tensor(full_tensor(), tmp_path / "t.zarr")
    (tmp_path / "t.zarr" / "zarr.json").unlink()
    with pytest.raises(CorruptTensorError, match=r"lost its zarr\.json"):
        open_tensor(tmp_path / "t.zarr")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"zarr_format": 3, "node_type": "group", "attributes": 3}']
)
def test_a_root_file_that_cannot_be_read_is_corrupt(tmp_path, content):
    write_tensor(full_tensor(), tmp_path / "t.zarr")
    (tmp_path / "t.zarr" / "zarr.json").write_bytes(content)
    with pytest.raises(TensorError, match=r"t\.zarr"):
        open_tensor(tmp_path / "t.zarr")


def test_a_zip_cut_short_is_corrupt(tmp_path):
    write_tensor(full_tensor(), tmp_path / "t.zip")
    content = (tmp_path / "t.zip").read_bytes()
    for length in (0, 10, len(content) // 2, len(content) - 1):
        (tmp_path / "t.zip").write_bytes(content[:length])
        with pytest.raises(CorruptTensorError, match=r"t\.zip: .*cut short"):
            open_tensor(tmp_path / "t.zip")


@pytest.mark.parametrize("is_sharded", [False, True])
def test_a_damaged_chunk_names_its_model_wherever_it_is_read(tmp_path, monkeypatch, is_sharded):
    if is_sharded:
        monkeypatch.setattr(tensor, "ROWS_BEFORE_SHARDS", 0)
    write_tensor(full_tensor(), tmp_path / "t.zarr")
    chunk = tmp_path / "t.zarr" / "correct" / "c" / ("0" if is_sharded else "2") / "0"
    content = bytearray(chunk.read_bytes())
    content[10] ^= 0x10
    chunk.write_bytes(content)
    opened = open_tensor(tmp_path / "t.zarr")
    model = "model-0" if is_sharded else "model-2"
    for read in (check_tensor, complete_part, verify_digest, lambda dataset: write_tensor(dataset, tmp_path / "u.zip")):
        with pytest.raises(CorruptTensorError, match=rf"t\.zarr: 'correct' cannot be read back for model 'org/{model}"):
            read(opened)


def test_a_lost_chunk_is_never_answered_and_the_digest_notices(tmp_path):
    write_tensor(full_tensor(), tmp_path / "t.zarr")
    for name in ("correct", "outcome", "score"):
        (tmp_path / "t.zarr" / name / "c" / "0" / "0").unlink()
    opened = open_tensor(tmp_path / "t.zarr")
    assert opened["correct"].values[0].tolist() == [-1] * 5
    with pytest.raises(CorruptTensorError, match="chunk was lost or changed"):
        verify_digest(opened)


def test_any_one_damaged_byte_is_harmless_or_noticed_and_never_another_error(tmp_path):
    write_tensor(full_tensor(num_models=2, num_queries=2), tmp_path / "t.zarr")
    expected = open_tensor(tmp_path / "t.zarr").load()
    rng = np.random.default_rng(0)
    num_noticed = 0
    for path in sorted(path for path in (tmp_path / "t.zarr").rglob("*") if path.is_file()):
        content = path.read_bytes()
        for position in rng.integers(len(content), size=6):
            damaged = bytearray(content)
            damaged[position] ^= 1 << int(rng.integers(8))
            path.write_bytes(damaged)
            try:
                opened = open_tensor(tmp_path / "t.zarr")
                verify_digest(opened)
                for name in ("correct", "outcome", "score", "task", "model", "query"):
                    np.testing.assert_array_equal(opened[name].values, expected[name].values)
            except TensorError:
                num_noticed += 1
        path.write_bytes(content)
    assert num_noticed > 50


def test_a_newer_schema_says_so(tmp_path):
    write_tensor(full_tensor(), tmp_path / "t.zarr")
    root = tmp_path / "t.zarr" / "zarr.json"
    metadata = json.loads(root.read_text())
    metadata["attributes"]["schema_version"] = 99
    root.write_text(json.dumps(metadata))
    with pytest.raises(NewerSchemaError, match=r"t\.zarr: schema version 99 is newer"):
        open_tensor(tmp_path / "t.zarr")


def test_a_tensor_that_others_wrote_with_the_wrong_type_is_refused_with_its_place(tmp_path):
    dataset = full_tensor()
    dataset["correct"] = dataset["correct"].astype(np.float32)
    dataset.to_zarr(tmp_path / "t.zarr", zarr_format=3, consolidated=False)
    with pytest.raises(SchemaError, match=r"t\.zarr: 'correct' is of type float32; convert it to int8"):
        open_tensor(tmp_path / "t.zarr")
