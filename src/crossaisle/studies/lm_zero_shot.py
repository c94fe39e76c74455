"""`benchmark lm-zero-shot`: a GPT-like model without training on the shop ranks short lists by their
titles."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from crossaisle.config import SplitConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.datasets import find_catalogue
from crossaisle.data.history import Decay, Floats
from crossaisle.data.membership import is_in
from crossaisle.data.splits.carts import cart_cases
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.splits.cold import sample
from crossaisle.data.vocabulary import Rows
from crossaisle.evaluate.metrics import Relevant, hr, ndcg
from crossaisle.evaluate.results import Row, result_row
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.models import registry
from crossaisle.models.base import Scorer
from crossaisle.models.scorers.content import EncoderSimilarity, TfidfSimilarity
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.pipeline.fit import peak_mb, split_of
from crossaisle.progress import Say, bar, silent
from crossaisle.studies.context import StudyContext

DATASETS = ("s3rec-beauty", "completejourney")
CASES = 100
"""Cases per data set; each takes one to two seconds on two cores."""
DRAWN = 15
"""Number of negatives per list."""
TITLE_TOKENS = 16
MODEL = "smollm2"
K = 10
BASELINE = "tfidf"
SUMS: dict[str, tuple[str, str]] = {"tfidf_minilm": ("tfidf", "minilm"), "tfidf_lm_pmi": ("tfidf", "lm_pmi")}
"""Sums of two models' scores, each divided by its spread in the list: nothing is tuned."""


def run(context: StudyContext) -> list[Row]:
    """Writes `results.json`; returns the rows."""
    from crossaisle.training.torch_library import require

    require("lm-zero-shot")
    rows: list[Row] = []
    for each in DATASETS:
        known, cases = questions(context.load(each), find_catalogue(each).split)
        study = ListStudy(known, cases, progress=context.progress, say=context.say)
        study.run()
        rows += study.rows()
        context.write(rows)
    return rows


def questions(
    dataset: Dataset, split: SplitConfig, most: int = CASES, seed: int = 0
) -> tuple[Dataset, EvalCases]:
    """The known data, and test cases with one target each.

    If users have baskets: one to three items of a test basket -> one of its items in another category. Else a
    user's history -> the next item.
    """
    made = split_of(dataset, split)
    cases = made.test
    if not dataset.users_are_baskets and bool((dataset.events.basket >= 0).any()):
        later = (dataset.events.basket >= 0) & ~is_in(dataset.events.basket, made.past.events.basket)
        cases = cart_cases(dataset, later, seed=seed)
    cases = sample(cases, most, seed)
    rng = np.random.default_rng([seed, 1])
    target = np.array([rng.choice(cases.targets_of(row)) for row in range(len(cases))], np.int32)
    indptr = np.arange(len(cases) + 1, dtype=np.int64)
    return made.past, EvalCases(cases.histories, indptr, target, True, cases.other_categories_only)


@dataclass
class ListStudy:
    """All models rank the same lists: the target among sampled items, sampled in two ways.

    `uniform`: all bought items are equally likely, so that popularity alone does well; `by_sales`: in
    proportion to events, so that popularity is uninformative. Items of the query or, for baskets, of its
    categories are not sampled.
    """

    dataset: Dataset
    cases: EvalCases
    model: str = MODEL
    """The decoder."""
    encoder: str = "minilm"
    drawn: int = DRAWN
    seed: int = 0
    progress: bool = False
    say: Say = silent
    values: dict[str, dict[str, Floats]] = field(default_factory=dict)
    """slice -> model -> NDCG@10 per case."""
    first: dict[str, dict[str, Floats]] = field(default_factory=dict)
    """slice -> model -> whether the target came first, per case."""
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Computes `values`, `first` and `seconds`."""
        lists = self._lists()
        scores = self._baselines(lists) | self._language_model(lists)
        for name, (left, right) in SUMS.items():
            scores[name] = _level(scores[left]) + _level(scores[right])
            self.seconds[name] = self.seconds[left] + self.seconds[right]
        own = 1 + np.arange(self.drawn)
        for slice_, columns in (("uniform", own), ("by_sales", own + self.drawn)):
            ranked = {
                name: Relevant.of_one(np.hstack([s[:, :1], s[:, columns]]), s[:, 0])
                for name, s in scores.items()
            }
            self.values[slice_] = {n: ndcg(r, K).astype(np.float32) for n, r in ranked.items()}
            self.first[slice_] = {n: hr(r, 1).astype(np.float32) for n, r in ranked.items()}

    def _lists(self) -> Rows:
        """int32 (n, 1 + 2 drawn): the target, uniform negatives, negatives by sales."""
        counts = self.dataset.item_counts.astype(np.float64)
        codes = self.dataset.taxonomy.codes()
        rng = np.random.default_rng([self.seed, 2])
        out = np.empty((len(self.cases), 1 + 2 * self.drawn), np.int32)
        for row in range(len(self.cases)):
            target, shown = self.cases.targets_of(row)[0], self.cases.histories.items_of(row)
            open_ = counts > 0
            open_[[target, *shown]] = False
            if self.cases.other_categories_only:
                open_ &= ~np.isin(codes, codes[shown])
            pool = np.flatnonzero(open_)
            uniform = rng.choice(pool, self.drawn, replace=False)
            sold = rng.choice(pool, self.drawn, replace=False, p=counts[pool] / counts[pool].sum())
            out[row] = [target, *uniform, *sold]
        return out

    def _baselines(self, lists: Rows) -> dict[str, Floats]:
        decay = Decay(events=2.0)
        models: dict[str, Scorer] = {
            "tfidf": TfidfSimilarity(decay=decay),
            "minilm": EncoderSimilarity(encoder=self.encoder, decay=decay),
            "popularity": Popularity(),
        }
        out: dict[str, Floats] = {}
        for name, model in models.items():
            start = time.perf_counter()
            found = model.fit(self.dataset).score_rows(self.cases.histories)
            out[name] = np.nan_to_num(np.take_along_axis(found, lists, axis=1))
            self.seconds[name] = time.perf_counter() - start
        return out

    def _language_model(self, lists: Rows) -> dict[str, Floats]:
        """Scores with the title's unconditional likelihood subtracted, and without."""
        out = {}
        for name, pmi in (("lm", 0.0), ("lm_pmi", 1.0)):
            start = time.perf_counter()
            settings = {"model": self.model, "pmi": pmi, "max_tokens": TITLE_TOKENS}
            scorer: Any = registry.make("language_model", settings).fit(self.dataset)
            found = np.empty(lists.shape, np.float32)
            with bar(f"reading lists ({name})", len(lists), show=self.progress) as advance:
                for row, items in enumerate(lists):
                    found[row] = scorer.likelihood(self.cases.histories.items_of(row), items)
                    advance(1)
            out[name] = np.nan_to_num(found, nan=float(np.nanmin(found, initial=0.0)))
            self.seconds[name] = time.perf_counter() - start
        self.seconds["lm_pmi"] += self.seconds["lm"]  # it reused likelihoods that the first had cached
        return out

    def rows(self) -> list[Row]:
        """`ndcg`, `accuracy` (k = 1) and `difference_to_tfidf` with paired 95 % intervals."""
        out: list[Row] = []
        bootstrap = Bootstrap(n=len(self.cases))
        for slice_, values in self.values.items():
            for name, mine in values.items():
                figures = {
                    ("ndcg", K): bootstrap.interval(mine[:, None]),
                    ("difference_to_tfidf", K): bootstrap.difference(
                        mine[:, None], values[BASELINE][:, None]
                    )[0],
                    ("accuracy", 1): bootstrap.interval(self.first[slice_][name][:, None]),
                }
                out += [
                    result_row(
                        self.dataset.name,
                        f"lists_of_{self.drawn + 1}",
                        "test",
                        name,
                        metric,
                        k,
                        (found.value[0], found.low[0], found.high[0]),
                        len(mine),
                        slice_=slice_,
                        fit_seconds=self.seconds[name],
                        peak_mb=peak_mb(),
                    )
                    for (metric, k), found in figures.items()
                ]
        return out


def _level(scores: Floats) -> Floats:
    out: Floats = scores / np.maximum(scores.std(axis=1, keepdims=True), 1e-9)
    return out
