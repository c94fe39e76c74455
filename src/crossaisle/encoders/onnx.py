"""`OnnxEncoder`: a pretrained sentence encoder on onnxruntime. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from crossaisle.artifact import sha256
from crossaisle.data.history import Floats
from crossaisle.encoders.base import unit_rows
from crossaisle.encoders.mapped import MAP_FROM, digest, give_back, open_session
from crossaisle.encoders.weights import (
    POOLING,
    TOKENIZER,
    onnx_file,
    read_prefix,
    read_settings,
    read_tokenizer,
)
from crossaisle.errors import FetchError
from crossaisle.progress import bar

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

CHARACTERS_PER_TOKEN = 64
"""Texts are truncated to this many characters per allowed token before tokenization, so that a 10 MB title
costs no more than any other."""


_LOADING = Lock()


@dataclass
class OnnxEncoder:
    """Mean-pooled (or first- or last-token) sentence vectors of a transformer in ONNX form.

    `folder` holds `model.onnx` (or `onnx/model.onnx`) and `tokenizer.json`; the pooling is read from
    `1_Pooling/config.json` if it exists, else it is the mean; a default prompt in
    `config_sentence_transformers.json` is put before every text. Reimers and Gurevych, Sentence-BERT, EMNLP
    2019.
    """

    folder: Path
    _: KW_ONLY
    max_tokens: int = 64
    """Longer texts are truncated. 32 instead would be 5 to 15 % faster on product titles."""
    batch_tokens: int = 768
    """Tokens per batch, including padding."""
    threads: int = 2
    """Batches run in parallel, each on one thread; faster than two threads within one batch."""
    map_from: int = MAP_FROM
    """Size in bytes above which a model's weights are memory-mapped rather than read."""

    @cached_property
    def fingerprint(self) -> str:
        """Identifies the weights, tokenizer and settings, which determine the vectors."""
        weights, tokenizer = digest(onnx_file(self.folder)), sha256(self.folder / TOKENIZER)
        prefix = f"-{hashlib.sha256(self._prefix.encode()).hexdigest()[:8]}" if self._prefix else ""
        return f"onnx-{weights[:16]}-{tokenizer[:8]}-{self._pooling}-{self.max_tokens}{prefix}"

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Floats:
        """float32 (len(texts), d), rows of unit length; an empty text gives a row of zeros."""
        row_of = {text: row for row, text in enumerate(dict.fromkeys(t for t in texts if t.strip()))}
        unique = [self._prefix + text[: self.max_tokens * CHARACTERS_PER_TOKEN] for text in row_of]
        encodings = self._tokenizer.encode_batch(unique)
        batches = list(self._batches([len(e.ids) for e in encodings]))
        vectors: Floats = np.zeros((len(unique) + 1, self.dimension), np.float32)  # last row: empty texts
        with (
            bar("reading texts", len(unique), show=progress) as advance,
            ThreadPoolExecutor(self.threads) as pool,
        ):
            results = pool.map(lambda batch: self._run([encodings[i] for i in batch]), batches)
            try:
                for batch, result in zip(batches, results, strict=True):
                    vectors[batch] = result
                    advance(len(batch))
            finally:  # on an interrupt, do not wait for the remaining batches
                pool.shutdown(wait=False, cancel_futures=True)
        return vectors[[row_of.get(text, -1) for text in texts]]

    @cached_property
    def dimension(self) -> int:
        """Dimension of the vectors."""
        return int(self._run(self._tokenizer.encode_batch(["a"])).shape[1])

    def _batches(self, lengths: list[int]) -> Iterator[list[int]]:
        """Batches texts of similar length, longest first, so that the last batches are cheap."""
        batch: list[int] = []
        for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
            if batch and (len(batch) + 1) * lengths[batch[0]] > self.batch_tokens:
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch

    def _run(self, encodings: Sequence[Encoding]) -> Floats:
        """float32 (len(encodings), d), rows of unit length."""
        width = max(len(e.ids) for e in encodings)
        ids = np.zeros((len(encodings), width), np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding.ids)] = encoding.ids
            mask[row, : len(encoding.ids)] = 1
        known = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        feed = {name: known[name] for name in self._inputs}
        # (batch, width, d), or (batch, d) if the model pools
        hidden = self._session.run(None, feed, give_back())[0]
        if hidden.ndim == 3:
            hidden = self._pooled(hidden, mask)
        return unit_rows(hidden)

    def _pooled(self, hidden: Floats, mask: npt.NDArray[np.int64]) -> Floats:
        """(batch, width, d), (batch, width) -> (batch, d); not normalised."""
        if self._pooling == "first":
            return hidden[:, 0]
        if self._pooling == "last":
            last: Floats = hidden[np.arange(len(hidden)), mask.sum(axis=1) - 1]
            return last
        summed: Floats = np.einsum("bwd,bw->bd", hidden, mask)
        return summed

    @cached_property
    def _pooling(self) -> Literal["first", "last", "mean"]:
        settings = read_settings(self.folder, POOLING)
        if settings.get("pooling_mode_cls_token"):
            return "first"
        return "last" if settings.get("pooling_mode_lasttoken") else "mean"

    @cached_property
    def _prefix(self) -> str:
        return read_prefix(self.folder)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = read_tokenizer(self.folder)
        tokenizer.no_padding()
        tokenizer.enable_truncation(self.max_tokens)
        return tokenizer

    @property
    def _session(self) -> Any:
        # Several shops may need the encoder at the same time: load the weights only once.
        with _LOADING:
            if "_loaded" not in self.__dict__:
                self.__dict__["_loaded"] = open_session(onnx_file(self.folder), self.map_from)
            return self.__dict__["_loaded"]

    @cached_property
    def _inputs(self) -> list[str]:
        names = [i.name for i in self._session.get_inputs()]
        known = {"input_ids", "attention_mask", "token_type_ids"}
        if not set(names) <= known:
            raise FetchError(f"{self.folder}: is no text encoder (its inputs are {', '.join(names)})")
        return names
