"""A request as vLLM takes it, and its output as an answer."""

import math
from typing import Any

from gembench.evaluate.evaluator import Answer
from gembench.evaluate.tokens import Codec, Pair, Prompt, nan_logits


def sampling_params(tokens: Pair | Prompt, seed: int) -> Any:
    """The `SamplingParams` of a request: continuations are weighed as lm-evaluation-harness lets vLLM weigh them."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    if isinstance(tokens, Pair):
        return SamplingParams(
            temperature=0.0,
            max_tokens=1,
            prompt_logprobs=1,
            detokenize=False,
            flat_logprobs=True,
            output_kind=RequestOutputKind.FINAL_ONLY,
        )
    return SamplingParams(
        temperature=tokens.temperature,
        max_tokens=tokens.max_tokens,
        seed=None if tokens.temperature == 0 else tokens.seed(seed),
        stop=list(tokens.stop),
        stop_token_ids=sorted(tokens.end_tokens),
        # The live engine's idea of an end is that of the model which it was started with.
        ignore_eos=True,
        detokenize=bool(tokens.stop),
        output_kind=RequestOutputKind.FINAL_ONLY,
    )


def read_answer(output: Any, tokens: Pair | Prompt, codec: Codec, model: str) -> Answer:
    """The answer in a finished `RequestOutput`.

    Raises:
        EvaluatorFailure: NAN_LOGITS.
    """
    if isinstance(tokens, Prompt):
        generated = list(output.outputs[0].token_ids)
        return Answer(
            text=codec.text(generated, tokens),
            prompt_tokens=len(tokens.tokens),
            completion_tokens=len(generated),
        )
    total, is_greedy = _weighed(output.prompt_logprobs, tokens)
    if math.isnan(total):
        raise nan_logits(model)
    return Answer(log_likelihood=total, is_greedy=is_greedy, prompt_tokens=len(tokens))


def _weighed(chances: Any, pair: Pair) -> tuple[float, bool]:
    """Sum and greediness of a continuation in a prompt's log-probabilities: each token's own, then the likeliest's."""
    total, is_greedy = 0.0, True
    for place in range(len(pair.context), len(pair)):
        own, *others = chances.logprobs[chances.start_indices[place] : chances.end_indices[place]]
        total += own
        is_greedy = is_greedy and all(own >= other for other in others)
    return total, is_greedy
