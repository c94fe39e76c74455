"""Names of slices, metrics and protocols for people, and what they mean."""

from __future__ import annotations

SLICES: dict[str, tuple[str, str]] = {
    "all": ("Everything", "Every item that a customer went on to choose."),
    "same_open": ("Same category", "Items of the category the customer was last in."),
    "cross_open": (
        "Across categories, open list",
        "Items of another category than the customer's last one, ranked among all items.",
    ),
    "cross_limited": (
        "Across categories",
        "Items of another category than the customer's last one, ranked among such items only.",
    ),
    "novel_open": (
        "Categories new to the customer, open list",
        "Items of a category the customer has no history in, ranked among all items.",
    ),
    "novel_limited": (
        "Categories new to the customer",
        "Items of a category the customer has no history in, ranked among such items only.",
    ),
    "cross_leaf_open": ("Another finest category, open list", "As across categories, at the finest level."),
    "cross_leaf_limited": ("Another finest category", "As across categories, at the finest level."),
    "novel_leaf_open": ("New finest category, open list", "As new categories, at the finest level."),
    "novel_leaf_limited": ("New finest category", "As new categories, at the finest level."),
    "new_item": ("New products", "Items the customer never had, ranked among such items only."),
    "new_category": (
        "Products of a new category",
        "Items of a category the customer has no history in, ranked among such items only.",
    ),
    "repeat": ("Bought again", "Items the customer had before."),
    "cold_item": ("Items nobody chose before", "Items without a single event in the training data."),
    "cold_user": ("Customers without a history", "Customers seen for the first time."),
}
"""name -> (title, meaning)."""

METRICS: dict[str, tuple[str, str, bool | None]] = {
    "recall": (
        "Recall",
        "Share of what the customer went on to choose that stands in the list; where more was chosen than "
        "the list has places, a full list of hits counts as 1.",
        True,
    ),
    "ndcg": ("NDCG", "As recall, but a hit counts more the higher it stands. 1 is a perfect order.", True),
    "hr": ("Hit rate", "Share of customers with at least one hit in the list.", True),
    "mrr": ("MRR", "One over the place of the first hit: 1 when it is on top, 0.5 when second.", True),
    "map": (
        "MAP",
        "Mean precision at the place of each hit: high when hits stand together at the top.",
        True,
    ),
    "precision": ("Precision", "Share of the list that was chosen.", True),
    "f1": ("F1", "Harmonic mean of precision and recall.", True),
    "accuracy": ("Accuracy", "Share of customers whose very first recommendation was a hit.", True),
    "auc": ("AUC", "Chance that a chosen item stands above one that was not; 0.5 is guessing.", True),
    "log_loss": (
        "Log-loss",
        "How surprised the model is by what was chosen, in nats, over all candidates.",
        False,
    ),
    "coverage": ("Coverage", "Share of the catalogue that was recommended to at least one user.", True),
    "gini": (
        "Gini",
        "How unevenly items are shown: 0 when all are shown alike, 1 when one item takes it all.",
        False,
    ),
    "novelty": ("Novelty", "How rare the recommended items are, in bits: one more is half as common.", None),
    "category_diversity": (
        "Diversity (categories)",
        "How far apart the categories within a list are: 0 all the same, 1 nothing shared.",
        None,
    ),
    "vector_diversity": (
        "Diversity (texts)",
        "How different the texts of the items within a list are.",
        None,
    ),
    "serendipity": (
        "Serendipity",
        "Share of the list that was chosen and is not among the 50 most obvious (item-kNN) items.",
        True,
    ),
    "outside_history": (
        "Outside the history",
        "Share of the list from categories new to the customer.",
        None,
    ),
    "calibration": (
        "Calibration",
        "How far the categories of a list are from those of the history: 0 is the same mix.",
        None,
    ),
}
"""name -> (title, meaning, whether higher is better; None where it depends on what one wants)."""

PROTOCOLS: dict[str, str] = {
    "temporal": (
        "The shop's history was cut at one date. The models learned from what came before and were asked "
        "what each customer would choose afterwards, as they would be asked in the shop."
    ),
    "leave_last_out": (
        "The last event of each customer was hidden and had to be found again. This makes figures "
        "comparable to published ones; models may have seen other customers' later events."
    ),
    "baskets": (
        "Whole baskets were hidden. From the part of each basket that lies in its first category, the "
        "models had to find the rest, which lies in others."
    ),
    "random": (
        "Events were hidden at random, whatever their time. Models have seen what customers did later, which "
        "a shop never has: figures are comparable to others of this kind only."
    ),
    "cold_items": (
        "Some items were made new: all their events were hidden, and the last one of each customer had to be "
        "found from what else the customer had."
    ),
    "cold_users": (
        "Some customers were made new: the models have seen none of their events, and had to find the next "
        "item from the first one."
    ),
    "cold_categories": (
        "Whole categories were made new: all their events were hidden, and the last one of each customer had "
        "to be found from what the customer had of other categories."
    ),
}


def slice_title(name: str) -> str:
    """The name of a slice in reports; its own where there is no other."""
    return SLICES[name][0] if name in SLICES else name


def slice_meaning(name: str) -> str:
    """What is in a slice; "" for one without a description."""
    return SLICES[name][1] if name in SLICES else ""


def metric_title(name: str, k: int | None = None) -> str:
    """What a metric is called, with the length of the list it looks at."""
    title = METRICS[name][0] if name in METRICS else name
    return title if k is None or name == "accuracy" else f"{title}@{k}"
