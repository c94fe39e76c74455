"""The networks of `ComplementSoftmax`: their layer, and learning them step by step on plain numpy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.special import ndtr

from crossaisle.data.history import Floats

_LEAST = np.float32(1e-6)
"""Added to a variance, which is 0 for a history that says nothing."""
SPLITS = 0.1, 0.6
"""Shares of a basket that are given where it is split at random: drawn evenly in between."""
_LEARNED = ("source", "target", "bias", "inner", "outer")


class Layer:
    """A residual hidden layer: normalised (Ba et al. 2016), GELU (Hendrycks and Gimpel 2016)."""

    def __init__(self, summed: Floats, inner: Floats) -> None:
        """`summed` float32 (n, d), `inner` (d + 1, hidden)."""
        self.summed = summed
        around = centred(summed)
        self.deviation = np.sqrt((around**2).mean(axis=1, keepdims=True) + _LEAST)  # (n, 1)
        self.normal = around / self.deviation
        self.before = self.normal @ inner[:-1] + inner[-1]  # (n, hidden)
        self.gate: Floats = ndtr(self.before)
        """float32 (n, hidden): with gates and deviation held, the layer is linear in `summed`."""
        self.after = self.before * self.gate

    def meaning(self, outer: Floats, keep: Floats | float = 1.0) -> Floats:
        """float32 (n, d): what came in, and what the layer adds."""
        out: Floats = self.summed + (self.after * keep) @ outer[:-1] + outer[-1]
        return out

    @property
    def slope(self) -> Floats:
        """float32 (n, hidden): derivative of GELU."""
        density = np.exp(-0.5 * self.before**2) / np.float32(np.sqrt(2.0 * np.pi))
        slope: Floats = self.gate + self.before * density
        return slope

    def back(self, gradient: Floats) -> Floats:
        """From d loss / d normal to d loss / d summed, both (n, d)."""
        along = (gradient * self.normal).mean(axis=1, keepdims=True)
        of_summed: Floats = (centred(gradient) - self.normal * along) / self.deviation
        return of_summed


def centred(rows: Floats) -> Floats:
    """float32 (n, d): rows less their means."""
    out: Floats = rows - rows.mean(axis=-1, keepdims=True)
    return out


class Learned(NamedTuple):
    """What one network has learned of features: of the scored items, then of leaf categories and words."""

    scored: npt.NDArray[np.integer]
    source: Floats
    target: Floats
    bias: Floats
    inner: Floats
    outer: Floats


class Learning:
    """What is learned, and one step of learning it."""

    def __init__(
        self,
        *,
        features: sparse.csr_matrix,
        scored: npt.NDArray[np.integer],
        codes: npt.NDArray[np.int32],
        bias: Floats,
        dimensions: int,
        dropout: float,
        hidden: int,
        hidden_dropout: float,
        rng: np.random.Generator,
        negatives: int | None = None,
        chances: Floats | None = None,
        at_random: float = 0.0,
    ) -> None:
        """`features` csr (n_items, n_features); `scored` rows of items; `codes` (n_items,) of categories.

        `at_random`: share of the baskets that are split at random instead of by a category.

        `negatives`: drawn at each step to compete with what the batch buys, where there are more scored items
        than that; None: all compete. `chances` float32 (n_scored,): how likely a batch buys the item.
        """
        size = (features.shape[1], dimensions)
        self.source = rng.normal(0.0, 0.02, size).astype(np.float32)
        self.target = rng.normal(0.0, 0.02, size).astype(np.float32)
        self.bias = bias
        self.inner = np.zeros((dimensions + 1, hidden), np.float32)
        self.inner[:-1] = rng.normal(0.0, dimensions**-0.5, (dimensions, hidden))
        self.outer = np.zeros((hidden + 1, dimensions), np.float32)
        self.codes, self.dropout, self.hidden_dropout, self.rng = codes, dropout, hidden_dropout, rng
        self._features, self._of_scored = features, features[scored]
        self._place = np.full(features.shape[0], -1, np.int64)
        self._place[scored] = np.arange(len(scored))
        self._code = codes[scored]
        self._negatives = None if negatives is None or negatives >= len(scored) else negatives
        self._at_random = at_random
        self._mean: dict[str, Floats] = {}
        self._log_chance = np.zeros(len(scored), np.float32)
        if self._negatives is not None and chances is not None:
            missed = (1.0 - chances) * (1.0 - self._negatives / len(scored))
            self._log_chance = np.log1p(-missed).astype(np.float32)
        self._rules = [Adam(getattr(self, name)) for name in _LEARNED]

    def learned(self, scored: npt.NDArray[np.integer]) -> Learned:
        return Learned(scored, self.source, self.target, self.bias, self.inner, self.outer)

    def take_over(self, earlier: Learned, scored: npt.NDArray[np.integer]) -> bool:
        """Starts from what was learned of the same catalogue; False, and nothing, where shapes differ.

        Items that were not scored then keep their random start.
        """
        _, mine, theirs = np.intersect1d(scored, earlier.scored, return_indices=True)
        shared = len(self.source) - len(scored)
        if shared != len(earlier.source) - len(earlier.scored) or self.inner.shape != earlier.inner.shape:
            return False
        for own, known in ((self.source, earlier.source), (self.target, earlier.target)):
            own[mine] = known[theirs]
            own[len(scored) :] = known[len(earlier.scored) :]
        self.bias[mine] = earlier.bias[theirs]
        self.inner[:], self.outer[:] = earlier.inner, earlier.outer
        return True

    def follow(self, share: float) -> None:
        """Moves a running mean of what is learned by a share of the way to where it stands.

        Weights averaged over the last steps generalise better than the last ones (Polyak and Juditsky 1992).
        """
        if not self._mean:
            self._mean = {name: getattr(self, name).copy() for name in _LEARNED}
        for name, mean in self._mean.items():
            mean += np.float32(share) * (getattr(self, name) - mean)

    def settle(self) -> None:
        """Puts the running mean in the place of what was learned last."""
        for name, mean in self._mean.items():
            getattr(self, name)[:] = mean
        self._mean = {}

    def step(self, baskets: sparse.csr_matrix, rate: float) -> None:
        """Adam on a batch of baskets, csr (n, n_items)."""
        n, lengths = baskets.shape[0], np.diff(baskets.indptr)
        owner, item = np.repeat(np.arange(n), lengths), baskets.indices
        asked = self.codes[item[baskets.indptr[:-1] + (self.rng.random(n) * lengths).astype(np.int64)]]
        given = self.codes[item] == asked[owner]
        if self._at_random:
            mixed = self.rng.random(n) < self._at_random
            at_random = self.rng.random(len(item)) < self.rng.uniform(*SPLITS, n)[owner]
            given, asked = np.where(mixed[owner], at_random, given), np.where(mixed, -1, asked)
        spread = (shared_out(owner[given], item[given], baskets.shape) @ self._features).tocsr()
        keep = self._kept((n, self.source.shape[1]), self.dropout)
        keep_hidden = self._kept((n, self.inner.shape[1]), self.hidden_dropout)
        summed = (spread @ self.source) * keep  # (n, d)
        layer = Layer(summed, self.inner)
        meant = layer.meaning(self.outer, keep_hidden)  # (n, d)
        bought = ~given & (self._place[item] >= 0)
        among, place = self._competing(self._place[item[bought]])
        features = self._of_scored[among]
        target = features @ self.target  # (m, d)
        logits = meant @ target.T + (self.bias[among] - self._log_chance[among])
        logits[(asked[:, None] == self._code[among]) & (asked[:, None] >= 0)] = -np.inf
        # Where all that compete are of the category that is asked for, nothing is predicted.
        logits -= np.maximum(logits.max(axis=1, keepdims=True), np.finfo(np.float32).min)
        chance = np.exp(logits, out=logits)
        wanted = np.bincount(owner[bought], minlength=n).astype(np.float32)
        total = np.float32(max(wanted.sum(), 1.0))
        chance *= (wanted / np.maximum(chance.sum(axis=1), 1.0) / total)[:, None]
        # d loss / d logits: what was predicted less what was bought, per bought item.
        np.subtract.at(chance, (owner[bought], place), 1.0 / total)
        back = chance @ target  # (n, d)
        back_hidden = (back @ self.outer[:-1].T) * keep_hidden * layer.slope
        back_summed = (back + layer.back(back_hidden @ self.inner[:-1].T)) * keep
        of_source, of_target, of_bias, of_inner, of_outer = self._rules
        asking = np.unique(spread.indices)
        answering = among if isinstance(among, slice) else np.unique(features.indices)
        of_target.update(features[:, answering].T @ (chance.T @ meant), rate, answering)
        of_bias.update(chance.sum(axis=0), rate, among)
        of_inner.update(np.vstack([layer.normal.T @ back_hidden, back_hidden.sum(axis=0)]), rate)
        of_outer.update(np.vstack([(layer.after * keep_hidden).T @ back, back.sum(axis=0)]), rate)
        of_source.update(spread[:, asking].T @ back_summed, rate, asking)

    def _competing(
        self, bought: npt.NDArray[np.int64]
    ) -> tuple[npt.NDArray[np.int64] | slice, npt.NDArray[np.int64]]:
        """int64 (m,): the scored items that a step compares, ascending, and where among them are the bought.

        Sampled softmax (Bengio and Senecal 2008): what the batch itself buys, and others drawn evenly. Each
        counts by the inverse of its chance to be among them.
        """
        if self._negatives is None:
            return slice(None), bought
        drawn = self.rng.choice(len(self._code), self._negatives, replace=False)
        among = np.unique(np.concatenate([bought, drawn]))
        return among, np.searchsorted(among, bought)

    def _kept(self, shape: tuple[int, int], dropout: float) -> Floats:
        """1 / (1 - dropout) for what is kept, else 0."""
        return ((self.rng.random(shape) >= dropout) / np.float32(1.0 - dropout)).astype(np.float32)


class Adam:
    """Kingma and Ba, Adam (ICLR 2015), in place; rows without a gradient may be left out."""

    def __init__(self, parameter: Floats) -> None:
        self.parameter, self.steps = parameter, 0
        self.mean, self.square = np.zeros_like(parameter), np.zeros_like(parameter)

    def update(
        self, gradient: Floats, rate: float, rows: npt.NDArray[np.integer] | slice = slice(None)
    ) -> None:
        self.steps += 1
        mean = 0.9 * self.mean[rows] + 0.1 * gradient
        square = 0.999 * self.square[rows] + 0.001 * gradient * gradient
        self.mean[rows], self.square[rows] = mean, square
        scale = np.float32(rate * np.sqrt(1.0 - 0.999**self.steps) / (1.0 - 0.9**self.steps))
        self.parameter[rows] -= scale * mean / (np.sqrt(square) + np.float32(1e-8))


def shared_out(
    owner: npt.NDArray[np.integer], column: npt.NDArray[np.integer], shape: tuple[int, int]
) -> sparse.csr_matrix:
    """csr float32: 1 / sqrt(entries of the row) for each entry; repeats count once."""
    out = sparse.csr_matrix((np.ones(len(owner), np.float32), (owner, column)), shape=shape)
    lengths = np.diff(out.indptr)
    out.data = np.repeat(1.0 / np.sqrt(np.maximum(lengths, 1)), lengths).astype(np.float32)
    return out
