"""Detects the encoding of a text file, over the whole file, so that decoding cannot fail halfway."""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import IO

from crossaisle.errors import DataError

MARKS = (  # UTF-32 before UTF-16: its mark starts with the same two bytes
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
CHUNK = 1 << 20


def find_encoding(
    open_bytes: Callable[[], IO[bytes]], given: str | None, file: str
) -> tuple[str, str | None]:
    """The encoding of a file and, if it was guessed, a sentence for the report.

    `DataError` if an encoding was given and does not fit the file.
    """
    if given is not None:
        try:
            codecs.lookup(given)
        except LookupError:
            raise DataError(f"unknown encoding {given!r}", file=file) from None
        wrong = _first_wrong_byte(open_bytes, given)
        if wrong is not None:
            raise DataError(
                f"not {given}: byte {wrong[0]} does not fit; leave encoding unset to detect it",
                file=file,
                row=wrong[1],
            )
        return given, None
    with open_bytes() as handle:
        head = handle.read(CHUNK)
    marked = next((name for mark, name in MARKS if head.startswith(mark)), None)
    if marked is not None:
        _check_marked(open_bytes, marked, file)
        return marked, None
    unmarked = _unmarked_utf16(head)
    if unmarked is not None and _first_wrong_byte(open_bytes, unmarked) is None:
        return unmarked, f"{file}: read as {unmarked}, which has no byte order mark"
    wrong = _first_wrong_byte(open_bytes, "utf-8")
    if wrong is None:
        return "utf-8", None
    for name in ("gb18030", "cp1252"):
        plausible = name != "gb18030" or _looks_chinese(open_bytes, wrong[0])
        if plausible and _first_wrong_byte(open_bytes, name) is None:
            return name, (
                f"{file}: not UTF-8 (row {wrong[1]}); read as {name}: set encoding if names look wrong"
            )
    return "latin-1", f"{file}: no encoding fits (row {wrong[1]}); read as latin-1, names may look wrong"


def _check_marked(open_bytes: Callable[[], IO[bytes]], encoding: str, file: str) -> None:
    """`DataError` if a file is not in the encoding indicated by its byte order mark."""
    form = encoding.removesuffix("-sig")
    wrong = _first_wrong_byte(open_bytes, form)
    if wrong is not None:
        raise DataError(
            f"begins with the byte order mark of {form}, but byte {wrong[0]} is not {form}: "
            "save it in one encoding, or set encoding",
            file=file,
            row=wrong[1],
        )


def _first_wrong_byte(open_bytes: Callable[[], IO[bytes]], encoding: str) -> tuple[int, int] | None:
    """(offset, line) of the first byte that cannot be decoded, or None."""
    decoder = codecs.getincrementaldecoder(encoding)()
    plain = not codecs.lookup(encoding).name.startswith(("utf-16", "utf-32", "utf-7"))
    offset = 0
    with open_bytes() as handle:
        while True:
            chunk = handle.read(CHUNK)
            held = len(decoder.getstate()[0])
            if plain and chunk and not held and chunk.isascii():
                offset += len(chunk)
                continue
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                wrong = offset + max(error.start - held, 0)
                break
            if not chunk:
                return None
            offset += len(chunk)
    rows, left = 1, wrong
    with open_bytes() as handle:
        while left and (chunk := handle.read(min(left, CHUNK))):
            rows += chunk.count(b"\n")
            left -= len(chunk)
    return wrong, rows


def _unmarked_utf16(head: bytes) -> str | None:
    zeros_even, zeros_odd = head[::2].count(0), head[1::2].count(0)
    if zeros_odd > len(head) / 8 and zeros_odd > 8 * zeros_even:
        return "utf-16-le"
    if zeros_even > len(head) / 8 and zeros_even > 8 * zeros_odd:
        return "utf-16-be"
    return None


def _looks_chinese(open_bytes: Callable[[], IO[bytes]], offset: int) -> bool:
    """Whether most two-byte pairs are common Chinese characters of GB 2312.

    Accented Latin text and Cyrillic often decode as GB18030 as well, but give rare characters.
    """
    with open_bytes() as handle:
        handle.read(max(offset - 64, 0))
        sample = handle.read(CHUNK)
    pairs = common = 0
    place = 0
    while place < len(sample) - 1:
        if sample[place] < 0x80:
            place += 1
            continue
        pairs += 1
        common += 0xB0 <= sample[place] <= 0xD7 and sample[place + 1] >= 0xA1
        place += 2
    return pairs > 0 and common >= 0.6 * pairs


def encoding_of(file: str, opener: Callable[[], IO[bytes]], given: str | None) -> tuple[str, str | None]:
    """`find_encoding`, with an error that names a damaged file."""
    try:
        return find_encoding(opener, given, file)
    except (OSError, EOFError) as error:  # such as a damaged or truncated gzip file
        raise DataError(f"cannot be read ({error})", file=file) from None
