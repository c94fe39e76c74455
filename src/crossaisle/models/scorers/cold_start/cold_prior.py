"""What may sell in a category that has just opened: what sells nearby, and its own first events."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

from crossaisle.data.history import Floats

PRIOR = 10.0
"""Events of the whole category that knowing its texts is worth."""
_SPARE = 0.1  # added to a sum of similarities: far neighbours alone lend little


def opening_popularity(
    kernel: sparse.csr_matrix, inside: npt.NDArray[np.bool_], counts: npt.NDArray[np.int64]
) -> Floats:
    """Log of the events to expect of each item, float32 (n_items,), in units of its spread inside.

    `kernel` csr (n_items, n_items): similarities of a candidate (row) to lenders, from
    `BehaviourTransfer.kernel`; `inside` the items of the category; `counts` the events of each item so far.

    Before its first event the category has `PRIOR` events, shared out by what sells among the texts nearest
    to an item's own (the posterior mean of a Dirichlet-multinomial), so that the first real ones count at
    once. It is expected to sell as much as those neighbours do, until it sells more.
    """
    sold = np.where(inside, 0, counts).astype(np.float64)
    near = kernel @ sparse.diags((sold > 0).astype(np.float64))
    lent = np.asarray(near @ np.log1p(sold)).ravel() / (np.asarray(near.sum(axis=1)).ravel() + _SPARE)
    expected = np.where(inside, np.exp(lent), 0.0)
    mine = np.where(inside, counts, 0)
    share = (mine + PRIOR * expected / expected.sum()) / (mine.sum() + PRIOR)
    known = np.log(np.where(inside, share * max(expected.sum(), mine.sum()), sold + 1.0))
    found: Floats = (known / max(float(known[inside].std()), 1e-9)).astype(np.float32)
    return found
