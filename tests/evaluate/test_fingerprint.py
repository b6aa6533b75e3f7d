import hashlib
import os
import time
from pathlib import Path

import pytest
from fake_hub import FakeHub
from tiny_checkpoints import adapter_files, llama_files, safetensors, sharded_llama_files, write_checkpoint

from gembench.evaluate.download_cache import DownloadCache
from gembench.evaluate.evaluator import Checkpoint, EvaluatorFailure
from gembench.evaluate.fingerprint import fingerprint
from gembench.evaluate.model_list import ModelSource
from gembench.evaluate.preflight import preflight

PARTS = {"weights", "config", "generation_config", "tokenizer", "chat_template"}


def of(folder: Path, files: dict[str, bytes]):
    return fingerprint(write_checkpoint(folder, files))


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_its_digests_are_those_that_sha256sum_prints(tmp_path: Path):
    files = llama_files()
    found = of(tmp_path, files)
    assert set(found) == PARTS
    assert found["config"] == sha256(files["config.json"])
    assert found["generation_config"] == sha256(files["generation_config.json"])
    assert found["weights"] == sha256(sha256(files["model.safetensors"]).encode())
    assert found["chat_template"] == sha256(b"{{ messages }}")


@pytest.mark.parametrize(
    ("name", "content", "changed"),
    [
        ("model.safetensors", llama_files(fill=1)["model.safetensors"], {"weights"}),
        ("config.json", llama_files(rope_theta=1)["config.json"], {"config"}),
        ("generation_config.json", b"{}", {"generation_config"}),
        ("tokenizer.json", b"{}", {"tokenizer"}),
        ("tokenizer_config.json", b'{"chat_template": "other"}', {"tokenizer", "chat_template"}),
        ("chat_template.jinja", b"other", {"chat_template"}),
        ("special_tokens_map.json", b"{}", {"tokenizer"}),
        ("README.md", b"words", set()),
        ("optimizer.pt", b"state", set()),
        ("consolidated.safetensors", b"a copy", set()),
    ],
)
def test_each_part_changes_with_its_files_and_with_no_other(
    tmp_path: Path, name: str, content: bytes, changed: set[str]
):
    before = of(tmp_path / "a", llama_files())
    after = of(tmp_path / "b", {**llama_files(), name: content})
    assert {part for part in PARTS if before[part] != after[part]} == changed


def test_what_is_not_there_has_no_digest(tmp_path: Path):
    files = llama_files()
    del files["generation_config.json"]
    found = of(tmp_path, {**files, "tokenizer_config.json": b"{}"})
    assert (found["generation_config"], found["chat_template"]) == ("", "")


def test_shards_count_all(tmp_path: Path):
    files = sharded_llama_files()
    before = of(tmp_path / "a", files)["weights"]
    files["model-00002-of-00002.safetensors"] = files["model-00002-of-00002.safetensors"][:-1] + b"\x01"
    assert of(tmp_path / "b", files)["weights"] != before


def test_a_file_that_changes_in_place_is_read_again(tmp_path: Path):
    before = of(tmp_path, llama_files())
    assert fingerprint(tmp_path) == before
    after = of(tmp_path, llama_files(fill=1))
    assert after["weights"] != before["weights"]


def test_an_adapter_depends_on_its_base_as_well(tmp_path: Path):
    base = write_checkpoint(tmp_path / "base", llama_files())
    other = write_checkpoint(tmp_path / "other", llama_files(fill=1))
    adapter = write_checkpoint(tmp_path / "adapter", adapter_files("../base"))
    found = fingerprint(adapter, base_folder=base)
    assert set(found) == PARTS | {f"base_{part}" for part in PARTS}
    assert found["base_weights"] == fingerprint(base)["weights"]
    changed = fingerprint(adapter, base_folder=other)
    assert {part for part in found if found[part] != changed[part]} == {"base_weights"}


def test_a_model_has_one_fingerprint_on_the_hub_and_here(fake_hub: FakeHub, tmp_path: Path):
    fake_hub.add("org/tuned", llama_files())
    found = preflight(ModelSource("org/tuned", repo_id="org/tuned"))
    with DownloadCache(tmp_path / "cache", 10**9).fetch(found) as fetched:
        assert isinstance(fetched.checkpoint, Checkpoint)
        by_published_digests = fingerprint(fetched.checkpoint.folder, known_sha256=found.sha256)
    assert by_published_digests == of(tmp_path / "here", llama_files())


def test_a_digest_that_is_known_is_not_computed(tmp_path: Path):
    folder = write_checkpoint(tmp_path, llama_files())
    known = {"model.safetensors": "0" * 64}
    assert fingerprint(folder, known_sha256=known)["weights"] == sha256(b"0" * 64)


def test_a_folder_without_weights_has_no_fingerprint(tmp_path: Path):
    with pytest.raises(EvaluatorFailure, match="no weights"):
        fingerprint(tmp_path)


@pytest.mark.slow
def test_270_megabytes_of_weights_take_under_half_a_second(tmp_path: Path):
    """Best of five: other work on the machine only ever adds."""
    folder = write_checkpoint(tmp_path, llama_files())
    seconds = []
    for number in range(5):
        (folder / "model.safetensors").write_bytes(safetensors({"w": (135_000_000,)}, fill=number))
        started = time.perf_counter()
        fingerprint(folder)
        seconds.append(time.perf_counter() - started)
    os.truncate(folder / "model.safetensors", 0)
    assert min(seconds) < 0.5
