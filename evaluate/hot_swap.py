"""Whether a checkpoint may take another's place within a live engine.

An engine that is handed new weights keeps all that it made of the old config, fills no gap and says no word: so config
and headers are compared before, and a doubt costs a fresh engine and no wrong answer.
"""

from gembench.evaluate.architecture import architecture_key
from gembench.evaluate.loadable import Loadable
from gembench.evaluate.weight_headers import TensorInfo


def why_no_swap(live: Loadable, new: Loadable) -> str:
    """Why the weights of `new` may not be read into an engine that holds `live`; "" if they may."""
    if architecture_key(live.config) != architecture_key(new.config):
        return "its config is another"
    held, given = live.weights.tensors, new.weights.tensors
    for name in sorted(held.keys() | given.keys()):
        if name not in given:
            return f"it lacks {name}"
        if name not in held:
            return f"it has {name} beside"
        if held[name] != given[name]:
            return f"{name} is {_described(given[name])} where the engine holds {_described(held[name])}"
    return ""


def _described(tensor: TensorInfo) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"
