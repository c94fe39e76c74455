import numpy as np
import polars as pl
import pytest
from scipy.stats import binomtest, fisher_exact

from crossaisle.data.ingest.importer import import_frames
from crossaisle.data.labels.together import label_together
from crossaisle.errors import DataError


def trips(rows: list[tuple[str, int, str]], views: list[tuple[str, int, str]] = []):  # noqa: B006
    """A shop from (user, day, items, by letter)."""
    lines = [
        (u, i, kind, day)
        for kind, of in (("purchase", rows), ("view", views))
        for u, day, items in of
        for i in items
    ]
    events = pl.DataFrame(lines, schema=["user_id", "item_id", "kind", "day"], orient="row")
    events = events.with_columns(
        (pl.datetime(2024, 1, 1) + pl.duration(days=pl.col("day"))).dt.to_string().alias("time")
    ).drop("day")
    return import_frames(None, events).dataset


def random_trips(n: int, seed: int = 0) -> list[tuple[str, int, str]]:
    rng = np.random.default_rng(seed)
    return [
        (f"u{t // 5}", t % 5, "".join(x for x in "abcdefgh" if rng.random() < 0.3) or "a") for t in range(n)
    ]


def row(frame: pl.DataFrame, a: str, b: str) -> dict:
    return frame.filter((pl.col("item_a") == a) & (pl.col("item_b") == b)).row(0, named=True)


def test_counts_lift_confidence_and_p_by_hand():
    data = random_trips(200)
    frame = label_together(trips(data), least=1)
    found = row(frame, "a", "b")
    both = sum("a" in x and "b" in x for *_, x in data)
    a, b = (sum(c in x for *_, x in data) for c in "ab")
    assert found["together"] == both
    assert found["lift"] == pytest.approx(both * 200 / (a * b))
    assert found["confidence"] == pytest.approx(both / a)
    assert row(frame, "b", "a")["confidence"] == pytest.approx(both / b)
    table = [[both, a - both], [b - both, 200 - a - b + both]]
    p = {}
    for x, y in frame.filter(pl.col("item_a") < pl.col("item_b")).select("item_a", "item_b").rows():
        n = sum(x in t and y in t for *_, t in data)
        i, j = (sum(c in t for *_, t in data) for c in (x, y))
        p[x, y] = fisher_exact([[n, i - n], [j - n, 200 - i - j + n]], alternative="greater").pvalue
    assert p["a", "b"] == pytest.approx(fisher_exact(table, alternative="greater").pvalue)
    # Benjamini and Hochberg, step up, over all 28 pairs
    ranked = sorted(p, key=lambda pair: p[pair])
    q, least = {}, 1.0
    for rank, pair in reversed(list(enumerate(ranked, start=1))):
        least = min(least, p[pair] * 28 / rank)
        q[pair] = least
    for (x, y), value in q.items():
        assert row(frame, x, y)["q"] == pytest.approx(value, rel=1e-9)


def test_planted_complements_are_found_and_chance_is_not():
    alarms = 0
    for seed in range(20):
        frame = label_together(trips(random_trips(300, seed)))
        alarms += frame.filter(pl.col("label") == 1).height > 0
    assert alarms <= 3  # a false discovery rate of .05 under no association: one shop in twenty
    planted = [
        *random_trips(300),
        *((f"v{t}", 1, "xy") for t in range(20)),
        *((f"w{t}", 1, "x") for t in range(9)),
    ]
    frame = label_together(trips(planted))
    best = frame.row(0, named=True)
    assert {best["item_a"], best["item_b"]} == {"x", "y"}
    assert best["label"] == 1
    assert best["confidence"] == 1.0  # every y comes with an x: the rarer one leads to the other
    assert best["item_a"] == "y"


def test_what_is_compared_and_not_bought_together_is_labelled_zero():
    bought = [(f"u{t}", 1, "ac" if t % 2 else "bc") for t in range(40)] + [
        (f"m{t}", 1, "ab") for t in range(6)
    ]
    bought += [(f"o{t}", 1, "d") for t in range(60)]
    views = [(f"u{t}", 0, "ab") for t in range(40)] + [(f"o{t}", 0, "d") for t in range(60)]
    frame = label_together(trips(bought, views))
    assert row(frame, "a", "b")["view_lift"] == pytest.approx(40 * 100 / (40 * 40))
    assert row(frame, "a", "b")["lift"] < 2.5
    assert row(frame, "a", "b")["label"] == 0
    assert row(frame, "a", "c")["label"] == 1
    assert row(frame, "a", "c")["view_lift"] is None  # nobody looked at c
    assert row(frame, "a", "c")["score"] > row(frame, "a", "b")["score"]


def test_what_follows_leads():
    planted = [
        trip
        for u in range(30)
        for trip in (
            (f"u{u}", 1, "pk"),
            (f"u{u}", 2, "ck" if u % 6 else "k"),
            (f"u{u}", 3, "pc" if u % 5 == 0 else "k"),
        )
    ]
    frame = label_together(trips(planted), least=5)
    forth, back = row(frame, "p", "c"), row(frame, "c", "p")
    assert (forth["after"], back["after"]) == (25, 5)
    assert forth["leads"]
    assert not back["leads"]
    assert forth["leads_q"] >= binomtest(25, 30).pvalue
    assert not row(frame, "p", "k")["leads"] or row(frame, "p", "k")["after"] > row(frame, "k", "p")["after"]


def test_popularity_alone_does_not_lead():
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(20):
        data = [
            (
                f"u{u}",
                d,
                "".join(x for x, p in (("a", 0.8), ("b", 0.2), ("c", 0.4)) if rng.random() < p) or "z",
            )
            for u in range(60)
            for d in range(6)
        ]
        wrong += label_together(trips(data))["leads"].any()
    assert wrong <= 3


def test_nothing_to_pair():
    with pytest.raises(DataError, match="fewer than two items are in 5 trips"):
        label_together(trips([("u", 1, "ab")]))
