"""Writes the result tables of README.md from the files in docs/results.

python benchmarks/results_table.py               write them
python benchmarks/results_table.py --keep DIR    first copy the rows that count from DIR/results.json,
                                                 as written by `crossaisle benchmark NAME --out DIR`
python benchmarks/results_table.py --check       exit with 1 unless the tables are up to date
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
    ("completejourney", "all", "recall", "next month, repeat purchases included"),
    ("completejourney", "novel_open", "recall", "of these, products of new categories, open list"),
    ("completejourney", "new_item", "recall", "new products, limited list"),
    ("completejourney", "new_category", "recall", "new categories, limited list"),
    ("completejourney", "goes_with", "recall", "rest of a trip, other categories, household unknown"),
    ("completejourney", "goes_with_user", "recall", "rest of a trip, other categories, household known"),
    ("instacart", "all", "recall", "rest of a basket, other departments"),
    ("amazon14", "all", "ndcg", "next products in three shops"),
    ("s3rec-beauty", "all", "ndcg", "next product"),
    ("s3rec-beauty", "cross_open", "ndcg", "other category, open list"),
    ("s3rec-beauty", "cross_limited", "ndcg", "other category, limited list"),
    ("s3rec-beauty", "novel_open", "ndcg", "new category, open list"),
    ("s3rec-beauty", "novel_limited", "ndcg", "new category, limited list"),
    ("s3rec-toys", "all", "ndcg", "next product"),
    ("s3rec-toys", "novel_open", "ndcg", "new category, open list"),
    ("s3rec-toys", "novel_limited", "ndcg", "new category, limited list"),
    ("s3rec-sports", "all", "ndcg", "next product"),
)
"""Data set, slice, metric, and what that means."""
SUMMARY = (
    ("completejourney", "all"),
    ("completejourney", "new_category"),
    ("completejourney", "goes_with"),
    ("instacart", "all"),
    ("amazon14", "all"),
    ("s3rec-beauty", "all"),
    ("s3rec-beauty", "novel_open"),
    ("s3rec-beauty", "novel_limited"),
    ("s3rec-toys", "all"),
    ("s3rec-sports", "all"),
)
"""Data set and slice of the rows of the short table."""
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
SERVED = ("crossaisle", "blend", "cart_alone")
"""Models that combine others; all the rest are single models."""
METRICS = {"recall": f"R@{K}", "ndcg": f"N@{K}"}


Found = Mapping[tuple[str, str, str, str], Mapping[str, Any]]


def measured(results: Path) -> Found:
    """The rows of the test split at k = 10, by data set, slice, metric and model."""
    rows = [row for file in sorted(results.glob("*.json")) for row in json.loads(file.read_text())]
    return {
        (row["dataset"], row["slice"], row["metric"], row["model"]): row
        for row in rows
        if row["split"] == "test" and row["k"] == K
    }


def table(found: Found) -> str:
    """The full result: a Markdown table for each data set."""
    names = dict.fromkeys(dataset for dataset, *_ in HEADLINES)
    return "\n\n".join(text for name in names if (text := _of_dataset(found, name)))


def _of_dataset(found: Found, dataset: str) -> str:
    headlines = [
        (s, m, text) for d, s, m, text in HEADLINES if (d, s, m, "crossaisle") in found and d == dataset
    ]
    if not headlines:
        return ""
    names = {name for s, m, _ in headlines for name in _singles(found, dataset, s, m)} | {"crossaisle"}
    models = [name for name in COLUMNS if name in names]
    others = [_best_other(found, dataset, s, m, models) for s, m, _ in headlines]
    metrics = " and ".join(dict.fromkeys(METRICS[m] for _, m, _ in headlines))
    titles = ["what is predicted", *(COLUMNS[m] for m in models), "queries"]
    lines = [titles + ["best other part"] * any(others)]
    lines.append(["---"] + ["---:"] * (len(lines[0]) - 1))
    for (part, metric, text), other in zip(headlines, others, strict=True):
        values = [_cell(found.get((dataset, part, metric, m))) for m in models]
        queries = f"{found[dataset, part, metric, 'crossaisle']['n']:,}"
        lines.append([text, *values, queries] + [other or "–"] * any(others))
    return f"**{dataset}**, {metrics}:\n\n{_markdown(lines)}"


def summary(found: Found) -> str:
    """The short table: crossaisle beside the best single model, chosen on the test split itself."""
    lines = [
        ["data set", "what is predicted", "metric", "best single model", "**crossaisle**", "difference"],
        ["---"] * 3 + ["---:"] * 3,
    ]
    for dataset, part, metric, text in HEADLINES:
        row = found.get((dataset, part, metric, "crossaisle"))
        if row is None or (dataset, part) not in SUMMARY:
            continue
        singles = _singles(found, dataset, part, metric)
        best = max(singles, key=singles.__getitem__)
        gain = 100 * (row["value"] / singles[best] - 1)
        difference = f"{gain:+.0f}%" if abs(gain) >= 1 else f"{gain:+.1f}%"
        single = f"{singles[best]:.4f} ({_name(best)})"
        lines.append([dataset, text, METRICS[metric], single, _cell(row), difference])
    return _markdown(lines)


def _singles(found: Found, dataset: str, part: str, metric: str) -> dict[str, float]:
    return {
        model: row["value"]
        for (d, s, m, model), row in found.items()
        if (d, s, m) == (dataset, part, metric) and model not in SERVED and row["value"] is not None
    }


def _best_other(found: Found, dataset: str, part: str, metric: str, models: Iterable[str]) -> str:
    """The best single model, if it has no column of its own."""
    singles = _singles(found, dataset, part, metric)
    best = max(singles, key=singles.__getitem__)
    return "" if best in models else f"{singles[best]:.4f} ({_name(best)})"


def _name(model: str) -> str:
    return COLUMNS.get(model, model.replace("_", " "))


def _markdown(lines: Iterable[Iterable[str]]) -> str:
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(row: Mapping[str, Any] | None) -> str:
    if row is None or row["value"] is None:
        return "–"
    if row["model"] != "crossaisle":
        return f"{row['value']:.4f}"
    if row["low"] is None or row["high"] is None:
        return f"**{row['value']:.4f}**"
    return f"**{row['value']:.4f}** [{row['low']:.4f}, {row['high']:.4f}]"


def filled(text: str, results: Path, block: str = "results") -> str:
    """`text` with a block between its markers replaced: `results`, the full table, or `summary`."""
    start, end = START.replace("results", block), END.replace("results", block)
    before, _, rest = text.partition(start)
    _, found, after = rest.partition(end)
    if not found:
        sys.exit(f"README.md lacks the lines {start} and {end}")
    rows = measured(results)
    made = (summary if block == "summary" else table)(rows) if rows else ""
    made = made or "No results yet: `make bench readme` fills this in."
    return f"{before}{start}\n{made}\n{end}{after}"


def keep(run: Path, results: Path) -> Path:
    """Keeps recall and NDCG at 10 on the test split, one row per line: small enough for a repository."""
    rows = json.loads((run / "results.json").read_text())
    kept = [r for r in rows if r["split"] == "test" and r["k"] == K and r["metric"] in METRICS]
    target = results / f"{kept[0]['dataset']}.json"
    results.mkdir(parents=True, exist_ok=True)
    target.write_text("[\n" + ",\n".join(json.dumps(row) for row in kept) + "\n]\n")
    return target


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="first copy the rows that count from DIR/results.json"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 unless the tables are up to date")
    options = parser.parse_args()
    readme, results = ROOT / "README.md", ROOT / "docs" / "results"
    if options.keep:
        keep(options.keep, results)
    old = readme.read_text()
    new = filled(filled(old, results), results, "summary")
    if options.check:
        sys.exit(0 if new == old else "README.md: the result tables are not up to date: run  make readme")
    readme.write_text(new)


if __name__ == "__main__":
    main()
