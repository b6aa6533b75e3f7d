"""Records of Every Eval Ever as its converters write them, for the tests of import and export."""

import json

UUID = "8f6d3c52-9a1b-4c0e-8d2f-0123456789ab"


def sample(sample_id, score, *, task="arc", result="acc", **others):
    """A record as the converter of lm-eval writes it."""
    return {
        "schema_version": "0.3.0",
        "evaluation_id": "arc/org/m/1760000000",
        "model_id": "org/m",
        "evaluation_name": task,
        "evaluation_result_id": result,
        "sample_id": sample_id,
        "sample_hash": f"hash of {sample_id}",
        "interaction_type": "single_turn",
        "input": {"raw": f"question {sample_id}", "reference": ["A"]},
        "output": {"raw": ["A"]},
        "answer_attribution": [],
        "evaluation": {"score": score, "is_correct": score == 1},
        "metadata": {},
        **others,
    }


def result(name="arc", metric="acc", score=0.5, **metric_config):
    """A reported result."""
    return {
        "evaluation_result_id": metric,
        "evaluation_name": name,
        "source_data": {"dataset_name": name, "source_type": "other"},
        "metric_config": {"metric_name": metric, "lower_is_better": False, **metric_config},
        "score_details": {"score": score},
    }


def aggregate(*results, details=None, **others):
    """An aggregate record."""
    return {
        "schema_version": "0.3.0",
        "evaluation_id": "arc/org/m/1760000000",
        "retrieved_timestamp": "1760000000",
        "source_metadata": {
            "source_type": "evaluation_run",
            "source_organization_name": "nobody",
            "evaluator_relationship": "other",
        },
        "model_info": {"name": "m", "id": "org/m", "additional_details": details or {}},
        "eval_library": {"name": "lm_eval", "version": "0.4.13"},
        "evaluation_results": list(results),
        **others,
    }


def write_run(folder, samples, record=None, uuid=UUID):
    """The two files of a run; without a record, only that of the samples."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(one) + "\n" for one in samples)
    (folder / f"{uuid}_samples.jsonl").write_text(lines)
    if record is not None:
        (folder / f"{uuid}.json").write_text(json.dumps(record))
    return folder
