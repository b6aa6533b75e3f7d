"""What the Hub says about a model, as a real `huggingface_hub` hears it from a fake Hub."""

import hashlib
import socket
from pathlib import Path

import pytest
from fake_hub import TOKEN, FakeHub
from tiny_checkpoints import (
    adapter_files,
    llama_files,
    llama_shapes,
    safetensors,
    sharded_llama_files,
    write_checkpoint,
)

from gembench.data.status import ModelStatus
from gembench.evaluate import hub
from gembench.evaluate.evaluator import EvaluatorFailure
from gembench.evaluate.model_list import ModelSource
from gembench.evaluate.preflight import Preflight, preflight, preflight_all

NUM_PARAMETERS = 32 * 8 + 2 * 8 * 8 + 8


def check(repo_id: str, revision: str | None = None) -> Preflight:
    return preflight(ModelSource(repo_id, repo_id=repo_id, revision=revision))


def test_a_repository_is_pinned_to_its_commit_and_described(fake_hub: FakeHub):
    files = llama_files()
    sha = fake_hub.add(
        "org/tuned",
        {**files, "modeling.py": b"x", "pytorch_model.bin": b"x" * 999, "onnx/model.onnx": b"y"},
        tags=["base_model:org/base", "base_model:finetune:org/base", "license:mit"],
        downloads=12,
        likes=3,
        num_parameters=NUM_PARAMETERS,
    )
    found = check("org/tuned")
    assert found.can_run, found.message
    source = found.source
    assert (source.model, source.revision, source.parent) == ("org/tuned", sha, "org/base")
    assert (source.license, source.downloads, source.likes) == ("mit", 12, 3)
    assert source.created.startswith("2025-01-01T00:00:00")
    assert found.num_parameters == NUM_PARAMETERS
    assert found.files == {name: len(content) for name, content in files.items()}
    assert found.download_bytes == found.disk_bytes == sum(map(len, files.values()))
    assert found.sha256 == {"model.safetensors": hashlib.sha256(files["model.safetensors"]).hexdigest()}
    assert found.folder is None


def test_no_weights_are_fetched_before_the_engine_wants_them(fake_hub: FakeHub):
    # A stand-in for weights: a header of a few hundred bytes, then two megabytes.
    big = llama_files(vocab_size=100_000)
    big["model.safetensors"] = safetensors({**llama_shapes(), "model.embed_tokens.weight": (100_000, 8)})
    fake_hub.add("org/big", big)
    assert check("org/big").can_run
    ranges = [seen.range for seen in fake_hub.seen if "model.safetensors" in seen.path]
    assert set(ranges) == {"bytes=0-99999"}


def test_what_the_list_says_goes_before_what_the_hub_says(fake_hub: FakeHub):
    fake_hub.add("org/tuned", llama_files(), tags=["license:mit", "base_model:org/base"], downloads=12)
    found = preflight(ModelSource("mine", repo_id="org/tuned", license="other", parent="org/mother", downloads=0))
    assert (found.source.model, found.source.license) == ("mine", "other")
    assert (found.source.parent, found.source.downloads) == ("org/mother", 0)


def test_a_revision_is_a_branch_a_tag_or_a_commit(fake_hub: FakeHub):
    first = fake_hub.add("org/tuned", llama_files())
    second = fake_hub.commit("org/tuned", llama_files(eos_token_id=3))
    third = fake_hub.commit("org/tuned", llama_files(eos_token_id=4), revision="refs/pr/1")
    assert check("org/tuned").source.revision == second
    assert check("org/tuned", first).source.revision == first
    assert check("org/tuned", "refs/pr/1").source.revision == third


def test_the_shards_of_a_repository_are_checked_by_their_headers(fake_hub: FakeHub):
    fake_hub.add("org/sharded", sharded_llama_files())
    assert check("org/sharded").num_parameters == NUM_PARAMETERS


def test_a_missing_repository_a_private_one_and_a_missing_revision_are_not_found(fake_hub: FakeHub, monkeypatch):
    fake_hub.add("org/tuned", llama_files())
    fake_hub.add("org/private", llama_files(), private=True)
    for repo_id, revision, sentence in [
        ("org/nowhere", None, "org/nowhere is not on the Hub, or private: correct the id, or set HF_TOKEN"),
        ("org/private", None, "org/private is not on the Hub, or private"),
        ("org/tuned", "v9", "org/tuned has no revision 'v9'"),
    ]:
        found = check(repo_id, revision)
        assert found.status is ModelStatus.NOT_FOUND
        assert sentence in found.message
        assert "\n" not in found.message
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert check("org/private").can_run
    assert check("org/nowhere").status is ModelStatus.NOT_FOUND


def test_a_gated_repository_opens_to_those_who_have_access(fake_hub: FakeHub, monkeypatch):
    fake_hub.add("org/gated", llama_files(), gated=True)
    anonymous = check("org/gated")
    monkeypatch.setenv("HF_TOKEN", "hf_somebody_else")
    stranger = check("org/gated")
    for found in (anonymous, stranger):
        assert found.status is ModelStatus.GATED
        assert f"ask for access at {fake_hub.endpoint}/org/gated" in found.message
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert check("org/gated").can_run


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_without_a_reason_is_gated(fake_hub: FakeHub, status: int):
    fake_hub.add("org/tuned", llama_files())
    fake_hub.plant("/api/models/org/tuned", status=status)
    found = check("org/tuned")
    assert found.status is ModelStatus.GATED
    assert "set HF_TOKEN to a token that may read it" in found.message


def test_the_token_is_not_shown_to_the_host_of_the_large_files(fake_hub: FakeHub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    fake_hub.add("org/gated", llama_files(), gated=True)
    assert check("org/gated").can_run
    assert {seen.token for seen in fake_hub.seen if seen.host == "localhost"} == {""}
    assert {seen.token for seen in fake_hub.seen if seen.host == "127.0.0.1"} == {TOKEN}


def test_bad_repositories_end_as_their_status(fake_hub: FakeHub):
    whole = llama_files()
    without_tokenizer = {name: content for name, content in whole.items() if not name.startswith("tokenizer")}
    pickled = {name: content for name, content in whole.items() if name != "model.safetensors"}
    fake_hub.add("org/silent", without_tokenizer)
    fake_hub.add("org/pickled", {**pickled, "pytorch_model.bin": b"x"})
    fake_hub.add("org/coded", llama_files(auto_map={"AutoModel": "m.M"}))
    fake_hub.add("org/cut", {**whole, "model.safetensors": whole["model.safetensors"][:-9]})
    fake_hub.add("org/gguf", {"model.gguf": b"GGUF"})
    sources = [ModelSource(repo_id, repo_id=repo_id) for repo_id in fake_hub.repos]
    assert [found.status for found in preflight_all(sources)] == [
        ModelStatus.NO_TOKENIZER,
        ModelStatus.UNSAFE_FORMAT,
        ModelStatus.REMOTE_CODE,
        ModelStatus.WEIGHT_MISMATCH,
        ModelStatus.UNSUPPORTED,
    ]


def test_copies_on_the_hub_are_known_by_their_published_digests(fake_hub: FakeHub):
    fake_hub.add("org/first", llama_files(fill=1))
    fake_hub.add("org/other", llama_files(fill=2))
    fake_hub.add("org/copy", llama_files(fill=1, eos_token_id=7))
    found = list(preflight_all([ModelSource(repo_id, repo_id=repo_id) for repo_id in fake_hub.repos]))
    assert [one.duplicate_of for one in found] == ["", "", "org/first"]


def test_an_adapter_is_joined_to_its_base_and_the_base_is_looked_at_once(fake_hub: FakeHub):
    fake_hub.add("org/base", llama_files())
    for number in range(5):
        fake_hub.add(f"org/adapter{number}", adapter_files("org/base", fill=number))
    adapters = [ModelSource(repo_id, repo_id=repo_id) for repo_id in fake_hub.repos if "adapter" in repo_id]
    found = list(preflight_all(adapters))
    assert all(one.can_run for one in found)
    assert {one.base.source.repo_id for one in found if one.base} == {"org/base"}
    assert fake_hub.count("/api/models/org/base") == 1
    assert found[0].source.parent == "org/base"
    assert found[0].download_bytes == sum(map(len, llama_files().values())) + sum(
        map(len, adapter_files("org/base").values())
    )


def test_a_path_in_an_adapter_from_the_hub_is_not_looked_for_here(fake_hub: FakeHub, tmp_path: Path):
    write_checkpoint(tmp_path / "base", llama_files())
    fake_hub.add("org/adapter", adapter_files(str(tmp_path / "base")))
    assert check("org/adapter").status is ModelStatus.UNSUPPORTED


def test_rate_limits_and_outages_are_waited_out(fake_hub: FakeHub, hub_sleeps: list[float]):
    fake_hub.add("org/tuned", llama_files())
    fake_hub.plant("/api/models/org/tuned", times=2, status=503)
    fake_hub.plant("config.json", times=1, status=429, headers={"Retry-After": "7"})
    assert check("org/tuned").can_run
    # The library doubles its wait, and adds a second to what the Hub asks for.
    assert hub_sleeps == [1, 2, 8]


def test_an_outage_that_lasts_is_a_failed_download(fake_hub: FakeHub, hub_sleeps: list[float]):
    fake_hub.add("org/tuned", llama_files())
    fake_hub.plant("/api/models/org/tuned", times=99, status=503)
    found = check("org/tuned")
    assert found.status is ModelStatus.DOWNLOAD_FAILED
    assert "503" in found.message
    assert "try again later with --retry-failed" in found.message
    assert len(hub_sleeps) == 5


def test_no_hub_at_all_is_a_failed_download(fake_hub: FakeHub, hub_sleeps: list[float], monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        found = check("org/tuned")
    assert found.status is ModelStatus.DOWNLOAD_FAILED
    assert "cannot be reached" in found.message


def test_a_hub_that_answers_with_no_json_is_a_failed_download(fake_hub: FakeHub):
    fake_hub.add("org/tuned", llama_files())
    fake_hub.plant("/api/models/org/tuned", status=200)
    assert check("org/tuned").status is ModelStatus.DOWNLOAD_FAILED


def test_offline_takes_what_the_hugging_face_cache_holds_and_asks_nobody(fake_hub: FakeHub, monkeypatch):
    from huggingface_hub import snapshot_download

    sha = fake_hub.add("org/tuned", llama_files())
    snapshot_download("org/tuned", endpoint=fake_hub.endpoint)
    fake_hub.seen.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = check("org/tuned")
    assert found.can_run, found.message
    assert found.source.revision == sha
    assert found.folder is not None
    assert found.folder.name == sha
    assert found.download_bytes == 0
    gone = check("org/other")
    assert gone.status is ModelStatus.DOWNLOAD_FAILED
    assert "HF_HUB_OFFLINE is set, and main is not in the Hugging Face cache" in gone.message
    assert fake_hub.seen == []


def test_online_what_the_hugging_face_cache_holds_is_not_to_be_fetched_again(fake_hub: FakeHub):
    from huggingface_hub import snapshot_download

    fake_hub.add("org/tuned", llama_files())
    folder = Path(snapshot_download("org/tuned", endpoint=fake_hub.endpoint))
    found = check("org/tuned")
    assert (found.folder, found.download_bytes) == (folder, 0)
    weights = (folder / "model.safetensors").resolve()
    weights.write_bytes(weights.read_bytes()[:-1])
    assert check("org/tuned").folder is None


def test_a_part_of_a_file_is_read_even_if_the_server_ignores_ranges(fake_hub: FakeHub):
    fake_hub.add("org/tuned", {"notes.json": b"0123456789"})
    repo = hub.repo("org/tuned", None)
    assert repo.read("notes.json", 2, 5) == b"234"
    assert repo.read("notes.json") == b"0123456789"
    assert repo.read("notes.json", 8, 99) == b"89"
    assert repo.read("notes.json", 10) == b""
    fake_hub.ignores_ranges = True
    assert repo.read("notes.json", 2, 5) == b"234"


def test_an_id_that_cannot_be_is_not_found(fake_hub: FakeHub):
    with pytest.raises(EvaluatorFailure, match="not on the Hub") as raised:
        hub.repo("org/na--me", None)
    assert raised.value.status is ModelStatus.NOT_FOUND
