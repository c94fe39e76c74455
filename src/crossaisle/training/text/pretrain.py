"""`pretrain`: continued pretraining of a language model on the catalogue's texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from crossaisle.errors import DataError
from crossaisle.progress import Say, bar, silent
from crossaisle.train_config import PretrainConfig
from crossaisle.training.memory import halving
from crossaisle.training.text import checkpoint
from crossaisle.training.text.backbone import Backbone
from crossaisle.training.text.checkpoint import Progress
from crossaisle.training.text.language_head import Guesses, LanguageModel, batch_of
from crossaisle.training.text.trainer import schedule

_LOSS_EVERY = 10
_FEWEST = 10


@dataclass(frozen=True)
class Pretrained:
    """The result. Perplexities are measured on held-out texts.

    `before`: of the original model; for an encoder, that is with an untrained head. `head`: after training
    only the head (None for decoders), which is the one to compare with `after`.
    """

    backbone: Backbone
    progress: Progress
    before: float
    head: float | None
    after: float
    texts: int
    notes: tuple[str, ...]


class Pretraining:
    """Masked (Devlin et al. 2019) or causal language modelling; domain-adaptive pretraining after Gururangan
    et al., Don't Stop Pretraining (ACL 2020). Each step seeds itself, as in `Trainer`."""

    def __init__(
        self,
        texts: Sequence[str],
        config: PretrainConfig,
        *,
        backbone: Backbone | None = None,
        say: Say = silent,
    ) -> None:
        """Raises `DataError` for fewer than ten distinct texts."""
        self.config, self.say = config, say
        unique = list(dict.fromkeys(text for text in texts if text.strip()))
        if len(unique) < _FEWEST:
            raise DataError(f"{len(unique)} different texts; pre-training needs at least {_FEWEST}")
        torch.manual_seed(config.seed)
        self.backbone = backbone or Backbone.load(config.backbone, max_tokens=config.max_tokens)
        if torch.cuda.is_available():
            self.backbone = self.backbone.to("cuda")
        rng = np.random.default_rng([config.seed, 6])
        chosen = [unique[i] for i in rng.permutation(len(unique))[: config.max_texts]]
        limit = self.backbone.max_tokens * 64
        ids = [e.ids for e in self.backbone.tokenizer.encode_batch([text[:limit] for text in chosen])]
        ids = [row for row in ids if len(row) > 1]
        kept = max(round(config.held_out * len(ids)), 1)
        self.held, self.read = self._batches(ids[:kept], rng), ids[kept:]
        self.model = LanguageModel(self.backbone)
        self.moving = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        self.optimiser = torch.optim.AdamW(
            list(self.moving.values()), lr=config.learning_rate, weight_decay=config.weight_decay
        )

    @property
    def per_epoch(self) -> int:
        """Steps per epoch."""
        return max(len(self.read) // self.config.batch, 1)

    @property
    def steps(self) -> int:
        """Total number of steps."""
        return self.per_epoch * self.config.epochs

    @property
    def head_steps(self) -> int:
        """Number of steps at the start that train only a new head."""
        return 0 if self.model.causal else round(self.config.head_share * self.steps)

    def run(self, folder: Path | None = None, *, resume: bool = False, progress: bool = False) -> Pretrained:
        """Trains to the end, and keeps the weights with the lowest held-out perplexity.

        With `folder`, saves checkpoints there, and resumes from the last one if `resume`. If the loss becomes
        non-finite, training stops with the last good weights; if memory runs out, the batch is halved.
        """
        config, notes = self.config, list[str]()

        def note(sentence: str) -> None:
            notes.append(sentence)
            self.say(sentence)

        settings = asdict(config) | {"texts": len(self.read)}
        state, best = self._start(folder if resume else None, settings)
        with bar("reading the catalogue", self.steps, show=progress) as advance:
            advance(state.step)
            while state.step < self.steps and not 0 < config.patience <= state.stale:
                loss = halving(lambda: self._step(state), state, config.batch, note)
                if not math.isfinite(loss):
                    note(
                        f"step {state.step + 1}: the loss is no number; the weights of step "
                        f"{state.best_step} are kept (try a lower pretrain.learning_rate)"
                    )
                    break
                state.step += 1
                if state.step % _LOSS_EVERY == 0 or state.step == self.steps:
                    state.losses.append((state.step, loss))
                ends = state.step in (self.head_steps, self.steps)
                if ends or state.step % config.validate_every == 0:
                    best = self._measure(state, best)
                if folder is not None and state.step % config.checkpoint_every == 0:
                    checkpoint.save(folder, settings, state, self.moving, best, self.optimiser)
                advance(1)
        with torch.no_grad():
            for name, value in best.items():
                self.moving[name].copy_(value)
        self.backbone.eval()
        measured = dict(state.validations)
        return Pretrained(
            self.backbone,
            state,
            before=measured[0],
            head=measured.get(self.head_steps) if self.head_steps else None,
            after=-state.best,
            texts=len(self.read),
            notes=tuple(notes),
        )

    def _start(self, folder: Path | None, settings: dict[str, Any]) -> tuple[Progress, dict[str, Tensor]]:
        """The progress and the best weights to start with: those of the checkpoint in `folder`, if there is
        one."""
        state, best = Progress(), self._copy()
        found = folder and checkpoint.restore(folder, settings, self.model, self.optimiser)
        if found:
            state, best = found
            self.say(f"going on from step {state.step} of {self.steps}")
        if not state.validations:
            best = self._measure(state, best)
        return state, best

    def _step(self, state: Progress) -> float:
        config, step = self.config, state.step
        torch.manual_seed(config.seed * 1_000_003 + step)
        rng = np.random.default_rng([config.seed, 7, step])
        epoch, place = divmod(step, self.per_epoch)
        order = np.random.default_rng([config.seed, 8, epoch]).permutation(len(self.read))
        rows = order[place * config.batch : (place + 1) * config.batch]
        only_head = step < self.head_steps
        rate = config.learning_rate * schedule(step, self.steps, config)
        # A new head needs a high learning rate, which would damage the other weights.
        self.optimiser.param_groups[0]["lr"] = 1e-3 if only_head else rate
        self.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        total, parts = 0.0, min(1 << state.halvings, len(rows))
        for own in np.array_split(rows, parts):
            texts = [self.read[i] for i in own]
            loss = self.model.loss(batch_of(self.backbone, texts, config.mask, rng)) / parts
            if not torch.isfinite(loss):
                return math.nan
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        if only_head:
            for name, value in self.moving.items():
                if name.startswith("backbone."):
                    value.grad = None
        length = torch.nn.utils.clip_grad_norm_(list(self.moving.values()), config.clip or math.inf)
        if not torch.isfinite(length):
            return math.nan
        self.optimiser.step()
        return total

    def _measure(self, state: Progress, best: dict[str, Tensor]) -> dict[str, Tensor]:
        """Measures held-out perplexity; returns the weights to keep. `Progress.best` is its negative, so
        higher is better."""
        value = self.model.perplexity(self.held)
        state.validations.append((state.step, value))
        self.say(f"step {state.step} of {self.steps}: held-out perplexity {value:.2f}")
        if -value > state.best:
            state.best, state.best_step, state.stale = -value, state.step, 0
            return self._copy()
        state.stale += 1
        return best

    def _copy(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.moving.items()}

    def _batches(self, ids: Sequence[Sequence[int]], rng: np.random.Generator) -> list[Guesses]:
        """The held-out texts, with fixed masks."""
        size, mask = self.config.batch, self.config.mask
        return [batch_of(self.backbone, ids[i : i + size], mask, rng) for i in range(0, len(ids), size)]
