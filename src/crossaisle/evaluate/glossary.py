"""Names of slices, metrics and protocols for people, and what they mean."""

from __future__ import annotations

SLICES: dict[str, tuple[str, str]] = {
    "all": ("Everything", "Every item that a customer went on to choose."),
    "same_open": ("Same category", "Items in the category of the customer's last event."),
    "cross_open": (
        "Across categories, open list",
        "Items in a different category from the customer's last event, ranked among all items.",
    ),
    "cross_limited": (
        "Across categories",
        "Items in a different category from the customer's last event, ranked only among such items.",
    ),
    "novel_open": (
        "Categories new to the customer, open list",
        "Items in a category where the customer has no history, ranked among all items.",
    ),
    "novel_limited": (
        "Categories new to the customer",
        "Items in a category where the customer has no history, ranked only among such items.",
    ),
    "cross_leaf_open": (
        "Across leaf categories, open list",
        "Like “Across categories”, with the most detailed categories.",
    ),
    "cross_leaf_limited": (
        "Across leaf categories",
        "Like “Across categories”, with the most detailed categories.",
    ),
    "novel_leaf_open": (
        "Leaf categories new to the customer, open list",
        "Like “Categories new to the customer”, with the most detailed categories.",
    ),
    "novel_leaf_limited": (
        "Leaf categories new to the customer",
        "Like “Categories new to the customer”, with the most detailed categories.",
    ),
    "new_item": ("New products", "Items the customer never had before, ranked only among such items."),
    "new_category": (
        "Products of a new category",
        "Items in a category where the customer has no history, ranked only among such items.",
    ),
    "repeat": ("Bought again", "Items the customer had before."),
    "cold_item": ("Items nobody chose before", "Items without a single event in the training data."),
    "cold_user": ("Customers without a history", "Customers seen for the first time."),
}
"""name -> (title, meaning)."""

METRICS: dict[str, tuple[str, str, bool | None]] = {
    "recall": (
        "Recall",
        "Share of the items the customer went on to choose that are in the list. If there "
        "are more of them than places, a list full of hits counts as 1.",
        True,
    ),
    "ndcg": (
        "NDCG",
        "Like recall, but a hit counts more the higher it is in the list. 1 is a perfect order.",
        True,
    ),
    "hr": ("Hit rate", "Share of customers with at least one hit in the list.", True),
    "mrr": ("MRR", "One divided by the rank of the first hit: 1 if it comes first, 0.5 if second.", True),
    "map": (
        "MAP",
        "Mean of the precision at each hit: high when the hits are at the top.",
        True,
    ),
    "precision": ("Precision", "Share of the list that was chosen.", True),
    "f1": ("F1", "Harmonic mean of precision and recall.", True),
    "accuracy": ("Accuracy", "Share of customers whose very first recommendation was a hit.", True),
    "auc": (
        "AUC",
        "Probability that a chosen item ranks above one that was not chosen; 0.5 is guessing.",
        True,
    ),
    "log_loss": (
        "Log-loss",
        "How surprised the model is by what was chosen, in nats, over all candidates.",
        False,
    ),
    "coverage": ("Coverage", "Share of the catalogue that was recommended to at least one user.", True),
    "gini": (
        "Gini",
        "How unevenly items are shown: 0 when all are shown equally often, 1 when only one is shown.",
        False,
    ),
    "novelty": (
        "Novelty",
        "How rare the recommended items are, in bits: one bit more is half as common.",
        None,
    ),
    "category_diversity": (
        "Diversity (categories)",
        "How different the categories in a list are: 0 if all are the same, 1 if they share nothing.",
        None,
    ),
    "vector_diversity": (
        "Diversity (texts)",
        "How different the texts of the items in a list are.",
        None,
    ),
    "serendipity": (
        "Serendipity",
        "Share of the list that was chosen and is not among the 50 most obvious items (by item-kNN).",
        True,
    ),
    "outside_history": (
        "Outside the history",
        "Share of the list from categories new to the customer.",
        None,
    ),
    "calibration": (
        "Calibration",
        "How far the mix of categories in a list is from that of the history: 0 is the same mix.",
        None,
    ),
}
"""name -> (title, meaning, whether higher is better; None where it depends on what one wants)."""

PROTOCOLS: dict[str, str] = {
    "temporal": (
        "The shop's history was cut at one date. The models learned from everything before "
        "it and predicted what each customer would choose afterwards, as they would in the "
        "live shop."
    ),
    "leave_last_out": (
        "The last event of each customer was held out and had to be predicted. This makes "
        "the figures comparable with published ones, but models may have seen later events "
        "of other customers."
    ),
    "baskets": (
        "Whole baskets were held out. From the items in the first category of each basket, "
        "the models had to predict the rest, which are in other categories."
    ),
    "random": (
        "Events were held out at random, regardless of their time. The models have seen what "
        "customers did later, which a live shop never can: the figures are only comparable "
        "with others of this kind."
    ),
    "cold_items": (
        "Some items were treated as new: all their events were held out, and each customer's "
        "last one had to be predicted from the customer's other events."
    ),
    "cold_users": (
        "Some customers were treated as new: the models saw none of their events and had to "
        "predict the next item from the first ones."
    ),
    "cold_categories": (
        "Whole categories were treated as new: all their events were held out, and each "
        "customer's last one had to be predicted from the customer's events in other "
        "categories."
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
