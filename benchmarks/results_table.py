"""Writes the result table of README.md from the files in docs/results.

python benchmarks/results_table.py                  write it
python benchmarks/results_table.py --keep DIR       first keep what matters of DIR/results.json, which
                                                    `crossaisle benchmark NAME --out DIR` wrote
python benchmarks/results_table.py --check          say whether it is up to date (exit code 1 if not)
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
START, END = "<!-- results:start -->", "<!-- results:end -->"
K = 10

HEADLINES = (
    ("completejourney", "all", "recall", "a household's next month, repeats included"),
    (
        "completejourney",
        "novel_open",
        "recall",
        "in the same list, products from a category new to the household",
    ),
    ("completejourney", "new_item", "recall", "products new to the household, list limited to such"),
    ("completejourney", "new_category", "recall", "the same of categories new to the household"),
    (
        "completejourney",
        "goes_with",
        "recall",
        "the rest of a trip, from other categories than one to three products",
    ),
    ("completejourney", "goes_with_user", "recall", "the same, where the household is known"),
    ("instacart", "all", "recall", "the rest of a basket, from other departments"),
    ("amazon14", "all", "ndcg", "a customer's next products in three shops"),
    ("s3rec-beauty", "all", "ndcg", "the next product"),
    ("s3rec-beauty", "cross_open", "ndcg", "where it is of another category than the last: open list"),
    ("s3rec-beauty", "cross_limited", "ndcg", "the same, list limited to other categories"),
    ("s3rec-beauty", "novel_open", "ndcg", "where it is of a category new to the customer: open list"),
    ("s3rec-beauty", "novel_limited", "ndcg", "the same, list limited to new categories"),
    ("s3rec-toys", "all", "ndcg", "the next product"),
    ("s3rec-toys", "novel_open", "ndcg", "of a new category, open list"),
    ("s3rec-toys", "novel_limited", "ndcg", "of a new category, list limited to such"),
    ("s3rec-sports", "all", "ndcg", "the next product"),
)
"""Data set, slice, metric, and what that means."""
COLUMNS = {
    "popularity": "popularity",
    "frequency": "own frequency",
    "item_knn": "item-kNN",
    "basket_knn": "basket-kNN",
    "ease": "EASE",
    "slit": "SLIT",
    "slit_text": "SLIT + text",
    "sequence": "sequence",
    "crossaisle": "**crossaisle**",
}
METRICS = {"recall": f"R@{K}", "ndcg": f"N@{K}"}


def table(rows: Iterable[Mapping[str, Any]]) -> str:
    """The markdown table of all headlines that were measured, on the test split."""
    found = {
        (row["dataset"], row["slice"], row["metric"], row["model"]): row
        for row in rows
        if row["split"] == "test" and row["k"] == K
    }
    models = [name for name in COLUMNS if any(key[3] == name for key in found)]
    lines = [
        "| data set | what is predicted | | " + " | ".join(COLUMNS[m] for m in models) + " | queries |",
        "|---|---|---|" + "---:|" * (len(models) + 1),
    ]
    for dataset, part, metric, meaning in HEADLINES:
        cells = {m: found[key] for m in models if (key := (dataset, part, metric, m)) in found}
        if "crossaisle" in cells:
            values = " | ".join(_cell(cells.get(m)) for m in models)
            n = cells["crossaisle"]["n"]
            lines.append(f"| {dataset} | {meaning} | {METRICS[metric]} | {values} | {n:,} |")
    return "\n".join(lines)


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return "–"
    if row["model"] != "crossaisle":
        return f"{row['value']:.4f}"
    if row["low"] is None or row["high"] is None:
        return f"**{row['value']:.4f}**"
    return f"**{row['value']:.4f}** [{row['low']:.4f}, {row['high']:.4f}]"


def filled(text: str, results: Path) -> str:
    """`text` with the block between the two markers replaced."""
    rows = [row for file in sorted(results.glob("*.json")) for row in json.loads(file.read_text())]
    before, _, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if not end:
        sys.exit(f"README.md lacks the lines {START} and {END}")
    block = table(rows) if rows else "No results yet: `make bench readme` fills this in."
    return f"{before}{START}\n{block}\n{END}{after}"


def keep(run: Path, results: Path) -> Path:
    """Keeps recall and NDCG at 10 on the test split, one row per line: small enough for a repository."""
    rows = json.loads((run / "results.json").read_text())
    kept = [r for r in rows if r["split"] == "test" and r["k"] == K and r["metric"] in METRICS]
    target = results / f"{kept[0]['dataset']}.json"
    results.mkdir(parents=True, exist_ok=True)
    target.write_text("[\n" + ",\n".join(json.dumps(row) for row in kept) + "\n]\n")
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--keep", type=Path, metavar="DIR")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    readme, results = ROOT / "README.md", ROOT / "docs" / "results"
    if options.keep:
        keep(options.keep, results)
    old = readme.read_text()
    new = filled(old, results)
    if options.check:
        sys.exit(0 if new == old else "README.md: the result table is not up to date: run  make readme")
    readme.write_text(new)


if __name__ == "__main__":
    main()
