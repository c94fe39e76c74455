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
    """Put before every text, such as "query: ". Unset: as the checkpoint says."""
    moves: Moves = "lora"
    """What is trained: a linear map on top, low-rank adapters (LoRA), the last layers, or everything."""
    form: Literal["two_tower", "item_item"] = "two_tower"
    """Training examples: a history and the next item, or an ordered pair of items."""
    objective: Literal["softmax", "cross_entropy", "bce", "mse", "triplet"] = "softmax"
    """In-batch softmax; cross-entropy or binary cross-entropy with sampled negatives; squared error on the
    events' values; triplet loss."""
    other_category: bool = False
    """Use only examples whose target is in another category than the last source item."""
    directed: bool = False
    """A separate linear map for each side, so that A -> B differs from B -> A."""
    window: int = field(default=0, metadata={"low": 0})
    """Two towers only: histories are cut into windows of this many events, a batch consists of whole windows,
    and each text is encoded once for all examples it occurs in: more examples per second. 0: no windows."""
    against: Literal["targets", "batch"] = "targets"
    """Candidates of the in-batch softmax: the other targets, or all items of the batch."""
    whiten: bool = False
    """Apply whitening, fitted before training, on top of the encoder from the first step on, as the shop's
    models do anyway: no steps are spent on learning it."""

    max_pairs: int = field(default=20_000, metadata={"low": 1})
    """Maximum number of examples, a seeded sample."""
    history: int = field(default=5, metadata={"low": 1})
    """Number of newest items of a history that are read; an item's weight is exp(-age / 2)."""
    epochs: int = field(default=1, metadata={"low": 1})
    batch: int = field(default=64, metadata={"low": 2})
    """Examples per forward pass. The in-batch softmax compares with this many targets."""
    accumulate: int = field(default=1, metadata={"low": 1})
    """Forward passes per optimizer step (gradient accumulation)."""
    max_tokens: int = field(default=32, metadata={"low": 4})
    """Longer texts are truncated."""
    negatives: int = field(default=16, metadata={"low": 1})
    """Negatives per example of objectives that sample them, drawn by popularity ** 0.75."""
    temperature: float = field(default=0.05, metadata={"low": 1e-3})
    """Cosines are divided by the temperature."""
    margin: float = field(default=0.2, metadata={"low": 0.0})
    """Margin of the triplet loss, in cosine."""
    log_q: bool = True
    """Correct the in-batch softmax for sampling bias: popular items are drawn more often (Yi et al., RecSys
    2019)."""

    optimiser: Literal["adamw", "adam", "sgd"] = "adamw"
    learning_rate: float | None = field(default=None, metadata={"low": 0.0})
    """Unset: 1e-3 for a head, 5e-4 for LoRA, 5e-5 for the last layers or everything."""
    warm_up: float = field(default=0.1, metadata={"low": 0.0, "high": 1.0})
    """Share of the steps during which the learning rate rises."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    clip: float = field(default=1.0, metadata={"low": 0.0})
    """Maximum gradient norm; 0 disables clipping."""
    gradient_checkpointing: bool = False
    """Saves memory at the price of time."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """auto: bfloat16 if the GPU or processor multiplies it natively, else float32."""

    weight_decay: float = field(default=0.01, metadata={"low": 0.0})
    dropout: float | None = field(default=None, metadata={"low": 0.0, "high": 0.9})
    """Unset: as the checkpoint says."""
    patience: int = field(default=3, metadata={"low": 0})
    """Validations without a better NDCG before training stops; 0 never stops early."""
    validate_every: int = field(default=100, metadata={"low": 1})
    """Optimizer steps between validations."""
    word_dropout: float = field(default=0.0, metadata={"low": 0.0, "high": 0.9})
    """Share of words dropped each time a text is read."""
    span_swap: float = field(default=0.0, metadata={"low": 0.0, "high": 1.0})
    """Share of texts in which two neighbouring spans are swapped."""
    attribute_shuffle: float = field(default=0.0, metadata={"low": 0.0, "high": 1.0})
    """Share of texts whose parts (title, brand, category ...) are shuffled."""
    adversarial: Literal["none", "fgm", "pgd"] = "none"
    """Perturb the token vectors against the loss: one step (Miyato et al., ICLR 2017) or several
    (Madry et al., ICLR 2018)."""
    epsilon: float = field(default=0.5, metadata={"low": 0.0})
    """Norm of the perturbation per text."""
    pgd_steps: int = field(default=3, metadata={"low": 1})

    lora_rank: int = field(default=16, metadata={"low": 1})
    lora_alpha: int = field(default=32, metadata={"low": 1})
    last_layers: int = field(default=2, metadata={"low": 1})
    """Number of layers that `moves = "last"` trains; the output of the others is computed once."""
    checkpoint_every: int = field(default=200, metadata={"low": 1})
    """Steps between checkpoints: the most that a killed run loses."""
    guard: bool = True
    """Keep the untrained model unless the trained one is significantly better on validation."""
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
        """Peak learning rate."""
        usual = {"head": 1e-3, "lora": 5e-4, "last": 5e-5, "full": 5e-5}
        return usual[self.moves] if self.learning_rate is None else self.learning_rate


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """`[pretrain]`: continued pretraining of a language model on the catalogue's texts."""

    backbone: str = "minilm-torch"
    """A name known for training, a folder with a checkpoint, or "owner/name" on the Hugging Face hub."""
    max_texts: int = field(default=50_000, metadata={"low": 10})
    """Maximum number of texts, a seeded sample."""
    held_out: float = field(default=0.05, metadata={"low": 0.001, "high": 0.5})
    """Share of texts held out to measure perplexity; never trained on."""
    epochs: int = field(default=1, metadata={"low": 1})
    head_share: float = field(default=0.2, metadata={"low": 0.0, "high": 1.0})
    """Share of the steps that train only a new head, if the checkpoint has none."""
    batch: int = field(default=32, metadata={"low": 1})
    """Texts per step."""
    max_tokens: int = field(default=64, metadata={"low": 4})
    """Longer texts are truncated."""
    mask: float = field(default=0.15, metadata={"low": 0.01, "high": 0.9})
    """Share of tokens that a BERT-like model has to predict."""
    learning_rate: float = field(default=5e-5, metadata={"low": 0.0})
    warm_up: float = field(default=0.1, metadata={"low": 0.0, "high": 1.0})
    """Share of the steps during which the learning rate rises."""
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    clip: float = field(default=1.0, metadata={"low": 0.0})
    """Maximum gradient norm; 0 disables clipping."""
    weight_decay: float = field(default=0.01, metadata={"low": 0.0})
    patience: int = field(default=3, metadata={"low": 0})
    """Validations without a lower perplexity before training stops; 0 never stops early."""
    validate_every: int = field(default=200, metadata={"low": 1})
    """Steps between validations."""
    checkpoint_every: int = field(default=200, metadata={"low": 1})
    """Steps between checkpoints: the most that a killed run loses."""
    seed: int = field(default=0, metadata={"low": 0})
