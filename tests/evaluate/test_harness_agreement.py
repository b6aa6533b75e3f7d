"""The harness, run by itself, is the judge: prompts, hashes, grades and the mean must be its own."""

from functools import cache
from pathlib import Path
from statistics import fmean

import pytest
from local_tasks import TASKS, Template, likelihood_of, said_to, write_tasks
from needs import needs_harness

from gembench.evaluate.evaluator import Answer, Generate, LogLikelihood
from gembench.evaluate.harness import load_suite

pytestmark = needs_harness

FILTERS_AND_METRICS = [
    ("sums", "strict", "exact_match"),
    ("sums", "last", "exact_match"),
    ("choices", "none", "acc"),
    ("choices", "none", "acc_norm"),
    ("blanks", "none", "acc"),
    ("last_word", "none", "acc"),
    ("begun", "last", "exact_match"),
    ("twice", "none", "acc"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("tasks"))


@cache
def run_by_the_harness(folder: Path, has_template: bool) -> dict:
    """`simple_evaluate` over all the tasks, with a model that answers by the hash of its prompt."""
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    class HashModel(LM):
        tokenizer_name = "hash"

        def generate_until(self, requests, **_):
            return [said_to(request.args[0]) for request in requests]

        def loglikelihood(self, requests, **_):
            return [likelihood_of(*request.args) for request in requests]

        def loglikelihood_rolling(self, requests, **_):
            raise NotImplementedError

        def apply_chat_template(self, chat_history, add_generation_prompt=True):
            return Template().render(chat_history, add_generation_prompt=add_generation_prompt)

        def chat_template(self, _=False):
            return "of our own"

    return simple_evaluate(
        HashModel(),
        tasks=list(TASKS),
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
        apply_chat_template=has_template,
        torch_random_seed=None,
    )


def answer_to(request) -> Answer:
    if isinstance(request, Generate):
        return Answer(text=said_to(request.prompt))
    log_likelihood, is_greedy = likelihood_of(request.context, request.continuation)
    return Answer(log_likelihood=log_likelihood, is_greedy=is_greedy)


def suite_of(folder: Path, task: str, filter_name: str, metric: str):
    path = folder / "suite.yaml"
    path.write_text(f"name: one\ntasks: [{{task: {task}, filter: {filter_name}, metric: {metric}}}]\n")
    return load_suite(str(path), include_path=[folder])


@pytest.mark.parametrize("has_template", [False, True], ids=["plain", "chat"])
@pytest.mark.parametrize(("task", "filter_name", "metric"), FILTERS_AND_METRICS)
def test_prompts_hashes_grades_and_mean_are_those_that_the_harness_logs(
    folder, task, filter_name, metric, has_template
):
    suite = suite_of(folder, task, filter_name, metric)
    run = run_by_the_harness(folder, has_template)
    samples = [sample for sample in run["samples"][task] if sample["filter"] == filter_name]
    repeats = TASKS[task].get("repeats", 1)
    template = Template() if has_template else None
    scores = []
    for number, (query, sample) in enumerate(zip(suite.queries, samples, strict=True)):
        requests = suite.requests(number, template)
        asked = [
            (one.prompt,) if isinstance(one, Generate) else (one.context, one.continuation)
            for one in requests[::repeats]
        ]
        logged = [arguments[: 1 if isinstance(requests[0], Generate) else 2] for arguments in sample["arguments"]]
        assert asked == logged
        assert len(requests) == repeats * len(logged)
        assert (query.doc_hash, query.target_hash) == (sample["doc_hash"], sample["target_hash"])
        grade = suite.grade(number, [answer_to(request) for request in requests])
        assert grade.score == sample[metric]
        assert grade.is_correct == (sample[metric] == 1)
        scores.append(grade.score)
    assert fmean(scores) == pytest.approx(run["results"][task][f"{metric},{filter_name}"], abs=1e-12)
    assert 0 < fmean(scores) < 1, "a test with one outcome tells nothing"


def test_generation_is_asked_as_the_harness_says_greedy_and_with_no_empty_stop(folder):
    requests = suite_of(folder, "sums", "strict", "exact_match").requests(0)
    assert [(one.stop, one.max_tokens, one.temperature) for one in requests] == [(("\n\n",), 16, 0.0)]


def test_a_prompt_does_not_depend_on_which_other_documents_are_asked(folder):
    (folder / "drawn.yaml").write_text("tasks: [{task: sums, filter: last, num_queries: 4, seed: 1}]\n")
    drawn = load_suite(str(folder / "drawn.yaml"), include_path=[folder])
    whole = load_suite("sums", include_path=[folder])
    prompts = {query.id: whole.requests(number) for number, query in enumerate(whole.queries)}
    backwards = reversed(range(4))
    assert {drawn.queries[number].id: drawn.requests(number) for number in backwards}.items() <= prompts.items()


def test_multiple_choice_is_asked_by_log_likelihood(folder):
    assert {type(request) for request in suite_of(folder, "choices", "none", "acc").requests(0)} == {LogLikelihood}
