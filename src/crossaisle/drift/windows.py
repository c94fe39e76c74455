"""Drift: do validation and test resemble training in categories and prices?

The population stability index of two distributions is sum((q - p) ln(q / p)); below .1 it is called stable,
up to .25 moderate, above that drift (Siddiqi, Credit Risk Scorecards, 2006). Its expected value under chance
in samples of this size, about (bins - 1)(1/n + 1/m), is subtracted before the verdict, so that small shops do
not raise false alarms (Yurdakul & Naranjo, J. Risk Model Validation 2020).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.splits.cases import Split
from crossaisle.drift.measures import chance, psi, verdict

_DECILES = np.linspace(0, 1, 11)[1:-1]
_MOVERS = 3

Counts = npt.NDArray[np.int64]


def drift(dataset: Dataset, split: Split) -> dict[str, Any]:
    """Compares the events of train, validation and test; JSON-ready.

    `{"categories": {"validation": {"psi", "chance", "verdict", "events", "movers"}, "test": ...}, "prices":
    the same, "statement": str}`. Categories are those of the shop's category level; prices are binned by
    deciles of the training events. A comparison without known values is omitted. `movers` are the bins that
    changed most: `{"name", "train", "now"}`, shares.
    """
    train = split.train.item_counts
    parts = {
        # negative if more was returned than bought
        "validation": np.maximum(split.past.item_counts - train, 0),
        "test": np.maximum(dataset.item_counts - split.past.item_counts, 0),
    }
    out: dict[str, Any] = {}
    category = dataset.taxonomy.codes()
    if (category >= 0).any():
        out["categories"] = _compare(train, parts, category, list(dataset.taxonomy.names()))
    price = dataset.items["price"].cast(float).fill_null(np.nan).to_numpy()
    if train[np.isfinite(price)].sum():
        code, names = _deciles(price, train)
        out["prices"] = _compare(train, parts, code, names)
    out["statement"] = _statement(out)
    return out


def _deciles(price: npt.NDArray[np.float64], train: Counts) -> tuple[npt.NDArray[np.int64], list[str]]:
    known = np.isfinite(price)
    order = np.argsort(price[known], kind="stable")
    sorted_prices, weight = price[known][order], np.cumsum(train[known][order])
    at = np.searchsorted(weight, _DECILES * weight[-1])
    edges = np.unique(sorted_prices[np.minimum(at, len(sorted_prices) - 1)])
    code = np.where(known, np.searchsorted(edges, price, side="left"), -1)
    names = [f"up to {e:.2f}" for e in edges] + [f"over {edges[-1]:.2f}"]
    return code, names


def _compare(
    train: Counts, parts: dict[str, Counts], code: npt.NDArray[np.integer], names: list[str]
) -> dict[str, Any]:
    def binned(counts: Counts) -> Counts:
        known = code >= 0
        return np.bincount(code[known], counts[known], len(names)).astype(np.int64)

    before, out = binned(train), {}
    for part, counts in parts.items():
        now = binned(counts)
        if not now.sum() or not before.sum():
            continue
        used = (before > 0) | (now > 0)
        value = psi(before[used], now[used])
        expected = chance(int(used.sum()), before.sum(), now.sum())
        p, q = before / before.sum(), now / now.sum()
        movers = np.argsort(-np.abs(q - p), kind="stable")[:_MOVERS]
        out[part] = {
            "psi": value,
            "chance": float(expected),
            "verdict": verdict(max(value - expected, 0.0)),
            "events": int(now.sum()),
            "movers": [{"name": names[i], "train": float(p[i]), "now": float(q[i])} for i in movers],
        }
    return out


def _statement(tables: dict[str, Any]) -> str:
    """One paragraph: what changed, how much, in which direction."""
    moved, calm = [], []
    for what, parts in tables.items():
        for part, found in parts.items():
            if found["verdict"] == "stable":
                calm.append(f"{what} in {part}")
                continue
            top = found["movers"][0]
            level = "have drifted" if found["verdict"] == "drift" else "have moved somewhat"
            moved.append(
                f"{what} in {part} {level} (PSI {found['psi']:.2f}; "
                f"{top['name']}: {top['train']:.1%} of training events, {top['now']:.1%} now)"
            )
    if not moved:
        return "No drift: validation and test look like training." if calm else "Drift was not measured."
    text = "; ".join(moved)
    rest = f"; stable: {', '.join(calm)}" if calm else ""
    return text[0].upper() + text[1:] + rest + "."
