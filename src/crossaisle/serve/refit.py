"""Refits a model on the events of the store, and keeps it if it is not found worse on the latest ones."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import polars as pl

from crossaisle import artifact
from crossaisle.data.dataset import Dataset, Events
from crossaisle.data.history import Floats, Histories
from crossaisle.data.kinds import PURCHASE
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.units import SECONDS_PER_DAY
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.data.windows import at_moment
from crossaisle.drift.summary import Summary
from crossaisle.errors import ConflictError, CrossaisleError, DataError
from crossaisle.evaluate import metrics
from crossaisle.evaluate.acceptance import Verdict, guard
from crossaisle.evaluate.metrics import Relevant
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.picture_similarity import PictureSimilarity
from crossaisle.models.topk import top_k
from crossaisle.pipeline.fit import fit_parts
from crossaisle.pipeline.incremental.merge import between
from crossaisle.pipeline.incremental.update import update
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.live.warmup import warm
from crossaisle.serve.store.deleted_users import Forgotten
from crossaisle.serve.store.store import Event, Picture, Store

K = 10
FEWEST = 30
"""With fewer cases than this nothing is accepted: they prove nothing."""
MOST = 2000
"""At most this many cases, drawn at random."""
BATCH = 64
TRIES = 3
"""How often a model is fitted again because a user was deleted meanwhile."""


class Known(NamedTuple):
    """What the model and the store know together."""

    dataset: Dataset
    fresh: list[float]
    """Times of events that are new to the model."""
    left_out: int
    """Users of the model who were deleted."""
    forgotten: Forgotten
    """Deleted users, read before anything else."""

    def holds_deleted(self, now: Forgotten) -> bool:
        """Whether a user in it was deleted since it was read."""
        if now.times == self.forgotten.times:
            return False
        return any(now.time_of(name) != self.forgotten.time_of(name) for name in self.dataset.user_ids.all)


@dataclass(frozen=True)
class Refit:
    """Outcome of a refit."""

    name: str
    accepted: bool
    reason: str
    verdict: Verdict
    folder: Path | None
    """The new model; None where it was not accepted."""
    report: Path
    events: int
    """Events of the store that were new to the model."""
    forgotten: int
    """Users left out because they asked to be deleted."""
    incremental: bool = False
    """Whether events were only added to the old model."""
    lines: tuple[str, ...] = ()
    """Of a refit that was asked to add only: what was done, and what stayed."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        comparison = self.verdict.to_dict() | {"statement": self.reason}
        # The guard accepts what is provably better; here not being found worse is enough.
        better = {"better": comparison.pop("accepted"), "serves": None}
        return {
            "name": self.name,
            "accepted": self.accepted,
            "reason": self.reason,
            "new_events": self.events,
            "users_left_out": self.forgotten,
            "incremental": self.incremental,
            "lines": list(self.lines),
            "metric": f"NDCG@{K}",
            "comparison": comparison | better,
            "folder": None if self.folder is None else self.folder.name,
        }


def refit(
    model: Path,
    store: Store,
    models: Path,
    *,
    holdout: float = 0.1,
    level: float = 0.05,
    seed: int = 0,
    name: str | None = None,
    incremental: bool = False,
    progress: bool = False,
) -> Refit:
    """Fits, compares, and saves the new model into `models` if it is not found worse.

    The latest `holdout` (a share) of the store's events is held out; both models see the histories before.
    What is saved is then fitted on everything. Weights and settings stay those of the old model. Deleted
    users are not in the new model. Raises `DataError` where there are no new events. `incremental`: new
    events are added to what the old model learned (`pipeline.incremental`), and slow parts stay; not where
    users of the model were deleted.
    """
    base = Recommender.load(model)
    changed, pictures, lines = store.items(), store.pictures(), list[str]()
    shop = LiveRecommender(base, LiveHistories(), changed, pictures=pictures)

    def read() -> Known:
        forgotten = store.forgotten()  # first: a deletion after this is noticed
        events = (event for _, event in store.events())
        merged, fresh, left_out = merge(base.dataset, shop.dataset, events, forgotten)
        shown = models.resolve() / "pictures"
        merged = with_kept_pictures(merged, base, store, pictures, shown)
        return Known(merged, fresh, left_out, forgotten)

    def learned(dataset: Dataset, left_out: int) -> Recommender:
        if incremental and not left_out:  # what is kept has learned from them
            added = between(base.dataset, dataset)
            found = update(base, added)
            lines[:] = found.lines(added.events, len(added.change.users))
            return found.recommender
        why = f"users of {model.name} were deleted ({left_out:,}), and what it keeps learned from them"
        lines[:] = [f"fitted from scratch: {why}"] if incremental else []
        return fitted_on(base, dataset, progress=progress)

    def fitted(known: Known) -> Recommender:
        return learned(known.dataset, known.left_out)

    known = read()
    if not known.fresh:
        raise DataError(f"{store.name}: no event that is new to {model.name}: nothing to refit")
    merged = known.dataset
    seconds = merged.events.time
    if seconds is None:
        raise DataError(f"{model}: its events have no times: the latest cannot be held out")
    cut = int(np.quantile(np.array(known.fresh), 1.0 - holdout, method="lower"))
    past = merged.before(cut)
    cases = latest(merged, past, cut, base.repeats, seed)
    candidate = learned(past, known.left_out)
    values = [ndcg(score, cases, shop.grown.listed) for score in (candidate.score_batch, shop.score_batch)]
    chosen = name or datetime.now(UTC).strftime("model-%Y%m%d-%H%M%S")
    verdict = guard(chosen, values[0], model.name, values[1], level=level, seed=seed)
    accepted, reason = decide(verdict)
    folder = models / chosen
    if accepted:
        known = saved(folder, known, fitted, read, store)
        warm(LiveRecommender(Recommender.load(folder), LiveHistories(), changed))
    models.mkdir(parents=True, exist_ok=True)
    report = models / f"{chosen}.refit.json"
    outcome = Refit(
        chosen,
        accepted,
        reason,
        verdict,
        folder if accepted else None,
        report,
        len(known.fresh),
        known.left_out,
        incremental and not known.left_out,
        tuple(lines),
    )
    artifact.write_json(report, outcome.to_dict())
    return outcome


def saved(
    folder: Path,
    known: Known,
    fitted: Callable[[Known], Recommender],
    again: Callable[[], Known],
    store: Store,
) -> Known:
    """Fits on everything and saves; fits again if a user was deleted meanwhile, who must not be in it.

    Returns what it was fitted on. Raises `ConflictError`, and leaves no model, if that keeps happening.
    """
    for _ in range(TRIES):
        new = fitted(known)
        if not known.holds_deleted(store.forgotten()):
            new.save(folder)
            if not known.holds_deleted(store.forgotten()):
                return known
            shutil.rmtree(folder)
        known = again()
    raise ConflictError(
        f"{store.name}: users were deleted while {folder.name} was fitted, {TRIES} times in a row; the "
        "model must not contain them: run the refit again"
    )


def decide(verdict: Verdict) -> tuple[bool, str]:
    """Whether the new model is accepted, and why, in one sentence."""
    gap = f"{verdict.difference:+.4f} [{verdict.low:+.4f}, {verdict.high:+.4f}] on {verdict.n:,} users"
    if verdict.n < FEWEST:
        return False, f"refused: {verdict.n} cases are too few (at least {FEWEST} are needed)"
    if verdict.high < 0:
        return False, f"refused: worse than {verdict.fallback} by {gap}"
    finding = "better" if verdict.low > 0 else "not found worse"
    return True, f"accepted: {finding} than {verdict.fallback}, {gap}"


def merge(
    known: Dataset, grown: Dataset, events: Iterator[Event], forgotten: Forgotten
) -> tuple[Dataset, list[float], int]:
    """The model's events and the store's as one data set; times of new ones; how many users were left out.

    `grown` has the model's items and those put in since. An event of the store that the model has already
    (same user, item and second) is taken once. Users in `forgotten` lose what the model knew of them; what
    they did since counts.
    """
    raw = known.raw
    old, meanings = raw.events, known.meanings
    keep = np.array([name not in forgotten for name in known.user_ids.all], bool)
    seconds = old.time if old.time is not None else np.zeros(len(old), np.int64)
    kept = keep[old.user]
    against = meanings.roles(known.kinds, old.kind, old.value, old.quantity) > PURCHASE
    columns_of_old = (old.user, old.item, seconds, against)
    have = set(zip(*(column[kept].tolist() for column in columns_of_old), strict=True))
    names = [name for name, stays in zip(known.user_ids.all, keep, strict=True) if stays]
    rows = {name: row for row, name in enumerate(names)}
    kinds = {kind: code for code, kind in enumerate(known.kinds)}
    before = known.user_ids
    added: list[tuple[int, int, int, int, float, float]] = []
    fresh: list[float] = []
    for event in events:
        item = grown.item_ids.get(event.item)
        interest = meanings.is_interest(event.kind, event.value, event.quantity)
        if item < 0 or (before.get(event.user), item, int(event.time), interest is not True) in have:
            continue
        row = rows.setdefault(event.user, len(rows))
        kind = kinds.setdefault(event.kind, len(kinds)) if event.kind in kinds or len(kinds) < 127 else 0
        value = np.nan if event.value is None else event.value
        quantity = 1.0 if event.quantity is None else event.quantity
        added.append((row, item, int(event.time), kind, value, quantity))
        fresh.append(event.time)
    remap = np.cumsum(keep) - 1
    columns = list(zip(*added, strict=True)) if added else [()] * 6
    user = np.concatenate([remap[old.user[kept]], columns[0]]).astype(np.int32)
    time_ = np.concatenate([seconds[kept], columns[2]]).astype(np.int64)
    order = np.lexsort((time_, user))

    def joined(name: str, column: int, kind: Any) -> Any:
        return np.concatenate([getattr(old, name)[kept], columns[column]]).astype(kind)[order]

    basket = np.concatenate([old.basket[kept], np.full(len(added), -1)]).astype(np.int32)
    together = Events(
        user[order],
        joined("item", 1, np.int32),
        time_[order] if old.time is not None else None,
        joined("kind", 3, np.int8),
        joined("value", 4, np.float32),
        joined("quantity", 5, np.float32),
        basket[order],
    )
    users = known.users.filter(pl.Series(keep))
    extra = pl.DataFrame({"user_id": list(rows)[len(users) :]}, schema={"user_id": pl.String})
    dataset = replace(
        grown,
        items=at_moment(grown.items, float(time_.max())) if len(time_) else grown.items,
        users=pl.concat([users, extra], how="diagonal"),
        user_ids=Vocabulary(rows, what="user"),
        events=together,
        kinds=tuple(kinds),
        meanings=meanings,
        log=None,
        against=None,
    ).settled()
    return dataset, fresh, int((~keep).sum())


def with_kept_pictures(
    dataset: Dataset, base: Recommender, store: Store, kept: Mapping[str, Picture], folder: Path
) -> Dataset:
    """The same with the pictures that were put in, written into a folder, if the model encodes pictures."""
    if not any(isinstance(part, PictureSimilarity) for part in base.blend.parts.values()):
        return dataset
    rows, files = [], []
    for item, picture in kept.items():
        row, file = dataset.item_ids.get(item), folder / picture.digest.hex()
        if row < 0 or (content := store.picture(item)) is None:
            continue
        if not file.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            fresh = file.with_suffix(".part")
            fresh.write_bytes(content)
            fresh.replace(file)
        rows.append(row)
        files.append(str(file))
    if not rows:
        return dataset
    images = dataset.items["image"].clone().scatter(rows, files)
    return replace(dataset, items=dataset.items.with_columns(images))


def fitted_on(base: Recommender, dataset: Dataset, *, progress: bool = False) -> Recommender:
    """The same parts and weights, fitted on another state of the shop.

    Parts that read no events are shared where the items and their texts and pictures are the same.
    """
    same = dataset.item_ids == base.dataset.item_ids and dataset.item_texts == base.dataset.item_texts
    same = same and dataset.items["image"].equals(base.dataset.items["image"])
    fresh: dict[str, Any] = {
        name: part if same and not part.reads_events else replace(part)  # type: ignore[type-var]
        for name, part in base.blend.parts.items()
    }
    new = {name: part for name, part in fresh.items() if part is not base.blend.parts[name]}
    fit_parts(new, dataset, progress=progress)
    blend = Blend(parts=fresh, weights=base.blend.weights)
    return base.replaced(dataset=dataset, blend=blend, reference=Summary.of_model(dataset))


def latest(dataset: Dataset, past: Dataset, cut: int, repeats: bool, seed: int) -> EvalCases:
    """Users with a history before the cut, and what they did after it; at most `MOST`, drawn at random."""
    events = dataset.events
    assert events.time is not None
    after = (events.time >= cut) & dataset.wanted
    users = np.unique(events.user[after])
    users = users[np.diff(past.user_indptr)[users] > 0].astype(np.int32)
    if len(users) > MOST:
        users = np.sort(np.random.default_rng(seed).choice(users, MOST, replace=False))
    targets = []
    for user in users.tolist():
        own = slice(dataset.user_indptr[user], dataset.user_indptr[user + 1])
        items = np.unique(events.item[own][after[own]])
        if not repeats:
            items = np.setdiff1d(items, events.item[own][events.time[own] < cut])
        targets.append(items)
    indptr = np.concatenate([[0], np.cumsum([len(items) for items in targets])]).astype(np.int64)
    flat = np.concatenate(targets) if targets else np.empty(0)
    histories = past.histories(users, now=cut / SECONDS_PER_DAY).relative
    return EvalCases(histories, indptr, flat.astype(np.int32), mask_seen=not repeats)


def ndcg(score: Callable[[Histories], Floats], cases: EvalCases, listed: npt.NDArray[np.bool_]) -> Floats:
    """float32 (n,): NDCG@10 of each case; NaN where there is nothing to find."""
    lists = [np.empty((0, min(K, len(listed))), np.int32)]
    for start in range(0, len(cases), BATCH):
        histories = cases.histories.take(slice(start, min(start + BATCH, len(cases))))
        scores = np.where(listed, np.nan_to_num(score(histories), nan=-np.inf), -np.inf)
        if cases.mask_seen:
            scores[histories.owner, histories.item] = -np.inf
        lists.append(top_k(scores, min(K, len(listed))))
    relevant = Relevant.listed(np.concatenate(lists), cases.target_indptr, cases.target)
    return metrics.ndcg(relevant, K).astype(np.float32)


def periodically(
    every: float, once: Callable[[Path], Refit], model: Path, *, sleep: Callable[[float], None] = time.sleep
) -> Iterator[Refit | CrossaisleError]:
    """Refits at intervals, from the model that was accepted last; waits first. Errors do not end it."""
    while True:
        sleep(every)
        try:
            outcome = once(model)
        except CrossaisleError as error:  # nothing new, or the service is down: the next time, perhaps
            yield error
            continue
        model = outcome.folder or model
        yield outcome


def seconds_of(text: str) -> float:
    """'90s', '15m', '24h', '7d' as seconds; `DataError`."""
    units: Mapping[str, float] = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    try:
        seconds = float(text[:-1]) * units[text[-1:]]
    except (ValueError, KeyError):
        seconds = 0.0
    if not 1.0 <= seconds < 1e9:
        raise DataError(f"a time must be a number with s, m, h or d, such as 24h (found {text!r})")
    return seconds
