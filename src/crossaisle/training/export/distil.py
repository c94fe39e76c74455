"""Distillation: a small text encoder learns to reproduce a large one's vectors for a catalogue's texts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import sparse

from crossaisle.artifact import writing
from crossaisle.data.history import Floats
from crossaisle.encoders.projection import Projection
from crossaisle.encoders.static import TABLE, StaticEncoder, bags, write_settings
from crossaisle.encoders.weights import TOKENIZER
from crossaisle.errors import ConfigError, CrossaisleError
from crossaisle.progress import bar
from crossaisle.training.export.onnx import KIND
from crossaisle.training.text.backbone import Backbone

SIF = 1e-3
"""A token's weight is SIF / (SIF + its share of all tokens): frequent tokens weigh less."""
_TOKENS_AT_ONCE = 1024


def distil_static(
    teacher: Backbone,
    out: str | Path,
    *,
    texts: Sequence[str],
    dimension: int = 256,
    ridge: float = 0.01,
    name: str = "",
    progress: bool = False,
) -> StaticEncoder:
    """Makes a `StaticEncoder` folder whose weighted means of token vectors approximate the teacher's vectors.

    Each token starts with the teacher's vector of that token alone (Model2Vec). Then the table is fitted so
    that the texts' means match the teacher's vectors of the whole texts: least squares with `ridge` times the
    squared distance from the starting values, solved by conjugate gradients. All of this takes place in the
    leading `dimension` principal axes of the teacher's vectors.
    """
    spoken = [text for text in dict.fromkeys(texts) if text.strip()]
    if not spoken:
        raise ConfigError("distillation: give the texts of a catalogue to learn from")
    dimension = min(dimension, teacher.dimension)
    wanted = teacher.encode(spoken, progress=progress)
    alone = _tokens_alone(teacher, progress=progress)
    axes = Projection.fit(wanted)
    target = (wanted - axes.mean_) @ axes.axes_[:, :dimension]
    start = (alone - alone.mean(axis=0)) @ axes.axes_[:, :dimension]
    counts = bags(teacher.tokenizer, spoken, len(alone), teacher.max_tokens)
    share = np.asarray(counts.sum(axis=0)).ravel() / max(counts.sum(), 1.0)
    weight = (SIF / (SIF + share)).astype(np.float32)
    mass = np.maximum(counts @ weight, 1e-12)
    means = sparse.diags(1 / mass) @ counts @ sparse.diags(weight)
    used = np.flatnonzero(share)  # tokens that occur in no text keep their starting values
    table = start.copy()
    table[used] += _ridge(sparse.csr_matrix(means.tocsc()[:, used]), target - means @ start, ridge)
    with writing(out, KIND) as folder:
        np.save(folder / TABLE, (table * weight[:, None]).astype(np.float16), allow_pickle=False)
        teacher.tokenizer.save(str(folder / TOKENIZER))
        write_settings(folder, teacher=name, dimension=dimension, texts=len(spoken))
    return StaticEncoder(Path(out))


def distil_into(
    student: Backbone,
    *,
    texts: Sequence[str],
    wanted: Floats,
    rng: np.random.Generator,
    steps: int = 300,
    batch: int = 32,
    learning_rate: float = 1e-4,
    progress: bool = False,
) -> list[float]:
    """Trains a student in place: 1 - cosine to the teacher's vectors `wanted` (n, d), AdamW, linear decay.

    Returns the loss of each step. `CrossaisleError` if the loss becomes NaN.
    """
    spoken = [i for i, text in enumerate(texts) if text.strip()]
    if not spoken or not steps:
        return []
    optimiser = torch.optim.AdamW(student.parameters(), lr=learning_rate, weight_decay=0.0)
    decay = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.05, total_iters=steps)
    losses: list[float] = []
    student.eval()  # no dropout: the targets are deterministic
    with bar("distilling", steps, show=progress) as advance:
        for _ in range(steps):
            rows = rng.choice(spoken, min(batch, len(spoken)), replace=False)
            found = student(student.tokenize([texts[i] for i in rows]))
            loss = 1 - (found * torch.from_numpy(wanted[rows]).to(found.device)).sum(dim=1).mean()
            if not torch.isfinite(loss):
                raise CrossaisleError(
                    f"distillation: the loss is {loss.item()} after {len(losses)} steps: "
                    "lower the learning rate"
                )
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
            optimiser.step()
            decay.step()
            losses.append(float(loss.item()))
            advance(1)
    return losses


@torch.no_grad()
def _tokens_alone(teacher: Backbone, *, progress: bool) -> Floats:
    """float32 (vocabulary, d): the teacher's vector of each single token, with the usual special tokens
    around it."""
    before, after = _frame(teacher.tokenizer)
    size = max(teacher.tokenizer.get_vocab_size(with_added_tokens=True), 1)
    out: Floats = np.zeros((size, teacher.dimension), np.float32)
    training = teacher.training
    teacher.eval()
    try:
        with bar("reading tokens", size, show=progress) as advance:
            for low in range(0, size, _TOKENS_AT_ONCE):
                ids = range(low, min(low + _TOKENS_AT_ONCE, size))
                rows = teacher.pad([[*before, token, *after] for token in ids])
                out[low : low + len(ids)] = teacher(rows).float().cpu().numpy()
                advance(len(ids))
    finally:
        teacher.train(training)
    return out


def _frame(tokenizer: Any) -> tuple[list[int], list[int]]:
    """The special tokens that the tokenizer adds before and after a text."""
    whole = tokenizer.encode("a").ids
    inner = tokenizer.encode("a", add_special_tokens=False).ids
    for start in range(len(whole) - len(inner) + 1):
        if whole[start : start + len(inner)] == inner:
            return list(whole[:start]), list(whole[start + len(inner) :])
    return [], []


def _ridge(means: sparse.csr_matrix, rest: Floats, ridge: float, *, steps: int = 30) -> Floats:
    """float32 (vocabulary, d): minimises |means x - rest|^2 + ridge |x|^2 for all columns at once."""
    x: Floats = np.zeros((means.shape[1], rest.shape[1]), np.float32)
    residual = means.T @ rest
    direction = residual.copy()
    power = (residual**2).sum(axis=0)
    first = np.maximum(power, 1e-30).astype(np.float32)
    for _ in range(steps):
        if (power <= 1e-6 * first).all():
            break
        image = means.T @ (means @ direction) + ridge * direction
        step = power / np.maximum((direction * image).sum(axis=0), 1e-30).astype(np.float32)
        x += step * direction
        residual -= step * image
        fresh = (residual**2).sum(axis=0)
        direction = residual + fresh / np.maximum(power, 1e-30) * direction
        power = fresh
    return x
