import os
from pathlib import Path

import pytest

from gembench.cli.outputs import OutputError, check_output, write_output
from gembench.errors import UsageError


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "out.json"
    write_output(path, "old")
    write_output(path, b"new")
    assert path.read_bytes() == b"new"
    assert names_in(tmp_path) == ["out.json"]


def test_a_check_leaves_no_trace(tmp_path):
    check_output(tmp_path / "out.json")
    assert names_in(tmp_path) == []


def test_a_link_stays_a_link(tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to(tmp_path / "real.json")
    write_output(link, "text")
    assert link.is_symlink()
    assert (tmp_path / "real.json").read_text() == "text"


def test_a_device_is_written_to_and_not_replaced():
    check_output(Path(os.devnull))
    write_output(Path(os.devnull), "text")
    assert Path(os.devnull).is_char_device()


def test_an_interrupt_while_writing_leaves_what_was_there(tmp_path, monkeypatch):
    path = tmp_path / "out.json"
    path.write_text("kept")

    def interrupt(self, data):
        with self.open("wb") as file:
            file.write(data[:1])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_output(path, "new")
    assert path.read_text() == "kept"
    assert names_in(tmp_path) == ["out.json"]


def test_a_folder_that_vanished_is_reported(tmp_path):
    with pytest.raises(OutputError, match=r"cannot write .*gone"):
        write_output(tmp_path / "gone" / "out.json", "text")
    with pytest.raises(UsageError, match="make it first"):
        check_output(tmp_path / "gone" / "out.json")
