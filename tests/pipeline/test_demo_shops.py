"""The second demo shop: a catalogue with pictures on its first day."""

from __future__ import annotations

import logging
from io import StringIO
from pathlib import Path

import pytest

from crossaisle.data.query import Query
from crossaisle.encoders.weights import local_folder
from crossaisle.errors import ConfigError, FetchError
from crossaisle.pipeline.run import demo
from crossaisle.recommend.recommender import Recommender
from tests.data.known.fashion_slice import fashion_slice

pytestmark = pytest.mark.skipif(local_folder("minilm") is None, reason="needs  crossaisle models pull minilm")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object], str]:
    """The folder, what `demo` returned, and what was logged, where no picture can be encoded."""
    root, out = fashion_slice(tmp_path_factory.mktemp("data")), tmp_path_factory.mktemp("demo")
    said = StringIO()
    handler = logging.StreamHandler(said)
    logging.getLogger("crossaisle").addHandler(handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crossaisle.encoders.weights.image_folder", _no_weights)
        result = demo(out, shop="fashion", root=root)
    logging.getLogger("crossaisle").removeHandler(handler)
    return out, result, said.getvalue()


def _no_weights(name: str = "") -> Path:
    raise FetchError(f"{name} is not on this machine yet")


def test_it_is_made_without_a_picture_encoder_and_says_so(made: tuple[Path, dict[str, object], str]) -> None:
    out, result, said = made
    assert (result["items"], result["events"], result["headline"]) == (15, 0, [])
    assert result["sample"] == "1"
    assert "items have pictures that are not encoded: efficientnet-lite0 is not on this machine yet" in said
    assert (out / "pictures" / "14.jpg").is_file()
    assert (out / "report.html").is_file()


def test_what_is_worn_together_leads_and_no_gender_crosses(
    made: tuple[Path, dict[str, object], str],
) -> None:
    shop = Recommender.load(made[0] / "model")
    found = shop.recommend(Query(placement="goes_with", items=("1",), n=4, explain=True))
    assert found.ids[:2] == ["4", "5"]  # trousers of its brand, jeans
    assert found.items[0].evidence is not None
    assert found.items[0].evidence.text.startswith("Goes with Arden Men Blue Shirt")
    assert set(found.ids) == {"4", "5", "6", "7"}


def test_the_catalogue_is_browsed_one_of_each_category_in_turn(
    made: tuple[Path, dict[str, object], str],
) -> None:
    view = Recommender.load(made[0] / "model").view
    first = view.codes[view.by_popularity][: len(set(view.codes.tolist()))]
    assert len(set(first.tolist())) == len(first)
    assert view.dataset.item_ids.ids(view.by_popularity[:2]) == ["1", "4"]  # of three shirts, of two trousers


def test_underwear_is_for_people_who_look_at_it(made: tuple[Path, dict[str, object], str]) -> None:
    shop = Recommender.load(made[0] / "model")
    assert shop.rules.rules[0].items == ("Men > Innerwear",)  # of what this part has
    assert "8" not in shop.recommend(Query(n=15)).ids
    assert "8" not in shop.recommend(Query(placement="goes_with", items=("3",), n=15)).ids
    assert "8" in shop.recommend(Query(placement="goes_with", items=("9",), n=15)).ids


def test_an_unknown_demo_shop_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown demo shop 'fashon' \(did you mean 'fashion'\?\)"):
        demo(tmp_path / "out", shop="fashon")
    assert not (tmp_path / "out").exists()


def test_nothing_is_begun_without_its_data(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"fashion/products\.parquet is not below"):
        demo(tmp_path / "out", shop="fashion", root=tmp_path)
    assert not (tmp_path / "out").exists()
