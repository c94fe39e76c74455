"""Measures import, fit and lists of shops of up to 10 million events and 1 million items.

    python benchmarks/out_of_core.py --events 1000000 3000000 10000000 --out DIR [--stages import fit lists]

Makes shops like that of `mid_size.py` with a tenth as many items as events and runs the commands a shop runs,
each in a process of its own. Prints time and peak memory of each, and how the time grows from one size to the
next beside n log n. Lists hold the 100 best items of a user, for 100,000 users. Texts are read by TF-IDF:
encoding costs the same for each title at any size, and `encode_speed.py` measures it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from mid_size import make

N = 100
"""Items of a list."""
SETTINGS = """
[model]
encoder = "none"
sequence = "off"
"""
STAGES = ("import", "fit", "lists")


def commands() -> dict[str, list[str]]:
    """Stage -> command line, in the folder of the shop."""
    return {
        "import": ["describe", "shop.toml"],
        "fit": ["fit", "shop.toml", "--out", "model"],
        "lists": ["export", "model", "--users", "users.txt", "--n", str(N), "--out", "lists.parquet"],
    }


def ran(words: list[str], folder: Path) -> dict[str, float]:
    """Wall and CPU seconds, and peak MB of a command."""
    start = time.perf_counter()
    with (folder / "log.txt").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "crossaisle", *words], cwd=folder, stdout=log, stderr=log
        )
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        tail = (folder / "log.txt").read_text()[-2000:]
        raise SystemExit(f"crossaisle {' '.join(words)}: exit status {process.returncode}\n{tail}")
    return {
        "seconds": round(time.perf_counter() - start, 1),
        "processor_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mb": round(usage.ru_maxrss / 1e3),
    }


def measured(events: int, out: Path, stages: list[str], lists_of: int) -> dict[str, Any]:
    folder = out / str(events)
    if not (folder / "shop.toml").is_file():
        subprocess.run([sys.executable, __file__, "--make", str(events), "--out", str(out)], check=True)
    everybody = (folder / "everybody.txt").read_text().split()
    (folder / "users.txt").write_text("\n".join(everybody[:lists_of]))
    point: dict[str, Any] = {"events": events, "items": events // 10}
    point["lists_of"] = min(lists_of, len(everybody))
    for stage, words in commands().items():
        if stage in stages:
            point[stage] = ran(words, folder)
            print(f"{events:,} events: {stage} {point[stage]}", file=sys.stderr, flush=True)
    return point


def prepare(folder: Path, events: int) -> None:
    _, users = make(folder, events, items=events // 10)
    with (folder / "shop.toml").open("a") as settings:
        settings.write(SETTINGS)
    (folder / "everybody.txt").write_text("\n".join(f"user-{n}" for n in range(users)))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--events",
        type=int,
        nargs="+",
        default=[1_000_000, 3_000_000, 10_000_000],
        help="sizes of the shops (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the shops and the results")
    parser.add_argument(
        "--stages",
        nargs="+",
        choices=STAGES,
        default=list(STAGES),
        help="commands to measure (default: %(default)s)",
    )
    parser.add_argument(
        "--lists-of", type=int, default=100_000, help="users to make lists for (default: %(default)s)"
    )
    parser.add_argument("--make", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        prepare(given.out / str(given.make), given.make)
        return
    found = []
    for events in given.events:
        found.append(measured(events, given.out, given.stages, given.lists_of))
        (given.out / "out_of_core.json").write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(table(found, given.stages)))


def table(found: list[dict[str, Any]], stages: list[str]) -> list[str]:
    """A Markdown table, and how CPU time grew beside n log n (1: at the same rate)."""
    lines = ["| events | items | " + " | ".join(f"{s}, s | MB" for s in stages) + " |"]
    lines.append("|---:|---:|" + "---:|---:|" * len(stages))
    for point in found:
        cells = [f"{point[s]['seconds']:,.0f} | {point[s]['peak_mb']:,}" for s in stages]
        lines.append(f"| {point['events']:,} | {point['items']:,} | {' | '.join(cells)} |")
    for before, after in pairwise(found):
        n, m = before["events"], after["events"]
        allowed = m * math.log(m) / (n * math.log(n))
        grown = {s: after[s]["processor_seconds"] / before[s]["processor_seconds"] / allowed for s in stages}
        said = ", ".join(f"{stage} {value:.2f}" for stage, value in grown.items())
        lines.append(f"from {n:,} to {m:,} events, growth of CPU time over that of n log n: {said}")
    return lines


if __name__ == "__main__":
    main()
