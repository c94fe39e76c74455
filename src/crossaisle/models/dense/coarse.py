"""`CoarseRows`: approximate products of queries with every row of a matrix, in an eighth of the time.

onnxruntime multiplies 8-bit integers: a quarter of the bytes of float32 is read, once for a whole batch, and
processors have instructions of their own for it. What is best by these products is scored exactly afterwards.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.execution.processors import cores

MOST_BYTES = 1_500_000_000
"""A model of onnxruntime is one message, which ends at 2 GB."""
BLOCK = 2048
"""Rows worked on at a time, so that no second matrix in float32 is needed."""
PART = 32_768
"""Rows of a `CodeRows` in one session: four times as many take twice as long to be put in order."""
_HIGHEST, _ZERO = 63, 64
"""Codes of a query lie in 7 bits: processors without instructions for 8-bit sums add two products in 16."""
_UINT8, _INT8, _INT32 = 2, 3, 6
"""Types of tensors in ONNX."""


@dataclass(frozen=True)
class CoarseRows:
    """A matrix in 8 bits, each row with a step of its own, which onnxruntime holds in its own order."""

    session: Any
    """An `onnxruntime.InferenceSession`."""
    steps: Floats
    """float32 (n,): what 1 stands for in each row."""

    @classmethod
    def of(cls, rows: Floats, scales: Floats | None = None) -> CoarseRows | None:
        """float32 (n, d), each row times one of `scales` float32 (n,); None for none, and for too many."""
        n, d = rows.shape
        if not 0 < n * d <= MOST_BYTES:
            return None
        steps, codes = np.empty(n, np.float32), np.empty((d, n), np.int8)
        for start in range(0, n, BLOCK):
            part = slice(start, start + BLOCK)
            largest = np.maximum(np.abs(rows[part]).max(axis=1), np.float32(1e-30))
            steps[part] = largest / np.float32(127.0)
            codes[:, part] = np.rint(rows[part] / steps[part, None]).T
        session = _session(_matmul(codes.tobytes(), d, n))
        return cls(session, steps if scales is None else (steps * scales).astype(np.float32))

    def products(self, queries: Floats) -> Floats:
        """float32 (b, n): of float32 (b, d) queries and all rows, each within the rounding of the codes."""
        codes, units = _coded(queries)
        sums = self.session.run(None, {"queries": codes})[0]
        out: Floats = sums.astype(np.float32)
        out *= self.steps
        out *= units
        return out


@dataclass(frozen=True)
class CodeRows:
    """A matrix that is in 8 bits already, with one step for all of it, in parts."""

    parts: tuple[tuple[slice, Any], ...]
    """Rows, and the `onnxruntime.InferenceSession` that holds them."""
    n: int

    @classmethod
    def of(cls, codes: npt.NDArray[np.int8]) -> CodeRows | None:
        """int8 (n, d); None for none. onnxruntime keeps them twice: as they came, and in its own order."""
        n, d = codes.shape
        if not n or not 0 < d <= MOST_BYTES // PART:
            return None
        rows = [slice(start, min(start + PART, n)) for start in range(0, n, PART)]
        return cls(
            tuple((one, _session(_matmul(codes[one].T.tobytes(), d, one.stop - one.start))) for one in rows),
            n,
        )

    def products(self, queries: Floats) -> npt.NDArray[np.int32]:
        """int32 (b, n): of float32 (b, d) queries, each in a unit of its own, and all rows.

        By several threads, this one among them, each of which takes the next part that is left.
        """
        codes, _ = _coded(queries)
        out, left = np.empty((len(queries), self.n), np.int32), iter(self.parts)

        def multiply() -> None:
            for rows, session in left:
                out[:, rows] = session.run(None, {"queries": codes})[0]

        others = [_threads().submit(multiply) for _ in range(min(cores(), len(self.parts)) - 1)]
        multiply()
        for other in others:
            other.result()
        return out


def _coded(queries: Floats) -> tuple[npt.NDArray[np.uint8], Floats]:
    """uint8 (b, d), 64 for 0, and what 1 stands for in each of float32 (b, d) queries."""
    units = np.maximum(np.abs(queries).max(axis=1, keepdims=True), np.float32(1e-30)) / np.float32(_HIGHEST)
    codes = (np.rint(queries / units) + np.float32(_ZERO)).astype(np.uint8)
    return codes, units


@cache
def _threads() -> ThreadPoolExecutor:
    """Of this process: onnxruntime's own would be as many again for each session."""
    return ThreadPoolExecutor(max(cores() - 1, 1), "searching")


def _session(model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


# The model: one node, in the encoding of protocol buffers (onnx.proto3). The library onnx, which would write
# it, is no part of a service.


def _matmul(codes: bytes, d: int, n: int) -> bytes:
    """products int32 (b, n) = (queries uint8 (b, d) - 64) x rows int8 (d, n)."""
    node = _texts(1, "queries", "rows", "zero") + _texts(2, "products") + _texts(4, "MatMulInteger")
    rows = _number(1, d) + _number(1, n) + _number(2, _INT8) + _texts(8, "rows") + _field(9, codes)
    zero = _number(2, _UINT8) + _texts(8, "zero") + _field(9, bytes([_ZERO]))
    graph = [
        _field(1, node),
        _texts(2, "coarse"),
        _field(5, rows),
        _field(5, zero),
        _field(11, _tensor("queries", _UINT8, d)),
        _field(12, _tensor("products", _INT32, n)),
    ]
    return _number(1, 8) + _field(7, b"".join(graph)) + _field(8, _number(2, 13))


def _tensor(name: str, kind: int, width: int) -> bytes:
    """Of any number of rows."""
    shape = _field(1, _texts(2, "b")) + _field(1, _number(1, width))
    return _texts(1, name) + _field(2, _field(1, _number(1, kind) + _field(2, shape)))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _texts(field: int, *values: str) -> bytes:
    return b"".join(_field(field, value.encode()) for value in values)
