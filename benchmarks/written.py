"""What `earlier.py` has an earlier revision write, and what it then asks both revisions.

An earlier service is addressed in the terms of its time (such as an arm's `share`), so do not rename anything
here to follow later names: `questions` and `Dialect` adapt.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from revisions import Dialect
from served import Served

from crossaisle.data.dataset import Dataset

N = 20
"""Length of the lists that are compared."""
NEWCOMERS = 30
"""Users unknown to the model."""
AGO = 20 * 86_400.0
"""Seconds since the first event."""
NEW_ITEMS = [
    ("new-oats", "Organic oat milk barista", [["Grocery", "Milk"]], 3.0),
    ("new-grapes", "Red seedless grapes", [["Produce", "Grapes"]], 4.5),
    ("new-cookies", "Chocolate chip cookies", [["Grocery", "Cookies"]], 2.2),
    ("new-nothing", "Zzyzx qwrtp", [["Oddities"]], 9.9),
]
EXPERIMENTS: list[dict[str, Any]] = [
    {
        "name": "more-variety",
        "placement": "for_you",
        "arms": [
            {"name": "as-it-is"},
            {"name": "varied", "controls": {"share": 0.5, "quota": 2, "diversity": 0.2}},
        ],
        "goal": ["cart", "purchase"],
    },
    {
        "name": "two-ways",
        "kind": "interleaving",
        "placement": "buy_again",
        "arms": [{"name": "one"}, {"name": "other", "controls": {"share": "auto"}}],
    },
    {"name": "ended", "placement": "discover", "arms": [{"name": "a"}, {"name": "b", "weight": 3}]},
]
Asked = tuple[str, str, str, str, Any]
"""Kind of list, question, HTTP method, path, body (None for none)."""


@dataclass(frozen=True)
class Written:
    """What was sent to the service."""

    users: list[str]
    """Users with live events, known to the model or not; those asked about come first."""
    deleted: str
    """A user who was deleted."""
    items: list[str]
    """Changed, new and deleted items."""
    events: list[dict[str, Any]]


def send(service: Served, method: str, path: str, body: Any = None) -> None:
    """Sends a request; `SystemExit` unless it succeeds."""
    answer = service.ask(method, path, None if body is None else json.dumps(body))
    if not 200 <= answer.status < 300:
        raise SystemExit(f"{method} {path}: {answer.status} {answer.body[:300]!r}")


def written_by(service: Served, dataset: Dataset, rng: random.Random) -> Written:
    """Has an earlier service store some of everything."""
    popular = [dataset.item_ids.id(row) for row in dataset.item_counts.argsort()[::-1][:2000]]
    known = rng.sample(list(dataset.user_ids.all), min(60, dataset.n_users))
    users = known + [f"newcomer-{number}" for number in range(NEWCOMERS)]
    first = round(time.time() - AGO)
    events = [
        {
            "user": rng.choice(users),
            "item": rng.choice(popular),
            "kind": rng.choice(["view", "cart", "purchase"]),
            "time": first + 60 * number + rng.random(),
            "key": f"event-{number}",
        }
        for number in range(800)
    ]
    send(service, "POST", "/api/events", events[:400])
    for event in events[400:450]:
        send(service, "POST", "/api/events", event)
    changed = rng.sample(popular, 40)
    for row, item in enumerate(changed[:30]):
        send(
            service, "PATCH", f"/api/items/{item}", {"price": 1 + row / 4} if row % 3 else {"in_stock": False}
        )
    for item in changed[30:]:
        send(service, "DELETE", f"/api/items/{item}")
    for item, title, categories, price in NEW_ITEMS:
        send(service, "PUT", f"/api/items/{item}", {"title": title, "categories": categories, "price": price})
    for number, user in enumerate(users[:5]):
        send(service, "PUT", f"/api/users/{user}", {"city": f"number {number}", "member": True})
    deleted = known[-1]
    send(service, "DELETE", f"/api/users/{deleted}")
    for experiment in EXPERIMENTS:
        send(service, "POST", "/api/experiments", experiment)
    send(service, "POST", "/api/experiments/ended/stop")
    # Some events of the deleted user come after the deletion and count as a new user's.
    send(service, "POST", "/api/events", [event for event in events[450:] if event["user"] != deleted])
    send(service, "POST", "/api/events", {"user": "newcomer-0", "item": NEW_ITEMS[0][0], "time": first + 1e5})
    return Written(users, deleted, changed + [item for item, *_ in NEW_ITEMS], events)


def questions(service: Served, dataset: Dataset, written: Written, n_users: int) -> Iterator[Asked]:
    """Every placement and every control, with the parameter names of the running service."""
    words = Dialect(service.ask("GET", "/openapi.json").json)
    others = [user for user in dataset.user_ids.all if user not in written.users]
    names = dataset.taxonomy.names()
    ways: dict[str, dict[str, Any]] = {
        "for_you, in an experiment": {},
        "discover": {"placement": "discover"},
        "buy_again, in an experiment": {"placement": "buy_again"},
        "trending, for a user": {"placement": "trending"},
        "cross share, quota, price": {"cross_share": 0.5, "quota": 3, "max_price": 8},
        "categories left out": {"exclude_categories": names[:2], "exclude_seen": "true"},
        "one category": {"include_categories": [names[len(names) // 2]]},
        "diversity": {"diversity": 0.3},
        "second page of discover": {"placement": "discover", "offset": 10},
    }
    for user in [*written.users, *others][:n_users]:
        for kind, controls in ways.items():
            yield kind, user, "GET", words.path(user, n=N, **controls), None
    popular = [dataset.item_ids.id(row) for row in dataset.item_counts.argsort()[::-1][2000 : 2000 + n_users]]
    for item in [*(name for name, *_ in NEW_ITEMS), *popular]:
        for way in ("goes-with", "similar"):
            yield way.replace("-", "_"), item, "GET", f"/api/items/{item}/{way}?n={N}", None
    yield "trending", "all", "GET", f"/api/trending?n={N}", None
    rng = random.Random(1)
    for number in range(n_users):
        some = rng.sample(popular, min(5, len(popular)))
        body = {"history": some, "n": N, **words.controls(cross_share=0.4)}
        yield "session", f"session {number}", "POST", "/api/recommend", body
        body = {"placement": "goes_with", "items": some[:3], "n": N}
        yield "cart", f"cart {number}", "POST", "/api/recommend", body


def stored(service: Served, written: Written, read_key: str) -> dict[str, dict[str, Any]]:
    """What the service knows of what was written, by kind and name, in terms no revision renames."""

    def get(path: str) -> Any:
        answer = service.ask("GET", path)
        return answer.json if answer.status == 200 else answer.status

    def user(name: str) -> Any:
        found = get(f"/api/users/{name}")
        if found == 404:  # later known through lists shown in experiments
            return [{}, [], []]
        events = sorted((event["time"], event["item"], event["kind"]) for event in found["events"])
        return [found["attributes"], events, found["history"]]

    def item(name: str) -> Any:
        found = get(f"/api/items/{name}")
        facts = ("title", "category", "price", "in_stock", "new")
        return [found[fact] for fact in facts] if isinstance(found, dict) else found

    def experiment(name: str) -> Any:
        found = get(f"/api/experiments/{name}")
        return [found["running"], [arm["name"] for arm in found["arms"]], found["broken"]]

    repeated = [event for event in written.events if event["user"] != written.deleted][:50]
    again = service.ask("POST", "/api/events", json.dumps(repeated)).json
    headers = {"Authorization": f"Bearer {read_key}"}
    scopes = {
        f"{method} {path}": service.ask(method, path, body, headers=headers).status
        for method, path, body in (
            ("GET", "/api/trending", None),
            ("POST", "/api/events", "[]"),
            ("GET", "/api/audit", None),
        )
    }
    return {
        "users": {name: user(name) for name in written.users},
        "items": {name: item(name) for name in written.items},
        "experiments": {one["name"]: experiment(one["name"]) for one in EXPERIMENTS},
        "events sent again": {name: again[name] for name in ("accepted", "duplicates")},
        "what the read key may do": scopes,
    }
