"""vLLM for real, on the CPU: swapped models against fresh engines and against transformers in float32."""

import json
import os
import shutil
import statistics
import subprocess
import sys
import time

import pytest
from needs import needs_vllm

from gembench.data.status import ModelStatus
from gembench.errors import UsageError
from gembench.evaluate.evaluator import Checkpoint, EvaluatorFailure, Generate, LogLikelihood

# vLLM and what it imports warn of their own affairs.
pytestmark = [needs_vllm, pytest.mark.filterwarnings("ignore")]

ON_A_SMALL_CPU = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    "OMP_NUM_THREADS": "2",
}
OPTIONS = {"dtype": "float32", "enforce_eager": True, "max_num_seqs": 16}
LONG_PREFIX = "the quick brown fox jumps over the lazy dog. " * 12
"""Over 128 tokens, so that the engine keeps blocks of it to use them again."""
REQUESTS = [
    *(
        LogLikelihood(context, choice)
        for context in ("the quick brown", "Question: What is 12 + 30? Answer:", "")
        for choice in (" fox", " fox jumps over the lazy dog", " 42")
    ),
    Generate("the quick brown", max_tokens=12),
    Generate("Question: What is 12 + 30?\nAnswer:", stop=("e", "zz"), max_tokens=30),
    Generate("swans", stop=("<|user|>",), max_tokens=20),
    Generate(LONG_PREFIX + "one", max_tokens=16),
    Generate(LONG_PREFIX + "two", max_tokens=16),
    LogLikelihood(LONG_PREFIX, " the lazy dog"),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Six checkpoints, three of each of two architectures, one of them with another tokenizer and other ends."""
    from tiny_models import TEXT, make_model, make_tokenizer

    root = tmp_path_factory.mktemp("models")
    other = make_tokenizer(seed_text=TEXT[::-1], has_first_token=True)
    return [
        make_model(root / "llama0", seed=0),
        make_model(root / "llama1", seed=1),
        make_model(root / "llama2", seed=2, tokenizer=other, end_tokens=[1, 300]),
        make_model(root / "qwen0", kind="qwen2", seed=3),
        make_model(root / "qwen1", kind="qwen2", seed=4),
        make_model(root / "qwen2", kind="qwen2", seed=5),
    ]


@pytest.fixture(scope="module")
def engine():
    """One engine for all tests: whatever it held before must not show."""
    os.environ.update(ON_A_SMALL_CPU)
    from gembench.evaluate.vllm_engine import VllmEngine

    engine = VllmEngine(**OPTIONS)
    yield engine
    engine.close()


def checkpoint(folder, base=None) -> Checkpoint:
    return Checkpoint(f"org/{folder.name}", folder, base)


def answers(engine, requests=REQUESTS):
    found = dict(engine.answer(requests))
    assert sorted(found) == list(range(len(requests)))
    return [found[position] for position in range(len(requests))]


def loaded_answers(engine, folder, requests=REQUESTS):
    engine.load(checkpoint(folder))
    return answers(engine, requests)


def assert_same(left, right):
    """The same cell by cell; log-likelihoods are sums of some tens of float32, each rounded to 1e-5 or better."""
    for one, other in zip(left, right, strict=True):
        assert (one.text, one.is_greedy, one.prompt_tokens, one.completion_tokens, one.is_too_long) == (
            other.text,
            other.is_greedy,
            other.prompt_tokens,
            other.completion_tokens,
            other.is_too_long,
        )
        assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=2e-3)


def answers_of_a_fresh_engine(folder, tmp_path):
    """Answers of an engine that no other model was ever in, in a process of its own, and its seconds of loading."""
    program = f"""if True:
        import pickle, sys, time
        from pathlib import Path
        from gembench.evaluate.evaluator import Checkpoint
        from gembench.evaluate.vllm_engine import VllmEngine
        requests = pickle.load(open(sys.argv[1], "rb"))
        engine = VllmEngine(**{OPTIONS!r})
        started = time.perf_counter()
        engine.load(Checkpoint("m", Path(sys.argv[2])))
        seconds = time.perf_counter() - started
        found = dict(engine.answer(requests))
        pickle.dump(([found[i] for i in range(len(requests))], seconds), open(sys.argv[1], "wb"))
    """
    import pickle

    exchange = tmp_path / "exchange"
    exchange.write_bytes(pickle.dumps(REQUESTS))
    subprocess.run(
        [sys.executable, "-c", program, str(exchange), str(folder)],
        check=True,
        env={**os.environ, **ON_A_SMALL_CPU},
        timeout=300,
        capture_output=True,
    )
    return pickle.loads(exchange.read_bytes())


@pytest.mark.slow
def test_swapped_models_answer_as_fresh_engines_and_as_transformers_do(engine, models, tmp_path, capsys):
    from gembench.evaluate.hf_engine import HfEngine

    plain = HfEngine(dtype="float32")
    swaps, starts = [], []
    for folder in models:
        is_swap = engine.can_swap(checkpoint(folder)) and engine._engine is not None
        assert is_swap == (folder.name not in ("llama0", "qwen0"))
        started = time.perf_counter()
        engine.load(checkpoint(folder))
        (swaps if is_swap else starts).append(time.perf_counter() - started)
        found = answers(engine)
        fresh, seconds = answers_of_a_fresh_engine(folder, tmp_path)
        starts.append(seconds)
        assert_same(found, fresh)
        plain.load(checkpoint(folder))
        assert_same(found, answers(plain))
    swap, start = statistics.median(swaps), statistics.median(starts)
    with capsys.disabled():
        print(f"\nhot swap {1000 * swap:.0f} ms, fresh engine {start:.1f} s: {start / swap:.0f} times")
    assert swap < start / 10


@pytest.mark.slow
def test_models_answer_differently_so_that_a_swap_that_does_nothing_would_show(engine, models):
    found = [tuple(answer.log_likelihood for answer in loaded_answers(engine, folder)[:9]) for folder in models[:3]]
    assert len(set(found)) == 3


@pytest.mark.slow
def test_keys_of_a_long_prefix_do_not_outlive_their_model(engine, models):
    prompts = [Generate(LONG_PREFIX + str(i), max_tokens=16) for i in range(8)]
    first = loaded_answers(engine, models[0], prompts)
    assert first[0].prompt_tokens > 128
    second = loaded_answers(engine, models[1], prompts)
    assert loaded_answers(engine, models[0], prompts) == first
    assert second != first


@pytest.mark.slow
def test_a_swap_that_keeps_the_prefix_cache_would_be_noticed(engine, models, monkeypatch):
    prompts = [Generate(LONG_PREFIX + str(i), max_tokens=16) for i in range(8)]
    right = loaded_answers(engine, models[1], prompts)
    loaded_answers(engine, models[0], prompts)
    monkeypatch.setattr(type(engine._engine), "reset_prefix_cache", lambda self: True)
    wrong = loaded_answers(engine, models[1], prompts)
    monkeypatch.undo()
    engine._engine.reset_prefix_cache()
    assert wrong != right


@pytest.mark.slow
def test_a_new_model_speaks_through_its_own_tokenizer_and_ends(engine, models):
    from transformers import AutoTokenizer

    loaded_answers(engine, models[0])
    [answer] = loaded_answers(engine, models[2], [Generate("the quick brown", max_tokens=30)])
    tokenizer = AutoTokenizer.from_pretrained(models[2])
    assert answer.prompt_tokens == len(tokenizer.encode("the quick brown"))
    assert answer.prompt_tokens != len(AutoTokenizer.from_pretrained(models[0]).encode("the quick brown"))


@pytest.mark.slow
def test_what_does_not_fit_the_context_is_not_asked(engine, models):
    engine.load(checkpoint(models[0]))
    pair, prompt = LogLikelihood("aZ" * 255, "a"), Generate("aZ" * 250, max_tokens=12)
    long_pair, long_prompt = LogLikelihood("aZ" * 255, "aZ"), Generate("aZ" * 250, max_tokens=13)
    found = answers(engine, [pair, long_pair, prompt, long_prompt])
    assert [answer.is_too_long for answer in found] == [False, True, False, True]


@pytest.mark.slow
def test_an_answer_left_half_way_leaves_nothing_behind(engine, models):
    expected = loaded_answers(engine, models[0])
    half = engine.answer(REQUESTS)
    next(half)
    half.close()
    assert loaded_answers(engine, models[1]) != expected
    assert_same(loaded_answers(engine, models[0]), expected)


@pytest.mark.slow
def test_draws_at_a_temperature_repeat(engine, models):
    request = Generate("the quick brown", max_tokens=20, temperature=2.0)
    [first] = loaded_answers(engine, models[0], [request])
    assert answers(engine, [*REQUESTS, request])[-1].text == first.text
    [greedy] = answers(engine, [Generate("the quick brown", max_tokens=20)])
    assert first.text != greedy.text


def drop_a_weight(tensors):
    return {name: tensor for name, tensor in tensors.items() if "layers.1.mlp.up_proj" not in name}


def misshape_a_weight(tensors):
    return {**tensors, "model.layers.0.mlp.up_proj.weight": tensors["model.layers.0.mlp.up_proj.weight"][:-1].clone()}


def add_a_weight(tensors):
    return {**tensors, "model.layers.0.extra.weight": tensors["model.norm.weight"].clone()}


@pytest.mark.slow
@pytest.mark.parametrize("change", [drop_a_weight, misshape_a_weight, add_a_weight])
def test_bad_weights_neither_swap_in_nor_load(engine, models, tmp_path, change):
    from tiny_models import change_weights

    from gembench.evaluate.vllm_engine import VllmEngine

    broken = shutil.copytree(models[0], tmp_path / "broken")
    change_weights(broken, change)
    engine.load(checkpoint(models[0]))
    assert not engine.can_swap(checkpoint(broken))
    engine.close()
    fresh = VllmEngine(**OPTIONS)
    with pytest.raises(EvaluatorFailure, match="weights") as failure:
        fresh.load(checkpoint(broken))
    assert failure.value.status == ModelStatus.WEIGHT_MISMATCH
    # No engine was started for it.
    assert fresh.can_swap(checkpoint(models[0]))


@pytest.mark.slow
def test_a_truncated_checkpoint_leaves_the_live_engine_alone(engine, models, tmp_path):
    broken = shutil.copytree(models[0], tmp_path / "broken")
    data = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(data[:-64])
    engine.load(checkpoint(models[0]))
    live = engine._engine
    assert engine.can_swap(checkpoint(broken))
    with pytest.raises(EvaluatorFailure) as failure:
        engine.load(checkpoint(broken))
    assert failure.value.status == ModelStatus.WEIGHT_MISMATCH
    engine.load(checkpoint(models[1]))
    assert engine._engine is live


@pytest.mark.slow
def test_another_config_does_not_swap_in(engine, models, tmp_path):
    changed = shutil.copytree(models[1], tmp_path / "changed")
    config = json.loads((changed / "config.json").read_text())
    engine.load(checkpoint(models[0]))
    for change, may_swap in (
        ({"_name_or_path": "elsewhere", "transformers_version": "4"}, True),
        ({"rms_norm_eps": 0.1}, False),
    ):
        (changed / "config.json").write_text(json.dumps(config | change))
        assert engine.can_swap(checkpoint(changed)) == may_swap


@pytest.mark.slow
def test_nan_weights_fail_when_they_are_asked_and_the_engine_is_given_up(engine, models, tmp_path):
    import torch
    from tiny_models import change_weights

    from gembench.evaluate.vllm_engine import VllmEngine

    os.environ.update(ON_A_SMALL_CPU)
    engine.close()
    broken = shutil.copytree(models[0], tmp_path / "broken")
    change_weights(broken, lambda tensors: {**tensors, "model.norm.weight": torch.full((128,), torch.nan)})
    for requests in (REQUESTS[:9], REQUESTS[9:12]):
        engine = VllmEngine(**OPTIONS)
        engine.load(checkpoint(broken))
        with pytest.raises(EvaluatorFailure) as failure:
            list(engine.answer(requests))
        assert failure.value.status == ModelStatus.NAN_LOGITS
        assert not engine.can_swap(checkpoint(models[0]))
        engine.close()


@pytest.mark.slow
def test_an_architecture_that_there_is_not_is_unsupported(models, tmp_path):
    from gembench.evaluate.vllm_engine import VllmEngine

    broken = shutil.copytree(models[0], tmp_path / "broken")
    config = json.loads((broken / "config.json").read_text())
    changed = config | {"architectures": ["UnheardOfForCausalLM"], "model_type": "unheard_of"}
    (broken / "config.json").write_text(json.dumps(changed))
    with pytest.raises(EvaluatorFailure) as failure:
        VllmEngine(**OPTIONS).load(checkpoint(broken))
    assert failure.value.status == ModelStatus.UNSUPPORTED


@pytest.mark.slow
def test_adapters_of_one_base_follow_each_other_in_one_engine(engine, models, tmp_path):
    """Each is compared with its base where the adapter's product was added to the weights by hand."""
    from tiny_models import make_adapter, merge_adapter

    from gembench.evaluate.hf_engine import HfEngine
    from gembench.evaluate.vllm_engine import VllmEngine

    os.environ.update(ON_A_SMALL_CPU)
    engine.close()
    engine, plain = VllmEngine(**OPTIONS), HfEngine(dtype="float32")
    base = models[0]
    for number in range(2):
        adapter = make_adapter(tmp_path / f"adapter{number}", base, seed=number)
        assert engine.can_swap(checkpoint(adapter, base))
        engine.load(checkpoint(adapter, base))
        merged = merge_adapter(tmp_path / f"merged{number}", base, adapter)
        plain.load(checkpoint(merged))
        assert_same(answers(engine), answers(plain))
    assert not engine.can_swap(checkpoint(base))
    assert not engine.can_swap(checkpoint(adapter, models[1]))
    engine.close()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_swapped_model_answers_with_its_own_embedding_where_the_output_layer_shares_it(engine, tmp_path, dtype):
    from tiny_models import make_model

    from gembench.evaluate.vllm_engine import VllmEngine

    os.environ.update(ON_A_SMALL_CPU)
    engine.close()
    first, second = (
        make_model(tmp_path / f"tied{seed}", seed=seed, tie_word_embeddings=True, dtype=dtype) for seed in (1, 2)
    )
    swapped, fresh = (VllmEngine(**{**OPTIONS, "dtype": dtype}) for _ in range(2))
    swapped.load(checkpoint(first))
    assert swapped.can_swap(checkpoint(second))
    swapped.load(checkpoint(second))
    of_swapped = answers(swapped)
    swapped.close()
    fresh.load(checkpoint(second))
    assert_same(of_swapped, answers(fresh))
    fresh.close()


def test_an_option_that_vllm_does_not_know_is_refused_with_the_nearest():
    from gembench.evaluate.vllm_engine import VllmEngine

    with pytest.raises(UsageError, match="gpu_memory_utilization"):
        VllmEngine(gpu_memory_utilisation=0.5)
    with pytest.raises(UsageError, match="each model"):
        VllmEngine(tokenizer="elsewhere")
    with pytest.raises(UsageError, match="never done"):
        VllmEngine(trust_remote_code=True)


def test_settings_are_known_without_importing_vllm_and_hold_what_changes_answers():
    program = (
        "import sys; from gembench.evaluate.vllm_engine import VllmEngine; "
        "engine = VllmEngine(quantization='fp8', gpu_memory_utilization=0.5, hf_overrides={'b': 1, 'a': 2}); "
        "settings = engine.settings; "
        "assert settings['engine'] == 'vllm' and settings['engine_version'] != 'unknown', settings; "
        "assert settings['quantization'] == 'fp8', settings; "
        "assert settings['hf_overrides'] == '{\"a\": 2, \"b\": 1}', settings; "
        "assert 'gpu_memory_utilization' not in settings, settings; "
        "assert not {'torch', 'transformers', 'vllm'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
