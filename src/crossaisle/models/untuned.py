"""`untuned_weights`: the weights of parts where there are no validation cases to choose them by."""

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


BESIDE_CARTS = {"transferred_popularity": 0.3, "transferred_links": 1.0, "knowledge": 1.0}
"""The same for `goes_with`, where texts find little: best on validation carts of one supermarket without its
events, with another one carried over. What people wrote down counts more than the same words in two titles,
which are mostly a brand and a colour: beside a man's shirt stood a woman's."""


def untuned_weights(names: Iterable[str], placement: str = "for_you") -> dict[str, float]:
    """part -> weight, the largest 1; parts that are not in `UNTUNED` get none.

    Unless no part is: then all count the same.
    """
    names, chosen = list(names), UNTUNED | (BESIDE_CARTS if placement == "goes_with" else {})
    known = {name: chosen[name] for name in names if name in chosen}
    top = max(known.values(), default=1.0)
    return {name: weight / top for name, weight in known.items()} or dict.fromkeys(names, 1.0)
