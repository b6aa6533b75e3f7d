"""A task's prompts: the harness writes them, for one document at a time, and they become requests of ours."""

from collections.abc import Callable, Sequence
from copy import copy
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.task import Task
from lm_eval.models.utils import normalize_gen_kwargs

from gembench.evaluate.evaluator import Generate, LogLikelihood, Request
from gembench.evaluate.suite import ChatTemplate
from gembench.evaluate.suite_file import SuiteError

Document = dict[str, Any]

_USED_SETTINGS = {"until", "max_gen_toks", "do_sample", "temperature"}
_SETTINGS_OF_SAMPLING = {"top_p", "top_k", "min_p"}


class Prompts:
    """The requests of a task's documents.

    The harness draws a document's examples from one generator, document after document. They are drawn once, here, so
    that a prompt is the same whichever other documents are asked: that of a run of the harness over the whole task.

    Args:
        task: seeded as the harness does.
        documents: those of the task from the first on, as far as they are wanted.
    """

    def __init__(self, task: Task, documents: Sequence[Document]) -> None:
        self._task = task
        self._documents = documents
        self._examples: list[list[Document]] = [[]] * len(documents)
        if task.config.num_fewshot:
            recorder = _Recorder(task.sampler)
            for number, document in enumerate(documents):
                _context(_with_sampler(task, recorder), document, None)
                self._examples[number] = recorder.drawn

    def requests(self, number: int, chat_template: ChatTemplate | None = None) -> list[Request]:
        """What to ask for a document: each request as often as the task repeats it."""
        document = self._documents[number]
        task = _with_sampler(self._task, _Drawn(self._examples[number]))
        render = _renderer(chat_template)
        instances = task.construct_requests(
            doc=document,
            ctx=_context(task, document, render),
            metadata=(task.task_name, number, task.config.repeats),
            apply_chat_template=render is not None,
            chat_template=render,
        )
        listed = instances if isinstance(instances, list) else [instances]
        return [_request(instance) for instance in listed for _ in range(task.config.repeats)]


class _Recorder:
    """The task's sampler, remembering what it drew last."""

    def __init__(self, sampler: Any) -> None:
        self._sampler = sampler
        self.drawn: list[Document] = []

    def sample(self, *args: Any, **kwargs: Any) -> list[Document]:
        self.drawn = list(self._sampler.sample(*args, **kwargs))
        return self.drawn


class _Drawn:
    """A sampler that draws what was drawn before."""

    def __init__(self, examples: list[Document]) -> None:
        self._examples = examples

    def sample(self, *_args: Any, **_kwargs: Any) -> list[Document]:
        return self._examples


def _with_sampler(task: Task, sampler: _Recorder | _Drawn) -> Task:
    """A task of its own, so that requests can be made from several threads."""
    own = copy(task)
    own.sampler = sampler
    return own


def _context(task: Task, document: Document, render: Callable[..., str] | None) -> str | list[str]:
    """The prompt before the answer, as `Task.build_all_requests` has it made."""
    context: str | list[str] = task.fewshot_context(
        document,
        num_fewshot=task.config.num_fewshot,
        system_instruction=None,
        apply_chat_template=render is not None,
        fewshot_as_multiturn=render is not None,
        chat_template=render,
        gen_prefix=task.doc_to_prefix(document),
    )
    return context


def _renderer(chat_template: ChatTemplate | None) -> Callable[..., str] | None:
    if chat_template is None:
        return None

    def render(messages: Sequence[dict[str, str]], add_generation_prompt: bool = True) -> str:
        return chat_template.render(messages, add_generation_prompt=add_generation_prompt)

    return render


def _request(instance: Instance) -> Request:
    if instance.request_type == "loglikelihood":
        context, continuation = instance.args
        return LogLikelihood(context, continuation)
    prompt, settings = instance.args
    normal = normalize_gen_kwargs(settings)
    temperature = float(normal.get("temperature", 1.0 if normal["do_sample"] else 0.0))
    for name in normal:
        if name not in _USED_SETTINGS and not (temperature == 0 and name in _SETTINGS_OF_SAMPLING):
            raise SuiteError(
                f"task {instance.task_name}: generation_kwargs has {name!r}, which not every engine knows; "
                f"leave it out of the task's file."
            )
    stop = tuple(text for text in normal["until"] if text)
    return Generate(prompt, stop, normal["max_gen_toks"], temperature)
