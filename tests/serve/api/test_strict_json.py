"""JSON is read strictly, and its cost is bounded before anything is built from it."""

from __future__ import annotations

import json
import random
import time
from typing import Any

import pytest

from crossaisle.errors import DataError
from crossaisle.serve.api.requests.strict_json import parse
from crossaisle.serve.limits.api import ApiLimits

DEPTH, ELEMENTS = ApiLimits().json_depth, ApiLimits().json_values


@pytest.mark.parametrize(
    "content",
    [
        *(b"NaN", b"[Infinity]", b"1e999", b"-1e999", b"1" + b"0" * 400, b'"\\ud800"', b'{"\\udfff":1}'),
        *(b"\xff", b'"\xed\xa0\x80"', b"\xef\xbb\xbf{}", b"{", b"", b"\x00", b"[1,]", b"'a'", b"{}{}"),
    ],
)
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="not JSON") as refused:
        parse(content)
    assert len(str(refused.value)) < 150


@pytest.mark.parametrize("unit", [b"0,", b"[],", b"{},", b'"",', b'{"":0},', b'"\\"",', b"[", b"{", b"[{"])
def test_too_many_values_are_not_read(unit: bytes) -> None:
    started = time.monotonic()
    with pytest.raises(DataError, match="at most 500,000 values"):
        parse(b"[" + unit * (4_000_000 // len(unit)) + b"0]")
    assert time.monotonic() - started < 5


def test_commas_and_brackets_of_texts_do_not_count() -> None:
    for text in (
        "," * (ELEMENTS + 1),
        "[" * (ELEMENTS + 1),
        '\\"{[,' * ELEMENTS,
        "\\" * ELEMENTS,
        '"' * ELEMENTS,
    ):
        assert parse(json.dumps([text, "\\", text]).encode()) == [text, "\\", text]


def test_levels_are_counted_outside_of_texts() -> None:
    assert parse(b"[" * DEPTH + b"]" * DEPTH)
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}"), (b'[{"a":', b"}]")):
        with pytest.raises(DataError, match="at most 32 levels deep"):
            parse(opening * (DEPTH + 1) + b"0" + closing * (DEPTH + 1))
    assert parse(b'{"a":"' + b"[" * 99 + b'","b":"\\\\","c":"{\\"{"}')["c"] == '{"{'
    wide = json.dumps([{"a": [[1]]}] * 1000).encode()
    assert len(parse(wide)) == 1000


def test_it_reads_what_the_standard_library_reads() -> None:
    limits = ApiLimits(json_scan_bytes=7, json_values=100, json_depth=8)
    rng = random.Random(0)

    def value(depth: int) -> Any:
        kind = rng.randrange(6 if depth else 4)
        if kind < 2:
            return "".join(rng.choice('a"\\[]{},: é\n') for _ in range(rng.randrange(12)))
        if kind < 4:
            return rng.choice([None, True, 1, -2.5])
        if kind == 4:
            return [value(depth - 1) for _ in range(rng.randrange(4))]
        return {f'k"{n}\\': value(depth - 1) for n in range(rng.randrange(4))}

    def elements(one: Any) -> int:
        inner = one if isinstance(one, list) else one.values() if isinstance(one, dict) else None
        return 0 if inner is None else 1 + max(len(inner) - 1, 0) + sum(map(elements, inner))

    refused = 0
    for _ in range(2000):
        made = [value(4) for _ in range(rng.randrange(60))]
        content = json.dumps(made, ensure_ascii=rng.random() < 0.5).encode()
        if 100 < (n := elements(made)) <= 108:
            continue  # where hardly a list is opened, these are not counted
        if n > 100:
            with pytest.raises(DataError, match="values"):
                parse(content, limits)
            refused += 1
        else:
            assert parse(content, limits) == made
    assert 100 < refused < 1900
