"""Features whose values are known by hand."""

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction import FeatureHasher

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.ingest.importer import import_frames
from crossaisle.errors import DataError, MissingDependencyError
from crossaisle.features.encoding import target_encoded
from crossaisle.features.interests import interest_points
from crossaisle.features.items import item_table, one_hot, price_position
from crossaisle.features.keywords import by_encoder, by_tfidf, by_yake, keyword_columns
from crossaisle.features.pairs import pair_table
from crossaisle.features.space import ItemSpace
from crossaisle.features.table import Table
from crossaisle.features.users import user_table
from crossaisle.models.ranking.tables import ShopTables


def test_item_features_by_hand(shop: Dataset):
    now = 19_723.0 + 20  # 21 January 2024
    table = item_table(shop, now)
    row = {name: i for i, name in enumerate(shop.item_ids.all)}
    assert table.column("item.log_events")[row["bread"]] == pytest.approx(np.log(1 + 5))
    assert table.column("item.age_days")[row["cake"]] == pytest.approx(18 - 10 / 24, abs=1e-3)
    assert np.isnan(table.column("item.age_days")[row["new"]])
    assert table.column("item.trend")[row["bread"]] == pytest.approx(np.log(6))
    assert table.column("item.log_price")[row["bread"]] == pytest.approx(np.log(2))
    assert np.isnan(table.column("item.log_price")[row["honey"]])
    assert table.column("item.title_words")[row["bread"]] == 2
    assert table.column("item.category=Bakery")[row["cake"]] == 1
    assert table.column("item.category=Bakery")[row["milk"]] == 0
    assert table.column("item.brand=Meadow").sum() == 2
    # bread 2.0, rolls 1.5 and new 2.5 are the aisle Bread
    position = price_position(shop)
    assert position[[row["rolls"], row["bread"], row["new"]]] == pytest.approx([1 / 6, 3 / 6, 5 / 6])
    assert np.isnan(position[row["honey"]])
    hashes = np.stack([table.column(f"item.hash:{i}") for i in range(16)], axis=1)
    texts = ["brand=Mill", "category0=Bakery", "category1=Bread"]
    expected = FeatureHasher(n_features=16, input_type="string").transform([texts]).toarray()[0]
    assert hashes[row["bread"]] == pytest.approx(expected)


def test_columns_are_chosen_by_mass():
    table = one_hot("x", ["a", "b", "", None, "c"], np.array([1.0, 5.0, 9.0, 9.0, 3.0]), most=2)
    assert table.names == ("x=b", "x=c")
    assert table.values.tolist() == [[0, 0], [1, 0], [0, 0], [0, 0], [0, 1]]


def test_user_and_pair_features_by_hand():
    items = pl.DataFrame(
        {
            "item_id": ["a", "b", "c", "d"],
            "title": ["red apple", "green apple", "steel hammer", "steel nail"],
            "categories": ["Food", "Food", "Tools", "Tools"],
            "brand": ["x", "y", "x", "x"],
            "price": [1.0, 3.0, 10.0, 20.0],
        }
    )
    rows = [
        ("u", "a", "2024-01-01"),
        ("u", "c", "2024-01-03"),
        ("u", "a", "2024-01-08"),
        ("v", "d", "2024-01-09"),
    ]
    events = pl.DataFrame(rows, schema=["user_id", "item_id", "time"], orient="row")
    people = pl.DataFrame({"user_id": ["u", "v"], "age": [30, None], "town": ["Ghent", "Bruges"]})
    data = import_frames(items, events, people).dataset
    now = float(data.events.time.max() / 86_400) + 1  # 10 January
    histories = data.histories(now=now)
    space = ItemSpace.of(data)
    position = price_position(data)
    points = interest_points(histories, space, data)
    users = user_table(histories, data, position, points)
    u, v = data.user_ids.row("u"), data.user_ids.row("v")
    assert users.column("user.events")[u] == pytest.approx(np.log(4))
    assert users.column("user.categories")[u] == 2
    assert users.column("user.days_since")[u] == pytest.approx(2.0)
    assert users.column("user.gap_days")[u] == pytest.approx((2 + 5) / 2)
    assert users.column("user.tempo")[u] == pytest.approx(7 * 3 / 10)
    assert users.column("user.price_level")[u] == pytest.approx(0.25)
    assert users.column("user.repeats")[u] == pytest.approx(1 / 3)
    assert users.column("user.share:Food")[u] == pytest.approx(2 / 3)
    assert users.column("user.age").tolist() == pytest.approx([30.0, np.nan], nan_ok=True)
    assert users.column("user.town=Ghent")[[u, v]].tolist() == [1.0, 0.0]
    assert np.isnan(users.column("user.gap_days")[v])
    owner = np.array([u, u, v])
    item = data.item_ids.rows(["a", "d", "a"])
    pairs = pair_table(histories, owner, item, space, ShopTables.of(data), position, points)
    assert pairs.column("pair.times_had").tolist() == [2, 0, 0]
    assert pairs.column("pair.days_since_had").tolist() == pytest.approx([2.0, np.nan, np.nan], nan_ok=True)
    assert pairs.column("pair.category_share") == pytest.approx([2 / 3, 1 / 3, 0.0])
    assert pairs.column("pair.brand_share") == pytest.approx([1.0, 1.0, 1.0])
    assert pairs.column("pair.price_gap") == pytest.approx([0.0, 0.5, -0.5])
    assert pairs.column("pair.similarity_last")[0] == pytest.approx(1.0)
    near = space.vectors[item[1]] @ space.vectors[data.item_ids.row("c")]
    assert pairs.column("pair.similarity_best")[1] == pytest.approx(
        max(near, space.vectors[item[1]] @ space.vectors[item[0]])
    )


def test_an_empty_history_is_unknown_and_not_zero(shop: Dataset):
    histories = Histories.of([[]])
    space = ItemSpace.of(shop)
    pairs = pair_table(
        histories,
        np.zeros(1, np.int64),
        np.zeros(1, np.int32),
        space,
        ShopTables.of(shop),
        price_position(shop),
        [()],
    )
    assert np.isnan(pairs.column("pair.similarity_last")[0])
    assert np.isnan(pairs.column("pair.category_share")[0])
    users = user_table(histories, shop, price_position(shop), [()])
    assert np.isnan(users.column("user.days_since")[0])


def test_targets_are_told_out_of_fold():
    """A column with a different value in each row says nothing: in-fold encoding would leak every label."""
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, 400).astype(np.int8)
    fold = (np.arange(400) % 5).astype(np.int8)
    unique = np.array([f"v{i}" for i in range(400)], dtype=object)
    grouped = np.array(["yes" if (y if rng.random() < 0.9 else 1 - y) else "no" for y in label], dtype=object)
    values = {"unique": unique, "grouped": grouped}
    table, later = target_encoded(
        values, label, fold, {"unique": unique[:3], "grouped": np.array(["yes", "no", "?"], object)}
    )
    one = table.column("item.target:unique")
    for number in range(5):
        outside = label[fold != number].mean()
        assert one[fold == number] == pytest.approx(np.full((fold == number).sum(), outside), abs=1e-6)
    yes, no, unknown = later.column("item.target:grouped")
    assert yes > 0.8
    assert no < 0.2
    assert unknown == pytest.approx(label.mean(), abs=1e-6)
    # no row's own label moves its own code
    flipped = label.copy()
    flipped[fold == 0] = 1 - flipped[fold == 0]
    again, _ = target_encoded(values, flipped, fold, {"unique": unique[:1], "grouped": grouped[:1]})
    assert (again.values[fold == 0] == table.values[fold == 0]).all()


class Letters:
    """An encoder: one direction per first letter, by how many words begin with it."""

    fingerprint = "letters"

    def encode(self, texts, *, progress=False):
        out = np.zeros((len(texts), 26), np.float32)
        for row, text in enumerate(texts):
            for word in filter(str.isalpha, text.lower().split()):
                out[row, ord(word[0]) - 97] += 1
        return out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-9)


def test_keywords_by_three_methods(shop: Dataset):
    space = ItemSpace.of(shop)
    titles = shop.items["title"].to_list()
    row = {name: i for i, name in enumerate(shop.item_ids.all)}
    tfidf = by_tfidf(space)
    assert set(tfidf[row["cake"]]) == {"lemon"}  # "cake" is in one title only: it joins no two items
    assert "bread" in tfidf[row["bread"]]
    yake = by_yake(titles)
    assert set(yake[row["bread"]]) <= {"white", "bread"}
    assert yake[row["bread"]]
    assert by_encoder(["apple axe bread", "", "12 oz"], Letters(), each=1) == [("apple",), (), ("oz",)]
    table = keyword_columns("tfidf", tfidf, shop.item_counts, most=2)
    assert len(table.names) == 2
    assert all(name.startswith("item.tfidf:") for name in table.names)
    bread = table.column("item.tfidf:bread")
    assert bread[row["bread"]] == 1
    assert bread[row["milk"]] == 0


def test_missing_libraries_name_the_command(monkeypatch: pytest.MonkeyPatch, shop: Dataset):
    import sys

    monkeypatch.setitem(sys.modules, "yake", None)
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[features\]"):
        by_yake(["a title"])
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction", None)
    with pytest.raises(MissingDependencyError, match=r"hashed features needs scikit-learn.*\[features\]"):
        item_table(shop, 0.0)


def test_tables_refuse_what_does_not_fit():
    with pytest.raises(DataError, match="two features have one name"):
        Table(("a", "a"), np.zeros((1, 2), np.float32))
    with pytest.raises(DataError, match=r"no feature 'user.evnts' \(did you mean 'user.events'\?\)"):
        Table(("user.events",), np.zeros((1, 1), np.float32)).only(["user.evnts"])
