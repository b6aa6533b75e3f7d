"""HELM's runs: plain instances only, the metric that HELM shows, and its own figure of them."""

import json

import numpy as np
import pytest
from hypothesis import strategies as st
from spoiled import read_all, spoiled_json, survives, with_some, with_very_many

from gembench.data.outcomes import Outcome
from gembench.data.sources import helm
from gembench.data.sources.source import Choice
from gembench.errors import SourceError

MISSPELLED = {"name": "misspellings", "robustness": True, "fairness": False, "computed_on": "perturbed"}


def stat(name, value, split="test", sub_split=None, perturbation=None):
    """A statistic over one value, as HELM writes it: what is None is left out."""
    names = {"name": name, "split": split, "sub_split": sub_split, "perturbation": perturbation}
    named = {key: text for key, text in names.items() if text is not None}
    value = float(value)
    return {"name": named, "count": 1, "sum": value, "sum_squared": value**2, "min": value, "max": value, "mean": value}


def instance(number, stats, trial=0, perturbation=None):
    entry = {"instance_id": f"id{number}", "train_trial_index": trial, "stats": stats}
    return entry | ({"perturbation": perturbation} if perturbation else {})


def run_spec(name="boolq:model=org_tuned", groups=(), names=("exact_match", "quasi_exact_match"), model="org/tuned"):
    return {
        "name": name,
        "scenario_spec": {"class_name": "Scenario", "args": {}},
        "adapter_spec": {"method": "generation", "model": model, "model_deployment": "here/tuned", "temperature": 0.0},
        "metric_specs": [
            {"class_name": "BasicGenerationMetric", "args": {"names": list(names)}},
            {"class_name": "BasicReferenceMetric", "args": {}},
        ],
        "groups": list(groups),
    }


def write(folder, spec, instances, stats=None):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run_spec.json").write_text(json.dumps(spec))
    (folder / "scenario_state.json").write_text("not read at all")
    if instances is not None:
        (folder / "per_instance_stats.json").write_text(json.dumps(instances))
    if stats is not None:
        (folder / "stats.json").write_text(json.dumps(stats))
    return folder


def scores(log):
    return {query.rpartition("/")[2]: score for query, score in zip(log.queries, log.score.tolist(), strict=True)}


def test_an_instance_is_one_query_though_each_metric_class_has_an_entry_of_it(tmp_path):
    instances = [
        *(instance(n, [stat("num_references", 2), stat("exact_match", n % 2)]) for n in range(4)),
        *(instance(n, [stat("inference_runtime", 0.25), stat("num_references", 2)]) for n in range(4)),
    ]
    (log,) = read_all(helm, write(tmp_path / "v1" / "run", run_spec(), instances))
    assert scores(log) == {"id0": 0.0, "id1": 1.0, "id2": 0.0, "id3": 1.0}
    assert log.identity == {"model": "org/tuned", "folder": "v1"}
    assert log.tasks == ["boolq/test"] * 4
    assert log.seconds.tolist() == [0.25] * 4
    assert log.num_rows == 4
    assert log.settings["metric"] == "exact_match"
    assert log.settings["model_deployment"] == "here/tuned"


def test_perturbed_instances_are_left_out_and_counted(tmp_path):
    instances = [
        instance(0, [stat("exact_match", 1)]),
        instance(0, [stat("exact_match", 0, perturbation=MISSPELLED)], perturbation=MISSPELLED),
        instance(0, [stat("num_bytes", 9, perturbation=MISSPELLED)], perturbation=MISSPELLED),
        instance(1, [stat("exact_match", 1, perturbation=MISSPELLED)], perturbation=MISSPELLED),
        instance(1, [stat("exact_match", 0)]),
    ]
    stats = [
        stat("exact_match", 0.9, perturbation=MISSPELLED),
        stat("exact_match", 0.5, perturbation=MISSPELLED | {"computed_on": "worst"}),
        stat("exact_match", 0.5),
    ]
    (log,) = read_all(helm, write(tmp_path, run_spec(), instances, stats))
    assert scores(log) == {"id0": 1.0, "id1": 0.0}
    assert log.reported == {"boolq/test": 0.5}
    assert [(remark.num_rows, "perturbed" in remark.message) for remark in log.remarks] == [(2, True)]
    assert log.num_rows == 4


def test_trials_are_repeated_answers_and_their_mean_is_what_helm_reports(tmp_path):
    # As HELM computes it: a mean a trial, then the mean of these.
    trials = [[1, 0, 1, 1], [1, 1, 0, 1], [0, 0, 0, 1]]
    reported = sum(sum(trial) / 4 for trial in trials) / 3
    instances = [
        instance(n, [stat("exact_match", value)], trial=t)
        for t, trial in enumerate(trials)
        for n, value in enumerate(trial)
    ]
    (log,) = read_all(helm, write(tmp_path, run_spec(), instances, [stat("exact_match", reported)]))
    assert log.score.tolist() == pytest.approx([2 / 3, 1 / 3, 1 / 3, 1.0], abs=1e-12)
    assert log.repeats.tolist() == [3, 3, 3, 3]
    assert log.num_rows == 12
    assert log.score.mean() == pytest.approx(log.reported["boolq/test"], abs=1e-9)


def test_splits_and_sub_splits_are_tasks_with_figures_of_their_own(tmp_path):
    instances = [
        instance(0, [stat("exact_match", 1, split="valid")]),
        instance(1, [stat("exact_match", 0, sub_split="toxic")]),
        instance(2, [stat("exact_match", 1, sub_split="non-toxic")]),
    ]
    stats = [
        stat("quasi_exact_match", 0.3, split="valid"),
        stat("exact_match", 0, sub_split="toxic"),
        stat("exact_match", 1, sub_split="non-toxic"),
        stat("exact_match", 1, split="valid"),
        stat("exact_match", 0.2, split="train"),
    ]
    (log,) = read_all(helm, write(tmp_path, run_spec(), instances, stats))
    assert log.tasks == ["boolq/valid", "boolq/test/toxic", "boolq/test/non-toxic"]
    assert log.reported == {"boolq/valid": 1.0, "boolq/test/toxic": 0.0, "boolq/test/non-toxic": 1.0}


def test_an_instance_without_the_metric_is_ungraded(tmp_path):
    instances = [
        instance(0, [stat("exact_match", 1)]),
        instance(1, [stat("num_bytes", 3)]),
        instance(2, [{"name": {"name": "exact_match", "split": "test"}, "count": 0, "sum": 0}]),
        instance(3, [stat("exact_match", float("nan"))]),
    ]
    (log,) = read_all(helm, write(tmp_path, run_spec(), instances))
    assert log.outcome.tolist() == [Outcome.ANSWERED, *[Outcome.UNGRADED] * 3]
    assert np.isnan(log.score[1:]).all()


@pytest.mark.parametrize(
    ("name", "task"),
    [
        ("mmlu:subject=anatomy,method=joint,model=org_tuned", "mmlu:subject=anatomy,method=joint"),
        ("mmlu:model=org_tuned,subject=anatomy,stop=hash,data_augmentation=canonical", "mmlu:subject=anatomy"),
        ("gsm:model=org_tuned,model_deployment=here_tuned,max_train_instances=5", "gsm:max_train_instances=5"),
        ("simple1", "simple1"),
        ("babi,task=1,model=org_tuned", "babi:task=1"),
    ],
)
def test_what_was_asked_does_not_depend_on_who_answered(tmp_path, name, task):
    (log,) = read_all(helm, write(tmp_path, run_spec(name), [instance(0, [stat("exact_match", 1)])]))
    assert log.tasks == [f"{task}/test"]


def test_old_runs_have_their_model_in_the_name_alone(tmp_path):
    spec = run_spec("gsm:model=org_tuned")
    del spec["adapter_spec"]["model"]
    (log,) = read_all(helm, write(tmp_path, spec, [instance(0, [stat("exact_match", 1)])]))
    assert log.identity["model"] == "org_tuned"


def test_the_score_is_the_metric_that_helm_shows_of_the_group_else_the_first_that_the_run_names(tmp_path):
    both = [stat("num_bytes", 5), stat("quasi_exact_match", 1), stat("f1_score", 0.25), stat("exact_match", 0)]
    for folder, groups, expected in (("a", ["quac"], 0.25), ("b", ["mmlu"], 0), ("c", ["other", "boolq"], 1)):
        (log,) = read_all(helm, write(tmp_path / folder, run_spec(groups=groups), [instance(0, both)]))
        assert log.score.tolist() == [expected], groups
    (log,) = read_all(helm, tmp_path / "a", choice=Choice(metric="quasi_exact_match"))
    assert log.score.tolist() == [1]


def test_a_metric_that_is_not_there_or_no_score_is_refused_with_those_that_can_be_chosen(tmp_path):
    instances = [instance(0, [stat("edit_distance", 7), stat("exactness", 0.5)])]
    write(tmp_path, run_spec(names=()), instances)
    with pytest.raises(SourceError, match=r"none of the metrics .*; choose one by --metric, such as exactness\.$"):
        read_all(helm, tmp_path)
    with pytest.raises(SourceError, match="no metric 'f1'"):
        read_all(helm, tmp_path, choice=Choice(metric="f1"))
    with pytest.raises(SourceError, match=r"edit_distance of 'id0' is '7.0', no score"):
        read_all(helm, tmp_path, choice=Choice(metric="edit_distance"))
    with pytest.raises(SourceError, match="no filters"):
        read_all(helm, tmp_path, choice=Choice(filter_name="strict"))


def test_caches_beside_are_no_runs_and_an_unfinished_run_is_named(tmp_path):
    runs = tmp_path / "benchmark_output" / "runs" / "v1"
    (runs / "eval_cache").mkdir(parents=True)
    write(runs / "gsm:model=org_tuned", run_spec("gsm:model=org_tuned"), [instance(0, [stat("exact_match", 1)])])
    write(runs / "gsm:model=org_other", run_spec("gsm:model=org_other", model="org/other"), None)
    unfinished, finished = read_all(helm, tmp_path)
    assert finished.score.tolist() == [1]
    assert unfinished.identity["model"] == "org/other"
    assert len(unfinished.queries) == 0
    assert "did not finish" in unfinished.remarks[0].message
    (tmp_path / "empty" / "eval_cache").mkdir(parents=True)
    with pytest.raises(SourceError, match=r"no run_spec.json lies there"):
        helm.find_logs([str(tmp_path / "empty")])


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("run_spec.json", "[]", "no object with an 'adapter_spec'"),
        ("run_spec.json", '{"adapter_spec": {}}', "has no 'name'"),
        ("run_spec.json", '{"adapter_spec": {}, "name": "gsm:a=b"}', "which model answered"),
        ("run_spec.json", '{\n"name": "g', "line 2"),
        ("per_instance_stats.json", "{}", "no list of instances"),
        ("per_instance_stats.json", '[{"instance_id": "id0"}]', "entry 1 is no instance with stats"),
        ("per_instance_stats.json", '[{"instance_id": 3, "stats": []}]', "entry 1 needs an 'instance_id'"),
        ("per_instance_stats.json", '[{"instance_id": "id0", "train_trial', "line 1"),
        ("stats.json", "[", "line 1"),
    ],
)
def test_a_file_that_is_none_is_refused_by_name_and_place(tmp_path, file, text, message):
    write(tmp_path, run_spec(), [instance(0, [stat("exact_match", 1)])], [])
    (tmp_path / file).write_text(text)
    with pytest.raises(SourceError, match=message) as caught:
        read_all(helm, tmp_path)
    assert file in str(caught.value)


SPEC = run_spec(groups=["boolq"])
ROWS = [
    instance(0, [stat("quasi_exact_match", 1), stat("inference_runtime", 2)]),
    instance(1, [stat("quasi_exact_match", 0, sub_split="a")], trial=1),
    instance(1, [stat("quasi_exact_match", 1, perturbation=MISSPELLED)], perturbation=MISSPELLED),
]
SPOILED = {
    "files": st.one_of(
        spoiled_json(SPEC).map(lambda data: {"run_spec.json": data}),
        spoiled_json(ROWS).map(lambda data: {"per_instance_stats.json": data}),
        spoiled_json([stat("quasi_exact_match", 0.5), SPEC]).map(lambda data: {"stats.json": data}),
    ),
    "metric": st.sampled_from((None, None, "exact_match", "inference_runtime")),
}


def read_spoiled(folder, files, metric):
    write(folder, SPEC, ROWS, [])
    for name, data in files.items():
        (folder / name).write_bytes(data)
    survives(helm, folder, Choice(metric=metric))


@with_some(**SPOILED)
def test_whatever_is_wrong_in_a_file_is_one_clear_line(tmp_path, files, metric):
    read_spoiled(tmp_path, files, metric)


@with_very_many(**SPOILED)
def test_whatever_is_wrong_in_a_file_is_one_clear_line_often(tmp_path, files, metric):
    read_spoiled(tmp_path, files, metric)
