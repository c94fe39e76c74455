import numpy as np
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.importer import import_frames
from crossaisle.data.labels.negatives import POWER, SCHEMES, Scheme, label_pairs
from crossaisle.errors import ConfigError, DataError


@pytest.fixture(scope="module")
def viewed() -> Dataset:
    """40 items in 8 categories, 30 users who look at ten and buy three of them."""
    rng = np.random.default_rng(3)
    rows = []
    for user in range(30):
        for place, item in enumerate(rng.permutation(40)[:10]):
            rows.append((f"u{user}", f"i{item}", "view", place))
            if place < 3:
                rows.append((f"u{user}", f"i{item}", "purchase", place + 20))
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "kind", "day"], orient="row")
    events = events.with_columns(
        (pl.datetime(2024, 1, 1) + pl.duration(days=pl.col("day"))).dt.to_string().alias("time")
    ).drop("day")
    items = pl.DataFrame(
        {"item_id": [f"i{i}" for i in range(40)], "categories": [f"c{i // 5}" for i in range(40)]}
    )
    return import_frames(items, events).dataset


@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_negative_was_chosen_and_none_comes_twice(viewed: Dataset, scheme: Scheme):
    labels = label_pairs(viewed, scheme=scheme, per_positive=2, seed=1)
    bought = {
        (u, i)
        for u, i, wanted in zip(viewed.events.user, viewed.events.item, viewed.wanted, strict=True)
        if wanted
    }
    pairs = list(zip(labels.user.tolist(), labels.item.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs)
    assert {p for p, label in zip(pairs, labels.label, strict=True) if label} == bought
    negatives = {p for p, label in zip(pairs, labels.label, strict=True) if not label}
    assert not negatives & bought
    assert len(negatives) + labels.missing == 2 * len(bought)
    seen = set(zip(viewed.events.user.tolist(), viewed.events.item.tolist(), strict=True))
    assert negatives <= seen if scheme == "seen" else not negatives & seen


def test_hard_negatives_share_the_category(viewed: Dataset):
    labels = label_pairs(viewed, scheme="category", per_positive=1)
    code = viewed.taxonomy.codes()
    for user in range(viewed.n_users):
        mine = labels.user == user
        chosen = set(code[labels.item[mine & (labels.label == 1)]])
        assert set(code[labels.item[mine & (labels.label == 0)]]) <= chosen


def test_an_item_alone_in_its_leaf_draws_from_its_category():
    items = pl.DataFrame(
        {"item_id": ["a", "b", "c", "d"], "categories": ["X > 1", "X > 2", "X > 3", "Y > 4"]}
    )
    events = pl.DataFrame({"user_id": ["u"], "item_id": ["a"], "time": ["2024-01-01"]})
    data = import_frames(items, events).dataset
    labels = label_pairs(data, scheme="category", per_positive=2)
    assert data.item_ids.ids(labels.item[labels.label == 0]) == ["b", "c"]
    assert labels.missing == 0


def test_popular_items_are_drawn_as_often_as_stated():
    counts = [1, 16, 81, 256]
    items = pl.DataFrame({"item_id": [*"abcd", "z"]})
    rows = [(f"{name}{n}", name) for name, count in zip("abcd", counts, strict=True) for n in range(count)]
    events = pl.DataFrame(
        [*rows, *((f"z{n}", "z") for n in range(4000))], schema=["user_id", "item_id"], orient="row"
    )
    events = events.with_columns(pl.lit("2024-01-01").alias("time"))
    data = import_frames(items, events).dataset
    z = data.item_ids.row("z")
    users = data.events.user[data.events.item == z]
    labels = label_pairs(data, per_positive=1, chosen=(users, np.full(len(users), z, np.int32)))
    drawn = np.bincount(labels.item[labels.label == 0], minlength=5)[data.item_ids.rows("abcd")]
    shares = np.array(counts) ** POWER / (np.array(counts) ** POWER).sum()
    assert drawn / drawn.sum() == pytest.approx(shares, abs=0.02)


def test_the_seed_decides(viewed: Dataset):
    one, same, other = (label_pairs(viewed, seed=seed).item for seed in (0, 0, 1))
    assert (one == same).all()
    assert not np.array_equal(one, other)


def test_what_is_asked_in_vain_is_counted(shop: Dataset):
    labels = label_pairs(shop, scheme="uniform", per_positive=100)
    assert len(labels) == shop.n_users * shop.n_items
    assert labels.missing == int((labels.label == 1).sum()) * 100 - int((labels.label == 0).sum())


def test_bad_requests_are_refused(shop: Dataset):
    with pytest.raises(ConfigError, match=r"unknown scheme of negatives 'popular'.*popularity"):
        label_pairs(shop, scheme="popular")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="such as views"):
        label_pairs(shop, scheme="seen")
    with pytest.raises(ConfigError, match="per_positive"):
        label_pairs(shop, per_positive=0)
