from pathlib import Path

import pytest
from tiny_checkpoints import llama_files, write_checkpoint

from gembench.errors import UsageError
from gembench.evaluate.model_list import ModelListError, ModelSource, parse_hub_id, read_models


@pytest.fixture
def checkpoints(tmp_path: Path) -> Path:
    """A folder of two checkpoints, and of a third folder that is none."""
    for name in ("second", "first"):
        write_checkpoint(tmp_path / "tree" / name, llama_files())
    (tmp_path / "tree" / "logs").mkdir()
    return tmp_path / "tree"


def test_ids_and_folders_are_separated_by_commas(checkpoints: Path):
    sources = read_models(f"org/name, org/other@v1.0 ,{checkpoints / 'first'}")
    assert sources == (
        ModelSource("org/name", repo_id="org/name"),
        ModelSource("org/other@v1.0", repo_id="org/other", revision="v1.0"),
        ModelSource("first", folder=checkpoints / "first"),
    )


def test_a_folder_of_checkpoints_is_each_of_them_by_name_and_nothing_else(checkpoints: Path):
    assert [source.model for source in read_models(str(checkpoints))] == ["first", "second"]


def test_what_exists_here_is_a_folder_even_if_it_looks_like_an_id(checkpoints: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(checkpoints.parent)
    (source,) = read_models("tree/first")
    assert source.folder == checkpoints / "first"
    assert source.repo_id is None


def test_a_text_file_has_one_a_line_with_comments_and_folders_relative_to_itself(
    checkpoints: Path, monkeypatch: pytest.MonkeyPatch
):
    listed = checkpoints.parent / "models.txt"
    listed.write_text("# the base\norg/base  # as of today\n\ntree/second\n")
    monkeypatch.chdir("/")
    assert read_models(str(listed)) == (
        ModelSource("org/base", repo_id="org/base"),
        ModelSource("second", folder=checkpoints / "second"),
    )


def test_a_csv_file_says_what_else_is_known(checkpoints: Path):
    listed = checkpoints.parent / "models.csv"
    listed.write_text(
        "model,folder,parent,base,license,downloads,likes,num_parameters,created\n"
        "org/name@abc,,org/base,org/base,apache-2.0,12,3,135000000,2025-01-31\n"
        '"mine, the best",tree/first,org/name,,,,,,\n'
    )
    assert read_models(str(listed)) == (
        ModelSource(
            "org/name@abc",
            repo_id="org/name",
            revision="abc",
            parent="org/base",
            base="org/base",
            license="apache-2.0",
            downloads=12,
            likes=3,
            num_parameters=135_000_000,
            created="2025-01-31",
        ),
        ModelSource("mine, the best", folder=checkpoints / "first", parent="org/name"),
    )


@pytest.mark.parametrize(
    ("content", "line", "reason"),
    [
        ("model,size\n", 1, "unknown column 'size'"),
        ("folder\n", 1, "no column 'model'"),
        ("model,model\n", 1, "twice"),
        ("model\norg/a\norg/a\n", 3, "'org/a' was named before, by"),
        ("model\nnot-an-id\n", 2, "'not-an-id' is no id"),
        ("model,folder\nx,missing\n", 2, "no folder"),
        ("model,likes\norg/a,many\n", 2, "likes is 'many'"),
        ("model,likes\norg/a,-1\n", 2, "likes is '-1'"),
        ("model,created\norg/a,yesterday\n", 2, "created is 'yesterday'"),
        ("model,license\norg/a,mit,extra\n", 2, "as many values"),
        ("model,license\norg/a\n", 2, "as many values"),
        ("model,license\n,mit\n", 2, "no name"),
    ],
)
def test_a_csv_file_that_is_wrong_is_refused_with_file_and_line(tmp_path: Path, content: str, line: int, reason: str):
    listed = tmp_path / "models.csv"
    listed.write_text(content)
    with pytest.raises(ModelListError, match=rf"models.csv, line {line}: .*{reason}") as raised:
        read_models(str(listed))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("models", "reason"),
    [
        ("", "names no model"),
        (" , ", "names no model"),
        ("./nowhere", "neither a folder here nor an id"),
        ("gpt2", "neither a folder here nor an id"),
        ("org/a,org/a", "named before"),
        ("org/name@", "neither a folder"),
        ("../etc/passwd", "neither a folder"),
    ],
)
def test_models_that_are_wrong_are_refused_in_one_line(models: str, reason: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=reason) as raised:
        read_models(models)
    assert "\n" not in str(raised.value)


def test_a_csv_file_whose_quotes_do_not_end_is_refused(tmp_path: Path):
    (tmp_path / "models.csv").write_text('model\n"org/a\n')
    with pytest.raises(ModelListError, match=r"models\.csv, after line 1: unexpected end"):
        read_models(str(tmp_path / "models.csv"))


def test_a_folder_without_checkpoints_is_refused(tmp_path: Path):
    with pytest.raises(ModelListError, match=r"no config\.json or adapter_config\.json"):
        read_models(str(tmp_path))


def test_two_folders_of_one_name_are_refused(checkpoints: Path):
    write_checkpoint(checkpoints.parent / "other" / "first", llama_files())
    with pytest.raises(ModelListError, match="'first' was named before"):
        read_models(f"{checkpoints},{checkpoints.parent / 'other'}")


def test_a_list_that_is_no_text_is_refused(tmp_path: Path):
    (tmp_path / "models.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ModelListError, match="cannot be read as text"):
        read_models(str(tmp_path / "models.txt"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("org/name", ("org/name", None)),
        ("org/na.me-1_x@refs/pr/1", ("org/na.me-1_x", "refs/pr/1")),
        ("name", None),
        ("a/b/c", None),
        ("-org/name", None),
        ("org/name@v 1", None),
    ],
)
def test_an_id_has_two_parts_and_maybe_a_revision(text: str, expected: tuple[str, str | None] | None):
    assert parse_hub_id(text) == expected
