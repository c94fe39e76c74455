"""Measures how well `[data.clean]` repairs a catalogue.

    python benchmarks/cleaning.py categories --out runs/cleaning
    python benchmarks/cleaning.py all --out runs/cleaning

Each subcommand prints its figures and writes them to `NAME.json`; `all` runs one after the other.

categories: the category names of completejourney, at all depths. 1,000 categories of at least four products,
    drawn with a seed, are misspelt for up to a quarter of their products: case, blanks, "&" for "and",
    punctuation, full-width letters, or a letter left out, doubled, swapped or replaced in a word of five or
    more. Restored: all damaged products are back in their category. Wrongly merged: categories that lost
    products to another one or gained some.
duplicates: the 46,777 titles of amazon14 and 2,000 near-duplicates of some of them, drawn with a seed and
    changed in two ways each: case, punctuation, word order, the brand in front or behind, units, filler
    words, accents or a letter. A right pair is a near-duplicate and its original; precision counts all pairs
    with a near-duplicate in them. Originals are titles that occur once.
joins: the two GBK files of zh_groceries as they are, joined by `ids = "on"`.
mapping: 60 categories of three shops (tests/data/clean/pairs.py), labelled by hand and mapped by MiniLM.
    Decided: those with a confidence of at least `mapping.SURE`; accuracy is the share of these that are
    right. Handled: decided and right, or left to people where the other shop has no counterpart.
robots: the households of completejourney, 500 simulated people who browse (uneven sessions by day) and 1 %
    robots: crawlers, price watchers, scrapers and slow crawlers, each at a drawn pace. Five seeds.
speed: 100,370 real titles (amazon14, instacart, fashion) with all steps on. Run it alone to see its memory.
demo: what the steps that are on by default change in the known data sets.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from crossaisle.clean_config import CleanConfig
from crossaisle.config import DataConfig
from crossaisle.data.clean.catalogue import clean_products
from crossaisle.data.clean.categories.mapping import SURE, Tree, mapped
from crossaisle.data.clean.categories.names import CategoryNames
from crossaisle.data.clean.doubles import joined, twins, words_of
from crossaisle.data.clean.products import Products
from crossaisle.data.clean.report import Review
from crossaisle.data.clean.robots import robots, tempo_of
from crossaisle.data.clean.texts.words import WordForms
from crossaisle.data.datasets import find_catalogue, load_catalogue, pull_catalogue
from crossaisle.data.ingest.importer import import_dataset
from crossaisle.decode import build
from crossaisle.encoders.cache import pretrained
from crossaisle.encoders.tfidf import TfidfEncoder

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from tests.data.clean.pairs import PAIRS

SEED = 7


def slip(rng: random.Random, name: str) -> str | None:
    """A letter left out, doubled, swapped or replaced in a word of five letters or more."""
    words = list(re.finditer(r"[^\W\d_]{5,}", name))
    if not words:
        return None
    word = rng.choice(words)
    text, at = word[0], rng.randrange(1, len(word[0]) - 1)
    kind = rng.randrange(4)
    if kind == 0:
        new = text[:at] + text[at + 1 :]
    elif kind == 1:
        new = text[:at] + text[at] + text[at:]
    elif kind == 2:
        new = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    else:
        new = text[:at] + rng.choice("abcdefghijklmnopqrstuvwxyz") + text[at + 1 :]
    return name[: word.start()] + new + name[word.end() :]


def damage(rng: random.Random, name: str) -> tuple[str, str]:
    """A misspelt name, and the kind of damage."""
    kinds: dict[str, Callable[[], str | None]] = {
        "case": lambda: rng.choice([name.upper(), name.lower(), name.swapcase()]),
        "blanks": lambda: re.sub(
            r"(?<=\w) (?=\w)|(?<=\W)(?=\w)",
            lambda m: rng.choice(["  ", " ", ""]) if m[0] else rng.choice(["", " "]),
            name,
        ),
        "and": lambda: (
            name.replace("&", " and ")
            if "&" in name
            else (name.replace(" And ", " & ") if " And " in name else None)
        ),
        "signs": lambda: (
            re.sub(r"[-/:.]", lambda m: rng.choice(["-", " ", " - ", "/", " / "]), name)
            if re.search(r"[-/:.]", name)
            else None
        ),
        "wide": lambda: "".join(
            chr(ord(c) + 0xFEE0) if c.isalnum() and c.isascii() and rng.random() < 0.5 else c for c in name
        ),
        "slip": lambda: slip(rng, name),
    }
    while True:
        kind = rng.choice([*kinds, "slip", "slip", "slip"])
        new = kinds[kind]()
        if new is not None and new.strip() and " ".join(new.split()) != " ".join(name.split()):
            return " ".join(new.split()), kind


def categories() -> dict[str, Any]:
    """Repair of planted damage in category names."""
    shop = load_catalogue("completejourney").dataset
    rng = random.Random(SEED)
    paths = [p[0] for p in shop.taxonomy.paths]
    members: dict[tuple[str, ...], list[int]] = {}
    for row, path in enumerate(paths):
        for depth in range(1, len(path) + 1):
            members.setdefault(path[:depth], []).append(row)
    large = sorted(path for path, rows in members.items() if len(rows) >= 4)
    new = [list(path) for path in paths]
    cases = []
    for path in rng.sample(large, 1000):
        rows = rng.sample(members[path], rng.randint(1, len(members[path]) // 4))
        name, kind = damage(rng, path[-1])
        if (*path[:-1], name) in members:
            continue  # happens to be the name of another category
        for row in rows:
            new[row][len(path) - 1] = name
        cases.append((path, name, kind, rows))
    given = Products(shop.items, tuple((tuple(path),) for path in new), shop.cleaning.levels)
    start = time.perf_counter()
    done, report = CategoryNames(mode="on", confidence=0.9, review=Review())(given)
    seconds = time.perf_counter() - start
    after = [p[0] for p in done.paths]
    restored: Counter[str] = Counter()
    missed = []
    for path, name, kind, rows in cases:
        good = all(after[row][: len(path)] == path for row in rows)
        restored[kind] += good
        if not good:
            missed.append({"category": " > ".join(path), "damaged": name, "kind": kind})
    # a category is wrongly merged where products end up below a name that is another category's
    real = set(members)
    wrong = {
        (paths[row][:depth], after[row][:depth])
        for row in range(len(paths))
        for depth in range(1, len(paths[row]) + 1)
        if after[row][:depth] != paths[row][:depth] and after[row][:depth] in real
    }
    kinds = Counter(kind for _, _, kind, _ in cases)
    total = sum(restored.values())
    return {
        "cases": len(cases),
        "categories": len(members),
        "restored": total / len(cases),
        "wrongly_merged": len(wrong) / len(cases),
        "by_kind": {kind: f"{restored[kind]} of {n}" for kind, n in sorted(kinds.items())},
        "missed": missed[:20],
        "wrong": sorted(f"{' > '.join(a)} -> {' > '.join(b)}" for a, b in wrong)[:20],
        "proposals": len(report.proposals),
        "seconds": seconds,
    }


def retold(rng: random.Random, title: str, brand: str) -> str:
    """The title as another shop might write it."""
    words = title.split()
    changes: list[Callable[[], str]] = [
        lambda: rng.choice([title.upper(), title.lower()]),
        lambda: re.sub(
            r"[,.\-/&!:]", lambda m: rng.choice([" ", " - ", ", "]) if m[0] != "." else m[0], title
        ),
        lambda: " ".join([*words[len(words) // 2 :], *words[: len(words) // 2]]),
        lambda: (
            (f"{brand} {title}" if rng.random() < 0.5 else f"{title} by {brand}")
            if brand
            else f"{title} - New"
        ),
        lambda: re.sub(
            r"(\d+)\s?-?oz\b\.?|(\d+)\s?-?ounces?\b", lambda m: f"{m[1] or m[2]} Ounce", title, flags=re.I
        ),
        lambda: title + rng.choice([" [Toy]", " (Pack of 1)", " - New", " (Official)"]),
        lambda: title.replace("e", "é", 1),
        lambda: slip(rng, title) or title.upper(),
    ]
    return rng.choice(changes)()


def duplicates() -> dict[str, Any]:
    """Detection of planted near-duplicates."""
    items = pl.read_parquet(pull_catalogue("amazon14") / "amazon14" / "items.parquet")
    titles, brands = items["title"].fill_null("").to_list(), items["brand"].fill_null("").to_list()
    rng = random.Random(SEED)
    known = Counter(tuple(sorted(words_of(title))) for title in titles)
    fit = [
        r for r, t in enumerate(titles) if len(words_of(t)) >= 4 and known[tuple(sorted(words_of(t)))] == 1
    ]
    chosen = rng.sample(fit, 2000)
    n = len(titles)
    pairs = set()
    for row in chosen:
        new = retold(rng, retold(rng, titles[row], brands[row]), brands[row])
        pairs.add((row, len(titles)))
        titles.append(new)
        brands.append(brands[row])
    start = time.perf_counter()
    found = [d for d in twins(titles, brands) if d.confidence >= 0.9]
    seconds = time.perf_counter() - start
    leader = joined(len(titles), found)
    members: dict[int, list[int]] = {}
    for row, first in enumerate(leader.tolist()):
        members.setdefault(first, []).append(row)
    told = {
        (min(a, b), max(a, b))
        for rows in members.values()
        if rows[-1] >= n
        for a in rows
        for b in rows
        if a < b and b >= n
    }
    right = len(told & pairs)
    precision, recall = right / max(len(told), 1), right / len(pairs)
    rest = [d for d in found if d.other < n]
    return {
        "titles": len(titles),
        "planted": len(pairs),
        "precision": precision,
        "recall": recall,
        "f1": 2 * precision * recall / (precision + recall),
        "pairs_among_the_shop's_own": len(rest),
        "such_as": [[titles[d.one], titles[d.other]] for d in rng.sample(rest, min(10, len(rest)))],
        "missed": [[titles[a], titles[b]] for a, b in sorted(pairs - told)[:20]],
        "wrong": [[titles[a], titles[b]] for a, b in sorted(told - pairs)[:20]],
        "seconds": seconds,
    }


def joins() -> dict[str, Any]:
    """Join of two files that spell items differently."""
    folder = pull_catalogue("zh-groceries") / "zh_groceries"
    settings = {
        "name": "zh-groceries",
        "items": {
            "path": folder / "GoodsTypes.csv",
            "columns": {"item_id": "Goods", "title": "Goods", "categories": "Types"},
        },
        "events": {"path": folder / "GoodsOrder.csv", "columns": {"item_id": "Goods", "basket_id": "id"}},
        "clean": {"ids": "on"},
    }
    done = import_dataset(build(DataConfig, settings, "benchmark"))
    sold = len(np.unique(done.dataset.events.item))
    step = next(report for report in done.cleaning if report.name == "ids")
    return {
        "products": done.dataset.n_items,
        "joined": sold,
        "events": len(done.dataset.events),
        "set_aside": len(done.rejected.filter(pl.col("action") == "set aside")),
        "spelt_differently": [[p.before, p.after, p.confidence, p.why] for p, _ in step.proposals],
        "encodings": sorted({str(t["encoding"]) for t in done.report["tables"].values()}),
    }


def mapping() -> dict[str, Any]:
    """Mapping of one shop's categories to another's tree."""
    root = pull_catalogue("amazon14")
    items = pl.read_parquet(root / "amazon14" / "items.parquet")
    fashion = pl.read_parquet(root / "fashion" / "products.parquet")
    levels = fashion.select("masterCategory", "subCategory", "articleType").iter_rows()
    trees = {"fashion": Tree.of([(path,) for path in levels], fashion["productDisplayName"].to_list())}
    for name, domain in (("beauty", "Beauty"), ("toys", "Toys & Games")):
        part = items.filter(pl.col("domain").list.contains(domain))
        paths = [tuple(tuple(p.split(" > ")) for p in cell if p) for cell in part["category_paths"]]
        trees[name] = Tree.of(paths, part["title"].to_list())
    start = time.perf_counter()
    found = {
        (one, other): {p.before: p for p in mapped(trees[one], trees[other], pretrained("minilm").encode)}
        for one, other in sorted({(pair[0], pair[2]) for pair in PAIRS})
    }
    rows = []
    for one, category, other, right in PAIRS:
        guess = found[one, other][category]
        good = any(guess.after == r or guess.after.startswith(r + " > ") for r in right)
        rows.append((guess.confidence, good, bool(right), f"{category} -> {guess.after}"))
    decided = [row for row in rows if row[0] >= SURE]
    rejected = [row for row in rows if row[0] < SURE and not row[2]]
    first = [row for row in rows if row[2]]
    return {
        "pairs": len(rows),
        "threshold": SURE,
        "decided": len(decided),
        "accuracy_of_decided": sum(row[1] for row in decided) / len(decided),
        "handled": (sum(row[1] for row in decided) + len(rejected)) / len(rows),
        "best_guess_right_where_there_is_one": sum(row[1] for row in first) / len(first),
        "wrong": [row[3] for row in decided if not row[1]],
        "seconds": time.perf_counter() - start,
    }


SECOND, MINUTE, DAY = 1_000_000, 60_000_000, 86_400_000_000
Log = list[tuple[int, int, int]]
"""(user, item, microseconds)"""


def person(rng: np.random.Generator, user: int, n_items: int) -> Log:
    """Events of a person who browses: sessions by day, uneven pauses, popular items repeatedly."""
    out: Log = []
    for day in np.sort(rng.choice(120, int(rng.integers(5, 60)), replace=False)).tolist():
        n = int(rng.integers(3, 90))
        pauses = np.cumsum(rng.lognormal(3.0, 1.2, n) * SECOND).astype(np.int64) + SECOND
        at = day * DAY + int(rng.integers(7, 23)) * 60 * MINUTE + pauses
        items = np.minimum(rng.zipf(1.3, n), n_items) - 1
        out += zip([user] * n, items.tolist(), at.tolist(), strict=True)
    return out


def machine(rng: np.random.Generator, user: int, n_items: int) -> Log:
    """Events of a robot of one of four kinds."""
    start, kind = int(rng.integers(0, 100)) * DAY, int(rng.integers(4))
    n, first = int(rng.integers(600, 5000)), int(rng.integers(n_items))
    if kind == 0:  # walks through the catalogue
        gap = rng.uniform(2, 60) * rng.uniform(0.95, 1.05, n)
        items = (first + np.arange(n)) % n_items
    elif kind == 1:  # looks at the same prices, day and night
        gap = rng.uniform(60, 1200) * rng.uniform(0.95, 1.05, n)
        items = (first + np.arange(n) % int(rng.integers(20, 100))) % n_items
    elif kind == 2:  # takes as much as it can within an hour
        gap = rng.exponential(rng.uniform(0.3, 3), n)
        items = rng.permutation(n_items)[:n]
        n = len(items)
        gap = gap[:n]
    else:  # slow and uneven, but never sleeps
        gap = rng.exponential(rng.uniform(20, 90), n)
        items = rng.permutation(n_items)[:n]
        n = len(items)
        gap = gap[:n]
    at = start + np.cumsum(gap * SECOND).astype(np.int64)
    return list(zip([user] * n, items.tolist(), at.tolist(), strict=True))


def robot_users() -> dict[str, Any]:
    """Detection of planted robots among people."""
    shop = load_catalogue("completejourney").dataset
    events, n_items = shop.raw.events, shop.n_items
    assert events.time is not None
    figures = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        people = shop.n_users + 500
        n_robots = round(0.01 * people)
        log: Log = []
        for user in range(shop.n_users, people):
            log += person(rng, user, n_items)
        for user in range(people, people + n_robots):
            log += machine(rng, user, n_items)
        user, item, micros = np.array(log, np.int64).T
        start = time.perf_counter()
        tempo = tempo_of(
            np.concatenate([events.user, user]),
            np.concatenate([events.item, item]),
            np.concatenate([events.time * SECOND, micros + int(events.time.min()) * SECOND]),
            people + n_robots,
            n_items,
        )
        found = set(robots(tempo))
        right = sum(row >= people for row in found)
        figures.append(
            {
                "robots": n_robots,
                "found": len(found),
                "recall": right / n_robots,
                "precision": right / max(len(found), 1),
                "events": len(events) + len(log),
                "seconds": time.perf_counter() - start,
            }
        )
    return {
        "recall": float(np.mean([f["recall"] for f in figures])),
        "precision": float(np.mean([f["precision"] for f in figures])),
        "seeds": figures,
    }


def speed() -> dict[str, Any]:
    """Time and memory of all steps on 100,000 titles."""
    root = pull_catalogue("amazon14")
    amazon = pl.read_parquet(root / "amazon14" / "items.parquet")
    groceries = pl.read_parquet(root / "instacart" / "products.parquet")
    fashion = pl.read_parquet(
        root / "fashion" / "products.parquet", columns=["productDisplayName", "articleType"]
    )
    titles = [*amazon["title"], *groceries["product_name"], *fashion["productDisplayName"]]
    frame = pl.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(len(titles))],
            "title": pl.Series(titles, dtype=pl.String).fill_null(""),
            "brand": [*amazon["brand"].fill_null(""), *[""] * (len(titles) - len(amazon))],
            "description": "",
            "attributes": "",
        }
    )
    paths = [tuple(tuple(p.split(" > ")) for p in cell if p) for cell in amazon["category_paths"]]
    paths += [((f"aisle {a}",),) for a in groceries["aisle_id"]] + [((a,),) for a in fashion["articleType"]]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    on: Any = "on"
    config = CleanConfig(
        mojibake="on", chinese="simplified", language=on, brands=on, abbreviations=on, sizes=True,
        spelling=on, categories=on, structure=on, groups=on, stop_words="auto", segment=True, stem="auto",
    )  # fmt: skip
    start, worked = time.perf_counter(), time.process_time()
    done = clean_products(Products(frame, tuple(paths)), config, Review())
    forms = WordForms.of(config, done.products.texts("title"))
    TfidfEncoder(min_df=2, forms=forms).fit(done.products.texts("title"))
    seconds, worked = time.perf_counter() - start, time.process_time() - worked
    return {
        "titles": len(frame),
        "seconds": seconds,
        "processor_seconds": worked,
        "mb_before": before,
        "forms": forms.state(),
        "steps": {r.name: {"seconds": round(r.seconds, 1), "changed": r.changed} for r in done.reports},
    }


def demo() -> dict[str, Any]:
    """What the steps that are on by default change in the known data sets."""
    out: dict[str, Any] = {}
    for name in ("completejourney", "instacart", "amazon14", "zh-groceries", "s3rec-beauty"):
        plain = {"width": False, "nfkc": False, "mojibake": "off"}
        catalogue = find_catalogue(name)
        cleaned = load_catalogue(catalogue)
        before = load_catalogue(replace(catalogue, settings={**catalogue.settings, "clean": plain}))
        same = cleaned.dataset.items.equals(before.dataset.items)
        same = same and cleaned.dataset.taxonomy.paths == before.dataset.taxonomy.paths
        steps = {s["step"]: s["changed"] for s in cleaned.report["cleaning"]}
        examples = [e for s in cleaned.report["cleaning"] for e in s["examples"]][:6]
        out[name] = {"same_catalogue": same, "changed": steps, "examples": examples}
    return out


COMMANDS: dict[str, Callable[[], dict[str, Any]]] = {
    "joins": joins,
    "categories": categories,
    "mapping": mapping,
    "duplicates": duplicates,
    "robots": robot_users,
    "demo": demo,
    "speed": speed,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=[*COMMANDS, "all"], help="what to measure")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in COMMANDS if given.what == "all" else [given.what]:
        figures = COMMANDS[name]()
        figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        (given.out / f"{name}.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
        print(name, json.dumps(figures, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
