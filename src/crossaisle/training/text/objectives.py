"""Losses over the vectors of a batch. Shapes: b examples, n candidates, d dimensions; rows of unit length."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def in_batch_softmax(
    left: Tensor,
    right: Tensor,
    *,
    temperature: float,
    wrong: Tensor,
    log_q: Tensor | None = None,
    own: Tensor | None = None,
    worth: Tensor | None = None,
) -> Tensor:
    """Cross-entropy of each example's own target against the other candidates of the batch.

    `left` (b, d), `right` (m, d): the b targets, or any items with `own` int64 (b,), the targets' rows among
    them. `wrong` bool (b, m): True for valid negatives of an example; the rest are masked. `log_q` (m,): log
    of each candidate's sampling probability, subtracted from its column (Yi et al., Sampling-Bias-Corrected
    Neural Modeling, RecSys 2019). `worth` float (b,): what each example counts in the mean. A scalar.
    """
    rows = torch.arange(len(left), device=left.device)
    own = rows if own is None else own
    logits = left @ right.T / temperature  # (b, b)
    if log_q is not None:
        logits = logits - log_q
    counts = wrong.clone()
    counts[rows, own] = True
    logits = logits.masked_fill(~counts, float("-inf"))
    if worth is None:
        return nn.functional.cross_entropy(logits, own)
    each = nn.functional.cross_entropy(logits, own, reduction="none")
    return (each * worth).sum() / worth.sum()


def cross_entropy(
    left: Tensor, right: Tensor, negatives: Tensor, *, temperature: float, wrong: Tensor
) -> Tensor:
    """Cross-entropy of (user, item) pairs against sampled negatives.

    `left`, `right` (b, d), `negatives` (m, d) shared by the batch, `wrong` bool (b, m). A scalar.
    """
    positive = (left * right).sum(dim=1, keepdim=True)  # (b, 1)
    others = (left @ negatives.T / temperature).masked_fill(~wrong, float("-inf"))
    logits = torch.cat([positive / temperature, others], dim=1)  # (b, 1 + m)
    return nn.functional.cross_entropy(logits, torch.zeros(len(left), dtype=torch.long, device=left.device))


def binary_cross_entropy(
    left: Tensor, right: Tensor, negatives: Tensor, *, temperature: float, bias: Tensor, wrong: Tensor
) -> Tensor:
    """Log-loss of bought (1) and sampled (0) items; positives and negatives have the same total weight. A
    scalar."""
    positive = (left * right).sum(dim=1) / temperature + bias  # (b,)
    others = left @ negatives.T / temperature + bias  # (b, m)
    loss = nn.functional.binary_cross_entropy_with_logits
    drawn = others[wrong]
    low = loss(drawn, torch.zeros_like(drawn)) if drawn.numel() else positive.sum() * 0
    return (loss(positive, torch.ones_like(positive)) + low) / 2


def squared_error(left: Tensor, right: Tensor, value: Tensor, *, scale: Tensor, bias: Tensor) -> Tensor:
    """Mean squared error between `scale * cosine + bias` and the events' values (b,). A scalar."""
    return nn.functional.mse_loss((left * right).sum(dim=1) * scale + bias, value)


def triplet(left: Tensor, right: Tensor, negatives: Tensor, *, margin: float, wrong: Tensor) -> Tensor:
    """Hinge loss on the hardest sampled negative (Schroff et al., FaceNet, CVPR 2015). A scalar."""
    positive = (left * right).sum(dim=1)  # (b,)
    hardest = (left @ negatives.T).masked_fill(~wrong, -1.0).max(dim=1).values  # (b,)
    return (hardest - positive + margin).clamp(min=0).mean()
