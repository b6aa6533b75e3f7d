import json

import pytest
from tiny_checkpoints import llama_files, llama_shapes, safetensors, sharded_llama_files, write_checkpoint

from gembench.evaluate.evaluator import Checkpoint
from gembench.evaluate.hot_swap import why_no_swap
from gembench.evaluate.loadable import check_loadable


@pytest.fixture
def reason(tmp_path):
    """Why a checkpoint of these files may not follow the plain one."""

    def ask(files):
        live = write_checkpoint(tmp_path / "live", llama_files())
        new = write_checkpoint(tmp_path / "new", files)
        return why_no_swap(check_loadable(Checkpoint("live", live)), check_loadable(Checkpoint("new", new)))

    return ask


def with_shapes(changes):
    shapes = {**llama_shapes(), **changes}
    return {**llama_files(), "model.safetensors": safetensors({n: s for n, s in shapes.items() if s is not None})}


@pytest.mark.parametrize(
    "files",
    [
        llama_files(fill=7),
        llama_files(_name_or_path="elsewhere", transformers_version="4.40", eos_token_id=7, use_cache=False),
        sharded_llama_files(),
    ],
    ids=["other numbers", "other names, versions and token ids", "in shards"],
)
def test_what_changes_no_shape_and_no_step_may_swap_in(reason, files):
    assert reason(files) == ""


@pytest.mark.parametrize("change", [{"rope_theta": 5e5}, {"num_attention_heads": 4}, {"made_up_yesterday": 1}])
def test_another_config_may_not_and_neither_may_one_that_nobody_knows(reason, change):
    assert "config" in reason(llama_files(**change))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"model.layers.0.mlp.weight": (8, 9)},
            r"model.layers.0.mlp.weight is BF16 [8, 9] where the engine holds BF16 [8, 8]",
        ),
        ({"model.norm.weight": None}, "it lacks model.norm.weight"),
        ({"model.extra.weight": (8,)}, "it has model.extra.weight beside"),
    ],
)
def test_other_names_and_shapes_may_not(reason, changes, said):
    assert reason(with_shapes(changes)) == said


def test_another_number_type_may_not(reason):
    files = llama_files()
    data = files["model.safetensors"]
    header = data[8 : 8 + int.from_bytes(data[:8], "little")]
    files["model.safetensors"] = data.replace(header, header.replace(b'"BF16"', b'"F16" ', 1))
    assert json.loads(header)
    assert "is F16 [32, 8] where the engine holds BF16 [32, 8]" in reason(files)
