"""PictureSimilarity: what looks alike goes together; what has no picture says nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from crossaisle.config import ModelConfig
from crossaisle.data.dataset import Dataset
from crossaisle.models.defaults import default_parts
from crossaisle.models.scorers.picture_similarity import PictureSimilarity, pictures_at_hand
from tests.encoders.tiny_pictures import picture_encoder, png
from tests.models.contract import ScorerContract
from tests.models.shops import one_user, tiny_shop

COLOURS = {"milk": (250, 250, 200), "bread": (240, 220, 150), "spade": (20, 40, 60), "paint": (10, 60, 120)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return picture_encoder(tmp_path_factory.mktemp("tiny-image"))


def with_pictures(shop: Dataset, where: Path, *, most: int | None = None) -> Dataset:
    """One flat colour per product, near that of its category."""
    where.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    files: list[str | None] = []
    for row, item in enumerate(shop.items["item_id"]):
        colour = np.clip(np.array(COLOURS[item[:-1]]) + rng.integers(-5, 6, 3), 0, 255).tolist()
        file = where / f"{item}.png"
        file.write_bytes(png(tuple(colour)))
        files.append(str(file) if most is None or row < most else None)
    return replace(shop, items=shop.items.with_columns(pl.Series("image", files, dtype=pl.String)))


class TestPictureSimilarity(ScorerContract):
    weighs_fit = weighs_query = False  # the mixed shop has no pictures
    scores_cold = True

    @pytest.fixture(autouse=True)
    def _encoder(self, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CROSSAISLE_CACHE", str(tmp_path / "cache"))
        self.encoder = str(folder)
        only = with_pictures(one_user(), tmp_path / "p")
        monkeypatch.setattr("tests.models.contract.one_user", lambda: only)

    @pytest.fixture
    def shop(self, tmp_path: Path) -> Dataset:
        return with_pictures(tiny_shop(), tmp_path / "p")

    def make(self) -> PictureSimilarity:
        return PictureSimilarity(encoder=self.encoder)

    @pytest.mark.slow
    def test_every_number_is_refused_or_fitted_and_loads_again(self, shop: Dataset, tmp_path: Path) -> None:
        super().test_every_number_is_refused_or_fitted_and_loads_again(shop, tmp_path)

    def test_damaged_pictures_are_set_aside_and_named(self, shop: Dataset, tmp_path: Path) -> None:
        (tmp_path / "p" / "milk1.png").write_bytes(b"damaged")
        scorer = self.make().fit(shop)
        assert list(scorer.set_aside_) == ["milk1"]
        assert "not a readable" in scorer.set_aside_["milk1"]
        scores = scorer.score([["milk0"]])[0]
        assert np.flatnonzero(np.isnan(scores)).tolist() == [1]
        assert np.isnan(scorer.score([["milk1"]])).all()

    def test_it_takes_part_where_enough_items_have_a_picture(
        self, shop: Dataset, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        assert "picture" in default_parts(shop, encoder="none", pictures=self.encoder)
        assert "picture" not in default_parts(shop, encoder="none", pictures="none")
        few = with_pictures(tiny_shop(), tmp_path / "few", most=2)
        assert not pictures_at_hand(few, self.encoder)
        assert not pictures_at_hand(tiny_shop(), ModelConfig().pictures)
        assert not caplog.records
        assert "picture" not in default_parts(shop, encoder="none", pictures=ModelConfig().pictures)
        assert "models pull efficientnet-lite0" in caplog.text

    def test_addresses_count_where_their_host_is_allowed(self, shop: Dataset) -> None:
        far = pl.Series("image", ["https://shop.example/a.png"] * shop.n_items)
        remote = replace(shop, items=shop.items.with_columns(far))
        assert not pictures_at_hand(remote, self.encoder)
        assert pictures_at_hand(remote, self.encoder, ["shop.example"])

    def test_new_pictures_are_read_as_those_of_the_catalogue_were(
        self, shop: Dataset, tmp_path: Path
    ) -> None:
        from crossaisle.encoders.images.image_encoder import open_image_encoder

        fitted = self.make().fit(shop)
        encoder = open_image_encoder(self.encoder)
        raw = encoder.encode([tmp_path / "p" / "paint0.png", png((250, 250, 201))])
        assert fitted.sees == encoder.fingerprint
        settings, arrays = fitted.state()
        again = PictureSimilarity(**settings).restore(arrays, fitted.item_ids_)
        for model in (fitted, again):
            cosines = model.likeness(raw)
            own = fitted.vectors_[fitted.item_ids_.row("paint0")]
            np.testing.assert_allclose(cosines[0], fitted.vectors_ @ own, atol=1e-3)
            assert model.item_ids_.id(int(cosines[0].argmax())) == "paint0"
            assert model.item_ids_.id(int(cosines[1].argmax())).startswith("milk")
        old = {"vectors_": arrays["vectors_"]}
        blind = PictureSimilarity(**settings).restore(old, fitted.item_ids_)
        assert blind.sees == ""
        assert PictureSimilarity(**settings).restore(blind.state()[1], fitted.item_ids_).sees == ""
