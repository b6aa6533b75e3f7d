import os
import subprocess
import sys
from dataclasses import replace

import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__

from gembench.data import embedded
from gembench.data.digest import content_digest
from gembench.data.embedded import EMBEDDED, describe_embedded, load_embedded
from gembench.errors import CorruptTensorError, TensorNotFoundError


@pytest.mark.parametrize("name", EMBEDDED)
def test_an_embedded_tensor_is_what_its_description_says(name):
    tensor = load_embedded(name)
    described = EMBEDDED[name]
    assert described.name == name
    assert tensor["correct"].shape == (described.num_models, described.num_queries)
    assert content_digest(tensor) == described.digest == tensor.attrs["content_digest"]
    assert (tensor["correct"] >= 0).all()


def test_the_four_trees_and_the_recorded_one_are_described_in_order_with_digest_and_source():
    *trees, recorded = describe_embedded()
    assert [tensor.name for tensor in trees] == ["qwen2.5-3b", "qwen2.5-7b", "mistral-7b", "llama-3.1-8b"]
    assert all("generated" in tensor.source and "2601.22157" in tensor.source for tensor in trees)
    assert recorded.name == "smollm2-135m"
    assert "recorded" in recorded.source
    assert len({tensor.digest for tensor in describe_embedded()}) == 5


def test_the_recorded_tree_holds_what_was_measured_with_responses_costs_and_lineage():
    tensor = load_embedded("smollm2-135m")
    models = set(tensor["model"].values)
    assert set(tensor["parent"].values) <= {*models, ""}
    assert set(tensor["base"].values) == {"smollm2-135m/base"}
    assert set(tensor["model_status"].values) == {"ok"}
    assert (tensor["seconds"].values > 0).all()
    assert (tensor["load_seconds"].values > 0).all()
    assert tensor.attrs["engine"]["engine"] == "hf"
    assert len(tensor["response"].values[0, 0]) > 0


def test_changing_one_loaded_tensor_does_not_change_the_next():
    first = load_embedded("mistral-7b")
    first["correct"].values[:] = 0
    assert load_embedded("mistral-7b")["correct"].values.sum() > 0


def test_an_unknown_name_is_answered_with_the_names_there_are():
    with pytest.raises(TensorNotFoundError, match=r"'qwen9'; there are qwen2\.5-3b, qwen2\.5-7b, mistral-7b"):
        load_embedded("qwen9")


def test_content_other_than_the_released_is_refused(monkeypatch):
    other = {**EMBEDDED, "mistral-7b": replace(EMBEDDED["mistral-7b"], digest="sha256:" + "0" * 64)}
    monkeypatch.setattr(embedded, "EMBEDDED", other)
    with pytest.raises(CorruptTensorError, match=r"mistral-7b.*results would not compare"):
        load_embedded("mistral-7b")


def run_python(code, **environment):
    finished = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, **environment}
    )
    return finished.stdout.split()


def test_describing_loads_neither_xarray_nor_zarr_nor_jax():
    code = (
        "import sys; from gembench.data.embedded import describe_embedded; describe_embedded();"
        "print({'xarray', 'zarr', 'jax', 'numpy'} & set(sys.modules))"
    )
    assert run_python(code) == ["set()"]


def test_another_process_on_a_cpu_without_vector_units_generates_the_same_tensor_and_writes_no_file(tmp_path):
    code = "from gembench.data.embedded import load_embedded;print(load_embedded('mistral-7b').attrs['content_digest'])"
    folders = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "LOCALAPPDATA", "TMPDIR"), str(tmp_path))
    settings = {"PYTHONHASHSEED": "12345", "PYTHONDONTWRITEBYTECODE": "1", **folders}
    settings["NPY_DISABLE_CPU_FEATURES"] = " ".join(__cpu_dispatch__)
    assert run_python(code, **settings) == [EMBEDDED["mistral-7b"].digest]
    assert list(tmp_path.iterdir()) == []
