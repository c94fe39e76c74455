"""What models are called in reports, for readers who do not know their identifiers."""

from __future__ import annotations

NAMES: dict[str, tuple[str, str]] = {
    "crossaisle": (
        "crossaisle",
        "The model that would serve: a blend of the others, weighted on validation.",
    ),
    "blend": ("blend without the ranker", "The weighted sum of all parts, before the learned ranker."),
    "popularity": ("bestsellers", "The same list for everyone: what most customers chose."),
    "frequency": ("own habit", "What the customer chose most often, the latest first."),
    "item_knn": ("item-kNN", "Items that share customers with those of the history."),
    "item_knn_all": (
        "item-kNN, whole history",
        "The same, old items of the history counting as much as new ones.",
    ),
    "item_knn_conditional": ("item-kNN, one way", "The same, by the share of an item's own customers."),
    "basket_knn": ("basket-kNN", "Items of baskets that resemble the present one."),
    "ease": ("EASE", "Linear weights between all pairs of items, in closed form (Steck, WWW 2019)."),
    "slit": ("SLIT", "Like EASE, but from one item of a history to the next (Choi et al., WWW 2021)."),
    "slit_text": ("SLIT + text", "SLIT with what the language model says of titles."),
    "als": ("ALS", "Matrix factorisation of implicit feedback (Hu, Koren & Volinsky, ICDM 2008)."),
    "sequence": ("sequence model", "A small transformer over the order of events, started from the texts."),
    "two_tower": ("two towers", "A tower that reads item texts beside one that reads the newest events."),
    "tfidf": ("words in common", "Titles and descriptions that share rare words (TF-IDF)."),
    "encoder": ("language model", "Titles that mean the same, by a pretrained language model."),
    "picture": ("pictures", "Items that look alike, by a pretrained picture encoder."),
    "knowledge": ("what the shop knows", "The shop's own file of what goes together."),
    "basket_lift": ("together in baskets", "Leaf categories that share baskets more often than by chance."),
    "basket_popularity": ("bestsellers in baskets", "The items that are in the most baskets."),
    "basket_complement": (
        "complements in baskets",
        "What is in the same baskets as an item more often than by chance.",
    ),
    "basket_leaf": ("leaf categories in baskets", "Leaf categories that are reliably bought together."),
    "basket_first": ("top picks for a cart", "The bestseller among what is reliably bought with the cart."),
    "basket_habit": ("habit in baskets", "What is most often in the customer's own baskets."),
    "transferred_popularity": ("bestselling types elsewhere", "Types that sell in another shop."),
    "transferred_links": ("types together elsewhere", "Types that go together in another shop."),
    "category_link": ("linked categories", "Categories that the same customers choose from."),
    "complement": ("complements", "What is chosen together with an item more often than by chance."),
    "cart_alone": ("complements, cart only", "The same, without the customer's history."),
}
"""identifier -> (name in words, what it does)."""


def model_title(model: str) -> str:
    """The name of a model in words; its own where there is no other."""
    return NAMES[model][0] if model in NAMES else model
