"""What all peers share: the same events, the same minutes for tuning, scores for the same users.

Needs numpy and scipy alone, which all of them bring.

The driver (`peers.py`) runs each of the scripts beside this file in an environment of its own:

    python from_X.py FOLDER MODEL MINUTES OUT

`FOLDER/train.npz` and `FOLDER/past.npz` (train and validation) hold `user`, `item` (int32, oldest event
first), `n_users`, `n_items` and `counts` (whether people buy the same item again).

`FOLDER/validation.npz` holds the queries (`user` int32 (n,)), `owner` and `target` (int32, a query and one of
its answers each) and `mask_seen` (whether items of the history are left out of lists); `FOLDER/test.npz` the
queries alone: no script sees a target of the test. Where queries are baskets of nobody, `user` is -1 and
both files hold what lies in them (`indptr` int64 (n + 1,), `item` int32) and, where only other categories can
be right, `code` int32 (n_items,) and `asked` int32 (n,), the category that is out of the question.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

SEED = 0
DEVICE = os.environ.get("PEERS_DEVICE", "cpu")
"""`cpu` or `cuda`, for models that use torch; on `cuda`, minutes are wall time."""
TUNED_ON = 2500
"""Validation queries that settings are chosen on."""
AT_ONCE = 500

Settings = dict[str, Any]


@dataclass(frozen=True)
class Events:
    """int32 (n,) each, oldest first."""

    user: np.ndarray
    item: np.ndarray
    n_users: int
    n_items: int
    counts: bool = False
    """Whether users buy the same item again."""

    @classmethod
    def read(cls, file: Path) -> Events:
        with np.load(file) as found:
            sizes = int(found["n_users"]), int(found["n_items"]), bool(found["counts"])
            return cls(found["user"], found["item"], *sizes)

    def matrix(self) -> Any:
        """scipy csr float32 (n_users, n_items): 1 for each pair, or how often if users buy again."""
        from scipy import sparse

        ones = np.ones(len(self.user), np.float32)
        counts = sparse.csr_matrix((ones, (self.user, self.item)), shape=(self.n_users, self.n_items))
        if not self.counts:
            counts.data[:] = 1.0
        return counts

    def usual_length(self) -> int:
        """The length of nine in ten histories (20 to 100), for models that read the newest events."""
        lengths = np.bincount(self.user)
        return int(np.clip(np.quantile(lengths[lengths > 0], 0.9), 20, 100))


Fitted = Callable[[np.ndarray, Any], np.ndarray]
"""User rows int32 (n,), -1 for baskets, and their items, scipy csr float32 (n, n_items) -> scores float32
(n, n_items); NaN or -inf for none."""
Fit = Callable[[Events, Settings], Fitted]


@dataclass(frozen=True)
class Queries:
    """Users, or anonymous baskets."""

    user: np.ndarray
    histories: Any
    """scipy csr float32 (n, n_items)."""
    asked: np.ndarray | None = None
    """int32 (n,): a category to leave out."""
    code: np.ndarray | None = None

    @classmethod
    def read(cls, found: Any, events: Events) -> Queries:
        """Reads queries from an open file, and the events of their users."""
        from scipy import sparse

        if "indptr" not in found:
            return cls(found["user"], events.matrix()[found["user"]])
        ones = np.ones(len(found["item"]), np.float32)
        shape = (len(found["user"]), events.n_items)
        baskets = sparse.csr_matrix((ones, found["item"], found["indptr"]), shape=shape)
        codes = (found["asked"], found["code"]) if "code" in found else (None, None)
        return cls(found["user"], baskets, *codes)

    def take(self, rows: Any) -> Queries:
        asked = None if self.asked is None else self.asked[rows]
        return Queries(self.user[rows], self.histories[rows], asked, self.code)


def customers_alone(users: np.ndarray) -> None:
    """Exits with a message if a model of known customers only is asked about baskets."""
    if np.any(users < 0):
        raise SystemExit("this model has vectors of known customers only, but these are anonymous baskets")


def batches(n: int) -> list[slice]:
    """Rows to score at once: the libraries' score tables take many times the memory of the scores."""
    return [slice(at, at + AT_ONCE) for at in range(0, n, AT_ONCE)]


def quality(fitted: Fitted, queries: Queries, targets: np.ndarray, *, mask_seen: bool) -> float:
    """Mean of NDCG@10 and recall@10 of single targets, among allowed items."""
    parts = batches(len(targets))
    found = [_gains(fitted, queries.take(rows), targets[rows], mask_seen=mask_seen) for rows in parts]
    return float(np.concatenate(found).mean())


def _gains(fitted: Fitted, queries: Queries, targets: np.ndarray, *, mask_seen: bool) -> np.ndarray:
    scores = fitted(queries.user, queries.histories)
    scores = np.where(np.isnan(scores), -np.inf, scores)
    own = scores[np.arange(len(targets)), targets]
    if mask_seen:
        scores[queries.histories.nonzero()] = -np.inf
    if queries.asked is not None:
        scores[queries.asked[:, None] == queries.code] = -np.inf
    own_left = scores[np.arange(len(targets)), targets]
    place = (scores > own[:, None]).sum(1) + ((scores == own[:, None]).sum(1) - 1) / 2
    hit = (place < 10) & np.isfinite(own_left)
    return (hit + hit / np.log2(2 + np.minimum(place, 10))) / 2


def _clock() -> float:
    return time.process_time() if DEVICE == "cpu" else time.perf_counter()


def main(models: Mapping[str, tuple[Fit, Sequence[Settings]]]) -> None:
    """Tunes a model for some CPU minutes on validation, fits it on the past, scores the test's users.

    `models`: name -> (fit, settings to try; the first is the library's or the paper's own). Drawn in a seeded
    order; one that has started is finished.
    """
    folder, model, minutes, out = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]), Path(sys.argv[4])
    fit, candidates = models[model]
    train = Events.read(folder / "train.npz")
    with np.load(folder / "validation.npz") as found:
        owner, targets, mask_seen = found["owner"], found["target"], bool(found["mask_seen"])
        drawn = np.random.default_rng(SEED).permutation(len(owner))[:TUNED_ON]
        queries, targets = Queries.read(found, train).take(owner[drawn]), targets[drawn]
    order = [0, *(1 + np.random.default_rng(SEED).permutation(len(candidates) - 1)).tolist()]
    start, tried = _clock(), []
    for at in order:
        if tried and _clock() - start > 60 * minutes:
            break
        fitted = fit(train, candidates[at])
        found_quality = quality(fitted, queries, targets, mask_seen=mask_seen)
        tried.append((found_quality, at))
        print(f"{model}: {candidates[at]}: {found_quality:.4f}", flush=True)
    best = candidates[max(tried)[1]]
    tuning = _clock() - start
    past = Events.read(folder / "past.npz")
    start = _clock()
    fitted = fit(past, best)
    seconds = _clock() - start
    with np.load(folder / "test.npz") as found:
        queries = Queries.read(found, past)
    scores = np.lib.format.open_memmap(out, "w+", np.float32, (len(queries.user), past.n_items))
    for rows in batches(len(queries.user)):
        some = queries.take(rows)
        scores[rows] = fitted(some.user, some.histories)
    scores.flush()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    about = {
        "device": DEVICE,
        "settings": best,
        "tried": len(tried),
        "of": len(candidates),
        "validation": max(tried)[0],
        "tuning_seconds": tuning,
        "fit_seconds": seconds,
        "peak_mb": peak,
    }
    out.with_suffix(".json").write_text(json.dumps(about))


def grid(**values: Sequence[Any]) -> list[Settings]:
    """All combinations; the first values together are the first setting."""
    out: list[Settings] = [{}]
    for name, choices in values.items():
        out = [one | {name: choice} for choice in choices for one in out]
    return out
