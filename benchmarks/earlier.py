"""Checks that this tree reads the model and store of an earlier revision, and gives the same lists.

    python benchmarks/earlier.py 7b87d98 --model demo/model --out runs/earlier
    python benchmarks/earlier.py v0.1.0 --model demo/model --out runs/earlier --users 50 --store sqlite

The earlier revision is checked out into a temporary git worktree. It saves the model, makes API keys and
serves. It is sent events, changed, new and deleted items, user attributes, the deletion of users, and
experiments. After a restart it is asked for lists of every placement. Then this tree serves the same model
from the same store and is asked the same; each tree is asked with its own parameter names.

Item ids and their order must be equal and scores within 1e-6; users, items, experiments and keys must be what
they were. Runs with SQLite, and with PostgreSQL where it can be started (`local_servers.py`). Uses 127.0.0.1
only. Exits with 1 if anything differs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local_servers import Missing, Postgres
from revisions import HERE, checked_out
from served import Bars, Served, new_key, say, table, workplace
from written import Written, questions, stored, written_by

from crossaisle.data.dataset import Dataset
from crossaisle.data.storage import load_dataset

WITHIN = 1e-6
SAVE = "import sys; from crossaisle import Recommender; Recommender.load(sys.argv[1]).save(sys.argv[2])"
List = list[tuple[str, float]]
"""Item ids and scores, best first."""


@contextmanager
def served(
    tree: Path, model: Path, store: Path | str, log: Path, options: argparse.Namespace
) -> Iterator[Served]:
    """The service of a tree; makes no API key."""
    environment = {"PYTHONPATH": str(tree / "src")}
    service = Served(model, store, log=log, workers=options.workers, key=False, environment=environment)
    service.key = options.key
    try:
        yield service.start()
    finally:
        service.stop()


def saved_by(tree: Path, model: Path, out: Path) -> Path:
    """The model as a tree saves it."""
    environment = {**os.environ, "PYTHONPATH": str(tree / "src")}
    command = [sys.executable, "-c", SAVE, str(model), str(out)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the model could not be saved: {done.stderr[-500:]}")
    return out


def lists(service: Served, dataset: Dataset, written: Written, n_users: int) -> dict[str, dict[str, List]]:
    """Kind of list -> question -> list."""

    def ask(asked: tuple[str, str, str, str, Any]) -> tuple[str, str, List]:
        kind, name, method, path, body = asked
        answer = service.ask(method, path, None if body is None else json.dumps(body))
        if answer.status != 200:
            raise SystemExit(f"{method} {path}: {answer.status} {answer.body[:300]!r}")
        return kind, name, [(place["item_id"], float(place["score"])) for place in answer.json["items"]]

    out: dict[str, dict[str, List]] = {}
    # One after the other: lists scored together differ in the last bit from lists scored alone.
    for kind, name, found in map(ask, questions(service, dataset, written, n_users)):
        out.setdefault(kind, {})[name] = found
    return out


def compared(before: dict[str, List], now: dict[str, List]) -> dict[str, Any]:
    """How many lists differ, by how much, and the first that does."""
    largest, wrong = 0.0, list[str]()
    for name, old in before.items():
        new = now.get(name, [])
        if [item for item, _ in old] != [item for item, _ in new]:
            wrong.append(f"{name}: other items or another order")
            continue
        apart = max((abs(a - b) for (_, a), (_, b) in zip(old, new, strict=True)), default=0.0)
        largest = max(largest, apart)
        if apart > WITHIN:
            wrong.append(f"{name}: scores {apart:.2g} apart")
    places = sum(map(len, before.values()))
    return {
        "lists": len(before),
        "places": places,
        "apart": largest,
        "differ": len(wrong),
        "first": wrong[:3],
    }


def one_store(
    kind: str, place: Path | str, trees: tuple[Path, Path], model: Path, options: argparse.Namespace
) -> dict[str, Any]:
    """The whole comparison with one kind of store."""
    earlier, this = trees
    dataset = load_dataset(model / "catalogue")
    environment = {**os.environ, "PYTHONPATH": str(earlier / "src")}
    options.key = new_key(place, environment)
    read_key = new_key(place, environment, "reader", "read")
    logs = options.out / f"{kind}-earlier.log", options.out / f"{kind}-this.log"
    for log in logs:
        log.unlink(missing_ok=True)
    with served(earlier, model, place, logs[0], options) as service:
        written = written_by(service, dataset, random.Random(0))
    found: list[tuple[dict[str, dict[str, List]], dict[str, Any]]] = []
    for tree, log in zip((earlier, this), logs, strict=True):
        say(f"{kind}: {'this tree' if tree == this else 'the earlier one'} is asked")
        with served(tree, model, place, log, options) as service:
            known = stored(service, written, read_key)
            found.append((lists(service, dataset, written, options.users), known))
    (lists_before, before), (lists_now, now) = found
    differ = {
        f"{what} {name}": (one, now[what].get(name))
        for what, some in before.items()
        for name, one in some.items()
        if one != now[what].get(name)
    }
    return {
        "lists": {one: compared(lists_before[one], lists_now.get(one, {})) for one in lists_before},
        "stored": {what: before[what] == now[what] for what in before},
        "differ": differ,
    }


def stores(folder: Path, wanted: str) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Kind of store -> what makes one, with a `url` and a `close`."""

    class File:
        url = folder / "store.sqlite"

        def close(self) -> None:
            """Nothing to do: the file is deleted with its folder."""

    for kind, make in (("sqlite", File), ("postgres", Postgres)):
        if wanted in (kind, "both"):
            yield kind, make


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("revision", metavar="REV", help="the earlier revision: a commit, branch or tag")
    parser.add_argument("--model", type=Path, required=True, help="a saved model")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--users", type=int, default=300, help="users whose lists are compared (default: %(default)s)"
    )
    parser.add_argument(
        "--workers", type=int, default=1, help="worker processes of the service (default: %(default)s)"
    )
    parser.add_argument(
        "--store",
        choices=["sqlite", "postgres", "both"],
        default="both",
        help="which store to check (default: %(default)s)",
    )
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {"revision": options.revision, "workers": options.workers}
    bars, rows = Bars(), []
    with (
        workplace(options.model) as (folder, original),
        checked_out(options.revision, folder / "earlier") as earlier,
    ):
        model = saved_by(earlier, original, folder / "saved")
        for kind, make in stores(folder, options.store):
            try:
                database = make()
            except Missing as missing:
                say(f"{kind}: skipped: {missing}")
                results[kind] = f"skipped: {missing}"
                continue
            try:
                found = one_store(kind, database.url, (earlier, HERE), model, options)
            finally:
                database.close()
            results[kind] = found
            for what, one in found["lists"].items():
                figures = (str(one["lists"]), str(one["places"]), f"{one['apart']:.2g}", str(one["differ"]))
                rows.append((kind, what, *figures, "; ".join(one["first"])))
                bars.add(f"{kind}: {what}", "0 differ", one["differ"], not one["differ"])
            for what, same in found["stored"].items():
                bars.add(f"{kind}: {what}", "equal", "equal" if same else "differs", same)
            for what, (before, now) in found["differ"].items():
                say(f"{kind}: {what}: before {json.dumps(before)[:400]}; now {json.dumps(now)[:400]}")
    print(table(("store", "lists", "asked", "places", "scores apart", "differ", "first"), rows))
    bars.end(options.out, results)


if __name__ == "__main__":
    main()
