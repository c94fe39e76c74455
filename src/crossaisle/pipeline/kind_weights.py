"""How much a view or a cart counts compared with a purchase: what predicts best on validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from crossaisle.config import Role
from crossaisle.data.dataset import Dataset
from crossaisle.data.kinds import POSITIVE, WEIGHTS, Kinds
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.models.base import Scorer
from crossaisle.models.scorers.frequency import Frequency
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.shortlists import TuningTask
from crossaisle.models.tuning import tune

FEWEST = 100
"""With fewer cases nothing is chosen: the usual weights hold."""
MOST = 1000
"""Cases that are looked at."""
TRIED = (0.02, 0.1, 0.3, 1.0)
"""Shares of the weight of the strongest kind. None is 0: who has only looked at things is shown something."""
GAIN = 2e-3
"""A weight has to gain this much of the mean of NDCG@10 and recall@10 on validation."""


@dataclass(frozen=True)
class Weighed:
    """A data set whose kinds have weights, and what was decided."""

    dataset: Dataset
    notes: tuple[str, ...] = ()


def weigh_kinds(
    dataset: Dataset, split_of: Callable[[Dataset], Split], *, keep: int = 300, seed: int = 0
) -> Weighed:
    """Tries weights of each kind, the strongest first, with models that are quick to fit.

    What is foretold is the strongest kind (`Dataset.wanted`). Kinds with a weight in `[data.kinds]` keep it.
    Nothing changes where all events are of one kind.
    """
    if dataset.roles is None:
        return Weighed(dataset)
    roles = [POSITIVE[code] for code in np.unique(dataset.roles).tolist()]
    target = POSITIVE[int(dataset.roles[dataset.wanted][0])]
    split = split_of(dataset)
    cases = _sampled(split.validation, seed)
    if len(cases) < FEWEST:
        note = f"kinds keep their usual weights: {len(cases)} cases are too few to tune them"
        return Weighed(dataset, (f"{note} ({_told(dataset.meanings, roles)})",))
    meanings = dataset.meanings
    best = first = _quality(split.train, cases, meanings, keep, seed)
    unit = meanings.chosen.get(target, WEIGHTS[target])
    for role in reversed(roles):
        if role == target or not _is_free(dataset, role):
            continue
        for share in TRIED:
            tried = replace(meanings, chosen={**meanings.chosen, role: share * unit})
            quality = _quality(split.train, cases, tried, keep, seed)
            if quality > best + GAIN:
                meanings, best = tried, quality
    if target == "purchase" and (dataset.events.quantity[dataset.wanted] > 1).any():
        tried = replace(meanings, quantities=True)
        quality = _quality(split.train, cases, tried, keep, seed)
        if quality > best + GAIN:
            meanings, best = tried, quality
    found = dataset.meaning(meanings)
    several = "; a purchase of n units counts 1 + ln(n) times" if meanings.quantities else ""
    note = (
        f"kinds weigh {_told(found.meanings, roles)}{several}: the weights that best predict "
        f"a {target} on validation (mean of R@10 and N@10 of quick models {best:.4f}, "
        f"{first:.4f} with the usual weights)"
    )
    return Weighed(found, (note,))


def _is_free(dataset: Dataset, role: Role) -> bool:
    """Whether no kind of this role has a weight of its own."""
    given = dataset.meanings.given.values()
    return not any(one.means == role and one.weight is not None for one in given)


def _told(meanings: Kinds, roles: list[Role]) -> str:
    """ "cart 0.5, purchase 1"."""
    weights = {role: meanings.meaning(role).weight for role in roles}
    return ", ".join(f"{role} {weight:.3g}" for role, weight in weights.items())


def _quality(train: Dataset, cases: EvalCases, meanings: Kinds, keep: int, seed: int) -> float:
    """What quick models find of the cases, with or without items of the history, whichever is better."""
    shop = train.meaning(meanings)
    known = replace(shop.histories(cases.histories.user).relative, now=cases.histories.now)
    asked = replace(cases, histories=known)
    parts: dict[str, Scorer] = {
        "popularity": Popularity(half_life_days=180.0 if shop.has_time else None),
        "item_knn": ItemKNN(neighbours=keep, combine="max", average=True),
        "frequency": Frequency(),
    }
    for part in parts.values():
        part.fit(shop)
    questions = {
        "kept": TuningTask(asked),
        "left_out": TuningTask(asked, unseen=True, all_targets=True),
    }
    found = tune(parts, questions, shop.taxonomy, seed=seed)
    return float(np.nanmax([0.0, *(one.quality for one in found.values())]))


def _sampled(cases: EvalCases, seed: int) -> EvalCases:
    """Cases with a history and the user's row, at most `MOST`, drawn at random."""
    asked = np.flatnonzero((cases.histories.lengths > 0) & (cases.histories.user >= 0))
    return cases.take(np.sort(np.random.default_rng(seed).permutation(asked)[:MOST]))
