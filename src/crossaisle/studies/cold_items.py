"""`benchmark cold-items`: recommends products without events by their texts, with and without fine-tuning."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.data.splits.cold import cold_items, sample
from crossaisle.encoders.cache import pretrained
from crossaisle.encoders.whiten import Whitening
from crossaisle.evaluate.acceptance import Verdict, guard
from crossaisle.evaluate.files import write_json
from crossaisle.evaluate.metrics import Relevant, ndcg, recall
from crossaisle.evaluate.results import Row, result_row
from crossaisle.evaluate.scoring import Score
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.models.scorers.cold_start.behaviour_transfer import BehaviourTransfer
from crossaisle.models.scorers.content import EncoderSimilarity, TfidfSimilarity
from crossaisle.pipeline.fit import peak_mb
from crossaisle.progress import Say, silent
from crossaisle.studies.context import StudyContext
from crossaisle.train_config import Moves, TrainConfig

DATASETS = ("s3rec-beauty", "amazon14")
TEXTS = 10_000
"""Number of texts that each fine-tuning processes, which takes a few minutes on two cores."""
CASES = 5_000
TUNING_CASES = 1_500
MODEL, FALLBACK = "crossaisle", "tfidf"
K = 10
WINDOW, WINDOWS = 5, 24
FINE_TUNED: dict[Moves, float] = {"lora": 1e-3, "full": 5e-5}
"""Trainable parameters -> peak learning rate."""
_LATEST = Decay(events=2.0)
_GRID = {"encoder": (0.0, 0.5, 1.0, 2.0), "borrowed": (0.0, 0.3, 0.6, 1.2, 2.4)}


def run(
    context: StudyContext,
    *,
    datasets: tuple[str, ...] = DATASETS,
    texts: int = TEXTS,
) -> list[Row]:
    """Writes `results.json`, `guard.json` (accepted models, and why) and the encoders; returns the rows."""
    from crossaisle.training.torch_library import require

    require("cold-items")
    rows: list[Row] = []
    verdicts: list[dict[str, Any]] = []
    for each in datasets:
        dataset = context.load(each)
        split = cold_items(dataset, most=CASES)
        for note in split.notes:
            context.say(f"{each}: {note}")
        folder = context.out / "encoders" / each
        study = Study(dataset, split, folder, texts=texts, progress=context.progress, say=context.say)
        study.run()
        rows += study.rows
        verdicts += [{"dataset": each} | v.to_dict() for v in study.verdicts]
        verdicts.append({"dataset": each, "weights": study.weights})
        context.write(rows)
        write_json(context.out / "guard.json", verdicts)
    return rows


@dataclass
class Study:
    """All models on one data set: weights are tuned on validation, the guard decides, then test is used
    once."""

    dataset: Dataset
    split: Split
    folder: Path
    texts: int = TEXTS
    progress: bool = False
    say: Say = silent
    encoder: str = "minilm"
    """The pretrained encoder, run with onnxruntime."""
    backbone: str = "minilm-torch"
    """The same weights in trainable form."""
    rows: list[Row] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    weights: dict[str, dict[str, float]] = field(default_factory=dict)
    """Model -> component -> weight, for weighted sums."""
    costs: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Computes `rows`, `verdicts` and `weights`."""
        start = time.perf_counter()
        texts = TfidfSimilarity(decay=_LATEST).fit(self.dataset)
        self.costs["tfidf"] = time.perf_counter() - start
        vectors = {"tfidf": texts.vectors_} | self._encoders()
        early = self._scorers(vectors, self.split.train)
        self._choose(early)
        values = measured(early, self.weights, self.split.validation)
        serves = self._guarded(values["ndcg"])
        late = self._scorers(vectors, self.split.past)
        self.say("measuring on test")
        self._summarise(measured(late, self.weights, self.split.test), serves, "test")
        self._summarise(values, serves, "validation")

    def _encoders(self) -> dict[str, Any]:
        """Whitened vectors of the pretrained encoder, and after both kinds of fine-tuning."""
        from crossaisle.training.text.trainer import Trainer

        start = time.perf_counter()
        self.say("reading texts with the encoder as it is")
        raw = pretrained(self.encoder).encode(self.dataset.item_texts, progress=self.progress)
        whitening = Whitening.fit(raw)
        out = {"zero_shot": whitening.apply(raw)}
        self.costs["zero_shot"] = time.perf_counter() - start
        for move, rate in FINE_TUNED.items():
            start = time.perf_counter()
            self.say(f"fine-tuning: {move}")
            config = tuning(self.backbone, move, rate, self.texts)
            trainer = Trainer(self.split.train, config, whitening=whitening, say=self.say)
            model = trainer.run(progress=self.progress).backbone
            model.save(self.folder / move)
            tuned = model.encode(self.dataset.item_texts, progress=self.progress)
            out[move] = Whitening.fit(tuned).apply(tuned)
            self.costs[move] = time.perf_counter() - start
        return out

    def _scorers(self, vectors: Mapping[str, Any], known: Dataset) -> dict[str, Score]:
        """Text similarities, and behaviour transferred through TF-IDF alone or together with an encoder."""
        lenders = known.item_counts > 0
        kernels = {name: BehaviourTransfer().kernel(v, lenders) for name, v in vectors.items()}
        out: dict[str, Score] = {}
        for name, v in vectors.items():
            text = TfidfSimilarity(decay=_LATEST) if name == "tfidf" else EncoderSimilarity(decay=_LATEST)
            text.vectors_, text.item_ids_ = v, known.item_ids
            out[name] = text.score_rows
            pair = ["tfidf"] if name == "tfidf" else ["tfidf", name]
            borrowed = BehaviourTransfer(decay=_LATEST).fit_kernels(known, [kernels[p] for p in pair])
            out[f"{name}:borrowed"] = borrowed.score_rows
        return out

    def _choose(self, scorers: Mapping[str, Score]) -> None:
        """Sets `weights`: every text model alone, and its best sum with TF-IDF and transferred behaviour."""
        self.say("choosing weights on validation")
        cases = sample(self.split.validation, TUNING_CASES)
        self.weights = {name: {name: 1.0} for name in scorers if ":" not in name}
        sums: dict[str, list[dict[str, float]]] = {}
        found: dict[str, list[Floats]] = {}
        for histories, block in _blocks(cases):
            parts = {name: np.nan_to_num(score(histories)) for name, score in scorers.items()}
            if not sums:
                spread = {name: max(float(part.std()), 1e-9) for name, part in parts.items()}
                sums = {f"{name}_borrowed": _candidates(name, spread) for name in self.weights}
            for name, options in sums.items():
                hits = [ndcg(_ranked(_total(parts, option), block), K) for option in options]
                found.setdefault(name, []).append(np.stack(hits, axis=1))
        for name, options in sums.items():
            self.weights[name] = options[int(np.concatenate(found[name]).mean(axis=0).argmax())]

    def _guarded(self, values: Mapping[str, Floats]) -> str:
        """The trained model to serve, or the best untrained one: TF-IDF or the encoder, but not their sum."""
        fallback = max((FALLBACK, "zero_shot"), key=lambda name: float(values[name].mean()))
        trained = [name for name in values if name not in (FALLBACK, "zero_shot")]
        self.verdicts = [guard(name, values[name], fallback, values[fallback]) for name in trained]
        for verdict in self.verdicts:
            self.say(verdict.statement)
        accepted = [v for v in self.verdicts if v.accepted]
        return max(accepted, key=lambda v: v.value).model if accepted else fallback

    def _summarise(self, values: Mapping[str, Mapping[str, Floats]], serves: str, on: str) -> None:
        """Adds the rows of all models; `crossaisle` is the one that the guard selected."""
        shown = {MODEL: serves} | {name: name for name in self.weights}
        columns = {m: np.stack([v[shown[m]] for v in values.values()], axis=1) for m in shown}
        n = len(columns[MODEL])
        bootstrap = Bootstrap(n=n)
        for model, mine in columns.items():
            used = {part.split(":")[0] for part, w in self.weights[shown[model]].items() if w}
            seconds = sum(self.costs[name] for name in used)
            interval, ratio = bootstrap.interval(mine), bootstrap.ratio(mine, columns[FALLBACK])
            for i, metric in enumerate(values):
                found = {metric: (interval.value[i], interval.low[i], interval.high[i])}
                if metric == "ndcg":
                    found["ratio_to_tfidf"] = (ratio.value[i], ratio.low[i], ratio.high[i])
                self.rows += [
                    result_row(
                        self.dataset.name,
                        self.split.protocol,
                        on,
                        model,
                        named,
                        K,
                        figures,
                        n,
                        fit_seconds=seconds,
                        peak_mb=peak_mb(),
                    )
                    for named, figures in found.items()
                ]


def tuning(backbone: str, moves: Moves, rate: float, texts: int) -> TrainConfig:
    """Settings by which the next item comes to lie near the previous ones, beneath the whitening used in
    serving.

    Windows of a history share a batch, so that each text is encoded once for all its examples; all items of
    the batch compete, corrected for how often they are bought, so that vectors learn what goes together
    beyond popularity.
    """
    return TrainConfig(
        backbone=backbone,
        moves=moves,
        window=WINDOW,
        against="batch",
        whiten=True,
        log_q=False,
        batch=WINDOWS * (WINDOW - 1),
        max_pairs=max(texts * (WINDOW - 1) // WINDOW, 1),
        learning_rate=rate,
        schedule="linear",
    )


def measured(
    scorers: Mapping[str, Score], weights: Mapping[str, Mapping[str, float]], cases: EvalCases
) -> dict[str, dict[str, Floats]]:
    """Metric -> model -> one value per case, float32 (n,), over the whole catalogue.

    `weights`: model -> component -> weight. Each component scores each block of cases once, for all models.
    """
    ranked: dict[str, list[Relevant]] = {name: [] for name in weights}
    for histories, block in _blocks(cases):
        parts = {name: np.nan_to_num(score(histories)) for name, score in scorers.items()}
        for name, chosen in weights.items():
            ranked[name].append(_ranked(_total(parts, chosen), block))
    joined = {name: Relevant.joined(found) for name, found in ranked.items()}
    return {
        "ndcg": {name: ndcg(one, K).astype(np.float32) for name, one in joined.items()},
        "recall": {name: recall(one, K).astype(np.float32) for name, one in joined.items()},
    }


def _candidates(name: str, spread: Mapping[str, float]) -> list[dict[str, float]]:
    """Candidate sums of TF-IDF, an encoder and transferred behaviour, on TF-IDF's scale."""
    lent = f"{name}:borrowed"
    scale = spread[FALLBACK] / spread[lent]
    if name == FALLBACK:
        return [{FALLBACK: 1.0, lent: b * scale} for b in _GRID["borrowed"]]
    pairs = itertools.product(_GRID["encoder"], _GRID["borrowed"])
    return [{FALLBACK: 1.0, name: g, lent: b * scale} for g, b in pairs if g or b]


def _blocks(cases: EvalCases, size: int = 250) -> Iterator[tuple[Histories, EvalCases]]:
    for start in range(0, len(cases), size):
        block = cases.take(np.arange(start, min(start + size, len(cases))))
        yield block.histories, block


def _total(parts: Mapping[str, Floats], weights: Mapping[str, float]) -> Floats:
    return np.asarray(sum(np.float32(w) * parts[name] for name, w in weights.items()), np.float32)


def _ranked(scores: Floats, cases: EvalCases) -> Relevant:
    """Each case's single target among all items except those of its history."""
    histories = cases.histories
    scores[histories.owner, histories.item] = -np.inf
    return Relevant.of_one(scores, scores[np.arange(len(cases)), cases.target])
