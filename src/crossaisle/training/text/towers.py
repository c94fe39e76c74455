"""`Towers`: history and item encoders that share one backbone, and the loss of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import torch
from scipy import sparse
from torch import Tensor, nn

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.vocabulary import Rows
from crossaisle.encoders.whiten import Whitening
from crossaisle.progress import bar
from crossaisle.train_config import TrainConfig
from crossaisle.training.parallel import World
from crossaisle.training.text import objectives
from crossaisle.training.text.augment import augment
from crossaisle.training.text.backbone import Backbone
from crossaisle.training.text.layers import LastLayers
from crossaisle.training.text.pairs import Examples


class Towers(nn.Module):
    """A backbone, the linear maps on top of it, and the scale and bias of a regression."""

    def __init__(
        self,
        backbone: Backbone,
        config: TrainConfig,
        catalogue: Catalogue,
        *,
        whitening: Whitening | None = None,
        vectors: Floats | None = None,
        world: World = World(),
    ) -> None:
        """`backbone` must be prepared, that is, with frozen parameters frozen.

        `whitening`: a fixed map on top of it. `vectors` float32 (n_items, d): input of a head in place of the
        backbone's vectors. `world`: the processes that share the texts of a batch.
        """
        super().__init__()
        self.backbone, self.config, self.catalogue, self.world = backbone, config, catalogue, world
        self.whitening = None if whitening is None else _White(whitening)
        d = backbone.dimension
        mapped = config.moves == "head" or config.directed
        self.item_map = _identity(d) if mapped else nn.Identity()
        self.history_map = _identity(d) if config.directed else self.item_map
        self.scale = nn.Parameter(torch.ones(()), requires_grad=config.objective == "mse")
        value_like = config.objective in ("mse", "bce")
        self.bias = nn.Parameter(torch.zeros(()), requires_grad=value_like)
        self.last = LastLayers(backbone, config.last_layers) if config.moves == "last" else None
        self._pooled = None if vectors is None else torch.from_numpy(vectors)
        self._below: dict[int, Tensor] = {}

    def warm(self, *, progress: bool = False) -> None:
        """Computes once the output of the frozen layers for every item."""
        texts = self.catalogue.texts
        if self._pooled is not None:
            self._pooled = self._pooled.to(self.backbone.device)
        elif self.config.moves == "head":
            pooled = torch.from_numpy(self.backbone.encode(texts, progress=progress))
            self._pooled = pooled.to(self.backbone.device)
        elif self.last is not None:
            self.backbone.eval()
            with bar("reading texts", len(texts), show=progress) as advance:
                for start in range(0, len(texts), 64):
                    batch = self.backbone.tokenize(texts[start : start + 64])
                    hidden = self.last.below(self.backbone, batch)
                    for place, length in enumerate(batch["attention_mask"].sum(dim=1).tolist()):
                        self._below[start + place] = hidden[place, :length].clone()
                    advance(len(hidden))

    def read(self, rows: Rows, rng: np.random.Generator | None = None) -> Tensor:
        """float (n, d): vectors of items before any map; texts are augmented if `rng` is given."""
        if self._pooled is not None:
            return self._pooled[torch.from_numpy(rows.astype(np.int64))]
        if self.last is not None:
            lengths = [len(self._below[int(row)]) for row in rows]
            return self._white(self.world.spread(lambda places: self._top(rows[places]), lengths))
        texts = [self.catalogue.texts[row] for row in rows]
        if rng is not None:
            texts = [augment(text, self.config, rng) for text in texts]

        def read(places: npt.NDArray[np.int64]) -> Tensor:
            vectors: Tensor = self.backbone(self.backbone.tokenize([texts[place] for place in places]))
            return vectors

        return self._white(self.world.spread(read, [len(text) for text in texts]))

    def _top(self, rows: Rows) -> Tensor:
        """float (n, d): applies the last layers to the cached output of the lower layers."""
        assert self.last is not None
        hidden = nn.utils.rnn.pad_sequence([self._below[int(r)] for r in rows], batch_first=True)
        lengths = torch.tensor([len(self._below[int(r)]) for r in rows])
        mask = (torch.arange(hidden.shape[1]) < lengths[:, None]).long().to(hidden.device)
        pooled = self.backbone.pool(self.last(hidden, mask), mask)
        return nn.functional.normalize(pooled, dim=-1)

    def _white(self, vectors: Tensor) -> Tensor:
        if self.whitening is None:
            return vectors
        white: Tensor = self.whitening(vectors)
        return white

    def items(self, vectors: Tensor) -> Tensor:
        """(n, d) -> (n, d): maps vectors of target items, rows of unit length."""
        return nn.functional.normalize(self.item_map(vectors), dim=-1)

    def histories(self, vectors: Tensor) -> Tensor:
        """(n, d) -> (n, d): maps weighted means of items to queries, rows of unit length."""
        return nn.functional.normalize(self.history_map(vectors), dim=-1)

    def loss(self, batch: Examples, negatives: Rows, rng: np.random.Generator) -> Tensor:
        """The objective for one batch, a scalar. `negatives`: sampled item rows, empty for the in-batch
        softmax."""
        rows, places = np.unique(
            np.concatenate([batch.source.indices, batch.target, negatives]), return_inverse=True
        )
        vectors = self.read(rows.astype(np.int32), rng)  # (m, d)
        own = places[: len(batch.source.indices)]
        target = torch.from_numpy(places[len(own) : len(own) + len(batch)])
        drawn = torch.from_numpy(places[len(own) + len(batch) :])
        bags = sparse.csr_matrix((batch.source.data, own, batch.source.indptr), shape=(len(batch), len(rows)))
        left = self.histories(torch.from_numpy(bags.toarray()).to(vectors) @ vectors)  # (b, d)
        right = self.items(vectors[target])  # (b, d)
        config, catalogue = self.config, self.catalogue
        if config.objective == "mse":
            value = torch.from_numpy(batch.value).to(right)
            return objectives.squared_error(left, right, value, scale=self.scale, bias=self.bias)
        if config.objective == "softmax" and config.against == "batch":
            every = rows.astype(np.int32)
            log_q = torch.from_numpy(catalogue.log_q[every]).to(right) if config.log_q else None
            wrong = torch.from_numpy(catalogue.wrong(batch, every)).to(right.device)
            heat, own_row = config.temperature, target.to(right.device)
            return objectives.in_batch_softmax(
                left, self.items(vectors), temperature=heat, wrong=wrong, log_q=log_q, own=own_row
            )
        if config.objective == "softmax":
            log_q = torch.from_numpy(catalogue.log_q[batch.target]).to(right) if config.log_q else None
            wrong = torch.from_numpy(catalogue.wrong(batch, batch.target)).to(right.device)
            return objectives.in_batch_softmax(
                left, right, temperature=config.temperature, wrong=wrong, log_q=log_q
            )
        others = self.items(vectors[drawn])  # (m, d)
        wrong = torch.from_numpy(catalogue.wrong(batch, negatives)).to(right.device)
        if config.objective == "triplet":
            return objectives.triplet(left, right, others, margin=config.margin, wrong=wrong)
        heat = config.temperature
        if config.objective == "bce":
            return objectives.binary_cross_entropy(
                left, right, others, temperature=heat, bias=self.bias, wrong=wrong
            )
        return objectives.cross_entropy(left, right, others, temperature=heat, wrong=wrong)


@dataclass
class Catalogue:
    """The shop's data that batches need: texts, product variants, each user's items, and sales."""

    texts: list[str]
    group: npt.NDArray[np.int64]
    """int64 (n_items,): product of each item; items with equal titles (or equal texts) are variants of one
    product."""
    seen: sparse.csr_matrix
    """csr float32 (users, n_items)."""
    counts: npt.NDArray[np.int64]
    """int64 (n_items,): events per item."""

    @classmethod
    def of(cls, dataset: Dataset) -> Catalogue:
        """Uses the training events only."""
        texts = list(dataset.item_texts)
        titles = [(title or "").strip().lower() for title in dataset.items["title"]]
        names = [title or text for title, text in zip(titles, texts, strict=True)]
        group = np.unique(np.array(names, dtype=object).astype(str), return_inverse=True)[1]
        return cls(texts, group.astype(np.int64), dataset.matrix(), dataset.item_counts.astype(np.int64))

    @cached_property
    def log_q(self) -> Floats:
        """float32 (n_items,): log of each item's share of events, with add-one smoothing."""
        share = (self.counts + 1) / (self.counts + 1).sum()
        logs: Floats = np.log(share).astype(np.float32)
        return logs

    def wrong(self, batch: Examples, candidates: Rows) -> npt.NDArray[np.bool_]:
        """bool (b, m): True for candidates that are neither variants of the target nor among the owner's
        items."""
        same = self.group[batch.target][:, None] == self.group[candidates][None, :]
        has = self.seen[batch.owner][:, candidates].toarray() > 0
        negative: npt.NDArray[np.bool_] = ~(same | has)
        return negative

    def draw(self, n: int, rng: np.random.Generator) -> Rows:
        """int32 (n,): items sampled by popularity ** 0.75 (Mikolov et al., NeurIPS 2013)."""
        weight = self.counts**0.75
        rows: Rows = rng.choice(len(weight), n, p=weight / weight.sum()).astype(np.int32)
        return rows


class _White(nn.Module):
    """Whitening as a layer without trainable weights."""

    mean: Tensor
    matrix: Tensor

    def __init__(self, whitening: Whitening) -> None:
        super().__init__()
        self.register_buffer("mean", torch.from_numpy(whitening.mean_.copy()))
        self.register_buffer("matrix", torch.from_numpy(whitening.matrix_.copy()))

    def forward(self, vectors: Tensor) -> Tensor:
        """(n, d) -> (n, d), rows of unit length."""
        return nn.functional.normalize((vectors - self.mean) @ self.matrix, dim=-1)


def _identity(d: int) -> nn.Linear:
    """A square linear map, initialised as the identity."""
    layer = nn.Linear(d, d, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(d))
    return layer
