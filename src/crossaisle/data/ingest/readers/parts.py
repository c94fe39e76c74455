"""The files of a table: one, several, or those in a folder, pattern, zip file or workbook."""

from __future__ import annotations

import gzip
import io
import itertools
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

from crossaisle.artifact import is_saved
from crossaisle.data.ingest.limits import ReadLimits
from crossaisle.data.ingest.readers.partitions import partition_of
from crossaisle.data.ingest.readers.workbook import WORKBOOKS, is_sheet, sheet_names
from crossaisle.errors import DataError, MissingDependencyError, nearest

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
    """Its name in messages."""
    opener: Callable[[], IO[bytes]]
    """Opens its unpacked bytes."""
    folder: Path
    path: Path | None = None
    """The path if the bytes can be read from there directly; None if they must be unpacked."""
    partition: dict[str, str | None] = field(default_factory=dict)
    """Columns in the names of its folders."""
    sheet: str | None = None
    """The sheet, if `path` is a workbook."""

    @property
    def kind(self) -> str | None:
        """The format according to its name, or None."""
        return known_format(self.file)


def known_format(name: str) -> str | None:
    """The format according to a file name, ignoring `.gz` and the like."""
    suffixes = [s.lower() for s in PurePosixPath(name).suffixes]
    if suffixes[-1:] == [".gz"]:
        suffixes = suffixes[:-1]
    return SUFFIXES.get(suffixes[-1]) if suffixes else None


class Found(NamedTuple):
    """The files behind the path of a table."""

    parts: list[Part]
    """Ordered by name."""
    notes: list[str]
    """Sentences about files that were skipped."""


def find_parts(path: Path | tuple[Path, ...], limits: ReadLimits, *, tolerant: bool = False) -> Found:
    """The files behind one or more paths; `DataError` if there are none, or if one is damaged.

    `tolerant`: damaged files, and paths without tables, are named in the notes instead.
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
        """All parts behind a path; if tolerant, what cannot be opened is noted.

        `base`: the folder below which folder names may contain columns.
        """
        try:
            for part in self._behind(path):
                folders = None if base is None else partition_of(part.folder.relative_to(base))
                yield replace(part, partition=folders | part.partition) if folders else part
        except (DataError, MissingDependencyError) as error:
            if not self.tolerant:
                raise
            self.notes.append(str(error))

    def _behind(self, path: Path) -> Iterator[Part]:
        if path.is_dir():
            yield from self._of_folder(path)
        elif path.is_file():
            yield from self._of_file(path)
        elif holder := next((p for p in path.parents if _holds_tables(p) and p.is_file()), None):
            yield from self._within(holder, path.relative_to(holder).as_posix())
        elif found := _fitting(path):
            for one in found:
                yield from self.behind(one, _before_pattern(path))
        else:
            siblings = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            raise DataError(f"no such file{nearest(path.name, siblings) if siblings else ''}", file=str(path))

    def _of_folder(self, folder: Path) -> Iterator[Part]:
        found = [
            file
            for file in sorted(folder.rglob("*"))
            if not any(name.startswith((".", "_", "~$")) for name in file.relative_to(folder).parts)
        ]
        ours = [one for one in found if one.is_dir() and _is_output(one)]
        there = [f for f in found if f.is_file() and not set(ours) & set(f.parents)]
        tables = [f for f in there if known_format(f.name) or f.suffix.lower() == ".zip"]
        if self.tolerant or not tables:  # a workbook next to a table's files is not part of it
            tables = [f for f in there if f in tables or f.suffix.lower() in WORKBOOKS]
        filled = [f for f in tables if f.stat().st_size]
        if not filled:
            known = ", ".join((*SUFFIXES, *WORKBOOKS))
            what = "only empty files" if tables else f"no table file ({known})"
            raise DataError(f"the folder holds {what}", file=str(folder))
        self._leave_out(folder, "of unknown format", [f for f in there if f not in tables])
        self._leave_out(folder, "empty", [f for f in tables if f not in filled])
        if not self.tolerant:
            outer = [f for f in ours if not set(ours) & set(f.parents)]
            self._leave_out(folder, "written by crossaisle", outer)
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
        if _holds_tables(path):
            yield from self._within(path, "*")
        elif path.suffix.lower() == ".gz":
            yield Part(file, partial(_open_gzip, path, self.limits), path.parent)
        else:
            yield Part(file, partial(_open, path), path.parent, path)

    def _within(self, holder: Path, name: str) -> Iterator[Part]:
        """Files in a zip file, or sheets of a workbook: all ("*"), one, or those that match a pattern."""
        if holder.suffix.lower() == ".zip":
            return self._members(holder, name)
        return self._sheets(holder, name)

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

    def _sheets(self, path: Path, pattern: str) -> Iterator[Part]:
        if is_sheet(path, pattern, self.limits):  # the others need not be read
            yield Part(f"{path}/{pattern}", partial(_open, path), path.parent, path, sheet=pattern)
            return
        visible, hidden = sheet_names(path, self.limits)
        chosen = [n for n in (visible if pattern == "*" else [*visible, *hidden]) if fnmatchcase(n, pattern)]
        if not chosen:
            wanted = "sheet with anything in it" if pattern == "*" else f"sheet {pattern!r}"
            raise DataError(f"the workbook holds no {wanted} ({_few([*visible, *hidden])})", file=str(path))
        if pattern == "*" and hidden:
            self._leave_out(path, "hidden sheets", hidden)
        for name in chosen:
            file = f"{path}/{name}" if pattern != "*" or len(visible) > 1 else str(path)
            yield Part(file, partial(_open, path), path.parent, path, sheet=name)


def _is_output(folder: Path) -> bool:
    """Whether a run, an import or a model lies in a folder: none of them is a table of a shop."""
    marks = ("run.json", "rejected.parquet")
    return any((folder / name).is_file() for name in marks) or is_saved(folder)


def _holds_tables(path: Path) -> bool:
    """Whether a file with this name may contain several tables."""
    return path.suffix.lower() in (".zip", *WORKBOOKS)


def leads_out(name: str) -> bool:
    """Whether a zip member's name points outside of the archive, as in `../x.csv` and `/etc/x`."""
    return name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or name[1:2] == ":"


def _hidden(name: str) -> bool:
    """Whether a member was added by the operating system: `.DS_Store`, `__MACOSX/...`."""
    return any(part.startswith((".", "__")) for part in name.split("/"))


def _before_pattern(path: Path) -> Path:
    """The part of a path before its first component with a wildcard."""
    plain = itertools.takewhile(lambda part: not set(part) & set("*?["), path.parts)
    return Path(*plain)


def _fitting(path: Path) -> list[Path]:
    """Files and folders that match a pattern; none if the path contains no wildcard."""
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
    """Stream of an unpacked file; `DataError` if it grows out of proportion (zip bombs)."""

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
