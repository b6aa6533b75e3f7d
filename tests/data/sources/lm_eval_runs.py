"""Logs that lm-eval itself writes: three models of our own on two small tasks and their group."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

NUM_DOCUMENTS = 24
MODELS = ("org/one", "org/two", "org/three")
DECIDED_BY = {"choices": ["acc,none", "acc_norm,none"], "sums": ["exact_match,strict", "exact_match,last"]}
"""What the tool reports of each task."""


def _metrics(*names: str) -> list[dict[str, Any]]:
    return [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in names]


TASKS = {
    "choices": {
        "output_type": "multiple_choice",
        "doc_to_text": "{{left}} + {{right}} =",
        "doc_to_choice": "{{['as much as ' ~ (left + right), 'only ' ~ left]}}",
        "doc_to_target": 0,
        "metric_list": _metrics("acc", "acc_norm"),
    },
    "sums": {
        "output_type": "generate_until",
        "doc_to_text": "{{left}} + {{right}}?",
        "doc_to_target": "{{left + right}}",
        "generation_kwargs": {"until": ["\n"], "do_sample": False},
        "repeats": 2,
        "filter_list": [
            {
                "name": name,
                "filter": [{"function": "regex", "regex_pattern": pattern}, {"function": "take_first"}],
            }
            for name, pattern in {"strict": "#### (\\d+)", "last": "(\\d+)$"}.items()
        ],
        "metric_list": _metrics("exact_match"),
    },
}


def write_tasks(folder: Path) -> Path:
    """A folder of task files to include. The last document stands in the data twice."""
    folder.mkdir()
    documents = [{"left": 10 + n, "right": 7 * n % 10, "note": 'ä "quoted"'} for n in range(NUM_DOCUMENTS - 1)]
    (folder / "test.jsonl").write_text("".join(json.dumps(each) + "\n" for each in [*documents, documents[-1]]))
    data = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "test.jsonl")}, "cache_dir": str(folder / "cache")},
        "test_split": "test",
        "metadata": {"version": 1},
    }
    for name, task in TASKS.items():
        # Whatever is JSON is YAML.
        (folder / f"{name}.yaml").write_text(json.dumps({"task": name, **data, **task}))
    group = {
        "group": "both",
        "task": list(TASKS),
        "aggregate_metric_list": [{"metric": "acc", "aggregation": "mean", "filter_list": ["none"]}],
    }
    (folder / "both.yaml").write_text(json.dumps(group))
    return folder


def _number(*texts: str) -> int:
    return int(hashlib.sha256("|".join(texts).encode()).hexdigest(), 16)


def _model(seed: str) -> Any:
    """Answers by the hash of what it is asked: repeats differ, and documents of the same text."""
    from lm_eval.api.model import LM

    class Model(LM):
        tokenizer_name = "ours"

        def loglikelihood(self, requests, **_):
            return [(-(_number(seed, *one.args, str(one.doc_id)) % 1000) / 97, False) for one in requests]

        def generate_until(self, requests, **_):
            return [self._said(one.args[0], str(n), str(one.doc_id)) for n, one in enumerate(requests)]

        def _said(self, prompt: str, *of_request: str) -> str:
            number = _number(seed, prompt, *of_request)
            left, right = re.findall(r"(\d+) \+ (\d+)", prompt)[-1]
            return f"It is {'#### ' if number % 3 else ''}{int(left) + int(right) + number % 2}"

        def loglikelihood_rolling(self, requests, **_):
            raise NotImplementedError

        def apply_chat_template(self, chat_history, add_generation_prompt=True):
            return "".join(f"<{turn['role']}>{turn['content']}" for turn in chat_history)

        def chat_template(self, _=False):
            return "<role>content"

    return Model()


def run_lm_eval(tasks: Path, output: Path, model: str, *, model_args: str | None = None, **options: Any) -> Any:
    """What `lm_eval --log_samples --output_path` does; returns the tool's own results, with its samples."""
    from lm_eval import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    tracker = EvaluationTracker(output_path=str(output))
    results = simple_evaluate(
        "dummy" if model == "dummy" else _model(model),
        model_args=f"pretrained={model}" if model_args is None else model_args,
        tasks=["both"],
        task_manager=TaskManager(include_path=str(tasks), include_defaults=False),
        evaluation_tracker=tracker,
        log_samples=True,
        torch_random_seed=None,
        **{"bootstrap_iters": 5, **options},
    )
    kept = {key: value for key, value in results.items() if key != "samples"}
    tracker.save_results_aggregated(results=kept, samples=results["samples"])
    for task, samples in results["samples"].items():
        tracker.save_results_samples(task_name=task, samples=samples)
    return results
