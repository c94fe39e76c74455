"""Which files a table consists of: one, several, those of a folder, of a pattern or in a zip file."""

from __future__ import annotations

import gzip
import io
import itertools
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from crossaisle.data.ingest.limits import ReadLimits
from crossaisle.data.ingest.readers.partitions import partition_of
from crossaisle.errors import DataError, nearest

PIECE = 1 << 20
SUFFIXES = {
    **dict.fromkeys((".csv", ".txt", ".dat"), "csv"),
    **dict.fromkeys((".tsv", ".tab", ".inter", ".item", ".user"), "tsv"),
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".parquet", ".pq"), "parquet"),
    **dict.fromkeys((".xml", ".rss", ".atom"), "xml"),
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
    partition: dict[str, str | None] = field(default_factory=dict)
    """Columns that stand in the names of its folders."""

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


class Found(NamedTuple):
    """What is behind the path of a table."""

    parts: list[Part]
    """In the order of their names."""
    notes: list[str]
    """Sentences about files that were left out."""


def find_parts(path: Path | tuple[Path, ...], limits: ReadLimits, *, tolerant: bool = False) -> Found:
    """The files behind a path or several; `DataError` where there are none, or where one is damaged.

    `tolerant`: damaged files, and paths with no table behind them, are named in the notes instead.
    """
    search = _Search(limits, tolerant)
    parts: dict[str, Part] = {}
    for one in path if isinstance(path, tuple) else (path,):
        for part in search.behind(one):
            parts.setdefault(part.file, part)
    return Found(list(parts.values()), search.notes)


class _Search:
    def __init__(self, limits: ReadLimits, tolerant: bool) -> None:
        self.limits, self.tolerant = limits, tolerant
        self.notes: list[str] = []

    def behind(self, path: Path, base: Path | None = None) -> Iterator[Part]:
        """All parts behind a path; what cannot be opened is noted, if that is wanted.

        `base`: the folder below which the names of folders may hold columns.
        """
        try:
            for part in self._behind(path):
                folders = None if base is None else partition_of(part.folder.relative_to(base))
                yield replace(part, partition=folders | part.partition) if folders else part
        except DataError as error:
            if not self.tolerant:
                raise
            self.notes.append(str(error))

    def _behind(self, path: Path) -> Iterator[Part]:
        if path.is_dir():
            yield from self._of_folder(path)
        elif path.is_file():
            yield from self._of_file(path)
        elif found := _fitting(path):
            for one in found:
                yield from self.behind(one, _before_pattern(path))
        else:
            yield from self._within_zip(path)

    def _of_folder(self, folder: Path) -> Iterator[Part]:
        there = [
            file
            for file in sorted(folder.rglob("*"))
            if file.is_file()
            and not any(name.startswith((".", "_")) for name in file.relative_to(folder).parts)
        ]
        tables = [f for f in there if known_format(f.name) or f.suffix.lower() == ".zip"]
        filled = [f for f in tables if f.stat().st_size]
        if not filled:
            what = "only empty files" if tables else f"no table file ({', '.join(SUFFIXES)})"
            raise DataError(f"the folder holds {what}", file=str(folder))
        self._leave_out(folder, "of unknown format", [f for f in there if f not in tables])
        self._leave_out(folder, "empty", [f for f in tables if f not in filled])
        for file in filled:
            yield from self.behind(file, folder)

    def _leave_out(self, where: Path, why: str, files: Sequence[Path | str]) -> None:
        if files:
            names = [f.relative_to(where).as_posix() if isinstance(f, Path) else f for f in files]
            self.notes.append(f"{where}: left out, {why} ({len(names):,}): {_few(names)}")

    def _of_file(self, path: Path) -> Iterator[Part]:
        file = str(path)
        if path.stat().st_size == 0:
            raise DataError("the file is empty", file=file)
        if path.suffix.lower() == ".zip":
            yield from self._members(path, "*")
        elif path.suffix.lower() == ".gz":
            yield Part(file, partial(_open_gzip, path, self.limits), path.parent)
        else:
            yield Part(file, partial(_open, path), path.parent, path)

    def _within_zip(self, path: Path) -> Iterator[Part]:
        """A file in a zip file, named as if that were a folder."""
        for parent in path.parents:
            if parent.suffix.lower() == ".zip" and parent.is_file():
                yield from self._members(parent, path.relative_to(parent).as_posix())
                return
        siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
        raise DataError(f"no such file{nearest(path.name, siblings) if siblings else ''}", file=str(path))

    def _members(self, path: Path, pattern: str) -> Iterator[Part]:
        try:
            with zipfile.ZipFile(path) as archive:
                members = [m for m in archive.infolist() if not m.is_dir()]
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            raise DataError(f"cannot be read as a zip file ({error})", file=str(path)) from None
        outside = [m.filename for m in members if leads_out(m.filename)]
        if outside:
            self._leave_out(path, "with paths outside the zip file", outside)
        members = [m for m in members if not leads_out(m.filename) and not _hidden(m.filename)]
        names = sorted(m.filename for m in members if m.file_size)
        tables = [n for n in names if known_format(n)] or names[: len(names) == 1]
        chosen = [n for n in tables if pattern == "*" or PurePosixPath(n).match(pattern)]
        if not chosen:
            wanted = "table" if pattern == "*" else f"file {pattern!r}"
            raise DataError(f"the zip file holds no {wanted} ({_few(names)})", file=str(path))
        if pattern == "*":
            self._leave_out(path, "of unknown format", [n for n in names if n not in tables])
            self._leave_out(path, "empty", [m.filename for m in members if not m.file_size])
        for name in chosen:
            yield Part(f"{path}/{name}", partial(_open_member, path, name, self.limits), path.parent)


def leads_out(name: str) -> bool:
    """Whether a member of a zip file is named as if it lay outside of it, as in `../x.csv` and `/etc/x`."""
    return name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or name[1:2] == ":"


def _hidden(name: str) -> bool:
    """Whether a member is one that systems add: `.DS_Store`, `__MACOSX/...`."""
    return any(part.startswith((".", "__")) for part in name.split("/"))


def _before_pattern(path: Path) -> Path:
    """The folders before the first one with a sign of a pattern."""
    plain = itertools.takewhile(lambda part: not set(part) & set("*?["), path.parts)
    return Path(*plain)


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
        except gzip.BadGzipFile:
            with self._path.open("rb") as file:
                if file.read(2) != b"\x1f\x8b":
                    raise
            raise OSError(
                "trailing bytes are not gzip: the file is damaged, or something was appended"
            ) from None
        self._length += count
        if self._length > self._most:
            raise DataError(
                f"unpacks to more than {self._most // 1000000:,} MB, {self._growth} times its size: "
                "if this is expected, unpack it first",
                file=str(self._path),
            )
        return count

    def close(self) -> None:
        self._file.close()
        if self._archive is not None:
            self._archive.close()
        super().close()
