import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_checkpoints import (
    adapter_files,
    llama_config,
    llama_files,
    llama_shapes,
    safetensors,
    sharded_llama_files,
    write_checkpoint,
)

from gembench.data.status import ModelStatus
from gembench.evaluate.model_list import ModelSource
from gembench.evaluate.preflight import Preflight, preflight, preflight_all

NUM_PARAMETERS = 32 * 8 + 2 * 8 * 8 + 8


def check(folder: Path, files: dict[str, bytes]) -> Preflight:
    return preflight(ModelSource("mine", folder=write_checkpoint(folder, files)))


def test_a_whole_checkpoint_can_run_and_says_what_it_is(tmp_path: Path):
    files = llama_files()
    found = check(tmp_path, {**files, "pytorch_model.bin": b"pickle", "modeling.py": b"x", "optimizer.pt": b"y"})
    assert found.can_run
    assert (found.status, found.message) == (ModelStatus.PENDING, "")
    assert found.architecture == "LlamaForCausalLM"
    assert found.num_parameters == NUM_PARAMETERS
    assert found.has_chat_template
    assert found.quantization == ""
    assert found.files == {name: len(content) for name, content in files.items()}
    assert found.weight_files == ("model.safetensors",)
    assert found.disk_bytes == sum(map(len, files.values()))
    assert found.download_bytes == 0


def test_shards_are_those_that_the_index_names(tmp_path: Path):
    found = check(tmp_path, {**sharded_llama_files(), "consolidated.safetensors": b"another copy"})
    assert found.can_run, found.message
    assert found.weight_files == ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    assert found.num_parameters == NUM_PARAMETERS
    assert "consolidated.safetensors" not in found.files


@pytest.mark.parametrize(
    ("name", "content", "has_template"),
    [
        ("chat_template.jinja", b"{{ messages }}", True),
        ("chat_template.json", b'{"chat_template": "{{ messages }}"}', True),
        ("tokenizer_config.json", b'{"chat_template": [{"name": "default", "template": "x"}]}', True),
        ("tokenizer_config.json", b"{}", False),
    ],
)
def test_a_chat_template_is_found_wherever_it_is_kept(tmp_path: Path, name: str, content: bytes, has_template: bool):
    files = llama_files()
    del files["tokenizer_config.json"]
    assert check(tmp_path, {**files, name: content}).has_chat_template is has_template


def without(*names: str) -> dict[str, bytes]:
    return {name: content for name, content in llama_files().items() if name not in names}


def with_config(**changes) -> dict[str, bytes]:
    return {**llama_files(), "config.json": json.dumps(llama_config(**changes)).encode()}


WHOLE = llama_files()["model.safetensors"]
NO_LAYER_1 = {name: shape for name, shape in llama_shapes().items() if "layers.1" not in name}
SHARDED = sharded_llama_files()
SECOND_SHARD = "model-00002-of-00002.safetensors"
BAD_CHECKPOINTS = {
    "pickle only": ({**without("model.safetensors"), "pytorch_model.bin": b"x"}, "unsafe_format", "pickled"),
    "pickle in shards": (
        {**without("model.safetensors"), "pytorch_model-00001-of-00002.bin": b"x"},
        "unsafe_format",
        "safetensors",
    ),
    "remote code": (with_config(auto_map={"AutoModel": "modeling.Mine"}), "remote_code", "auto_map in config.json"),
    "remote tokenizer": (
        {**llama_files(), "tokenizer_config.json": b'{"auto_map": {"AutoTokenizer": ["t.T", null]}}'},
        "remote_code",
        "auto_map in tokenizer_config.json",
    ),
    "no tokenizer": (without("tokenizer.json"), "no_tokenizer", "put its base model's beside"),
    "empty tokenizer": ({**llama_files(), "tokenizer.json": b""}, "no_tokenizer", "no tokenizer"),
    "half a tokenizer": ({**without("tokenizer.json"), "vocab.json": b"{}"}, "no_tokenizer", "merges.txt"),
    "truncated weights": ({**llama_files(), "model.safetensors": WHOLE[:-1]}, "weight_mismatch", "cut off"),
    "truncated header": ({**llama_files(), "model.safetensors": WHOLE[:40]}, "weight_mismatch", "within its header"),
    "empty weights": ({**llama_files(), "model.safetensors": b""}, "weight_mismatch", "no safetensors file"),
    "longer weights": ({**llama_files(), "model.safetensors": WHOLE + b"x"}, "weight_mismatch", "something follows"),
    "other weights": ({**llama_files(), "model.safetensors": b"\x80\x02" * 99}, "weight_mismatch", "no safetensors"),
    "git lfs pointer": (
        {**llama_files(), "model.safetensors": b"version https://git-lfs.github.com/spec/v1\n"},
        "weight_mismatch",
        "git lfs pull",
    ),
    "no weights": (without("model.safetensors"), "weight_mismatch", "no weights"),
    "missing shard": (
        {name: content for name, content in SHARDED.items() if name != SECOND_SHARD},
        "weight_mismatch",
        "names model-00002-of-00002.safetensors, which is missing",
    ),
    "swapped shard": (
        {**SHARDED, SECOND_SHARD: safetensors({"model.norm.weight": (8,)})},
        "weight_mismatch",
        "places model.layers.1.mlp.weight in model-00002-of-00002.safetensors",
    ),
    "index beyond its folder": (
        {**SHARDED, "model.safetensors.index.json": b'{"weight_map": {"a": "../../a.safetensors"}}'},
        "weight_mismatch",
        "no safetensors file of this folder",
    ),
    "index without map": (
        {**SHARDED, "model.safetensors.index.json": b"{}"},
        "weight_mismatch",
        "no weight_map",
    ),
    "missing layer": (
        {**llama_files(), "model.safetensors": safetensors(NO_LAYER_1)},
        "weight_mismatch",
        "layer 1 has no weights",
    ),
    "wrong vocabulary": (with_config(vocab_size=64), "weight_mismatch", r"shape \[32, 8\]"),
    "wrong width": (with_config(hidden_size=16), "weight_mismatch", "hidden_size 16"),
    "no config": (without("config.json"), "unsupported", "no config.json"),
    "config no json": ({**llama_files(), "config.json": b'{"architectures": ['}, "unsupported", "is no JSON"),
    "config no object": ({**llama_files(), "config.json": b"[]"}, "unsupported", "no JSON object"),
    "config of deep nesting": ({**llama_files(), "config.json": b"[" * 10**6}, "unsupported", "is no JSON"),
    "no architecture": (with_config(architectures=[]), "unsupported", "names no architecture"),
    "classifier": (with_config(architectures=["LlamaForSequenceClassification"]), "unsupported", "generates no text"),
    "gguf only": ({"model.Q4_K_M.gguf": b"GGUF"}, "unsupported", "GGUF"),
    "adapter in pickle": (
        {**adapter_files("org/base"), "adapter_model.bin": b"x", "adapter_model.safetensors": b""},
        "weight_mismatch",
        "no safetensors",
    ),
    "adapter of another kind": (adapter_files("org/base", peft_type="PROMPT_TUNING"), "unsupported", "PROMPT_TUNING"),
    "adapter of no base": (adapter_files(None), "unsupported", "base model is not known"),
    "adapter of a folder elsewhere": (adapter_files("/mnt/train/base"), "unsupported", "'/mnt/train/base'"),
}


@pytest.mark.parametrize(("files", "status", "sentence"), BAD_CHECKPOINTS.values(), ids=BAD_CHECKPOINTS)
def test_a_bad_checkpoint_ends_as_its_status_with_a_sentence_to_act_on(
    tmp_path: Path, files: dict[str, bytes], status: str, sentence: str
):
    found = check(tmp_path / "bad", files)
    assert found.status == status, found.message
    assert not found.can_run
    assert re.search(sentence, found.message), found.message
    assert str(tmp_path / "bad") in found.message
    assert "\n" not in found.message
    assert found.message.endswith(".")


def test_an_adapter_whose_weights_are_pickled_is_unsafe(tmp_path: Path):
    files = {**adapter_files("org/base"), "adapter_model.bin": b"x"}
    del files["adapter_model.safetensors"]
    assert check(tmp_path, files).status is ModelStatus.UNSAFE_FORMAT


def test_quantized_weights_may_differ_from_the_config_in_shape(tmp_path: Path):
    files = llama_files(quantization_config={"quant_method": "gptq", "bits": 4})
    files["model.safetensors"] = safetensors({"model.embed_tokens.weight": (4, 8)})
    found = check(tmp_path, files)
    assert found.can_run, found.message
    assert found.quantization == "gptq"


def test_an_adapter_finds_its_base_by_path_by_name_in_the_list_or_by_the_column(tmp_path: Path):
    base = ModelSource("org/base", folder=write_checkpoint(tmp_path / "base", llama_files()))
    by_path = ModelSource("a", folder=write_checkpoint(tmp_path / "a", adapter_files("../base")))
    by_name = ModelSource("b", folder=write_checkpoint(tmp_path / "b", adapter_files("org/base")))
    by_column = ModelSource("c", folder=write_checkpoint(tmp_path / "c", adapter_files(None)), base="org/base")
    for source in (by_path, by_name, by_column):
        found = preflight(source, known=[base, source])
        assert found.can_run, found.message
        assert found.base is not None
        assert found.base.source.folder == tmp_path / "base"
        assert found.num_parameters == NUM_PARAMETERS + 32
        assert found.has_chat_template
        assert found.architecture == "LlamaForCausalLM"
        own_bytes = sum(path.stat().st_size for path in (source.folder or tmp_path).iterdir())
        assert found.disk_bytes == own_bytes + sum(map(len, llama_files().values()))


def test_an_adapter_of_a_broken_base_shares_its_status(tmp_path: Path):
    write_checkpoint(tmp_path / "base", without("tokenizer.json"))
    found = check(tmp_path / "adapter", adapter_files("../base"))
    assert found.status is ModelStatus.NO_TOKENIZER
    assert "its base model cannot run" in found.message


def test_an_adapter_of_itself_or_of_an_adapter_is_refused(tmp_path: Path):
    assert check(tmp_path / "self", adapter_files("../self")).status is ModelStatus.UNSUPPORTED
    write_checkpoint(tmp_path / "base", llama_files())
    write_checkpoint(tmp_path / "first", adapter_files("../base"))
    second = check(tmp_path / "second", adapter_files("../first"))
    assert second.status is ModelStatus.UNSUPPORTED
    assert "is an adapter itself" in second.message


def test_adapters_that_name_each_other_end(tmp_path: Path):
    write_checkpoint(tmp_path / "a", adapter_files("../b"))
    found = check(tmp_path / "b", adapter_files("../a"))
    assert found.status is ModelStatus.UNSUPPORTED


def test_a_merged_model_beside_its_adapter_is_the_model(tmp_path: Path):
    found = check(tmp_path, {**llama_files(), **adapter_files("org/base")})
    assert found.base is None
    assert found.weight_files == ("model.safetensors",)


def key_of(folder: Path, **changes) -> str:
    found = check(folder, {**llama_files(), "config.json": json.dumps(llama_config(**changes)).encode()})
    assert found.can_run, found.message
    return found.architecture_key


def test_models_share_a_key_if_and_only_if_one_engine_can_hold_both(tmp_path: Path):
    key = key_of(tmp_path / "0")
    same = [{"transformers_version": "5.1"}, {"_name_or_path": "x"}, {"eos_token_id": [1, 2]}, {"use_cache": False}]
    for number, changes in enumerate(same):
        assert key_of(tmp_path / f"same{number}", **changes) == key
    others = [
        {"rope_theta": 1e6},
        {"torch_dtype": "float16"},
        {"max_position_embeddings": 64},
        {"tie_word_embeddings": True},
        {"quantization_config": {"quant_method": "fp8"}},
        {"a_setting_of_tomorrow": 1},
    ]
    assert len({key, *(key_of(tmp_path / f"other{n}", **changes) for n, changes in enumerate(others))}) == 7


def test_the_number_type_counts_under_either_of_its_names(tmp_path: Path):
    config = llama_config()
    del config["torch_dtype"]
    newer = {**llama_files(), "config.json": json.dumps({**config, "dtype": "bfloat16"}).encode()}
    assert check(tmp_path / "new", newer).architecture_key == key_of(tmp_path / "old")


def test_adapters_share_a_key_when_they_share_a_base(tmp_path: Path):
    write_checkpoint(tmp_path / "base", llama_files())
    write_checkpoint(tmp_path / "other", llama_files())
    first = check(tmp_path / "a", adapter_files("../base"))
    second = check(tmp_path / "b", adapter_files("../base", fill=1))
    third = check(tmp_path / "c", adapter_files("../other"))
    assert first.architecture_key == second.architecture_key
    assert first.architecture_key not in (third.architecture_key, key_of(tmp_path / "full"))


def test_the_same_weights_twice_are_named_whatever_the_config(tmp_path: Path):
    folders = {
        "first": llama_files(fill=1),
        "other": llama_files(fill=2),
        "copy": llama_files(fill=1, eos_token_id=5),
        "shards": sharded_llama_files(),
    }
    sources = [ModelSource(name, folder=write_checkpoint(tmp_path / name, files)) for name, files in folders.items()]
    found = list(preflight_all(sources))
    assert [one.source.model for one in found] == list(folders)
    assert [one.duplicate_of for one in found] == ["", "", "first", ""]
    assert all(one.can_run for one in found)


def test_weights_that_differ_in_one_byte_between_the_samples_are_no_duplicates(tmp_path: Path):
    weights = safetensors({**llama_shapes(), "model.extra.weight": (1_000_000,)})
    sources = []
    for name, position in (("a", None), ("b", len(weights) // 2 + 40_000), ("c", None)):
        content = bytearray(weights)
        if position:
            content[position] = 1
        folder = write_checkpoint(tmp_path / name, {**llama_files(), "model.safetensors": bytes(content)})
        sources.append(ModelSource(name, folder=folder))
    assert [one.duplicate_of for one in preflight_all(sources)] == ["", "", "a"]


def test_one_adapter_of_two_bases_is_two_models(tmp_path: Path):
    for base in ("base", "other"):
        write_checkpoint(tmp_path / base, llama_files())
    adapters = {"a": "../base", "b": "../other"}
    sources = [
        ModelSource(name, folder=write_checkpoint(tmp_path / name, adapter_files(base)))
        for name, base in adapters.items()
    ]
    assert [one.duplicate_of for one in preflight_all(sources)] == ["", ""]


def test_one_bad_model_does_not_stop_the_others(tmp_path: Path):
    good = ModelSource("good", folder=write_checkpoint(tmp_path / "good", llama_files()))
    gone = ModelSource("gone", folder=tmp_path / "gone")
    assert [one.status for one in preflight_all([gone, good])] == [ModelStatus.NOT_FOUND, ModelStatus.PENDING]


def test_what_the_list_says_of_a_model_stays(tmp_path: Path):
    source = ModelSource("mine", folder=write_checkpoint(tmp_path, llama_files()), license="mit", num_parameters=7)
    found = preflight(replace(source, parent="org/base"))
    assert (found.source.license, found.source.parent, found.num_parameters) == ("mit", "org/base", 7)
