"""Checks that the sentence beside an item names what carries its score, for drawn users of a saved model.

    python benchmarks/reasons.py demo/model --users 100 --out reasons.json

For each placement: the median share of the score that the named causes carry (target: at least .5), with and
without the cause "as a whole", and how often nothing is said. Then how often a sentence says "X and X" or
"because" twice, names the recommended title, mentions a link between categories with a lift below 1.5, or a
shared "word" that is no word (target: never).
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.data.query import Query
from crossaisle.recommend.recommender import Recommender
from crossaisle.recommend.wording.names import short_names

PLACEMENTS = ("for_you", "discover")
PAIR = re.compile(r"(?:bought|buy|with|to) (.+) and \1(?:[;.]|$)")
SHARED = re.compile(r"shares the words? ([^;]*)[;.]")


def measure(shop: Recommender, users: list[str], placement: str, n: int) -> dict[str, Any]:
    """Figures of one placement."""
    share, narrow, kinds, faults, silent = [], [], Counter[str](), Counter[str](), 0
    examples: list[dict[str, Any]] = []
    for user in users:
        for shown in shop.recommend(Query(placement=placement, user=user, n=n, explain=True)):  # type: ignore[arg-type]
            why = shown.evidence
            assert why is not None
            named = sum(cause.share for cause in why.causes)
            share.append(min(named, 1.0))
            narrow.append(min(sum(c.share for c in why.causes if c.kind != "history"), 1.0))
            kinds.update(cause.kind for cause in why.causes)
            silent += not why.text
            names = [name for cause in why.causes for name in cause.names]
            faults["X and X"] += bool(PAIR.search(why.text)) or len(names) != len(set(names))
            faults["because, because"] += why.text.lower().count("because") > 1
            faults["names the recommended title"] += short_names(shown.title)[0] in names
            faults["not in the sentence"] += any(name not in why.text for name in names)
            faults["link below 1.5"] += "people who shop" in why.text and (
                why.link is None or why.link.lift < 1.5
            )
            words = SHARED.search(why.text)
            faults["no word"] += words is not None and any(
                not word.isalpha() for word in re.split(", | and ", words[1])
            )
            if len(examples) < 12 and len(share) % (n + 1) == 0:
                examples.append({"title": shown.title, "why": why.text, "share": named})
    return {
        "lists": len(users),
        "reasons": len(share),
        "median_share": float(np.median(share)),
        "median_share_without_as_a_whole": float(np.median(narrow)),
        "below_a_fifth": float(np.mean(np.array(share) < 0.2)),
        "silent": silent,
        "causes": dict(kinds),
        "faults": dict(faults),
        "examples": examples,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="a saved model")
    parser.add_argument("--users", type=int, default=100, help="users to draw (default: %(default)s)")
    parser.add_argument("--n", type=int, default=10, help="items per list (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of everything drawn (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="also write the results to this file")
    given = parser.parse_args()
    shop = Recommender.load(given.model)
    drawn = np.random.default_rng(given.seed).permutation(shop.dataset.n_users)[: given.users]
    users = shop.dataset.user_ids.ids(drawn)
    found = {placement: measure(shop, users, placement, given.n) for placement in PLACEMENTS}
    text = json.dumps(found, indent=1, ensure_ascii=False)
    print(text)
    if given.out:
        given.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
