"""Saved folders: damaged, foreign and outdated ones are refused; a failed save leaves the old one."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy import sparse

from crossaisle import artifact, sharing
from crossaisle.artifact import MANIFEST, check, pack, read_arrays, unpack, write_arrays, writing
from crossaisle.errors import ArtifactError


def save(target: Path, value: float = 1.0, kind: str = "model", size: int = 4) -> None:
    with writing(target, kind) as folder:
        write_arrays(folder / "parts", {"w": np.full(size, value, np.float32)})
        artifact.write_json(folder / "config.json", {"title": "Käse"})


def value_of(target: Path) -> float:
    return float(read_arrays(check(target, "model") / "parts")["w"][0])


def edit_manifest(target: Path, change: Callable[[dict[str, object]], object]) -> None:
    manifest = json.loads((target / MANIFEST).read_text())
    change(manifest)
    (target / MANIFEST).write_text(json.dumps(manifest))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    save(tmp_path / "model")
    return tmp_path / "model"


def leftovers(model: Path) -> list[str]:
    return [p.name for p in model.parent.iterdir() if p != model]


def test_what_was_saved_comes_back(model: Path) -> None:
    assert value_of(model) == 1.0
    assert artifact.read_json(model / "config.json") == {"title": "Käse"}
    assert leftovers(model) == []


def test_a_second_save_replaces_the_first_whole(model: Path) -> None:
    (model / "old.npy").write_bytes(b"x")
    save(model, 2.0)
    assert value_of(model) == 2.0
    assert not (model / "old.npy").exists()
    assert leftovers(model) == []


@pytest.mark.parametrize("name", ["parts/w.npy", "config.json"])
def test_one_flipped_bit_is_found(model: Path, name: str) -> None:
    raw = bytearray((model / name).read_bytes())
    raw[-1] ^= 1
    (model / name).write_bytes(bytes(raw))
    with pytest.raises(ArtifactError, match=f"damaged: {name} does not match its checksum; restore it"):
        check(model, "model")


def test_a_missing_file_is_named(model: Path) -> None:
    (model / "parts/w.npy").unlink()
    with pytest.raises(ArtifactError, match=r"damaged: parts/w.npy is missing; restore it or fit again"):
        check(model, "model")


def test_a_file_nobody_vouches_for_is_refused_a_hidden_one_is_not(model: Path) -> None:
    (model / "parts/.DS_Store").write_bytes(b"")
    check(model, "model")
    (model / "parts/extra.npy").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"foreign: parts/extra.npy is not in manifest.json"):
        check(model, "model")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "not a crossaisle folder .manifest.json is missing."),
        (b"{", "damaged: manifest.json is not JSON"),
        (b"\xff\xfe\x00", "damaged: manifest.json is not JSON"),
        (b"[]", "not a crossaisle folder"),
        (b'{"format": "other"}', "not a crossaisle folder"),
        (b'{"format": "crossaisle", "version": 1, "kind": "model"}', "lists no files"),
    ],
)
def test_foreign_folders(model: Path, content: bytes | None, message: str) -> None:
    (model / MANIFEST).unlink()
    if content is not None:
        (model / MANIFEST).write_bytes(content)
    with pytest.raises(ArtifactError, match=message):
        check(model, "model")


def test_the_folder_above_a_model_is_told_where_the_model_is(model: Path) -> None:
    with pytest.raises(ArtifactError, match=f"did you mean {re.escape(str(model))}"):
        check(model.parent, "model")


@pytest.mark.parametrize("name", ["._w.npy", ".evil.npy"])
def test_hidden_arrays_are_never_read(model: Path, name: str) -> None:
    (model / "parts" / name).write_bytes((model / "parts/w.npy").read_bytes() if "evil" in name else b"")
    check(model, "model")
    assert list(artifact.read_arrays(model / "parts")) == ["w"]


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b", "a" * 5_000, ""])
def test_a_manifest_with_names_of_no_file_is_refused_in_one_line(model: Path, name: str) -> None:
    edit_manifest(model, lambda m: m["sha256"].update({name: "x"}))
    with pytest.raises(ArtifactError, match=r"(foreign|damaged): .*") as refused:
        check(model, "model")
    assert len(str(refused.value).encode()) < 300
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"a":' * 100_000])
def test_json_that_is_nested_too_deep_is_damaged(model: Path, content: bytes) -> None:
    (model / "config.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"config\.json: damaged: cannot be read \(RecursionError"):
        artifact.read_json(model / "config.json")
    (model / MANIFEST).write_bytes(content)
    with pytest.raises(ArtifactError, match=r"damaged: manifest\.json is not JSON"):
        check(model, "model")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("mmap", [False, True])
def test_numbers_that_are_none_are_refused_with_the_name_of_the_array(
    tmp_path: Path, bad: float, mmap: bool
) -> None:
    good = np.ones((3, 4), np.float32)
    hurt = good.copy()
    hurt[2, 3] = bad
    artifact.write_arrays(tmp_path, {"good": good, "hurt": hurt})
    with pytest.raises(ArtifactError, match=r"hurt\.npy: damaged: holds NaN or infinite numbers"):
        artifact.read_arrays(tmp_path, mmap=mmap)
    if np.isnan(bad):
        assert list(artifact.read_arrays(tmp_path, mmap=mmap, gaps=("hurt",))) == ["good", "hurt"]
    else:
        with pytest.raises(ArtifactError, match=r"hurt\.npy: damaged: holds infinite numbers"):
            artifact.read_arrays(tmp_path, mmap=mmap, gaps=("hurt",))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("m.indices", [0, 10**9]),
        ("m.indices", [-1, 0]),
        ("m.indptr", [0, 1, 10**9]),
        ("m.indptr", [0, 2, 1]),
        ("m.shape", [2, 1]),
    ],
)
def test_a_matrix_that_points_out_of_itself_is_refused(tmp_path: Path, name: str, value: list[int]) -> None:
    whole = sparse.csr_matrix(np.eye(2, 3, dtype=np.float32))
    arrays = artifact.pack({"m": whole})
    arrays["m.indices"] = arrays["m.indices"].astype(np.int32)
    artifact.write_arrays(tmp_path, {**arrays, name: np.array(value)})
    with pytest.raises(ArtifactError, match=r"m\.indices\.npy: damaged: has indices outside its matrix"):
        artifact.read_arrays(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'"])
def test_an_array_that_is_none_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.npy").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"w\.npy: damaged: cannot be read \(\w+Error"):
        artifact.read_arrays(tmp_path)


def test_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="no such model folder"):
        check(tmp_path / "nothing" / "here", "model")
    (tmp_path / "items.csv").write_text("id,title")
    with pytest.raises(ArtifactError, match=r"items\.csv: is a file, not a folder"):
        check(tmp_path / "items.csv", "model")


@pytest.mark.parametrize(("version", "advice"), [(0, "fit it again"), (99, "update crossaisle")])
def test_other_versions(model: Path, version: int, advice: str) -> None:
    edit_manifest(model, lambda m: m.update(version=version))
    with pytest.raises(ArtifactError, match=f"format version {version}, this is version 1: {advice}"):
        check(model, "model")


def test_another_kind(model: Path) -> None:
    with pytest.raises(ArtifactError, match="holds a 'model', not a 'dataset'"):
        check(model, "dataset")


@pytest.mark.parametrize("name", ["../secret.npy", "parts/../../secret.npy", "ABSOLUTE", "link.npy"])
def test_a_manifest_cannot_point_outside(model: Path, name: str) -> None:
    secret = model.parent / "secret.npy"
    secret.write_bytes(b"secret")
    (model / "link.npy").symlink_to(secret)
    name = str(secret) if name == "ABSOLUTE" else name
    digest = artifact.sha256(secret)
    edit_manifest(model, lambda m: m.update(sha256={name: digest}))
    with pytest.raises(ArtifactError, match="a file outside the folder"):
        check(model, "model")


def test_other_peoples_folders_are_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/cat.jpg").write_bytes(b"cat")
    with pytest.raises(ArtifactError, match="exists and is not a saved crossaisle folder"):
        save(tmp_path / "photos")
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="exists and is not a saved crossaisle folder"):
        save(tmp_path / "file")
    assert (tmp_path / "photos/cat.jpg").read_bytes() == b"cat"


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    save(tmp_path / "out", 3.0)
    assert value_of(tmp_path / "out") == 3.0


def test_a_full_disk_leaves_the_old_model(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(ArtifactError, match=r"No space left on device\); the previous folder"):
        save(model, 2.0)
    monkeypatch.undo()
    assert value_of(model) == 1.0
    assert leftovers(model) == []


def test_a_file_size_limit_in_the_middle_of_an_array(model: Path) -> None:
    """A real write that fails half-way, in a process of its own."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    done = run_save(model, size=100_000, preexec=limit).communicate()[1]
    assert "ArtifactError" in done
    assert "could not be saved" in done
    assert "is the disk full?" in done  # numpy says how many numbers it has not written
    assert value_of(model) == 1.0
    assert leftovers(model) == []


def test_an_error_of_the_caller_passes_and_leaves_the_old_model(model: Path) -> None:
    def interrupted() -> None:
        with writing(model, "model") as folder:
            (folder / "half").write_text("")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert value_of(model) == 1.0
    assert leftovers(model) == []


SCRIPT = """
import sys, time
from pathlib import Path
from tests.test_artifact import save, writing, write_arrays
from crossaisle import artifact, sharing
target, size, stop = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
def wait(*_):
    print("here", flush=True)
    time.sleep(60)
if stop == "filling":
    artifact._seal = wait
elif stop == "swapping":
    before = Path.rename
    def rename(self, to):
        if self.name.endswith("-old") or to == target and target.exists():
            return before(self, to)
        if to == target:
            wait()
        return before(self, to)
    Path.rename = rename
save(target, 2.0, size=size)
"""


def run_save(
    model: Path, *, size: int = 4, stop: str = "", preexec: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    root = Path(__file__).parent.parent
    paths = [str(root), str(root / "src"), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-B", "-c", SCRIPT, str(model), str(size), stop],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=preexec,
    )


@pytest.mark.parametrize("stop", ["filling", "swapping"])
def test_kill_during_save_leaves_the_old_model_and_the_next_save_clears_up(model: Path, stop: str) -> None:
    with run_save(model, stop=stop) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGKILL)
    assert len(leftovers(model)) >= 1
    assert value_of(model) == 1.0
    save(model, 3.0)
    assert value_of(model) == 3.0
    assert leftovers(model) == []


def test_a_save_under_way_is_not_cleared_away_by_another(model: Path) -> None:
    with writing(model, "model") as first:
        (first / "config.json").write_text("{}")
        save(model, 2.0)
        assert value_of(model) == 2.0
        assert first.is_dir()
        write_arrays(first / "parts", {"w": np.full(4, 5.0, np.float32)})
    assert value_of(model) == 5.0
    assert leftovers(model) == []


def test_two_processes_saving_at_once_both_finish(model: Path) -> None:
    processes = [run_save(model, size=200_000) for _ in range(2)]
    assert [p.communicate(timeout=60)[1] for p in processes] == ["", ""]
    assert value_of(model) == 2.0
    assert leftovers(model) == []


def test_sparse_and_half_precision_round_trip(tmp_path: Path) -> None:
    matrix = sparse.random(20, 30, 0.2, format="csr", dtype=np.float32, random_state=0)
    arrays = pack({"weights_": matrix, "known_": np.ones(30, bool)})
    arrays["weights_.data"] = arrays["weights_.data"].astype(np.float16)
    write_arrays(tmp_path, arrays)
    back = unpack(read_arrays(tmp_path, mmap=True))
    assert back["weights_"].dtype == np.float32
    np.testing.assert_allclose(back["weights_"].toarray(), matrix.toarray(), rtol=1e-3)
    assert back["known_"].dtype == bool


@pytest.mark.parametrize(("columns", "stored"), [(65_536, np.uint16), (65_537, np.int32)])
def test_column_numbers_are_stored_as_small_as_they_fit(columns: int, stored: type) -> None:
    matrix = sparse.csr_matrix(([1.0, 2.0], [0, columns - 1], [0, 2]), shape=(1, columns), dtype=np.float32)
    arrays = pack({"w": matrix})
    assert arrays["w.indices"].dtype == stored
    back = unpack(arrays)["w"]
    assert back.indices.dtype == np.int32
    assert back.shape == matrix.shape
    assert (back != matrix).nnz == 0


def test_saved_json_names_no_machine_path(model: Path) -> None:
    for path in model.rglob("*.json"):
        assert str(model.parent) not in path.read_text(encoding="utf-8")


def test_arrays_that_are_mapped_are_linked_and_keep_their_checksums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    big, small = np.arange(400_000, dtype=np.float32), np.arange(9)
    with artifact.writing(tmp_path / "a", "k") as fresh:
        artifact.write_arrays(fresh, {"big": big, "other": big + 1, "small": small})
    read = artifact.read_arrays(tmp_path / "a", mmap=True)
    hashed: list[str] = []
    digests = artifact._digests

    def seen(folder: Path, names: list[str]) -> dict[str, str]:
        hashed.extend(names)
        return digests(folder, names)

    monkeypatch.setattr(artifact, "_digests", seen)
    with artifact.writing(tmp_path / "a", "k") as fresh:
        part = read["other"][:300_000]  # not the whole file
        artifact.write_arrays(fresh, {"big": read["big"], "other": part, "small": read["small"]})
        assert (fresh / "big.npy").stat().st_ino == (tmp_path / "a" / "big.npy").stat().st_ino
    assert hashed == ["other.npy", "small.npy"]
    again = artifact.read_arrays(artifact.check(tmp_path / "a", "k"), mmap=True)
    np.testing.assert_array_equal(again["big"], big)
    np.testing.assert_array_equal(again["other"], big[:300_000] + 1)
    np.testing.assert_array_equal(read["other"], big + 1)  # who reads the old ones goes on


def test_another_file_in_the_place_of_a_mapped_one_is_not_linked(tmp_path: Path) -> None:
    old, new = np.zeros(400_000, np.float32), np.ones(400_000, np.float32)
    for values in (old, new):
        if values is new:
            read = artifact.read_arrays(tmp_path / "a", mmap=True)
        with artifact.writing(tmp_path / "a", "k") as fresh:
            artifact.write_arrays(fresh, {"big": values})
    with artifact.writing(tmp_path / "b", "k") as fresh:
        artifact.write_arrays(fresh, {"big": read["big"], "bytes": read["big"].astype(np.int8)})
    np.testing.assert_array_equal(artifact.read_arrays(tmp_path / "b")["big"], old)


def test_a_link_to_a_damaged_file_is_found_out(tmp_path: Path) -> None:
    with artifact.writing(tmp_path / "a", "k") as fresh:
        artifact.write_arrays(fresh, {"big": np.zeros(400_000, np.float32)})
    with (tmp_path / "a" / "big.npy").open("r+b") as file:
        file.seek(1000)
        file.write(b"\1")
    read = artifact.read_arrays(tmp_path / "a", mmap=True)
    with artifact.writing(tmp_path / "a", "k") as fresh:
        artifact.write_arrays(fresh, read)
    with pytest.raises(ArtifactError, match="does not match its checksum"):
        artifact.check(tmp_path / "a", "k")


def test_an_array_that_is_written_again_leaves_the_model_that_it_was_linked_to(tmp_path: Path) -> None:
    big = np.arange(sharing.LEAST, dtype=np.float32)
    artifact.write_arrays(tmp_path / "older", {"w": big})
    mapped = artifact.read_arrays(tmp_path / "older", mmap=True)
    artifact.write_arrays(tmp_path / "newer", mapped)
    assert (tmp_path / "newer/w.npy").samefile(tmp_path / "older/w.npy")
    artifact.write_arrays(tmp_path / "newer", {"w": big + 1})
    np.testing.assert_array_equal(artifact.read_arrays(tmp_path / "older")["w"], big)
    np.testing.assert_array_equal(mapped["w"], big)
    np.testing.assert_array_equal(artifact.read_arrays(tmp_path / "newer")["w"], big + 1)
