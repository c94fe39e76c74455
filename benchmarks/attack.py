"""Attacks a service with every kind of oversized or malformed request, beside an honest client.

    python benchmarks/attack.py --model demo/model --out runs/attack
    python benchmarks/attack.py --model demo/model --out runs/attack --only zeros --only "one id"
    python benchmarks/attack.py --model demo/model --out runs/attack --bytes 1000000 --minutes 5

Every operation of the service's OpenAPI document gets bodies of 16 MB: repeated `0,`, `"":0,`, `[]`, `{}` or
short keys, one long string, name or number, and nested lists and objects. Further attacks put odd numbers and
lone surrogates into every field, send many or long headers, parameters, paths and ids, ask for explanations
far down a list, and send the events of one user newest first. All are sent with an admin key and without one.
A second service, of a small shop with long ids, is asked for unknown ids. One attack runs at a time; some use
four connections.

Meanwhile the honest client, a separate process, asks for lists (20 a second) and sends events. A service that
takes more than `--most-mb` is killed and restarted, which misses the target. Uses 127.0.0.1 only. Exits with
1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import random
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from floods import HEAVY, Attack, Document, attacks, unknown_ids
from served import Bars, Honest, Served, Watch, forget_peak, memory_mb, say, table, workplace

PIECE = 1 << 18
EVERY = 5.0
"""Seconds between lines of progress."""
PAUSE = 0.1
"""Seconds after a large attack in which a slow honest answer is still blamed on it."""
LARGE = 100_000
UNANSWERED = 60.0
"""Seconds an attack waits for its answer."""
WAIT_MS, MEMORY_MB = 1000.0, 200.0
SHOWN = 10


@dataclass(frozen=True)
class Ended:
    """How a request ended: its status, 0 if closed without an answer, -1 if neither within a minute."""

    status: int
    answer_bytes: int = 0
    retry_after: bool = False


@dataclass(frozen=True)
class Found:
    """What an attack did."""

    kind: str
    operation: str
    keyed: bool
    sent_bytes: int
    seconds: float
    statuses: tuple[int, ...]
    answer_bytes: int
    honest_ms: float
    """Longest wait of an honest request meanwhile."""
    bar_ms: float
    memory_mb: float
    """Peak over the memory before all attacks."""
    own_mb: float
    """Peak over the memory before this one."""
    undocumented: tuple[int, ...]
    overload: int
    """503 answers with Retry-After to the attacker's own heavy requests."""
    killed: bool = False

    @property
    def failed(self) -> int:
        """5xx answers, except overload."""
        return sum(status >= 500 for status in self.statuses) - self.overload

    @property
    def badness(self) -> float:
        """How far beyond the targets."""
        return max(self.honest_ms / self.bar_ms, self.own_mb / MEMORY_MB, 2.0 * self.failed)


def send(port: int, key: str, attack: Attack, timeout: float) -> Ended:
    """Sends and reads at the same time, because the answer may come before everything is sent."""
    pending = list(reversed(_parts(port, key, attack)))
    end, said, head, received, wanted = time.monotonic() + timeout, b"", b"", 0, -1
    with socket.socket() as client, selectors.DefaultSelector() as selector:
        try:
            client.connect(("127.0.0.1", port))
        except OSError:
            return Ended(0)
        client.setblocking(False)
        selector.register(client, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while (left := end - time.monotonic()) > 0:
            for _, ready in selector.select(left):
                if ready & selectors.EVENT_WRITE:
                    try:
                        sent = client.send(pending[-1][:PIECE])
                        pending[-1] = pending[-1][sent:]
                        if not pending[-1]:
                            pending.pop()
                    except BlockingIOError:
                        pass
                    except OSError:
                        pending.clear()
                    if not pending:
                        selector.modify(client, selectors.EVENT_READ)
                if ready & selectors.EVENT_READ:
                    try:
                        part = client.recv(1 << 20)
                    except BlockingIOError:
                        continue
                    except OSError:
                        part = b""
                    if not part:
                        return _ended(head, received)
                    if not head:
                        said += part
                        head, found, part = said.partition(b"\r\n\r\n")
                        if not found:
                            head = b""
                            continue
                        wanted = _length(head)
                    received += len(part)
                    if received >= wanted >= 0:
                        return _ended(head, received)
    return Ended(-1, received)


def _length(head: bytes) -> int:
    """Length of the body; without one, until the connection ends."""
    found = head.lower().partition(b"content-length:")[2]
    return int(found.split(b"\r\n")[0]) if found else 0 if head[9:12] == b"204" else -1


def _ended(head: bytes, received: int) -> Ended:
    if not head:
        return Ended(0)
    return Ended(int(head[9:12]), received, b"retry-after" in head.lower())


def _parts(port: int, key: str, attack: Attack) -> list[memoryview]:
    """Head and body, in pieces, without copying them."""
    head = (
        f"{attack.method} {attack.path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n".encode()
    )
    if attack.keyed and key:
        head += f"Authorization: Bearer {key}\r\n".encode()
    body = list(attack.body or ())
    if attack.body is not None:
        head += f"Content-Type: {attack.content}\r\n".encode()
        if attack.chunked:
            head += b"Transfer-Encoding: chunked\r\n"
            body = [piece for part in body for piece in (b"%x\r\n" % len(part), part, b"\r\n")] + [
                b"0\r\n\r\n"
            ]
        else:
            head += b"Content-Length: %d\r\n" % attack.size
    more = attack.headers() if attack.headers else b""
    return [memoryview(part) for part in (head, more, b"\r\n", *body) if part]


class Attacker:
    """A service, its honest client, and what attacks did to them."""

    def __init__(self, served: Served, honest: Honest, watch: Watch) -> None:
        self.served, self.honest, self.watch = served, honest, watch
        self.before_mb = self._memory("VmRSS")
        self.found: list[Found] = []
        self.lost = 0
        """How often the service had to be started again."""

    def _memory(self, what: str) -> float:
        return sum(memory_mb(pid, what) for pid in self.served.serving())

    def run(self, attack: Attack) -> Found:
        """Runs one attack, until the honest client is answered again."""
        for pid in self.served.serving():
            forget_peak(pid)
        killed, start, before_mb = self.watch.killed, time.monotonic(), self._memory("VmRSS")
        ends: list[Ended] = []
        several = [
            threading.Thread(
                target=lambda: ends.append(send(self.served.port, self.served.key, attack, UNANSWERED))
            )
            for _ in range(attack.copies)
        ]
        for one in several:
            one.start()
        for one in several:
            one.join()
        seconds = time.monotonic() - start
        if attack.size > LARGE or attack.copies > 1 or seconds > PAUSE:
            time.sleep(PAUSE)
        stopped = time.monotonic()
        peak = self._memory("VmHWM") if killed == self.watch.killed else self.watch.most
        late = any(one.status == -1 for one in ends) or seconds > WAIT_MS / 1000
        if killed != self.watch.killed or not self.served.running():
            self._again()
        elif late and not self.honest.answering():
            say(f"{attack.operation}: still no answer, started again")
            self.served.stop()
            self._again()
        waits = [one.seconds for one in self.honest.between(start, stopped) if one.status]
        overload = sum(one.status == 503 and one.retry_after for one in ends) if attack.kind == HEAVY else 0
        found = Found(
            kind=attack.kind,
            operation=attack.operation,
            keyed=attack.keyed,
            sent_bytes=attack.size,
            seconds=round(seconds, 3),
            statuses=tuple(one.status for one in ends),
            answer_bytes=max(one.answer_bytes for one in ends),
            honest_ms=round(1000 * max(waits, default=0.0), 1),
            bar_ms=attack.longest_ms,
            memory_mb=round(peak - self.before_mb, 1),
            own_mb=round(peak - before_mb, 1),
            undocumented=tuple(
                {one.status for one in ends if one.status > 0 and one.status not in attack.documented}
            ),
            overload=overload,
            killed=killed != self.watch.killed,
        )
        self.found.append(found)
        return found

    def _again(self) -> None:
        self.lost += 1
        self.served.stop()
        self.served.start()
        self.honest.answering()


def warm(served: Served, users: list[str], items: list[str]) -> None:
    """Loads what any service loads sooner or later, so that attacks are not blamed for it: the text encoder,
    search, the popularity counts (which the first event needs) and the model's parts of every placement.
    """
    # No earlier run has read this title, so the encoder is needed.
    item = {"title": f"Oat milk {time.time_ns()}", "categories": [["Dairy", "Milk"]], "price": 2.5}
    served.ask("POST", "/api/events", json.dumps({"user": "warm", "item": items[0]}))
    asked = ("items?q=oat", "trending", "console", "console/links")
    for path in (*(f"/api/{one}" for one in asked), "/metrics", "/openapi.json"):
        served.ask("GET", path)
    served.ask("PUT", "/api/items/warm", json.dumps(item))
    served.ask("GET", f"/api/items/{items[0]}/similar?explain=true")
    served.ask("GET", "/api/recommend/stranger?n=100")
    for placement in ("for_you", "discover", "buy_again"):
        served.ask("GET", f"/api/recommend/{users[0]}?placement={placement}&explain=true")
    served.ask("GET", f"/api/items/{items[0]}/goes-with?user={users[0]}&explain=true")


def under_attack(
    served: Served,
    users: list[str],
    items: list[str],
    make: Callable[[Document], Iterator[Attack]],
    wanted: Callable[[str], bool],
    options: argparse.Namespace,
    end: float,
) -> tuple[list[Found], list[Any], dict[str, Any]]:
    """What each attack did, what the honest client got, and totals."""
    served.start()
    watch = Watch(served, options.most_mb)
    honest = Honest(served, users[:50], items[:50])
    left_out, told = Counter[str](), 0.0
    try:
        warm(served, users, items)
        time.sleep(options.quiet)
        start = time.monotonic()
        attacker = Attacker(served, honest, watch)
        document = Document(served.ask("GET", "/openapi.json").json, users, items)
        for attack in make(document):
            if not wanted(attack.kind):
                continue
            if time.monotonic() > end:
                left_out[attack.kind] += 1
                continue
            if time.monotonic() > told + EVERY:
                told = time.monotonic()
                say(f"{attack.kind} ({len(attacker.found)} sent, {memory_mb(served.pid):.0f} MB)")
            found = attacker.run(attack)
            if found.badness >= 1 or found.undocumented or -1 in found.statuses:
                say("  " + "  ".join(row(found)))
    finally:
        watch.close()
        honest.close()
        stopping = served.stop()
    rest = {
        "before_mb": round(attacker.before_mb, 1),
        "started_again": attacker.lost,
        "left_out": dict(left_out),
        "seconds": round(time.monotonic() - start, 1),
        "seconds_to_stop": stopping,
    }
    return attacker.found, [one for one in honest.waited if one.due > start], rest


def row(found: Found) -> tuple[str, ...]:
    return (
        found.operation,
        found.kind + ("" if found.keyed else " (no key)"),
        f"{found.honest_ms:.0f} ms",
        f"{found.own_mb:+.0f} MB" + (", killed" if found.killed else ""),
        f"{found.memory_mb:+.0f} MB",
        f"{found.seconds:.1f} s",
        ",".join(map(str, sorted(set(found.statuses)))),
        f"{found.answer_bytes:,}",
    )


def shop_of_long_ids(folder: Path, n: int = 4900) -> tuple[Path, list[str], list[str]]:
    """Saves a model of a small shop whose ids have 111 characters; returns its users and items."""
    import polars as pl

    from crossaisle.data.ingest.importer import import_frames
    from crossaisle.models.blend import Blend
    from crossaisle.models.scorers.content import TfidfSimilarity
    from crossaisle.models.scorers.item_knn import ItemKNN
    from crossaisle.models.scorers.popularity import Popularity
    from crossaisle.recommend.recommender import Recommender

    rng = random.Random(0)
    items = [f"item-{number:05d}-{'x' * 100}" for number in range(n)]
    users = [f"user-{number}" for number in range(200)]
    rows = [
        (item, f"oat {at % 50} milk {at % 7}", f"Aisle {at % 40}", f"Shelf {at % 200}", 1.0)
        for at, item in enumerate(items)
    ]
    events = [
        (user, rng.choice(items), f"2024-01-{day:02d} 10:00:00", f"{user}-{day}")
        for user in users
        for day in range(1, 20)
    ]
    shop = import_frames(
        pl.DataFrame(rows, ["item_id", "title", "department", "aisle", "price"], orient="row"),
        pl.DataFrame(events, ["user_id", "item_id", "time", "basket_id"], orient="row"),
        columns={"items": {"categories": ["department", "aisle"]}},
        name="long-ids",
    ).dataset
    parts = {"popularity": Popularity(), "item_knn": ItemKNN(shrink=1.0), "tfidf": TfidfSimilarity()}
    weights = {"for_you": {"popularity": 0.1, "item_knn": 1.0}, "similar": {"tfidf": 1.0}}
    Recommender(shop, Blend(parts=parts, weights=weights).fit(shop)).save(folder)
    return folder, users, items


def judge(found: list[Found], waited: list[Any], rests: list[dict[str, Any]], minutes: float) -> Bars:
    bars = Bars()
    wrong = [one for one in waited if one.status != 200]
    one_id = [one.honest_ms for one in found if one.bar_ms < WAIT_MS]
    undocumented = [one for one in found if one.undocumented]
    left_out = sum(sum(rest["left_out"].values()) for rest in rests)
    seconds = sum(rest["seconds"] for rest in rests)
    latest = max((one.seconds for one in waited), default=0.0)
    largest = max((one.memory_mb for one in found), default=0.0)
    bars.add("latest honest answer", "<= 1000 ms", f"{1000 * latest:.0f} ms", 1000 * latest <= WAIT_MS)
    if one_id:
        most = max(one_id)
        bars.add("the same, while events of one id come", "<= 200 ms", f"{most:.0f} ms", most <= 200.0)
    bars.add("honest questions not answered 200", "0", f"{len(wrong)} of {len(waited)}", not wrong)
    bars.add("memory over before", "< 200 MB", f"{largest:.0f} MB", largest < MEMORY_MB)
    failed = sum(one.failed for one in found)
    bars.add("answers of 5xx to attacks", "0", failed, not failed)
    names = sorted({f"{one.operation} {one.kind}: {one.undocumented}" for one in undocumented})
    bars.add("undocumented statuses", "0", f"{len(undocumented)} {'; '.join(names[:3])}", not undocumented)
    silent = sum(-1 in one.statuses for one in found)
    bars.add("attacks neither answered nor closed in 60 s", "0", silent, not silent)
    restarts = sum(rest["started_again"] for rest in rests)
    bars.add("service killed or died", "0", restarts, not restarts)
    bars.add("attacks left out for want of time", "0", left_out, not left_out)
    bars.add("minutes", f"< {minutes:g}", round(seconds / 60, 1), seconds < 60 * minutes)
    return bars


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path, required=True, help="a saved model")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--only",
        action="append",
        metavar="NAME",
        help="only attacks whose kind begins with NAME; may be repeated",
    )
    parser.add_argument(
        "--bytes", type=int, default=16_000_000, help="size of a large body, by default the service's limit"
    )
    parser.add_argument(
        "--minutes",
        type=float,
        default=10.0,
        help="attacks not sent by then are left out (default: %(default)s)",
    )
    parser.add_argument(
        "--most-mb",
        type=float,
        default=4000.0,
        help="memory in MB at which the service is killed (default: %(default)s)",
    )
    parser.add_argument(
        "--quiet",
        type=float,
        default=5.0,
        help="seconds with the honest client alone, first (default: %(default)s)",
    )
    options = parser.parse_args()
    from crossaisle.data.storage import load_dataset

    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "service.log").unlink(missing_ok=True)
    end = time.monotonic() + 60 * options.minutes
    found, waited, rests = [], [], []

    def wanted(kind: str) -> bool:
        return not options.only or any(kind.startswith(one) for one in options.only)

    with workplace(options.model) as (folder, model):
        dataset = load_dataset(model / "catalogue")
        popular = [dataset.item_ids.id(row) for row in dataset.item_counts.argsort()[-500:][::-1]]
        long = shop_of_long_ids(folder / "long-ids")
        shops: list[tuple[Path, list[str], list[str], Callable[[Document], Iterator[Attack]]]] = [
            (*long, unknown_ids),
            (
                model,
                list(dataset.user_ids.all[:500]),
                popular,
                lambda document: attacks(document, options.bytes, wanted),
            ),
        ]
        for place, users, items, make in shops:
            say(f"a service on {place.name}")
            served = Served(place, folder / f"{place.name}.sqlite", log=options.out / "service.log")
            some = under_attack(served, users, items, make, wanted, options, end)
            found, waited, rests = [*found, *some[0]], [*waited, *some[1]], [*rests, some[2]]
    if not found:
        raise SystemExit(f"no attack is called {' or '.join(options.only)}")
    worst = sorted(found, key=lambda one: -one.badness)[:SHOWN]
    head = ("operation", "attack", "honest wait", "memory", "in all", "took", "status", "answer, bytes")
    print(table(head, [row(one) for one in worst]))
    kinds = {
        kind: {
            "sent": sum(one.kind == kind for one in found),
            "honest_ms": max(one.honest_ms for one in found if one.kind == kind),
            "memory_mb": max(one.own_mb for one in found if one.kind == kind),
            "statuses": dict(Counter(s for one in found if one.kind == kind for s in one.statuses)),
        }
        for kind in dict.fromkeys(one.kind for one in found)
    }
    overload = sum(one.overload for one in found)
    print(f"{len(found)} attacks; {overload} heavy requests were refused for now (503, Retry-After)")
    judge(found, waited, rests, options.minutes).end(
        options.out,
        {"services": rests, "kinds": kinds, "overload": overload, "attacks": [asdict(one) for one in found]},
    )


if __name__ == "__main__":
    main()
