"""Random draws with the same bits on every platform and NumPy version.

Only PCG64's raw 64-bit stream is used, whose bits NumPy guarantees, and arithmetic that IEEE 754 fixes. Logarithms,
powers and NumPy's own normal draws differ in their last bits between platforms, and a last bit can turn an answer.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

_NORMAL_MEAN = 2 * 65535
_NORMAL_SD = float(np.sqrt(4 * (65536**2 - 1) / 12))


class ExactDraws:
    """A stream of draws named by a seed and a purpose, so that one purpose's draws never shift another's."""

    def __init__(self, seed: int, purpose: str) -> None:
        key = int.from_bytes(hashlib.sha256(purpose.encode()).digest()[:16], "little")
        self._bits = np.random.PCG64(np.random.SeedSequence([seed, key]))

    def uniform(self, *shape: int) -> NDArray[np.float64]:
        """Uniform on [0, 1), multiples of 2**-53, of the given shape."""
        raw = self._bits.random_raw(int(np.prod(shape, dtype=np.int64)))
        return ((raw >> np.uint64(11)).astype(np.float64) * 2.0**-53).reshape(shape)

    def normal(self, *shape: int) -> NDArray[np.float64]:
        """Nearly normal, mean 0 and variance 1: the standardized sum of four 16-bit uniforms, within 3.47 sd."""
        raw = self._bits.random_raw(int(np.prod(shape, dtype=np.int64)))
        low = np.uint64(0xFFFF)
        total = (raw & low) + (raw >> np.uint64(16) & low) + (raw >> np.uint64(32) & low) + (raw >> np.uint64(48))
        return np.asarray((total.astype(np.float64) - _NORMAL_MEAN) / _NORMAL_SD).reshape(shape)
