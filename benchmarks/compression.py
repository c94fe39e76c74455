"""Measures quality, size and speed of smaller text encoders, as one Markdown table for each data set.

    python benchmarks/compression.py s3rec-beauty completejourney --out runs/compression [--root DIR]

Runs `crossaisle compress` on each data set and compares every variant with the whole model: NDCG@10 on
validation, megabytes, titles a second and bytes per item. `--keep` prints the tables of an earlier run.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from crossaisle.pipeline.compress import compress


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="+", help="known data sets, such as s3rec-beauty")
    parser.add_argument(
        "--model", default="minilm-torch", help="text encoder to compress (default: %(default)s)"
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--root", type=Path, help="folder of the data sets, see docs/data.md")
    parser.add_argument("--keep", action="store_true", help="print the tables of an earlier run in --out")
    options = parser.parse_args()
    for name in options.data:
        folder = options.out / name
        if not options.keep:
            compress(options.model, folder, on=name, root=options.root, progress=True, say=say)
        rows = json.loads((folder / "compression.json").read_text())
        print(f"\n{name}, {rows[0]['cases']:,} validation cases\n\n{table(rows)}")


def table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table."""
    lines = [
        "| | N@10 | of the whole model's | MB | titles/s | bytes per item |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in rows:
        size = "–" if row["megabytes"] is None else f"{row['megabytes']:.0f}"
        speed = "–" if row["titles_per_second"] is None else f"{row['titles_per_second']:,.0f}"
        cells = [
            row["variant"],
            f"{row['ndcg']:.4f}",
            f"{row['share']:.0%}",
            size,
            speed,
            str(row["bytes_per_item"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def say(sentence: str) -> None:
    """Prints progress on stderr."""
    print(sentence, file=sys.stderr)


if __name__ == "__main__":
    main()
