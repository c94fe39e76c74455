"""Which categories people shop together: the numbers behind the console's heat map."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from crossaisle.client.answers import CategoryLinks
from crossaisle.data.dataset import Dataset


def category_links(dataset: Dataset, n: int) -> CategoryLinks:
    """The `n` categories with the most users, and for each pair how much oftener than by chance."""
    codes, names = dataset.taxonomy.codes(), dataset.taxonomy.names()
    known = np.flatnonzero(codes >= 0)
    shape = (dataset.n_items, len(names))
    members = sparse.csr_matrix((np.ones(len(known), np.float32), (known, codes[known])), shape=shape)
    shopped = (dataset.matrix() @ members).tocsc()
    shopped.data[:] = 1.0
    users = np.asarray(shopped.sum(axis=0)).ravel()
    top = np.argsort(-users, kind="stable")[: min(n, int((users > 0).sum()))]
    own = shopped[:, top]
    both = np.asarray((own.T @ own).todense(), np.float64)
    active = max(int((np.diff(shopped.tocsr().indptr) > 0).sum()), 1)
    lift = both * active / np.outer(users[top], users[top]) if len(top) else both
    return CategoryLinks(
        names=tuple(names[code] for code in top),
        users=tuple(int(one) for one in users[top]),
        lift=tuple(tuple(round(float(one), 3) for one in row) for row in lift),
    )
