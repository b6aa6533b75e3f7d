import json

import numpy as np
import pytest
from click.testing import CliRunner
from needs import needs_harness

from gembench.cli.rescore import rescore
from gembench.data.schema import make_tensor
from gembench.data.tensor import open_tensor, write_tensor
from gembench.errors import UsageError

pytestmark = needs_harness


@pytest.fixture
def tensor(tmp_path):
    """Two models' answers to `smoke`, all graded wrong: the first knows every sum, the second the first one only."""
    from gembench.evaluate.harness import load_suite

    suite = load_suite("smoke")
    sums = [suite.requests(number)[0].prompt.split()[3:6] for number in range(200)]
    known = [str(eval("".join(one).rstrip("?"))) for one in sums]
    responses = np.asarray([known, [known[0], *["no"] * 199]], object)
    path = tmp_path / "old.zarr"
    write_tensor(
        make_tensor(
            np.zeros((2, 200), np.int8),
            ["a", "b"],
            [query.id for query in suite.queries],
            variables={"response": responses},
            attributes={"grader": "a broken one"},
        ),
        path,
    )
    return path


def run(*arguments):
    return CliRunner().invoke(rescore, [str(one) for one in arguments], catch_exceptions=True)


def test_rescore_writes_the_tensor_anew_and_says_what_changed(tensor, tmp_path):
    done = run(tensor, "--suite", "smoke", "-o", tmp_path / "new.zarr", "--json", tmp_path / "out.json")
    assert done.exit_code == 0, done.output
    assert "400 responses graded, 201 now right that were not, 0 no longer right, 0 without a grade" in done.output
    report = json.loads((tmp_path / "out.json").read_text())
    new = open_tensor(tmp_path / "new.zarr")
    assert report["to_right"] == 201
    assert report["content_digest"] == new.attrs["content_digest"]
    assert new.attrs["grader"].startswith("lm-eval ")
    assert new["correct"].values.sum(axis=1).tolist() == [200, 1]


def test_json_to_stdout_is_json_alone(tensor, tmp_path):
    done = run(tensor, "--suite", "smoke", "-o", tmp_path / "new.zarr", "--json", "-")
    assert json.loads(done.stdout)["graded"] == 400


def test_a_tensor_is_not_written_over_itself(tensor):
    done = run(tensor, "--suite", "smoke", "-o", tensor, "--overwrite")
    assert isinstance(done.exception, UsageError)
    assert "write to another place" in str(done.exception)
