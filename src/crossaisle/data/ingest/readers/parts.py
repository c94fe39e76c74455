"""Which files a table consists of: one, several, those of a folder, of a pattern or in a zip file."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from crossaisle.data.ingest.limits import ReadLimits
from crossaisle.errors import DataError, nearest

PIECE = 1 << 20
SUFFIXES = {
    **dict.fromkeys((".csv", ".txt"), "csv"),
    **dict.fromkeys((".tsv", ".tab", ".inter", ".item", ".user"), "tsv"),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
}
"""Suffix -> format; `.inter`, `.item` and `.user` are those of RecBole."""


@dataclass(frozen=True)
class Part:
    """One file of a table."""

    file: str
    """What messages call it."""
    opener: Callable[[], IO[bytes]]
    """Its bytes, unpacked."""
    folder: Path
    path: Path | None = None
    """Where the bytes lie as they are; None where they must be unpacked."""

    @property
    def kind(self) -> str | None:
        """The format that its name tells, None where it tells none."""
        return known_format(self.file)


def known_format(name: str) -> str | None:
    """The format that the name of a file tells, `.gz` and the like apart."""
    suffixes = [s.lower() for s in PurePosixPath(name).suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes = suffixes[:-1]
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


def find_parts(path: Path | tuple[Path, ...], limits: ReadLimits) -> list[Part]:
    """The files behind a path or several, in order of their names; `DataError` where there are none."""
    paths = path if isinstance(path, tuple) else (path,)
    parts: dict[str, Part] = {}
    for one in paths:
        for part in _behind(one, limits):
            parts.setdefault(part.file, part)
    return list(parts.values())


def _behind(path: Path, limits: ReadLimits) -> Iterator[Part]:
    if path.is_dir():
        yield from _of_folder(path, limits)
    elif path.is_file():
        yield from _of_file(path, limits)
    elif found := _fitting(path):
        for one in found:
            yield from _behind(one, limits)
    else:
        yield from _within_zip(path, limits)


def _of_folder(folder: Path, limits: ReadLimits) -> Iterator[Part]:
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file()
        and not any(name.startswith((".", "_")) for name in file.relative_to(folder).parts)
        and (known_format(file.name) or file.suffix.lower() == ".zip")
        and file.stat().st_size
    ]
    if not files:
        raise DataError(f"the folder holds no file of a table ({', '.join(SUFFIXES)})", file=str(folder))
    for file in files:
        yield from _of_file(file, limits)


def _of_file(path: Path, limits: ReadLimits) -> Iterator[Part]:
    file = str(path)
    if path.stat().st_size == 0:
        raise DataError("the file is empty", file=file)
    if path.suffix.lower() == ".zip":
        yield from _members(path, "*", limits)
    elif path.suffix.lower() == ".gz":
        yield Part(file, partial(_open_gzip, path, limits), path.parent)
    else:
        yield Part(file, partial(_open, path), path.parent, path)


def _fitting(path: Path) -> list[Path]:
    """Files and folders that fit a pattern; none where the path is no pattern."""
    parts = path.parts
    place = next((n for n, part in enumerate(parts) if set(part) & set("*?[")), None)
    if place is None:
        return []
    found = sorted(Path(*parts[:place]).glob(str(Path(*parts[place:]))))
    found = [f for f in found if not f.name.startswith(".")]
    if not found:
        raise DataError("no file fits the pattern", file=str(path))
    return found


def _within_zip(path: Path, limits: ReadLimits) -> Iterator[Part]:
    """A file in a zip file, named as if that were a folder."""
    for parent in path.parents:
        if parent.suffix.lower() == ".zip" and parent.is_file():
            yield from _members(parent, path.relative_to(parent).as_posix(), limits)
            return
    siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
    raise DataError(f"no such file{nearest(path.name, siblings) if siblings else ''}", file=str(path))


def _members(path: Path, pattern: str, limits: ReadLimits) -> Iterator[Part]:
    try:
        with zipfile.ZipFile(path) as archive:
            names = [m.filename for m in archive.infolist() if not m.is_dir() and m.file_size]
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"cannot be read as a zip file ({error})", file=str(path)) from None
    names = sorted(n for n in names if not any(p.startswith((".", "__")) for p in n.split("/")))
    tables = [n for n in names if known_format(n)] or names[: len(names) == 1]
    chosen = [n for n in tables if pattern == "*" or PurePosixPath(n).match(pattern)]
    if not chosen:
        wanted = "table" if pattern == "*" else f"file {pattern!r}"
        raise DataError(f"the zip file holds no {wanted} ({_few(names)})", file=str(path))
    for name in chosen:
        yield Part(f"{path}/{name}", partial(_open_member, path, name, limits), path.parent)


def _few(names: Iterable[str]) -> str:
    listed = list(names)
    return ", ".join(listed[:5]) + (" …" if len(listed) > 5 else "") or "it is empty"


def _open(path: Path) -> IO[bytes]:
    return path.open("rb")


def _open_gzip(path: Path, limits: ReadLimits) -> IO[bytes]:
    return io.BufferedReader(_Unpacked(path, gzip.GzipFile(path), path.stat().st_size, limits), PIECE)


def _open_member(path: Path, name: str, limits: ReadLimits) -> IO[bytes]:
    archive = zipfile.ZipFile(path)
    try:
        handle = archive.open(name)
    except (RuntimeError, NotImplementedError, zipfile.BadZipFile) as error:  # a password, an odd method
        archive.close()
        raise DataError(f"cannot be unpacked ({error})", file=f"{path}/{name}") from None
    size = archive.getinfo(name).compress_size
    return io.BufferedReader(_Unpacked(path, handle, size, limits, archive), PIECE)


class _Unpacked(io.RawIOBase):
    """What is in a packed file; `DataError` where that is out of all proportion."""

    def __init__(self, path: Path, file: Any, size: int, limits: ReadLimits, archive: Any = None) -> None:
        self._path, self._file, self._archive, self._length = path, file, archive, 0
        self._growth = limits.growth
        self._most = max(limits.growth * size, limits.unpacked)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        try:
            count = int(self._file.readinto(buffer))
        except (zlib.error, zipfile.BadZipFile) as error:
            raise OSError(str(error)) from None
        self._length += count
        if self._length > self._most:
            raise DataError(
                f"unpacks to more than {self._most // 1_000_000:,} MB, {self._growth} times its size: "
                "if it is what it should be, unpack it first",
                file=str(self._path),
            )
        return count

    def close(self) -> None:
        self._file.close()
        if self._archive is not None:
            self._archive.close()
        super().close()
