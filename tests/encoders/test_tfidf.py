from __future__ import annotations

import json

import numpy as np
import pytest

from crossaisle.encoders.tfidf import TfidfEncoder, terms
from crossaisle.errors import ArtifactError

TEXTS = ["Red running shoe", "blue running shoe, shoe", "espresso machine", ""]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Red Shoe", ["red", "shoe", "red shoe"]),
        ("a 5-pack of XL", ["pack", "of", "pack of", "xl", "of xl"]),
        ("跑步鞋", ["跑步", "步鞋"]),
        ("盐", ["盐"]),
        ("Nike 跑步鞋 men", ["nike", "跑步", "步鞋", "men"]),
        ("ＮＩＫＥ", ["nike"]),
        ("Crème brûlée", ["crème", "brûlée", "crème brûlée"]),
        ("", []),
        ("- / &", []),
    ],
)
def test_terms(text: str, expected: list[str]) -> None:
    assert list(terms(text)) == expected


def test_weights_are_those_of_the_formula() -> None:
    encoder = TfidfEncoder(bigrams=False)
    rows = encoder.fit_transform(TEXTS)
    assert encoder.vocabulary_ == ("blue", "espresso", "machine", "red", "running", "shoe")
    rare, common = np.log(5 / 2) + 1, np.log(5 / 3) + 1
    expected = np.array([rare, common, common * (1 + np.log(2))])
    found = rows[1].toarray()[0][[0, 4, 5]]
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), rtol=1e-6)
    assert rows.dtype == np.float32
    assert rows[3].nnz == 0


def test_agrees_with_scikit_learn() -> None:
    text = pytest.importorskip("sklearn.feature_extraction.text")
    words = np.array(["red", "blue", "shoe", "hat", "oil", "skin", "care", "xl"])
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, size=rng.integers(1, 9))) for _ in range(50)]
    theirs = text.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2).fit_transform(texts)
    ours = TfidfEncoder(min_df=2).fit_transform(texts)
    np.testing.assert_allclose(ours.toarray(), theirs.toarray(), atol=1e-6)


def test_new_texts_and_shared_words() -> None:
    encoder = TfidfEncoder().fit(TEXTS)
    a, b = encoder.transform(["red running shoe with laces", "blue shoe for running"])
    shared = encoder.words(a.multiply(b))
    assert {word for word, _ in shared} == {"running", "shoe"}
    assert sum(weight for _, weight in shared) == pytest.approx((a @ b.T).toarray()[0, 0])
    assert len(encoder.words(a, limit=2)) == 2


def test_rare_terms_are_left_out() -> None:
    assert TfidfEncoder(min_df=2).fit(TEXTS).vocabulary_ == ("running", "running shoe", "shoe")
    assert TfidfEncoder(min_df=9).fit_transform(TEXTS).shape == (4, 0)


def test_state_survives_json() -> None:
    encoder = TfidfEncoder(sublinear=False).fit([*TEXTS, "跑步鞋"])
    settings, arrays = encoder.state()
    again = TfidfEncoder.restore(json.loads(json.dumps(settings)), arrays)
    assert again.sublinear is False
    difference = again.transform(TEXTS) - encoder.transform(TEXTS)
    assert difference.nnz == 0
    with pytest.raises(ArtifactError, match="terms but 1 weights"):
        TfidfEncoder.restore(settings, {"idf": np.ones(1, np.float32)})
