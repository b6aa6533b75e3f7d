"""Every format of the catalog is written about, tested, and kept to the contract."""

import ast
import inspect
import re
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from gembench.data.sources import catalog
from gembench.errors import UsageError
from gembench.extras import MissingExtraError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "import.md").read_text(encoding="utf-8")

formats = pytest.mark.parametrize("name", catalog.FORMATS)


@formats
def test_a_format_has_a_row_in_the_docs(name):
    assert re.search(rf"^\| `{re.escape(name)}` \|", PAGE, re.MULTILINE)


@formats
def test_a_format_s_module_names_the_tool_s_version_and_the_traps(name):
    """Read as text, so that no extra is needed."""
    location = find_spec(catalog.FORMATS[name].module).origin
    docstring = ast.get_docstring(ast.parse(Path(location).read_text(encoding="utf-8")))
    assert re.search(r"\bTraps\b", docstring)
    assert re.search(r"\d+\.\d+|[Vv]ersion", docstring)


@formats
def test_a_format_is_compared_with_the_tool_s_own_figures_or_read_back_exactly(name):
    module = catalog.FORMATS[name].module.rpartition(".")[2]
    files = (ROOT / "tests" / "data" / "sources").glob(f"test_{module}*.py")
    tests = "\n".join(file.read_text(encoding="utf-8") for file in files)
    assert re.search(r"\breported\b|^def test_\w+_exactly", tests, re.MULTILINE)


@formats
def test_a_format_reads_logs_as_the_contract_says(name):
    module = catalog.load_format(name)
    assert list(inspect.signature(module.find_logs).parameters) == ["places"]
    assert list(inspect.signature(module.read_log).parameters) == ["log", "choice"]


def test_a_name_that_is_no_format_is_answered_with_those_that_are():
    with pytest.raises(UsageError, match=r"'lm-evil'.*lm-eval, lighteval"):
        catalog.load_format("lm-evil")


def test_a_missing_extra_is_named_with_its_remedy(monkeypatch, tmp_path):
    (tmp_path / "needs_more.py").write_text("import no_such_package_at_all\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(catalog, "FORMATS", {"more": catalog.Format("needs_more", "")})
    with pytest.raises(MissingExtraError, match=r"no_such_package_at_all: run pip install 'gembench\[import\]'"):
        catalog.load_format("more")
    assert "needs_more" not in sys.modules


def test_a_mistake_in_gembench_is_no_missing_extra(monkeypatch, tmp_path):
    (tmp_path / "mistaken.py").write_text("import gembench.no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(catalog, "FORMATS", {"mistaken": catalog.Format("mistaken", "")})
    with pytest.raises(ModuleNotFoundError):
        catalog.load_format("mistaken")
