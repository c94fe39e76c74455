"""`[train]`: how a language model is fine-tuned on a shop's behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from crossaisle.errors import ConfigError

Moves = Literal["head", "lora", "last", "full"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """`[train]`"""

    backbone: str = "minilm-torch"
    """A name known for training, a folder with a checkpoint, or "owner/name" on the Hugging Face hub."""
    prefix: str | None = None
    """Stands before every text, such as "query: ". Unset: what the checkpoint says."""
    moves: Moves = "lora"
    """What is trained: a linear map on top, low-rank adapters, the last layers, everything."""
    form: Literal["two_tower", "item_item"] = "two_tower"
    """Examples: a history and the item after it, or a directed pair of items."""
    objective: Literal["softmax", "cross_entropy", "bce", "mse", "triplet"] = "softmax"
    """In-batch softmax; cross-entropy or binary cross-entropy against drawn negatives; squared error on
    the events' values; triplets."""
    other_category: bool = False
    """Only examples whose target is of another category than the last source item."""
    directed: bool = False
    """A linear map of its own for each side, so that A -> B differs from B -> A."""
    window: int = field(default=0, metadata={"low": 0})
    """Two towers: histories are cut into windows of this many events, and a batch takes whole windows,
    each text once for all examples it stands in: more examples for the time. 0: examples one by one."""
    against: Literal["targets", "batch"] = "targets"
    """What the in-batch softmax compares with: the other targets, or all items of the batch."""
    whiten: bool = False
    """Whitening, found before training, stands on top of the encoder from the first step on, as it does
    where a shop's models read it: no training is spent on finding it."""

    max_pairs: int = field(default=20_000, metadata={"low": 1})
    """Examples taken, a seeded sample."""
    history: int = field(default=5, metadata={"low": 1})
    """Newest items of a history that are read; older ones count exp(-age / 2)."""
    epochs: int = field(default=1, metadata={"low": 1})
    batch: int = field(default=64, metadata={"low": 2})
    """Examples per pass. The in-batch softmax compares with this many targets."""
    accumulate: int = field(default=1, metadata={"low": 1})
    """Passes per step of the optimiser."""
    max_tokens: int = field(default=32, metadata={"low": 4})
    """Longer texts are cut."""
    negatives: int = field(default=16, metadata={"low": 1})
    """Negatives per example where the batch is not used for that, drawn by popularity ** 0.75."""
    temperature: float = field(default=0.05, metadata={"low": 1e-3})
    """Cosines are divided by it."""
    margin: float = field(default=0.2, metadata={"low": 0.0})
    """Of triplets, in cosine."""
    log_q: bool = True
    """Correct the in-batch softmax for popular items being drawn more often (Yi et al., RecSys 2019)."""

    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float | None = field(default=None, metadata={"low": 0.0})
    """Unset: 1e-3 for a head, 5e-4 for LoRA, 5e-5 for layers and everything."""
    warm_up: float = field(default=0.1, metadata={"low": 0.0, "high": 1.0})
    """Share of the steps in which the learning rate rises."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    clip: float = field(default=1.0, metadata={"low": 0.0})
    """Largest norm of the gradient; 0 switches it off."""
    gradient_checkpointing: bool = False
    """Less memory for more time."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto: bfloat16 on a GPU or processor that multiplies it itself, else float32."""

    weight_decay: float = field(default=0.01, metadata={"low": 0.0})
    dropout: float | None = field(default=None, metadata={"low": 0.0, "high": 0.9})
    """Unset: what the checkpoint says."""
    patience: int = field(default=3, metadata={"low": 0})
    """Validations without a better NDCG before training stops; 0 never stops early."""
    validate_every: int = field(default=100, metadata={"low": 1})
    """Steps between two validations."""
    word_dropout: float = field(default=0.0, metadata={"low": 0.0, "high": 0.9})
    """Share of the words left out at each reading."""
    span_swap: float = field(default=0.0, metadata={"low": 0.0, "high": 1.0})
    """Share of the texts in which two neighbouring spans change places."""
    attribute_shuffle: float = field(default=0.0, metadata={"low": 0.0, "high": 1.0})
    """Share of the texts whose parts (title, brand, category ...) change order."""
    adversarial: Literal["none", "fgm", "pgd"] = "none"
    """Perturb the token vectors against the loss: one step (Miyato et al., ICLR 2017) or several
    (Madry et al., ICLR 2018)."""
    epsilon: float = field(default=0.5, metadata={"low": 0.0})
    """Norm of the perturbation of one text."""
    pgd_steps: int = field(default=3, metadata={"low": 1})

    lora_rank: int = field(default=16, metadata={"low": 1})
    lora_alpha: int = field(default=32, metadata={"low": 1})
    last_layers: int = field(default=2, metadata={"low": 1})
    """How many layers `moves = "last"` trains; the output of the others is computed once."""
    checkpoint_every: int = field(default=200, metadata={"low": 1})
    """Steps between two checkpoints: what a kill loses at most."""
    guard: bool = True
    """Keep the untrained model where the trained one is not provably better on validation."""
    seed: int = field(default=0, metadata={"low": 0})

    def __post_init__(self) -> None:
        augmented = self.word_dropout or self.span_swap or self.attribute_shuffle
        if self.moves in ("head", "last") and (augmented or self.adversarial != "none"):
            raise ConfigError(
                f"moves = {self.moves!r} computes the frozen layers once, so texts cannot change: "
                "use moves = 'lora' or 'full' with augmentation or adversarial training"
            )
        if self.objective == "mse" and self.form != "two_tower":
            raise ConfigError("objective = 'mse' needs form = 'two_tower': a value belongs to a user's event")

        if self.window and (self.form != "two_tower" or self.window < 2):
            raise ConfigError("window needs form = 'two_tower' and at least 2 events; 0 turns it off")
        if self.whiten and (self.moves == "head" or self.directed):
            raise ConfigError(
                "whiten = true cannot be combined with moves = 'head' or directed = true: they train "
                "above the whitening, it trains below"
            )

    @property
    def rate(self) -> float:
        """The learning rate at its highest."""
        usual = {"head": 1e-3, "lora": 5e-4, "last": 5e-5, "full": 5e-5}
        return usual[self.moves] if self.learning_rate is None else self.learning_rate


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """`[pretrain]`: a language model goes on reading, now the catalogue's own texts."""

    backbone: str = "minilm-torch"
    """A name known for training, a folder with a checkpoint, or "owner/name" on the Hugging Face hub."""
    max_texts: int = field(default=50_000, metadata={"low": 10})
    """Texts taken, a seeded sample."""
    held_out: float = field(default=0.05, metadata={"low": 0.001, "high": 0.5})
    """Share of the texts on which perplexity is measured; never trained on."""
    epochs: int = field(default=1, metadata={"low": 1})
    head_share: float = field(default=0.2, metadata={"low": 0.0, "high": 1.0})
    """Share of the steps in which only a fresh head moves, where the checkpoint has none."""
    batch: int = field(default=32, metadata={"low": 1})
    """Texts per step."""
    max_tokens: int = field(default=64, metadata={"low": 4})
    """Longer texts are cut."""
    mask: float = field(default=0.15, metadata={"low": 0.01, "high": 0.9})
    """Share of the tokens of a BERT-like model to be guessed."""
    learning_rate: float = field(default=5e-5, metadata={"low": 0.0})
    warm_up: float = field(default=0.1, metadata={"low": 0.0, "high": 1.0})
    """Share of the steps in which the learning rate rises."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    clip: float = field(default=1.0, metadata={"low": 0.0})
    """Largest norm of the gradient; 0 switches it off."""
    weight_decay: float = field(default=0.01, metadata={"low": 0.0})
    patience: int = field(default=3, metadata={"low": 0})
    """Measurements without a lower perplexity before reading stops; 0 never stops early."""
    validate_every: int = field(default=200, metadata={"low": 1})
    """Steps between two measurements."""
    checkpoint_every: int = field(default=200, metadata={"low": 1})
    """Steps between two checkpoints: what a kill loses at most."""
    seed: int = field(default=0, metadata={"low": 0})
