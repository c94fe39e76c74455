"""Vectors of real titles and noisy copies of them, which `index.py` and `pgvector.py` search."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

BLOCK = 16_384
"""Rows made at a time, each block from a seed of its own."""


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)).astype(np.float32)


def noised(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noisy copies, at a cosine of about 0.9."""
    noise = rng.standard_normal(rows.shape, np.float32) / np.sqrt(rows.shape[1])
    return unit(rows + np.float32(0.48) * noise)


def embeddings(table: pl.DataFrame, place: Path) -> np.ndarray:
    if not place.is_file():
        from crossaisle.encoders.onnx import OnnxEncoder
        from crossaisle.encoders.weights import pull

        titles = [title or "" for title in table["title"].to_list()]
        np.save(place, OnnxEncoder(pull("minilm"), max_tokens=32).encode(titles, progress=True))
    vectors: np.ndarray = np.load(place)
    return vectors


@dataclass(frozen=True)
class Shop:
    """Vectors of `n` items: those of real titles, then copies of them with noise, of the same category.

    A matrix (n, d) computed a slice at a time as it is read: `len(shop)`, `shop.shape`, `shop[a:b]`.
    """

    real: np.ndarray
    """float32 (m, d): unit vectors of encoded titles."""
    of_real: np.ndarray
    """int32 (m,): their categories."""
    departments: Sequence[str]
    """By category."""
    n: int
    seed: int = 0

    @classmethod
    def of(cls, file: Path, n: int, out: Path) -> Shop:
        """Made from a table with the columns `title` and `category_paths`; vectors are cached in `out`."""
        table = pl.read_parquet(file, columns=["title", "category_paths"])
        real = unit(embeddings(table, out / "minilm.npy"))
        paths = [(each or [""])[0] for each in table["category_paths"].to_list()]
        names, codes = np.unique(paths, return_inverse=True)
        return cls(real, codes.astype(np.int32), [name.split(" > ")[0] for name in names.tolist()], n)

    @property
    def shape(self) -> tuple[int, int]:
        return self.n, self.real.shape[1]

    @cached_property
    def copied(self) -> np.ndarray:
        """int32 (n,): the title each item has, or is a copy of."""
        more = np.random.default_rng(self.seed).integers(0, len(self.real), max(self.n - len(self.real), 0))
        return np.concatenate([np.arange(len(self.real)), more])[: self.n].astype(np.int32)

    @cached_property
    def categories(self) -> np.ndarray:
        """int32 (n,)"""
        return self.of_real[self.copied]

    def __getitem__(self, part: slice) -> np.ndarray:
        start, stop, _ = part.indices(self.n)
        out = np.empty((stop - start, self.real.shape[1]), np.float32)
        for first in range(start - start % BLOCK, stop, BLOCK):
            block = np.arange(first, min(first + BLOCK, self.n))
            rows = self.real[self.copied[block]]
            rows = np.where((block < len(self.real))[:, None], rows, noised(rows, self._rng(first)))
            a, b = max(first, start), min(first + BLOCK, stop)
            out[a - start : b - start] = rows[a - first : b - first]
        return out

    def _rng(self, first: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, 1, first])

    def queries(self, n: int) -> tuple[np.ndarray, dict[str, list[np.ndarray] | None]]:
        """float32 (n, d), and filter -> the categories it allows each query.

        A query is the mean of one to three items of a category with new noise, like a history.
        """
        rng = np.random.default_rng([self.seed, 2])
        chosen = rng.integers(0, len(self.real), n)
        asked = []
        for item in chosen:
            alike = np.flatnonzero(self.of_real == self.of_real[item])
            asked.append(noised(self.real[rng.choice(alike, rng.integers(1, 4))], rng).mean(axis=0))
        department = np.array(self.departments)
        own = self.of_real[chosen]
        return unit(np.stack(asked)), {
            "none": None,
            "the category of the query": [np.array([code]) for code in own],
            "its department": [np.flatnonzero(department == department[code]) for code in own],
            "a tenth of all categories, at random": [
                np.flatnonzero(rng.random(len(department)) < 0.1) for _ in chosen
            ],
        }


def mask_of(shop: Shop, wanted: np.ndarray) -> np.ndarray:
    """bool (n,): items of some categories."""
    inside = np.zeros(len(shop.departments), bool)
    inside[wanted] = True
    mask: np.ndarray = inside[shop.categories]
    return mask


def exact_best(shop: Shop, asked: np.ndarray, filters: dict[str, Any], k: int) -> dict[str, np.ndarray]:
    """Filter -> int32 (len(asked), k): the best rows by float32 products, -1 where there are fewer."""
    best = {name: np.full((len(asked), k), -1, np.int32) for name in filters}
    score = {name: np.full((len(asked), k), -np.inf, np.float32) for name in filters}
    allowed = {name: np.ones((len(asked), len(shop.departments)), bool) for name in filters}
    for name, wanted in filters.items():
        for row, one in enumerate(wanted or []):
            allowed[name][row] = np.isin(np.arange(len(shop.departments)), one)
    for start in range(0, shop.n, BLOCK):
        part = slice(start, min(start + BLOCK, shop.n))
        products = asked @ shop[part].T
        category = shop.categories[part]
        for name in filters:
            here = np.where(allowed[name][:, category], products, np.float32(-np.inf))
            taken = np.argpartition(-here, min(k, here.shape[1]) - 1, axis=1)[:, :k]
            both = np.concatenate([score[name], np.take_along_axis(here, taken, axis=1)], axis=1)
            rows = np.concatenate([best[name], (taken + start).astype(np.int32)], axis=1)
            order = np.argsort(-both, axis=1, kind="stable")[:, :k]
            score[name] = np.take_along_axis(both, order, axis=1)
            best[name] = np.where(score[name] > -np.inf, np.take_along_axis(rows, order, axis=1), -1)
    return best


def measured(search: Any, best: np.ndarray, n: int) -> dict[str, float]:
    """Recall at k, and milliseconds a query in wall and CPU time.

    `search(row)` gives the rows found for one of `n` queries. Wall time also shows how busy the machine is.
    """
    shares, took, worked = [], [], []
    for row in range(n):
        start, before = time.perf_counter(), time.process_time()
        found = search(row)
        took.append(1000 * (time.perf_counter() - start))
        worked.append(1000 * (time.process_time() - before))
        right = {*best[row].tolist()} - {-1}
        shares.append(len(right & {*np.asarray(found).tolist()}) / max(len(right), 1))
    return {
        f"recall@{best.shape[1]}": round(float(np.mean(shares)), 4),
        "p50_ms": round(float(np.quantile(took, 0.5)), 2),
        "p95_ms": round(float(np.quantile(took, 0.95)), 2),
        "processor_p50_ms": round(float(np.quantile(worked, 0.5)), 2),
    }
