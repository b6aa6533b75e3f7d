"""The encoding against lm-evaluation-harness itself, and against token ids counted by hand."""

import pytest
from needs import needs_harness, needs_torch

from gembench.data.status import ModelStatus
from gembench.evaluate.evaluator import EvaluatorFailure, Generate, LogLikelihood
from gembench.evaluate.tokens import Codec, load_tokenizer

pytestmark = needs_torch

PAIRS = [
    ("the quick brown", " fox"),
    ("the quick brown ", "fox"),
    ("the quick brown  \n ", "fox"),
    ("Answer:", " 42"),
    ("", "the quick"),
    ("", "<s>the quick"),
    ("", "</s>the quick"),
    ("<s>the quick brown", " fox"),
    ("</s>the quick brown", " fox"),
    ("fo", "x jumps"),
    ("Question: Ünïcödé ", "日本"),
]


@pytest.fixture(scope="module", params=[False, True], ids=["no first token", "first token"])
def tokenizer(request):
    from tiny_models import make_tokenizer

    return make_tokenizer(has_first_token=request.param)


@pytest.fixture
def codec(tokenizer) -> Codec:
    return Codec(tokenizer, frozenset({2}))


@needs_harness
@pytest.mark.parametrize(("context", "continuation"), PAIRS)
def test_pairs_are_encoded_as_the_harness_encodes_them(tokenizer, codec, context, continuation):
    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    harness = HFLM.__new__(HFLM)
    harness.tokenizer, harness.backend = tokenizer, "causal"
    harness.custom_prefix_token_id = harness.add_bos_token = None
    seen = []
    harness._loglikelihood_tokens = lambda requests, **_: seen.extend(requests)
    harness._rank, harness.enable_thinking = 0, False
    harness.loglikelihood([Instance("loglikelihood", {}, (context, continuation), 0)], disable_tqdm=True)
    [(_, context_tokens, continuation_tokens)] = seen
    pair = codec.pair(LogLikelihood(context, continuation))
    assert (list(pair.context), list(pair.continuation)) == (list(context_tokens), list(continuation_tokens))


def test_a_context_of_white_space_alone_begins_with_the_first_token(tokenizer, codec):
    # The harness refuses it: nothing is left of the context once its white space belongs to the continuation.
    pair = codec.pair(LogLikelihood("  ", "fox"))
    assert pair.context == ((0,) if tokenizer.bos_token_id == 0 else (1,))
    assert tokenizer.decode(pair.continuation) == "  fox"


def test_a_prompt_that_begins_with_the_first_token_gets_no_second_one(codec):
    tokens = codec.prompt(Generate("<s>the")).tokens
    assert tokens.count(0) == 1
    assert tokens[0] == 0


def test_a_prompt_ends_at_the_ends_of_model_and_tokenizer_and_at_special_stop_strings(codec):
    prompt = codec.prompt(Generate("the", stop=("<|user|>", "\n\n", "</s>")))
    assert prompt.end_tokens == {1, 2, 3}  # </s>, <|end|> and <|user|> are made in this order, after <s>.
    assert prompt.stop == ("\n\n",)


def test_text_stops_before_the_first_stop_string_and_before_an_end_token(tokenizer, codec):
    prompt = codec.prompt(Generate("the", stop=("dog", "lazy")))
    generated = tokenizer.encode(" jumps over the lazy dog", add_special_tokens=False)
    assert codec.text(generated, prompt) == " jumps over the "
    assert codec.text([*generated[:2], 2, *generated], prompt) == tokenizer.decode(generated[:2])


def test_a_stop_string_is_noticed_with_the_token_that_completes_it(tokenizer, codec):
    prompt = codec.prompt(Generate("the", stop=("zy do",)))
    generated = tokenizer.encode(" jumps over the lazy dog and the lazy dog", add_special_tokens=False)
    noticed = [codec.is_stopped(generated[: i + 1], prompt) for i in range(len(generated))]
    texts = [tokenizer.decode(generated[: i + 1]) for i in range(len(generated))]
    assert noticed.index(True) == next(i for i, text in enumerate(texts) if "zy do" in text)


def test_a_stop_string_within_a_character_of_several_tokens_is_noticed_when_it_is_whole(tokenizer, codec):
    prompt = codec.prompt(Generate("the", stop=("日",)))
    generated = tokenizer.encode("日本", add_special_tokens=False)
    assert len(generated) == 6
    assert [codec.is_stopped(generated[: i + 1], prompt) for i in range(3)] == [False, False, True]
    assert codec.text(generated, prompt) == ""


def test_draws_differ_by_prompt_and_seed_alone(codec):
    one, other = codec.prompt(Generate("the")), codec.prompt(Generate("fox"))
    assert one.seed(0) == codec.prompt(Generate("the")).seed(0)
    assert len({one.seed(0), one.seed(1), other.seed(0)}) == 3


def test_a_folder_without_a_readable_tokenizer_is_a_typed_failure(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(EvaluatorFailure, match=tmp_path.name) as failure:
        load_tokenizer(tmp_path)
    assert failure.value.status == ModelStatus.NO_TOKENIZER
