"""What `benchmarks/deletions.py` counts as a trace in a file."""

from __future__ import annotations

from benchmarks.traces import DIGITS, PIECE, digits, pieces_of


def found(content: bytes) -> set[bytes]:
    return {piece for _, piece in pieces_of(content)}


def test_half_a_text_is_a_trace_of_it_wherever_it_was_cut() -> None:
    text = digits().encode()
    assert len(text) == DIGITS
    whole = found(text)
    for start in range(DIGITS - PIECE + 1):
        left = text[start : start + PIECE]
        assert list(pieces_of(b"\x00key-" + left + b"\t\x03")) == [(5, left)]
        assert left in whole
        assert left in found(b"7" + left + b"1609"), "between other digits"
    assert found(text[: PIECE - 1] + b"\x00" + text[PIECE:-1]) == set()


def test_what_is_left_of_one_text_is_no_trace_of_another() -> None:
    """As with numbered keys: the cut copy of a row `...-12` looked like the deleted `...-1`."""
    there, deleted = digits(), digits()
    assert not found(deleted.encode()) & {p for end in range(DIGITS) for p in found(there[:end].encode())}
