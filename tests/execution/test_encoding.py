"""Encoding ahead: every distinct text once, wherever it runs and whoever is killed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossaisle.encoders import cache
from crossaisle.encoders.cache import pretrained
from crossaisle.encoders.onnx import OnnxEncoder
from crossaisle.encoders.spread import Encoded, Reading, encode_ahead
from crossaisle.errors import ConfigError
from crossaisle.execution.executor import Executor
from tests.encoders import tiny
from tests.execution.ending import KillingExecutor

TEXTS = [f"{first} {second} {'red ' * (n % 7)}".strip() for n in range(9) for first in ("red", "blue", "hat")
         for second in ("shoe", "hat")] + ["", "red shoe"]  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "CHUNK", 4)
    return tiny.write(tmp_path / "tiny")


def test_a_later_fit_finds_every_text(
    executor: Executor, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = OnnxEncoder(folder).encode(TEXTS)
    distinct = len(set(TEXTS)) - 1
    assert encode_ahead(TEXTS, executor, str(folder)) == Encoded(distinct, distinct)
    assert encode_ahead(TEXTS, executor, str(folder)) == Encoded(distinct, 0)
    monkeypatch.setattr(OnnxEncoder, "encode", None)  # nothing is encoded again
    np.testing.assert_allclose(pretrained(str(folder)).encode(TEXTS), plain, atol=1e-3)


def test_a_killed_worker_changes_no_vector(on_ray: Executor, folder: Path, marks: Path) -> None:
    killing = KillingExecutor(on_ray, marks, frozenset({0, 5}))
    encode_ahead(TEXTS, killing, str(folder))
    assert len(list(marks.glob("killed-*"))) == 2
    kept = pretrained(str(folder)).encode(TEXTS)
    np.testing.assert_allclose(kept, OnnxEncoder(folder).encode(TEXTS), atol=1e-3)


def test_what_was_done_before_an_interruption_is_kept(on_ray: Executor, folder: Path) -> None:
    encoder = pretrained(str(folder))
    task = Reading(str(folder), encoder.fingerprint, 1)
    missing = [text for text in dict.fromkeys(TEXTS) if text]
    made = encoder._made(missing, on_ray, task, progress=False)
    done = sum(len(next(made)) for _ in range(2))
    made.close()
    assert encode_ahead(TEXTS, on_ray, str(folder)) == Encoded(len(missing), len(missing) - done)


def test_a_worker_with_other_weights_is_refused(executor: Executor, folder: Path) -> None:
    task = Reading(str(folder), "onnx-of-another-day", 1)
    with pytest.raises(ConfigError, match=r"a worker has other weights or settings than this machine"):
        pretrained(str(folder)).fill(["red hat"], executor, task)
