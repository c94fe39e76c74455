"""Every slice against a slow reading of its definition, ties and NaN included."""

import numpy as np
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.splits.split import basket_split, leave_last_out, temporal_split
from crossaisle.evaluate.metrics import Relevant, hr, ndcg, recall
from crossaisle.evaluate.ranking import first_places, rank_cases
from crossaisle.evaluate.slices import slices_of
from tests.evaluate.shops import random_shop, shop


def noisy(seed: int, n_items: int, *, ties: bool):
    """A scorer whose scores depend on user and item only, with ties and NaN when asked."""
    table = np.random.default_rng(seed).normal(size=(64, n_items)).astype(np.float32)
    if ties:
        table = np.round(table)
        table[:, 3] = np.nan
        table[5, :] = np.nan

    def score(histories: Histories) -> np.ndarray:
        return table[histories.user]

    return score


def slow(
    name: str, cases: EvalCases, data: Dataset, counts: np.ndarray, table
) -> dict[tuple[int, int], float]:
    """(case, target) -> rank, by the words of the table in `slices`."""
    leaf = "_leaf" in name
    category = data.taxonomy.codes(-1 if leaf else None).tolist()
    top = data.taxonomy.codes().tolist()
    out = {}
    for c in range(len(cases)):
        history, targets = cases.histories.items_of(c).tolist(), cases.targets_of(c).tolist()
        scores = np.nan_to_num(table[cases.histories.user[c]], nan=-1e9)
        had = {category[i] for i in history}
        last = category[history[-1]] if history else -1
        open_list = set(range(data.n_items))
        if cases.mask_seen:
            open_list -= set(history)
        if cases.other_categories_only:
            open_list = {i for i in open_list if top[i] == -1 or top[i] not in {top[h] for h in history}}
        keep = open_list
        if name.endswith("_limited") or name == "new_category":
            novel = "novel" in name or name == "new_category"
            if not cases.other_categories_only:
                keep = {i for i in keep if category[i] >= 0}
                keep = {i for i in keep if (category[i] not in had if novel else category[i] != last)}
        if name == "new_item":
            keep = keep - set(history)
        for t in targets:
            known = category[t] >= 0
            wanted = {
                "all": True,
                "same": known and last == category[t],
                "cross": known and last >= 0 and last != category[t],
                "novel": known and bool(history) and category[t] not in had,
                "new_category": known and bool(history) and category[t] not in had,
                "new_item": bool(history) and t not in history,
                "repeat": t in history,
                "cold_item": counts[t] == 0,
                "cold_user": not history,
            }
            if cases.other_categories_only:
                wanted["cross"] = True
            if not (wanted[name] if name in wanted else wanted[name.split("_")[0]]):
                continue
            others = [scores[i] for i in keep]
            above, level = sum(o > scores[t] for o in others), sum(o == scores[t] for o in others)
            out[c, t] = above + (level + 1) / 2 if t in keep else np.inf
    return out


def splits(seed: int):
    data = random_shop(seed, n_events=260)
    made = temporal_split(data)
    yield data, made.test, made.past
    masked = EvalCases(made.test.histories, made.test.target_indptr, made.test.target, mask_seen=True)
    yield data, masked, made.past
    yield data, leave_last_out(data).test, leave_last_out(data).past
    rng = np.random.default_rng(seed)
    paths = [f"c{i % 4}>d{i % 8}" if i % 9 else "" for i in range(30)]
    baskets = shop(
        [(b, int(i), None) for b in range(40) for i in rng.integers(0, 30, 6)], paths, users_are_baskets=True
    )
    cut = basket_split(baskets)
    carts = cut.test.histories
    known = Histories(carts.indptr, carts.item, carts.day, np.arange(len(carts), dtype=np.int32), carts.now)
    yield baskets, EvalCases(known, cut.test.target_indptr, cut.test.target, True, True), cut.past


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_all_slices_match_their_definition(seed: int, ties: bool):
    seven_cases = 4 * 30 * 7
    for data, cases, past in splits(seed):
        score = noisy(seed, data.n_items, ties=ties)
        table = score(Histories.of([[]] * 64, users=range(64)))
        slices = slices_of(cases, data.taxonomy, past.item_counts)
        made = rank_cases({"m": score}, cases, data.taxonomy, slices, batch_bytes=seven_cases)["m"]
        owner = np.repeat(np.arange(len(cases)), np.diff(cases.target_indptr))
        for one in slices:
            expected = slow(one.name, cases, data, past.item_counts, table)
            found = {
                (int(owner[i]), int(cases.target[i])): made.rank[one.limit][i]
                for i in np.flatnonzero(one.targets)
            }
            assert found == expected, one.name


@pytest.mark.parametrize("k", [1, 4, 10])
@pytest.mark.parametrize("ties", [False, True])
def test_the_first_places_give_the_same_figures_as_all_ranks(k: int, ties: bool):
    for data, cases, past in splits(k):
        score = noisy(k, data.n_items, ties=ties)
        slices = slices_of(cases, data.taxonomy, past.item_counts)
        whole = rank_cases({"m": score}, cases, data.taxonomy, slices)["m"]
        first = first_places({"m": score}, cases, data.taxonomy, slices, k=k, batch_bytes=840)["m"]
        owner = np.repeat(np.arange(len(cases)), np.diff(cases.target_indptr))
        for one in slices:
            found = [
                Relevant(
                    owner[one.targets],
                    places.rank[one.limit][one.targets],
                    len(cases),
                    places.ties[one.limit][one.targets],
                )
                for places in (whole, first)
            ]
            for metric in (ndcg, recall, hr):
                expected, quick = (metric(relevant, k) for relevant in found)
                assert np.array_equal(quick, expected, equal_nan=True), (one.name, metric.__name__)


def test_slice_names():
    data = random_shop(0)
    made = temporal_split(data)
    names = [s.name for s in slices_of(made.test, data.taxonomy, made.past.item_counts)]
    assert names == [
        *("all", "same_open", "cross_open", "cross_limited", "novel_open", "novel_limited"),
        *("cross_leaf_open", "cross_leaf_limited", "novel_leaf_open", "novel_leaf_limited"),
        *("new_item", "new_category", "repeat", "cold_item", "cold_user"),
    ]
    masked = leave_last_out(data)
    names = [s.name for s in slices_of(masked.test, data.taxonomy, masked.past.item_counts)]
    assert "repeat" not in names
    assert names[-2:] == ["cold_item", "cold_user"]


def test_one_level_of_categories_has_no_leaf_slices():
    data = shop([(0, i, None) for i in (0, 1, 2)], ["A", "A", "B"])
    made = leave_last_out(data)
    assert not any("leaf" in s.name for s in slices_of(made.test, data.taxonomy, made.past.item_counts))


def test_lists_leave_out_the_history_and_what_cannot_be_scored():
    data = shop([(0, 0, None), (0, 1, None), (0, 4, None)], ["A", "A", "B", "B", "C"])
    made = leave_last_out(data)
    row = np.array([[9.0, 8.0, np.nan, 1.0, 2.0]], np.float32)
    slices = slices_of(made.test, data.taxonomy, made.past.item_counts)
    found = rank_cases({"m": lambda h: row}, made.test, data.taxonomy, slices, k=4)["m"]
    assert found.lists.tolist() == [[4, 3, -1, -1]]
    assert found.candidates["open"].tolist() == [3]
    assert found.rank["open"].tolist() == [1.0]


def test_a_scorer_of_the_wrong_shape_is_named():
    data = shop([(0, i, None) for i in (0, 1, 2)], ["A", "A", "B"])
    made = leave_last_out(data)
    with pytest.raises(ValueError, match=r"shape \(1, 2\) for 1 cases, 3 items"):
        rank_cases({"m": lambda h: np.zeros((1, 2), np.float32)}, made.test, data.taxonomy, [])
