"""What models are called in reports, for readers who do not know their identifiers."""

from __future__ import annotations

NAMES: dict[str, tuple[str, str]] = {
    "crossaisle": (
        "crossaisle",
        "The model that would serve: a blend of the others, weighted on validation.",
    ),
    "blend": ("blend without the ranker", "The weighted sum of all parts, before the learned ranker."),
    "popularity": ("bestsellers", "The same list for everybody: what most customers chose."),
    "frequency": ("own habit", "What the customer chose most often, the latest first."),
    "item_knn": ("item-kNN", "Items that share customers with those of the history."),
    "item_knn_all": (
        "item-kNN, whole history",
        "The same, old items of the history counting as much as new ones.",
    ),
    "item_knn_conditional": ("item-kNN, one way", "The same, by the share of an item's own customers."),
    "basket_knn": ("basket-kNN", "Items of baskets that resemble the present one."),
    "ease": ("EASE", "Linear weights between all pairs of items, in closed form (Steck, WWW 2019)."),
    "slit": ("SLIT", "As EASE, from one item of a history to the next (Choi et al., WWW 2021)."),
    "slit_text": ("SLIT + text", "SLIT with what the language model says of titles."),
    "als": ("ALS", "Matrix factorisation of implicit feedback (Hu, Koren & Volinsky, ICDM 2008)."),
    "sequence": ("sequence model", "A small transformer over the order of events, started from the texts."),
    "two_tower": ("two towers", "A tower that reads item texts beside one that reads the newest events."),
    "tfidf": ("words in common", "Titles and descriptions that share rare words (TF-IDF)."),
    "encoder": ("language model", "Titles that mean the same, by a pretrained language model."),
    "picture": ("pictures", "Items that look alike, by a pretrained picture encoder."),
    "knowledge": ("what the shop knows", "Its own file of what goes together."),
    "basket_lift": ("together in baskets", "Leaf categories that share more baskets than chance would give."),
    "basket_popularity": ("bestsellers in baskets", "What most baskets hold."),
    "basket_complement": ("complements in baskets", "What joins an item in baskets beyond chance."),
    "basket_leaf": ("finest categories in baskets", "Finest categories that are surely bought together."),
    "basket_first": ("first places beside a cart", "The best seller of what is surely bought with the cart."),
    "basket_habit": ("habit in baskets", "What the customer's own baskets hold most often."),
    "transferred_popularity": ("bestselling types elsewhere", "Types that sell in another shop."),
    "transferred_links": ("types together elsewhere", "Types that go together in another shop."),
    "category_link": ("linked categories", "Categories that the same customers choose from."),
    "complement": ("complements", "What is chosen together with an item, beyond what chance would give."),
    "cart_alone": ("complements, cart only", "The same without what is known of the customer."),
}
"""identifier -> (name in words, what it does)."""


def model_title(model: str) -> str:
    """The name of a model in words; its own where there is no other."""
    return NAMES[model][0] if model in NAMES else model
