"""Measures the import of millions of events into a `Dataset` with integer codes, beside pandas.

    python benchmarks/import_events.py --rows 5000000 --out runs/import
    python benchmarks/import_events.py --rows 5000000 --beside 7b87d98 --repeat 3 --out runs/import

Makes a deterministic log of purchases with text ids and some bad rows, as Parquet and as CSV. Runs each
import in a process of its own and takes wall time and peak memory. All do the same: read; set aside rows
without an id, of unknown items, or with unreadable, negative or future times, each with row number, rule and
content; tidy ids; parse times; turn ids into integers; sort by user and time. `--beside REV` also measures
another revision of this source tree; runs take turns.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.revisions import HERE, checked_out, importing

BARS = {"seconds": 20.0, "peak_mb": 800.0, "times_faster": 3.0, "times_of_revision": 1.3}


def make(folder: Path, rows: int) -> None:
    """Writes `items.parquet`, `events.parquet` and `events.csv`, which depend only on the number of rows."""
    import polars as pl

    rng = np.random.default_rng(0)
    n_items, n_users = max(rows // 100, 10), max(rows // 25, 10)
    ids = [f"B{i:09d}" for i in rng.permutation(n_items)]
    levels = rng.integers(0, 12, n_items), rng.integers(0, 300, n_items)
    categories = [f"Department {a} > Aisle {b % 25}" for a, b in zip(*levels, strict=True)]
    titles = [f"Product number {i}" for i in range(n_items)]
    pl.DataFrame({"item_id": ids, "title": titles, "categories": categories}).write_parquet(
        folder / "items.parquet"
    )
    weight = 1 / np.arange(1, n_items + 1) ** 0.8
    item = np.searchsorted(np.cumsum(weight / weight.sum()), rng.random(rows)).clip(0, n_items - 1)
    user = (n_users * rng.beta(0.7, 1.6, rows)).astype(np.int64)
    moment = (
        np.sort(rng.integers(1_640_995_200, 1_703_980_800, rows))
        .astype("datetime64[s]")
        .astype("datetime64[ms]")
    )
    events = pl.DataFrame(
        {
            "user_id": pl.Series("user_id", user).cast(pl.String).str.zfill(8).str.replace("^", "user-"),
            "item_id": pl.Series(ids).gather(item),
            "time": pl.Series(moment).dt.strftime("%Y-%m-%dT%H:%M:%S"),
            "value": np.round(rng.gamma(2.0, 4.0, rows), 2),
            "quantity": 1 + rng.poisson(0.3, rows),
        }
    )
    dirt = rng.random(rows)
    events = events.with_columns(
        user_id=pl.when(pl.Series(dirt < 0.001)).then(None).otherwise("user_id"),
        item_id=pl.when(pl.Series((dirt >= 0.001) & (dirt < 0.003)))
        .then(pl.lit("gone-") + pl.col("item_id"))
        .otherwise("item_id"),
        time=pl.when(pl.Series((dirt >= 0.003) & (dirt < 0.004)))
        .then(pl.lit("not a time"))
        .when(pl.Series((dirt >= 0.004) & (dirt < 0.005)))
        .then(pl.lit("2999-01-01T00:00:00"))
        .otherwise("time"),
    )
    events.write_parquet(folder / "events.parquet")
    events.write_csv(folder / "events.csv")


def ours(folder: Path, suffix: str) -> dict[str, int]:
    """The import of this package."""
    from crossaisle.config import DataConfig, EventsConfig, ItemsConfig

    try:
        from crossaisle.data.ingest.importer import import_dataset
    except ModuleNotFoundError:  # in older revisions
        import_dataset = import_module("crossaisle.data.importer").import_dataset

    config = DataConfig(
        items=ItemsConfig(path=folder / "items.parquet"),
        events=EventsConfig(path=folder / f"events.{suffix}"),
    )
    done = import_dataset(config)
    return {
        "kept": len(done.dataset.events),
        "set_aside": done.report["tables"]["events"]["rows_read"] - len(done.dataset.events),
    }


def pandas(folder: Path, suffix: str) -> dict[str, int]:
    """The same steps, written the usual way."""
    import pandas as pd

    items = pd.read_parquet(folder / "items.parquet")
    path = folder / f"events.{suffix}"
    events = pd.read_parquet(path) if suffix == "parquet" else pd.read_csv(path)
    events["row"] = np.arange(1, len(events) + 1)
    ids = {}
    for name in ("user_id", "item_id"):
        text = events[name].str.replace(r"[\x00-\x08\x0e-\x1f\x7f]", "", regex=True)
        text = text.str.replace(r"\s+", " ", regex=True).str.strip()
        ids[name] = text.mask(text == "")
    moment = pd.to_datetime(events["time"], format="ISO8601", errors="coerce", utc=True)
    value = pd.to_numeric(events["value"], errors="coerce").replace([np.inf, -np.inf], np.nan)
    quantity = pd.to_numeric(events["quantity"], errors="coerce").fillna(1)
    checks = {
        "missing_item_id": ids["item_id"].isna(),
        "missing_user_id": ids["user_id"].isna(),
        "unknown_item": ~ids["item_id"].isin(items["item_id"]),
        "missing_time": events["time"].isna(),
        "unreadable_time": moment.isna(),
        "negative_time": moment < pd.Timestamp(0, tz="UTC"),
        "future_time": moment > pd.Timestamp.now(tz="UTC") + pd.Timedelta(days=1),
        "negative_quantity": quantity < 0,
    }
    keep = pd.Series(True, index=events.index)
    rejected = []
    for rule, mask in checks.items():
        broken = mask & keep
        keep &= ~mask
        part = events[broken]
        if part.empty:
            continue
        raw = part.drop(columns="row").to_json(orient="records", lines=True).splitlines()
        rejected.append(pd.DataFrame({"row": part["row"], "rule": rule, "raw": raw}))
    kept = pd.DataFrame(
        {
            "user": pd.factorize(ids["user_id"][keep])[0],
            "item": pd.Index(items["item_id"]).get_indexer(ids["item_id"][keep]),
            "moment": moment[keep],
            "value": value[keep],
            "quantity": quantity[keep],
        }
    )
    kept = kept.sort_values(["user", "moment"], kind="stable")
    arrays = (
        kept["user"].to_numpy(np.int32),
        kept["item"].to_numpy(np.int32),
        kept["moment"].dt.tz_localize(None).to_numpy("datetime64[s]").astype(np.int64),
        kept["value"].to_numpy(np.float32),
        kept["quantity"].to_numpy(np.float32),
    )
    return {"kept": len(arrays[0]), "set_aside": sum(map(len, rejected))}


def measure(folder: Path, library: str, suffix: str, tree: Path | None) -> dict[str, object]:
    """Runs one import in a fresh process. `tree`: the source tree of the revision to import."""
    command = [sys.executable, __file__, "--run", library, suffix, "--out", str(folder)]
    with ExitStack() as stack:
        if tree is not None:
            stack.enter_context(importing(tree))
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return {"library": library, "format": suffix, **json.loads(done.stdout)}


def measured(
    folder: Path, suffix: str, sides: Mapping[str, Path | None], repeat: int
) -> list[dict[str, object]]:
    """The fastest run of each side, in turn; `sides`: name -> tree."""
    runs: dict[str, list[dict[str, object]]] = {name: [] for name in sides}
    for _ in range(repeat):
        for name, tree in sides.items():
            runs[name].append(measure(folder, "pandas" if name == "pandas" else "crossaisle", suffix, tree))
    return [
        {**min(found, key=lambda r: float(str(r["seconds"]))), "library": name}
        for name, found in runs.items()
    ]


def run(folder: Path, library: str, suffix: str) -> None:
    """Inside the fresh process: one import, its time (imports of libraries included) and peak memory."""
    start = time.perf_counter()
    counts = (ours if library == "crossaisle" else pandas)(folder, suffix)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": round(seconds, 2), "peak_mb": round(peak), **counts}))


def told(suffix: str, rows: Sequence[Mapping[str, object]]) -> None:
    """How this tree's time compares with the others."""
    own, *others = ((str(row["library"]), float(str(row["seconds"]))) for row in rows)
    for name, seconds in others:
        print(f"{suffix}: {own[1] / seconds:.2f} times the time of {name}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=5_000_000, help="events (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="folder for the results")
    parser.add_argument(
        "--repeat", type=int, default=1, help="runs; the fastest counts (default: %(default)s)"
    )
    parser.add_argument("--beside", metavar="REV", help="a commit, branch or tag to measure as well")
    parser.add_argument("--run", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.make:
        make(given.out, given.rows)
        return
    if given.run:
        run(given.out, *given.run)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # also in a process of its own: children start with the peak memory of the process they come from
        command = [sys.executable, __file__, "--rows", str(given.rows), "--make", "--out", str(folder)]
        subprocess.run(command, check=True)
        with ExitStack() as stack:
            sides: dict[str, Path | None] = {"crossaisle": HERE}
            if given.beside:
                sides[given.beside] = stack.enter_context(checked_out(given.beside, folder / "revision"))
            sides["pandas"] = None
            found = {suffix: measured(folder, suffix, sides, given.repeat) for suffix in ("parquet", "csv")}
    rows = [{"rows": given.rows, **row} for one in found.values() for row in one]
    print(f"{'':24}{'seconds':>10}{'peak MB':>10}{'kept':>12}{'set aside':>12}")
    for row in rows:
        name = f"{row['library']}, {row['format']}"
        print(f"{name:24}{row['seconds']:>10}{row['peak_mb']:>10}{row['kept']:>12,}{row['set_aside']:>12,}")
    for suffix, one in found.items():
        told(suffix, one)
    print(
        f"bars: {BARS['seconds']:.0f} s, {BARS['peak_mb']:.0f} MB, {BARS['times_faster']:.0f} times faster "
        f"than pandas, at most {BARS['times_of_revision']} times the time of 7b87d98"
    )
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "results.json").write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
