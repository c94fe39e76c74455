from __future__ import annotations

from collections.abc import Sequence

from crossaisle.studies.encode_speed import alternate


def test_encoders_take_turns() -> None:
    calls: list[tuple[str, int]] = []

    def encoder(who: str):  # type: ignore[no-untyped-def]
        def encode(texts: Sequence[str]) -> None:
            calls.append((who, len(texts)))

        return encode

    seconds = alternate({"a": encoder("a"), "b": encoder("b")}, ["title"] * 20, repeats=2)
    assert calls == [("a", 16), ("b", 16), ("a", 20), ("b", 20), ("a", 20), ("b", 20)]
    assert {who: len(taken) for who, taken in seconds.items()} == {"a": 2, "b": 2}
