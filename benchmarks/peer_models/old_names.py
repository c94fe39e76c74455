"""Names of numpy 1 and scipy 1.12 that RecBole 1.2.1 uses; import this before it."""

from __future__ import annotations

import numpy as np
from scipy import sparse

_GONE = {
    "float_": np.float64,
    "complex_": np.complex128,
    "unicode_": np.str_,
    "string_": np.bytes_,
    "float": float,
    "int": int,
    "object": object,
}
for _name, _type in _GONE.items():
    if _name not in vars(np):
        setattr(np, _name, _type)
if not hasattr(sparse.dok_matrix, "_update"):
    sparse.dok_matrix._update = lambda self, pairs: self._dict.update(pairs)
