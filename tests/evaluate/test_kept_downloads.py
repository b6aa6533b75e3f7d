"""A cache that keeps: models that were used stay while there is room, and pass after pass shares them."""

import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_hub import FakeHub
from hub_models import (
    ADAPTER_BYTES,
    FILES,
    MODEL_BYTES,
    PLENTY,
    adapters_on_hub,
    failure_of,
    folder_of,
    look_at,
    models_in,
    names_in,
    no_download_runs,
    on_hub,
    wait_for,
)
from tiny_checkpoints import llama_files, llama_shapes, safetensors, write_checkpoint

from gembench.data.status import ModelStatus
from gembench.evaluate import download
from gembench.evaluate.download_cache import DownloadCache
from gembench.evaluate.downloads import fetch_ahead
from gembench.evaluate.hub_errors import DownloadStoppedError
from gembench.evaluate.preflight import Preflight


def use(cache: DownloadCache, *models: Preflight) -> None:
    for model in models:
        with cache.fetch(model) as fetched:
            folder_of(fetched)


def one_pass(cache: DownloadCache, models: list[Preflight], ahead: int = 1) -> None:
    for fetched in fetch_ahead(models, cache=cache, ahead=ahead):
        with fetched:
            assert (folder_of(fetched) / "config.json").exists() or fetched.preflight.base


def ends(what: Callable[..., None], *arguments: object) -> bool:
    """Whether it comes to its end within ten seconds."""
    thread = threading.Thread(target=what, args=arguments, daemon=True)
    thread.start()
    thread.join(timeout=10)
    return not thread.is_alive()


def test_a_kept_model_is_had_again_without_a_request(fake_hub: FakeHub, tmp_path: Path):
    found = on_hub(fake_hub, 3)
    with DownloadCache(tmp_path, PLENTY, keeps=True) as cache:
        one_pass(cache, found)
        fake_hub.seen.clear()
        one_pass(cache, found)
        assert fake_hub.seen == []
        with cache.fetch(found[2]) as fetched:
            weights = llama_files(fill=2)["model.safetensors"]
            assert (folder_of(fetched) / "model.safetensors").read_bytes() == weights


def test_the_one_released_longest_ago_goes_first_and_no_more_than_must(fake_hub: FakeHub, tmp_path: Path):
    found = on_hub(fake_hub, 5)
    with DownloadCache(tmp_path, 3 * MODEL_BYTES, keeps=True) as cache:
        held = [cache.fetch(model) for model in found[:3]]
        for number in (1, 0, 2):
            held[number].release()
        assert models_in(tmp_path) == {"org--m0", "org--m1", "org--m2"}
        with cache.fetch(found[3]):
            assert models_in(tmp_path) == {"org--m0", "org--m2", "org--m3"}
        use(cache, found[0])  # Now the youngest.
        with cache.fetch(found[4]):
            assert models_in(tmp_path) == {"org--m0", "org--m3", "org--m4"}


def test_what_is_in_use_stays_and_a_wait_ends_when_something_becomes_idle(fake_hub: FakeHub, tmp_path: Path):
    found = on_hub(fake_hub, 4)
    with DownloadCache(tmp_path, 2 * MODEL_BYTES, keeps=True) as cache:
        oldest = cache.fetch(found[0])
        use(cache, found[1])
        second = cache.fetch(found[2])
        assert models_in(tmp_path) == {"org--m0", "org--m2"}
        thread = threading.Thread(target=use, args=(cache, found[3]), daemon=True)
        thread.start()
        thread.join(timeout=0.2)
        assert thread.is_alive()
        assert models_in(tmp_path) == {"org--m0", "org--m2"}
        second.release()
        thread.join(timeout=10)
        assert not thread.is_alive()
        assert models_in(tmp_path) == {"org--m0", "org--m3"}
        assert names_in(folder_of(oldest)) == set(FILES)
        oldest.release()


def test_nothing_is_removed_for_a_model_that_must_wait_all_the_same(fake_hub: FakeHub, tmp_path: Path):
    in_use, idle = on_hub(fake_hub, 2)
    weights = safetensors({**llama_shapes(), "extra": (MODEL_BYTES // 3,)})
    fake_hub.add("org/large", {**FILES, "model.safetensors": weights})
    (large,) = look_at(["org/large"])
    assert MODEL_BYTES < large.disk_bytes < 2 * MODEL_BYTES
    with DownloadCache(tmp_path, 2 * MODEL_BYTES, keeps=True) as cache:
        held = cache.fetch(in_use)
        use(cache, idle)
        thread = threading.Thread(target=use, args=(cache, large), daemon=True)
        thread.start()
        thread.join(timeout=0.2)
        assert models_in(tmp_path) == {"org--m0", "org--m1"}
        assert ends(use, cache, idle)  # It is no download, and waits for none.
        held.release()
        thread.join(timeout=10)
        assert models_in(tmp_path) == {"org--large"}


def test_closing_removes_what_is_idle_and_what_is_in_use_goes_with_its_release(fake_hub: FakeHub, tmp_path: Path):
    found = on_hub(fake_hub, 3)
    with DownloadCache(tmp_path, PLENTY, keeps=True) as cache:
        use(cache, *found[:2])
        held = cache.fetch(found[2])
    assert models_in(tmp_path) == {"org--m2"}
    assert names_in(folder_of(held)) == set(FILES)
    held.release()
    assert list(tmp_path.glob("org*")) == []


def test_another_process_does_not_remove_what_is_idle(fake_hub: FakeHub, tmp_path: Path):
    (found,) = on_hub(fake_hub)
    with DownloadCache(tmp_path, PLENTY, keeps=True) as cache:
        use(cache, found)
        # flock treats two opened files as two processes.
        DownloadCache(tmp_path, PLENTY).remove_leftovers([])
        assert models_in(tmp_path) == {"org--m0"}


@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("num_rooms", [1, 2, 4])
def test_a_pass_that_is_closed_early_leaves_the_cache_to_the_next(
    fake_hub: FakeHub, tmp_path: Path, keeps: bool, num_rooms: int
):
    found = on_hub(fake_hub, 4)
    with DownloadCache(tmp_path, num_rooms * MODEL_BYTES, keeps=keeps) as cache:
        for num_drawn in (1, 2, 3):
            models = fetch_ahead(found, cache=cache, ahead=2)
            for _ in range(num_drawn):
                next(models).release()
            models.close()
        one_pass(cache, found, ahead=2)
    wait_for(no_download_runs)
    assert models_in(tmp_path) == set()


def test_a_model_that_arrives_after_its_pass_was_closed_takes_no_room_from_the_next(
    fake_hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first, late = on_hub(fake_hub, 2)
    fetch, begun, may_end = download.hub.download, threading.Event(), threading.Event()

    def deaf_download(repo_id, *what, is_stopping) -> None:
        if repo_id == "org/m1":
            begun.set()
            assert may_end.wait(10)
        fetch(repo_id, *what)

    monkeypatch.setattr(download.hub, "download", deaf_download)
    with DownloadCache(tmp_path, MODEL_BYTES, keeps=True) as cache:
        models = fetch_ahead([first, late], cache=cache)
        next(models).release()
        assert begun.wait(10)
        models.close()
        may_end.set()
        wait_for(no_download_runs)
        assert ends(one_pass, cache, [first])
        assert models_in(tmp_path) == {"org--m0"}


def test_a_model_that_had_arrived_when_its_pass_was_closed_takes_no_room_from_the_next(
    fake_hub: FakeHub, tmp_path: Path
):
    found = on_hub(fake_hub, 3)
    with DownloadCache(tmp_path, 2 * MODEL_BYTES, keeps=True) as cache:
        models = fetch_ahead(found, cache=cache)
        first = next(models)
        wait_for(lambda: len(list(tmp_path.glob("org--m1*/model.safetensors"))) == 1)
        threading.Event().wait(0.2)  # It is handed over as well.
        first.release()
        models.close()
        wait_for(no_download_runs)
        with cache.fetch(found[0]):
            assert ends(use, cache, found[2])


@pytest.fixture(autouse=True)
def _no_waits_between_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SECONDS_BETWEEN_ATTEMPTS", (0.0, 0.0))


class StoppedDownload:
    """The first download fetches the small files, and then is stopped."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Event()
        self._fetch = download.hub.download
        monkeypatch.setattr(download.hub, "download", self)

    def __call__(self, repo_id, sha, names, folder, *, is_stopping) -> None:
        if self.begun.is_set():
            return self._fetch(repo_id, sha, names, folder, is_stopping=is_stopping)
        self._fetch(repo_id, sha, [name for name in names if name.endswith(".json")], folder)
        self.begun.set()
        wait_for(is_stopping)
        raise DownloadStoppedError("stopped")


def stop_a_download(cache: DownloadCache, model: Preflight, monkeypatch: pytest.MonkeyPatch) -> None:
    stopping, stopped = threading.Event(), StoppedDownload(monkeypatch)

    def fetch() -> None:
        with pytest.raises(DownloadStoppedError):
            cache.fetch(model, stopping)

    thread = threading.Thread(target=fetch)
    thread.start()
    assert stopped.begun.wait(10)
    cache.stop(stopping)
    thread.join()


@pytest.mark.parametrize("keeps", [False, True])
def test_a_download_that_was_stopped_is_gone_on_with(
    fake_hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeps: bool
):
    (found,) = on_hub(fake_hub)
    with DownloadCache(tmp_path, MODEL_BYTES, keeps=keeps) as cache:
        stop_a_download(cache, found, monkeypatch)
        fake_hub.seen.clear()
        with cache.fetch(found) as fetched:
            assert names_in(folder_of(fetched)) == set(FILES)
        assert fake_hub.count("/cdn/org/m0", "GET") == 1
        assert fake_hub.count("org/m0/resolve", "GET") == 0


@pytest.mark.parametrize("keeps", [False, True])
def test_a_download_that_was_stopped_goes_where_another_needs_the_room(
    fake_hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keeps: bool
):
    first, second = on_hub(fake_hub, 2)
    with DownloadCache(tmp_path, int(1.5 * MODEL_BYTES), keeps=keeps) as cache:
        stop_a_download(cache, first, monkeypatch)
        with cache.fetch(second):
            assert models_in(tmp_path) == {"org--m1"}


def test_a_download_that_was_stopped_outlives_the_cache_for_a_later_process(
    fake_hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    first, second = on_hub(fake_hub, 2)
    with DownloadCache(tmp_path, PLENTY, keeps=True) as cache:
        use(cache, second)
        stop_a_download(cache, first, monkeypatch)
    assert models_in(tmp_path) == {"org--m0"}
    fake_hub.seen.clear()
    with DownloadCache(tmp_path, PLENTY) as cache:
        one_pass(cache, [second, first])
    assert fake_hub.count("org/m0/resolve", "GET") == 0
    assert models_in(tmp_path) == set()


def test_leftovers_are_removed_once_a_cache_not_once_a_pass(fake_hub: FakeHub, tmp_path: Path):
    found = on_hub(fake_hub, 2)
    write_checkpoint(tmp_path / "org--old@abc", FILES)
    with DownloadCache(tmp_path, PLENTY, keeps=True) as cache:
        one_pass(cache, found)
        assert models_in(tmp_path) == {"org--m0", "org--m1"}
        write_checkpoint(tmp_path / "org--later@abc", FILES)
        one_pass(cache, found[:1])
        assert models_in(tmp_path) == {"org--m0", "org--m1", "org--later"}


def leave_behind(folder: Path, models: list[Preflight]) -> None:
    """What a killed process leaves: folders, and no locks."""
    cache = DownloadCache(folder, PLENTY)
    for model in models:
        cache.fetch(model)
    for stored in cache._in_use.values():
        stored.hold.keep()


def test_leftovers_serve_the_last_model_of_a_pass_as_the_first(fake_hub: FakeHub, tmp_path: Path):
    found = on_hub(fake_hub, 4)
    leave_behind(tmp_path, [found[3]])
    fake_hub.seen.clear()
    with DownloadCache(tmp_path, PLENTY, keeps=True) as cache:
        one_pass(cache, found)
    assert fake_hub.count("/cdn/org/m3", "GET") == 0
    assert fake_hub.count("/cdn/", "GET") == 3


def test_of_leftovers_that_take_too_much_those_wanted_last_go(fake_hub: FakeHub, tmp_path: Path):
    found = on_hub(fake_hub, 3)
    leave_behind(tmp_path, found)
    DownloadCache(tmp_path, 2 * MODEL_BYTES, keeps=True).remove_leftovers(found)
    assert models_in(tmp_path) == {"org--m0", "org--m1"}


def test_a_base_serves_all_its_adapters_pass_after_pass(fake_hub: FakeHub, tmp_path: Path):
    found = adapters_on_hub(fake_hub, 4)
    with DownloadCache(tmp_path, MODEL_BYTES + 2 * ADAPTER_BYTES, keeps=True) as cache:
        fake_hub.seen.clear()
        one_pass(cache, found)
        assert models_in(tmp_path) == {"org--base", "org--a2", "org--a3"}
        one_pass(cache, found)
        assert fake_hub.count("/cdn/org/base", "GET") == 1
        fake_hub.seen.clear()
        one_pass(cache, found[2:])
        assert fake_hub.seen == []
    assert models_in(tmp_path) == set()


def test_an_adapter_goes_before_its_base(fake_hub: FakeHub, tmp_path: Path):
    (adapter,), (other,) = adapters_on_hub(fake_hub, 1), on_hub(fake_hub)
    with DownloadCache(tmp_path, 2 * MODEL_BYTES + ADAPTER_BYTES - 1, keeps=True) as cache:
        use(cache, adapter, other)
        assert models_in(tmp_path) == {"org--base", "org--m0"}


def test_an_adapter_that_does_not_arrive_holds_no_base(fake_hub: FakeHub, tmp_path: Path, hub_sleeps: object):
    (adapter,), (other,) = adapters_on_hub(fake_hub, 1), on_hub(fake_hub)
    del fake_hub.repos["org/a0"].commits[adapter.source.revision]["adapter_model.safetensors"]
    with DownloadCache(tmp_path, MODEL_BYTES + ADAPTER_BYTES, keeps=True) as cache:
        assert failure_of(cache.fetch(adapter)).status is ModelStatus.DOWNLOAD_FAILED
        assert models_in(tmp_path) == {"org--base"}
        assert ends(use, cache, other)
        assert models_in(tmp_path) == {"org--m0"}


def test_many_threads_share_little_room(fake_hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    found = [*on_hub(fake_hub, 4), *adapters_on_hub(fake_hub, 3)]
    fetch, most = download.hub.download, []
    wrong: list[str] = []

    def watched_download(*what, **how) -> None:
        fetch(*what, **how)
        most.append(sum(path.stat().st_size for path in tmp_path.glob("org*/*") if path.is_file()))

    def use_many(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(12):
            model = rng.choice(found)
            with cache.fetch(model) as fetched:
                if not set(model.files) <= names_in(folder_of(fetched)):
                    wrong.append(model.source.model)

    monkeypatch.setattr(download.hub, "download", watched_download)
    room = 2 * MODEL_BYTES + ADAPTER_BYTES
    with DownloadCache(tmp_path, room, keeps=True) as cache:
        threads = [threading.Thread(target=use_many, args=(seed,), daemon=True) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert not any(thread.is_alive() for thread in threads)
    assert wrong == []
    assert max(most) <= room
    assert list(tmp_path.glob("org*")) == []
