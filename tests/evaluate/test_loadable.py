import json

import pytest
from tiny_checkpoints import adapter_files, llama_files, write_checkpoint

from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import Checkpoint, EvaluatorFailure
from gembench.evaluate.loadable import check_loadable


def status_of(folder, files):
    with pytest.raises(EvaluatorFailure) as failure:
        check_loadable(Checkpoint("m", write_checkpoint(folder, files)))
    return failure.value.status


def without(name):
    return {other: content for other, content in llama_files().items() if other != name}


@pytest.mark.parametrize(
    ("files", "status"),
    [
        (without("config.json"), ModelStatus.UNSUPPORTED),
        (without("tokenizer.json"), ModelStatus.NO_TOKENIZER),
        ({**without("model.safetensors"), "pytorch_model.bin": b"x"}, ModelStatus.UNSAFE_FORMAT),
        ({**llama_files(), "model.safetensors": llama_files()["model.safetensors"][:-1]}, ModelStatus.WEIGHT_MISMATCH),
        (llama_files(auto_map={"AutoModel": "own.Model"}), ModelStatus.REMOTE_CODE),
        (
            {**llama_files(), "tokenizer_config.json": b'{"auto_map": {"AutoTokenizer": ["own.T", null]}}'},
            ModelStatus.REMOTE_CODE,
        ),
        (llama_files(num_hidden_layers=3), ModelStatus.WEIGHT_MISMATCH),
    ],
)
def test_each_bad_folder_has_its_status(tmp_path, files, status):
    assert status_of(tmp_path, files) == status


def end_tokens(folder, generation, **config):
    files = {**llama_files(**config), "generation_config.json": json.dumps(generation).encode()}
    return check_loadable(Checkpoint("m", write_checkpoint(folder, files))).end_tokens


def test_ends_are_those_of_the_generation_config_and_else_those_of_the_config(tmp_path):
    assert end_tokens(tmp_path, {"eos_token_id": [3, 4]}, eos_token_id=5) == {3, 4}
    assert end_tokens(tmp_path, {}, eos_token_id=5) == {5}
    assert end_tokens(tmp_path, {}) == frozenset()
    assert end_tokens(tmp_path, {"eos_token_id": 0}) == {0}


def test_an_adapter_has_its_base_s_config_and_tokenizer_unless_it_brings_its_own(tmp_path):
    base = write_checkpoint(tmp_path / "base", llama_files())
    adapter = write_checkpoint(tmp_path / "adapter", adapter_files("base"))
    found = check_loadable(Checkpoint("m", adapter, base))
    assert (found.model_folder, found.tokenizer_folder) == (base, base)
    (adapter / "tokenizer.json").write_text("{}")
    assert check_loadable(Checkpoint("m", adapter, base)).tokenizer_folder == adapter
