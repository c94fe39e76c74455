"""`compress`: a text encoder made smaller in several ways, each with its quality, size and speed.

Quality is what texts alone find: the next products of a shop's customers, on validation, by cosines of
whitened vectors with their history. The test is never used.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from crossaisle.config import SplitConfig, load_config
from crossaisle.data.dataset import Dataset
from crossaisle.data.datasets import find_catalogue, load_catalogue
from crossaisle.data.history import Decay, Floats
from crossaisle.data.ingest.importer import import_dataset
from crossaisle.data.splits.cases import EvalCases
from crossaisle.encoders.base import Encoder
from crossaisle.encoders.compact import CompactVectors
from crossaisle.encoders.onnx import OnnxEncoder
from crossaisle.encoders.projection import Projection
from crossaisle.encoders.whiten import Whitening
from crossaisle.errors import ConfigError, nearest, shown
from crossaisle.evaluate.files import write_json
from crossaisle.evaluate.metrics import Relevant, ndcg
from crossaisle.pipeline.fit import split_of
from crossaisle.progress import Say, silent

METHODS = ("int8", "layers", "static", "vectors")
"""int8 weights; fewer layers, distilled, then int8; a table of tokens; smaller vectors."""
CASES = 2000
TIMED = 1000
DEEP = 100
"""Candidates per query before those of the history are taken out."""
RESCORE = 4
K = 10

Row = dict[str, Any]


@dataclass(frozen=True)
class Questions:
    """What quality is measured with: some validation cases of a shop, and the texts of its items."""

    texts: Sequence[str]
    queries: sparse.csr_matrix
    """csr float32 (cases, n_items): weights of the items of each history."""
    cases: EvalCases

    @classmethod
    def of(cls, dataset: Dataset, split_config: SplitConfig, *, rng: np.random.Generator) -> Questions:
        """A sample of the validation cases."""
        cases = split_of(dataset, split_config).validation
        rows = np.sort(rng.permutation(len(cases))[:CASES])
        some = cases.take(rows)
        weights = Decay(events=2.0).weights(some.histories)
        return cls(dataset.item_texts, some.histories.matrix(weights, dataset.n_items), some)

    def ndcg(self, vectors: Floats, codes: CompactVectors | None = None, *, again: bool = True) -> float:
        """NDCG@10 of lists by cosine, given unit rows (n_items, d).

        With `codes` candidates are searched there, and scored `again` with the vectors or not.
        """
        queries = np.asarray(self.queries @ vectors, np.float32)
        index = codes or CompactVectors.of(vectors, "float32")
        exact = vectors if codes is not None and again else None
        found, _ = index.search(queries, DEEP, vectors=exact, rescore=RESCORE)
        lists = np.full(found.shape, -1, np.int32)
        for case, listed in enumerate(found):
            seen = self.queries.indices[self.queries.indptr[case] : self.queries.indptr[case + 1]]
            shown = listed[~np.isin(listed, seen)] if self.cases.mask_seen else listed
            lists[case, : len(shown)] = shown
        relevant = Relevant.listed(lists, self.cases.target_indptr, self.cases.target)
        return float(np.nanmean(ndcg(relevant, K)))


def compress(
    model: str,
    out: str | Path,
    *,
    on: str,
    root: str | Path | None = None,
    methods: Sequence[str] = METHODS,
    layers: int = 3,
    dimension: int = 256,
    steps: int = 300,
    seed: int = 0,
    progress: bool = False,
    say: Say = silent,
) -> list[Row]:
    """Writes one folder per method below `out` and `out/compression.json`; returns its rows.

    `model` is a checkpoint with torch weights: a known name, a folder, or "owner/name" on the hub. `on`
    names the data set, or the TOML file of a shop, whose texts teach and whose validation measures.
    Rows have `variant`, `ndcg`, `share` (of the whole model's), `megabytes`, `titles_per_second`,
    `bytes_per_item`, `folder`.
    """
    from crossaisle.training.torch_library import require

    for method in methods:
        if method not in METHODS:
            raise ConfigError(f"unknown method {method!r}{nearest(method, METHODS)}")
    require("compression", exports=True)
    from crossaisle.training.export.distil import distil_into, distil_static
    from crossaisle.training.export.onnx import export_onnx
    from crossaisle.training.export.prune import prune_layers
    from crossaisle.training.text.backbone import Backbone

    out = Path(out)
    teacher = Backbone.load(model)
    say(f"importing {shown(on)}")
    dataset, split = _shop(on, root, progress)
    questions = Questions.of(dataset, split, rng=np.random.default_rng(seed))
    texts = dataset.item_texts
    say(f"reading {len(texts):,} texts with the whole model")
    start = time.perf_counter()
    wanted = teacher.encode(texts, progress=progress)
    speed = len(set(texts)) / (time.perf_counter() - start)
    whole = _megabytes(sum(p.numel() * 4 for p in teacher.parameters()))
    rows = [_row("float32 in torch", questions, wanted, whole, speed, None)]
    if "int8" in methods:
        say("int8 weights")
        export_onnx(teacher, out / "int8", texts=_some(texts, seed))
        served = OnnxEncoder(out / "int8", max_tokens=teacher.max_tokens)
        rows.append(_measured("int8", questions, served, out / "int8", progress))
    if "layers" in methods:
        say(f"{layers} layers, {steps} steps of distillation")
        student = prune_layers(teacher, layers)
        name = f"layers-{layers}"
        raw = prune_layers(teacher, layers).encode(texts, progress=progress)
        small = _megabytes(sum(p.numel() * 4 for p in student.parameters()))
        rows.append(_row(f"{layers} layers, as cut", questions, raw, small, None, None))
        rng = np.random.default_rng(seed)
        distil_into(student, texts=texts, wanted=wanted, rng=rng, steps=steps, progress=progress)
        student.save(out / f"{name}-torch")
        export_onnx(student, out / name, texts=_some(texts, seed))
        served = OnnxEncoder(out / name, max_tokens=teacher.max_tokens)
        rows.append(_measured(f"{layers} layers, distilled, int8", questions, served, out / name, progress))
    if "static" in methods:
        say(f"a table of token vectors, {dimension} dimensions")
        made = distil_static(
            teacher, out / "static", texts=texts, dimension=dimension, name=model, progress=progress
        )
        rows.append(_measured(f"static, {made.dimension}-d", questions, made, out / "static", progress))
    if "vectors" in methods:
        rows += _vector_rows(questions, wanted)
    for row in rows:
        row["share"] = row["ndcg"] / rows[0]["ndcg"] if rows[0]["ndcg"] else float("nan")
    head = {"model": model, "dataset": on, "split": "validation", "cases": len(questions.cases)}
    write_json(out / "compression.json", [head | row for row in rows])
    return rows


def _shop(on: str, root: str | Path | None, progress: bool) -> tuple[Dataset, SplitConfig]:
    """A data set, by name or by the configuration of a shop, and how it is split."""
    if on.endswith(".toml"):
        settings = load_config(on)
        return import_dataset(settings.data, progress=progress).dataset, settings.split
    dataset = load_catalogue(on, root=root, progress=progress).dataset
    return dataset, find_catalogue(on).split


def _measured(variant: str, questions: Questions, encoder: Encoder, folder: Path, progress: bool) -> Row:
    sample = list(dict.fromkeys(questions.texts))[:TIMED]
    encoder.encode(sample[:16])
    start = time.perf_counter()
    encoder.encode(sample)
    speed = len(sample) / (time.perf_counter() - start)
    vectors = encoder.encode(questions.texts, progress=progress)
    size = _megabytes(sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()))
    return _row(variant, questions, vectors, size, speed, folder)


def _row(
    variant: str,
    questions: Questions,
    vectors: Floats,
    megabytes: float | None,
    speed: float | None,
    folder: Path | None,
) -> Row:
    return {
        "variant": variant,
        "ndcg": questions.ndcg(Whitening.fit(vectors).apply(vectors)),
        "megabytes": megabytes,
        "titles_per_second": speed,
        "bytes_per_item": 4 * vectors.shape[1],
        "folder": None if folder is None else str(folder),
    }


def _vector_rows(questions: Questions, raw: Floats) -> list[Row]:
    """The whole model's vectors in fewer dimensions and fewer bits."""
    white = Whitening.fit(raw).apply(raw)
    axes = Projection.fit(raw)
    n, rows = len(raw), []
    empty: Mapping[str, Any] = {"megabytes": None, "titles_per_second": None, "folder": None}
    for d in (d for d in (256, 128, 64) if d < raw.shape[1]):
        small = axes.apply(raw, d)
        small = Whitening.fit(small).apply(small)
        rows.append(
            {"variant": f"vectors: {d}-d", "ndcg": questions.ndcg(small), **empty, "bytes_per_item": 4 * d}
        )
    for kind in ("int8", "binary"):
        codes = CompactVectors.of(white, kind)
        for again in (True, False):
            found = questions.ndcg(white, codes, again=again)
            label = f"vectors: {kind}, {f'best {RESCORE * DEEP} scored again' if again else 'codes only'}"
            rows.append({"variant": label, "ndcg": found, **empty, "bytes_per_item": codes.nbytes // n})
    return rows


def _some(texts: Sequence[str], seed: int) -> list[str]:
    """A few hundred texts, on which fidelity is checked."""
    unique = [text for text in dict.fromkeys(texts) if text.strip()]
    return [unique[i] for i in np.random.default_rng(seed).permutation(len(unique))[:500]]


def _megabytes(size: float) -> float:
    return size / 1e6
