import json
import math
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gembench.data.status import ModelStatus
from gembench.evaluate import wire
from gembench.evaluate.evaluator import Answer, Checkpoint, Generate, LogLikelihood

texts = st.text() | st.sampled_from(["\ud800", "\0", '"\\', "\u2028"])
counts = st.integers(0, 2**63)
floats = st.floats(allow_nan=False)
paths = texts.map(Path)
generations = st.builds(Generate, texts, st.lists(texts).map(tuple), counts, floats)
requests = generations | st.builds(LogLikelihood, texts, texts)
answers = st.builds(Answer, texts, st.none() | floats, st.booleans(), counts, counts, st.booleans())
checkpoints = st.builds(Checkpoint, texts, paths, st.none() | paths)
settings = st.dictionaries(texts, texts | st.integers() | floats | st.booleans() | st.none())
messages = st.one_of(
    st.builds(wire.Open, texts, settings),
    st.builds(wire.CanSwap, checkpoints),
    st.builds(wire.Load, checkpoints),
    st.builds(wire.Ask, st.lists(requests), st.booleans()),
    st.just(wire.Stop()),
    st.just(wire.Close()),
    st.builds(wire.Opened, settings),
    st.builds(wire.Swappable, st.booleans()),
    st.just(wire.Loaded()),
    st.builds(wire.Answered, st.lists(st.tuples(counts, answers))),
    st.just(wire.Done()),
    st.builds(wire.Failed, st.sampled_from(ModelStatus), texts),
    st.builds(wire.Refused, st.integers(0, 255), texts),
    st.builds(wire.Crashed, texts),
)


@given(messages)
def test_every_message_comes_back_as_it_was_sent(message):
    assert wire.decode(wire.encode(message)) == message


@given(messages)
def test_every_message_is_json_in_ascii(message):
    name, *_ = json.loads(wire.encode(message).decode("ascii"))
    assert name == type(message).__name__


def test_a_status_comes_back_as_a_status_and_not_as_its_text():
    failed = wire.decode(wire.encode(wire.Failed(ModelStatus.TIMEOUT, "slow")))
    assert isinstance(failed.status, ModelStatus)


def test_a_likelihood_of_nan_comes_back_as_nan():
    ((_, answer),) = wire.decode(wire.encode(wire.Answered([(0, Answer(log_likelihood=math.nan))]))).answers
    assert math.isnan(answer.log_likelihood)


def test_a_hosting_process_loads_nothing_heavy_before_it_knows_its_engine():
    script = "import sys, gembench.evaluate.engine_worker; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"jax", "numpy", "zarr", "xarray", "torch", "transformers", "vllm", "openai", "ray", "lm_eval"}
    assert not heavy & set(loaded)
