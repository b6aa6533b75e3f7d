"""lm-evaluation-harness: `results_<date>.json`, and `samples_<task>_<date>.jsonl` where it ran with --log_samples.

Written by lm-eval 0.4.0 to 0.4.13, in a folder a model; up to 0.4.2 as `results.json` and `<model_args>_<task>.jsonl`,
which is one JSON array. The `write_out_info` files of 0.3 are not read.

Traps:
- a row is one of a document *and a filter*: gsm8k has two for each. Old rows do not say which filter; they come in the
  order of the filters in the results file.
- the score is the first metric, by the first filter, that the results file reports for the task and that gives each
  answer a score: not one of which less is better, nor one of all documents at once (perplexity, f1, bleu, mcc).
- a value may be a number, a boolean, either as text, or a list (IFEval's instructions: the mean is taken, and what the
  tool reports is then over instructions, not over answers). NaN, and a row without the metric, is not graded.
- `--predict_only` writes 999 for each answer, under the metric `bypass`: none is graded.
- `doc_id` can be of another document (with --samples in any order but the rising one), so a query is the hashes of
  document and target. Documents of the same text share them and may be answered differently: their occurrence counts.
- `prompt_hash` differs between models with a chat template; the tool's hash over all of a task is kept as a setting.
- `doc_hash` of pictures can hold an address in memory: then no two runs share a query.
- the folder has the model's name without what no folder may have in its name; the results file has the name itself.
  It has an adapter's where there is one, and one drawn at random where the run's arguments name none.
- runs of two revisions may lie in one folder under one name: model arguments tell them apart, and chat templates.
- groups have figures, but no rows. On the Hub, figures and rows are data sets of their own, joined by their date.
"""

from collections.abc import Iterator

import numpy as np

from gembench.data.sources.lm_eval_files import LogName, find_logs, log_name
from gembench.data.sources.lm_eval_results import Results, TaskResults, no_results, read_results
from gembench.data.sources.lm_eval_task import TaskRows, read_task
from gembench.data.sources.source import Choice, Log, ModelLog, Remark
from gembench.errors import SourceError

__all__ = ["find_logs", "read_log"]


def read_log(log: Log, choice: Choice) -> Iterator[ModelLog]:
    """The one model of a run.

    Raises:
        SourceError: a file cannot be read, there are no samples, none of them can be used, or nothing names the model.
    """
    names = {path: log_name(path) for path in log.files}
    samples = {path: name for path, name in names.items() if name.is_samples}
    first, remarks = log.files[0], []
    if not samples:
        raise SourceError(f"{first}: no samples_*.jsonl lies beside it; run lm_eval with --log_samples.")
    if first in samples:
        results = no_results(names[first].folder)
        message = f"no results file lies beside it: the model is called {results.identity['model']!r} by its folder"
        remarks.append(Remark(first, None, message, 0))
    else:
        results = read_results(first)
    if not results.identity["model"]:
        raise SourceError(f"{first}: nothing names its model; write its name into it as 'model_name'.")
    if first not in samples and not results.is_named:
        message = f"the run's arguments name no model: it is called {results.identity['model']!r} by the tool"
        remarks.append(Remark(first, None, message, 0))
    tasks = _read_tasks(samples, results, choice, remarks)
    yield _model_log(first, names[first], results, tasks, remarks)


def _read_tasks(
    samples: dict[str, LogName], results: Results, choice: Choice, remarks: list[Remark]
) -> dict[str, TaskRows]:
    tasks: dict[str, TaskRows] = {}
    for path, name in samples.items():
        task = name.task_among(results.tasks)
        if task in tasks:
            remarks.append(Remark(path, None, "another file of this run has the same task: this one is left out", 0))
            continue
        tasks[task] = read_task(path, task, results.tasks.get(task, TaskResults()), choice)
        remarks += tasks[task].remarks
    return tasks


def _model_log(
    file: str, name: LogName, results: Results, tasks: dict[str, TaskRows], remarks: list[Remark]
) -> ModelLog:
    used = {task: rows for task, rows in tasks.items() if len(rows.queries)}
    if not used:
        reasons = [remark for rows in tasks.values() for remark in rows.remarks]
        where = f"{reasons[0].file}{f', line {reasons[0].line}' if reasons[0].line else ''}"
        raise SourceError(f"{where}: {reasons[0].message}, so that nothing is left of the run.")
    without = [task for task in results.tasks if task not in tasks]
    if without:
        listed = ", ".join(map(repr, without[:3])) + (", ..." if len(without) > 3 else "")
        remarks.append(Remark(file, None, f"it reports of tasks whose samples do not lie there: {listed}", 0))
    decided_by = {task: rows.decided_by for task, rows in used.items()}
    return ModelLog(
        file=file,
        identity={**results.identity, "folder": name.folder},
        date=results.date or name.date,
        queries=[query for rows in used.values() for query in rows.queries],
        tasks=[task for task, rows in used.items() for _ in rows.queries],
        score=np.concatenate([rows.score for rows in used.values()]),
        outcome=np.concatenate([rows.outcome for rows in used.values()]),
        num_rows=sum(rows.num_rows for rows in tasks.values()),
        query_columns={
            "doc_hash": [each for rows in used.values() for each in rows.doc_hashes],
            "target_hash": [each for rows in used.values() for each in rows.target_hashes],
        },
        reported={task: rows.reported for task, rows in used.items() if rows.reported is not None},
        model_columns=results.model_columns,
        settings={**results.settings, "metrics": decided_by},
        remarks=remarks,
    )
