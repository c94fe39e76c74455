"""`learn`: trains a `SequenceTransformer` on a shop's events."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.models.base import Arrays
from crossaisle.models.scorers.sequence import SequenceTransformer
from crossaisle.training.parallel import device_of
from crossaisle.training.sequence.network import Block
from crossaisle.training.sequence.passes import Material, floor_of, train
from crossaisle.training.sequence.start import moved_by_text, starting_vectors, text_directions
from crossaisle.training.sequence.windows import Batch, Ints


def learn(model: SequenceTransformer, dataset: Dataset) -> Arrays:
    """Learned arrays by name; sets `model.stop` if it was None. Uses a GPU if available."""
    device = device_of("auto")
    counts = dataset.item_counts
    most = np.argsort(-counts, kind="stable")[: model.max_items]
    warm = np.sort(most[counts[most] > 0])
    rng = np.random.default_rng(model.seed)
    texts = text_directions(dataset, model.encoder, model.dimensions)
    start = starting_vectors(texts, rng)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(model.seed)
        block = Block(model, torch.from_numpy(start[warm])).to(device)
        material = Material.of(model, dataset, warm, rng)
        if not len(material.windows):
            return block.arrays() | {
                "vectors_": np.zeros_like(start),
                "bias_": np.zeros(len(start), np.float32),
            }
        others = [p for name, p in block.named_parameters() if name != "vectors"]
        groups = [
            {"params": others, "lr": model.learning_rate},
            {"params": [block.vectors], "lr": model.learning_rate * model.gentle},
        ]
        train(model, block, groups, lambda batch: _loss(block, batch, model.negatives, rng), material, rng)
        floor = floor_of(block, material.windows, rng)
    learned = block.vectors.detach().cpu().numpy()
    bias = block.bias.detach().cpu().numpy()
    vectors = moved_by_text(start, texts, learned, warm, counts)
    biases = np.full(dataset.n_items, _cold_bias(bias, counts[warm]), np.float32)
    vectors[warm], biases[warm] = learned, bias
    return block.arrays() | {"vectors_": vectors, "bias_": biases - floor}


def _loss(block: Block, batch: Batch, negatives: int, rng: np.random.Generator) -> Tensor:
    """Cross-entropy of the targets under a softmax over all items, or over uniformly sampled negatives.

    The mean is weighted by the targets' event kinds.
    """
    items, there, answers, weight, worth = map(block.here, batch)
    n = len(block.bias)
    if n <= 4 * negatives:
        each = F.cross_entropy(block.scores(block.read(batch)), answers, reduction="none")
        return _mean(each, worth)
    wrong = block.here(rng.choice(n, negatives, replace=False))
    # One lookup for all: the gradient of each lookup is as large as the embedding table.
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
    """float32 (): mean of losses (events,), weighted by `worth`."""
    return (each * worth).sum() / worth.sum()


def _cold_bias(bias: Floats, counts: Ints) -> float:
    """The bias of items without events: that of items with the fewest."""
    return float(bias[counts == counts.min()].mean())
