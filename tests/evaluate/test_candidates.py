"""Candidates, pass after pass: what is read of their files, and how a pass ends."""

import hashlib
from pathlib import Path

import pytest
from fake_hub import FakeHub
from hub_models import MODEL_BYTES, PLENTY, models_in, no_download_runs, on_hub, wait_for
from tiny_checkpoints import llama_files, write_checkpoint

from gembench.data.journal import ModelRow
from gembench.data.status import ModelStatus
from gembench.evaluate import file_digest
from gembench.evaluate.download_cache import DownloadCache
from gembench.evaluate.model_list import ModelSource
from gembench.evaluate.preflight import Preflight, preflight
from gembench.live.candidates import fetched_candidates


def rows_of(models: list[Preflight]) -> list[ModelRow]:
    return [
        ModelRow(position, model.source.model, {}, None, ModelStatus.PENDING, "", None)
        for position, model in enumerate(models)
    ]


def fingerprints(models: list[Preflight], cache: DownloadCache) -> dict[str, dict[str, str]]:
    by_id = {model.source.model: model for model in models}
    found = {}
    for candidate in fetched_candidates(rows_of(models), by_id, cache=cache, make_template=None):
        found[candidate.model] = dict(candidate.fingerprint)
        candidate.release()
    return found


def test_no_file_is_read_again_for_a_fingerprint_while_it_lies_there(
    fake_hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    folder = write_checkpoint(tmp_path / "mine", llama_files(fill=7))
    models = [*on_hub(fake_hub, 2), preflight(ModelSource("mine", folder=folder))]
    read = []
    digest = hashlib.file_digest

    def watched_digest(file, name):
        read.append(file.name)
        return digest(file, name)

    monkeypatch.setattr(file_digest.hashlib, "file_digest", watched_digest)
    with DownloadCache(tmp_path / "cache", PLENTY, keeps=True) as cache:
        first = fingerprints(models, cache)
        assert len(first) == 3
        assert str(folder / "model.safetensors") in map(str, read)
        read.clear()
        assert fingerprints(models, cache) == first
        assert read == []


def test_a_model_that_was_fetched_again_has_the_fingerprint_that_it_had(fake_hub: FakeHub, tmp_path: Path):
    models = on_hub(fake_hub, 3)
    with DownloadCache(tmp_path, MODEL_BYTES, keeps=True) as cache:
        first = fingerprints(models, cache)
        fake_hub.seen.clear()
        assert fingerprints(models, cache) == first
    assert fake_hub.count("/cdn/", "GET") == 2  # the last of the first pass is still here, and comes first


def test_closing_the_candidates_ends_their_downloads(fake_hub: FakeHub, tmp_path: Path):
    models = on_hub(fake_hub, 5)
    by_id = {model.source.model: model for model in models}
    with DownloadCache(tmp_path, PLENTY) as cache:
        candidates = fetched_candidates(rows_of(models), by_id, cache=cache, make_template=None)
        next(candidates).release()
        candidates.close()
        wait_for(no_download_runs)
    assert not models_in(tmp_path) & {"org--m3", "org--m4"}


def test_what_was_kept_comes_first_so_that_room_for_two_of_three_saves_a_download(fake_hub: FakeHub, tmp_path: Path):
    models = on_hub(fake_hub, 3)
    with DownloadCache(tmp_path, 2 * MODEL_BYTES, keeps=True) as cache:
        first = list(fingerprints(models, cache))
        assert [cache.has(model) for model in models] == [model.source.model in first[1:] for model in models]
        again = list(fingerprints(models, cache))
    assert set(again[:2]) == set(first[1:])
