"""`Backbone`: a pretrained language model, BERT-like or GPT-like, as a trainable text encoder."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from crossaisle.artifact import sha256
from crossaisle.config import HUB_NAME
from crossaisle.data.history import Floats
from crossaisle.encoders.weights import (
    POOLING,
    PROMPTS,
    TOKENIZER,
    TRAINABLE,
    pull,
    read_prefix,
    read_settings,
    read_tokenizer,
    write_prefix,
)
from crossaisle.errors import FetchError
from crossaisle.fetch import hub_folder
from crossaisle.progress import bar
from crossaisle.training.memory import in_halves
from crossaisle.training.text.gguf import gguf_name, unpacked

Pooling = Literal["mean", "first", "last"]
_POOLING_KEYS: dict[Pooling, str] = {
    "first": "pooling_mode_cls_token",
    "last": "pooling_mode_lasttoken",
    "mean": "pooling_mode_mean_tokens",
}
_WEIGHTS = "model.safetensors"
_DENSE = Path("2_Dense")
_CHARACTERS_PER_TOKEN = 64  # a 10 MB title is truncated before tokenization


class Backbone(nn.Module):
    """Texts -> unit vectors. Mean, first-token or last-token pooling; padding is always on the right.

    Reimers and Gurevych, Sentence-BERT (EMNLP 2019); last-token pooling of decoders after Neelakantan et al.
    (2022).
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        pooling: Pooling = "mean",
        prefix: str = "",
        max_tokens: int = 64,
        projection: nn.Linear | None = None,
    ) -> None:
        """`model` is a transformers model, `tokenizer` a `tokenizers.Tokenizer`.

        `projection`: a linear map applied to the pooled vector, such as a trained head.
        """
        super().__init__()
        self.projection = projection
        self.model, self.tokenizer = model, tokenizer
        self.pooling, self.prefix = pooling, prefix
        self.max_tokens = min(max_tokens, getattr(model.config, "max_position_embeddings", max_tokens))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(self.max_tokens)

    @classmethod
    def load(
        cls,
        name: str | Path,
        *,
        pooling: Pooling | None = None,
        prefix: str | None = None,
        max_tokens: int = 64,
    ) -> Backbone:
        """A known name, a folder (`config.json`, weights, `tokenizer.json`) or "owner/name" on the hub.

        If unset, `pooling` is read from `1_Pooling/config.json`; without that file it is the mean for
        encoders and the last token for decoders. `prefix` is put before every text; if unset, it is the
        default prompt in `config_sentence_transformers.json`. Raises `FetchError`.
        """
        folder = folder_of(str(name))
        model, tokenizer = _read_model(folder), read_tokenizer(folder)
        known, words = model.get_input_embeddings().num_embeddings, tokenizer.get_vocab_size(False)
        if words > known:
            raise FetchError(
                f"{folder}: {TOKENIZER} has {words:,} words but the model knows {known:,}: "
                "they do not belong together"
            )
        chosen = pooling or _saved_pooling(folder) or ("last" if is_decoder(model.config) else "mean")
        return cls(
            model,
            tokenizer,
            pooling=chosen,
            prefix=read_prefix(folder) if prefix is None else prefix,
            max_tokens=max_tokens,
            projection=_saved_projection(folder, model.config.hidden_size),
        )

    @property
    def dimension(self) -> int:
        """Dimension of the vectors."""
        width = self.model.config.hidden_size if self.projection is None else self.projection.out_features
        return int(width)

    @property
    def device(self) -> torch.device:
        """The device of its weights."""
        device: torch.device = next(self.model.parameters()).device
        return device

    def tokenize(self, texts: Sequence[str]) -> dict[str, Tensor]:
        """`input_ids` and `attention_mask`, int64 (n, longest), padded on the right.

        An empty text becomes one attended padding token, so that pooling does not divide by zero.
        """
        limit = self.max_tokens * _CHARACTERS_PER_TOKEN
        return self.pad(
            [e.ids for e in self.tokenizer.encode_batch([self.prefix + t[:limit] for t in texts])]
        )

    def pad(self, ids: Sequence[Sequence[int]]) -> dict[str, Tensor]:
        """Like `tokenize`, for texts given as token ids."""
        rows = [list(row) or [self.pad_id] for row in ids]
        width = max((len(row) for row in rows), default=1)
        padded = torch.full((len(rows), width), self.pad_id, dtype=torch.long)
        mask = torch.zeros((len(rows), width), dtype=torch.long)
        for place, row in enumerate(rows):
            padded[place, : len(row)] = torch.tensor(row)
            mask[place, : len(row)] = 1
        return {"input_ids": padded.to(self.device), "attention_mask": mask.to(self.device)}

    @property
    def pad_id(self) -> int:
        known = getattr(self.model.config, "pad_token_id", None)
        return int(known) if known is not None else 0

    def forward(self, batch: dict[str, Tensor]) -> Tensor:
        """float (n, d): rows of unit length."""
        hidden = self.model(**batch).last_hidden_state  # (n, width, d)
        return nn.functional.normalize(self.pool(hidden, batch["attention_mask"]), dim=-1)

    def pool(self, hidden: Tensor, mask: Tensor) -> Tensor:
        """(n, width, h), (n, width) -> (n, d): pools without padding, then applies the projection if there is
        one."""
        pooled = self._pool(hidden, mask)
        return pooled if self.projection is None else cast(Tensor, self.projection(pooled))

    def _pool(self, hidden: Tensor, mask: Tensor) -> Tensor:
        if self.pooling == "first":
            return hidden[:, 0]
        if self.pooling == "last":
            last = mask.sum(dim=1) - 1
            return hidden[torch.arange(len(hidden), device=hidden.device), last]
        weight = mask.unsqueeze(-1).to(hidden.dtype)
        return (hidden * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)

    @torch.no_grad()
    def encode(self, texts: Sequence[str], *, batch_tokens: int = 4096, progress: bool = False) -> Floats:
        """float32 (len(texts), d), rows of unit length; an empty text gives a row of zeros."""
        row_of = {text: row for row, text in enumerate(dict.fromkeys(t for t in texts if t.strip()))}
        limit = self.max_tokens * _CHARACTERS_PER_TOKEN
        encodings = self.tokenizer.encode_batch([self.prefix + text[:limit] for text in row_of])
        ids = [e.ids for e in encodings]
        vectors: Floats = np.zeros((len(ids) + 1, self.dimension), np.float32)  # last row: empty texts
        training = self.training
        self.eval()
        try:
            with bar("reading texts", len(ids), show=progress) as advance:
                for batch in _by_length([len(row) for row in ids], batch_tokens):
                    vectors[batch] = in_halves(self._read, [ids[i] for i in batch])
                    advance(len(batch))
        finally:
            self.train(training)
        return vectors[[row_of.get(text, -1) for text in texts]]

    def _read(self, ids: Sequence[Sequence[int]]) -> Floats:
        """Token ids of some texts -> float32 (len(ids), d)."""
        found: Floats = self(self.pad(ids)).float().cpu().numpy()
        return found

    def save(self, folder: str | Path) -> None:
        """Saves `config.json`, `model.safetensors`, `tokenizer.json` and `1_Pooling/config.json` to `folder`.

        With a projection also `2_Dense/`, with a prefix `config_sentence_transformers.json`, both in the
        format of sentence-transformers.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        self.model.save_pretrained(folder, safe_serialization=True)
        self.tokenizer.save(str(folder / TOKENIZER))
        file = folder / POOLING
        file.parent.mkdir(exist_ok=True)
        settings: dict[str, Any] = {key: name == self.pooling for name, key in _POOLING_KEYS.items()}
        width = int(self.model.config.hidden_size)
        file.write_text(json.dumps({"word_embedding_dimension": width, **settings}, indent=1))
        write_prefix(folder, self.prefix)
        if self.projection is not None:
            _save_projection(folder, self.projection)

    def fingerprint(self, folder: Path) -> str:
        """Changes whenever any vector could change."""
        weights = sha256(folder / _WEIGHTS)[:16]
        return "-".join(filter(None, ["torch", weights, self.pooling, str(self.max_tokens), self.prefix]))


def is_decoder(config: Any) -> bool:
    """Whether a transformers configuration describes a GPT-like model."""
    names = " ".join(config.architectures or [])
    return bool(getattr(config, "is_decoder", False)) or "CausalLM" in names or "Llama" in names


def _by_length(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Batches texts of similar length, longest first, with `batch_tokens` per batch including padding."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and (len(batch) + 1) * lengths[batch[0]] > batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def folder_of(name: str) -> Path:
    """The folder of a checkpoint: a known name, a local folder, or "owner/name" on the hub.

    Raises `FetchError`.
    """
    if gguf_name(name) is not None:
        return unpacked(name)
    if name in TRAINABLE or Path(name).expanduser().is_dir():
        return pull(name)
    if HUB_NAME.fullmatch(name):
        wanted = ("config.json", "*.safetensors", TOKENIZER, POOLING, PROMPTS, f"{_DENSE}/*")
        return hub_folder(name, patterns=wanted)
    raise FetchError(
        f"{name}: no such model (known for training: {', '.join(sorted(TRAINABLE))}; a folder or "
        "'owner/name' on the hub also works)"
    )


def _read_model(folder: Path) -> Any:
    from transformers import AutoModel

    model = read_checkpoint(folder, AutoModel)
    reads_text = "input_ids" in inspect.signature(model.forward).parameters
    if not reads_text or not hasattr(model.config, "hidden_size"):
        raise FetchError(f"{folder}: {type(model).__name__} is no text encoder")
    if getattr(model.config, "is_encoder_decoder", False):
        raise FetchError(
            f"{folder}: {type(model).__name__} is an encoder-decoder: take a BERT-like encoder or a "
            "GPT-like decoder"
        )
    model.config.use_cache = False
    if hasattr(model, "pooler"):
        model.pooler = None  # unused: pooling is done in this class
    return model


def read_checkpoint(folder: Path, kind: Any) -> Any:
    """Loads a transformers model in float32 from a local folder; `kind` is one of the library's Auto classes.

    Raises `FetchError` if the folder contains no checkpoint, a damaged one, or one of another architecture.
    """
    from transformers.utils import logging

    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        raise FetchError(f"{folder}: holds no config.json with *.safetensors: no checkpoint for training")
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        model, report = kind.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, dtype=torch.float32
        )
    except Exception as error:  # transformers and safetensors raise a dozen exception types
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise FetchError(f"{folder}: the checkpoint could not be loaded ({first})") from error
    missing = [key for key in report["missing_keys"] if "pooler" not in key]
    if missing:
        raise FetchError(
            f"{folder}: {len(missing)} weights are missing, {missing[0]} among them: "
            "the weights belong to another architecture than config.json says"
        )
    return model


def _saved_pooling(folder: Path) -> Pooling | None:
    settings = read_settings(folder, POOLING)
    for name, key in _POOLING_KEYS.items():
        if settings.get(key):
            return name
    return None


def _saved_projection(folder: Path, width: int) -> nn.Linear | None:
    """The `2_Dense` module of sentence-transformers, if it is purely linear."""
    if not (folder / _DENSE).is_dir():
        return None
    from safetensors.torch import load_file

    where = folder / _DENSE
    try:
        settings = json.loads((where / "config.json").read_text())
        tensors = load_file(where / _WEIGHTS)
        weight, bias = tensors["linear.weight"], tensors.get("linear.bias")
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise FetchError(f"{where}: is not a dense layer ({error})") from error
    if not str(settings.get("activation_function", "Identity")).endswith("Identity"):
        raise FetchError(f"{where}: activation {settings['activation_function']} is not supported")
    if weight.ndim != 2 or weight.shape[1] != width:
        raise FetchError(f"{where}: takes {weight.shape[-1]} numbers, but the model gives {width}")
    layer = nn.Linear(width, weight.shape[0], bias=bias is not None)
    layer.load_state_dict({"weight": weight} | ({} if bias is None else {"bias": bias}))
    return layer


def _save_projection(folder: Path, layer: nn.Linear) -> None:
    from safetensors.torch import save_file

    where = folder / _DENSE
    where.mkdir(exist_ok=True)
    state = {
        f"linear.{name}": value.detach().cpu().contiguous() for name, value in layer.state_dict().items()
    }
    save_file(state, where / _WEIGHTS)
    settings = {
        "in_features": layer.in_features,
        "out_features": layer.out_features,
        "bias": layer.bias is not None,
        "activation_function": "torch.nn.modules.linear.Identity",
    }
    (where / "config.json").write_text(json.dumps(settings, indent=1))
