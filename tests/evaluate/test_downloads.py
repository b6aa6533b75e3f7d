import errno
import fcntl
import shutil
import threading
from collections.abc import Sequence
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
    models_in,
    names_in,
    no_download_runs,
    on_hub,
    wait_for,
)
from tiny_checkpoints import adapter_files, llama_files, llama_shapes, safetensors, write_checkpoint

from gembench.data.status import ModelStatus
from gembench.evaluate import download
from gembench.evaluate.download_cache import DownloadCache, Fetched
from gembench.evaluate.downloads import fetch_ahead
from gembench.evaluate.evaluator import Checkpoint, EvaluatorFailure
from gembench.evaluate.folder_lock import SharedFolder
from gembench.evaluate.hub_errors import DownloadStoppedError
from gembench.evaluate.model_list import ModelSource
from gembench.evaluate.preflight import Preflight, preflight


@pytest.fixture(autouse=True)
def _no_waits_between_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "SECONDS_BETWEEN_ATTEMPTS", (0.0, 0.0))


def fetch_one(preflight: Preflight, folder: Path, disk_bytes: int = PLENTY) -> Fetched:
    return DownloadCache(folder, disk_bytes).fetch(preflight)


def test_what_the_engine_needs_is_fetched_and_no_pickle_and_no_code(fake_hub: FakeHub, tmp_path: Path):
    (found,) = on_hub(fake_hub)
    with fetch_one(found, tmp_path / "cache") as fetched:
        folder = folder_of(fetched)
        assert names_in(folder) == set(FILES)
        assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]
        assert fetched.checkpoint == Checkpoint("org/m0", folder)
    assert not folder.exists()
    assert list((tmp_path / "cache").iterdir()) == []
    assert fake_hub.count("pytorch_model.bin") == fake_hub.count(".py") == fake_hub.count("notes.pt") == 0


def test_it_is_the_commit_of_the_pre_flight_that_is_fetched(fake_hub: FakeHub, tmp_path: Path):
    (found,) = on_hub(fake_hub)
    fake_hub.commit("org/m0", llama_files(fill=9))
    with fetch_one(found, tmp_path) as fetched:
        assert (folder_of(fetched) / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_a_folder_of_the_users_is_used_where_it_is_and_left_alone(tmp_path: Path):
    folder = write_checkpoint(tmp_path / "mine", FILES)
    with fetch_one(preflight(ModelSource("mine", folder=folder)), tmp_path / "cache") as fetched:
        assert folder_of(fetched) == folder
    assert names_in(folder) == set(FILES)
    assert not (tmp_path / "cache").exists()


def test_the_hugging_face_cache_is_used_where_it_is_and_left_alone(fake_hub: FakeHub, tmp_path: Path):
    from huggingface_hub import snapshot_download

    on_hub(fake_hub)
    snapshot = Path(snapshot_download("org/m0", endpoint=fake_hub.endpoint))
    found = preflight(ModelSource("org/m0", repo_id="org/m0"))
    with fetch_one(found, tmp_path / "cache") as fetched:
        assert folder_of(fetched) == snapshot
    assert (snapshot / "model.safetensors").exists()


def test_a_model_that_cannot_run_comes_out_as_its_failure_and_is_not_fetched(fake_hub: FakeHub, tmp_path: Path):
    good, bad = [*on_hub(fake_hub), preflight(ModelSource("org/gone", repo_id="org/gone"))]
    first, second = fetch_ahead([bad, good], cache=DownloadCache(tmp_path, PLENTY))
    assert failure_of(first).status is ModelStatus.NOT_FOUND
    assert str(failure_of(first)) == bad.message
    assert folder_of(second).is_dir()
    first.release()


def test_models_come_in_order_and_the_next_is_fetched_while_one_is_in_use(fake_hub: FakeHub, tmp_path: Path):
    found = on_hub(fake_hub, 4)
    in_use = []
    for fetched in fetch_ahead(found, cache=DownloadCache(tmp_path, PLENTY), ahead=1):
        number = len(in_use)
        in_use.append(fetched.preflight.source.model)
        if number < 3:
            wait_for(lambda number=number: f"org--m{number + 1}" in models_in(tmp_path))
            assert models_in(tmp_path) <= {f"org--m{number}", f"org--m{number + 1}"}
        fetched.release()
    assert in_use == ["org/m0", "org/m1", "org/m2", "org/m3"]
    assert list(tmp_path.glob("org*")) == []


@pytest.mark.parametrize("room", [1.0, 1.9, 2.0, 3.5])
def test_downloads_never_take_more_disk_than_they_may(
    fake_hub: FakeHub, tmp_path: Path, room: float, monkeypatch: pytest.MonkeyPatch
):
    found = on_hub(fake_hub, 5)
    most = []
    fetch = download.hub.download

    def watched_download(*what, **how) -> None:
        fetch(*what, **how)
        most.append(len(models_in(tmp_path)))

    monkeypatch.setattr(download.hub, "download", watched_download)
    for fetched in fetch_ahead(found, cache=DownloadCache(tmp_path, int(room * MODEL_BYTES)), ahead=4):
        assert names_in(folder_of(fetched)) == set(FILES)
        threading.Event().wait(0.1)  # In use, so that downloads would pile up if they could.
        fetched.release()
    assert max(most) <= int(room)


def test_a_model_larger_than_the_allowed_disk_fails_and_the_others_go_on(fake_hub: FakeHub, tmp_path: Path):
    found = on_hub(fake_hub, 2)
    large = {**FILES, "model.safetensors": safetensors({**llama_shapes(), "extra": (4000,)})}
    fake_hub.add("org/large", large)
    found.insert(1, preflight(ModelSource("org/large", repo_id="org/large")))
    statuses = []
    for fetched in fetch_ahead(found, cache=DownloadCache(tmp_path, MODEL_BYTES + 1000)):
        with fetched:
            is_failure = isinstance(fetched.checkpoint, EvaluatorFailure)
            statuses.append(failure_of(fetched).status if is_failure else "here")
            if is_failure:
                assert "more than the" in str(fetched.checkpoint)
    assert statuses == ["here", ModelStatus.DOWNLOAD_FAILED, "here"]


def test_a_base_stays_while_any_of_its_adapters_does(fake_hub: FakeHub, tmp_path: Path):
    found = adapters_on_hub(fake_hub, 3)
    for fetched in fetch_ahead(found, cache=DownloadCache(tmp_path, PLENTY)):
        checkpoint = fetched.checkpoint
        assert isinstance(checkpoint, Checkpoint)
        assert checkpoint.base_folder is not None
        assert (checkpoint.base_folder / "model.safetensors").is_file()
        assert (checkpoint.folder / "adapter_model.safetensors").is_file()
        if fetched.preflight is not found[-1]:
            next_adapter = f"org--a{found.index(fetched.preflight) + 1}"
            wait_for(lambda name=next_adapter: name in models_in(tmp_path))
            ticks = threading.Event()
            ticks.wait(0.2)  # The next one is held as well before this one goes.
        fetched.release()
    assert models_in(tmp_path) == set()
    weights = [seen for seen in fake_hub.seen if "/cdn/org/base" in seen.path and not seen.range]
    assert len(weights) == 1


def test_a_base_takes_its_room_once(fake_hub: FakeHub, tmp_path: Path):
    (found,) = adapters_on_hub(fake_hub, 1)
    with fetch_one(found, tmp_path, MODEL_BYTES + ADAPTER_BYTES) as fetched:
        assert names_in(folder_of(fetched)) == set(adapter_files("org/base"))


def test_a_release_happens_once(fake_hub: FakeHub, tmp_path: Path):
    (found,) = on_hub(fake_hub)
    cache = DownloadCache(tmp_path, PLENTY)
    first, second = cache.fetch(found), cache.fetch(found)
    first.release()
    first.release()
    assert names_in(folder_of(second)) == set(FILES)
    second.release()
    assert not folder_of(second).exists()


def test_what_another_process_uses_is_not_removed(fake_hub: FakeHub, tmp_path: Path):
    (found,) = on_hub(fake_hub)
    fetched = fetch_one(found, tmp_path)
    folder = folder_of(fetched)
    # flock treats two opened files as two processes.
    elsewhere = SharedFolder(folder)
    fetched.release()
    assert names_in(folder) == set(FILES)
    elsewhere.release()
    assert not folder.exists()


def test_what_a_killed_process_left_is_gone_on_with_or_removed(fake_hub: FakeHub, tmp_path: Path):
    first, second = on_hub(fake_hub, 2)
    left = fetch_one(first, tmp_path)
    folder = folder_of(left)
    (folder / "model.safetensors").unlink()
    write_checkpoint(tmp_path / "org--old@abc", FILES)
    _forget_locks(left)
    fake_hub.seen.clear()
    for fetched in fetch_ahead([first, second], cache=DownloadCache(tmp_path, PLENTY)):
        assert names_in(folder_of(fetched)) == set(FILES)
        if fetched.preflight is first:
            assert fake_hub.count("/cdn/org/m0", "GET") == 1  # The weights alone; the rest was there.
            assert fake_hub.count("org/m0/resolve", "GET") == 0
        fetched.release()
    assert models_in(tmp_path) == set()


def _forget_locks(fetched: Fetched) -> None:
    """What the system does when a process dies."""
    assert fetched._cache is not None
    for stored in fetched._cache._in_use.values():
        stored.hold.keep()


def test_outages_and_rate_limits_are_waited_out(fake_hub: FakeHub, tmp_path: Path, hub_sleeps: Sequence[float]):
    (found,) = on_hub(fake_hub)
    fake_hub.plant("/tree/", times=3, status=503)
    fake_hub.plant("tokenizer.json", times=2, status=503, method="HEAD")
    fake_hub.plant("/cdn/", times=2, status=429, headers={"Retry-After": "30"})
    with fetch_one(found, tmp_path) as fetched:
        assert names_in(folder_of(fetched)) == set(FILES)
    assert list(hub_sleeps).count(31) == 2


def test_a_server_error_in_the_midst_of_a_file_is_tried_again(fake_hub: FakeHub, tmp_path: Path, hub_sleeps: object):
    (found,) = on_hub(fake_hub)
    fake_hub.plant("/cdn/", times=2, status=500)  # Which huggingface_hub does not repeat.
    with fetch_one(found, tmp_path) as fetched:
        assert names_in(folder_of(fetched)) == set(FILES)


def test_an_outage_that_lasts_fails_the_model_and_leaves_no_files(
    fake_hub: FakeHub, tmp_path: Path, hub_sleeps: object
):
    found = on_hub(fake_hub, 2)
    fake_hub.plant("/cdn/org/m0", times=999, status=503)
    first, second = fetch_ahead(found, cache=DownloadCache(tmp_path, PLENTY))
    assert failure_of(first).status is ModelStatus.DOWNLOAD_FAILED
    assert "503" in str(failure_of(first))
    assert names_in(folder_of(second)) == set(FILES)
    assert models_in(tmp_path) == {"org--m1"}
    second.release()


def test_a_body_that_breaks_off_is_gone_on_with_where_it_ended(
    fake_hub: FakeHub, tmp_path: Path, hub_sleeps: object, monkeypatch: pytest.MonkeyPatch
):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 50)
    (found,) = on_hub(fake_hub)
    fake_hub.plant("/cdn/", times=1, body_bytes=100)
    with fetch_one(found, tmp_path) as fetched:
        assert (folder_of(fetched) / "model.safetensors").read_bytes() == FILES["model.safetensors"]
    assert "bytes=100-" in [seen.range for seen in fake_hub.seen]


def test_a_silent_body_is_gone_on_with(
    fake_hub: FakeHub, tmp_path: Path, hub_sleeps: object, monkeypatch: pytest.MonkeyPatch
):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    (found,) = on_hub(fake_hub)
    fake_hub.plant("/cdn/", times=1, body_bytes=100, silence_seconds=30)
    with fetch_one(found, tmp_path) as fetched:
        assert (folder_of(fetched) / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_a_file_that_arrives_short_is_noticed_by_its_size(
    fake_hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (found,) = on_hub(fake_hub)
    fetch = download.hub.download

    def short_download(repo_id, sha, names, folder, **how) -> None:
        fetch(repo_id, sha, names, folder, **how)
        (folder / "tokenizer.json").write_bytes(b"{")

    monkeypatch.setattr(download.hub, "download", short_download)
    failure = failure_of(fetch_one(found, tmp_path))
    assert failure.status is ModelStatus.DOWNLOAD_FAILED
    assert f"tokenizer.json arrived with 1 of {len(FILES['tokenizer.json'])} bytes" in str(failure)


def test_a_full_disk_is_said_to_be_full_before_and_during_the_download(
    fake_hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (found,) = on_hub(fake_hub)
    usage = shutil.disk_usage(tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(download.shutil, "disk_usage", lambda path: usage._replace(free=MODEL_BYTES - 1))
        before = failure_of(fetch_one(found, tmp_path))

    def write(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("huggingface_hub.file_download.http_get", write)
        during = failure_of(fetch_one(found, tmp_path))
    for failure in (before, during):
        assert failure.status is ModelStatus.DOWNLOAD_FAILED
        assert "the disk is full" in str(failure)
    assert fake_hub.count("/tree/") == 1  # Once: a full disk is not tried again.
    assert models_in(tmp_path) == set()


def test_a_repository_that_closed_since_the_pre_flight_fails_as_gated(fake_hub: FakeHub, tmp_path: Path):
    (found,) = on_hub(fake_hub)
    fake_hub.repos["org/m0"].gated = True
    assert failure_of(fetch_one(found, tmp_path)).status is ModelStatus.GATED


def test_a_consumer_that_ends_early_ends_the_downloads(fake_hub: FakeHub, tmp_path: Path):
    found = on_hub(fake_hub, 6)
    models = fetch_ahead(found, cache=DownloadCache(tmp_path, PLENTY), ahead=1)
    next(models).release()
    models.close()
    wait_for(no_download_runs)
    assert fake_hub.count("/api/models/org/m5/tree") == 0


def test_a_stop_ends_a_wait_for_room_and_a_download(fake_hub: FakeHub, tmp_path: Path):
    first, second = on_hub(fake_hub, 2)
    cache = DownloadCache(tmp_path, int(1.5 * MODEL_BYTES))
    cache.fetch(first)
    stopped = []
    stopping = threading.Event()

    def wait_for_room() -> None:
        with pytest.raises(DownloadStoppedError):
            cache.fetch(second, stopping)
        stopped.append(True)

    thread = threading.Thread(target=wait_for_room)
    thread.start()
    cache.stop(stopping)
    thread.join(timeout=10)
    assert stopped


def test_a_lock_taken_while_the_folder_is_removed_is_taken_anew(tmp_path: Path):
    folder = tmp_path / "model"
    folder.mkdir()
    first = SharedFolder(folder)
    removed = (tmp_path / "model.lock").open("rb")
    first.release()
    assert not folder.exists()
    # Whoever waits on the removed file's lock must not believe to hold the new folder.
    second = SharedFolder(folder)
    fcntl.flock(removed, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert (tmp_path / "model.lock").exists()
    second.release()
    removed.close()
