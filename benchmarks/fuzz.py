"""Sends a running service thousands of generated requests, right and wrong ones.

    python benchmarks/fuzz.py --cases 10000 --lines 100000 --out runs/fuzz

Starts the service on a small fitted model, has schemathesis generate requests from its OpenAPI document, then
sends odd lines of NDJSON to `/api/events`. If the picture encoder is on this machine, the model reads
pictures, and most of those sent are real. Writes `results.json`. Exits with 1 if any answer was a 5xx or not
what the document says. Needs `pip install schemathesis`.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import re
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import polars as pl

CHUNK = 500
"""Lines in one request."""
KNOWN_ITEMS, KNOWN_USERS = ("1024306", "1007195", "834103", "x1"), ("1609",)
"""Ids and model names of the document's examples, so that these find something."""


def pictures() -> list[bytes]:
    """Real pictures, each of one colour; none without Pillow."""
    if find_spec("PIL") is None:
        return []
    from PIL import Image

    found = []
    for colour in ("red", "green", "blue", "silver"):
        out = io.BytesIO()
        Image.new("RGB", (8, 8), colour).save(out, "PNG")
        found.append(out.getvalue())
    return found


def seeing() -> dict[str, Any]:
    """The part that reads pictures, if its encoder is on this machine."""
    from crossaisle.encoders.weights import image_folder
    from crossaisle.errors import FetchError
    from crossaisle.models.scorers.picture_similarity import PictureSimilarity

    try:
        image_folder()
    except FetchError as error:
        print(f"without pictures: {error}", file=sys.stderr)
        return {}
    return {"picture": PictureSimilarity()} if pictures() else {}


def small_model(folder: Path) -> Path:
    """Two saved models, `model` and `model-2`, of a small made-up shop."""
    from crossaisle.data.ingest.importer import import_frames
    from crossaisle.models.blend import Blend
    from crossaisle.models.scorers.content import TfidfSimilarity
    from crossaisle.models.scorers.item_knn import ItemKNN
    from crossaisle.models.scorers.popularity import Popularity
    from crossaisle.recommend.recommender import Recommender

    rng = random.Random(0)
    aisles = [
        ("Bakery", "Bread"),
        ("Bakery", "Cakes"),
        ("Dairy", "Milk"),
        ("Dairy", "Cheese"),
        ("Home", "Soap"),
    ]
    words = ("white", "rye", "lemon", "mild", "forest", "oat", "whole", "fresh")
    names = [*KNOWN_ITEMS, *(f"i{n}" for n in range(60 - len(KNOWN_ITEMS)))]
    users = [*KNOWN_USERS, *(f"u{n}" for n in range(39))]
    items = [
        (
            names[n],
            f"{rng.choice(words)} {rng.choice(words)} {aisle.lower()}",
            department,
            aisle,
            "",
            1.0 + n / 10,
        )
        for n, (department, aisle) in enumerate(aisles * 12)
    ]
    events = [
        (user, rng.choice(names), f"2024-01-{day:02d} 10:00:00", f"{user}-{day}")
        for user in users
        for day in sorted(rng.sample(range(1, 29), 3))
        for _ in range(3)
    ]
    columns = {"items": {"categories": ["department", "aisle"]}}
    seen = seeing()
    catalogue = pl.DataFrame(
        items, ["item_id", "title", "department", "aisle", "brand", "price"], orient="row"
    )
    if seen:
        shown = folder.parent / "pictures"
        shown.mkdir(parents=True, exist_ok=True)
        files = [shown / f"{number}.png" for number in range(len(pictures()))]
        for file, picture in zip(files, pictures(), strict=True):
            file.write_bytes(picture)
        catalogue = catalogue.with_columns(
            pl.Series("image", [str(files[n % len(files)]) for n in range(len(items))])
        )
    shop = import_frames(
        catalogue,
        pl.DataFrame(events, ["user_id", "item_id", "time", "basket_id"], orient="row"),
        columns=columns,
        name="fuzz",
    ).dataset
    for name, weight in (("model", 0.1), ("model-2", 10.0)):
        parts = {
            "popularity": Popularity(),
            "item_knn": ItemKNN(shrink=1.0),
            "tfidf": TfidfSimilarity(),
            **seen,
        }
        alike = {"tfidf": 1.0} | dict.fromkeys(seen, 1.0)
        weights = {"for_you": {"popularity": weight, "item_knn": 1.0}, "similar": alike}
        Recommender(shop, Blend(parts=parts, weights=weights).fit(shop)).save(folder / name)
    return folder / "model"


@contextmanager
def service(model: Path, store: Path, log: Path) -> Iterator[str]:
    """A running service; yields its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [sys.executable, "-m", "crossaisle", "serve", str(model), "--port", str(port)]
    command += ["--store", str(store), "--models", str(model.parent)]
    address = f"http://127.0.0.1:{port}"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        for _ in range(1200):
            try:
                urllib.request.urlopen(f"{address}/api/health/ready", timeout=5).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"the service did not start: {log}") from None
                time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


# Requests from the document


HOOKS = """
import itertools
import schemathesis

TURN = itertools.count()

@schemathesis.serializer("application/x-ndjson")
def lines(context, value):
    return value.encode() if isinstance(value, str) else str(value).encode()

@schemathesis.serializer("image/jpeg", "image/png", "image/webp")
def picture(context, value):
    made = getattr(value, "data", value)
    odd = made if isinstance(made, bytes) else str(made).encode()
    return PICTURES[next(TURN) % len(PICTURES)] if PICTURES and next(TURN) % 4 else odd
"""
"""Schemathesis cannot write NDJSON and pictures. Most pictures are real ones."""
CHECKS = (
    *("not_a_server_error", "status_code_conformance", "content_type_conformance"),
    *("response_schema_conformance", "response_headers_conformance", "negative_data_rejection"),
    *("missing_required_header", "unsupported_method", "allow_header_conformance"),
)
"""All checks except the one that every valid request must succeed: an item may be unknown."""


def from_document(address: str, cases: int, folder: Path, seed: int = 0) -> dict[str, Any]:
    """Runs schemathesis; returns how many requests it sent and the kinds of failures it found."""
    (folder / "schemathesis_hooks.py").write_text(f"PICTURES = {pictures()!r}\n{HOOKS}")
    report = folder / "schemathesis.json"
    with urllib.request.urlopen(f"{address}/openapi.json", timeout=30) as answer:
        operations = sum(len(methods) for methods in json.load(answer)["paths"].values())
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json"]
    # A little more than it takes: operations with few possible requests get fewer.
    command += [
        "--max-examples",
        str(max(1, cases * 11 // (10 * operations))),
        "--seed",
        str(seed),
        "--no-color",
    ]
    command += ["--continue-on-failure", "--no-shrink", "--suppress-health-check", "all"]
    command += ["--checks", ",".join(CHECKS), "--generation-database", "none"]
    command += ["--report", "json", "--report-json-path", str(report)]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "schemathesis_hooks", "PYTHONPATH": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment)
    (folder / "schemathesis.txt").write_text(done.stdout + done.stderr)
    if not report.is_file():
        raise SystemExit(f"schemathesis did not run: {folder / 'schemathesis.txt'}")
    found = json.loads(report.read_text())
    with urllib.request.urlopen(f"{address}/metrics", timeout=30) as answer:
        placed = re.findall(r'picture",status="20[01]"\} (\d+)', answer.read().decode())
    return {
        "pictures_taken": sum(map(int, placed)),
        "operations": found["operations"]["tested"],
        "cases": found["test_cases"]["generated"],
        "failures": [f"{f['title']}: {', '.join(f['operations'])} ({f['count']})" for f in found["failures"]],
        "errors": found["errors"],
    }


# Lines of events

ODD: tuple[Any, ...] = (
    *(
        None,
        True,
        0,
        -1,
        1e308,
        2**63,
        2**70,
        0.1,
        "",
        " ",
        "x" * 300,
        "\x00",
        "\u202e",
        "💥",
        [],
        {},
        [None],
    ),
    *({"a": 1}, "2024-01-01", "9999-12-31T23:59:59+00:00", "0001-01-01", "NaN", "' OR 1=1 --", "1609"),
)
RAW = (
    *(
        b"",
        b"{",
        b"[" * 5000,
        b"\xff\xfe",
        b'"\\ud800"',
        b'{"user":"\\ud800","item":"b"}',
        b"NaN",
        b"1e999",
        b"null",
    ),
    *(
        b'{"user":"a","item":"b","value":1e999}',
        b'{"user":"a","user":"b","item":"c"}',
        b"\r",
        b"\x00",
        b"[[[[]]]]",
    ),
    *(b'{"user":"a","item":"b"}{"user":"a","item":"b"}', b"\xef\xbb\xbf{}", b" " * 10_000, b'{"a":' * 2000),
)
FIELDS = ("user", "item", "kind", "time", "key", "value", "quantity", "odd")


def odd_line(rng: random.Random) -> bytes:
    """A line that may be an event, almost one, or something else."""
    if rng.random() < 0.1:
        return rng.choice(RAW)
    event: dict[str, Any] = {"user": f"u{rng.randrange(50)}", "item": rng.choice(KNOWN_ITEMS)}
    if rng.random() < 0.4:
        event["key"] = f"k{rng.randrange(20_000)}"
    for name in FIELDS:
        if rng.random() < 0.08:
            event[name] = rng.choice(ODD)
    line = json.dumps(event, ensure_ascii=rng.random() < 0.5).encode()
    if rng.random() < 0.15:
        at = rng.randrange(len(line))
        line = (
            line[:at] if rng.random() < 0.3 else line[:at] + rng.randbytes(rng.randrange(4)) + line[at + 1 :]
        )
    return line.replace(b"\n", b" ")


def with_lines(address: str, lines: int, seed: int = 0) -> dict[str, Any]:
    """Sends odd lines in pieces of odd sizes; a 200 answer must account for every line."""
    rng = random.Random(seed)
    totals: Counter[str] = Counter()
    wrong: list[str] = []

    def pieces(body: bytes) -> Iterator[bytes]:
        at = 0
        while at < len(body):
            size = rng.choice((1, 7, 100, 5000, 70_000))
            yield body[at : at + size]
            at += size

    with httpx.Client(base_url=address, timeout=60) as client:
        sent = 0
        while sent < lines:
            some = [odd_line(rng) for _ in range(min(CHUNK, lines - sent))]
            body = b"\n".join(some) + (b"\n" if rng.random() < 0.5 else b"")
            sent += len(some)
            headers = {"content-type": "application/x-ndjson"}
            answer = client.post("/api/events", content=pieces(body), headers=headers)
            totals[str(answer.status_code)] += 1
            if answer.status_code != 200:
                wrong.append(f"{answer.status_code}: {answer.text[:200]}")
                continue
            found = answer.json()
            # Among them may be a user whom schemathesis deleted.
            names = ("accepted", "duplicates", "forgotten", "refused")
            counted = {name: found.get(name, 0) for name in names}
            totals.update(counted)
            if sum(counted.values()) != sum(bool(line.strip()) for line in some):
                wrong.append(f"lines are missing: {counted}")
    return {"lines": sent, **totals, "wrong": wrong}


def failed(address: str) -> int:
    """5xx answers, as counted by the service."""
    with urllib.request.urlopen(f"{address}/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return sum(int(n) for n in re.findall(r'requests_total\{[^}]*status="5\d\d"\} (\d+)', text))


def run(out: Path, cases: int, lines: int, seed: int = 0) -> dict[str, Any]:
    """The whole benchmark; returns its results."""
    out = out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    store = out / "store.sqlite"
    for old in out.glob("store.sqlite*"):
        old.unlink()
    model = small_model(out / "models")
    start = time.perf_counter()
    with service(model, store, out / "service.log") as address:
        results: dict[str, Any] = {"document": from_document(address, cases, out, seed)}
        before = _kept(store)
        results["ndjson"] = with_lines(address, lines, seed)
        results["ndjson"]["kept"] = _kept(store) - before
        results["answers_of_5xx"] = failed(address)
    results["seconds"] = round(time.perf_counter() - start, 1)
    results["passed"] = not (
        results["answers_of_5xx"]
        or results["document"]["failures"]
        or results["document"]["errors"]
        or results["ndjson"]["wrong"]
        or results["ndjson"]["kept"] != results["ndjson"].get("accepted", 0)
    )
    (out / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    return results


def _kept(store: Path) -> int:
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as connection:
        return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--cases",
        type=int,
        default=10_000,
        help="requests generated from the OpenAPI document (default: %(default)s)",
    )
    parser.add_argument(
        "--lines", type=int, default=100_000, help="odd lines of NDJSON (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of everything drawn (default: %(default)s)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    chosen = parser.parse_args()
    found = run(chosen.out, chosen.cases, chosen.lines, chosen.seed)
    print(json.dumps(found, indent=1))
    sys.exit(not found["passed"])
