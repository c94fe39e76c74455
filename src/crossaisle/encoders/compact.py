"""`CompactVectors`: vectors with 8 bits or 1 bit per component, searched with exact rescoring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows
from crossaisle.errors import ConfigError

Kind = Literal["float32", "int8", "binary"]
KINDS: tuple[Kind, ...] = ("float32", "int8", "binary")
BLOCK = 8192
"""Vectors unpacked at a time."""


@dataclass(frozen=True)
class CompactVectors:
    """Codes of `n` vectors, small enough to be kept in memory.

    "int8": each component as an integer from -127 to 127, with one scale per vector. "binary": the
    component's sign; vectors should be centred or whitened, or else all signs agree. The codes select
    candidates, which are rescored with the exact vectors; these may stay on disk (`np.load(mmap_mode="r")`).
    """

    kind: Kind
    codes: npt.NDArray[np.generic]
    """float32 or int8 (n, d), or uint8 (n, ceil(d / 8))."""
    scale: Floats
    """float32 (n,) for int8, else empty."""
    dimension: int

    @classmethod
    def of(cls, vectors: Floats, kind: Kind = "int8") -> CompactVectors:
        """From float32 (n, d)."""
        if kind == "float32":
            return cls(kind, vectors, np.empty(0, np.float32), vectors.shape[1])
        if kind == "int8":
            scale = (np.abs(vectors).max(axis=1, initial=0.0) / 127).astype(np.float32)
            codes = np.rint(vectors / np.maximum(scale, 1e-12)[:, None]).astype(np.int8)
            return cls(kind, codes, scale, vectors.shape[1])
        if kind == "binary":
            return cls(kind, np.packbits(vectors > 0, axis=1), np.empty(0, np.float32), vectors.shape[1])
        raise ConfigError(f"vectors are kept as {', '.join(KINDS)} (found {kind!r})")

    @property
    def nbytes(self) -> int:
        """Total size of the codes in bytes."""
        return self.codes.nbytes + self.scale.nbytes

    def scores(self, queries: Floats) -> Floats:
        """float32 (q, n): approximate inner products with `queries` float32 (q, d); for "binary" up to a
        factor."""
        out: Floats = np.empty((len(queries), len(self.codes)), np.float32)
        for start in range(0, len(self.codes), BLOCK):
            block = self.codes[start : start + BLOCK]
            if self.kind == "binary":
                # Signs against the unquantized query: more precise than Hamming distance.
                bits = np.unpackbits(block.astype(np.uint8), axis=1, count=self.dimension)
                part = queries @ (bits.astype(np.float32) * 2 - 1).T
            else:
                part = queries @ block.astype(np.float32).T
                if self.kind == "int8":
                    part = part * self.scale[start : start + BLOCK]
            out[:, start : start + BLOCK] = part
        return out

    def search(
        self, queries: Floats, k: int, *, vectors: Floats | None = None, rescore: int = 4
    ) -> tuple[Rows, Floats]:
        """Rows and scores of the best `k`, int32 and float32 (q, k), best first.

        With `vectors` (n, d), the best `rescore * k` by code are reordered by their exact scores.
        """
        n = len(self.codes)
        k = min(k, n)
        rough = self.scores(queries)
        wide = min(n, k * rescore) if vectors is not None else k
        rows = (
            np.argpartition(-rough, wide - 1, axis=1)[:, :wide]
            if wide < n
            else np.tile(np.arange(n), (len(queries), 1))
        )
        if vectors is not None:
            exact = (
                np.stack([vectors[r] @ q for r, q in zip(rows, queries, strict=True)]) if len(rows) else rough
            )
        else:
            exact = np.take_along_axis(rough, rows, axis=1)
        order = np.argsort(-exact, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(rows, order, axis=1).astype(np.int32)
        return best, np.take_along_axis(exact, order, axis=1).astype(np.float32)

    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays to save."""
        return {"codes": self.codes, "scale": self.scale, "dimension": np.array(self.dimension)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> CompactVectors:
        """The inverse of `arrays`."""
        codes = arrays["codes"]
        kind: Kind = {"f": "float32", "i": "int8", "u": "binary"}[codes.dtype.kind]  # type: ignore[assignment]
        return cls(kind, codes, np.asarray(arrays["scale"]), int(arrays["dimension"]))
