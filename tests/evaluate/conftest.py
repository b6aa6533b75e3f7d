"""A fake Hub where a test asks for one, and waits that take no time."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_hub import FakeHub


class RecordedTime:
    """The module `time`, but its sleeps are written down instead of slept."""

    def __init__(self) -> None:
        self.sleeps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)

    def __getattr__(self, name: str) -> object:
        return getattr(time, name)


@pytest.fixture
def fake_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    """An empty Hub that `HF_ENDPOINT` names, with no token and an empty Hugging Face cache."""
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_HUB_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hf_cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with FakeHub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
        yield hub
        close_session()


@pytest.fixture
def hub_sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds that `huggingface_hub` would have slept between attempts."""
    recorded = RecordedTime()
    for module in ("huggingface_hub.utils._http", "huggingface_hub.file_download"):
        monkeypatch.setattr(f"{module}.time", recorded)
    return recorded.sleeps
