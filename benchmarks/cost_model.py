"""Measures CPU time and memory by the size of a shop, and extrapolates them and their price.

    python benchmarks/cost_model.py --events 200000 300000 400000 600000 800000 [--json costs.json]

Makes shops like that of `mid_size.py`, runs the commands a shop runs, each in a process of its own, and fits
`fixed + each * events` to all sizes but the largest, which it then predicts. It counts CPU time, which a busy
machine changes least.

Only costs that grow without bound are fitted. Left out, because they do not follow the size: the text
encoder, which costs the same for each title (`encode_speed.py`); the sequence model, which starts at 10,000
events and reads at most 160,000 a pass; learned rankers, which learn from a bounded number of lists. The last
two make the fit of a small shop look worse than linear until they reach their bounds.

Money is arithmetic: one fit, and one list for each user, every day, at the given prices. Each host fetches
the model once, and each list is sent once.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from mid_size import make
from scipy.optimize import nnls

from crossaisle.models.base import LARGE

FEWEST = 4
"""The least number of sizes: some to fit, one to check."""
LISTS = 2000
"""Users whose lists are made."""
NO_ENCODER = """
[model]
encoder = "none"
sequence = "off"
ranker = false
"""
LIST_KB = 4.0
"""Bytes of an answer with ten products, as sent."""
STAGES = ("import", "fit", "lists")
PREDICTED = {
    "a city's shops": 10**7,
    "a country's": 10**8,
    "a marketplace": 10**9,
    "the largest": 10**10,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--events",
        type=int,
        nargs="+",
        default=[200_000, 300_000, 400_000, 600_000, 800_000],
        help="sizes of the shops; the largest is predicted (default: %(default)s)",
    )
    parser.add_argument(
        "--json", type=Path, help="also write measurements to this file; those already in it are used"
    )
    parser.add_argument(
        "--core-hour", type=float, default=0.04, help="price of a core for an hour (default: %(default)s)"
    )
    parser.add_argument(
        "--gb-hour",
        type=float,
        default=0.005,
        help="price of a GB of memory for an hour (default: %(default)s)",
    )
    parser.add_argument(
        "--gb-sent", type=float, default=0.05, help="price of a GB sent to the network (default: %(default)s)"
    )
    given = parser.parse_args()
    found: list[dict[str, Any]] = []
    if given.json is not None and given.json.exists():
        found = json.loads(given.json.read_text())
    for events in sorted(set(given.events) - {point["events"] for point in found}):
        found.append(measured(events))
        if given.json is not None:
            given.json.write_text(json.dumps(found, indent=1) + "\n")
    found.sort(key=lambda point: point["events"])
    print("\n".join(table(found)))
    if len(found) >= FEWEST:
        print("\n".join(["", *money(found, given)]))


def measured(events: int) -> dict[str, Any]:
    """One shop: CPU seconds and peak MB of each stage, MB of the saved model."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        items, users = make(folder, events)
        with (folder / "shop.toml").open("a") as settings:
            settings.write(NO_ENCODER)
        (folder / "users.txt").write_text("\n".join(f"user-{n}" for n in range(min(LISTS, users))))
        commands = {
            "import": ["describe", "shop.toml"],
            "fit": ["fit", "shop.toml", "--out", "model"],
            "lists": ["export", "model", "--users", "users.txt", "--out", "lists.parquet"],
        }
        point: dict[str, Any] = {"events": events, "items": items, "users": users}
        for stage, words in commands.items():
            seconds, megabytes = ran(words, folder)
            point[stage] = {"seconds": round(seconds, 2), "peak_mb": round(megabytes)}
            print(f"{events:,} events: {stage} {seconds:.1f} s, {megabytes:,.0f} MB", file=sys.stderr)
        size = sum(file.stat().st_size for file in (folder / "model").rglob("*") if file.is_file())
        return point | {"model_mb": round(size / 1e6, 1)}


def ran(words: list[str], folder: Path) -> tuple[float, float]:
    """CPU seconds and peak MB of a command."""
    process = subprocess.Popen(
        [sys.executable, "-m", "crossaisle", *words], cwd=folder, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"crossaisle {' '.join(words)}: exit status {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e3


def law(events: np.ndarray, cost: np.ndarray) -> tuple[float, float]:
    """(fixed, each) of `fixed + each * events`, neither negative, by least squares of relative errors.

    A line, because each stage is linear by design: rows are read, counted, and solved on 250 neighbours.
    An exponent fitted to four points and extrapolated over four powers of ten could say anything.
    """
    shares = np.stack([1.0 / cost, events / cost], axis=1)
    fixed, each = nnls(shares * [1.0, 1.0 / events[-1]], np.ones(len(cost)))[0]
    return float(fixed), float(each / events[-1])


def costs(found: list[dict[str, Any]], stage: str, unit: str) -> tuple[np.ndarray, np.ndarray]:
    """(n,) each: events and costs of the shops that the line is fitted to.

    Large shops make their lists from what the parts retrieve. If enough shops are large, the lists of small
    ones are left out.
    """
    large = [point for point in found if point["items"] > LARGE]
    points = large if stage == "lists" and len(large) >= FEWEST else found
    return np.array([p["events"] for p in points], float), np.array([p[stage][unit] for p in points], float)


def money(found: list[dict[str, Any]], given: argparse.Namespace) -> list[str]:
    """A Markdown table: what a day costs for a million users, by size of the shop."""
    users = found[-1]["users"] / found[-1]["events"]
    laws = {
        (stage, unit): law(*costs(found, stage, unit)) for stage in STAGES for unit in ("seconds", "peak_mb")
    }
    events = np.array([point["events"] for point in found], float)
    laws["model", "mb"] = law(events, np.array([point["model_mb"] for point in found], float))

    def cost(stage: str, unit: str, n: float, *, fixed: bool = True) -> float:
        start, each = laws[stage, unit]
        return start * fixed + each * n

    head = "| per million users and day | " + " | ".join(
        f"{n:,} events" for n in (10**6, *PREDICTED.values())
    )
    rows: dict[str, list[str]] = {
        name: [] for name in ("users", "fit, core hours", "lists, core hours", "fit, GB", "sent, GB", "money")
    }
    for n in (10**6, *PREDICTED.values()):
        millions = users * n / 1e6
        fit = (cost("import", "seconds", n) + cost("fit", "seconds", n)) / 3600 / millions
        lists = cost("lists", "seconds", n, fixed=False) / LISTS * 1e6 / 3600
        memory = cost("fit", "peak_mb", n) / 1e3
        sent = 1e6 * LIST_KB / 1e6 + cost("model", "mb", n) / 1e3 / millions
        price = (fit + lists) * given.core_hour + fit * memory * given.gb_hour + sent * given.gb_sent
        figures = (
            f"{users * n:,.0f}",
            f"{fit:.2f}",
            f"{lists:.2f}",
            f"{memory:,.1f}",
            f"{sent:.1f}",
            f"{price:.2f}",
        )
        for name, figure in zip(rows, figures, strict=True):
            rows[name].append(figure)
    lines = [head + " |", "|---|" + "---:|" * (1 + len(PREDICTED))]
    return lines + [f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items()]


def table(found: list[dict[str, Any]]) -> list[str]:
    """Markdown tables: the measurements, the prediction of the largest, and the cost of larger shops."""
    lines = ["| events | items | " + " | ".join(f"{s}, s | MB" for s in STAGES) + " | model, MB |"]
    lines.append("|---:|---:|" + "---:|---:|" * len(STAGES) + "---:|")
    for point in found:
        cells = [f"{point[s]['seconds']:.1f} | {point[s]['peak_mb']:,}" for s in STAGES]
        lines.append(
            f"| {point['events']:,} | {point['items']:,} | {' | '.join(cells)} | {point['model_mb']:,} |"
        )
    if len(found) < FEWEST:
        return lines
    lines += [
        "",
        "| | largest, predicted | measured | off | fixed + per million events | "
        + " | ".join(PREDICTED)
        + " |",
    ]
    lines.append("|---|---:|---:|---:|---:|" + "---:|" * len(PREDICTED))
    for stage in STAGES:
        for unit, said in (("seconds", "s"), ("peak_mb", "MB")):
            events, cost = costs(found, stage, unit)
            fixed, each = law(events[:-1], cost[:-1])
            predicted = fixed + each * events[-1]
            fixed, each = law(events, cost)
            far = " | ".join(f"{fixed + each * n:,.0f}" for n in PREDICTED.values())
            off = f"{predicted / cost[-1] - 1:+.0%}"
            lines.append(
                f"| {stage}, {said} | {predicted:,.1f} | {cost[-1]:,.1f} | {off} "
                f"| {fixed:,.1f} + {each * 1e6:,.1f} | {far} |"
            )
    return lines


if __name__ == "__main__":
    main()
