"""How well `[data.clean]` puts a catalogue right.

    python benchmarks/cleaning.py categories --out runs/cleaning
    python benchmarks/cleaning.py all --out runs/cleaning

Each subcommand writes `NAME.json` into the folder and prints its figures; `all` runs one after the other.

categories: names of completejourney's tree, of all depths; 1,000 categories of four products or more, drawn
    with a seed, are spelt wrongly for up to a quarter of their products: case, blanks, "&" for "and", signs,
    full-width letters, a letter left out, doubled, swapped or replaced in a word of five or more. Restored:
    all damaged products are back in their category. Wrongly merged: categories that lost or won another one.
duplicates: the 46,777 titles of amazon14, and 2,000 near-duplicates of some of them, drawn and changed with a
    seed, two changes each: case, punctuation, order, brand in front or behind, unit, words that say nothing,
    accents, a letter. Pairs of a planted title and its original; precision counts all pairs that hold a
    planted title. Originals are titles that no other title equals.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import resource
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

from crossaisle.data.clean.categories.names import CategoryNames
from crossaisle.data.clean.doubles import joined, twins, words_of
from crossaisle.data.clean.products import Products
from crossaisle.data.clean.report import Review
from crossaisle.data.datasets import load_catalogue, pull_catalogue

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
    """A misspelt name, and what is wrong with it."""
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
    """Planted damage in category names."""
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
            continue  # by chance the name of another category
        for row in rows:
            new[row][len(path) - 1] = name
        cases.append((path, name, kind, rows))
    given = Products(shop.items, tuple((tuple(path),) for path in new))
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
    """The same title as another shop writes it."""
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
    """Planted near-duplicates."""
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


COMMANDS: dict[str, Callable[[], dict[str, Any]]] = {"categories": categories, "duplicates": duplicates}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=[*COMMANDS, "all"])
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    for name in COMMANDS if given.what == "all" else [given.what]:
        figures = COMMANDS[name]()
        figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        (given.out / f"{name}.json").write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n")
        print(name, json.dumps(figures, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
