"""`gembench record` with transformers and a Hub on loopback: a bad checkpoint gets its status, the rest is recorded."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from needs import needs_harness, needs_torch
from tiny_models import change_weights, make_model

from gembench.cli.main import cli
from gembench.data.tensor import open_tensor

pytestmark = [pytest.mark.slow, needs_harness, needs_torch]


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def good(tmp_path):
    return files_of(make_model(tmp_path / "good", seed=1))


def run(*arguments):
    """The exit code, and the lines of JSON that came before it."""
    result = CliRunner().invoke(cli, ["record", *map(str, arguments), "--json", "-"])
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()], result


def poison(weights):
    import torch

    name = next(iter(weights))
    return {**weights, name: torch.full_like(weights[name], float("nan"))}


def test_each_bad_checkpoint_ends_as_its_status_with_a_sentence_and_the_good_ones_are_recorded(
    fake_hub, tmp_path, good, monkeypatch
):
    monkeypatch.setenv("GEMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    config = json.loads(good["config.json"])
    with_nan = make_model(tmp_path / "nan", seed=2)
    change_weights(with_nan, poison)
    bad = {
        "unsafe_format": {
            **{name: it for name, it in good.items() if "safetensors" not in name},
            "pytorch_model.bin": b"x",
        },
        "remote_code": {
            **good,
            "config.json": json.dumps({**config, "auto_map": {"AutoModel": "modeling_x.X"}}).encode(),
            "modeling_x.py": b"raise SystemExit('never run')",
        },
        "no_tokenizer": {name: it for name, it in good.items() if "token" not in name},
        "weight_mismatch": {**good, "model.safetensors": good["model.safetensors"][:-1000]},
        "nan_logits": files_of(with_nan),
    }
    wrong_config = {**good, "config.json": json.dumps({**config, "hidden_size": 2 * config["hidden_size"]}).encode()}
    fake_hub.add("org/first", good)
    for status, files in bad.items():
        fake_hub.add(f"org/{status}", files)
    fake_hub.add("org/wrong-config", wrong_config)
    fake_hub.add("org/gated", good, gated=True)
    fake_hub.add("org/last", files_of(make_model(tmp_path / "last", seed=3)))
    expected = {
        "org/first": "ok",
        **{f"org/{status}": status for status in bad},
        "org/wrong-config": "weight_mismatch",
        "org/gated": "gated",
        "org/missing": "not_found",
        "org/last": "ok",
    }
    exit_code, events, result = run(
        "-m",
        ",".join(expected),
        "-s",
        "smoke",
        "--queries-per-task",
        6,
        "-e",
        "hf:dtype=float32",
        "-o",
        tmp_path / "o.zarr",
    )
    assert exit_code == 3, result.output
    report = events[-1]
    assert {model["model"]: model["status"] for model in report["models"]} == expected
    for model in report["models"]:
        assert model["status"] == "ok" or model["message"].strip().endswith("."), model
        assert "\n" not in model["message"]
    tensor = open_tensor(tmp_path / "o.zarr")
    assert dict(zip(tensor["model"].values, (tensor["correct"].values >= 0).all(axis=1), strict=True)) == {
        model: status == "ok" for model, status in expected.items()
    }
    revisions = dict(zip(tensor["model"].values, tensor["revision"].values, strict=True))
    assert len(revisions["org/first"]) == 40
    assert not any("modeling_x.py" in seen.path or "pytorch_model.bin" in seen.path for seen in fake_hub.seen)
    assert not list((tmp_path / "cache").rglob("*.safetensors")), "downloads are emptied as it goes"


def test_what_the_hub_gives_is_answered_as_the_same_files_in_a_folder(fake_hub, tmp_path, good, monkeypatch):
    monkeypatch.setenv("GEMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    fake_hub.add("org/good", good)
    common = ("-s", "smoke", "--queries-per-task", 20, "-e", "hf:dtype=float32", "-o")
    assert run("-m", "org/good", *common, tmp_path / "hub.zarr")[0] == 0
    assert run("-m", tmp_path / "good", *common, tmp_path / "folder.zarr")[0] == 0
    hub, folder = open_tensor(tmp_path / "hub.zarr"), open_tensor(tmp_path / "folder.zarr")
    assert hub["response"].values.tolist() == folder["response"].values.tolist()
    np.testing.assert_array_equal(hub["correct"], folder["correct"])


def test_a_tree_is_recorded_with_what_the_hub_knows_of_it(fake_hub, tmp_path, good, monkeypatch):
    monkeypatch.setenv("GEMBENCH_CACHE_DIR", str(tmp_path / "cache"))
    fake_hub.add("org/base", good, downloads=1000)
    for number, downloads in enumerate((5, 50)):
        fake_hub.add(
            f"org/child{number}",
            files_of(make_model(tmp_path / f"child{number}", seed=number)),
            downloads=downloads,
            tags=["base_model:org/base", "base_model:finetune:org/base", "license:mit"],
        )
    exit_code, _, result = run(
        "--tree",
        "org/base",
        "-s",
        "smoke",
        "--queries-per-task",
        4,
        "-e",
        "hf:dtype=float32",
        "-o",
        tmp_path / "o.zarr",
    )
    assert exit_code == 0, result.output
    tensor = open_tensor(tmp_path / "o.zarr")
    assert tensor["model"].values.tolist() == ["org/base", "org/child1", "org/child0"]
    assert tensor["downloads"].values.tolist() == [1000, 50, 5]
    assert tensor["parent"].values.tolist() == ["", "org/base", "org/base"]
    assert tensor["license"].values.tolist()[1:] == ["mit", "mit"]


def test_an_apply_chat_template_recording_asks_in_the_template(tmp_path, good):
    folder = tmp_path / "good"
    common = ("-m", folder, "-s", "smoke", "--queries-per-task", 3, "-e", "hf:dtype=float32")
    assert run(*common, "-o", tmp_path / "plain.zarr")[0] == 0
    assert run(*common, "--apply-chat-template", "-o", tmp_path / "chat.zarr")[0] == 0
    plain, chat = (open_tensor(tmp_path / f"{name}.zarr")["prompt_tokens"].values for name in ("plain", "chat"))
    assert (chat > plain).all()
