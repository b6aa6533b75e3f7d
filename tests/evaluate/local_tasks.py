"""Harness tasks over local JSON files, one of each kind, and a model that answers by the hash of its prompt."""

import hashlib
import json
import re
from pathlib import Path

import yaml

NUM_DOCUMENTS = 12

SUMS = {
    "output_type": "generate_until",
    "doc_to_text": "Q: {{left}} + {{right}}?\nA:",
    "doc_to_target": "{{left + right}}",
    "description": "Add up.\n\n",
    "fewshot_split": "train",
    "num_fewshot": 3,
    "generation_kwargs": {"until": ["\n\n", ""], "max_gen_toks": 16, "do_sample": False, "temperature": 0.7},
    "filter_list": [
        {
            "name": "strict",
            "filter": [{"function": "regex", "regex_pattern": "#### (\\d+)"}, {"function": "take_first"}],
        },
        {
            "name": "last",
            "filter": [
                {"function": "regex", "regex_pattern": "(\\d+)", "group_select": -1},
                {"function": "take_first"},
            ],
        },
    ],
    "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
}
CHOICES = {
    "output_type": "multiple_choice",
    "doc_to_text": "{{left}} + {{right}} =",
    "doc_to_choice": "{{['as much as ' ~ (left + right), 'only ' ~ left, 'more than ' ~ right]}}",
    "doc_to_target": 0,
    "fewshot_split": "train",
    "num_fewshot": 2,
    "metric_list": [
        {"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in ("acc", "acc_norm")
    ],
}
BLANKS = {
    "output_type": "multiple_choice",
    "doc_to_text": "{{right % 2}}",
    "doc_to_choice": "{{['In ' ~ left, 'After ' ~ left]}}",
    "doc_to_target": "comes {{right}}.",
    "num_fewshot": 0,
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
}
LAST_WORD = {
    "output_type": "loglikelihood",
    "doc_to_text": "{{left}} and {{left}} make",
    "doc_to_target": " {{2 * left}}",
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
}
BEGUN = {**SUMS, "num_fewshot": 1, "gen_prefix": "It is", "repeats": 2}

TWICE = {**CHOICES, "repeats": 2}

TASKS = {"twice": TWICE, "sums": SUMS, "choices": CHOICES, "blanks": BLANKS, "last_word": LAST_WORD, "begun": BEGUN}


def documents(first: int, number: int) -> list[dict]:
    return [{"left": first + n, "right": 7 * n % 10, "kind": ("even", "odd")[n % 2]} for n in range(number)]


def write_tasks(folder: Path, tasks: dict[str, dict] = TASKS, num_documents: int = NUM_DOCUMENTS) -> Path:
    """A folder of task files to include; the last document stands in the data twice."""
    test = documents(10, num_documents - 1)
    splits = {"train": documents(50, 20), "test": [*test, test[-1]]}
    files = {split: write_documents(folder / f"{split}.jsonl", content) for split, content in splits.items()}
    for name, task in tasks.items():
        write_task(folder, name, task, files)
    return folder


def write_documents(path: Path, content: list[dict]) -> str:
    path.write_text("".join(json.dumps(document) + "\n" for document in content))
    return str(path)


def write_task(folder: Path, name: str, task: dict, files: dict[str, str]) -> None:
    local = {
        "task": name,
        "dataset_path": "json",
        "dataset_name": None,
        "dataset_kwargs": {"data_files": files, "cache_dir": str(folder / "cache")},
        "test_split": "test",
        "metadata": {"version": 1},
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({**local, **task}))


def said_to(prompt: str) -> str:
    """What the model generates to a sum: as often wrong as right, and in two cases of three with a strict answer."""
    number = int(hashlib.sha256(prompt.encode()).hexdigest(), 16)
    left, right = re.findall(r"(\d+) \+ (\d+)", prompt)[-1]
    mark = "#### " if number % 3 else ""
    return f" {left} and {right} is {mark}{int(left) + int(right) + number % 2}"


def likelihood_of(context: str, continuation: str) -> tuple[float, bool]:
    number = int(hashlib.sha256(f"{context}|{continuation}".encode()).hexdigest(), 16)
    return -(number % 1000) / 97, number % 2 == 0


class Template:
    """A chat template of our own making."""

    digest = "of-our-own"

    def render(self, messages, *, add_generation_prompt: bool) -> str:
        turns = "".join(f"<{message['role']}>{message['content']}</>" for message in messages)
        return turns + "<assistant>" if add_generation_prompt else turns.removesuffix("</>")
