"""Titles: units, brands, spelling, till codes; and the words that models read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.clean_config import CleanConfig
from crossaisle.data.clean.products import Products, Step
from crossaisle.data.clean.report import Review, StepReport
from crossaisle.data.clean.texts.abbreviations import form_of, read_abbreviations
from crossaisle.data.clean.texts.brands import Brands
from crossaisle.data.clean.texts.languages import language_of, languages_of
from crossaisle.data.clean.texts.sizes import Size, size_of, with_units
from crossaisle.data.clean.texts.spelling import Spelling
from crossaisle.data.clean.texts.tillcodes import TillCodes
from crossaisle.data.clean.texts.words import WordForms
from crossaisle.encoders.tfidf import TfidfEncoder, terms
from crossaisle.errors import ConfigError, DataError


def shop(titles: Sequence[str], brands: Sequence[str] = (), categories: Sequence[str] = ()) -> Products:
    n = len(titles)
    frame = pl.DataFrame(
        {
            "item_id": [f"i{at}" for at in range(n)],
            "title": list(titles),
            "brand": list(brands) or [""] * n,
            "description": [""] * n,
            "attributes": [""] * n,
            "image": pl.Series([None] * n, dtype=pl.String),
        },
        schema_overrides={"title": pl.String, "item_id": pl.String},
    )
    paths = tuple((tuple(c.split(" > ")),) if c else () for c in (categories or [""] * n))
    return Products(frame, paths)


def done(step: Step, products: Products) -> tuple[list[str], StepReport]:
    after, report = step(products)
    assert report.rows_in == report.rows_out == len(products) == len(after)
    assert after.frame["item_id"].to_list() == products.frame["item_id"].to_list()
    return after.texts("title"), report


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Milk 16OZ. bottle", "Milk 16 oz bottle"),
        ("12-ounce can", "12 oz can"),
        ("Cola 2 Ltr", "Cola 2 L"),
        ("Water 6 x 500ML", "Water 6 x 500 ml"),
        ("1.5 Fl. Oz", "1.5 fl oz"),
        ("牛奶 250毫升", "牛奶 250 ml"),
        ("2 in 1 shampoo", "2 in 1 shampoo"),
        ("5G phone", "5G phone"),
        ("size 8 M", "size 8 M"),
        ("Formula 409", "Formula 409"),
    ],
)
def test_units_have_one_spelling(before: str, after: str) -> None:
    assert with_units([before]) == [after]
    assert with_units([after]) == [after]


def test_sizes_are_numbers_in_base_units_with_their_pack() -> None:
    assert size_of("Water 6 x 500ML") == Size(500.0, "ml", 6)
    assert size_of("Beans, Pack of 12, 8 oz") == Size(226.796, "g", 12)
    assert size_of("Batteries 4 pk") == Size(None, "", 4)
    assert size_of("Shampoo") is None


def test_spellings_of_one_brand_become_the_most_frequent() -> None:
    brands = ["L'Oréal"] * 5 + ["L'OREAL", "Loreal", "Maybelline"] + ["Maybeline"] + ["Maybelline"] * 30
    products = shop(["x"] * len(brands), brands)
    step = Brands(mode="on", confidence=0.85, review=Review())
    after, report = step(products)
    assert set(after.texts("brand")) == {"L'Oréal", "Maybelline"}
    assert report.facts == {"brands_before": 5, "brands_after": 2}


def test_a_doubtful_brand_is_reported_and_kept() -> None:
    brands = ["Mattel"] * 12 + ["Matter"]
    after, report = Brands(mode="on", confidence=0.9, review=Review())(shop(["x"] * 13, brands))
    assert after.texts("brand")[-1] == "Matter"
    assert [(p.before, p.after, yes) for p, yes in report.proposals] == [("Matter", "Mattel", False)]


def test_words_are_put_right_against_the_catalogue_and_brands_survive() -> None:
    titles = [f"Moisturizing Shampoo Classic {word}" for word in "abcdefghijkl"]
    titles += ["Moisturizing Shampo Classic", "Kerastaze Shampoo", "Shampoos Classic"]
    brands = [""] * (len(titles) - 2) + ["Kerastaze", ""]
    after, report = done(Spelling(mode="on", confidence=0.85, review=Review()), shop(titles, brands))
    assert after[-3:] == ["Moisturizing Shampoo Classic", "Kerastaze Shampoo", "Shampoos Classic"]
    assert [p.before for p, _ in report.proposals] == ["shampo"]


def test_a_person_decides_against_any_confidence() -> None:
    titles = [f"Moisturizing Shampoo Classic {word}" for word in "abcdefghijkl"] + ["Shampo Classic"]
    no = Review({("spelling", "shampo"): ("shampoo", False)})
    assert done(Spelling(mode="on", confidence=0.5, review=no), shop(titles))[0][-1] == "Shampo Classic"
    yes = Review({("spelling", "shampo"): ("shampoo", True)})
    assert done(Spelling(mode="on", confidence=1.0, review=yes), shop(titles))[0][-1] == "Shampoo Classic"
    other = Review({("spelling", "shampo"): ("shampoo bar", True)})
    assert (
        done(Spelling(mode="on", confidence=1.0, review=other), shop(titles))[0][-1] == "Shampoo Bar Classic"
    )
    assert done(Spelling(mode="report", confidence=0.5, review=yes), shop(titles))[0][-1] == "Shampo Classic"


TILL = [
    "Fluid Milk White Only",
    "Sft Drnk 2 Liter Btl",
    "Cheese: Shredded",
    "Apple Juice (Over 50%",
    "Soft Drinks",
]
CATEGORIES = ["Fluid Milk", "Soft Drinks", "Cheese", "Juice", "Soft Drinks"]


def test_till_codes_become_titles_that_people_read() -> None:
    after, report = done(TillCodes(mode="on", confidence=0.9, review=Review()), shop(TILL, (), CATEGORIES))
    assert after == [
        "White Milk",
        "Soft Drink 2 Liter Bottle",
        "Shredded Cheese",
        "Apple Juice",
        "Soft Drinks",
    ]
    assert report.changed == 4


def test_abbreviations_are_learned_from_the_categories_they_stand_in() -> None:
    titles = ["Cktl Mix", "Margarita Cktl", "Cocktail Onions", "Kitchen Towel"]
    categories = ["Cocktail", "Cocktail", "Bar > Garnish", "Kitchen"]
    report = done(TillCodes(mode="report", confidence=0.9, review=Review()), shop(titles, (), categories))[1]
    assert {p.before: p.after for p, _ in report.proposals}["cktl"] in ("cocktail", "cocktails")


def test_abbreviations_of_a_file_come_first(tmp_path: Path) -> None:
    file = tmp_path / "short.csv"
    file.write_text("short,long\nbtl,battle\nsft drnk,lemonade\nxx,\n")
    step = TillCodes(mode="on", confidence=0.9, review=Review(), file=file)
    assert done(step, shop(["Sft Drnk xx Btl"]))[0] == ["Lemonade Battle"]
    file.write_text("kurz,lang\na,b\n")
    with pytest.raises(DataError, match="needs the columns short, long"):
        read_abbreviations(file)


@pytest.mark.parametrize(
    ("short", "long", "fits"),
    [
        ("drnk", "drink", True),
        ("frzn", "frozen", True),
        ("refrig", "refrigerated", True),
        ("milk", "silk", False),
    ],
)
def test_what_an_abbreviation_is(short: str, long: str, fits: bool) -> None:
    assert bool(form_of(short, long)) is fits


@settings(deadline=None)  # the first titles wait for a dictionary
@given(st.lists(st.text(max_size=30), min_size=1, max_size=12))
def test_steps_bear_any_title_and_twice_is_once(titles: list[str]) -> None:
    for step in (
        TillCodes(mode="on", confidence=0.9, review=Review()),
        Spelling(mode="on", confidence=0.9, review=Review()),
    ):
        products = shop(titles)
        for _ in range(3):
            products = step(products)[0]
        again, report = step(products)
        assert again.texts("title") == products.texts("title")
        assert not report.changes
    once = with_units(titles)
    assert with_units(once) == once


ODD = ["👟 Schuhe 👟", "حذاء رياضي", "נעליים", "x", "", "12345", "日", "a" * 2000]


def test_emoji_right_to_left_and_empty_titles_survive() -> None:
    for step in (
        TillCodes(mode="on", confidence=0.9, review=Review()),
        Spelling(mode="on", confidence=0.9, review=Review()),
        Brands(mode="on", confidence=0.9, review=Review()),
    ):
        assert done(step, shop(ODD))[0] == ODD


def test_languages_of_titles() -> None:
    assert language_of(["这是牛奶", "これは牛乳です", "молоко", "", "123", "حليب كامل الدسم"]) == [
        "zh",
        "ja",
        "ru",
        "",
        "",
        "ar",
    ]
    german = languages_of(
        ["Frische Vollmilch vom Bauernhof", "Schuhe für Kinder in Größe 30", "Weiches Brot"]
    )
    assert german.main == "de"
    assert not german.english
    assert languages_of(["Running shoes for men", "Fresh whole milk", "Soft white bread"]).english
    assert languages_of([]).english


def test_word_models_read_stems_without_stop_words_and_segments() -> None:
    forms = WordForms(stop_words=("en", "zh"), segment=True, stem="en")
    found = list(terms("The running shoes 超高温杀菌的牛奶", bigrams=False, forms=forms))
    assert found == ["run", "shoe", "超高温", "杀菌", "牛奶"]
    encoder = TfidfEncoder(forms=forms).fit(["running shoes", "the run"])
    again = TfidfEncoder.restore(*encoder.state())
    assert again.forms == forms
    assert (again.transform(["runs"]) != encoder.transform(["runs"])).nnz == 0
    assert encoder.transform(["runs"]).nnz


def test_auto_takes_the_catalogues_languages() -> None:
    config = CleanConfig(stop_words="auto", stem="auto")
    assert WordForms.of(config, ["Fresh milk of the farm", "Soft white bread"]) == WordForms(
        stop_words=("en",), stem="en"
    )
    assert not WordForms.of(CleanConfig(), ["x"])
    with pytest.raises(ConfigError, match="no stemmer for 'engl'"):
        WordForms(stem="engl")
    with pytest.raises(ConfigError, match="stop_words: none known for 'xx'"):
        WordForms.of(CleanConfig(stop_words=("xx",)), [])
