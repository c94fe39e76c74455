"""`benchmark fashion`: matches each product's picture to its title among 500 products not used in training.

Products are assigned by seed: 500 for test, 500 for validation, the rest for training. If a held-out product
shares its title with a training product, the pair is still held out, since the picture differs.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from scipy.sparse.linalg import svds

from crossaisle.data.datasets import pull_catalogue
from crossaisle.data.history import Floats
from crossaisle.encoders.base import unit_rows
from crossaisle.encoders.cache import pretrained
from crossaisle.encoders.images.image_encoder import open_image_encoder
from crossaisle.encoders.tfidf import TfidfEncoder
from crossaisle.evaluate.results import Row, result_row
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.studies.context import StudyContext

NAME = "fashion"
HELD_OUT = 500
K = 10
WORDS = 256
"""Dimension of the titles' reduced TF-IDF vectors."""
RIDGES = (0.3, 1.0, 3.0, 10.0)
EPOCHS = (20, 40, 80)
"""Candidate values; tuned on validation."""


def run(
    context: StudyContext,
    *,
    seed: int = 0,
) -> list[Row]:
    """Writes `out/results.json` and returns its rows: recall of chance, unaligned, ridge and crossaisle."""
    from crossaisle.training.images.align import AlignConfig, train_alignment
    from crossaisle.training.torch_library import require

    require("aligning pictures and titles")
    file = pull_catalogue(context.name, context.root) / "fashion" / "products.parquet"
    products = pl.read_parquet(file, columns=["productDisplayName", "image"])
    products = products.filter(pl.col("productDisplayName").is_not_null())
    titles = products["productDisplayName"].to_list()
    encoder = open_image_encoder()
    context.say(f"looking at {len(titles)} pictures")
    images = encoder.encode(products["image"].to_list(), progress=context.progress)
    for place, reason in list(encoder.problems.items())[:5]:
        context.say(f"picture {place} set aside: {reason}")
    test, validation, training = deal(len(titles), seed)
    texts = text_vectors(titles, training, progress=context.progress)
    groups = [titles[i] for i in training]

    maps = {r: ridge(images[training], texts[training], r) for r in RIDGES}
    pairs = {r: (apply(maps[r], images), texts - texts[training].mean(axis=0)) for r in RIDGES}
    best = max(RIDGES, key=lambda r: hits(*pairs[r], validation).mean())
    context.say("aligning pictures and titles; the number of epochs is chosen on validation")
    placed = {}
    for epochs in EPOCHS:
        config = AlignConfig(epochs=epochs, seed=seed)
        alignment = train_alignment(
            images[training], texts[training], groups, config, progress=context.progress
        )
        placed[epochs] = alignment.place("image", images), alignment.place("text", texts)
    longest = max(EPOCHS, key=lambda e: hits(*placed[e], validation).mean())
    context.say(f"chosen: ridge {best}, {longest} epochs")
    models = {"unaligned": unaligned(images, texts), "ridge": pairs[best], "crossaisle": placed[longest]}
    rows = []
    for split, own in (("validation", validation), ("test", test)):
        values = {"chance": np.full(len(own), K / len(own), np.float32)}
        values |= {model: hits(*pair, own) for model, pair in models.items()}
        for model, found in values.items():
            interval = Bootstrap(n=len(own)).interval(found[:, None])
            figures = (interval.value[0], interval.low[0], interval.high[0])
            rows.append(
                result_row(context.name, "held_out_products", split, model, "recall", K, figures, len(own))
            )
    context.write(rows)
    return rows


def deal(n: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows of test, validation and training."""
    order = np.random.default_rng(seed).permutation(n)
    return order[:HELD_OUT], order[HELD_OUT : 2 * HELD_OUT], order[2 * HELD_OUT :]


def text_vectors(titles: list[str], training: np.ndarray, *, progress: bool = False) -> Floats:
    """float32 (n, 384 + WORDS): MiniLM vectors next to TF-IDF, with truncated SVD fitted on training
    titles."""
    meaning = pretrained("minilm").encode(titles, progress=progress)
    tfidf = TfidfEncoder(min_df=2).fit([titles[i] for i in training])
    counts = tfidf.transform(titles)
    directions = svds(counts[training], k=WORDS, random_state=0)[2]
    out: Floats = np.hstack([meaning, np.asarray(counts @ directions.T, np.float32)]).astype(np.float32)
    return out


def hits(images: Floats, texts: Floats, own: np.ndarray) -> Floats:
    """float32 (len(own),): 1 where a picture's title is among the first ten; ties count half."""
    left, right = unit_rows(images[own]), unit_rows(texts[own])
    scores = left @ right.T
    mine = np.diag(scores)[:, None]
    above = (scores > mine + 1e-6).sum(axis=1)
    ties = (np.abs(scores - mine) <= 1e-6).sum(axis=1) - 1
    found: Floats = (1 + above + ties / 2 <= K).astype(np.float32)
    return found


def ridge(images: Floats, texts: Floats, strength: float) -> tuple[Floats, Floats, Floats]:
    """Mean and scale of the pictures, and the linear map to centred texts, by ridge regression."""
    mean, scale = images.mean(axis=0), (images.std(axis=0) + 1e-4) * np.sqrt(images.shape[1])
    x = (images - mean) / scale
    weights = np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ (texts - texts.mean(axis=0)))
    return mean, scale, weights.astype(np.float32)


def apply(fitted: tuple[Floats, Floats, Floats], images: Floats) -> Floats:
    """float32 (n, e): pictures mapped into the space of the titles."""
    mean, scale, weights = fitted
    out: Floats = ((images - mean) / scale @ weights).astype(np.float32)
    return out


def unaligned(images: Floats, texts: Floats) -> tuple[Floats, Floats]:
    """Both sides truncated to the same dimension: the baseline of comparing them directly."""
    width = min(images.shape[1], texts.shape[1])
    return images[:, :width], texts[:, :width]
