"""What docs/policies.md says of the policies is so, and its example works."""

import dataclasses
import importlib.util
import re
from pathlib import Path

import numpy as np

from gembench.policies.catalog import CATALOG
from gembench.race import Race
from gembench.simulate import simulate

PAGE = (Path(__file__).parent.parent / "docs" / "policies.md").read_text(encoding="utf-8")


def test_the_table_of_the_catalog_gives_every_policy_with_its_defaults_and_sampling():
    written = {}
    for name, settings, sampling in re.findall(r"^\| `(\w+)` \| .*? \|(.*)\| (shared|independent) \|$", PAGE, re.M):
        written[name] = (dict(re.findall(r"`(\w+)=([^`]+)`", settings)), sampling)
    assert written == {
        name: ({field.name: str(field.default) for field in dataclasses.fields(policy)}, policy.sampling)
        for name, policy in CATALOG.items()
    }


def test_the_example_is_a_policy_that_finds_the_one_model_that_is_ever_right(tmp_path):
    """One answer tells it from the others for certain."""
    path = tmp_path / "screening.py"
    path.write_text(re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1], encoding="utf-8")
    specification = importlib.util.spec_from_file_location("screening", path)
    example = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(example)
    correct = np.zeros((200, 50), np.uint8)
    correct[137] = 1
    race = Race(correct, np.zeros(200), np.zeros(200))
    runs = simulate(example.Screening(num_finalists=10), race, budget=1000, num_runs=20)
    assert runs.recommended[:, 0].tolist() == [137] * 20
    assert runs.pulls.tolist() == [200 * 2 + 10 * (50 - 2)] * 20  # 2 each, then all that is left to the finalists
