"""Measures what a merchandiser's rules do to the lists of the demo shop, and what they cost.

    crossaisle demo --out DIR
    python benchmarks/rules.py DIR/model --out rules.json

Lists: how many of 100 lists of ten, for drawn households, show something a rule keeps out; and how many of
the lists beside each of the nappies show tobacco or alcohol even if adults are asked for.

Quality: the model's own weights (chosen on validation), with parts fitted on train and validation. R@10 on
the test, by placement: without rules and with every item on its own ("off"); with one item of a family
("families"); with the demo's rules ("rules"); and with both, as lists are served ("on"). Ratios to "off" have
a paired bootstrap interval. Right answers are those of `lists.py`. The same lists are counted four ways:

items       as in published figures: a list that shows another item of the family is wrong
groups      as with `[evaluate] count = "groups"`: a family is one answer, and any of its items is a hit
... sold    without right answers that the rules keep out of every list: nobody may be shown those

The difference between "on" and "off", counted by items, is broken down exactly, in shares of the recall of
"off". Right answers that only "off" shows have one cause each; those that only "on" shows are "found
instead".

another member   another item of its family is shown, and scored higher ("both had": the user had both)
wrong member     the item of its family that is shown scored lower: a fault
own member       the same where the user had it: lists that do not know the user show it
rules            a rule keeps it out
elsewhere        none of these: its family is not shown at all

"best member": the "on" lists with the best-fitting item of each family, counted by items: how much a better
choice of the member could gain. "adult": the same with `adult=true`.

Speed: microseconds of a list in this process, from a cached ranking and from scores, without rules, with the
demo's, and with 100 synthetic ones that name categories (medians; needs a quiet machine).
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from lists import SEED, Case, K, cases_of, interval

from crossaisle.data.datasets import find_catalogue
from crossaisle.data.merchandising.rules import NO_RULES, RuleSet, read_rule_file, shipped
from crossaisle.data.query import Placement, Query
from crossaisle.evaluate.families import Families
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.pipeline.fit import refit, split_of
from crossaisle.recommend.lists.own_member import OPEN
from crossaisle.recommend.ranker import score_requests
from crossaisle.recommend.recommender import Recommender
from crossaisle.recommend.request import ResolvedQuery
from crossaisle.serve.live.histories import LiveHistories
from crossaisle.serve.live.recommender import LiveRecommender

OUT = ("never", "adults-only")
NAPPIES = "Diapers"
BABIES = "not-beside-babies"
MADE_UP = 100


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="a saved model")
    parser.add_argument("--out", type=Path, required=True, help="file for the results")
    parser.add_argument(
        "--rules", type=Path, default=shipped("completejourney"), help="file of rules (default: %(default)s)"
    )
    parser.add_argument(
        "--cases", type=int, default=1000, help="test cases, drawn with a seed (default: %(default)s)"
    )
    given = parser.parse_args()
    start = time.perf_counter()
    rules = read_rule_file(given.rules)
    served = Recommender.load(given.model).with_rules(NO_RULES)
    out: dict[str, Any] = {
        "lists_with_a_banned_item": banned_lists(served, rules),
        "microseconds": speed(served, rules),
    }
    print(json.dumps(out, indent=1), flush=True)
    split = split_of(served.dataset, find_catalogue("completejourney").split)
    blend, _ = refit(served.blend, split.past)
    past = Recommender(split.past, blend, repeats=served.repeats, newcomers=served.newcomers)
    out["placements"] = {}
    families = Families.of_items(served.dataset.items)
    for placement, cases in cases_of(served, split, given.cases).items():
        found = measured(past, cases, rules, families)
        row: dict[str, Any] = {"cases": len(cases), "score lost": round(float(np.nanmean(found.cost)), 4)}
        off = float(np.nanmean(found.recalls["items"]["off"]))
        row["on beside off"] = {why: round(share / len(cases) / off, 4) for why, share in found.moved.items()}
        for way, recalls in found.recalls.items():
            row[way] = {"cases": int(np.isfinite(recalls["off"]).sum()), **ratios(recalls)}
        out["placements"][placement] = row
        print(placement, json.dumps(row), flush=True)
        given.out.write_text(
            json.dumps(out | {"seconds": round(time.perf_counter() - start)}, indent=1) + "\n"
        )


def ratios(recalls: dict[str, Any]) -> dict[str, list[float]]:
    """Recall of each setting, and its ratio to "off", over cases that have a right answer."""
    there = np.isfinite(recalls["off"])
    draws, off = Bootstrap(n=int(there.sum()), seed=SEED), recalls["off"][there][:, None]
    out: dict[str, list[float]] = {}
    for name, every in recalls.items():
        own = every[there]
        out[f"R@10 {name}"] = interval(draws, own)
        if name != "off":
            out[f"ratio {name}"] = [round(v, 4) for v in draws.ratio(own[:, None], off).of(0)]
    return out


def banned_lists(shop: Recommender, rules: RuleSet) -> dict[str, dict[str, int]]:
    """Placement -> without and with rules -> how many lists show what a rule keeps out."""
    ruled = shop.with_rules(rules)
    users = shop.dataset.user_ids.ids(np.random.default_rng(SEED).permutation(shop.dataset.n_users)[:100])
    placements: tuple[Placement, ...] = ("for_you", "discover", "buy_again", "trending")
    queries = {name: [Query(placement=name, user=user, n=K) for user in users] for name in placements}
    nappies = shop.dataset.item_ids.ids(shop.dataset.taxonomy.find(NAPPIES))
    queries["goes_with"] = [Query(placement="goes_with", items=(item,), n=K, adult=True) for item in nappies]
    sides = {one.rule.id: one for one in ruled.merchandising.matched}
    out_of_lists = np.unique(np.concatenate([one.items for one in sides.values() if one.rule.action in OUT]))
    banned = dict.fromkeys(placements, out_of_lists) | {"goes_with": sides[BABIES].items}
    found: dict[str, dict[str, int]] = {}
    for name, several in queries.items():
        gone = set(shop.dataset.item_ids.ids(banned[name]))
        for label, one in (("without", shop), ("with", ruled)):
            lists = one.recommend_many(several)
            found.setdefault(name, {})[label] = sum(bool(gone & set(each.ids)) for each in lists)
            found[name][f"shorter than {K}, {label}"] = sum(len(each) < K for each in lists)
    return found


WAYS = ("items", "groups", "items sold", "groups sold")


class Found(NamedTuple):
    """The hits of one placement's lists."""

    recalls: dict[str, dict[str, Any]]
    """Way of counting -> setting -> float32 (n,) recall at 10; NaN where nothing is a right answer."""
    cost: Any
    """float (n,): the share of the score that rules cost the served list."""
    moved: Counter[str]
    """Why a right answer is in "off" or "on" only -> the recall of "on" it changes, summed over cases."""


def measured(shop: Recommender, cases: list[Case], rules: RuleSet, families: Families) -> Found:
    """The lists of each setting, all from the same scores."""
    ruled = shop.with_rules(rules)
    each: dict[str, Any] = {"one_per_title": False}
    settings: dict[str, tuple[Recommender, dict[str, Any]]] = {
        "off": (shop, each),
        "families": (shop, {}),
        "rules": (ruled, each),
        "on": (ruled, {}),
        "on, adult": (ruled, {"adult": True}),
    }
    names = (*settings, "best member")
    recalls = {way: {name: np.full(len(cases), np.nan, np.float32) for name in names} for way in WAYS}
    cost, ids, moved = np.full(len(cases), np.nan), shop.dataset.item_ids, Counter[str]()
    kept_out = [one.items for one in ruled.merchandising.matched if one.rule.action in OUT]
    banned = np.unique(np.concatenate(kept_out))
    for start in range(0, len(cases), 50):
        batch = cases[start : start + 50]
        requests = [shop.resolve(query) for query, _ in batch]
        every = zip(batch, requests, score_requests(shop.ranker, requests), strict=True)
        for at, ((query, right), request, scores) in enumerate(every, start):
            answers = ids.rows(right)
            sold = answers[~np.isin(answers, banned)]
            lists: dict[str, Any] = {}
            for name, (one, controls) in settings.items():
                found = one.lists.finish(replace(query, **controls), request, scores)
                shown = lists[name] = ids.rows(found.ids)
                for way, rows in zip(WAYS, (answers, answers, sold, sold), strict=True):
                    recalls[way][name][at] = recall(shown, rows, families.code if "groups" in way else None)
                if name == "on":
                    cost[at] = np.nan if found.rules_cost is None else found.rules_cost
                    for way, rows in zip(WAYS, (answers, answers, sold, sold), strict=True):
                        hits = np.isin(families.code[rows], families.code[shown])
                        fits = len(np.unique(families.code[rows[hits]]))
                        of = len(rows) if "items" in way else len(np.unique(families.code[rows]))
                        recalls[way]["best member"][at] = fits / min(K, of) if of else np.nan
            fits = ruled.lists.candidates(query, request)
            for why, n in moves(
                lists["off"], lists["on"], answers, scores, families.code, request, fits
            ).items():
                moved[why] += n / min(K, len(answers))
    return Found(recalls, cost, moved)


def moves(
    off: Any, on: Any, right: Any, scores: Any, code: Any, request: ResolvedQuery, fits: Any
) -> Counter[str]:
    """Why right answers are in one of two lists only -> count, negative for those lost.

    `code`: families. `fits` bool (n_items,): items that rules and filters allow.
    """
    out = Counter[str]()
    out["found instead"] = len(np.setdiff1d(np.intersect1d(on, right), off))
    for row in np.setdiff1d(np.intersect1d(off, right), on).tolist():
        [*members] = on[code[on] == code[row]].tolist()
        had = np.isin([row, *members], request.history)
        if not fits[row]:
            out["rules"] -= 1
        elif not members:
            out["elsewhere"] -= 1
        elif scores[members[0]] >= scores[row]:
            out["another member, both had" if had.all() else "another member"] -= 1
        else:
            out["own member" if had[1] and request.placement in OPEN else "wrong member"] -= 1
    return out


def recall(shown: Any, right: Any, code: Any = None) -> float:
    """The share of the right rows (at most `K`) that a list shows. `code`: families, each counted once."""
    if not len(right):
        return float("nan")
    if code is not None:
        shown, right = np.unique(code[shown]), np.unique(code[right])
    return float(np.isin(right, shown).sum()) / min(K, len(right))


def speed(base: Recommender, rules: RuleSet) -> dict[str, dict[str, float]]:
    """Rules -> microseconds of a list, from a cached ranking and from scores."""
    users = base.dataset.user_ids.ids(np.random.default_rng(SEED).permutation(base.dataset.n_users)[:100])
    queries = [Query(user=user, n=K) for user in users]
    sets = {"none": NO_RULES, "the demo's": rules}
    sets |= {f"{MADE_UP} that {what}": made_up(base, actions) for what, actions in KINDS.items()}
    scores = score_requests(base.ranker, [base.resolve(query) for query in queries])
    out: dict[str, dict[str, float]] = {}
    for name, some in sets.items():
        live, whole = LiveRecommender(base, LiveHistories(), rules=some), base.with_rules(some)
        live.score_many(queries)
        requests = [whole.resolve(query) for query in queries]

        def from_scores(at: int, one: Recommender = whole, asked: list[Any] = requests) -> object:
            return one.lists.finish(queries[at], asked[at], scores[at])

        def kept(at: int, one: LiveRecommender = live) -> object:
            return one.from_cache(queries[at])

        out[name] = {"from a kept ranking": timed(kept), "from scores": timed(from_scores)}
    return out


KINDS: dict[str, tuple[str, ...]] = {
    "take out": ("never", "adults-only", "only-with", "never-with"),
    "do everything": ("never", "only-with", "never-with", "boost", "bury"),
}


def made_up(base: Recommender, actions: tuple[str, ...]) -> RuleSet:
    """Synthetic rules about small categories, and two pins at places where they move items."""
    names = sorted(base.dataset.taxonomy.categories, key=lambda name: len(base.dataset.taxonomy.find(name)))
    names = [f"category:{name}" for name in names[200 : 200 + 2 * MADE_UP]]
    several: list[dict[str, Any]] = []
    for at in range(MADE_UP):
        action = actions[at % len(actions)]
        beside = {"beside": [names[MADE_UP + at]]} if action.endswith("with") else {}
        several.append({"id": f"r{at}", "action": action, "items": [names[at]], **beside})
    if "boost" in actions:
        for at in range(2):
            several[at] = {"id": f"r{at}", "action": "pin", "items": [names[at]], "position": at + 2}
    return RuleSet.of(several, "made up")


def timed(work: Callable[[int], object]) -> float:
    """Median microseconds over 100 calls, the best of five rounds of each."""
    best = [min(_once(work, at) for _ in range(5)) for at in range(100)]
    return round(statistics.median(best) * 1e6, 1)


def _once(work: Callable[[int], object], at: int) -> float:
    start = time.perf_counter()
    work(at)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
