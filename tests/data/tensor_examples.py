"""Tensors for the tests of the tensor: small, with everything in them."""

import numpy as np
import xarray as xr
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from gembench.data.schema import make_tensor

NUM_MODELS, NUM_QUERIES = 6, 5


def full_tensor(num_models: int = NUM_MODELS, num_queries: int = NUM_QUERIES, seed: int = 0) -> xr.Dataset:
    """A tensor with missing cells, scores, responses, costs, cards and dates."""
    rng = np.random.default_rng(seed)
    correct = rng.integers(-1, 2, (num_models, num_queries)).astype(np.int8)
    correct[0] = 1
    return make_tensor(
        correct,
        [f"org/model-{number}@main" for number in range(num_models)],
        [f"arc/{number}" for number in range(num_queries)],
        tasks=["arc"] * num_queries,
        model_coordinates={
            "parent": ["", *["org/model-0@main"] * (num_models - 1)],
            "downloads": list(range(num_models)),
            "created": np.array(["2025-01-01"] * num_models, dtype="datetime64[ns]"),
        },
        query_coordinates={"subject": [f"sübject {number}" for number in range(num_queries)]},
        variables={
            "score": np.where(correct >= 0, rng.random(correct.shape), np.nan).astype(np.float32),
            "seconds": np.where(correct >= 0, rng.random(correct.shape), np.nan).astype(np.float32),
            "response": np.where(correct >= 0, "the answer is 4 ✓", "").astype(object),
            "load_seconds": rng.random(num_models),
        },
        attributes={"suite": "tests", "sampling": {"temperature": 0}},
    )


ids = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8)


@st.composite
def tensors(draw: st.DrawFn) -> xr.Dataset:
    """Any small tensor: any ids, missing cells anywhere, with and without tasks and scores."""
    models = draw(st.lists(ids, min_size=1, max_size=5, unique=True))
    queries = draw(st.lists(ids, min_size=1, max_size=5, unique=True))
    shape = (len(models), len(queries))
    correct = draw(hnp.arrays(np.int8, shape, elements=st.integers(-1, 1)))
    tasks = draw(st.none() | st.lists(ids, min_size=shape[1], max_size=shape[1]))
    variables = {}
    if draw(st.booleans()):
        score = draw(hnp.arrays(np.float32, shape, elements=st.floats(0, 1, width=32)))
        variables["score"] = np.where(correct >= 0, score, np.float32(np.nan))
    return make_tensor(correct, models, queries, tasks=tasks, variables=variables)
