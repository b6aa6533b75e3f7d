"""What the Hub says of models, as a real `huggingface_hub` hears it from a fake Hub."""

import json

import pytest
from click.testing import CliRunner
from fake_hub import TOKEN, FakeHub

from gembench.cli.main import cli
from gembench.evaluate.hub_metadata import hub_metadata


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMBENCH_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def tree(fake_hub: FakeHub) -> FakeHub:
    """base <- tuned <- again."""
    fake_hub.add("org/base", downloads=1000, num_parameters=100, likes=9, tags=["license:mit"])
    fake_hub.add("org/tuned", downloads=50, tags=["base_model:org/base", "base_model:finetune:org/base"])
    fake_hub.add("org/again", tags=["base_model:org/tuned", "license:apache-2.0"], created="2025-02-01T00:00:00.000Z")
    return fake_hub


def asked(hub: FakeHub) -> list[str]:
    return sorted(seen.path.removeprefix("/api/models/") for seen in hub.seen)


def test_a_repository_is_described_with_its_parent_and_the_root_of_its_tree(tree: FakeHub):
    found = hub_metadata(["org/again", "org/base@v1", "org/tuned"])
    assert (found.problems, found.remark) == ({}, "")
    assert found.rows["org/again"] == {
        "parent": "org/tuned",
        "base": "org/base",
        "license": "apache-2.0",
        "downloads": 0,
        "likes": 0,
        "num_parameters": None,
        "created": "2025-02-01T00:00:00+00:00",
    }
    base = found.rows["org/base"]
    assert (base["parent"], base["base"], base["license"]) == ("", "org/base", "mit")
    assert (base["downloads"], base["likes"], base["num_parameters"]) == (1000, 9, 100)


def test_parents_that_are_not_among_the_models_are_asked_each_once(tree: FakeHub):
    found = hub_metadata(["org/again", "org/again@v2", "org/tuned"])
    assert set(found.rows) == {"org/again", "org/tuned"}
    assert {row["base"] for row in found.rows.values()} == {"org/base"}
    assert asked(tree) == ["org/again", "org/base", "org/tuned"]


def test_a_parent_that_the_hub_no_longer_has_is_the_base_all_the_same(fake_hub: FakeHub):
    fake_hub.add("org/tuned", tags=["base_model:org/gone"])
    found = hub_metadata(["org/tuned"])
    assert (found.rows["org/tuned"]["parent"], found.rows["org/tuned"]["base"]) == ("org/gone", "org/gone")
    assert (found.problems, found.remark) == ({}, "")


def test_a_model_of_which_nobody_says_where_it_comes_from_has_no_base(fake_hub: FakeHub):
    fake_hub.add("org/alone")
    assert hub_metadata(["org/alone"]).rows["org/alone"]["base"] == ""


def test_models_that_name_each_other_end_the_search(fake_hub: FakeHub):
    fake_hub.add("org/a", tags=["base_model:org/b"])
    fake_hub.add("org/b", tags=["base_model:org/a"])
    fake_hub.add("org/own", tags=["base_model:org/own"])
    found = hub_metadata(["org/a", "org/own"])
    assert (found.rows["org/a"]["base"], found.rows["org/own"]["parent"]) == ("org/b", "org/own")
    assert len(fake_hub.seen) == 3


def test_a_model_that_is_not_there_or_has_no_id_of_the_hub_is_a_problem_of_its_own(tree: FakeHub, monkeypatch):
    tree.add("org/private", private=True, downloads=3)
    found = hub_metadata(["org/nowhere", "gpt-x", "org/private@v1", "org/tuned"])
    assert set(found.rows) == {"org/tuned"}
    assert found.problems["org/nowhere"].startswith("org/nowhere is not on the Hub, or private")
    assert found.problems["org/private@v1"].startswith("org/private is not on the Hub, or private")
    assert found.problems["gpt-x"] == "its name is no id of the Hub, such as org/name"
    assert found.remark == ""
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert hub_metadata(["org/private@v1"]).rows["org/private"]["downloads"] == 3


def test_what_was_told_today_is_not_asked_again_and_what_was_told_before_is(tree: FakeHub, monkeypatch):
    first = hub_metadata(["org/again", "org/nowhere"])
    tree.seen.clear()
    assert hub_metadata(["org/again"]) == hub_metadata(["org/again"])
    assert hub_metadata(["org/again"]).rows == first.rows
    assert tree.seen == []
    tree.repos["org/again"].downloads = 77
    monkeypatch.setattr("gembench.evaluate.hub_metadata.MAX_AGE_SECONDS", -1)
    assert hub_metadata(["org/again"]).rows["org/again"]["downloads"] == 77


def test_what_one_hub_told_is_not_taken_for_another_s(tree: FakeHub, monkeypatch):
    hub_metadata(["org/tuned"])
    monkeypatch.setenv("HF_ENDPOINT", tree.endpoint.replace("127.0.0.1", "localhost"))
    tree.seen.clear()
    hub_metadata(["org/tuned"])
    assert len(tree.seen) == 2


def test_offline_nobody_is_asked_and_what_was_told_however_long_ago_is_taken(tree: FakeHub, monkeypatch):
    hub_metadata(["org/again"])
    tree.seen.clear()
    monkeypatch.setattr("gembench.evaluate.hub_metadata.MAX_AGE_SECONDS", -1)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = hub_metadata(["org/again", "org/other"])
    assert found.rows["org/again"]["base"] == "org/base"
    assert found.problems == {"org/other": "the Hub did not tell"}
    assert found.remark == (
        "HF_HUB_OFFLINE is set, so that the Hub was not asked about 4 models or parents of models; "
        "3 of these are as it said earlier."
    )
    assert tree.seen == []


def test_rate_limits_are_waited_out_as_long_as_the_hub_asks_and_nothing_is_said(
    tree: FakeHub, hub_sleeps: list[float], caplog
):
    tree.plant("/api/models/org/base", times=2, status=429, headers={"Retry-After": "7"})
    assert hub_metadata(["org/base"]).rows["org/base"]["downloads"] == 1000
    assert hub_sleeps == [8, 8]
    assert caplog.messages == []


def test_a_hub_that_is_down_is_given_up_after_some_models_and_said_in_one_sentence(
    fake_hub: FakeHub, hub_sleeps: list[float]
):
    fake_hub.plant("/api/models", times=10**6, status=503)
    found = hub_metadata([f"org/m{number}" for number in range(100)])
    assert found.rows == {}
    assert set(found.problems.values()) == {"the Hub did not tell"}
    assert found.remark.startswith("the Hub did not answer for 100 models or parents of models (")
    assert "503" in found.remark
    assert "\n" not in found.remark
    assert len(set(asked(fake_hub))) <= 16  # 8 in flight when the eighth failed, at most


def test_one_model_that_the_hub_cannot_tell_about_keeps_no_other_from_being_asked(
    tree: FakeHub, hub_sleeps: list[float]
):
    tree.plant("/api/models/org/tuned", times=10**6, status=500)
    found = hub_metadata(["org/tuned", "org/base"])
    assert set(found.rows) == {"org/base"}
    assert found.problems == {"org/tuned": "the Hub did not tell"}
    assert "did not answer for 1 models" in found.remark


def test_an_answer_that_is_no_model_s_is_no_answer(tree: FakeHub):
    tree.plant("/api/models/org/base", status=200)
    assert "did not answer for 1 models" in hub_metadata(["org/base"]).remark


def test_a_cache_that_cannot_be_used_costs_requests_and_nothing_else(tree: FakeHub, tmp_path, monkeypatch):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "hub_facts.sqlite").write_bytes(b"no database" * 100)
    assert hub_metadata(["org/base"]).rows["org/base"]["likes"] == 9
    (tmp_path / "file").touch()
    monkeypatch.setenv("GEMBENCH_CACHE_DIR", str(tmp_path / "file"))
    assert hub_metadata(["org/base"]).rows["org/base"]["likes"] == 9


def test_many_models_are_asked_at_once_and_all_are_kept(fake_hub: FakeHub, monkeypatch):
    models = [f"org/m{number}" for number in range(250)]
    for number, model in enumerate(models):
        fake_hub.add(model, downloads=number)
    heard = []
    found = hub_metadata(models, on_progress=lambda num_known, num_models: heard.append((num_known, num_models)))
    assert [found.rows[model]["downloads"] for model in models] == list(range(250))
    assert heard == [(number, 250) for number in range(1, 251)]
    fake_hub.seen.clear()
    assert hub_metadata(models).rows == found.rows
    assert fake_hub.seen == []


def test_what_the_hub_says_comes_into_an_imported_tensor_and_shows_its_gems(tree: FakeHub, tmp_path):
    models, num_right = ("org/base", "org/tuned@v1", "org/again"), (1, 2, 3)
    rows = [
        f"{model},q{query},{int(query < right)}"
        for model, right in zip(models, num_right, strict=True)
        for query in range(4)
    ]
    (tmp_path / "answers.csv").write_text("\n".join(["model,query,value", *rows]))
    store = str(tmp_path / "t.zarr")
    imported = CliRunner().invoke(
        cli, ["import", "table", str(tmp_path / "answers.csv"), "-o", store, "--hub-metadata"]
    )
    assert imported.exit_code == 0, imported.output
    assert "Hugging Face Hub: tells about 3 of 3 models" in imported.output
    found = CliRunner().invoke(cli, ["gems", store, "--resamples", "100", "--json", "-"])
    assert found.exit_code == 0, found.output
    report = json.loads(found.stdout)
    assert [one["model"] for one in report["gems"]] == ["org/again"]
    assert (report["popular"][0]["model"], report["popular"][0]["downloads"]) == ("org/base", 1000)
    described = CliRunner().invoke(cli, ["info", store, "--json", "-"])
    (base,) = json.loads(described.stdout)["race"]["bases"]
    assert base == {"base": "org/base", "num_descendants": 2, "accuracy": 0.25, "rank": 3}
