"""`Trainer`: fine-tunes a language model on a shop's behaviour; can be killed and resumed at any step."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Floats
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.vocabulary import Rows
from crossaisle.encoders.whiten import Whitening
from crossaisle.errors import ConfigError
from crossaisle.progress import Say, bar, silent
from crossaisle.train_config import PretrainConfig, TrainConfig
from crossaisle.training.memory import halving
from crossaisle.training.parallel import World, device_of
from crossaisle.training.text import checkpoint
from crossaisle.training.text.adversarial import Perturbation
from crossaisle.training.text.backbone import Backbone
from crossaisle.training.text.checkpoint import Progress
from crossaisle.training.text.layers import merged, prepare, with_projection
from crossaisle.training.text.pairs import Examples, examples
from crossaisle.training.text.towers import Catalogue, Towers
from crossaisle.training.text.validate import Held

_LOSS_EVERY = 10
_WHITENED = 4000


@dataclass(frozen=True)
class Trained:
    """The result: the towers with their best weights, and the course of the training."""

    towers: Towers
    progress: Progress
    notes: tuple[str, ...]

    @property
    def backbone(self) -> Backbone:
        """A plain text encoder: adapters merged into the weights, and the item map on top."""
        return with_projection(merged(self.towers.backbone), self.towers.item_map)

    @torch.no_grad()
    def mapped(self, vectors: Floats) -> Floats:
        """float32 (n, d): vectors after the item map, such as a trained head."""
        there = torch.from_numpy(vectors).to(self.towers.backbone.device)
        found: Floats = self.towers.item_map(there).float().cpu().numpy()
        return found

    @property
    def history_map(self) -> Floats | None:
        """float32 (d, d): the map of a directed model's query vectors; None for other models."""
        layer = self.towers.history_map
        if layer is self.towers.item_map or not isinstance(layer, nn.Linear):
            return None
        weight: Floats = layer.weight.detach().float().cpu().numpy()
        return weight


class Trainer:
    """Optimizes one objective on a shop's events.

    Each step derives its batch, dropout and augmentation from (seed, step number), so that a resumed training
    takes the same steps as an uninterrupted one.
    """

    def __init__(
        self,
        dataset: Dataset,
        config: TrainConfig,
        *,
        validation: EvalCases | None = None,
        backbone: Backbone | None = None,
        chosen: Examples | None = None,
        catalogue: Catalogue | None = None,
        whitening: Whitening | None = None,
        vectors: Floats | None = None,
        world: World = World(),
        device: str = "auto",
        say: Say = silent,
    ) -> None:
        """`dataset` contains only training events; `validation` decides when to stop.

        `chosen`: examples in place of those that `config` would draw. `catalogue`: in place of the data set's
        own; its counts determine how negatives are sampled. `whitening`: in place of one fitted on the texts.
        `vectors` float32 (n_items, d): input of a head in place of the backbone's vectors. `world`: the
        processes that train together; the batch is divided among them. `device`: see `device_of`.
        """
        self.config, self.say, self.notes, self.world = config, say, list[str](), world
        self.examples = examples(dataset, config) if chosen is None else chosen
        torch.manual_seed(config.seed)
        loaded = backbone or Backbone.load(
            config.backbone, prefix=config.prefix, max_tokens=config.max_tokens
        )
        loaded = loaded.to(device_of(device))
        texts = catalogue or Catalogue.of(dataset)
        if config.whiten and whitening is None:
            whitening = _whitening(loaded, texts.texts, config.seed)
        prepare(loaded, config)
        towers = Towers(loaded, config, texts, whitening=whitening, vectors=vectors, world=world)
        self.towers = towers.to(loaded.device)
        self.held = None
        if validation is not None:
            self.held = Held.of(validation, dataset.n_items, length=config.history, seed=config.seed)
        self.moving = {n: p for n, p in self.towers.named_parameters() if p.requires_grad}
        world.start_alike(value.data for value in self.moving.values())
        self.optimiser = _optimiser(self.moving, config)

    @property
    def steps(self) -> int:
        """Total number of optimizer steps."""
        per_epoch = len(self.examples) // (self.config.batch * self.config.accumulate)
        return max(per_epoch, 1) * self.config.epochs

    def run(self, folder: Path | None = None, *, resume: bool = False, progress: bool = False) -> Trained:
        """Trains to the end; with `folder`, saves checkpoints there, and resumes from the last one if
        `resume`.

        If the loss becomes non-finite, training stops with the last good weights; if memory runs out, the
        batch is halved. Both are reported. Among several processes, the first one writes; a resumed training
        may have a different number of processes. Raises `ConfigError` if a process cannot see the checkpoint
        of the first.
        """
        settings = asdict(self.config) | {"examples": len(self.examples)}
        state, best = Progress(), self._copy()
        if folder is not None and resume:
            found = checkpoint.restore(folder, settings, self.towers, self.optimiser)
            if found is not None:
                state, best = found
                self.say(f"going on from step {state.step} of {self.steps}")
            self._check_together(state, folder)
        self.towers.warm(progress=progress)
        if not state.validations:
            state.best = self._validate(state)
        with bar("training", self.steps, show=progress) as advance:
            advance(state.step)
            while state.step < self.steps and not self._out_of_patience(state):
                loss = self._step(state)
                if not math.isfinite(loss):
                    self._note(
                        f"step {state.step + 1}: the loss is no number; the weights of step "
                        f"{state.best_step} are kept (try a lower train.learning_rate)"
                    )
                    break
                state.step += 1
                if state.step % _LOSS_EVERY == 0 or state.step == self.steps:
                    state.losses.append((state.step, loss))
                if state.step % self.config.validate_every == 0 or state.step == self.steps:
                    best = self._compare(state, best)
                if folder is not None and self._writes(state):
                    checkpoint.save(folder, settings, state, self.moving, best, self.optimiser)
                advance(1)
        with torch.no_grad():
            for name, value in best.items():
                self.moving[name].copy_(value)
        self.towers.eval()
        return Trained(self.towers, state, tuple(self.notes))

    def _writes(self, state: Progress) -> bool:
        return self.world.first and state.step % self.config.checkpoint_every == 0

    def _check_together(self, state: Progress, folder: Path) -> None:
        """Checks that all processes see the same checkpoint folder, as otherwise they would resume at
        different steps."""
        apart = abs(state.step - self.world.agreed(state.step, self.towers.backbone.device))
        if self.world.agreed(math.nan if apart else 0.0, self.towers.backbone.device) != 0.0:
            raise ConfigError(
                f"{folder}: not all processes find the same checkpoint here: "
                "put --out into a folder that all machines share"
            )

    # One step

    def _step(self, state: Progress) -> float:
        """One optimizer step; returns its mean loss, or NaN if that or the gradient is not finite."""
        if not self.world.alone:  # halving a step would leave other processes waiting
            return self._attempt(state)
        return halving(lambda: self._attempt(state), state, self.config.batch, self._note)

    def _attempt(self, state: Progress) -> float:
        config, parts = self.config, 1 << state.halvings
        # Processes use different dropout masks, as each encodes other texts of the batch.
        torch.manual_seed(config.seed * 1_000_003 + state.step + 500_009 * self.world.rank)
        rng = np.random.default_rng([config.seed, 2, state.step])
        for group in self.optimiser.param_groups:
            group["lr"] = config.rate * schedule(state.step, self.steps, config)
        self.towers.train()
        self.optimiser.zero_grad(set_to_none=True)
        total, passes = 0.0, config.accumulate * parts
        rows = self._rows(state.step)
        for own in np.array_split(rows, passes):
            total += self._pass(self.examples.take(own), rng, 1.0 / passes)
        total = self.world.agreed(total, self.towers.backbone.device)
        if not math.isfinite(total):
            return math.nan
        self.world.average(self.moving.values())
        largest = config.clip or math.inf
        length = torch.nn.utils.clip_grad_norm_(list(self.moving.values()), largest)
        if not torch.isfinite(length):
            return math.nan
        self.optimiser.step()
        return total

    def _pass(self, batch: Examples, rng: np.random.Generator, share: float) -> float:
        """Forward and backward pass of one batch; gradients accumulate."""
        config = self.config
        negatives: Rows = np.empty(0, np.int32)
        if config.objective not in ("softmax", "mse"):
            negatives = self.towers.catalogue.draw(config.negatives * len(batch), rng)
        seed = int(rng.integers(2**31))

        def loss() -> Tensor:
            own = np.random.default_rng(seed)  # all passes over an attacked batch see the same texts
            with torch.autocast(self.towers.backbone.device.type, torch.bfloat16, enabled=self._half):
                value: Tensor = self.towers.loss(batch, negatives, own) * share
            return value

        if config.adversarial == "none":
            value = loss()
            value.backward()  # type: ignore[no-untyped-call]
            return float(value.detach())
        attack = Perturbation(self.towers.backbone.model.get_input_embeddings())
        try:
            steps = 1 if config.adversarial == "fgm" else config.pgd_steps
            return float(attack.backward(loss, epsilon=config.epsilon, steps=steps))
        finally:
            attack.close()

    @property
    def _half(self) -> bool:
        if self.config.precision != "auto":
            return self.config.precision == "bfloat16"
        if self.towers.backbone.device.type == "cuda":
            return bool(torch.cuda.is_bf16_supported())
        return fast_bfloat16()

    def _rows(self, step: int) -> np.ndarray:
        """The examples of one step, in a new order in each epoch."""
        size = self.config.batch * self.config.accumulate
        per_epoch = max(len(self.examples) // size, 1)
        epoch, place = divmod(step, per_epoch)
        order = self.examples.order(np.random.default_rng([self.config.seed, 3, epoch]))
        return order[place * size : (place + 1) * size]

    # Validation

    def _validate(self, state: Progress) -> float:
        if self.held is None:
            return float("-inf")
        value = self.world.agreed(self.held.ndcg(self.towers), self.towers.backbone.device)
        state.validations.append((state.step, value))
        return value

    def _compare(self, state: Progress, best: dict[str, Tensor]) -> dict[str, Tensor]:
        """The weights to keep: the new ones if there is no validation, or if they rank better."""
        value = self._validate(state)
        if self.held is not None:
            self.say(f"step {state.step} of {self.steps}: validation NDCG@10 {value:.4f}")
        if self.held is None or value > state.best:
            state.best, state.best_step, state.stale = value, state.step, 0
            return self._copy()
        state.stale += 1
        return best

    def _out_of_patience(self, state: Progress) -> bool:
        return 0 < self.config.patience <= state.stale

    def _copy(self) -> dict[str, Tensor]:
        return {name: value.detach().clone() for name, value in self.moving.items()}

    def _note(self, sentence: str) -> None:
        self.notes.append(sentence)
        self.say(sentence)


def _whitening(backbone: Backbone, texts: list[str], seed: int) -> Whitening:
    """Fitted on a seeded sample of the texts, before training."""
    distinct = list(dict.fromkeys(texts))
    rows = np.random.default_rng([seed, 6]).permutation(len(distinct))[:_WHITENED]
    return Whitening.fit(backbone.encode([distinct[i] for i in rows]))


def schedule(step: int, steps: int, config: TrainConfig | PretrainConfig) -> float:
    """Factor of the learning rate at a step: linear warm-up, then the configured decay."""
    rise = round(config.warm_up * steps)
    if step < rise:
        return (step + 1) / rise
    along = (step - rise) / max(steps - rise, 1)
    if config.schedule == "cosine":
        return 0.5 * (1.0 + math.cos(math.pi * along))
    return 1.0 - along if config.schedule == "linear" else 1.0


def _optimiser(moving: dict[str, torch.nn.Parameter], config: TrainConfig) -> torch.optim.Optimizer:
    # no weight decay for vectors (biases, norms): it would only distort their scale
    groups = [
        {"params": [p for p in moving.values() if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in moving.values() if p.ndim <= 1], "weight_decay": 0.0},
    ]
    groups = [group for group in groups if group["params"]]
    if config.optimiser == "sgd":
        return torch.optim.SGD(groups, lr=config.rate, momentum=0.9)
    kind = torch.optim.AdamW if config.optimiser == "adamw" else torch.optim.Adam
    return kind(groups, lr=config.rate)


def fast_bfloat16() -> bool:
    """Whether this processor multiplies bfloat16 natively, nearly twice as fast as float32."""
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - torch offers no other
