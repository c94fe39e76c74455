"""A recommender survives the disk; what is damaged or of another making is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from crossaisle.artifact import MANIFEST, sha256
from crossaisle.data.query import PLACEMENTS, Query
from crossaisle.errors import ArtifactError, ConfigError
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from tests.recommend.shop import FITTED, SHOP, recommender


def test_saved_and_loaded_answers_are_equal(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shop = recommender(repeats=True)
    shop.save(folder)
    again = Recommender.load(folder)
    for placement in PLACEMENTS:
        view = ("milk0",) if placement in ("goes_with", "similar") else ()
        share = None if placement == "discover" else "auto"
        query = Query(placement=placement, user="u4", items=view, n=20, cross_share=share, explain=True)
        assert again.recommend(query) == shop.recommend(query)
    assert again.blend.parts["item_knn"] == shop.blend.parts["item_knn"]
    assert again.describe() == shop.describe()
    for path in folder.rglob("*.json"):
        assert str(tmp_path) not in path.read_text()


def test_half_precision_changes_scores_by_a_thousandth_at_most(tmp_path: Path) -> None:
    FITTED.save(tmp_path / "full")
    FITTED.save(tmp_path / "half", half=True)
    weights = "parts/item_knn/weights_.data.npy"
    assert (tmp_path / "half" / weights).stat().st_size < (tmp_path / "full" / weights).stat().st_size
    again = Recommender.load(tmp_path / "half")
    histories = SHOP.histories()
    np.testing.assert_allclose(again.score_batch(histories), FITTED.score_batch(histories), rtol=1e-3)


def test_a_damaged_model_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    FITTED.save(folder)
    weights = folder / "parts/item_knn/weights_.data.npy"
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(bytes(raw))
    with pytest.raises(ArtifactError, match=r"damaged: parts/item_knn/weights_.data.npy does not match"):
        Recommender.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.pop("blend"), "config.json: damaged: lacks 'blend'; restore it or fit again"),
        (lambda c: c["blend"].pop("parts"), "parts: damaged: lacks 'parts'; restore it or fit again"),
        (lambda c: c["blend"]["parts"]["item_knn"].update(kind="oracle"), "unknown model kind 'oracle'"),
        (lambda c: c["blend"]["parts"]["item_knn"]["settings"].update(depth=3), "unknown setting 'depth'"),
        (
            lambda c: c["blend"]["parts"].update(other=c["blend"]["parts"]["item_knn"]),
            "saved 'item_knn' model lacks weights_, known_",
        ),
    ],
)
def test_a_config_of_another_making_is_refused(tmp_path: Path, change: object, message: str) -> None:
    folder = tmp_path / "model"
    FITTED.save(folder)
    config = json.loads((folder / "config.json").read_text())
    change(config)  # type: ignore[operator]
    (folder / "config.json").write_text(json.dumps(config))
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["sha256"]["config.json"] = sha256(folder / "config.json")
    (folder / MANIFEST).write_text(json.dumps(manifest))
    with pytest.raises(ArtifactError, match=message):
        Recommender.load(folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", b"{", r"config\.json: damaged: cannot be read \(JSONDecodeError"),
        ("config.json", b"[]", r"config\.json: damaged: not a JSON object"),
        ("config.json", b"[" * 100_000, r"config\.json: damaged: cannot be read \(RecursionError"),
        ("config.json", b'{"repeats": 1, "blend": []}', r"damaged: cannot be read \(TypeError"),
        ("catalogue/dataset.json", b"[]", r"dataset\.json: damaged: not a JSON object"),
        ("catalogue/dataset.json", b"{}", r"catalogue: damaged: lacks 'kinds'"),
        ("catalogue/items.parquet", b"PAR1" * 9, r"items\.parquet: damaged: cannot be read"),
        ("catalogue/item_path.npy", np.full(24, 10**6), r"item_path\.npy: damaged: must be from 0 to"),
        ("catalogue/item_path.npy", np.full(24, -1), r"item_path\.npy: damaged: must be from 0 to"),
        ("catalogue/events/item.npy", np.full(3, 1), r"\w+\.npy: damaged: must hold \d+ values"),
        ("parts/popularity/popularity_.npy", b"", r"popularity_\.npy: damaged: cannot be read \(EOFError"),
    ],
)
def test_a_sealed_folder_that_nothing_can_be_made_of_is_refused_in_one_line(
    tmp_path: Path, name: str, content: bytes | np.ndarray, message: str
) -> None:
    folder = tmp_path / "model"
    FITTED.save(folder)
    if isinstance(content, bytes):
        (folder / name).write_bytes(content)
    else:
        np.save(folder / name, content)
    seal(folder)
    with pytest.raises(ArtifactError, match=message) as refused:
        Recommender.load(folder)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), -1e308, 10**400, "1", None])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, weight: object) -> None:
    folder = tmp_path / "model"
    FITTED.save(folder)
    config = json.loads((folder / "config.json").read_text())
    config["blend"]["weights"] = {"for_you": {"popularity": weight}}
    (folder / "config.json").write_text(json.dumps(config))
    seal(folder)
    with pytest.raises(ArtifactError, match="weights of 'for_you' must be numbers"):
        Recommender.load(folder)


def test_a_part_cannot_lie_outside_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    FITTED.save(folder)
    config = json.loads((folder / "config.json").read_text())
    parts = config["blend"]["parts"]
    parts["../../elsewhere"] = parts.pop("popularity")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "parts/popularity").rename(tmp_path / "elsewhere")
    seal(folder)
    with pytest.raises(ArtifactError, match=r"'../../elsewhere' is not the name of a part"):
        Recommender.load(folder)


def seal(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST]
    manifest["sha256"] = {p.relative_to(folder).as_posix(): sha256(p) for p in files}
    (folder / MANIFEST).write_text(json.dumps(manifest))


def test_part_names_must_be_folder_names(tmp_path: Path) -> None:
    shop = Recommender(SHOP, Blend(parts={"../popularity": Popularity()}).fit(SHOP))
    with pytest.raises(ConfigError, match=r"part name '\.\./popularity' must be lower-case letters"):
        shop.save(tmp_path / "model")
    assert not (tmp_path / "model").exists()
