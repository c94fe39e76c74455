"""The mission guard at work: single models as floors, and weights of a blend that keep to them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats
from crossaisle.data.membership import is_in
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.evaluate.mission_guard import MISSION, OVERALL, Ruling, Values, mission_guard, slice_values
from crossaisle.evaluate.scoring import Score
from crossaisle.models.blend import Blend
from crossaisle.models.shortlists import Shortlists
from crossaisle.models.tuning import tune_shortlists
from crossaisle.pipeline.weights import Chosen

BLEND = "blend"
_OWN = "own weights"  # no part is called so
OPEN_LIST = (OVERALL, "cross_open", "cross_limited", "novel_open", "cold_item")
"""The slices that `for_you` answers."""
GUARDED = 3_000
CELLS = 30_000_000
"""Validation cases on which single models are measured, at most; and cases times items."""
SHARES = (0.3, 0.6)
"""Shares of the objective that answers in new categories get where the blend falls short."""
LIMIT = 0.03
"""No more than this share of NDCG overall is given to keep to the floors."""


@dataclass(frozen=True, eq=False)
class Floors:
    """What single models reach on some validation cases, and their blend."""

    rows: npt.NDArray[np.int64]
    """int64 (m,): which validation cases."""
    values: dict[str, dict[str, Floats]]
    """Model -> slice -> float32 (m,)."""
    blend: dict[str, Floats]
    """The same of the open list under the blend's own weights."""

    @classmethod
    def of(
        cls,
        blend: Blend,
        split: Split,
        parts: Sequence[str],
        *,
        slices: Sequence[str] = (OVERALL, *MISSION),
        seed: int = 0,
    ) -> Floors:
        """Measures each part alone; `blend` was fitted on `split.train`. Each part scores each case once."""
        order = np.random.default_rng(seed).permutation(len(split.validation))
        rows = np.sort(order[: min(GUARDED, CELLS // split.train.n_items)])
        kept = replace(blend, remember=True)
        scorers: dict[str, Score] = {name: partial(kept.part_scores, name) for name in parts}
        values = measured(scorers | {_OWN: kept.score_rows}, split, rows, slices)
        own = {name: value for name, value in values.pop(_OWN).items() if name in OPEN_LIST}
        return cls(rows, values, own)

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
    scorers: Mapping[str, Score], split: Split, rows: npt.NDArray[np.int64], slices: Sequence[str]
) -> dict[str, dict[str, Floats]]:
    """Model -> slice -> float32 (len(rows),): NDCG@10 of some validation cases."""
    train = split.train
    return slice_values(scorers, split.validation.take(rows), train.taxonomy, train.item_counts, slices)


def kept_to_floors(
    blend: Blend, chosen: Chosen, parts: Sequence[str], floors: Floors, *, seed: int = 0
) -> tuple[dict[str, float], Ruling]:
    """Weights of `for_you` that fall below no single model, and the ruling about them.

    These are the blend's own wherever they do not fall short. Otherwise weights are chosen again from the
    same shortlists, with shares of the objective given to answers in categories that are new to the history,
    and the guard decides. Where none keep to the floors the blend's own stay: nothing is paid for what is not
    reached.
    """
    own, found, split = blend.weights["for_you"], chosen.open_list.shortlists, chosen.split
    values: dict[str, Values] = {BLEND: floors.blend}
    alone = mission_guard(values, floors.values, seed=seed)
    if found is None or not alone.shortfalls[BLEND]:
        return own, alone
    offers = {}
    apart = [name for name in chosen.parts if name not in parts]
    for share in SHARES:
        some = leaning(found, split.validation, split.train.taxonomy.codes(), share, seed=seed)
        name = f"{BLEND} with {share:.0%} of its objective on new categories"
        offers[name] = tune_shortlists(chosen.parts, [some], apart=apart).weights
    values |= _open_list(offers, blend, split, floors)
    ruling = mission_guard(values, floors.values, limit=LIMIT, seed=seed)
    if ruling.shortfalls[ruling.chosen]:
        return own, alone
    return (offers | {BLEND: own})[ruling.chosen], ruling


def leaning(
    found: Shortlists, cases: EvalCases, codes: npt.NDArray[np.int32], share: float, *, seed: int = 0
) -> Shortlists:
    """As many shortlists, of which a share asks only for answers in categories new to the history.

    `cases`: those that were shortlisted; `codes` int32 (n_items,): category per item. The others ask for all
    their answers. Both are drawn from all of `found`.
    """
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(len(cases)), np.diff(cases.target_indptr))
    width, target = int(codes.max(initial=-1)) + 1, codes[cases.target]
    had = cases.histories.owner * width + codes[cases.histories.item]
    new = (target >= 0) & ~is_in(owner * width + target, had[codes[cases.histories.item] >= 0])
    ends = np.cumsum(np.bincount(owner[new], minlength=len(cases)))[:-1]
    wanted = np.split(cases.target[new], ends)
    some = np.array([at for at, case in enumerate(found.case.tolist()) if len(wanted[case])], np.int64)
    asked = rng.permutation(some)[: round(share * len(found))]
    plain = rng.permutation(len(found))[: len(found) - len(asked)]
    only_new = found.take(asked).asking([wanted[case] for case in found.case[asked].tolist()])
    return Shortlists.joined([found.take(plain), only_new])


def _open_list(
    offers: Mapping[str, dict[str, float]], blend: Blend, split: Split, floors: Floors
) -> dict[str, dict[str, Floats]]:
    """Slices of the open list, per offer of weights."""
    weighted = replace(blend, weights={**blend.weights, **offers}, remember=True)
    scorers: dict[str, Score] = {name: partial(weighted.score_rows, placement=name) for name in offers}
    return measured(scorers, split, floors.rows, OPEN_LIST)
