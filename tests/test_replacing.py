from pathlib import Path

import pytest

from gembench.replacing import folder_beside, put_in_place


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_takes_the_place_of_another_whatever_it_is_called(tmp_path):
    for number, path in enumerate((tmp_path / "replaced", tmp_path / "replaced")):
        with folder_beside(path) as workplace:
            written = workplace / path.name
            written.mkdir()
            (written / f"file-{number}").touch()
            put_in_place(written, path)
    assert names_in(tmp_path) == ["replaced"]
    assert names_in(tmp_path / "replaced") == ["file-1"]


def test_a_folder_comes_back_if_the_new_one_cannot_move_in(tmp_path, monkeypatch):
    path = tmp_path / "old"
    path.mkdir()
    (path / "kept").touch()
    rename = Path.rename

    def refuse(self, target):
        if self.name == "new":
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with folder_beside(path) as workplace:
        (workplace / "new").mkdir()
        with pytest.raises(KeyboardInterrupt):
            put_in_place(workplace / "new", path)
    assert names_in(tmp_path) == ["old"]
    assert names_in(path) == ["kept"]


def test_a_file_takes_the_place_of_another(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")
    with folder_beside(path) as workplace:
        (workplace / "file").write_text("new")
        put_in_place(workplace / "file", path)
    assert path.read_text() == "new"
    assert names_in(tmp_path) == ["file"]


def test_the_longest_name_that_a_file_can_have_is_not_too_long(tmp_path):
    path = tmp_path / ("x" * 255)
    with folder_beside(path) as workplace:
        (workplace / path.name).write_text("new")
        put_in_place(workplace / path.name, path)
    assert path.read_text() == "new"
