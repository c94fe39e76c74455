"""`fashion`: products with one picture each and no events, like a shop on its first day."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote

import polars as pl

from crossaisle.errors import DataError
from crossaisle.progress import bar

NAME = "fashion"
FILE = "fashion/products.parquet"
ORIGIN = (
    "ashraq/fashion-product-images-small on the Hugging Face hub, the parquet file of any part of it "
    f"as {FILE}"
)
PEOPLE = r"(?i)^(.{1,40}?)(?:['’]s)?\s+(?:men|women|unisex|boy|girl|kid)s?\b"
"""Titles start with the brand, followed by the target group."""
KIDS = {"Men": ("Boys", r"(?i)\b(?:kids?|boys?)\b"), "Women": ("Girls", r"(?i)\b(?:kids?|girls?)\b")}
"""The target groups of titles whose catalogue entry says adults; "Boy-Shorts" are women's."""
FEWEST = 2
"""Minimum number of titles with the same beginning for it to count as a brand."""
COLUMNS = (
    "id",
    "productDisplayName",
    "gender",
    "masterCategory",
    "subCategory",
    "articleType",
    "baseColour",
    "season",
    "usage",
)
"""All of these are read as text."""
SETTINGS = {
    "category_level": "subCategory",
    "items": {
        "columns": {
            "item_id": "id",
            "title": "productDisplayName",
            "categories": ["gender", "subCategory", "articleType"],
            "attributes": ["colour", "season", "occasion"],
        }
    },
}


def fashion_tables(root: Path, pictures: Path | None = None, *, progress: bool = False) -> dict[str, Any]:
    """The items table, without the columns that would reveal the answers. `pictures`: a folder into which the
    pictures are written; None: the items have none.

    The brand is extracted from the title, as the catalogue has no column for it.
    """
    file = root / FILE
    found = pl.read_parquet_schema(file)
    if missing := [name for name in COLUMNS if name not in found]:
        raise DataError(f"has no column {missing[0]}: use {ORIGIN}", file=str(file))
    items = pl.read_parquet(file, columns=list(COLUMNS)).cast(pl.String)
    items = items.with_columns(brands_of(items["productDisplayName"].fill_null("")))
    sold = items["masterCategory"].fill_null("") != "Free Items"
    items = items.filter(sold)
    if pictures is not None and "image" in found:
        contents = pl.read_parquet(file, columns=["image"])["image"].filter(sold)
        if contents.dtype == pl.Struct:  # the form in which the Hugging Face hub stores pictures
            contents = contents.struct.field("bytes")
        items = items.with_columns(written(items["id"], contents, pictures, progress=progress))
    items = items.drop("masterCategory").with_columns(_people())
    return {"items": items.rename({"baseColour": "colour", "usage": "occasion"})}


def _people() -> pl.Expr:
    """The target group: Men, Women, Boys, Girls, Kids or Unisex."""
    given, title = pl.col("gender"), pl.col("productDisplayName").fill_null("")
    of_kids = (given == "Unisex") & title.str.contains(r"(?i)\b(?:kids?|children)\b")
    out = pl.when(of_kids).then(pl.lit("Kids")).otherwise(given)
    for grown, (small, words) in KIDS.items():
        out = pl.when((given == grown) & title.str.contains(words)).then(pl.lit(small)).otherwise(out)
    return out.alias("gender")


def brands_of(titles: pl.Series) -> pl.Series:
    """The brand of each title, "" if unknown.

    It is the part before the target group, or a title's beginning equal to such a part; else the words that
    start several titles and occur nowhere else in titles: "Colorbar Wine Not Lip Pot".
    """
    before = titles.str.extract(PEOPLE, 1).str.strip_chars()
    count = Counter(name.casefold() for name in before.drop_nulls().to_list())
    usual = {name for name, n in count.items() if n >= FEWEST}
    spelled = {name.casefold(): name for name in before.drop_nulls().to_list()}
    out = _beginnings(titles.to_list(), usual, spelled)
    bare = [title for title, brand in zip(titles.to_list(), out, strict=True) if not brand]
    for name in _only_first(bare, titles.to_list()):
        spelled.setdefault(name.casefold(), name)
        usual.add(name.casefold())
    return pl.Series("brand", _beginnings(titles.to_list(), usual, spelled), pl.String)


def _beginnings(titles: list[str], usual: set[str], spelled: dict[str, str]) -> list[str]:
    longest = max((len(name.split()) for name in usual), default=0)
    out = []
    for title in titles:
        words = title.split()
        starts = (" ".join(words[:n]).casefold() for n in range(min(longest, len(words)), 0, -1))
        out.append(next((spelled[start] for start in starts if start in usual), ""))
    return out


def _only_first(bare: list[str], titles: list[str]) -> list[str]:
    """First words that never occur later in any title, extended by the words that always follow them."""
    later = {word.casefold() for title in titles for word in title.split()[1:]}
    found: dict[str, list[list[str]]] = {}
    for title in bare:
        words = title.split()
        if words and words[0].casefold() not in later and words[0].isalpha():
            found.setdefault(words[0].casefold(), []).append(words)
    out = []
    for several in found.values():
        if len(several) < FEWEST:
            continue
        seconds = {words[1].casefold() if len(words) > 2 else "" for words in several}
        always = len(several) > FEWEST and len(seconds) == 1 and "" not in seconds
        out.append(" ".join(several[0][: 2 if always else 1]))
    return out


def written(ids: pl.Series, contents: pl.Series, folder: Path, *, progress: bool = False) -> pl.Series:
    """Writes picture bytes into a folder; returns the paths of the files, null if there are no bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    paths: list[str | None] = []
    with bar("writing pictures", len(ids), show=progress) as advance:
        for item, content in zip(ids.to_list(), contents.to_list(), strict=True):
            file = folder / f"{quote(str(item), safe='')}.jpg"
            if content:
                _write(file, content)
            paths.append(str(file.resolve()) if content else None)
            advance(1)
    return pl.Series("image", paths, pl.String)


def _write(file: Path, content: bytes) -> None:
    if file.is_file() and file.read_bytes() == content:
        return
    fresh = file.with_suffix(".part")
    fresh.write_bytes(content)
    fresh.replace(file)
