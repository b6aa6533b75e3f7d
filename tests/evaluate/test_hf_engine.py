"""The transformers engine against transformers used plainly, one unpadded request at a time, and against lm-eval."""

import json
import re
import subprocess
import sys

import pytest
from needs import needs_harness, needs_peft, needs_torch

from gembench.data.status import ModelStatus
from gembench.errors import UsageError
from gembench.evaluate.evaluator import Checkpoint, EvaluatorFailure, Generate, LogLikelihood
from gembench.evaluate.hf_engine import HfEngine

pytestmark = needs_torch

CHOICES = [
    LogLikelihood(context, choice)
    for context in ("the quick brown", "Question: What is 12 + 30? Answer:", "a", "")
    for choice in (" fox", " fox jumps over the lazy dog", " 42", "!")
]
PROMPTS = [
    Generate("the quick brown", max_tokens=12),
    Generate("Question: What is 12 + 30?\nAnswer:", stop=("e", "zz"), max_tokens=30),
    Generate("swans", stop=("<|user|>",), max_tokens=5),
    Generate("Seven swans swim; eight apes eat apples! " * 4, max_tokens=20),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    from tiny_models import make_model

    return make_model(tmp_path_factory.mktemp("models") / "tiny", seed=1)


@pytest.fixture
def broken(folder, tmp_path):
    """A copy of the model, to be broken."""
    import shutil

    return shutil.copytree(folder, tmp_path / "broken")


def checkpoint(folder) -> Checkpoint:
    return Checkpoint("org/tiny", folder)


def loaded(folder, **options) -> HfEngine:
    engine = HfEngine(**{"dtype": "float32", **options})
    engine.load(checkpoint(folder))
    return engine


def answers(engine, requests):
    found = dict(engine.answer(requests))
    assert sorted(found) == list(range(len(requests)))
    return [found[position] for position in range(len(requests))]


def failure_of(folder, **options) -> EvaluatorFailure:
    with pytest.raises(EvaluatorFailure) as failure:
        loaded(folder, **options)
    return failure.value


@pytest.fixture(scope="module")
def plain(folder):
    """Log-likelihoods and greedy generations by one call of the model for each token, without batch or cache."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    tokenizer = AutoTokenizer.from_pretrained(folder)

    @torch.no_grad()
    def log_likelihood(request):
        context = tokenizer.encode(request.context) or [1]
        whole = context + tokenizer.encode(request.continuation)
        total, is_greedy = 0.0, True
        for place in range(len(context), len(whole)):
            chances = model(torch.tensor([whole[:place]])).logits[0, -1].double().log_softmax(-1)
            total += chances[whole[place]].item()
            is_greedy &= int(chances.argmax()) == whole[place]
        return total, is_greedy

    @torch.no_grad()
    def generate(request):
        tokens, generated = tokenizer.encode(request.prompt), []
        while len(generated) < request.max_tokens:
            generated.append(int(model(torch.tensor([tokens + generated])).logits[0, -1].argmax()))
            text = tokenizer.decode(generated, skip_special_tokens=True)
            if generated[-1] in (1, 3 if "<|user|>" in request.stop else 1) or any(s in text for s in request.stop):
                break
        text = tokenizer.decode(generated, skip_special_tokens=True)
        for stop in request.stop:
            text = text.split(stop)[0]
        return text, len(generated)

    return log_likelihood, generate


def test_log_likelihoods_are_those_of_one_plain_call_for_each_token(folder, plain):
    log_likelihood, _ = plain
    for request, answer in zip(CHOICES, answers(loaded(folder), CHOICES), strict=True):
        total, is_greedy = log_likelihood(request)
        assert answer.log_likelihood == pytest.approx(total, abs=1e-4)
        assert answer.is_greedy == is_greedy


def test_the_likeliest_token_is_called_greedy_and_any_other_is_not(folder, plain):
    from transformers import AutoTokenizer

    _, generate = plain
    encode = AutoTokenizer.from_pretrained(folder).encode
    contexts = [f"Question: What is {i}" for i in range(40)]
    likeliest = [generate(Generate(context, max_tokens=1))[0] for context in contexts]
    # Half a character, or a token that merges with the context's last, cannot be asked for as text.
    asked = [
        LogLikelihood(context, text)
        for context, text in zip(contexts, likeliest, strict=True)
        if "\ufffd" not in text and len(encode(context + text)) == len(encode(context)) + 1
    ]
    assert len(asked) > 5
    assert all(answer.is_greedy for answer in answers(loaded(folder), asked))
    others = [LogLikelihood(one.context, "q" if one.continuation != "q" else "z") for one in asked]
    assert not any(answer.is_greedy for answer in answers(loaded(folder), others))
    # Greedy at first and then not: a second token that the model does not go on with.
    half = [LogLikelihood(one.context, one.continuation + tail) for one in asked for tail in ("Q", "Z")]
    called = [answer.is_greedy for answer in answers(loaded(folder), half)]
    assert not any(one and other for one, other in zip(called[::2], called[1::2], strict=True))


def test_generations_are_those_of_one_plain_call_for_each_token(folder, plain):
    _, generate = plain
    for request, answer in zip(PROMPTS, answers(loaded(folder), PROMPTS), strict=True):
        assert (answer.text, answer.completion_tokens) == generate(request)


@pytest.mark.parametrize("max_batch_tokens", [1, 64, 100_000])
def test_the_size_of_batches_changes_no_answer(folder, max_batch_tokens):
    requests = CHOICES + PROMPTS
    expected = answers(loaded(folder), requests)
    for one, other in zip(expected, answers(loaded(folder, max_batch_tokens=max_batch_tokens), requests), strict=True):
        assert (one.text, one.is_greedy, one.prompt_tokens) == (other.text, other.is_greedy, other.prompt_tokens)
        assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-4)


@needs_harness
@pytest.mark.slow
def test_answers_are_those_of_the_harness_with_its_own_transformers_model(folder):
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    harness = HFLM(pretrained=str(folder), dtype="float32", device="cpu", batch_size=4)
    pairs = [Instance("loglikelihood", {}, (r.context, r.continuation), 0) for r in CHOICES]
    weighed = harness.loglikelihood(pairs, disable_tqdm=True)
    written = harness.generate_until(
        [
            Instance("generate_until", {}, (r.prompt, {"until": list(r.stop), "max_gen_toks": r.max_tokens}), 0)
            for r in PROMPTS
        ],
        disable_tqdm=True,
    )
    engine = loaded(folder)
    for answer, (total, is_greedy) in zip(answers(engine, CHOICES), weighed, strict=True):
        assert answer.log_likelihood == pytest.approx(total, abs=1e-4)
        assert answer.is_greedy == is_greedy
    assert [answer.text for answer in answers(engine, PROMPTS)] == written


def test_bfloat16_is_near_float32(folder):
    exact, rounded = (answers(loaded(folder, dtype=dtype), CHOICES) for dtype in ("float32", "bfloat16"))
    for one, other in zip(exact, rounded, strict=True):
        # 8 bits of precision, logits of some tens, up to 30 tokens.
        assert one.log_likelihood == pytest.approx(other.log_likelihood, rel=0.05, abs=1.0)


def test_what_does_not_fit_the_context_is_not_asked(folder):
    engine = loaded(folder, max_model_len=10)
    ten = "aZaZaZaZaZ"
    long, fits = answers(engine, [LogLikelihood(ten, "aZ"), LogLikelihood(ten, "a")])
    assert (long.is_too_long, fits.is_too_long, fits.prompt_tokens) == (True, False, 11)
    long, fits = answers(engine, [Generate(ten[:7], max_tokens=4), Generate(ten[:6], max_tokens=4)])
    assert (long.is_too_long, fits.is_too_long) == (True, False)


def test_the_longest_context_is_the_config_s_own(folder):
    assert [answer.is_too_long for answer in answers(loaded(folder), [Generate("a", max_tokens=512)])] == [True]


def test_draws_at_a_temperature_depend_on_seed_and_prompt_alone(folder):
    request = Generate("the quick brown", max_tokens=20, temperature=2.0)
    [alone] = answers(loaded(folder, seed=1), [request])
    among = answers(loaded(folder, seed=1), [*PROMPTS, request])[-1]
    [other] = answers(loaded(folder, seed=2), [request])
    assert alone.text == among.text != other.text


def test_draws_at_a_temperature_follow_the_softmax(folder):
    # Of each of 400 prompts one text is looked for, that of its likeliest token; several tokens may read alike. The
    # number found is within 5 standard errors of the sum of their chances: one false alarm in two millions.
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    texts = [tokenizer.decode([token], skip_special_tokens=True) for token in range(len(tokenizer))]
    requests = [Generate(f"Question: What is {i}", max_tokens=1, temperature=1.5) for i in range(400)]
    num_found, chances = 0, []
    for request, answer in zip(requests, answers(loaded(folder), requests), strict=True):
        with torch.no_grad():
            shares = (model(torch.tensor([tokenizer.encode(request.prompt)])).logits[0, -1] / 1.5).softmax(-1).tolist()
        sought = texts[shares.index(max(shares))]
        chances.append(sum(share for share, text in zip(shares, texts, strict=False) if text == sought))
        num_found += answer.text == sought
    spread = sum(chance * (1 - chance) for chance in chances) ** 0.5
    assert abs(num_found - sum(chances)) < 5 * spread


def test_a_second_model_takes_the_place_of_the_first(folder, tmp_path):
    from tiny_models import make_model

    other = make_model(tmp_path / "qwen2", kind="qwen2", seed=5)
    engine = loaded(folder)
    engine.load(checkpoint(other))
    assert answers(engine, CHOICES) == answers(loaded(other), CHOICES)


def test_tied_embeddings_are_no_missing_weights(tmp_path):
    from tiny_models import make_model

    folder = make_model(tmp_path / "tied", tie_word_embeddings=True)
    assert "lm_head.weight" not in json.loads(header_of(folder))
    loaded(folder)


def header_of(folder) -> str:
    data = (folder / "model.safetensors").read_bytes()
    return data[8 : 8 + int.from_bytes(data[:8], "little")].decode()


def drop_a_weight(tensors):
    return {name: tensor for name, tensor in tensors.items() if "layers.1.mlp.up_proj" not in name}


def add_a_weight(tensors):
    return {**tensors, "model.layers.0.extra.weight": tensors["model.norm.weight"].clone()}


def misshape_a_weight(tensors):
    return {**tensors, "model.layers.0.mlp.up_proj.weight": tensors["model.layers.0.mlp.up_proj.weight"][:-1].clone()}


@pytest.mark.parametrize(
    ("change", "named"),
    [(drop_a_weight, "layers.1.mlp.up_proj"), (add_a_weight, "extra"), (misshape_a_weight, r"\(127, 128\)")],
)
def test_missing_extra_and_misshapen_weights_are_refused_by_name(broken, change, named):
    from tiny_models import change_weights

    change_weights(broken, change)
    failure = failure_of(broken)
    assert failure.status == ModelStatus.WEIGHT_MISMATCH
    assert re.search(named, str(failure))


def test_constants_that_older_versions_saved_beside_the_weights_are_fine(broken):
    import torch
    from tiny_models import change_weights

    change_weights(broken, lambda tensors: {**tensors, "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(16)})
    loaded(broken)


def test_nan_weights_fail_when_they_are_asked(broken):
    import torch
    from tiny_models import change_weights

    change_weights(broken, lambda tensors: {**tensors, "model.norm.weight": torch.full((128,), torch.nan)})
    engine = loaded(broken)
    for requests in (CHOICES, PROMPTS):
        with pytest.raises(EvaluatorFailure) as failure:
            list(engine.answer(requests))
        assert failure.value.status == ModelStatus.NAN_LOGITS


def change_json(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_bad_folders_end_as_typed_failures(broken):
    weights = (broken / "model.safetensors").read_bytes()
    (broken / "model.safetensors").write_bytes(weights[:-100])
    assert failure_of(broken).status == ModelStatus.WEIGHT_MISMATCH
    (broken / "model.safetensors").rename(broken / "pytorch_model.bin")
    assert failure_of(broken).status == ModelStatus.UNSAFE_FORMAT
    (broken / "model.safetensors").write_bytes(weights)
    change_json(broken / "config.json", auto_map={"AutoModelForCausalLM": "evil.Model"})
    assert failure_of(broken).status == ModelStatus.REMOTE_CODE
    change_json(broken / "config.json", auto_map={}, model_type="unheard_of", architectures=["UnheardOfForCausalLM"])
    assert failure_of(broken).status == ModelStatus.UNSUPPORTED
    change_json(broken / "config.json", model_type="llama", architectures=["LlamaForCausalLM"])
    (broken / "tokenizer.json").unlink()
    assert failure_of(broken).status == ModelStatus.NO_TOKENIZER


def test_the_engine_goes_on_after_a_model_that_failed(folder, broken):
    (broken / "tokenizer.json").unlink()
    engine = loaded(folder)
    with pytest.raises(EvaluatorFailure):
        engine.load(checkpoint(broken))
    engine.load(checkpoint(folder))
    assert len(answers(engine, CHOICES)) == len(CHOICES)


def test_a_batch_that_does_not_fit_into_memory_is_halved(folder, monkeypatch):
    import torch

    from gembench.evaluate.hf_forward import Forward

    read = Forward._read_prompts

    def read_little(self, prompts):
        if len(prompts) * max(map(len, prompts)) > 40:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return read(self, prompts)

    expected = answers(loaded(folder), CHOICES)
    monkeypatch.setattr(Forward, "_read_prompts", read_little)
    for one, other in zip(expected, answers(loaded(folder), CHOICES), strict=True):
        assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-4)
    with pytest.raises(EvaluatorFailure, match="does not fit") as failure:
        list(loaded(folder).answer([Generate("swans " * 60, max_tokens=2)]))
    assert failure.value.status == ModelStatus.OUT_OF_MEMORY


@needs_peft
def test_an_adapter_answers_as_its_base_with_the_product_added(folder, tmp_path):
    from tiny_models import make_adapter, merge_adapter

    adapter = make_adapter(tmp_path / "adapter", folder)
    merged = merge_adapter(tmp_path / "merged", folder, adapter)
    requests = [Generate("the cat", max_tokens=8), LogLikelihood("the dog", " sat on"), LogLikelihood("a", " b c")]
    answers = []
    for checkpoint in (Checkpoint("a", adapter, folder), Checkpoint("m", merged), Checkpoint("b", folder)):
        engine = HfEngine(dtype="float32")
        engine.load(checkpoint)
        answers.append([answer for _, answer in sorted(engine.answer(requests), key=lambda pair: pair[0])])
        engine.close()
    adapted, by_hand, base = answers
    assert [one.text for one in adapted] == [one.text for one in by_hand]
    for one, other, before in zip(adapted[1:], by_hand[1:], base[1:], strict=True):
        assert one.log_likelihood == pytest.approx(other.log_likelihood, abs=1e-3)
        assert abs(one.log_likelihood - before.log_likelihood) > 0.1


def test_an_adapter_without_peft_says_what_to_install(folder, tmp_path, monkeypatch):
    from tiny_models import make_adapter

    monkeypatch.setitem(sys.modules, "peft", None)
    adapter = make_adapter(tmp_path / "adapter", folder)
    with pytest.raises(EvaluatorFailure, match="pip install") as failure:
        HfEngine(dtype="float32").load(Checkpoint("org/adapter", adapter, folder))
    assert failure.value.status == ModelStatus.UNSUPPORTED


def test_a_number_type_that_there_is_not_is_refused():
    with pytest.raises(UsageError, match="float8"):
        HfEngine(dtype="float8")


def test_settings_are_known_without_importing_torch():
    program = (
        "import sys; from gembench.evaluate.hf_engine import HfEngine; settings = HfEngine(dtype='float32').settings; "
        "assert settings['engine'] == 'hf' and settings['engine_version'] and settings['dtype'] == 'float32'; "
        "assert not {'torch', 'transformers'} & set(sys.modules), 'imported'"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
