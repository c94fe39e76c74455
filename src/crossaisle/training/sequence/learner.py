"""`learn`: the arrays of a `SequenceTransformer` from a shop's events."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.models.base import Arrays
from crossaisle.models.scorers.sequence import SequenceTransformer
from crossaisle.training.sequence.held_out import HeldOut
from crossaisle.training.sequence.network import Block
from crossaisle.training.sequence.start import moved_by_text, starting_vectors, text_directions
from crossaisle.training.sequence.windows import Batch, Ints, Windows

FEWEST_STEPS = 25
"""Steps per pass at least: in a small shop the windows are gone through several times."""
LAST_RATE = 0.1
"""The learning rate falls along a line, pass by pass, to about this share."""
FLOOR = 0.05
"""This quantile of all scores becomes 0, which is what an item without a score counts as in a blend."""
_LOG = logging.getLogger(__name__)


def learn(model: SequenceTransformer, dataset: Dataset) -> Arrays:
    """Learned arrays by name; sets `model.stop` where it was None."""
    counts = dataset.item_counts
    most = np.argsort(-counts, kind="stable")[: model.max_items]
    warm = np.sort(most[counts[most] > 0])
    place = np.full(dataset.n_items, -1, np.int64)
    place[warm] = np.arange(len(warm))
    rng = np.random.default_rng(model.seed)
    texts = text_directions(dataset, model.encoder, model.dimensions)
    start = starting_vectors(texts, rng)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(model.seed)
        block = Block(model, torch.from_numpy(start[warm]))
        histories = dataset.histories()
        histories = histories.keep(place[histories.item] >= 0)
        held = None
        if model.stop is None:
            histories, held = HeldOut.of(histories, place, model.length, rng)
        windows = Windows.of(histories, place, model.length)
        if not len(windows):
            return block.arrays() | {
                "vectors_": np.zeros_like(start),
                "bias_": np.zeros(len(start), np.float32),
            }
        stop = _train(model, block, windows, held, rng)
        model.stop = stop if model.stop is None else model.stop
        floor = _floor(block, windows, rng)
    learned = block.vectors.detach().numpy()
    bias = block.bias.detach().numpy()
    vectors = moved_by_text(start, texts, learned, warm, counts)
    biases = np.full(dataset.n_items, _cold_bias(bias, counts[warm]), np.float32)
    vectors[warm], biases[warm] = learned, bias
    return block.arrays() | {"vectors_": vectors, "bias_": biases - floor}


def _train(
    model: SequenceTransformer,
    block: Block,
    windows: Windows,
    held: HeldOut | None,
    rng: np.random.Generator,
) -> int:
    """Passes until the last one that counts. With `held` the block ends as it was at its best."""
    others = [p for name, p in block.named_parameters() if name != "vectors"]
    groups: list[dict[str, Any]] = [
        {"params": others, "lr": model.learning_rate},
        {"params": [block.vectors], "lr": model.learning_rate * model.gentle},
    ]
    optimizer = torch.optim.AdamW(groups, fused=True)
    rates = [group["lr"] for group in optimizer.param_groups]
    best, found, kept = -1.0, model.epochs, None
    for number in range(1, (model.stop or model.epochs) + 1):
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * (1.0 - (1.0 - LAST_RATE) * (number - 1) / model.epochs)
        total, steps = 0.0, 0
        block.train()
        while steps < FEWEST_STEPS:
            for batch in windows.batches(model.batch, model.max_events, rng):
                loss = _loss(block, batch, model.negatives, rng)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                total, steps = total + float(loss.detach()), steps + 1
        quality = held.quality(block) if held is not None else float("nan")
        _LOG.info("pass %d: loss %.4f, held-out NDCG@10 %.4f", number, total / steps, quality)
        if quality > best:
            best, found = quality, number
            kept = {name: value.clone() for name, value in block.state_dict().items()}
    if kept is not None:
        block.load_state_dict(kept)
    block.eval()
    return found


def _loss(block: Block, batch: Batch, negatives: int, rng: np.random.Generator) -> Tensor:
    """Cross-entropy of the answers under a softmax over all items, or over an even draw of wrong ones.

    A mean in which each answer counts as its kind does.
    """
    items, there, answers, weight, worth = map(torch.from_numpy, batch)
    n = len(block.bias)
    if n <= 4 * negatives:
        each = F.cross_entropy(block.scores(block.read(batch)), answers, reduction="none")
        return _mean(each, worth)
    wrong = torch.from_numpy(rng.choice(n, negatives, replace=False))
    # Looked up at once: each look-up has a gradient as large as all vectors.
    rows = torch.cat([items.flatten(), answers, wrong])
    sizes = [items.numel(), len(answers), negatives]
    read, of_answers, of_wrong = torch.split(F.embedding(rows, block.vectors), sizes)
    meaning = block(read.view(*items.shape, -1), there, weight)  # (events, d)
    right = (meaning * of_answers).sum(1) + block.bias[answers]
    others = torch.addmm(block.bias[wrong], meaning, of_wrong.T)  # (events, negatives)
    others = others.masked_fill(wrong[None, :] == answers[:, None], -torch.inf)
    each = torch.logsumexp(torch.cat([right[:, None], others], 1), 1) - right
    return _mean(each, worth)


def _mean(each: Tensor, worth: Tensor) -> Tensor:
    """float32 (): of losses (events,), by what each answer counts."""
    return (each * worth).sum() / worth.sum()


def _floor(block: Block, windows: Windows, rng: np.random.Generator) -> float:
    some = rng.permutation(len(windows))[:128]
    batch = windows.batch(some)
    with torch.no_grad():
        meaning = block.read(batch)[:256]
        scores = block.scores(meaning).numpy()
    return float(np.quantile(scores, FLOOR))


def _cold_bias(bias: Floats, counts: Ints) -> float:
    """An item without events is taken for one of those with the fewest."""
    return float(bias[counts == counts.min()].mean())
