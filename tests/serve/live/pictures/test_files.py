"""Pictures that are files: those in the folder `pictures` beside the model are shown, and nothing else is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx
import polars as pl
import pytest

from crossaisle.data.dataset import Dataset
from crossaisle.recommend.recommender import Recommender
from crossaisle.serve.live.catalogue.picture_files import PictureFiles, read_file
from crossaisle.serve.live.catalogue.shown import LOOK_AGAIN, ShownFields
from crossaisle.serve.service import ShopService
from tests.encoders.tiny_pictures import png
from tests.serve.conftest import fitted, talk
from tests.serve.live.pictures.conftest import MILK, SPADE


@pytest.fixture
def shop_folder(shop: Dataset, tmp_path: Path) -> Path:
    """A folder that was moved, with a model and its pictures, beside files that are none of its."""
    before, now = tmp_path / "built" / "pictures", tmp_path / "moved"
    files = {"bread": before / "bread.png", "milk": before / "dairy" / "milk.png", "jam": before / "jam.png"}
    files |= {
        "soap": tmp_path / "secret.png",
        "cake": before / ".." / "secret.png",
        "honey": before / "h.png",
    }
    images = [str(files[item]) if item in files else None for item in shop.item_ids.all]
    changed = replace(shop, items=shop.items.with_columns(pl.Series("image", images, pl.String)))
    fitted(changed).save(now / "model")
    (now / "pictures" / "dairy").mkdir(parents=True)
    (now / "pictures" / "bread.png").write_bytes(png(SPADE))
    (now / "pictures" / "dairy" / "milk.png").write_bytes(png(MILK))
    (now / "pictures" / "jam.png").write_text("no picture")
    (now / "secret.png").write_bytes(png(SPADE))
    (tmp_path / "secret.png").write_bytes(png(SPADE))
    (now / "pictures" / "h.png").symlink_to(tmp_path / "secret.png")
    return now


def _bare(image: str) -> str:
    """The address of a picture without its version."""
    return image.split("?v=")[0]


def test_files_beside_the_model_are_shown(shop_folder: Path, tmp_path: Path) -> None:
    service = ShopService.open(shop_folder / "model", tmp_path / "s.sqlite")

    async def conversation(client: httpx.AsyncClient) -> None:
        for item, picture in (("bread", png(SPADE)), ("milk", png(MILK))):
            path = f"/api/items/{item}/picture"
            assert _bare((await client.get(f"/api/items/{item}")).json()["image"]) == path
            answer = await client.get(path)
            assert (answer.content, answer.headers["content-type"]) == (picture, "image/png")
            head = await client.head(path)
            assert (head.status_code, head.content) == (200, b"")
            assert head.headers["content-length"] == str(len(picture))
        listed = (await client.get("/api/items/rolls/similar?n=3")).json()["items"]
        shown = {one["item_id"]: one["image"] for one in listed}
        assert _bare(shown["bread"]) == "/api/items/bread/picture"
        for item in ("soap", "cake", "honey", "cheese"):  # elsewhere, by "..", by a link, and none
            assert (await client.get(f"/api/items/{item}")).json()["image"] is None
            assert (await client.get(f"/api/items/{item}/picture")).status_code == 404
        assert (await client.get("/api/items/jam/picture")).status_code == 404  # a text

    talk(service, conversation)
    service.close()


def test_a_file_that_is_written_anew_has_another_address(shop_folder: Path, tmp_path: Path) -> None:
    service = ShopService.open(shop_folder / "model", tmp_path / "s.sqlite")

    async def conversation(client: httpx.AsyncClient) -> None:
        first = (await client.get("/api/items/bread")).json()["image"]
        kept = await client.get(first)
        assert kept.headers["cache-control"] == "private, max-age=86400"
        tag = {"if-none-match": kept.headers["etag"]}
        assert (await client.get(first, headers=tag)).status_code == 304
        (shop_folder / "pictures" / "bread.png").write_bytes(png(MILK))
        new = await client.get(first, headers=tag)
        assert (new.content, new.headers["cache-control"]) == (png(MILK), "private, no-cache")

    talk(service, conversation)
    service.close()


def test_lists_notice_a_file_that_was_replaced(shop_folder: Path) -> None:
    seconds = 0.0
    pictures = shop_folder / "pictures"
    dataset = Recommender.load(shop_folder / "model").dataset
    fields = ShownFields(dataset, {}, shop_folder / "model", lambda: seconds)

    def image() -> str | None:
        return fields.of(["bread"])[0].image

    first = image()
    (pictures / "bread.png").write_bytes(png(MILK))
    assert image() == first  # looked at a moment ago
    seconds += LOOK_AGAIN + 1
    second = image()
    assert second not in (None, first)
    (pictures / "bread.png").unlink()
    seconds += LOOK_AGAIN + 1
    assert image() is None
    (pictures / "bread.png").write_bytes(png(SPADE))
    seconds += LOOK_AGAIN + 1
    assert image() not in (None, second)


def test_links_in_a_circle_are_no_picture(shop_folder: Path) -> None:
    pictures = shop_folder / "pictures"
    (pictures / "bread.png").unlink()
    (pictures / "bread.png").symlink_to("rolls.png")
    (pictures / "rolls.png").symlink_to("bread.png")
    dataset = Recommender.load(shop_folder / "model").dataset
    assert ShownFields(dataset, {}, shop_folder / "model").of(["bread"])[0].image is None


def test_a_folder_that_comes_or_leads_elsewhere_later_is_noticed(shop_folder: Path) -> None:
    pictures = shop_folder / "pictures"
    pictures.rename(shop_folder / "first")
    files = PictureFiles(pictures)
    assert files.of("pictures/bread.png") is None
    pictures.symlink_to("first")
    assert files.of("pictures/bread.png") == shop_folder / "first" / "bread.png"
    (shop_folder / "second").mkdir()
    (shop_folder / "second" / "bread.png").write_bytes(png(MILK))
    pictures.unlink()
    pictures.symlink_to("second")
    assert files.of("pictures/bread.png") == shop_folder / "second" / "bread.png"
    assert files.of("pictures/h.png") is None


def test_no_more_is_read_of_a_picture_than_it_may_hold(tmp_path: Path) -> None:
    content = png(MILK)
    (tmp_path / "a.png").write_bytes(content)
    assert read_file(tmp_path / "a.png", len(content)) == content
    assert read_file(tmp_path / "a.png", len(content) - 1) is None


@pytest.mark.parametrize(
    "image", ["https://a.example/pictures/bread.png", "pictures", "bread.png", "/x/pictures/\0.png", ""]
)
def test_what_is_no_file_of_it(shop_folder: Path, image: str) -> None:
    assert PictureFiles(shop_folder / "pictures").of(image) is None


def test_the_last_folder_of_the_name_counts(shop_folder: Path) -> None:
    found = PictureFiles(shop_folder / "pictures").of("/pictures/2024/pictures/bread.png")
    assert found == (shop_folder / "pictures" / "bread.png").resolve()
    assert PictureFiles(shop_folder / "nothing").of("/pictures/bread.png") is None


def test_a_file_that_is_too_large_or_gone_is_not_read(shop_folder: Path) -> None:
    file = shop_folder / "pictures" / "bread.png"
    assert read_file(file, 1_000) == png(SPADE)
    assert read_file(file, 10) is None
    assert read_file(shop_folder / "pictures" / "gone.png", 1_000) is None
