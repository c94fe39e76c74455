"""Compares ways to fit EASE and SLIT without a dense n x n matrix: CPU seconds, size and NDCG@10.

    python benchmarks/linear.py --data s3rec-beauty --out FILE.json

Leave-last-out; every way gets the same examples, queries and penalty (the default one, not tuned here).
`neighbours`: each item is regressed on those it most often occurs with, as the models do it. `eigenvectors`:
the leading ones of the item-item matrix. `texts`: weights that are linear in the encoder's vectors. `SANSA`
(Spišák et al., RecSys 2023): a sparse approximate inverse by the authors' package, if installed (`pip install
sansa`; it needs SuiteSparse's headers). The baseline is the dense solution; `--no-dense` leaves it out. Use
one BLAS thread: OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import eigsh

from crossaisle.data.datasets import load_catalogue
from crossaisle.data.history import Decay
from crossaisle.data.splits.split import leave_last_out
from crossaisle.evaluate.results import evaluate
from crossaisle.models.scorers.content import EncoderSimilarity
from crossaisle.models.scorers.linear import EASE, SLIT

LATEST = Decay(events=2.0)
RIDGE = 50.0
ALL = 10_000_000
SLICES = ("all", "cross_open", "cross_limited", "novel_open", "novel_limited")
Scores = Callable[[sparse.csr_matrix], np.ndarray]


def weighted(weights: sparse.csr_matrix) -> Scores:
    return lambda query: (query @ weights).toarray()


def ways(split, sizes: list[int], dense: bool) -> dict[str, Callable[[], tuple[Scores, int]]]:
    """Name -> what fits it and returns a function of queries and how many numbers it stores."""
    past = split.past
    n = past.n_items

    def model(scorer):
        scorer.fit(past)
        return weighted(scorer.weights_), scorer.weights_.nnz

    def products():
        slit = SLIT()
        before, after = slit._examples(past.histories())
        before.resize(before.shape[0], n)
        after.resize(after.shape[0], n)
        return (before.T @ before).tocsr(), (before.T @ after).tocsr()

    def eigenvectors(rank: int):
        gram, together = products()
        value, vector = eigsh(gram.astype(np.float32), k=rank, which="LA")
        # What the vectors do not explain is a diagonal.
        left = vector * (1.0 / (value + RIDGE) - 1.0 / RIDGE)
        right = np.ascontiguousarray((together.T @ vector).T)
        rest = together / RIDGE
        return (
            lambda query: (query @ left) @ right + (query @ rest).toarray(),
            left.size + right.size + rest.nnz,
        )

    def texts():
        vectors = EncoderSimilarity().fit(past).vectors_
        gram, together = products()
        small = vectors.T @ (gram @ vectors)
        ridge = RIDGE * np.trace(small) / gram.diagonal().sum() * np.eye(len(small))
        right = np.linalg.solve(small + ridge, (together.T @ vectors).T)
        return lambda query: (query @ vectors) @ right, vectors.size + right.size

    def sansa(density: float, order: bool):
        from sansa import (
            SANSA,
            CHOLMODGramianFactorizerConfig,
            SANSAConfig,
            UMRUnitLowerTriangleInverterConfig,
        )

        config = SANSAConfig(
            RIDGE, density, CHOLMODGramianFactorizerConfig(), UMRUnitLowerTriangleInverterConfig()
        )
        if not order:
            made = SANSA(config).fit(past.matrix().tocsr())
            first, second = made.weights
            return (
                lambda query: ((query @ first) @ second).toarray(),
                first.nnz + second.nnz,
            )
        gram, together = products()
        made = SANSA(config)
        lower, diagonal, order_of = made.factorizer.approximate_ldlt(
            gram, RIDGE, density, compute_gramian=False
        )
        inverse = made.inverter.invert(lower)[:, np.argsort(order_of)].tocsr()
        second = (sparse.diags_array(1.0 / diagonal.diagonal()) @ (inverse @ together)).tocsr()
        first = inverse.T.tocsr()
        return lambda query: ((query @ first) @ second).toarray(), first.nnz + second.nnz

    out: dict[str, Callable[[], tuple[Scores, int]]] = {}
    if dense:
        out["SLIT, dense"] = lambda: model(SLIT(neighbours=ALL))
        out["EASE, dense"] = lambda: model(EASE(ridge=RIDGE, neighbours=ALL))
    for size in sizes:
        out[f"SLIT, {size} neighbours"] = lambda size=size: model(SLIT(neighbours=size))
    for size in sizes:
        out[f"EASE, {size} neighbours"] = lambda size=size: model(EASE(ridge=RIDGE, neighbours=size))
    out["SLIT, texts"] = texts
    out["SLIT, 512 eigenvectors"] = lambda: eigenvectors(512)
    if find_spec("sansa"):
        for density in (0.005, 0.02):
            out[f"SLIT, SANSA, density {density}"] = lambda density=density: sansa(density, True)
            out[f"EASE, SANSA, density {density}"] = lambda density=density: sansa(density, False)
    return out


def quality(scores: Scores, split, users: int) -> dict[str, float]:
    """NDCG@10 by slice, as in `crossaisle evaluate`."""
    order = np.random.default_rng(0).permutation(len(split.test))[:users]
    some = replace(split, test=split.test.take(np.sort(order)))

    def asked(histories):
        found = np.asarray(scores(histories.matrix(LATEST.weights(histories), split.past.n_items)))
        return np.where(found == 0, np.float32(np.nan), found.astype(np.float32))

    evaluation = evaluate({"model": asked}, some, split.past, on="test", ks=(10,), resamples=0)
    rows = {name: evaluation.row("model", name, "ndcg") for name in SLICES}
    return {name: round(row["value"], 4) for name, row in rows.items() if row}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", default="s3rec-beauty", help="a known data set (default: %(default)s)")
    parser.add_argument(
        "--neighbours",
        type=int,
        nargs="+",
        default=[50, 100, 250, 500],
        help="numbers of neighbours to try (default: %(default)s)",
    )
    parser.add_argument(
        "--users", type=int, default=1_000_000, help="users to fit on, at most (default: %(default)s)"
    )
    parser.add_argument("--only", help="only ways whose name contains this")
    parser.add_argument("--no-dense", action="store_true", help="leave out the dense solution")
    parser.add_argument("--out", type=Path, help="also write the results to this file")
    options = parser.parse_args()
    split = leave_last_out(load_catalogue(options.data).dataset)
    found = {}
    for name, fit in ways(split, options.neighbours, not options.no_dense).items():
        if options.only and options.only not in name:
            continue
        start = time.process_time()
        scores, size = fit()
        seconds = time.process_time() - start
        found[name] = {
            "seconds": round(seconds, 1),
            "numbers": int(size),
            "ndcg@10": quality(scores, split, options.users),
        }
        print(f"{name:32} {found[name]}", flush=True)
    if options.out:
        options.out.write_text(json.dumps({"data": options.data, "ways": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
