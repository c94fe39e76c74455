"""The mission guard at work: single models as floors, and weights of a blend that keep to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats, Histories
from crossaisle.data.membership import is_in
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.evaluate.mission_guard import MISSION, OVERALL, Ruling, Values, mission_guard, slice_values
from crossaisle.evaluate.scoring import Score
from crossaisle.models.blend import Blend
from crossaisle.models.tuning import MAX_CASES, TuningTask, tune

BLEND = "blend"
OPEN_LIST = (OVERALL, "cross_open", "cross_limited", "novel_open", "cold_item")
"""The slices that `for_you` answers."""
GUARDED = 3_000
CELLS = 30_000_000
"""Validation cases on which single models are measured, at most; and cases times items."""
SHARES = (0.3, 0.6)
"""Shares of the objective that answers in new categories get where the blend falls short."""
LEANING_CELLS = 31_000_000
"""Cases times items that weights are chosen on again, at most: 1,200 cases of 25,000 items."""
LIMIT = 0.03
"""No more than this share of NDCG overall is given to keep to the floors."""


@dataclass(frozen=True, eq=False)
class Floors:
    """What single models reach on some validation cases."""

    rows: npt.NDArray[np.int64]
    """int64 (m,): which validation cases."""
    values: dict[str, dict[str, Floats]]
    """Model -> slice -> float32 (m,)."""

    @classmethod
    def of(cls, blend: Blend, split: Split, parts: Sequence[str], *, seed: int = 0) -> Floors:
        """Measures each part alone; `blend` was fitted on `split.train`."""
        order = np.random.default_rng(seed).permutation(len(split.validation))
        rows = np.sort(order[: min(GUARDED, CELLS // split.train.n_items)])
        scorers = {name: partial(blend.part_scores, name) for name in parts}
        return cls(rows, measured(scorers, split, rows))

    def among(self, rows: npt.NDArray[np.int64]) -> dict[str, dict[str, Floats]]:
        """The same as float32 (len(rows),) arrays for other cases, given by their rows; NaN where unknown."""
        place = np.searchsorted(rows, self.rows)
        known = (place < len(rows)) & (rows[np.minimum(place, len(rows) - 1)] == self.rows)
        out: dict[str, dict[str, Floats]] = {}
        for model, by_slice in self.values.items():
            out[model] = {name: np.full(len(rows), np.nan, np.float32) for name in by_slice}
            for name, value in by_slice.items():
                out[model][name][place[known]] = value[known]
        return out


def measured(
    scorers: Mapping[str, Score],
    split: Split,
    rows: npt.NDArray[np.int64],
    names: Sequence[str] = (OVERALL, *MISSION),
) -> dict[str, dict[str, Floats]]:
    """Model -> slice -> float32 (len(rows),): NDCG@10 of some validation cases."""
    train = split.train
    return slice_values(scorers, split.validation.take(rows), train.taxonomy, train.item_counts, names)


def kept_to_floors(
    blend: Blend, split: Split, parts: Sequence[str], floors: Floors, *, seed: int = 0, progress: bool = False
) -> tuple[dict[str, float], Ruling]:
    """Weights of `for_you` that fall below no single model, and the ruling about them.

    These are the blend's own wherever they do not fall short. Otherwise weights are chosen again, with
    shares of the objective given to answers in categories that are new to the history, and the guard decides.
    Where none keep to the floors, the best overall serve.
    """
    own = blend.weights["for_you"]
    offers = {BLEND: own}
    values: dict[str, Values] = _open_list(offers, blend, split, floors)
    ruling = mission_guard(values, floors.values, seed=seed)
    if not ruling.shortfalls[BLEND]:
        return own, ruling
    lasting = {name: blend.parts[name] for name in parts}
    tuned = {}
    most = min(MAX_CASES, LEANING_CELLS // split.train.n_items)
    for share in SHARES:
        cases = leaning(split.validation, split.train.taxonomy.codes(), share, seed=seed, most=most)
        asked = {"leaning": TuningTask(cases, unseen=cases.mask_seen)}
        found = tune(lasting, asked, split.train.taxonomy, seed=seed, progress=progress)["leaning"]
        tuned[f"{BLEND} with {share:.0%} of its objective on new categories"] = found
    offers |= {name: found.weights for name, found in tuned.items()}
    values = _open_list(offers, blend, split, floors)
    ruling = mission_guard(values, floors.values, limit=LIMIT, seed=seed)
    if ruling.shortfalls[ruling.chosen]:  # nothing is paid for what is not reached
        ruling = mission_guard(values, floors.values, limit=0.0, seed=seed)
    return offers[ruling.chosen], ruling


def leaning(
    cases: EvalCases, codes: npt.NDArray[np.int32], share: float, *, seed: int = 0, most: int = MAX_CASES
) -> EvalCases:
    """At most `most` cases, of which a share asks only for answers in categories new to the history.

    `codes` int32 (n_items,): category per item. The others ask for all their answers.
    """
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(cases)), np.diff(cases.target_indptr))
    width, target = int(codes.max(initial=-1)) + 1, codes[cases.target]
    had = cases.histories.owner * width + codes[cases.histories.item]
    new = (target >= 0) & ~is_in(owner * width + target, had[codes[cases.histories.item] >= 0])
    new &= cases.histories.lengths[owner] > 0
    wanted = np.bincount(owner[new], minlength=len(cases))
    indptr = np.concatenate([[0], np.cumsum(wanted)]).astype(np.int64)
    only_new = replace(cases, target_indptr=indptr, target=cases.target[new])
    some = np.flatnonzero(wanted)
    n = min(most, len(cases))
    leaning_cases = only_new.take(rng.permutation(some)[: round(share * n)])
    plain = cases.take(rng.permutation(len(cases))[: n - len(leaning_cases)])
    return EvalCases(
        Histories.joined([plain.histories, leaning_cases.histories]),
        np.concatenate([plain.target_indptr, plain.target_indptr[-1] + leaning_cases.target_indptr[1:]]),
        np.concatenate([plain.target, leaning_cases.target]),
        cases.mask_seen,
    )


def _open_list(
    offers: dict[str, dict[str, float]], blend: Blend, split: Split, floors: Floors
) -> dict[str, Values]:
    """Slices of the open list, per offer of weights."""
    weighted = replace(blend, weights={**blend.weights, **offers}, remember=True)
    scorers: dict[str, Score] = {name: partial(weighted.score_rows, placement=name) for name in offers}
    found = measured(
        scorers, split, floors.rows, (OVERALL, "cross_open", "cross_limited", "novel_open", "cold_item")
    )
    return {name: dict(values) for name, values in found.items()}
