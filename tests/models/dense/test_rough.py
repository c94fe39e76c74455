"""Rough scores: sums of them, exact ones of some items, and texts along their leading directions."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import sparse

from crossaisle.data.history import Histories
from crossaisle.data.taxonomy import Taxonomy
from crossaisle.data.vocabulary import Vocabulary
from crossaisle.models.blend import Blend
from crossaisle.models.dense.coarse import CoarseRows
from crossaisle.models.dense.leading import LeadingDirections, ShortRows
from crossaisle.models.dense.rough import Rough
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.frequency import Frequency
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.models.scorers.spectral import SpectralEASE
from tests.models.shops import tiny_shop

WEIGHTS = {"popularity": 0.3, "frequency": 0.5, "ease": 1.0, "tfidf": 0.4}


@pytest.fixture(scope="module")
def prepared() -> tuple[Blend, Histories]:
    shop = tiny_shop(users=60)
    words = TfidfSimilarity()
    parts = {
        "popularity": Popularity(),
        "frequency": Frequency(),
        "ease": SpectralEASE(ridge=3.0, dimensions=16),
        "tfidf": words,
    }
    blend = Blend(parts=parts, weights={"for_you": WEIGHTS, "similar": {"tfidf": 1.0}}).fit(shop)
    for part in parts.values():
        part.prepare()
    words.lead()
    return blend, shop.histories()


@pytest.mark.parametrize("n", [1, 5])
def test_a_sum_is_rough_everywhere_and_exact_where_it_is_asked(
    prepared: tuple[Blend, Histories], n: int
) -> None:
    blend, histories = prepared
    asked = histories.take(range(n))
    rough, exact = blend.rough(asked, "for_you", exactly=()), blend.score_rows(asked)
    assert rough is not None
    np.testing.assert_array_equal(np.isnan(rough.scores), np.isnan(exact))
    np.testing.assert_allclose(rough.scores, exact, atol=0.05 * float(np.nanmax(np.abs(exact))))
    rows = np.arange(0, exact.shape[1], 3, dtype=np.int32)
    for at in range(n):
        np.testing.assert_allclose(rough.exact(at, rows), exact[at, rows], rtol=1e-4, atol=1e-6)
        for name, part in rough.parts.items():
            own = blend.parts[name].score_rows(asked)
            np.testing.assert_array_equal(np.isnan(part.scores), np.isnan(own))
            np.testing.assert_allclose(part.exact(at, rows), own[at, rows], rtol=1e-4, atol=1e-6)


def test_texts_alone_are_not_worth_a_rough_sum(prepared: tuple[Blend, Histories]) -> None:
    blend, histories = prepared
    assert blend.rough(histories.take([0, 1]), "similar") is None


def test_until_it_is_measured_texts_are_scored_exactly(prepared: tuple[Blend, Histories]) -> None:
    blend, histories = prepared
    asked = histories.take([0, 3])
    rough = replace(blend, exactly={}).rough(asked, "for_you")
    assert rough is not None
    np.testing.assert_array_equal(rough.parts["tfidf"].scores, blend.parts["tfidf"].score_rows(asked))


def test_texts_are_scored_exactly_where_rough_ones_miss_the_best(
    prepared: tuple[Blend, Histories], monkeypatch: pytest.MonkeyPatch
) -> None:
    blend, histories = prepared
    blend.measure_rough(histories, 30)
    assert blend.exactly == {"for_you": ()}
    assert blend.fewer == {"for_you"}
    other = 50 * np.random.default_rng(0).random((len(blend.parts["ease"].item_ids_), 3), np.float32)
    wrong = LeadingDirections.of(sparse.csr_matrix(other))
    monkeypatch.setitem(blend.parts["tfidf"].__dict__, "_leading", wrong)
    blend.measure_rough(histories, 10)
    assert blend.exactly == {"for_you": {"tfidf"}}
    rough = blend.rough(histories.take([0]), "for_you")
    assert rough is not None
    np.testing.assert_array_equal(
        rough.parts["tfidf"].scores, blend.parts["tfidf"].score_rows(histories.take([0]))
    )


def test_all_dimensions_are_read_where_fewer_miss_the_best(
    prepared: tuple[Blend, Histories], monkeypatch: pytest.MonkeyPatch
) -> None:
    blend, histories = prepared
    ease, asked = blend.parts["ease"], histories.take([0])
    blend.measure_rough(histories, 30)
    few, all_ = blend.rough(asked, "for_you"), blend.rough(asked, "for_you", fewer=False)
    assert few is not None
    assert all_ is not None
    np.testing.assert_array_equal(few.scores, all_.scores)  # the model has no more dimensions than `FEWER`
    wrong = CoarseRows.of(50 * np.random.default_rng(0).random(ease.factors_.shape, np.float32))
    monkeypatch.setitem(ease.__dict__, "_coarser", wrong)
    blend.measure_rough(histories, 10)
    assert blend.fewer == set()
    again = blend.rough(asked, "for_you")
    assert again is not None
    np.testing.assert_array_equal(again.scores, all_.scores)


def test_nothing_is_looked_for_where_no_other_part_is_rough() -> None:
    """Neither the directions nor the multiplication library is loaded: most shops do not need them."""
    shop, words = tiny_shop(users=20), TfidfSimilarity()
    blend = Blend(parts={"popularity": Popularity(), "tfidf": words}).fit(shop)
    replace(blend, weights={"for_you": {"popularity": 1.0, "tfidf": 1.0}}).measure_rough(shop.histories(), 10)
    assert words._leading is None


@pytest.mark.parametrize("n", [1, 3, 9])
def test_a_shop_of_a_few_items_is_measured_too(n: int) -> None:
    shop = tiny_shop(users=20)
    few = np.flatnonzero(shop.events.item < n)
    shop = replace(
        shop,
        items=shop.items.head(n),
        events=shop.events.take(few),
        item_ids=Vocabulary(shop.item_ids.all[:n], what="item"),
        taxonomy=Taxonomy(shop.taxonomy.paths[:n]),
    )
    ease, words = SpectralEASE(ridge=3.0, dimensions=n), TfidfSimilarity()
    blend = Blend(parts={"ease": ease, "tfidf": words}, weights={"for_you": {"ease": 1.0, "tfidf": 1.0}})
    blend.fit(shop)
    ease.prepare()
    blend.measure_rough(shop.histories(), 200)
    assert "for_you" in blend.exactly


def test_products_of_sparse_rows() -> None:
    rng = np.random.default_rng(0)
    dense = rng.random((40, 30), np.float32) * (rng.random((40, 30)) < 0.2)
    dense[7] = 0.0
    vectors = sparse.csr_matrix(dense)
    items, weights = np.array([3, 9, 7], np.int32), np.array([0.5, 1.0, 2.0], np.float32)
    rows = np.array([7, 0, 12, 39, 7], np.int32)
    expected = vectors[rows] @ (vectors[items].T @ weights)
    short = ShortRows(vectors)
    np.testing.assert_allclose(short.products(short.sum(items, weights), rows), expected, rtol=1e-5)


def test_rows_of_very_different_lengths_are_not_filled() -> None:
    dense = np.eye(100, dtype=np.float32)
    dense[0] = 1.0
    assert ShortRows.of(sparse.csr_matrix(dense)) is None
    assert LeadingDirections.of(sparse.csr_matrix(dense)) is None
    assert ShortRows.of(sparse.csr_matrix(dense[1:])) is not None


def test_without_terms_there_are_no_directions() -> None:
    assert LeadingDirections.of(sparse.csr_matrix((5, 0), dtype=np.float32)) is None


@pytest.mark.parametrize("combine", ["sum", "log"])
def test_weights_of_items_are_those_of_the_matrix(combine: str) -> None:
    histories = tiny_shop(users=20).histories()
    weights = np.random.default_rng(0).random(len(histories.item), np.float32)
    found, matrix = (
        histories.item_weights(weights, combine=combine),
        histories.matrix(weights, 200, combine=combine),
    )
    np.testing.assert_array_equal(found.indptr, matrix.indptr)
    np.testing.assert_array_equal(found.indices, matrix.indices)
    np.testing.assert_allclose(found.data, matrix.data, rtol=1e-6)
    assert found.at(0, found.of(0)[0], missing=-1.0).tolist() == found.of(0)[1].tolist()
    assert found.at(0, np.array([199], np.int32), missing=-1.0).tolist() == [-1.0]


def test_exact_scores_are_asked_for_once() -> None:
    asked: list[int] = []

    def exact(at: int, rows: np.ndarray) -> np.ndarray:
        asked.append(at)
        return rows.astype(np.float32)

    rough, rows = Rough(np.zeros((2, 4), np.float32), exact), np.array([1, 2], np.int32)
    assert rough.exact(0, rows) is rough.exact(0, rows)
    rough.exact(1, rows)
    assert asked == [0, 1]
