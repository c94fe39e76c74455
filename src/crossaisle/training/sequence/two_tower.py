"""`learn`: trains a `TwoTower` on a shop's texts and events."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.models.base import Arrays
from crossaisle.models.scorers.vectors.history_vectors import NORM_EPS
from crossaisle.models.scorers.vectors.two_tower import TwoTower
from crossaisle.training.parallel import device_of
from crossaisle.training.sequence.held_out import HistoryNetwork
from crossaisle.training.sequence.passes import Material, floor_of, train
from crossaisle.training.sequence.start import text_directions
from crossaisle.training.sequence.windows import Batch, Ints
from crossaisle.training.text.objectives import in_batch_softmax

AGE = 0.5
"""Initial decrease of an event's logit per newer event."""


class TwoTowerNetwork(HistoryNetwork):
    """Both towers; processes all positions of a window at once."""

    def __init__(self, model: TwoTower, texts: Tensor) -> None:
        """`texts`: float32 (n, d), rows of unit length, of the items learned from."""
        super().__init__()
        d = texts.shape[1]
        self.rate, self.temperature = model.dropout, model.temperature
        self.texts: Tensor
        self.register_buffer("texts", texts, persistent=False)
        self.item_map = nn.Linear(d, d, bias=False)
        self.item_inner, self.item_outer = nn.Linear(d, model.hidden), nn.Linear(model.hidden, d)
        self.queries = nn.Parameter(torch.zeros(model.heads, d))
        age = torch.arange(model.length, dtype=torch.float32)[:, None]
        self.ages = nn.Parameter(-AGE * age / (1 + torch.arange(model.heads)))  # (length, heads)
        self.values = nn.Parameter(torch.zeros(model.heads, d, d))
        self.inner, self.outer = nn.Linear(d, model.hidden), nn.Linear(model.hidden, d)
        self.norm = nn.LayerNorm(d, eps=NORM_EPS)
        with torch.no_grad():  # so that the initial score is the similarity with the newest texts
            self.item_map.weight.copy_(torch.eye(d))
            self.values.copy_(torch.eye(d).expand_as(self.values) / model.heads)
        for layer in (self.item_outer, self.outer):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def items(self, texts: Tensor) -> Tensor:
        """float32 (n, d): vectors of items, rows of unit length."""
        hidden = self._drop(F.gelu(self.item_inner(texts)))
        return F.normalize(self.item_map(texts) + self.item_outer(hidden), dim=-1)

    def histories(self, batch: Batch) -> Tensor:
        """float32 (events, d): history vectors after each event, given those before it; rows of unit
        length."""
        items, there, weight = map(self._here, (batch.items, batch.there, batch.weight))
        x = torch.zeros(*items.shape, self.texts.shape[1], device=items.device)
        x[there] = self.items(self.texts[items[there]])  # (n, width, d)
        width = items.shape[1]
        place = torch.arange(width, device=items.device)
        age = place[:, None] - place[None, :]  # of the event in the column, relative to that in the row
        logits = x @ self.queries.T + torch.log(weight)[:, :, None]  # (n, width, heads)
        by_age = self.ages[age.clamp(min=0)]  # (width, width, heads)
        seen = (age >= 0) & (there[:, None, :] | (age == 0))
        shares = (logits[:, None] + by_age).masked_fill(~seen[..., None], -torch.inf).softmax(dim=2)
        pooled = torch.einsum("ntsh,nsd->nthd", shares, x)[there]  # (events, heads, d)
        out = torch.einsum("ehd,hdk->ek", pooled, self.values)
        out = out + self._drop(self.outer(self._drop(F.gelu(self.inner(self.norm(out))))))
        return F.normalize(out, dim=-1)

    def read(self, batch: Batch) -> Tensor:
        return self.histories(batch) / self.temperature

    def scores(self, meaning: Tensor) -> Tensor:
        return meaning @ self.items(self.texts).T

    def loss(self, batch: Batch, often: Tensor) -> Tensor:
        """The mean loss of the targets, weighted by their event kinds.

        `often` float32 (n,): probability of each item to be the target of an event.
        """
        answers, worth = self._here(batch.answers), self._here(batch.worth)
        candidates, own = torch.unique(answers, return_inverse=True)
        drawn = -torch.expm1(-often[candidates] * len(answers))  # probability of being in this batch
        return in_batch_softmax(
            self.histories(batch),
            self.items(self.texts[candidates]),
            temperature=self.temperature,
            wrong=torch.ones(len(answers), len(candidates), dtype=torch.bool, device=answers.device),
            log_q=torch.log(drawn),
            own=own,
            worth=worth,
        )

    def arrays(self) -> Arrays:
        """The arrays of a `TwoTower`, except the item vectors."""

        def affine(layer: nn.Linear) -> np.ndarray:
            return np.vstack([layer.weight.detach().cpu().numpy().T, layer.bias.detach().cpu().numpy()])

        norm = self.norm
        return {
            "queries_": self.queries.detach().cpu().numpy().copy(),
            "ages_": self.ages.detach().cpu().numpy().copy(),
            "values_": self.values.detach().cpu().numpy().copy(),
            "inner_": affine(self.inner),
            "outer_": affine(self.outer),
            "norm_": np.stack([norm.weight.detach().cpu().numpy(), norm.bias.detach().cpu().numpy()]),
        }

    def _here(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.texts.device)

    def _drop(self, x: Tensor) -> Tensor:
        return F.dropout(x, self.rate, self.training)


def learn(model: TwoTower, dataset: Dataset) -> Arrays:
    """Learned arrays by name; sets `model.stop` if it was None. Uses a GPU if available."""
    device = device_of("auto")
    rng = np.random.default_rng(model.seed)
    texts = text_directions(dataset, model.encoder, model.dimensions)
    known: npt.NDArray[np.bool_] = np.any(texts, axis=1)
    warm: Ints = np.flatnonzero(known & (dataset.item_counts > 0))
    biases = np.zeros(dataset.n_items, np.float32)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(model.seed)
        network = TwoTowerNetwork(model, torch.from_numpy(texts[warm])).to(device)
        material = Material.of(model, dataset, warm, rng)
        if len(material.windows):
            often = _often(material, len(warm)).to(device)
            groups = [{"params": list(network.parameters()), "lr": model.learning_rate}]
            train(model, network, groups, lambda batch: network.loss(batch, often), material, rng)
            biases[known] -= np.float32(floor_of(network, material.windows, rng))
    return network.arrays() | {"vectors_": _vectors(network.eval(), texts, known), "bias_": biases}


def _often(material: Material, n: int) -> Tensor:
    """float32 (n,): each item's share of all targets; for an item that is never a target, half that of one
    target."""
    windows = material.windows
    counts = np.full(n, 0.5, np.float32)
    for first, last in zip(windows.first.tolist(), windows.last.tolist(), strict=True):
        counts[windows.item[first + 1 : last + 1]] += 1.0
    return torch.from_numpy(counts / counts.sum())


@torch.no_grad()
def _vectors(network: TwoTowerNetwork, texts: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """float32 (n_items, d): vectors of all items with a text, learned from or not; zeros for the others."""
    out = np.zeros_like(texts)
    rows = torch.from_numpy(texts[known]).to(network.texts.device)
    out[known] = network.items(rows).cpu().numpy()
    return out
