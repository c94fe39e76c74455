"""The requests of `attack.py`, made from the OpenAPI document of the running service."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote

METHODS = ("get", "put", "post", "delete", "patch")
DEPTH, HEADERS, PARAMETERS = 100_000, 100_000, 50_000
NUMBER = 15_000_000
"""Digits."""
BIG_HEADER = 10_000_000
LONGEST_URL = 60_000
"""The HTTP parser takes a little more."""
HEAVY = "heavy"
"""Kind of valid requests that cost much: the service may answer them with 503 and Retry-After."""
OF_THE_CONNECTION = (400, 414, 431)
"""Statuses for what was not a request yet, which no operation documents."""


Wanted = Callable[[str], Any]


@dataclass(frozen=True, kw_only=True)
class Attack:
    """One request, or the same one several times at once."""

    kind: str
    operation: str
    method: str
    path: str
    body: tuple[bytes, ...] | None = None
    content: str = "application/json"
    headers: Callable[[], bytes] | None = None
    """More header lines, each with its line end."""
    keyed: bool = True
    chunked: bool = False
    copies: int = 1
    documented: frozenset[int] = field(default_factory=frozenset)
    longest_ms: float = 1000.0
    """Seconds an honest answer may take meanwhile."""

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return sum(map(len, self.body or ()))


@lru_cache(maxsize=2)  # large, and needed several times in a row
def flood(what: str, size: int) -> bytes:
    """JSON (not always valid) of `size` bytes that repeats one thing."""
    between = {
        "zeros": ("[", "0,", "0]"),
        "empty-names": ("{", '"":0,', '"":0}'),
        "lists": ("[", "[],", "[]]"),
        "objects": ("[", "{},", "{}]"),
        "strings": ("[", '"",', '""]'),
        "string": ('"', "a", '"'),
        "escapes": ('"', "\\u00e9", '"'),
        "name": ('{"', "a", '":1}'),
        "spaces": ("", " ", "0"),
        "lines": ("", "0\n", "0"),
        "broken-lines": ("", '{"\n', "{"),
    }
    if what == "keys":
        found, n = ["{"], 1
        while n <= size // 10:
            found.append(f'"k{n}":0,')
            n += 1
        return ("".join(found)[: size - 10].rpartition(",")[0] + "}").encode()
    if what == "number":
        return b"9" * min(NUMBER, size)
    if what == "deep-lists":
        return b"[" * DEPTH + b"]" * DEPTH
    if what == "deep-objects":
        return b'{"a":' * DEPTH + b"0" + b"}" * DEPTH
    first, over, last = (part.encode() for part in between[what])
    return first + over * ((size - len(first) - len(last)) // len(over)) + last


WHOLE = (
    *("zeros", "empty-names", "lists", "objects", "strings", "string", "escapes", "name", "spaces"),
    *("keys", "number", "deep-lists", "deep-objects"),
)
"""Floods that are a whole body."""
IN_FIELDS = ("zeros", "keys", "string")
"""Floods in each field of an otherwise valid body."""
ODD = {
    "nan": ("NaN", "Infinity", "-Infinity", '{"a":NaN}', "[NaN]"),
    "1e999": ("1e999", "-1e999", '{"a":1e999}', "9" * 400),
    "surrogates": ('"\\ud800"', '{"\\ud800":1}', '["\\udfff"]', '{"a":"\\ud800"}'),
    "control": ('"\\u0000"', '"\\u001b[31m"', '{"\\u0000":"\\u202e"}'),
}
"""Small ones, whole and in each field."""


class Document:
    """The operations of a service."""

    def __init__(self, document: dict[str, Any], users: list[str], items: list[str]) -> None:
        self.document, self.users, self.items = document, users, items

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Method, path with placeholders, description."""
        for path, methods in self.document["paths"].items():
            for method in METHODS:
                if method in methods:
                    yield method.upper(), path, methods[method]

    def place(self, method: str, path: str, **ids: str) -> str:
        """A path without placeholders. Changes get unknown ids, unless `ids` says otherwise."""
        reads = method == "GET"
        given = {
            "item": self.items[0] if reads else "attack-item",
            "user": self.users[0] if reads else "attacker",
        } | ids
        for name in names_in(path):
            path = path.replace(f"{{{name}}}", quote(given.get(name, "attack"), safe=""))
        return path

    def schema(self, operation: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Content type and schema of a body; empty where it has none."""
        content = operation.get("requestBody", {}).get("content", {})
        for kind, media in content.items():
            return kind, media.get("schema", {})
        return "", {}

    def object_of(self, schema: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """The schema of the object in a body, and whether the body is a list of them."""
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        if schema.get("type") == "array":
            return self.object_of(schema["items"])[0], True
        for one in schema.get("oneOf", []):
            return self.object_of(one)
        return schema, False

    def example(self, operation: dict[str, Any]) -> dict[str, Any]:
        """A valid object."""
        kind, schema = self.schema(operation)
        if kind != "application/json":
            return {}
        found, _ = self.object_of(schema)
        for one in found.get("examples", []):
            return {**one, **({"id": "attack-item"} if "id" in found.get("properties", {}) else {})}
        known = {
            "user": "attacker",
            "item": self.items[0],
            "id": "attack-item",
            "title": "Attack",
            "name": "a",
        }
        return {name: known.get(name, "a") for name in found.get("required", [])}


def names_in(path: str) -> list[str]:
    return [part.split("}")[0] for part in path.split("{")[1:]]


def attacks(document: Document, size: int, wanted: Wanted = bool) -> Iterator[Attack]:
    """All attacks on the shop, kind by kind. `wanted` chooses kinds by name, before large bodies are made."""
    for kind in filter(wanted, WHOLE):
        yield from of_every_operation(document, kind, (flood(kind, size),))
    if wanted("chunked"):
        yield from chunks(document, size)
    yield from fields(document, size, wanted)
    yield from lines_and_pictures(document, size, wanted)
    yield from heads(document)
    yield from heavy(document)
    yield from without_key(document, size, wanted)
    yield from events_of_one(document)
    yield from afterwards(document)


def of_every_operation(
    document: Document, kind: str, body: tuple[bytes, ...], **more: Any
) -> Iterator[Attack]:
    for method, path, operation in document.operations():
        place = document.place(method, path)
        yield attack(document, kind, method, path, operation, path=place, body=body, **more)


def attack(
    document: Document, kind: str, method: str, template: str, operation: dict[str, Any], **more: Any
) -> Attack:
    documented = frozenset(int(status) for status in operation["responses"]) | more.pop("also", frozenset())
    return Attack(kind=kind, operation=f"{method} {template}", method=method, documented=documented, **more)


def with_bodies(document: Document) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for method, path, operation in document.operations():
        if document.schema(operation)[0] == "application/json":
            yield method, path, operation


def chunks(document: Document, size: int) -> Iterator[Attack]:
    """Chunked bodies of twice the limit, without a length."""
    yield from of_every_operation(document, "chunked", (flood("zeros", size),) * 2, chunked=True)


def fields(document: Document, size: int, wanted: Wanted) -> Iterator[Attack]:
    """Floods and odd values in every documented field, and more valid objects than any limit allows."""
    for method, path, operation in with_bodies(document):
        place = document.place(method, path)
        found, several = document.object_of(document.schema(operation)[1])
        right = document.example(operation)
        names = list(found.get("properties", {})) or ["a"]

        def around(name: str, right: dict[str, Any] = right, several: bool = several) -> tuple[bytes, bytes]:
            rest = {key: value for key, value in right.items() if key != name}
            head = json.dumps(rest)[:-1] + (", " if rest else "") + json.dumps(name) + ":"
            return (("[" if several else "") + head).encode(), b"}]" if several else b"}"

        common: dict[str, Any] = {"path": place}
        for name in names:
            before, after = around(name)
            for kind in (kind for kind in IN_FIELDS if wanted(f"{kind} in {name}")):
                inner = flood(kind, size - len(before) - len(after))
                whole = (before, inner, after)
                yield attack(document, f"{kind} in {name}", method, path, operation, body=whole, **common)
            for kind, values in ODD.items():
                for value in values:
                    whole = (before, value.encode(), after)
                    yield attack(document, f"{kind} in {name}", method, path, operation, body=whole, **common)
        for kind, values in ODD.items():
            for value in values:
                yield attack(document, kind, method, path, operation, body=(value.encode(),), **common)
        for named, row in (("bad rows", {**right, "odd": 1}), ("too many rows", right)):
            if wanted(named):
                one = json.dumps(row).encode() + b","
                rows = b"[" + one * ((size - 2) // len(one) - 1) + one[:-1] + b"]"
                yield attack(document, named, method, path, operation, body=(rows,), **common)


def lines_and_pictures(document: Document, size: int, wanted: Wanted) -> Iterator[Attack]:
    """NDJSON of bad lines, and files that are not pictures."""
    for method, path, operation in document.operations():
        place = document.place(method, path)
        for content in operation.get("requestBody", {}).get("content", {}):
            if "ndjson" in content:
                for kind in ("lines", "broken-lines", "zeros", "keys", "string", "name"):
                    if not wanted(named := f"NDJSON of {kind}"):
                        continue
                    body = (flood(kind, size),)
                    yield attack(
                        document, named, method, path, operation, path=place, body=body, content=content
                    )
            elif content.startswith("image/"):
                body = (flood("string", size),)
                yield attack(
                    document, "picture", method, path, operation, path=place, body=body, content=content
                )


def heads(document: Document) -> Iterator[Attack]:
    """Many headers, one long one, many parameters, long paths, long ids."""
    also = frozenset((*OF_THE_CONNECTION, 404, 405))
    small = b"".join(b"a%d: b\r\n" % n for n in range(HEADERS))
    for method, template, operation in document.operations():
        place = document.place(method, template)

        def one(
            kind: str,
            path: str = place,
            method: str = method,
            template: str = template,
            operation: dict[str, Any] = operation,
            **more: Any,
        ) -> Attack:
            return attack(document, kind, method, template, operation, path=path, also=also, **more)

        yield one("many headers", headers=lambda: small)
        yield one("same header", headers=lambda: b"a: b\r\n" * HEADERS)
        yield one("long header", headers=lambda: b"a: " + b"b" * BIG_HEADER + b"\r\n")
        yield one("long header name", headers=lambda: b"a" * BIG_HEADER + b": b\r\n")
        yield one("many parameters", f"{place}?" + "&".join(f"a{n}=1" for n in range(PARAMETERS)))
        known = [p["name"] for p in operation.get("parameters", []) if p["in"] == "query"] or ["a"]
        fitting = "&".join(f"{known[n % len(known)]}=1" for n in range(LONGEST_URL))[:LONGEST_URL]
        yield one("parameters that fit", f"{place}?{fitting}")
        yield one("empty parameters", f"{place}?" + "&" * LONGEST_URL)
        yield one("long path", f"{place}/" + "a" * LONGEST_URL)
        yield one("many parts", f"{place}" + "/a" * (LONGEST_URL // 2))
        yield one("longer path", f"{place}/" + "a" * 1_000_000)
        for name in names_in(template):
            for length in (256, 257, LONGEST_URL):
                yield one(f"id of {length}", document.place(method, template, **{name: "x" * length}))


def heavy(document: Document) -> Iterator[Attack]:
    """Valid requests that cost much."""
    long = [f"{n:03}" + "x" * 197 for n in range(100)]
    for method, template, operation in document.operations():
        asked = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
        place = document.place(method, template)
        if "explain" in asked:
            for n in (100, 20):
                path = f"{place}?explain=true&n={n}&offset=1000"
                yield attack(document, HEAVY, method, template, operation, path=path, copies=4)
        if "include_categories" in asked:
            path = f"{place}?" + "&".join(
                f"include_categories={one}&exclude_categories={one}" for one in long
            )
            yield attack(document, HEAVY, method, template, operation, path=path, copies=4)
    for method, template, operation in with_bodies(document):
        found, _ = document.object_of(document.schema(operation)[1])
        if "history" not in found.get("properties", {}):
            continue
        known = document.items
        history = [known[n % len(known)] for n in range(1000)]
        questions: list[dict[str, Any]] = [
            {"history": history, "n": 100, "offset": 1000, "explain": True},
            {"history": history, "n": 20, "offset": 1000, "explain": True},
            {"history": ["x" * 250 + str(n) for n in range(1000)], "n": 100},
            {"items": known[:100], "placement": "goes_with", "n": 100, "offset": 1000},
            {"user": document.users[0], "include_categories": long, "exclude_categories": long},
            {"user": document.users[0], "quotas": dict.fromkeys(long, 1)},
            {
                "user": document.users[0],
                "diversity": 1.0,
                "cross_share": 0.5,
                "quota": 1,
                "n": 100,
                "offset": 1000,
            },
        ]
        place = document.place(method, template)
        for question in questions:
            body = (json.dumps(question).encode(),)
            yield attack(document, HEAVY, method, template, operation, path=place, body=body, copies=4)


def without_key(document: Document, size: int, wanted: Wanted) -> Iterator[Attack]:
    """The same attacks without an API key."""
    for kind in ("zeros", "keys"):
        if wanted(named := f"{kind} without a key"):
            yield from of_every_operation(document, named, (flood(kind, size),), keyed=False)
    for one in heads(document):
        if "{" not in one.operation or one.kind == "many headers":
            yield Attack(**{**vars(one), "kind": f"{one.kind} without a key", "keyed": False})


def events_of_one(document: Document) -> Iterator[Attack]:
    """10,000 events of one id, newest first; 10,000 older ones; 100,000 in ten batches; then those again."""
    operation = document.document["paths"]["/api/events"]["post"]
    common: dict[str, Any] = {"path": "/api/events", "longest_ms": 200.0}

    def batch(user: str, first: int, run: str) -> tuple[bytes]:
        items = document.items
        rows = [
            {
                "user": user,
                "item": items[n % len(items)],
                "time": 1.7e9 - first - n,
                "key": f"{run}-{first + n}",
            }
            for n in range(10_000)
        ]
        return (json.dumps(rows).encode(),)

    for named, user, firsts, run in (
        ("one id", "guest", (0,), "a"),
        ("one id, older", "guest", (10_000,), "a"),
        ("one id in ten batches", "till", tuple(range(0, 100_000, 10_000)), "b"),
        ("one id again", "till", (0, 10_000), "b"),
        ("one id, newer", "till", tuple(range(-100_000, -50_000, 10_000)), "c"),
    ):
        for first in firsts:
            body = batch(user, first, run)
            yield attack(document, named, "POST", "/api/events", operation, body=body, **common)


def afterwards(document: Document) -> Iterator[Attack]:
    """Asks for what the attacks left behind."""
    paths = document.document["paths"]
    for template, query in (
        ("/api/items", "?q=oat&n=100"),
        ("/api/items", "?q=attack&n=100"),
        ("/api/items", "?n=100"),
        ("/api/items/{item}", ""),
        ("/api/users/{user}", ""),
        ("/api/console", ""),
        ("/api/audit", ""),
        ("/metrics", ""),
        ("/api/experiments", ""),
        ("/api/trending", ""),
        ("/api/recommend/{user}", "?n=100"),
    ):
        if "get" in paths.get(template, {}):
            place = document.place("GET", template, item="attack-item", user="attacker") + query
            yield attack(document, "afterwards", "GET", template, paths[template]["get"], path=place)


def unknown_ids(document: Document) -> Iterator[Attack]:
    """Unknown ids that look like the shop's, which are long."""
    names = ["item-99999-" + "x" * (length - 11) for length in (111, 180, 256)]
    names += ["x" * 111 + "1", "Item-00001-" + "y" * 100]
    for method, template, operation in document.operations():
        for placeholder in names_in(template):
            if method == "PUT":
                continue  # a new one
            for name in names:
                path = document.place(method, template, **{placeholder: name})
                yield attack(document, "unknown id", method, template, operation, path=path)
        asked = {p["name"] for p in operation.get("parameters", []) if p["in"] == "query"}
        for filter in asked & {"include", "exclude", "category"}:
            known = document.place(method, template)
            path = f"{known}?" + "&".join(f"{filter}=Aisle {n} {'x' * 180}" for n in range(100))
            path = path.replace(" ", "%20")
            yield attack(document, "unknown category", method, template, operation, path=path)
    for method, template, operation in with_bodies(document):
        found, _ = document.object_of(document.schema(operation)[1])
        if "history" in found.get("properties", {}):
            cart = [f"item-{n}-" + "x" * 100 for n in range(90_000, 90_100)]
            for question in ({"items": cart, "placement": "goes_with"}, {"history": cart * 10}):
                body = (json.dumps(question).encode(),)
                yield attack(document, "unknown id", method, template, operation, path=template, body=body)
