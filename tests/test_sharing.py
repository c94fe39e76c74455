"""Arrays that several processes share: written by the first, mapped by all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from crossaisle import sharing
from crossaisle.artifact import MANIFEST

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="one worker only on Windows")


@pytest.fixture
def stored(tmp_path: Path) -> np.ndarray:
    (tmp_path / "model" / "parts").mkdir(parents=True)
    (tmp_path / "model" / MANIFEST).touch()
    np.save(tmp_path / "model" / "parts" / "a.npy", np.arange(1 << 20, dtype=np.float16))
    return np.asarray(np.load(tmp_path / "model" / "parts" / "a.npy", mmap_mode="r"))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "shared").mkdir()
    sharing.use(tmp_path / "shared")
    yield tmp_path / "shared"
    sharing.use(None)


def made_of(stored: np.ndarray) -> tuple[np.ndarray, list[int]]:
    calls: list[int] = []

    def make() -> np.ndarray:
        calls.append(1)
        return stored.astype(np.float32)

    return sharing.shared(stored, "float32", make), calls


def mapped(array: np.ndarray) -> bool:
    return sharing._file_of(array) is not None


def test_made_once_and_mapped_by_all(stored: np.ndarray, folder: Path) -> None:
    first, calls = made_of(stored)
    second, more = made_of(stored)
    assert (len(calls), len(more)) == (1, 0)
    assert mapped(first)
    assert mapped(second)
    assert first.dtype == np.float32
    np.testing.assert_array_equal(second, stored.astype(np.float32))
    other = sharing.shared(stored, "twice", lambda: stored.astype(np.float32) * 2)
    assert other[3] == 2 * stored[3]


def test_without_a_folder_or_a_file_each_has_its_own(stored: np.ndarray, tmp_path: Path) -> None:
    own, calls = made_of(stored)
    assert not mapped(own)
    assert len(calls) == 1
    (tmp_path / "shared").mkdir()
    sharing.use(tmp_path / "shared")
    try:
        own, _ = made_of(np.array(stored))
        assert not mapped(own)
    finally:
        sharing.use(None)


def test_a_folder_that_cannot_be_written_is_no_fault(stored: np.ndarray, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sharing.use(tmp_path / "file")
    try:
        own, calls = made_of(stored)
        assert not mapped(own)
        assert len(calls) == 1
    finally:
        sharing.use(None)


def test_an_array_written_anew_is_made_anew(stored: np.ndarray, folder: Path, tmp_path: Path) -> None:
    made_of(stored)
    path = tmp_path / "model" / "parts" / "a.npy"
    path.unlink()
    np.save(path, np.zeros(1 << 20, np.float16))
    again, calls = made_of(np.asarray(np.load(path, mmap_mode="r")))
    assert len(calls) == 1
    assert not again.any()


def test_what_is_dropped_stays_readable_and_is_gone(stored: np.ndarray, folder: Path, tmp_path: Path) -> None:
    first, _ = made_of(stored)
    assert any(folder.iterdir())
    sharing.drop(tmp_path / "model")
    assert not any(folder.iterdir())
    assert first[7] == 7


def test_a_folder_ends_with_its_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one = sharing.SharedFolder()
    two = sharing.SharedFolder()
    assert one.path.is_dir(), "that of a service that runs stays"
    two.close()
    assert not two.path.exists()
    one.close()


def test_what_a_killed_service_left_is_removed_by_the_next(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    code = (
        "import sys, time; from crossaisle.sharing import SharedFolder;"
        "print(SharedFolder().path, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().decode().strip())
        assert left.is_dir()
        process.send_signal(signal.SIGKILL)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    one = sharing.SharedFolder()
    assert not left.exists()
    one.close()
