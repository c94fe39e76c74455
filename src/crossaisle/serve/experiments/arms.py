"""`Arms`: recommenders of arms that have a model or weights of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from crossaisle.errors import ConfigError, UnknownIdError, nearest, shorten
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.experiments.design import Arm, Experiment
from crossaisle.serve.limits.live import LiveLimits
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.queues.batching import Batcher
from crossaisle.serve.live.queues.heavy_queue import Heavy
from crossaisle.serve.live.recommender import LiveRecommender
from crossaisle.serve.live.saved_models import SavedModels
from crossaisle.serve.metrics import Metrics
from crossaisle.serve.store.store import Picture

Key = tuple[str, str]
"""Names of an experiment and of one of its arms."""
Recommenders = Mapping[Key, LiveRecommender]


class Served(Protocol):
    """What an arm starts from: the model that serves everybody else, and the catalogue."""

    @property
    def recommender(self) -> LiveRecommender:
        """The active model, following events."""

    @property
    def changed(self) -> Mapping[str, dict[str, Any]]:
        """Items that differ from the model's catalogue, by id."""

    @property
    def pictures(self) -> Mapping[str, Picture]:
        """Pictures of items that were put in, without their contents."""


class Arms:
    """The recommenders and batchers of all running arms that have one of their own."""

    def __init__(
        self,
        live: LiveHistories,
        models: SavedModels | None,
        metrics: Metrics,
        heavy: Heavy,
        limits: LiveLimits = LiveLimits(),
    ) -> None:
        """`models`: the folder of saved models."""
        self._live, self._models, self._metrics, self._heavy = live, models, metrics, heavy
        self._limits = limits
        self._recommenders: dict[Key, LiveRecommender] = {}
        self._batchers: dict[Key, Batcher] = {}

    def built(self, experiment: Experiment, served: Served) -> dict[Key, LiveRecommender]:
        """Recommenders of an experiment's arms. Slow: not in the event loop.

        `UnknownIdError` for a model that is not there, `ConfigError` for weights of a part that is not there.
        """
        made = {}
        for arm in experiment.arms:
            if arm.model is None and arm.weights is None:
                continue
            key = experiment.name, arm.name
            before = self._recommenders.get(key)
            base = self._base(experiment, arm, served.recommender.base, before)
            made[key] = LiveRecommender(
                base,
                self._live,
                served.changed,
                before=before,
                pictures=served.pictures,
                rules=served.recommender.rules,
                limits=self._limits,
            )
        return made

    def rebuilt(self, experiments: Iterable[Experiment], served: Served) -> Recommenders:
        """Those of all these experiments, for another active model or a changed catalogue. Slow."""
        return {key: shop for one in experiments for key, shop in self.built(one, served).items()}

    def _base(
        self, experiment: Experiment, arm: Arm, active: Recommender, before: LiveRecommender | None
    ) -> Recommender:
        if arm.model is not None and before is not None:
            return before.base
        base = active if arm.model is None else self._loaded(arm.name, arm.model)
        return base if arm.weights is None else reweighted(base, experiment.placement, arm.weights)

    def _loaded(self, arm: str, model: str) -> Recommender:
        if self._models is None:
            raise UnknownIdError(f"arm {arm!r}: no model {shorten(model)} in the folder of models")
        try:
            return Recommender.load(self._models.find(model))
        except UnknownIdError as error:
            raise UnknownIdError(f"arm {arm!r}: {error}") from None

    def batcher_of(self, experiment: Experiment, arm: Arm) -> Batcher | None:
        """Where to ask for a list of an arm; None if it uses the active model as it is."""
        key = experiment.name, arm.name
        if key not in self._batchers and key in self._recommenders:
            self._batchers[key] = Batcher(
                lambda: self._recommenders[key], self._metrics, self._heavy, self._limits.queues
            )
        return self._batchers.get(key)

    def add(self, recommenders: Recommenders) -> None:
        """Serves these from now on, besides the others."""
        self._recommenders |= recommenders

    def replace(self, recommenders: Recommenders) -> None:
        """Serves these from now on, and no others."""
        self._recommenders = dict(recommenders)

    def remove(self, experiment: str) -> None:
        """Ends all arms of an experiment."""
        for key in [key for key in self._recommenders if key[0] == experiment]:
            if batcher := self._batchers.pop(key, None):
                batcher.end()
            del self._recommenders[key]

    def __iter__(self) -> Iterator[LiveRecommender]:
        """The recommenders; for any thread."""
        return iter(list(self._recommenders.values()))

    def close(self) -> None:
        """Ends the threads."""
        for batcher in self._batchers.values():
            batcher.close()


def reweighted(base: Recommender, placement: str, weights: Mapping[str, float]) -> Recommender:
    """The same models with other weights for a placement; `ConfigError` for a part it does not have."""
    for name in weights:
        if name not in base.blend.parts:
            raise ConfigError(f"the model has no part {shorten(name)}{nearest(name, base.blend.parts)}")
    if not any(weights.values()):
        raise ConfigError("weights of an arm: at least one must differ from 0")
    changed = {placement: dict(weights)} | ({"unseen": dict(weights)} if placement == "for_you" else {})
    return base.with_weights(changed)
