"""`StaticEncoder`: averages one vector per token from a table. Needs numpy and a tokenizer only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from crossaisle.artifact import sha256
from crossaisle.data.history import Floats
from crossaisle.encoders.base import unit_rows
from crossaisle.encoders.weights import TOKENIZER, read_tokenizer
from crossaisle.errors import FetchError
from crossaisle.progress import bar

if TYPE_CHECKING:
    from tokenizers import Tokenizer

SETTINGS = "static.json"
"""The file that identifies a folder of this kind."""
TABLE = "table.npy"
CHUNK = 8192
_CHARACTERS_PER_TOKEN = 64


@dataclass
class StaticEncoder:
    """Weighted mean of token vectors (Model2Vec, Tulkens and van Dongen, 2024; weights as in SIF, Arora et
    al., ICLR 2017).

    `folder` contains `table.npy`, float16 (vocabulary, d), each row multiplied by its token's weight, and
    `tokenizer.json`; `training/export/distil.py` makes it from a transformer.
    """

    folder: Path
    _: KW_ONLY
    max_tokens: int = 512
    """Longer texts are truncated."""

    @cached_property
    def fingerprint(self) -> str:
        """Identifies the table, tokenizer and settings, which determine the vectors."""
        table, tokenizer = sha256(self.folder / TABLE), sha256(self.folder / TOKENIZER)
        return f"static-{table[:16]}-{tokenizer[:8]}-{self.max_tokens}"

    def encode(self, texts: Sequence[str], *, progress: bool = False) -> Floats:
        """float32 (len(texts), d), rows of unit length; an empty text gives a row of zeros."""
        out: Floats = np.zeros((len(texts), self.dimension), np.float32)
        with bar("reading texts", len(texts), show=progress) as advance:
            for start in range(0, len(texts), CHUNK):
                part = texts[start : start + CHUNK]
                summed = bags(self._tokenizer, part, len(self._table), self.max_tokens) @ self._table
                out[start : start + len(part)] = unit_rows(summed)
                advance(len(part))
        return out

    @property
    def dimension(self) -> int:
        """Dimension of the vectors."""
        return int(self._table.shape[1])

    @cached_property
    def _table(self) -> Floats:
        file = self.folder / TABLE
        try:
            table = np.load(file, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise FetchError(f"{file}: could not be loaded ({error})") from error
        if table.ndim != 2:
            raise FetchError(f"{file}: is no table of token vectors (its shape is {table.shape})")
        rows: Floats = table.astype(np.float32)
        return rows

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        tokenizer = read_tokenizer(self.folder)
        tokenizer.no_padding()
        tokenizer.no_truncation()
        return tokenizer


def bags(tokenizer: Tokenizer, texts: Sequence[str], vocabulary: int, max_tokens: int) -> sparse.csr_matrix:
    """csr float32 (n, vocabulary): token counts of each text, without special tokens."""
    cut = [text[: max_tokens * _CHARACTERS_PER_TOKEN] for text in texts]
    rows = [
        e.ids[:max_tokens] if text.strip() else []
        for text, e in zip(cut, tokenizer.encode_batch(cut, add_special_tokens=False), strict=True)
    ]
    indptr = np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64)
    indices = np.array([i for row in rows for i in row], np.int32)
    data = np.ones(len(indices), np.float32)
    counts = sparse.csr_matrix((data, indices, indptr), shape=(len(rows), vocabulary))
    counts.sum_duplicates()
    return counts


def write_settings(folder: Path, *, teacher: str, dimension: int, texts: int) -> None:
    """Writes `static.json`, which records what the table was made from."""
    settings = {"teacher": teacher, "dimension": dimension, "texts": texts}
    (folder / SETTINGS).write_text(json.dumps(settings, indent=1))
