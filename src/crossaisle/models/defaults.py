"""`default_parts`: which models a shop gets, read off its data. Their weights come from validation."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay
from crossaisle.data.kinds import ROLES
from crossaisle.data.knowledge.rules import Rule
from crossaisle.data.splits.carts import has_baskets
from crossaisle.decode import build
from crossaisle.errors import ConfigError, nearest
from crossaisle.models.base import Scorer
from crossaisle.models.registry import SCORERS
from crossaisle.models.scorers.basket_lift import BasketLift
from crossaisle.models.scorers.category_link import CategoryLink
from crossaisle.models.scorers.complement import ComplementSoftmax
from crossaisle.models.scorers.content import EncoderSimilarity, TfidfSimilarity
from crossaisle.models.scorers.frequency import Frequency, PersonalPopularity
from crossaisle.models.scorers.item_knn import ItemKNN
from crossaisle.models.scorers.knowledge import Knowledge
from crossaisle.models.scorers.leaf_lift import LeafLift
from crossaisle.models.scorers.linear import EASE, SLIT
from crossaisle.models.scorers.picture_similarity import PictureSimilarity, pictures_at_hand
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.scorers.sequence import SequenceTransformer
from crossaisle.models.scorers.spectral import SpectralEASE
from crossaisle.models.scorers.vectors.history_vectors import can_be_learned

BESIDE = (
    "basket_lift",
    "basket_popularity",
    "basket_complement",
    "basket_knn",
    "basket_leaf",
    "basket_first",
    "basket_habit",
)
"""The parts that only `goes_with` asks, in a shop whose users have baskets."""
FIRST = "basket_first"
"""The part that fills the first places beside a cart; how many, not how much it counts, is chosen."""
LEAF = "basket_leaf"
"""The part that says which kinds of products surely go together."""
OF_TEXTS = ("tfidf", "encoder", "picture")
"""Parts that find what is alike: substitutes. Not asked of a cart where trips say what goes with it."""
OF_HISTORY = ("basket_habit",)
"""Those of them that are asked of the user's history, not of the cart."""
OF_USERS = ("frequency", "item_knn", "item_knn_all", "ease", "slit", "als", "sequence", "two_tower")
"""Parts that know what the same people buy over months: not asked of a cart where trips are known."""
PART_NAME = re.compile(r"[a-z0-9][a-z0-9_]*")
"""Parts are folders of a saved model."""
KNOWLEDGE = "knowledge"
"""The part that knows a shop's own rules. Asked by `goes_with`, of the cart, and by `discover`."""
REPEATS_ARE_COMMON = 0.10
"""From this share of repeated (user, item) pairs on, histories are long lists of habits rather than short
sequences. Habit is a part below it, too, wherever anything repeats."""

ENOUGH_EVENTS = 10_000
"""With fewer events than this a sequence model learns them by heart."""


def repeat_share(dataset: Dataset) -> float:
    """Share of the events whose user had had the item before, in the same way (looked at, bought); 0 for
    baskets without users."""
    events = dataset.events
    if dataset.users_are_baskets or not len(events):
        return 0.0
    pair = events.user.astype(np.int64) * dataset.n_items + events.item
    if dataset.roles is not None:  # a view, a cart and a purchase of one item are no purchase again
        pair = pair * len(ROLES) + dataset.roles
    return 1.0 - len(np.unique(pair)) / len(events)


def comes_back(dataset: Dataset) -> bool:
    """Whether any user has several events with one item, of whatever kinds."""
    events = dataset.events
    pairs = np.unique(events.user.astype(np.int64) * dataset.n_items + events.item)
    return not dataset.users_are_baskets and len(pairs) < len(events)


def buys_again(dataset: Dataset) -> bool:
    """Whether the same users come back for the same items, as in a supermarket."""
    return repeat_share(dataset) > REPEATS_ARE_COMMON


def default_parts(
    dataset: Dataset,
    *,
    encoder: str = "minilm",
    pictures: str = "none",
    picture_hosts: Sequence[str] = (),
    sequence: str = "auto",
    keep: int = 300,
    seed: int = 0,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    leave_out: Sequence[str] = (),
    knowledge: Sequence[Rule] = (),
) -> dict[str, Scorer]:
    """Unfitted models by name. Three kinds of shop differ:

    baskets without users (sets, directed complements), users who buy again (long histories, habits),
    and users who do not (short sequences, where order counts most). `pictures` names the encoder of
    pictures, which take part where enough items have one that can be read; `knowledge` holds the rules of
    the shop. `sequence`: "auto" has a sequence model where `learns_sequences` and torch is
    installed, "off" has none. `settings` and `leave_out` as for `with_settings`.
    """
    parts = _by_shop(dataset, encoder, keep, seed)
    if knowledge:
        parts[KNOWLEDGE] = Knowledge(rules=tuple(knowledge), decay=_decay_of(parts))
        for part in parts.values():
            if isinstance(part, LeafLift):
                part.rules = tuple(knowledge)
    if pictures_at_hand(dataset, pictures, picture_hosts):
        texts = parts["tfidf"]
        assert isinstance(texts, TfidfSimilarity)
        parts["picture"] = PictureSimilarity(
            encoder=pictures, hosts=tuple(picture_hosts), decay=texts.decay, average=texts.average
        )
    if sequence == "auto" and learns_sequences(dataset) and can_be_learned():
        parts["sequence"] = SequenceTransformer(encoder=encoder, seed=seed)
    changed = with_settings(parts, settings or {}, leave_out)
    if not any(isinstance(part, Popularity) for part in changed.values()):
        raise ConfigError("[model]: leave_out must not name popularity: users without a history need it")
    return changed


def with_settings(
    parts: Mapping[str, Scorer], settings: Mapping[str, Mapping[str, Any]], leave_out: Sequence[str] = ()
) -> dict[str, Scorer]:
    """The parts with other hyper-parameters, further parts, and without those left out; all unfitted.

    `settings` by name of the part. A name that is no part yet needs `kind`: a scorer of the registry.
    `ConfigError` names the nearest known part, kind or setting.
    """
    out = dict(parts)
    for name in leave_out:
        if name not in parts:
            raise ConfigError(
                f"[model]: leave_out names {name!r}, which is not a part of this shop{nearest(name, parts)}"
            )
        del out[name]
    for name, given in settings.items():
        where, changes = f"[model.parts.{name}]", dict(given)
        kind = changes.pop("kind", out[name].kind if name in out else None)
        if kind is None:
            raise ConfigError(
                f"{where}: not a part of this shop{nearest(name, out)}; to add a part, give its kind, "
                "such as kind = 'als'"
            )
        if kind not in SCORERS:
            raise ConfigError(f"{where}: unknown kind {kind!r}{nearest(str(kind), SCORERS)}")
        if not PART_NAME.fullmatch(name):
            raise ConfigError(f"{where}: a part's name must be lower-case letters, digits and _")
        known = out[name].settings() if name in out and out[name].kind == kind else {}
        out[name] = build(SCORERS[kind], known | changes, where, what="setting")
    if not out:
        raise ConfigError("[model]: leave_out removes every part: a blend needs at least one")
    return out


def _decay_of(parts: Mapping[str, Scorer]) -> Decay:
    """How much older events count for the models of texts."""
    texts = parts["tfidf"]
    assert isinstance(texts, TfidfSimilarity)
    return texts.decay


def learns_sequences(dataset: Dataset) -> bool:
    """Whether people buy a product once and there is enough to learn what comes next."""
    enough = len(dataset.events) >= ENOUGH_EVENTS and not dataset.users_are_baskets
    return enough and not buys_again(dataset)


def _by_shop(dataset: Dataset, encoder: str, keep: int, seed: int) -> dict[str, Scorer]:
    if dataset.users_are_baskets:
        return _for_baskets(encoder, keep, seed)
    parts = _for_habits(encoder, keep) if buys_again(dataset) else _for_sequences(dataset, encoder, keep)
    if has_baskets(dataset):
        parts |= _beside(keep, seed)
    return parts


def _beside(keep: int, seed: int) -> dict[str, Scorer]:
    return {
        "basket_lift": BasketLift(keep=min(keep, 100)),
        "basket_popularity": Popularity(half_life_days=30.0, baskets=True, log=True),
        "basket_complement": ComplementSoftmax(
            baskets=True,
            max_baskets=60_000,
            max_items=5_000,
            dimensions=64,
            hidden=64,
            epochs=4,
            networks=1,
            seed=seed,
        ),
        "basket_knn": ItemKNN(baskets=True, neighbours=min(keep, 100), average=True),
        LEAF: LeafLift(seed=seed),
        FIRST: LeafLift(seed=seed, lead=5),
        "basket_habit": PersonalPopularity(),
    }


def _for_baskets(encoder: str, keep: int, seed: int) -> dict[str, Scorer]:
    everything = Decay()
    return {
        "popularity": Popularity(),
        "item_knn": ItemKNN(similarity="conditional", shrink=50.0, neighbours=max(keep, 1000), average=True),
        "ease": EASE(max_items=12_000, neighbours=12_000, keep=max(keep, 1000)),
        "complement": ComplementSoftmax(
            networks=5, epochs=16, dropout=0.35, negatives=1000, at_random=0.5, averaged=True, seed=seed
        ),
        "category_link": CategoryLink(depth=-1),
        **_texts(encoder, everything, average=True),
    }


def _for_habits(encoder: str, keep: int) -> dict[str, Scorer]:
    recent = Decay(half_life_days=60.0)
    return {
        "popularity": Popularity(half_life_days=30.0),
        "frequency": Frequency(decay=Decay(half_life_days=120.0)),
        "item_knn": ItemKNN(combine="max", neighbours=keep, average=True),
        "ease": SpectralEASE(),
        "category_link": CategoryLink(decay=recent),
        **_texts(encoder, recent, average=True),
    }


def _for_sequences(dataset: Dataset, encoder: str, keep: int) -> dict[str, Scorer]:
    latest = Decay(events=2.0)
    habit: dict[str, Scorer] = {}
    if comes_back(dataset):
        habit["frequency"] = Frequency(decay=Decay(half_life_days=120.0))
        habit["item_knn_all"] = ItemKNN(combine="max", neighbours=keep, average=True)
    return {
        "popularity": Popularity(half_life_days=180.0 if dataset.has_time else None),
        **habit,
        "item_knn": ItemKNN(decay=latest, neighbours=keep),
        "slit": SLIT(decay=latest, keep=keep),
        "category_link": CategoryLink(depth=-1, decay=latest),
        **_texts(encoder, latest, average=False),
    }


def _texts(encoder: str, decay: Decay, *, average: bool) -> dict[str, Scorer]:
    parts: dict[str, Scorer] = {"tfidf": TfidfSimilarity(decay=decay, average=average)}
    if encoder != "none":
        parts["encoder"] = EncoderSimilarity(encoder=encoder, decay=decay, average=average)
    return parts
