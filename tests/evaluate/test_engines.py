import subprocess
import sys

import pytest

from gembench.errors import UsageError
from gembench.evaluate.engines import ENGINES, EngineOptionError, UnknownEngineError, find_engine, make_engine
from gembench.extras import MissingExtraError


def test_the_mapping_cannot_be_changed():
    with pytest.raises(TypeError):
        ENGINES["mine"] = ENGINES["hf"]


def test_an_unknown_engine_is_an_error_of_usage_that_names_the_nearest():
    with pytest.raises(UnknownEngineError, match=r"no engine is called 'vlm'; did you mean vllm\?") as error:
        find_engine("vlm")
    assert isinstance(error.value, UsageError)
    with pytest.raises(UnknownEngineError, match="known are hf, vllm, openai, scripted, and MODULE:CLASS"):
        make_engine("quantum", {})


def test_finding_an_engine_imports_none_of_what_it_needs():
    script = (
        "import sys\nfrom gembench.evaluate.engines import ENGINES, find_engine\n"
        "from gembench.extras import MissingExtraError\n"
        "for name in ENGINES:\n    try:\n        find_engine(name)\n    except MissingExtraError:\n        pass\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "vllm", "openai", "ray"} & set(loaded)


@pytest.mark.parametrize("name", sorted(ENGINES))
def test_an_engine_that_is_not_installed_names_the_extra_that_installs_it(monkeypatch, name):
    monkeypatch.setattr("gembench.extras.find_spec", lambda module: None)
    if ENGINES[name].packages:
        with pytest.raises(MissingExtraError, match=rf"pip install 'gembench\[{name}\]'"):
            find_engine(name)
    else:
        assert find_engine(name).extra == ""


def test_an_engine_of_the_users_own_is_given_as_module_and_class():
    engine = make_engine("wild_engine:Obedient", {"close_file": "x"})
    assert engine.settings["engine"] == "obedient"


@pytest.mark.parametrize("name", ["no_such_module:Engine", "wild_engine:NoSuchClass"])
def test_an_engine_of_the_users_own_that_is_not_there_is_an_error_of_usage(name):
    with pytest.raises(UnknownEngineError, match=f"engine '{name}' cannot be found"):
        make_engine(name, {})


def test_an_option_that_an_engine_does_not_have_is_named_with_those_it_has():
    with pytest.raises(EngineOptionError, match=r"'speed'; its options are at_start, close_file"):
        make_engine("wild_engine:Obedient", {"speed": 3})
