"""Tasks of lm-evaluation-harness, found by name and made as the harness itself makes them."""

import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from lm_eval import utils
from lm_eval.api.task import ConfigurableTask, Task
from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED
from lm_eval.tasks import TaskManager

from gembench.errors import GembenchError
from gembench.evaluate.sandbox import require_sandbox
from gembench.evaluate.suite_file import SuiteError
from gembench.evaluate.suites.catalog import SUITES, TASK_FOLDER

_COMPILED_TEMPLATES = 4096


class TaskLibrary:
    """The tasks that ship, those of the user's folders, and, once a name is found in neither, the harness's own.

    Args:
        include_path: folders of the user's task files; of two tasks of one name, the last folder's counts.
        allow_code: whether tasks that run code written by a model may be used, in the sandbox.

    Raises:
        SuiteError: a folder is not there.
    """

    def __init__(self, include_path: Sequence[Path], *, allow_code: bool) -> None:
        for folder in include_path:
            if not folder.is_dir():
                raise SuiteError(f"{folder}: there is no such folder of task files.")
        self._folders = [TASK_FOLDER, *include_path]
        self._allow_code = allow_code
        # Indexing the harness's own 14,000 tasks takes seconds.
        self._all_tasks = cache(lambda: self._index(include_defaults=True))
        with _as_the_harness_loads():
            self._our_tasks = self._index(include_defaults=False)
        _compile_templates_once()

    def load(self, name: str) -> list[Task]:
        """The task of that name, or those of the group or tag, seeded as by `lm_eval.simple_evaluate`.

        Raises:
            SuiteError: there is none, its data cannot be had, or it is of a kind that cannot be asked here.
            MissingExtraError: a package that carries its data is not installed.
            SandboxError: it runs code, and there is no working sandbox.
        """
        with _as_the_harness_loads():
            manager = self._manager(name)
            self._refuse_unsafe(name, manager.task_index[name].cfg or {})
            try:
                loaded = manager.load(name)["tasks"].values()
            except GembenchError:
                raise
            except Exception as error:  # Data sets, templates and functions of tasks fail in as many ways as there are.
                raise SuiteError(
                    f"task {name}: it cannot be loaded ({_summary(error)}); if its data set comes from the "
                    f"Hugging Face Hub, check the network, HF_HUB_OFFLINE and HF_TOKEN."
                ) from error
            tasks = list(loaded)
            for task in tasks:
                self._check(task)
                if task.config.num_fewshot is None:
                    task.set_config("num_fewshot", 0)
                task.set_fewshot_seed(DEFAULT_OTHER_SEED)
        return tasks

    def _index(self, *, include_defaults: bool) -> TaskManager:
        return TaskManager(include_defaults=include_defaults, include_path=list(self._folders))

    def _manager(self, name: str) -> TaskManager:
        """The smallest index that knows the name and, if it is a group, every member that it may have."""
        if name in self._our_tasks.task_index and name not in self._our_tasks.all_groups:
            return self._our_tasks
        everything = self._all_tasks()
        if name not in everything.task_index:
            close = get_close_matches(name, [*SUITES, *everything.all_tasks], n=3)
            suggestion = f"did you mean {' or '.join(close)}?" if close else f"suites that ship: {', '.join(SUITES)}."
            raise SuiteError(f"no suite, task or group is called {name!r}; {suggestion}")
        return everything

    def _check(self, task: Task) -> None:
        if task.OUTPUT_TYPE not in ("generate_until", "loglikelihood", "multiple_choice"):
            raise SuiteError(
                f"task {task.task_name}: its output type {task.OUTPUT_TYPE} gives no answer that is right or wrong; "
                f"choose a task of generation or multiple choice."
            )
        if getattr(task, "MULTIMODAL", False):
            raise SuiteError(f"task {task.task_name}: it shows images or plays sounds; choose a task of text alone.")
        if not isinstance(task, ConfigurableTask) and task.config.num_fewshot:
            raise SuiteError(
                f"task {task.task_name}: a task written in Python cannot have examples here; set num_fewshot to 0."
            )
        if getattr(task, "UNSAFE_CODE", False):
            self._refuse_unsafe(task.task_name, {"unsafe_code": True, "metadata": task.config.metadata})

    def _refuse_unsafe(self, name: str, config: dict[str, Any]) -> None:
        """The harness runs generated code unprotected, for some tasks already when their files are read."""
        if not config.get("unsafe_code"):
            return
        if not (config.get("metadata") or {}).get("is_sandboxed"):
            raise SuiteError(
                f"task {name}: the harness would run code written by a model unprotected; "
                f"the tasks humaneval_sandboxed and mbpp_sandboxed ask the same in a sandbox."
            )
        if not self._allow_code:
            raise SuiteError(f"task {name}: it runs code written by a model; to run it in a sandbox, add --allow-code.")
        require_sandbox()


@contextmanager
def _as_the_harness_loads() -> Iterator[None]:
    """The seeds that `simple_evaluate` sets, for tasks that shuffle, and no log; all as before at the end."""
    loggers = [logging.getLogger(name) for name in ("lm_eval", "huggingface_hub")]
    levels, python_state = [logger.level for logger in loggers], random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002, the generator that tasks draw from
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    random.seed(DEFAULT_RANDOM_SEED)
    np.random.seed(DEFAULT_OTHER_SEED)  # noqa: NPY002
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002


@cache
def _compile_templates_once() -> None:
    """The harness compiles a document's Jinja template anew for every document: 0.2 ms for each prompt and grade."""
    utils.env.from_string = lru_cache(maxsize=_COMPILED_TEMPLATES)(utils.env.from_string)


def _summary(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
