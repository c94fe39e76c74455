"""Deletes users while they are active and workers are killed, and looks for what is left of them.

    python benchmarks/deletions.py --model demo/model --out runs/deletions
    python benchmarks/deletions.py --model demo/model --out runs/deletions --rounds 20 --workers 1

In every round three clients send events of one user, each with a key that occurs nowhere else, and ask for
lists within a running experiment. In half of the rounds a worker, or all of them, get SIGKILL around the
deletion; a deletion without an answer is sent again.

Every other round the clients go on during and after the deletion. Then what was acknowledged before it must
be gone, and what was sent after its answer must be kept, in the store and in the memory of every worker (seen
through what the user could buy again). In the other rounds nothing is sent once the deletion is under way,
except lists already on their way and one old event that is sent again afterwards. Then nothing may be left,
unless a list may have reached the service after the deletion: one asked for at the same moment, or one that
waited for a killed worker.

Searched are all files of the store (once the deletion is answered, at the end, after SIGKILL and after a
restart), the service's log, users, exposures, lists, and a model that is refitted at the end. In files, half
of a key, address or id counts as a trace, which is printed with its surroundings. Uses 127.0.0.1 only. Exits
with 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from served import Bars, Served, say, workplace
from traces import PIECE, digits, pieces_of

from crossaisle.data.storage import load_dataset
from crossaisle.progress import bar

CLIENTS = 3
BUSY_SECONDS = 0.25
"""How long a user is active before the deletion, and about as long after it."""
DELETED_SECONDS = 60.0
"""How long an unanswered deletion is sent again."""
SHOWN = 3
"""Traces reported for each file."""
SAME_SECONDS = 0.05
"""A list asked for so shortly before a deletion may reach the service after it."""
EXPERIMENT = "deletions"
SURROUNDINGS = 24
"""Bytes shown on both sides of a trace."""
KNOWN_EVERY = 10
"""Every so many rounds, the user is one the model knows."""
CROWD = 3000
"""Events of other users at the end, which a refit needs for its comparison."""


class Sent(NamedTuple):
    """An event, and what became of it."""

    key: str
    item: str
    start: float
    end: float
    accepted: bool
    status: int


@dataclass
class Person:
    """One round."""

    number: int
    user: str
    mail: str
    busy: bool
    """Whether the clients go on during the deletion."""
    known: bool
    """Whether the model knows this user, whose id is then too short to search files for."""
    killed: str = ""
    deleted: tuple[float, float] = (0.0, 0.0)
    """When the deletion that succeeded was sent and answered."""
    sent: list[Sent] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    lists: list[tuple[float, float]] = field(default_factory=list)
    """When each list was asked for, and answered (or failed)."""
    overwritten: bool = True
    """What the answer to the deletion said about the files."""

    @property
    def before(self) -> list[Sent]:
        """Acknowledged before the deletion was sent."""
        return [one for one in self.sent if one.status == 200 and one.end <= self.deleted[0]]

    @property
    def after(self) -> list[Sent]:
        """Sent after the deletion was answered, and acknowledged."""
        return [one for one in self.sent if one.status == 200 and one.start >= self.deleted[1]]

    @property
    def heard_of(self) -> bool:
        """Whether the user may be known again: clients went on, or a list came after the deletion."""
        sent = self.deleted[0]
        late = (start for start, end in self.lists if end >= sent)
        return self.busy or any(self.killed or start > sent - SAME_SECONDS for start in late)

    @property
    def pieces(self) -> set[bytes]:
        """What no file may contain."""
        texts = [self.mail, *(one.key for one in self.before)]
        if not self.heard_of and not self.known:
            texts.append(self.user)
        return {piece for text in texts for _, piece in pieces_of(text.encode())}


class Client(threading.Thread):
    """Sends events and asks for lists in turn."""

    def __init__(self, served: Served, person: Person, items: list[str]) -> None:
        super().__init__()
        self.served, self.person, self.items = served, person, items
        self.events, self.lists, self.idle = True, True, threading.Event()

    def run(self) -> None:
        count = 0
        while self.events or self.lists:
            if self.events:
                self.idle.clear()
                self._event(count)
                count += 1
            if not self.events:
                self.idle.set()
            if self.lists:
                start = time.monotonic()
                self.served.ask("GET", f"/api/recommend/{self.person.user}", timeout=15)
                self.person.lists.append((start, time.monotonic()))

    def _event(self, count: int) -> None:
        key, item = f"key-{digits()}", self.items[count % len(self.items)]
        body = {"user": self.person.user, "item": item, "kind": "purchase", "key": key, "time": time.time()}
        start = time.monotonic()
        answer = self.served.ask("POST", "/api/events", json.dumps(body), timeout=15)
        accepted = answer.status == 200 and answer.json["accepted"] == 1
        self.person.sent.append(Sent(key, item, start, time.monotonic(), accepted, answer.status))
        self.person.statuses[answer.status] += 1
        if answer.status != 200:
            time.sleep(0.02)


class Rounds:
    """The service, and everything that was found."""

    def __init__(self, served: Served, folder: Path, items: list[str], known: list[str], seed: int) -> None:
        self.served, self.folder, self.items, self.known = served, folder, items, known
        self.rng, self.people = random.Random(seed), list[Person]()
        self.traces: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.apart = 0
        """Users on whom memory and store disagree."""
        self.unanswered = 0
        """Deletions that had to be sent again."""

    def round(self, number: int) -> None:
        """One user, from the first event to the deletion and the check right after it."""
        known = number % KNOWN_EVERY == 0 and bool(self.known)
        user = self.known.pop() if known else f"user-{digits()}"
        person = Person(number, user, f"mail-{digits()}", busy=number % 2 == 1, known=known)
        self.people.append(person)
        mail = json.dumps({"mail": person.mail})
        while self.served.ask("PUT", f"/api/users/{user}", mail).status != 204:
            time.sleep(0.05)
        items = self.rng.sample(self.items, 60 * CLIENTS)  # none twice, so that they can be told apart
        clients = [Client(self.served, person, items[n::CLIENTS]) for n in range(CLIENTS)]
        for client in clients:
            client.start()
        time.sleep(self.rng.uniform(0.5, 1.0) * BUSY_SECONDS)
        if not person.busy:
            for client in clients:
                client.events = False
            for client in clients:
                client.idle.wait(30)
        if number // 2 % 2:
            person.killed = self._kill_soon()
        self._delete(person, clients)
        if person.busy:
            time.sleep(BUSY_SECONDS)
        for client in clients:
            client.events = client.lists = False
        for client in clients:
            client.join()
        if person.overwritten:
            self.grep("files, when answered", [person])
        if person.killed:
            self.served.wait_until_ready()
        if person.busy:
            self.compare(person, "right after")
        elif person.before:
            self._again(person)

    def _kill_soon(self) -> str:
        """Sends SIGKILL to a worker, or all, around the deletion."""
        workers = self.served.serving()
        some = workers if self.rng.random() < 1 / 3 else [self.rng.choice(workers)]

        def kill() -> None:
            for pid in some:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)

        threading.Timer(self.rng.uniform(0.0, 0.06), kill).start()
        time.sleep(self.rng.uniform(0.0, 0.03))
        return "all" if some == workers else "one"

    def _delete(self, person: Person, clients: list[Client]) -> None:
        """Sends the deletion until it is answered. 404 counts if an earlier attempt may have succeeded."""
        end, tries = time.monotonic() + DELETED_SECONDS, 0
        while time.monotonic() < end:
            start = time.monotonic()
            if not person.busy:
                for client in clients:
                    client.lists = False
            answer = self.served.ask("DELETE", f"/api/users/{person.user}", timeout=30)
            if answer.status == 200 or (answer.status == 404 and tries):
                person.deleted = start, time.monotonic()
                person.overwritten = answer.json.get("overwritten", True)
                self.unanswered += tries > 0
                return
            tries += 1
            time.sleep(0.05)
        raise SystemExit(
            f"a user could not be deleted within a minute: {answer.status} {answer.body[:200]!r}"
        )

    def _again(self, person: Person) -> None:
        """Replays an old event, with its key and time."""
        one = person.before[0]
        body = {"user": person.user, "item": one.item, "kind": "purchase", "key": one.key}
        body["time"] = time.time() - (time.monotonic() - one.start)
        answer = self.served.ask("POST", "/api/events", json.dumps(body))
        if answer.status == 200 and answer.json["accepted"]:
            self.traces["events taken again in a replay"] += 1

    # What is left

    def grep(self, where: str, people: list[Person], folder: Path | None = None) -> None:
        """Counts traces of users in the files of a folder (by default the store's)."""
        whose = {piece: person for person in people for piece in person.pieces}
        for file in sorted((folder or self.folder).rglob("*")):
            if not file.is_file():
                continue
            content = file.read_bytes()
            found = {piece: at for at, piece in pieces_of(content) if piece in whose}
            self.traces[where] += len(found)
            for piece, at in list(found.items())[:SHOWN]:
                one = whose[piece]
                shown = content[max(0, at - SURROUNDINGS) : at + PIECE + SURROUNDINGS]
                how = f"round {one.number}, busy {one.busy}, killed {one.killed or 'none'}"
                say(f"  {where}: in {file.name} at {at} ({how}): {shown!r}")

    def compare(self, person: Person, when: str) -> None:
        """Compares store and memory, and both with what must be there and what must not."""
        events = self.events_of(person.user)
        keys, items = {event["key"] for event in events}, {event["item"] for event in events}
        self.traces[f"events in GET /api/users, {when}"] += sum(one.key in keys for one in person.before)
        self.lost[f"from the store, {when}"] += sum(one.key not in keys for one in person.after)
        gone = {one.item for one in person.before} - items
        apart = False
        for memory in self.memories(person.user):
            self.traces[f"items of before in lists, {when}"] += len(memory & gone)
            self.lost[f"from memory, {when}"] += len({one.item for one in person.after} - memory)
            apart |= memory != items
        self.apart += apart

    def events_of(self, user: str) -> list[dict[str, Any]]:
        """What the store holds about a user, page by page."""
        found: list[dict[str, Any]] = []
        after = 0
        while True:
            answer = self.served.ask("GET", f"/api/users/{user}?after={after}")
            if answer.status != 200:
                return found
            found += answer.json["events"]
            after = answer.json.get("next")
            if not after:
                return found

    def memories(self, user: str) -> list[set[str]]:
        """What each worker knows about a user: what could be bought again."""
        found: dict[str, set[str]] = {}
        for _ in range(60):
            some, worker = set[str](), ""
            for offset in (0, 100):
                path = f"/api/recommend/{user}?placement=buy_again&n=100&offset={offset}"
                answer = self.served.ask("GET", path)
                if answer.status != 200 or (offset and answer.headers.get("x-worker", "0") != worker):
                    break
                worker = answer.headers.get("x-worker", "0")
                page = {one["item_id"] for one in answer.json["items"]}
                some |= page if answer.json.get("served", "buy_again") == "buy_again" else set()
                if len(page) < 100:
                    found[worker] = some
                    break
            if len(found) == self.served.workers:
                break
        return list(found.values())

    def shown(self) -> None:
        """Users and exposures that the service still reports."""
        quiet = {person.user for person in self.people if not person.heard_of}
        deleted = {person.user: person for person in self.people}
        wall = time.time() - time.monotonic()
        for person in self.people:
            if person.busy:
                self.compare(person, "at the end")
            elif not person.heard_of:
                shown = self.served.ask("GET", f"/api/users/{person.user}").status != 404
                self.traces["people who are still shown"] += shown
        after = 0
        while True:
            path = f"/api/experiments/{EXPERIMENT}/exposures?after={after}&n=1000"
            lines = self.served.ask("GET", path).json
            lines = lines["items"] if isinstance(lines, dict) else lines
            for line in lines:
                person = deleted.get(line["user"])
                old = person is not None and line["time"] < wall + person.deleted[0]
                self.traces["exposures"] += bool(old or line["user"] in quiet)
            if not lines:
                break
            after = lines[-1]["seq"]


def crowd(served: Served, users: list[str], items: list[str], seed: int) -> None:
    """Sends events of users who are not deleted."""
    rng = random.Random(seed)
    for start in range(0, CROWD, 500):
        rows = [
            {"user": rng.choice(users), "item": rng.choice(items), "kind": "purchase", "key": f"c{start + n}"}
            for n in range(500)
        ]
        served.ask("POST", "/api/events", json.dumps(rows))


def refitted(served: Served, rounds: Rounds, models: Path) -> str:
    """Refits on the store; counts what the new model knows about the deleted users."""
    command = [sys.executable, "-m", "crossaisle", "refit", str(served.model), "--store", str(served.store)]
    command += ["--models", str(models), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False)
    if done.returncode or not done.stdout.strip():
        return f"did not run: {done.stderr[-300:]}"
    told = json.loads(done.stdout)
    rounds.grep("files of the new model", rounds.people, models)
    if not told["folder"]:
        return str(told["reason"])
    dataset = load_dataset(models / told["folder"] / "catalogue")
    for person in rounds.people:
        row = dataset.user_ids.get(person.user)
        if row < 0:
            continue
        known = {dataset.item_ids.id(int(item)) for item in dataset.events.item[dataset.events.user == row]}
        stays = {one.item for one in person.sent if one not in person.before}
        rounds.traces["events in the new model"] += len(known - stays) if person.busy else len(known) or 1
    return "accepted"


def measure(served: Served, rounds: Rounds, options: argparse.Namespace, users: list[str]) -> dict[str, Any]:
    body = {"name": EXPERIMENT, "placement": "for_you", "arms": [{"name": "a"}, {"name": "b"}]}
    answer = served.ask("POST", "/api/experiments", json.dumps(body))
    if answer.status != 201:
        raise SystemExit(f"the experiment did not start: {answer.body[:300]!r}")
    start, folder = time.monotonic(), served.log.parent
    with bar("deletions", options.rounds, show=True) as advance:
        for number in range(options.rounds):
            rounds.round(number)
            advance(1)
            if (number + 1) % 20 == 0:
                say(f"{number + 1} deletions, {sum(rounds.traces.values())} traces")
    took = time.monotonic() - start
    time.sleep(3.5)  # what is written late
    crowd(served, users, rounds.items, options.seed)
    rounds.grep("files, at the end", rounds.people)
    rounds.shown()
    noted = sum("deleted person" in line["what"] for line in served.ask("GET", "/api/audit").json)
    say("SIGKILL for all, and a new start")
    for pid in reversed(served.pids()):
        os.kill(pid, signal.SIGKILL)
    served.process.wait() if served.process else None
    rounds.grep("files, after SIGKILL", rounds.people)
    served.start()
    rounds.grep("files, after a new start", rounds.people)
    for person in rounds.people:
        if person.busy:
            rounds.compare(person, "after a new start")
    served.stop()
    rounds.grep("the service's log", rounds.people, folder)
    say("refit")
    refit = refitted(served, rounds, rounds.folder.parent / "models")
    return {"seconds": round(took, 1), "refit": refit, "audit_lines_of_deletions": noted}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="a saved model")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument("--rounds", type=int, default=200, help="users to delete (default: %(default)s)")
    parser.add_argument(
        "--workers", type=int, default=2, help="worker processes of the service (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of everything drawn (default: %(default)s)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    with workplace(options.model) as (folder, model):
        logs, kept = folder / "logs", folder / "store"
        logs.mkdir()
        dataset = load_dataset(model / "catalogue")
        items = [dataset.item_ids.id(row) for row in dataset.item_counts.argsort()[-2000:]]
        users = list(dataset.user_ids.all)
        served = Served(
            model, kept / "store.sqlite", log=logs / "service.log", workers=options.workers
        ).start()
        rounds = Rounds(served, kept, items, users[:100], options.seed)
        try:
            found = measure(served, rounds, options, users[200:500])
        finally:
            served.stop()
            (options.out / "service.log").write_text(served.said())
    killed = Counter(person.killed or "none" for person in rounds.people)
    acknowledged = {
        "before": sum(len(person.before) for person in rounds.people),
        "after": sum(len(person.after) for person in rounds.people),
    }
    refused = sum(not one.accepted for person in rounds.people for one in person.after)
    bars, traces = Bars(), {what: n for what, n in rounds.traces.items() if n}
    bars.add("rounds", str(options.rounds), len(rounds.people), len(rounds.people) == options.rounds)
    bars.add(
        "events of before, after",
        "some",
        f"{acknowledged['before']}, {acknowledged['after']}",
        all(acknowledged.values()),
    )
    for what, n in rounds.traces.items():
        bars.add(f"traces: {what}", "0", n, not n)
    for what, n in rounds.lost.items():
        bars.add(f"later events lost {what}", "0", n, not n)
    bars.add("later events not accepted", "0", refused, not refused)
    bars.add("comparisons of memory and store that differ", "0", rounds.apart, not rounds.apart)
    bars.add("refit", "accepted", found["refit"], found["refit"] == "accepted")
    print(f"{len(rounds.people)} rounds in {found['seconds']} s; killed: {dict(killed)}")
    later = sum(not person.overwritten for person in rounds.people)
    print(
        f"{rounds.unanswered} deletions had to be sent again; {later} said that files are overwritten later"
    )
    bars.end(
        options.out,
        {
            **found,
            "rounds": len(rounds.people),
            "workers": options.workers,
            "killed": dict(killed),
            "overwritten_later": later,
            "acknowledged": acknowledged,
            "traces": traces,
            "lost": dict(rounds.lost),
            "statuses": dict(sum((person.statuses for person in rounds.people), Counter[int]())),
        },
    )


if __name__ == "__main__":
    main()
