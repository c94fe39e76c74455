"""Measures an import of more events than memory holds, beside other ways to code and sort them.

    python benchmarks/import_larger.py --rows 10000000 30000000 --out DIR

Makes a log with text ids and some bad rows, as a folder of Parquet files. Every way reads it, leaves out rows
of unknown items and without a readable time, turns ids into integers and sorts by user and time. Compared are
this package (which also records every row it sets aside, with the reason) with all events in memory and with
those of some users at a time; Polars' streaming engine; and DuckDB with 1 GB, if installed. Each runs in a
process of its own. `memory` is the process's own (RssAnon). `resident` also counts pages read or mapped from
files, which the system can take back.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

PART = 2_000_000
"""Rows in a file."""
ITEMS = 100_000


def make(folder: Path, rows: int) -> None:
    """Writes `items.parquet` and `events/*.parquet`, which depend only on the number of rows."""
    import polars as pl

    (folder / "events").mkdir(parents=True)
    ids = pl.Series([f"B{number:09d}" for number in range(ITEMS)])
    pl.DataFrame({"item_id": ids, "title": "Product " + ids, "categories": "A > B"}).write_parquet(
        folder / "items.parquet"
    )
    for part, start in enumerate(range(0, rows, PART)):
        rng = np.random.default_rng(part)
        n = min(PART, rows - start)
        user = (rows / 10 * rng.beta(0.7, 1.6, n)).astype(np.int64)
        item = (ITEMS * rng.random(n) ** 3).astype(np.int64)
        moment = np.sort(1_640_995_200 + rng.integers(0, 62_985_600, n))
        dirt = pl.Series(rng.random(n))
        pl.DataFrame(
            {
                "user_id": "user-" + pl.Series(user).cast(pl.String).str.zfill(9),
                "item_id": ids.gather(item),
                "time": pl.Series(moment.astype("datetime64[s]").astype("datetime64[ms]")).dt.strftime(
                    "%Y-%m-%dT%H:%M:%S"
                ),
                "value": np.round(rng.gamma(2.0, 4.0, n), 2),
            }
        ).with_columns(
            item_id=pl.when(dirt < 0.002).then(pl.lit("gone-") + pl.col("item_id")).otherwise("item_id"),
            time=pl.when((dirt > 0.002) & (dirt < 0.003)).then(pl.lit("not a time")).otherwise("time"),
        ).write_parquet(folder / "events" / f"part-{part:04d}.parquet")


def ours(folder: Path, in_memory: int) -> int:
    from crossaisle.config import DataConfig, EventsConfig, ItemsConfig
    from crossaisle.data.ingest.importer import import_dataset
    from crossaisle.data.ingest.limits import ReadLimits

    config = DataConfig(
        items=ItemsConfig(path=folder / "items.parquet"), events=EventsConfig(path=folder / "events")
    )
    return len(import_dataset(config, limits=ReadLimits(events_in_memory=in_memory)).dataset.events)


def polars(folder: Path) -> int:
    import polars as pl

    events = pl.scan_parquet(folder / "events" / "*.parquet")
    items = pl.scan_parquet(folder / "items.parquet").select("item_id").with_row_index("item")
    users = events.select("user_id").unique().with_row_index("user")
    coded = (
        events.with_columns(
            time=pl.col("time").str.to_datetime("%Y-%m-%dT%H:%M:%S", strict=False).dt.epoch("s")
        )
        .filter(pl.col("time").is_not_null())
        .join(items, on="item_id")
        .join(users, on="user_id")
        .select("user", "item", "time", pl.col("value").cast(pl.Float32))
        .sort("user", "time")
    )
    coded.sink_parquet(folder / "sorted.parquet", engine="streaming")
    return int(pl.scan_parquet(folder / "sorted.parquet").select(pl.len()).collect().item())


def duckdb(folder: Path) -> int:
    import duckdb

    there = duckdb.connect()
    there.execute(f"SET memory_limit = '1GB'; SET temp_directory = '{folder}/duckdb'; SET threads = 2")
    there.execute(
        f"""
        CREATE TEMP TABLE items AS
            SELECT item_id, row_number() OVER () - 1 AS item FROM '{folder}/items.parquet';
        CREATE TEMP TABLE users AS SELECT user_id, row_number() OVER () - 1 AS "user"
            FROM (SELECT DISTINCT user_id FROM '{folder}/events/*.parquet');
        COPY (
            SELECT "user"::INTEGER AS "user", item::INTEGER AS item, epoch(moment)::BIGINT AS time,
                value::FLOAT AS value
            FROM (SELECT *, TRY_CAST(time AS TIMESTAMP) AS moment FROM '{folder}/events/*.parquet')
            JOIN items USING (item_id) JOIN users USING (user_id)
            WHERE moment IS NOT NULL ORDER BY "user", time
        ) TO '{folder}/sorted.parquet' (FORMAT parquet)
        """
    )
    return int(there.execute(f"SELECT count(*) FROM '{folder}/sorted.parquet'").fetchone()[0])


WAYS: dict[str, Callable[[Path], int]] = {
    "in memory": lambda folder: ours(folder, 1 << 40),
    "in files": lambda folder: ours(folder, 1 << 21),
    "Polars streaming": polars,
    "DuckDB, 1 GB": duckdb,
}


def run(way: str, folder: Path) -> None:
    """Inside the fresh process: one way, its time, the rows it kept, and its peak memory."""
    most, done = [0], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            lines = Path("/proc/self/status").read_text().splitlines()
            most[0] = max(most[0], *(int(line.split()[1]) for line in lines if line.startswith("RssAnon")))

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    start = time.perf_counter()
    kept = WAYS[way](folder)
    seconds = time.perf_counter() - start
    done.set()
    used = resource.getrusage(resource.RUSAGE_SELF)
    found = {
        "seconds": round(seconds, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "memory_mb": round(most[0] / 1e3),
        "resident_mb": round(used.ru_maxrss / 1e3),
        "kept": kept,
    }
    print(json.dumps(found))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--rows",
        type=int,
        nargs="+",
        default=[10_000_000, 30_000_000],
        help="numbers of events (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, required=True, help="folder for the data and the results")
    parser.add_argument("--run", choices=WAYS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.run:
        run(given.run, given.out)
        return
    given.out.mkdir(parents=True, exist_ok=True)
    print("| events | | seconds | processor | memory, MB | resident, MB | kept |")
    print("|---:|---|---:|---:|---:|---:|---:|")
    rows = []
    for n in given.rows:
        with tempfile.TemporaryDirectory(dir=given.out) as temporary:
            folder = Path(temporary)
            make(folder / "shop", n)
            for way in WAYS:
                if way.startswith("DuckDB") and find_spec("duckdb") is None:
                    continue
                command = [sys.executable, __file__, "--run", way, "--out", str(folder / "shop")]
                said = subprocess.run(command, capture_output=True, text=True)
                if said.returncode:
                    print(f"| {n:,} | {way} | failed: {said.stderr.strip().splitlines()[-1][:200]} |")
                    continue
                row = json.loads(said.stdout)
                rows.append({"events": n, "way": way, **row})
                numbers = " | ".join(f"{value:,}" for value in row.values())
                print(f"| {n:,} | {way} | {numbers} |", flush=True)
    (given.out / "import_larger.json").write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
