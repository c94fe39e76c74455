"""A language modelling head on a backbone: masked tokens for BERT-like models, next tokens for GPT-like
ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from crossaisle.errors import ConfigError
from crossaisle.training.text.backbone import Backbone, is_decoder

IGNORED = -100
"""Label of tokens that are not predicted, as in PyTorch's cross_entropy."""


@dataclass(frozen=True)
class Guesses:
    """A batch with its labels: `labels` int64 (n, width), `IGNORED` for tokens that are not predicted."""

    inputs: dict[str, Tensor]
    labels: Tensor


class LanguageModel(nn.Module):
    """A backbone with an output layer tied to its input embeddings (Press and Wolf, EACL 2017).

    Sentence encoders come without the head they were pretrained with: theirs starts as the identity and must
    be trained first. A decoder needs only the tied embeddings.
    """

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone, self.causal = backbone, is_decoder(backbone.model.config)
        table = backbone.model.get_input_embeddings().weight  # (vocabulary, d)
        self.bias = nn.Parameter(torch.zeros(table.shape[0]), requires_grad=not self.causal)
        self.dense: nn.Module = nn.Identity()
        if not self.causal:
            d = table.shape[1]
            layer = nn.Linear(d, d)
            with torch.no_grad():
                layer.weight.copy_(torch.eye(d))
                layer.bias.zero_()
            self.dense = nn.Sequential(layer, nn.LayerNorm(d))
        self.to(backbone.device)

    def loss(self, batch: Guesses) -> Tensor:
        """Mean cross-entropy of the predicted tokens, in nats; a scalar."""
        logits, labels = self._answers(batch)
        return nn.functional.cross_entropy(logits, labels)

    @torch.no_grad()
    def perplexity(self, batches: Sequence[Guesses]) -> float:
        """exp of the mean cross-entropy over all predicted tokens in the batches."""
        training = self.training
        self.eval()
        total, asked = 0.0, 0
        for batch in batches:
            logits, labels = self._answers(batch)
            total += float(nn.functional.cross_entropy(logits, labels, reduction="sum"))
            asked += len(labels)
        self.train(training)
        return float(np.exp(min(total / max(asked, 1), 50.0)))

    def _answers(self, batch: Guesses) -> tuple[Tensor, Tensor]:
        """(predicted, vocabulary) logits and (predicted,) labels."""
        hidden = self.backbone.model(**batch.inputs).last_hidden_state  # (n, width, d)
        labels = batch.labels
        if self.causal:
            hidden, labels = hidden[:, :-1], labels[:, 1:]
        asked = labels != IGNORED
        table = self.backbone.model.get_input_embeddings().weight
        logits = self.dense(hidden[asked]) @ table.T + self.bias
        return logits, labels[asked]


def batch_of(
    backbone: Backbone, ids: Sequence[Sequence[int]], mask: float, rng: np.random.Generator
) -> Guesses:
    """Makes a batch of token ids with labels.

    BERT-like: `mask` of the tokens are predicted; of those 80 % become [MASK], 10 % another token, and 10 %
    stay (Devlin et al., BERT, NAACL 2019). GPT-like: every token but the first is predicted. At least one
    token per text.
    """
    inputs = backbone.pad(ids)
    real = inputs["attention_mask"].bool()
    tokens = inputs["input_ids"]
    if is_decoder(backbone.model.config):
        return Guesses(inputs, tokens.masked_fill(~real, IGNORED))
    hidden = mask_token(backbone)
    special = torch.tensor(sorted(_special(backbone)), device=tokens.device)
    open_ = (real & ~torch.isin(tokens, special)).cpu().numpy()
    chosen = open_ & (rng.random(open_.shape) < mask)
    for row in np.flatnonzero(open_.any(axis=1) & ~chosen.any(axis=1)):
        chosen[row, rng.choice(np.flatnonzero(open_[row]))] = True
    how = rng.random(open_.shape)
    other = rng.integers(0, backbone.model.config.vocab_size, open_.shape)
    asked = torch.from_numpy(chosen).to(tokens.device)
    labels = tokens.masked_fill(~asked, IGNORED)
    changed = tokens.clone()
    changed[torch.from_numpy(chosen & (how < 0.8)).to(tokens.device)] = hidden
    swap = torch.from_numpy(chosen & (how >= 0.8) & (how < 0.9)).to(tokens.device)
    changed[swap] = torch.from_numpy(other).to(tokens.device)[swap]
    return Guesses({**inputs, "input_ids": changed}, labels)


def mask_token(backbone: Backbone) -> int:
    """The id of the mask token; raises `ConfigError` for an encoder without one."""
    for name in ("[MASK]", "<mask>"):
        found = backbone.tokenizer.token_to_id(name)
        if found is not None:
            return int(found)
    raise ConfigError("this encoder's tokenizer has no mask token: masked pre-training needs one")


def _special(backbone: Backbone) -> set[int]:
    """Ids of special tokens, which are never predicted."""
    names = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "<pad>", "<unk>", "<s>", "</s>", "<mask>")
    found = (backbone.tokenizer.token_to_id(name) for name in names)
    return {int(i) for i in found if i is not None}
