"""`Scorer`: the one protocol of all models. Scorers score; rankers and policies live elsewhere."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, cached_property
from importlib.util import find_spec
from typing import Any, ClassVar, TypeVar

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats, Histories
from crossaisle.data.vocabulary import Rows, Vocabulary
from crossaisle.decode import check_ranges
from crossaisle.errors import ArtifactError, CrossaisleError, MissingDependencyError
from crossaisle.execution.executor import Executor
from crossaisle.models.dense.rough import Rough
from crossaisle.models.space import Space
from crossaisle.models.topk import Mask, best_rows
from crossaisle.models.updates import FITTED, KEPT, Change, Counts, Updated

T = TypeVar("T")
Arrays = dict[str, np.ndarray]
LARGE = 50_000
"""Shops with more items than this are searched for the best ones; below, all items are scored."""


class Scorer(ABC):
    """A model that gives every item a number for a history.

    Subclasses are keyword-only dataclasses: each hyper-parameter is a field, declared once with its
    docstring under it; what `fit` learns is an attribute that ends in `_` and is listed in `learned`.
    """

    kind: ClassVar[str]
    """Name in saved folders, reports and result files."""
    reason: ClassVar[str] = "bought together"
    """What an explanation calls this model's contributions."""
    rest_reason: ClassVar[str | None] = None
    """What the rest of `evidence` is called, where that differs from `reason`."""
    reads_events: ClassVar[bool] = True
    """False for models that only read the catalogue: new events need no new fit."""
    learned: ClassVar[tuple[str, ...]] = ()
    """Attributes that `fit` sets and `save` keeps: numpy arrays or scipy csr matrices."""
    gaps: ClassVar[tuple[str, ...]] = ()
    """Those of them in which NaN stands for what is not known."""
    space: ClassVar[Space] = {}
    """Values of the hyper-parameters that `crossaisle tune` tries."""
    several_threads: ClassVar[bool] = False
    """Whether `fit` keeps several cores busy, so that another fit beside it gains nothing."""
    continues: ClassVar[bool] = False
    """Whether `fit_after` starts from the earlier model."""
    slow: ClassVar[bool] = False
    """Whether `fit` takes so long that new events are left to the next full fit."""
    needs: ClassVar[tuple[str, str] | None] = None
    """A library that `fit` needs, and the extra that installs it."""
    item_ids_: Vocabulary

    def __post_init__(self) -> None:
        """`ConfigError` where a hyper-parameter is out of its range."""
        check_ranges(self)

    def __setattr__(self, name: str, value: object) -> None:
        """Forgets what was derived from the values before, so that a second `fit` is as good as the first."""
        super().__setattr__(name, value)
        for derived in _derived(type(self)):
            self.__dict__.pop(derived, None)

    @cached_property
    def _of_batch(self) -> dict[str, tuple[Histories, Any]]:
        return {}

    def once(self, histories: Histories, make: Callable[[Histories], T]) -> T:
        """What a method makes of a batch, not made again while it is asked about the same batch.

        `retrieve` and `score_at` are called for one list after the other. The result must not be changed.
        """
        last = self._of_batch.get(make.__name__)
        if last is None or last[0] is not histories:
            last = self._of_batch[make.__name__] = histories, make(histories)
        made: T = last[1]
        return made

    @property
    def plain(self) -> Scorer:
        """The model itself, where this only passes questions on to it."""
        return self

    def check_installed(self) -> None:
        """`MissingDependencyError` where `fit` needs a library that is not there."""
        if self.needs is not None and find_spec(self.needs[0]) is None:
            raise MissingDependencyError(*self.needs, f"the model {self.kind!r}")

    @abstractmethod
    def fit(self, dataset: Dataset) -> Scorer:
        """Learns from a data set; returns self. Must set `item_ids_`."""

    def fit_on(self, dataset: Dataset, executor: Executor) -> Scorer:
        """`fit` with the workers of an executor, for models whose work can be shared out."""
        return self.fit(dataset)

    def fit_after(self, earlier: Scorer, dataset: Dataset) -> Scorer:
        """`fit`, where an `earlier` model of the same settings has learned from most of these events.

        Models that are learned step by step start from it (`continues`); others learn everything anew.
        """
        return self.fit(dataset)

    def count(self, dataset: Dataset) -> Counts | None:
        """Sums over users from which `update` goes on; None for models that go on from nothing."""
        return None

    def update(self, change: Change, counts: Counts | None = None) -> Updated:
        """A model of the events after a change, from this one of those before; this one stays as it is.

        `counts`: what `count` found before; without them they are counted anew. A model without `count` is
        fitted again, or, where that is `slow` and no item is new, given back as it is.
        """
        if self.slow and self.item_ids_ == change.after.item_ids:
            return Updated(self, KEPT)
        return Updated(replace(self).fit(change.after), FITTED)  # type: ignore[type-var]

    def learns_like(self, other: Scorer) -> bool:
        """Whether `fit` finds what it finds for another model, which is then asked differently."""
        return False

    def sharing(self, other: Scorer) -> Scorer:
        """What another model has learned, where it `learns_like` this one; returns self."""
        for name in self.learned:
            setattr(self, name, getattr(other, name))
        self.item_ids_ = other.item_ids_
        return self

    @abstractmethod
    def score_rows(self, histories: Histories) -> Floats:
        """float32 (n, n_items): higher is better, NaN where this model cannot score."""

    def prepare(self) -> None:
        """What takes a second once and makes later questions cheaper: for a service, before it answers."""
        return

    def expect(self, histories: Histories) -> None:
        """The same for some people who may be asked about."""
        return

    def forget(self, users: Sequence[int]) -> None:
        """Keeps nothing of some users, rows of the data set it learned from; its weights stay."""
        return

    def answered(self) -> None:
        """The lists of a batch are made: what was kept of it for the next step goes."""
        self._of_batch.clear()

    def rough(self, histories: Histories, *, fewer: bool = False) -> Rough | None:
        """About the scores of all items, where these cost much less than the exact ones; else None.

        `fewer`: whether they may be rougher still, where that costs less.
        """
        return None

    def retrieve(self, histories: Histories, k: int, among: Mask | None = None) -> list[Rows]:
        """For each history int32 rows, ascending, that hold its `k` best items or nearly all of them.

        `among` bool (n_items,): the items that may be named. Models that know where to look need not score
        everything, as this does.
        """
        scores = self.score_rows(histories)
        return best_rows(scores if among is None else np.where(among, scores, np.nan), k)

    def score_at(self, histories: Histories, rows: Sequence[Rows]) -> list[Floats]:
        """For each history the scores of some rows: what `score_rows` says of them, but for rounding."""
        scores = self.score_rows(histories)
        return [one[at] for one, at in zip(scores, rows, strict=True)]

    def evidence(self, histories: Histories, item: int) -> tuple[Floats, float]:
        """How one score comes about, for a batch of exactly one history.

        Returns float32 (length of the history,) and a rest: contributions of each event, and what
        no event explains (popularity, for example). They add up to the score of `item`.

        Here by deletion: an item of the history gives what the score loses without all of its events, which
        share it. Models whose score is a sum say it exactly, and faster.
        """
        own = np.unique(histories.item)
        variants = [histories, *(histories.keep(histories.item != row) for row in own)]
        at = [np.array([item], np.int32)] * len(variants)
        scores = np.nan_to_num(np.concatenate(self.score_at(Histories.joined(variants), at)))
        lost = np.zeros(int(own.max(initial=-1)) + 1, np.float32)
        lost[own] = scores[0] - scores[1:]
        return shared_by_repeats(lost, histories.item, float(scores[0]))

    def score(self, histories: Sequence[Sequence[object]], items: Iterable[object] | None = None) -> Floats:
        """float32 (n, n_items) for histories given as external item ids, oldest first.

        Unknown items of a history are passed over; an unknown candidate scores NaN.
        """
        self.check_fitted()
        rows = [self.item_ids_.rows(h) for h in histories]
        scores = self.score_rows(Histories.of([r[r >= 0] for r in rows]))
        if items is None:
            return scores
        columns: Rows = self.item_ids_.rows(items)
        picked = scores[:, np.maximum(columns, 0)]
        picked[:, columns < 0] = np.nan
        return picked

    def check_fitted(self) -> None:
        """Raises unless `fit` or `load` ran."""
        if not hasattr(self, "item_ids_"):
            raise CrossaisleError(f"{type(self).__name__} is not fitted yet: call fit(dataset) first")

    def state(self) -> tuple[dict[str, Any], Arrays]:
        """Settings and learned arrays, the two halves of a saved folder."""
        from crossaisle.artifact import pack

        self.check_fitted()
        return self.settings(), pack({name: getattr(self, name) for name in self.learned})

    def settings(self) -> dict[str, Any]:
        """The hyper-parameters (fields of `__init__`), JSON-ready."""
        from dataclasses import asdict, fields, is_dataclass

        values = {f.name: getattr(self, f.name) for f in fields(self) if f.init}  # type: ignore[arg-type]
        return {k: asdict(v) if is_dataclass(v) else v for k, v in values.items()}  # type: ignore[arg-type]

    def restore(self, arrays: Mapping[str, np.ndarray], item_ids: Vocabulary) -> Scorer:
        """Puts learned arrays back; the opposite of `state`."""
        from crossaisle.artifact import unpack

        values = unpack(arrays)
        missing = [name for name in self.learned if name not in values]
        if missing:
            raise ArtifactError(f"saved {self.kind!r} model lacks {', '.join(missing)}")
        for name in self.learned:
            setattr(self, name, values[name])
        self.item_ids_ = item_ids
        return self


@cache
def _derived(kind: type[Scorer]) -> tuple[str, ...]:
    """Names of a class's cached properties."""
    names = dict.fromkeys(name for base in kind.__mro__ for name in vars(base))
    return tuple(name for name in names if isinstance(getattr(kind, name, None), cached_property))


def shared_by_repeats(lost: Floats, events: Rows, score: float) -> tuple[Floats, float]:
    """Evidence from what the score loses without all events of an item, `lost` float32 (items,)."""
    repeats = np.maximum(np.bincount(events, minlength=len(lost)), 1)
    shares = np.asarray(lost / repeats, np.float32)[events]
    return shares, score - float(shares.sum(dtype=np.float64))


def pack_words(words: Sequence[str]) -> np.ndarray:
    """uint8: words as UTF-8, one per line, so that a list of them can be saved as an array."""
    return np.frombuffer("\n".join(words).encode(), np.uint8)


def unpack_words(packed: np.ndarray) -> list[str]:
    """The opposite of `pack_words`."""
    return packed.tobytes().decode().split("\n")
