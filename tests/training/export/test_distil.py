from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from crossaisle.encoders.loading import open_encoder
from crossaisle.encoders.projection import Projection
from crossaisle.encoders.static import StaticEncoder
from crossaisle.errors import ConfigError, CrossaisleError, FetchError
from crossaisle.training.export.distil import distil_into, distil_static
from crossaisle.training.export.onnx import compare
from crossaisle.training.export.prune import layer_count, prune_layers
from crossaisle.training.text.backbone import Backbone
from tests.training.conftest import WORDS

TEXTS = [" ".join(WORDS[(3 * i + j * j) % len(WORDS)] for j in range(1 + i % 5)) for i in range(40)]


def test_a_static_model_learns_the_teachers_vectors(bert: Path, tmp_path: Path) -> None:
    teacher = Backbone.load(bert)
    distil_static(teacher, tmp_path / "plain", texts=TEXTS, dimension=16, ridge=1e9)
    made = distil_static(teacher, tmp_path / "made", texts=TEXTS, dimension=16, ridge=1e-3)
    vectors = teacher.encode(TEXTS)
    wanted = Projection.fit(vectors).apply(vectors, 16)
    learned, plain = (
        compare(e.encode(TEXTS), wanted).mean for e in (made, StaticEncoder(tmp_path / "plain"))
    )
    assert 1 - learned < 0.8 * (1 - plain)
    opened = open_encoder(str(tmp_path / "made"))
    assert isinstance(opened, StaticEncoder)
    np.testing.assert_array_equal(opened.encode(TEXTS), made.encode(TEXTS))


def test_static_vectors_are_unit_and_do_not_know_order(bert: Path, tmp_path: Path) -> None:
    made = distil_static(Backbone.load(bert), tmp_path / "made", texts=TEXTS, dimension=8)
    vectors = made.encode(["red shoe", "shoe red", "", "  ", "red " * 3_000_000, "red"])
    assert (vectors.shape, vectors.dtype) == ((6, 8), np.float32)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), [1, 1, 0, 0, 1, 1], atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    np.testing.assert_allclose(vectors[4], vectors[5], atol=1e-5)
    assert made.encode([]).shape == (0, 8)
    assert made.fingerprint != StaticEncoder(made.folder, max_tokens=3).fingerprint


def test_broken_static_folders_say_what_is_wrong(bert: Path, tmp_path: Path) -> None:
    distil_static(Backbone.load(bert), tmp_path / "made", texts=TEXTS, dimension=8)
    (tmp_path / "made" / "tokenizer.json").unlink()
    with pytest.raises(FetchError, match=r"holds no tokenizer\.json"):
        StaticEncoder(tmp_path / "made").encode(["red"])
    (tmp_path / "made" / "table.npy").write_bytes(b"nonsense")
    with pytest.raises(FetchError, match=r"table\.npy: could not be loaded"):
        StaticEncoder(tmp_path / "made").encode(["red"])
    with pytest.raises(ConfigError, match="give the texts"):
        distil_static(Backbone.load(bert), tmp_path / "none", texts=[" "])


@pytest.mark.parametrize("kind", ["bert", "llama"])
def test_layers_are_cut_and_the_rest_learns(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    teacher = Backbone.load(request.getfixturevalue(kind))
    wanted = teacher.encode(TEXTS)
    student = prune_layers(teacher, 1)
    assert (layer_count(teacher), layer_count(student)) == (2, 1)
    np.testing.assert_allclose(teacher.encode(TEXTS), wanted, atol=1e-6)  # the teacher is left alone
    # Untrained layers change next to nothing: another target gives the student something to learn.
    wanted = np.roll(wanted, 3, axis=1)
    before = compare(student.encode(TEXTS), wanted).mean
    losses = distil_into(
        student, texts=TEXTS, wanted=wanted, rng=np.random.default_rng(0), steps=40, learning_rate=3e-3
    )
    after = compare(student.encode(TEXTS), wanted).mean
    assert len(losses) == 40
    assert 1 - after < 0.7 * (1 - before)
    student.save(tmp_path / "student")
    loaded = Backbone.load(tmp_path / "student")
    np.testing.assert_allclose(loaded.encode(TEXTS), student.encode(TEXTS), atol=1e-5)
    with pytest.raises(ConfigError, match="must be 1 to 2"):
        prune_layers(teacher, 3)


def test_a_loss_that_is_no_number_stops_the_distillation(bert: Path) -> None:
    student = Backbone.load(bert)
    wanted = np.full((len(TEXTS), student.dimension), np.nan, np.float32)
    with pytest.raises(CrossaisleError, match="the loss is nan after 0 steps"):
        distil_into(student, texts=TEXTS, wanted=wanted, rng=np.random.default_rng(0), steps=2)
