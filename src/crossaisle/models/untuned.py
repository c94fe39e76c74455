"""`untuned_weights`: what parts count where no validation case can say."""

from __future__ import annotations

from collections.abc import Iterable

UNTUNED = {
    "tfidf": 1.0,
    "encoder": 0.5,
    "picture": 0.5,
    "slit": 50.0,
    "item_knn": 1.0,
    "item_knn_all": 1.0,
    "ease": 1.0,
    "frequency": 1.0,
    "category_link": 1.0,
    "complement": 0.1,
    "knowledge": 0.5,
    "basket_lift": 0.3,
    "basket_popularity": 0.1,
    "basket_complement": 0.1,
    "basket_knn": 1.0,
    "basket_habit": 0.1,
    "popularity": 0.05,
    "transferred_popularity": 0.1,
    "transferred_links": 0.3,
}
"""Part -> weight of its raw scores. Texts carry the lists of a shop without events: TF-IDF and half as much
of an encoder, the proportion that was best on three shops' validation. Parts that learn from events say
nothing before the first, and take over as they speak up (SLIT at 50 times TF-IDF, which was best there, too).
Popularity breaks ties."""


def untuned_weights(names: Iterable[str]) -> dict[str, float]:
    """part -> weight, the largest 1; parts that are not in `UNTUNED` get none.

    Unless no part is: then all count the same.
    """
    names = list(names)
    known = {name: UNTUNED[name] for name in names if name in UNTUNED}
    top = max(known.values(), default=1.0)
    return {name: weight / top for name, weight in known.items()} or dict.fromkeys(names, 1.0)
