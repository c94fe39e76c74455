"""`benchmark zh-groceries`: predicts the type of a new Chinese product from its name alone.

Each product is held out in turn; the prediction is the type with the nearest prototype
(models/scorers/prototypes.py), computed from the names of the other products and of the types. No purchases
and no training are used.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from crossaisle.data.history import Floats
from crossaisle.encoders.cache import pretrained
from crossaisle.encoders.tfidf import TfidfEncoder
from crossaisle.evaluate.results import Row, result_row
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.models.scorers.cold_start.prototypes import Labels, PrototypeRule, View, classify
from crossaisle.progress import bar
from crossaisle.studies.context import StudyContext

NAME = "zh-groceries"
ENCODER = "use-multilingual"
MODELS = ("majority", "tfidf", "members_only", "crossaisle")
"""`members_only`: the encoder alone, with a type represented by the mean of its products."""


def run(context: StudyContext) -> list[Row]:
    """Writes `out/results.json` and returns its rows: accuracy of majority, tfidf and crossaisle."""
    shop = context.load(context.name)
    titles = shop.items["title"].to_list()
    types = shop.taxonomy.names(0)
    paths = [of_item[0][0] for of_item in shop.taxonomy.paths]
    labels = np.array([types.index(path) for path in paths])
    context.say(f"placing {len(titles)} products among {len(types)} types, each held out in turn")
    encoder = pretrained(ENCODER)
    meaning, meaning_of_types = encoder.encode(titles), encoder.encode(types)
    right = held_out(titles, types, labels, meaning, meaning_of_types, progress=context.progress)
    bootstrap = Bootstrap(n=len(labels))
    rows = []
    for model, hits in right.items():
        interval = bootstrap.interval(hits[:, None])
        figures = (interval.value[0], interval.low[0], interval.high[0])
        rows.append(
            result_row(context.name, "leave_one_out", "test", model, "accuracy", 1, figures, len(labels))
        )
    context.write(rows)
    return rows


def held_out(
    titles: Sequence[str],
    types: Sequence[str],
    labels: Labels,
    meaning: Floats,
    meaning_of_types: Floats,
    *,
    progress: bool = False,
) -> dict[str, Floats]:
    """Per model, float32 (n,): 1 if a held-out product is assigned its type, else 0."""
    n = len(titles)
    right = {model: np.zeros(n, np.float32) for model in MODELS}
    with bar("placing", n, show=progress) as advance:
        for i in range(n):
            rest = [j for j in range(n) if j != i]
            known, sense, query = labels[rest], View(meaning[rest], meaning_of_types), meaning[[i]]
            tfidf = TfidfEncoder()
            seen = tfidf.fit_transform([_spelt(titles[j]) for j in rest]).toarray()
            words, word = View(seen, _rows(tfidf, types)), _rows(tfidf, [titles[i]])
            guesses = {
                "majority": np.bincount(known).argmax(),
                "tfidf": classify([words], known, [word]).argmax(),
                "members_only": classify([sense], known, [query], [PrototypeRule()]).argmax(),
                "crossaisle": classify([sense, words], known, [query, word]).argmax(),
            }
            for model, guess in guesses.items():
                right[model][i] = guess == labels[i]
            advance(1)
    return right


def _rows(encoder: TfidfEncoder, texts: Sequence[str]) -> Floats:
    """float32 (n, vocabulary); a text with only unknown words gives a row of zeros."""
    dense: Floats = encoder.transform([_spelt(text) for text in texts]).toarray()
    return dense


def _spelt(text: str) -> str:
    """A text followed by its single characters, since most Chinese characters are words."""
    return f"{text} {' '.join(text)}"
