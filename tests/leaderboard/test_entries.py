"""Submissions on the disk: what is written is read back, and what is not one is refused by name."""

import pytest
from boards import CARD, make_benchmark, make_published

from gembench.errors import BenchmarkError, UsageError
from gembench.leaderboard.entries import make_card, policy_file_of, read_submissions, write_submission

BENCHMARK = make_benchmark(("oak", "ash"), (10, 50), runs=20)
CODE = "class InTurn:\r\n    '''ä'''\n"


@pytest.fixture
def published():
    return make_published(BENCHMARK, "in_turn", 3, is_submission=True, code=CODE)


@pytest.fixture
def entry(tmp_path, published):
    return write_submission(tmp_path, published.card, published.code, published.result)


def test_what_is_written_is_read_back(entry, published, tmp_path):
    (again,) = read_submissions(tmp_path)
    assert again.card == published.card
    assert again.code == CODE
    assert again.is_submission
    assert again.result.scores.name == "in_turn"
    assert [place.name for place in tmp_path.iterdir()] == ["in_turn"]


def test_no_folder_holds_no_submissions(tmp_path):
    assert read_submissions(tmp_path / "nothing") == ()


def test_a_submission_is_scored_with_its_hyper_parameters(entry, tmp_path):
    (again,) = read_submissions(tmp_path)
    file = policy_file_of(again, tmp_path)
    assert file.text == CODE
    assert file.policy_class == "InTurn"
    assert file.settings == "patience=2,warmth=0.5,kind=mild,is_greedy=True"
    assert file.sha256 == again.result.file_sha256


def test_an_entry_is_never_written_over(entry, published, tmp_path):
    before = {place: place.read_bytes() for place in entry.iterdir()}
    with pytest.raises(UsageError, match="is there already"):
        write_submission(tmp_path, published.card, "other", published.result)
    assert {place: place.read_bytes() for place in entry.iterdir()} == before


def test_an_entry_is_whole_or_not_there(published, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("gembench.leaderboard.entries.to_json", full)
    with pytest.raises(UsageError, match="No space left"):
        write_submission(tmp_path, published.card, published.code, published.result)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda entry: (entry / "data.pkl").write_bytes(b"\x80\x04."), "alone, but holds card.toml, data.pkl"),
        (lambda entry: (entry / "card.toml").unlink(), "should hold policy.py, card.toml, result.json alone"),
        (lambda entry: (entry / "policy.py").write_text("other"), "file_sha256 in result.json"),
        (lambda entry: (entry / "policy.py").write_bytes(b"\xff"), "is no text in UTF-8"),
        (lambda entry: (entry / "policy.py").write_text("x" * (2**16 + 1)), "is larger than 65,536 bytes"),
        (lambda entry: (entry / "card.toml").write_text("= 3"), "card.toml: is no TOML"),
        (lambda entry: (entry / "card.toml").write_text("name = 'in_turn'"), "card.toml: should have name, author"),
        (lambda entry: (entry / "result.json").write_text("{}"), "result.json: the file: format should be there"),
        (lambda entry: entry.rename(entry.with_name("other")), "name in card.toml is 'in_turn', but should be other"),
    ],
)  # fmt: skip
def test_what_is_no_submission_is_refused_by_name(entry, tmp_path, change, message):
    change(entry)
    with pytest.raises(BenchmarkError) as refused:
        read_submissions(tmp_path)
    assert message in str(refused.value)
    assert str(tmp_path) in str(refused.value)


def test_a_link_is_no_file_of_a_submission(entry, tmp_path):
    (tmp_path / "elsewhere.py").write_text(CODE)
    (entry / "policy.py").unlink()
    (entry / "policy.py").symlink_to(tmp_path / "elsewhere.py")
    with pytest.raises(BenchmarkError, match=r"policy\.py: should be a plain file"):
        read_submissions(tmp_path)


def card(**changes):
    fields = {
        "name": "in_turn",
        "author": CARD.author,
        "source": CARD.source,
        "license_expression": "MIT",
        "description": CARD.description,
        "policy_class": "InTurn",
        "hyper_parameters": {},
        **changes,
    }
    return make_card(**fields)


@pytest.mark.parametrize(
    ("stated", "license_name"), [("mit", "MIT"), ("apache-2.0", "Apache-2.0"), ("mit or 0bsd", "MIT OR 0BSD")]
)  # fmt: skip
def test_a_license_is_written_as_spdx_does(stated, license_name):
    assert card(license_expression=stated).license == license_name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"license_expression": "do what you like"}, "no SPDX license expression"),
        ({"author": " "}, "the author should be a line of text"),
        ({"source": "a\nb"}, "the source should be a line of text"),
        ({"description": "\x1b[31mred"}, "the description should be a line of text"),
        ({"hyper_parameters": {"kind": "a,b"}}, "kind is 'a,b'"),
    ],
)
def test_a_card_that_cannot_be_shown_is_refused(changes, message):
    with pytest.raises(UsageError, match=message):
        card(**changes)


@pytest.mark.parametrize("name", ["", "Upper", "../up", "a b", "1st", "a" * 65, "ä"])
def test_a_name_that_is_no_folder_is_refused(published, tmp_path, name):
    with pytest.raises(UsageError, match="is no name of a policy"):
        write_submission(tmp_path, card(name=name), CODE, published.result)
    assert list(tmp_path.iterdir()) == []
