"""`Likelihood`: log-probability of a text after a prompt under a GPT-like model, cached on disk."""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from crossaisle.artifact import sha256
from crossaisle.encoders.cache import BlobFile, content_key
from crossaisle.encoders.weights import read_tokenizer
from crossaisle.errors import FetchError
from crossaisle.fetch import cache_dir
from crossaisle.training.text.backbone import folder_of, is_decoder, read_checkpoint
from crossaisle.training.torch_library import require

BATCH_TOKENS = 768
"""Tokens per forward pass: each needs logits over the whole vocabulary."""

Tokens = tuple[int, ...]


class Likelihood:
    """A causal language model with a cache of its results, one SQLite file per checkpoint.

    The prompt is processed once; its keys and values are shared by all continuations. Continuations are
    padded on the right, where a causal model does not attend.
    """

    def __init__(self, model: Any, tokenizer: Any, *, fingerprint: str, folder: Path | None = None) -> None:
        """`model` is a transformers causal model, `tokenizer` a `tokenizers.Tokenizer`."""
        self.model, self.tokenizer = model.eval(), tokenizer
        tokenizer.no_padding()
        tokenizer.no_truncation()
        first = getattr(model.config, "bos_token_id", None)
        # Only models trained with a BOS token get one; their tokenizer adds it.
        self._start: Tokens = (
            (first,) if first is not None and tokenizer.encode("").ids[:1] == [first] else ()
        )
        self._fingerprint = fingerprint
        self._file = BlobFile((folder or cache_dir() / "likelihood") / f"{fingerprint}.sqlite")
        self.asked = 0
        """Number of continuations that were not cached, so the model had to process them."""

    @classmethod
    def load(cls, name: str) -> Likelihood:
        """A known name, a folder or "owner/name" on the hub. Raises `FetchError`."""
        require("scoring with a language model")
        from transformers import AutoConfig, AutoModelForCausalLM

        folder = folder_of(name)
        if not (folder / "config.json").is_file():
            raise FetchError(f"{folder}: holds no config.json: no checkpoint")
        if not is_decoder(AutoConfig.from_pretrained(folder, local_files_only=True)):
            raise FetchError(
                f"{folder}: is no causal (GPT-like) language model: it cannot score what comes next"
            )
        model = read_checkpoint(folder, AutoModelForCausalLM)
        if torch.cuda.is_available():
            model = model.to("cuda")
        digest = hashlib.sha256("".join(sha256(f) for f in sorted(folder.glob("*.safetensors"))).encode())
        return cls(model, read_tokenizer(folder), fingerprint=f"causal-{digest.hexdigest()[:16]}")

    def tokens(self, text: str, most: int | None = None) -> Tokens:
        """Token ids without special tokens, at most `most`."""
        text = text if most is None else text[: 64 * most]  # truncate a 10 MB title before tokenization
        return tuple(self.tokenizer.encode(text, add_special_tokens=False).ids[:most])

    def log_likelihood(self, prompt: Tokens, texts: Sequence[Tokens]) -> npt.NDArray[np.float64]:
        """float64 (n,): log-probability of each continuation after the prompt, in nats.

        Summed over its tokens; NaN for a continuation without tokens.
        """
        keys = [self._key(prompt, text) for text in texts]
        blobs = self._file.blobs(list(dict.fromkeys(keys)))
        known = {k: float(np.frombuffer(b, np.float64)[0]) for k, b in blobs.items() if len(b) == 8}
        missing = {
            k: text
            for k, text in zip(keys, texts, strict=True)
            if text and not np.isfinite(known.get(k, np.nan))
        }
        if missing:
            fresh = dict(
                zip(missing, self._read((*self._start, *prompt), list(missing.values())), strict=True)
            )
            self._file.keep({k: np.float64(v).tobytes() for k, v in fresh.items() if np.isfinite(v)})
            self.asked += len(fresh)
            known |= fresh
        return np.array([known[k] if text else np.nan for k, text in zip(keys, texts, strict=True)])

    def _key(self, prompt: Tokens, text: Tokens) -> bytes:
        return content_key(np.array([*prompt, -1, *text], np.int64).tobytes())

    @torch.inference_mode()
    def _read(self, prompt: Tokens, texts: Sequence[Tokens]) -> list[float]:
        device = next(self.model.parameters()).device
        start = prompt or (self._first_token(),)
        read = self.model(input_ids=torch.tensor([start], device=device), use_cache=True)
        first = torch.log_softmax(read.logits[0, -1].float(), dim=-1)  # (vocabulary,)
        out = [0.0] * len(texts)
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        while order:
            width = len(texts[order[0]])
            size = max(BATCH_TOKENS // width, 1)
            batch, order = order[:size], order[size:]
            ids = torch.zeros((len(batch), width), dtype=torch.long)
            for row, i in enumerate(batch):
                ids[row, : len(texts[i])] = torch.tensor(texts[i])
            ids = ids.to(device)
            total = first[ids[:, 0]].double() + self._rest(
                read[self._cache_name], ids, [len(texts[i]) for i in batch]
            )
            for i, value in zip(batch, total.tolist(), strict=True):
                out[i] = value
        return out

    def _rest(self, cache: Any, ids: Tensor, lengths: Sequence[int]) -> Tensor:
        """float64 (b,): log-probability of all tokens but the first; `cache` is not modified."""
        if ids.shape[1] == 1:
            return torch.zeros(len(ids), dtype=torch.float64, device=ids.device)
        own = copy.deepcopy(cache)
        own.batch_repeat_interleave(len(ids))
        read = self.model(input_ids=ids[:, :-1], **{self._cache_name: own})
        logits = read.logits.float()  # (b, width - 1, v)
        loss = nn.functional.cross_entropy(logits.transpose(1, 2), ids[:, 1:], reduction="none")
        there = (
            torch.arange(1, ids.shape[1], device=ids.device)
            < torch.tensor(lengths, device=ids.device)[:, None]
        )
        return -(loss.double() * there).sum(dim=1)

    @cached_property
    def _cache_name(self) -> str:
        """The name of the argument, which changed in transformers 5.24; `past_key_values` is removed in
        5.40."""
        return "cache" if "cache" in inspect.signature(self.model.forward).parameters else "past_key_values"

    def _first_token(self) -> int:
        """The token that precedes a text without a prompt."""
        for name in ("bos_token_id", "eos_token_id", "pad_token_id"):
            known = getattr(self.model.config, name, None)
            if isinstance(known, int):
                return known
        return 0


@lru_cache(maxsize=2)
def opened(name: str) -> Likelihood:
    """`Likelihood.load`, once per process."""
    return Likelihood.load(name)
