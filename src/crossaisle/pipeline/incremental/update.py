"""`update`: a recommender with new events, part by part, and what was not touched."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from crossaisle.drift.since_fit import SinceFit
from crossaisle.models.base import Scorer
from crossaisle.models.blend import Blend
from crossaisle.models.updates import KEPT, Counts, Updated
from crossaisle.pipeline.fit import at_once
from crossaisle.pipeline.incremental.merge import Added
from crossaisle.recommend.recommender import Recommender

Kept = Mapping[str, Counts]
"""Part -> what it counted."""
SHARED = "reads no events"


class Update(NamedTuple):
    """An updated recommender."""

    recommender: Recommender
    counts: dict[str, Counts]
    """For the next update."""
    how: dict[str, str]
    """Part -> what was done with it."""

    def lines(self, events: int, users: int) -> list[str]:
        """What was done and what was not, for people."""
        done = [f"{name}: {how}" for name, how in self.how.items() if how not in (KEPT, SHARED)]
        left = [name for name, how in self.how.items() if how == KEPT]
        chosen = ["weights"] + (["rankers"] if self.recommender.rankers else [])
        since = self.recommender.since_fit
        assert since is not None
        return [
            f"{events:,} new events of {users:,} users; {'; '.join(done)}",
            f"unchanged since the last full fit: {', '.join([*left, *chosen])}",
            since.advice,
        ]


def update(base: Recommender, added: Added, counts: Kept | None = None) -> Update:
    """`base` with the events of `added`; it stays as it is itself. `counts`: those of its parts, where they
    were kept; without them the parts count anew what they need, once.

    Weights and rankers stay what validation chose, and drift is measured against what they were chosen on.
    """
    change, kept = added.change, counts or {}
    parts = base.blend.parts

    def one(name: str) -> Updated:
        part = parts[name]
        if not part.reads_events and added.same_texts:
            return Updated(part, SHARED)
        if not part.reads_events:
            return Scorer.update(part, change)
        return part.update(change, kept.get(name))

    # The longest first, so that the others are done beside it.
    names = sorted(parts, key=lambda name: parts[name].kind not in ("slit", "ease"))
    with ThreadPoolExecutor(at_once(change.after)) as pool:
        done = dict(zip(names, pool.map(one, names), strict=True))
    made = {name: done[name] for name in parts}
    blend = Blend(parts={name: each.scorer for name, each in made.items()}, weights=base.blend.weights)
    since = base.since_fit or SinceFit(len(change.before.events))
    new = base.replaced(
        dataset=change.after, blend=blend, reference=base.reference, since_fit=since.later(added.events)
    )
    fresh = {name: each.counts for name, each in made.items() if each.counts is not None}
    return Update(new, fresh, {name: each.how for name, each in made.items()})


def count(recommender: Recommender) -> dict[str, Counts]:
    """What the parts count of all events, for updates to come."""
    found = {name: part.count(recommender.dataset) for name, part in recommender.blend.parts.items()}
    return {name: counts for name, counts in found.items() if counts is not None}
