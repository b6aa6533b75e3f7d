"""The tensors that come with gembench, each known by its content digest: four generated model trees, and recorded ones.

Trees are generated whenever they are asked for, not kept on disk: that takes 0.03 to 0.1 s each, and reading the
same tensor back from a store and verifying it took 0.1 to 0.3. So there is no cache to go stale or to be corrupted.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from gembench.data.tree_figures import PUBLISHED_FIGURES
from gembench.errors import CorruptTensorError, TensorNotFoundError

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class EmbeddedTensor:
    """What is known of an embedded tensor without generating it.

    Attributes:
        name: by which commands know it.
        num_models: M.
        num_queries: Q.
        digest: its content digest, `sha256:` and 64 hex digits.
        source: where it comes from, one line.
    """

    name: str
    num_models: int
    num_queries: int
    digest: str
    source: str


_SOURCE = "generated (seed 0); accuracies calibrated to the model tree of the same name in arXiv 2601.22157"

_DIGESTS = {
    "qwen2.5-3b": "sha256:537cad479321d47abaccbc1e017237bcd3ffed245db8da0635854bcfa1d343b8",
    "qwen2.5-7b": "sha256:951fc10ad6338c27bc5ecd1363622d1304392def2a5f1dfcaa1baefe5387a5d1",
    "mistral-7b": "sha256:b158a668ca0a807d4de44bd7982ac9ddaf07eb1ec157364b828803b9636acbf4",
    "llama-3.1-8b": "sha256:4ce1784eef47b807c8f0170e2cb8fb7e8437df56a3c3be535c2967ec826261a8",
}

TREES: Mapping[str, EmbeddedTensor] = MappingProxyType(
    {
        name: EmbeddedTensor(name, figures.num_models, figures.num_queries, _DIGESTS[name], _SOURCE)
        for name, figures in PUBLISHED_FIGURES.items()
    }
)
"""The generated ones, by name."""

RECORDED: Mapping[str, EmbeddedTensor] = MappingProxyType(
    {
        "smollm2-135m": EmbeddedTensor(
            "smollm2-135m",
            51,
            400,
            "sha256:71dd1979a5de814375d98f7265f6545bc7618d23caa3666556d0d9c141b47275",
            "recorded with gembench record: SmolLM2-135M-Instruct and 50 checkpoints made from it",
        )
    }
)
"""Those that an engine answered, by name; each lies in `recorded/`."""

EMBEDDED: Mapping[str, EmbeddedTensor] = MappingProxyType({**TREES, **RECORDED})
"""Name -> what is known of the tensor; `load_embedded(name)` makes or opens it."""

_RECORDED_FOLDER = Path(__file__).with_name("recorded")


def describe_embedded() -> tuple[EmbeddedTensor, ...]:
    """Every embedded tensor, in the order in which commands list and race them. Generates nothing."""
    return tuple(EMBEDDED.values())


def load_embedded(name: str) -> "xr.Dataset":
    """The embedded tensor of that name, complete, and verified against its digest.

    Raises:
        TensorNotFoundError: no embedded tensor has that name.
        CorruptTensorError: what is here is not the content that was released.
    """
    if name not in EMBEDDED:
        raise TensorNotFoundError(f"no embedded tensor is called {name!r}; there are {', '.join(EMBEDDED)}.")
    # Imported here, so that describing the tensors needs neither zarr nor the generator.
    from gembench.data.digest import ATTRIBUTE, content_digest
    from gembench.data.tensor import open_tensor
    from gembench.data.trees import generate_tree

    if name in TREES:
        dataset = generate_tree(PUBLISHED_FIGURES[name])
    else:
        dataset = open_tensor(_RECORDED_FOLDER / f"{name}.zarr.zip")
    digest = content_digest(dataset)
    if digest != EMBEDDED[name].digest:
        raise CorruptTensorError(
            f"embedded tensor {name!r}: its content hashes to {digest} here, but to {EMBEDDED[name].digest} where it "
            f"was released; results would not compare. Reinstall gembench and numpy, or report this platform."
        )
    dataset.encoding["source"] = name
    return dataset.assign_attrs({ATTRIBUTE: digest})
