"""`benchmark few-shot`: learning from the first events of a cold category in closed form, with a head, or
with LoRA."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crossaisle.artifact import read_arrays, write_arrays, writing
from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats, Histories
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.splits.cold import last_of, sample
from crossaisle.data.vocabulary import Rows
from crossaisle.encoders.base import unit_rows
from crossaisle.encoders.cache import pretrained
from crossaisle.encoders.whiten import Whitening
from crossaisle.evaluate.acceptance import Verdict, guard
from crossaisle.evaluate.files import write_json, write_text
from crossaisle.evaluate.metrics import Relevant, ndcg
from crossaisle.evaluate.report.bands import Line, curve_svg
from crossaisle.evaluate.results import Row, interval_of, result_row
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.models.scorers.cold_start.behaviour_transfer import BehaviourTransfer
from crossaisle.models.scorers.cold_start.cold_prior import opening_popularity
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.pipeline.fit import peak_mb
from crossaisle.progress import Say, silent
from crossaisle.studies.context import StudyContext
from crossaisle.train_config import Moves, TrainConfig

CATALOGUE, DOMAIN, DEPTH = "amazon14", "Beauty", 1
SHOTS = (0, 1, 5, 10, 50, 100)
SEEDS, CATEGORIES, CASES = 1, 1, 200
K = 10
HISTORY = 5
"""Number of newest items of a query that are read, in training and evaluation."""
ENCODER_WEIGHT = 0.5
"""Weight of an encoder's scores relative to TF-IDF's, each divided by its spread; fixed in advance, not
tuned."""
POPULARITY_WEIGHT = 0.3
"""Weight of popularity in the closed form, as tuned on validation in `cold-category`."""
FALLBACK, SERVED = "zero_shot", "served"
LEARNERS: dict[str, Moves] = {"head": "head", "lora": "lora"}
METHODS = ("closed_form", *LEARNERS)
_DECAY = Decay(events=2.0)
_EPOCHS: dict[Moves, int] = {"head": 20, "lora": 4}

Mask = npt.NDArray[np.bool_]
Gains = dict[str, Floats]
""""validation"/"test" -> NDCG@10 per case."""


def run(
    context: StudyContext,
    *,
    categories: int = CATEGORIES,
    seeds: int = SEEDS,
) -> list[Row]:
    """Writes `results.json`, `guard.json` and `few_shot.svg`, the curves; returns the rows."""
    from crossaisle.training.torch_library import require

    require("few-shot")
    unfinished = context.out / "unfinished"
    study = FewShotStudy(
        context.load(CATALOGUE, domain=DOMAIN),
        categories=categories,
        seeds=seeds,
        folder=unfinished,
        progress=context.progress,
        say=context.say,
    )
    study.run()
    rows = study.rows()
    context.write(rows)
    write_json(context.out / "guard.json", [verdict.to_dict() for verdict in study.verdicts.values()])
    write_text(context.out / "few_shot.svg", picture(rows))
    shutil.rmtree(unfinished, ignore_errors=True)
    return rows


@dataclass
class FewShotStudy:
    """The largest categories are made cold in turn; then k events of the category are revealed.

    As in `cold-category`, a tenth of the users each is used for validation and for test, and never for
    training, and a query contains only a user's events in other categories. All methods are TF-IDF plus one
    component of fixed weight: `zero_shot` the pretrained encoder, `closed_form` also behaviour and popularity
    transferred through texts, `head` and `lora` the encoder fine-tuned on the k events. An event teaches
    which of the category's items follows its user's earlier ones. `served` is the method with the best
    validation among those that the guard prefers to `zero_shot`, or else `zero_shot`.
    """

    dataset: Dataset
    depth: int = DEPTH
    categories: int = CATEGORIES
    seeds: int = SEEDS
    cases: int = CASES
    encoder: str = "minilm"
    """The pretrained encoder, run with onnxruntime."""
    backbone: str = "minilm-torch"
    """The same weights in trainable form."""
    shots: tuple[int, ...] = SHOTS
    folder: Path | None = None
    """Folder for the results of finished trainings until all are done, so that a kill loses only one."""
    progress: bool = False
    say: Say = silent
    values: dict[tuple[str, int], dict[str, list[Floats]]] = field(default_factory=dict)
    """(method, shots) -> validation/test -> one float32 (n,) per category, averaged over the seeds."""
    verdicts: dict[tuple[str, int], Verdict] = field(default_factory=dict)
    """(method, shots) -> whether it may replace the untrained fallback."""
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self) -> None:
        """Computes `values` and `verdicts`."""
        data = self.dataset
        self.say("reading texts with the encoder as it is")
        raw = pretrained(self.encoder).encode(data.item_texts, progress=self.progress)
        self.whitening = Whitening.fit(raw)
        self.vectors = self.whitening.apply(raw)
        self.texts = TfidfSimilarity(decay=_DECAY).fit(data)
        self.borrowing = BehaviourTransfer(decay=_DECAY, own=3.0)
        everyone = np.ones(data.n_items, bool)
        kernels = (self.borrowing.kernel(v, everyone) for v in (self.texts.vectors_, self.vectors))
        self.kernel = sum(kernels, start=0)
        category = data.taxonomy.codes(self.depth)
        sold = category[data.events.item]
        largest = np.argsort(-np.bincount(sold[sold >= 0]), kind="stable")[: self.categories]
        for cold in largest.tolist():
            self._category(data.taxonomy.names(self.depth)[cold], category == cold)
        for (method, shots), found in self.values.items():
            if method != FALLBACK:
                mine, theirs = (np.concatenate(v["validation"]) for v in (found, self.values[FALLBACK, 0]))
                name = f"{method} with {shots} events"
                self.verdicts[method, shots] = guard(name, mine, FALLBACK, theirs)
                self.say(self.verdicts[method, shots].statement)
        for shots in self.shots:
            passed = [m for m in METHODS if self.verdicts[m, shots].accepted]
            best = max(passed, key=lambda m: self.verdicts[m, shots].value, default=FALLBACK)
            self.values[SERVED, shots] = self.values[best, shots if passed else 0]
            self.seconds[SERVED] = self.seconds.get(best, 0.0)

    def _category(self, name: str, inside: Mask) -> None:
        data, events = self.dataset, self.dataset.events
        role = np.random.default_rng(0).permutation(data.n_users) % 10
        asked = {
            on: newest(sample(last_of(data, inside, inside, role == number), self.cases))
            for number, on in enumerate(("validation", "test"))
        }
        training = role[events.user] > 1
        mine, others = np.flatnonzero(training & inside[events.item]), training & ~inside[events.item]
        self.say(f"{name}: {int(inside.sum()):,} items go cold, {len(asked['test']):,} test cases")
        question = Question(
            inside, asked, {on: self.texts.score_rows(c.histories) for on, c in asked.items()}
        )
        untrained = question.gains(self.vectors)
        self._keep(FALLBACK, 0, [untrained])
        for shots in self.shots:
            found: dict[str, list[Gains]] = {method: [] for method in METHODS}
            for seed in range(self.seeds if shots else 1):
                kept = others.copy()
                kept[np.random.default_rng(seed).permutation(mine)[:shots]] = True
                known = data.with_events(kept)
                start = time.perf_counter()
                model = self.borrowing.fit_kernels(known, [self.kernel])
                lent = {on: model.score_rows(cases.histories) for on, cases in asked.items()}
                popular = POPULARITY_WEIGHT * opening_popularity(self.kernel, inside, known.item_counts)
                found["closed_form"].append(question.gains(self.vectors, lent, popular))
                self._spent("closed_form", start)
                for method, moves in LEARNERS.items():
                    start = time.perf_counter()
                    done = None if self.folder is None else self.folder / f"{name}-{method}-{shots}-{seed}"
                    if done is not None and done.is_dir():
                        found[method].append(read_arrays(done))
                        continue
                    vectors = self._tuned(known, question, moves, seed) if shots else None
                    found[method].append(untrained if vectors is None else question.gains(vectors))
                    self._spent(method, start)
                    if done is not None and shots:
                        with writing(done, "gains") as fresh:
                            write_arrays(fresh, found[method][-1])
            for method, gains in found.items():
                self._keep(method, shots, gains)
            shown = (f"{m} {np.mean([g['test'].mean() for g in gains]):.4f}" for m, gains in found.items())
            self.say(f"{name}, {shots} events: {', '.join(shown)}")

    def _tuned(self, known: Dataset, question: Question, moves: Moves, seed: int) -> Floats | None:
        """float32 (n_items, d): fine-tuned vectors of the items that `question` reads; other rows unchanged.

        None if no event of the category has an earlier one to learn from.
        """
        from crossaisle.training.text.backbone import Backbone
        from crossaisle.training.text.pairs import next_items
        from crossaisle.training.text.towers import Catalogue
        from crossaisle.training.text.trainer import Trainer

        made = next_items(known, HISTORY)
        made = made.take(np.flatnonzero(question.inside[made.target]))
        if not len(made):
            return None
        config = TrainConfig(
            backbone=self.backbone,
            moves=moves,
            objective="cross_entropy",
            negatives=2,
            batch=16,
            epochs=_EPOCHS[moves],
            whiten=moves != "head",
            seed=seed,
        )
        # Negatives are drawn uniformly inside the category, as no popularity is known.
        catalogue = replace(Catalogue.of(known), counts=question.inside.astype(np.int64))
        trainer = Trainer(
            known,
            config,
            backbone=Backbone.load(self.backbone, max_tokens=config.max_tokens),
            chosen=made,
            catalogue=catalogue,
            whitening=self.whitening,
            vectors=self.vectors if moves == "head" else None,
        )
        trained = trainer.run()
        out = self.vectors.copy()
        if moves == "head":
            out = unit_rows(trained.mapped(self.vectors))
        else:
            rows = question.rows
            texts = [self.dataset.item_texts[row] for row in rows]
            out[rows] = self.whitening.apply(trained.backbone.encode(texts, progress=self.progress))
        return out

    def _keep(self, method: str, shots: int, gains: list[Gains]) -> None:
        kept = self.values.setdefault((method, shots), {"validation": [], "test": []})
        for on, values in kept.items():
            values.append(np.mean([g[on] for g in gains], axis=0).astype(np.float32))

    def _spent(self, method: str, start: float) -> None:
        self.seconds[method] = self.seconds.get(method, 0.0) + time.perf_counter() - start

    def rows(self) -> list[Row]:
        """`ndcg` and `ratio_to_zero_shot` of every method, in slices `shots_0`, `shots_1`, ..."""
        theirs = np.concatenate(self.values[FALLBACK, 0]["test"])
        bootstrap = Bootstrap(n=len(theirs))
        out: list[Row] = []
        for (method, shots), found in self.values.items():
            mine = np.concatenate(found["test"])
            figures = {
                "ndcg": bootstrap.interval(mine[:, None]),
                "ratio_to_zero_shot": bootstrap.ratio(mine[:, None], theirs[:, None]),
            }
            out += [
                result_row(
                    self.dataset.name,
                    "few_shot",
                    "test",
                    method,
                    metric,
                    K,
                    (measured.value[0], measured.low[0], measured.high[0]),
                    len(mine),
                    slice_=f"shots_{shots}",
                    fit_seconds=self.seconds.get(method, 0.0),
                    peak_mb=peak_mb(),
                )
                for metric, measured in figures.items()
            ]
        return out


@dataclass(frozen=True)
class Question:
    """The cases of one cold category; only its items compete."""

    inside: Mask
    asked: Mapping[str, EvalCases]
    texts: Mapping[str, Floats]
    """TF-IDF scores, float32 (n, n_items)."""

    @property
    def rows(self) -> Rows:
        """int32: items to encode, those of the category and of the histories."""
        shown = [cases.histories.item for cases in self.asked.values()]
        rows: Rows = np.union1d(np.flatnonzero(self.inside), np.concatenate(shown)).astype(np.int32)
        return rows

    def gains(
        self, vectors: Floats, lent: Mapping[str, Floats] | None = None, popular: Floats | None = None
    ) -> Gains:
        """NDCG@10 of TF-IDF plus an encoder's vectors (n_items, d), transferred behaviour and popularity."""
        out: Gains = {}
        for on, cases in self.asked.items():
            bags = cases.histories.matrix(_DECAY.weights(cases.histories), len(vectors))
            scores = self._level(self.texts[on])
            scores = scores + ENCODER_WEIGHT * self._level((bags @ vectors) @ vectors.T)
            if lent is not None:
                scores = scores + self._level(lent[on])
            if popular is not None:
                scores = scores + popular[self.inside]
            place = np.cumsum(self.inside) - 1
            own = scores[np.arange(len(cases)), place[cases.target]]
            out[on] = ndcg(Relevant.of_one(scores, own), K).astype(np.float32)
        return out

    def _level(self, scores: Floats) -> Floats:
        """The scores of the category's items, divided by their spread."""
        known = np.nan_to_num(scores[:, self.inside])
        out: Floats = known / np.maximum(known.std(axis=1, keepdims=True), 1e-9)
        return out


def newest(cases: EvalCases) -> EvalCases:
    """The same cases with each history cut to its newest `HISTORY` items."""
    histories = cases.histories
    short = Histories.of(
        [histories.items_of(row)[-HISTORY:] for row in range(len(cases))], users=histories.user
    )
    return replace(cases, histories=short)


def picture(rows: list[Row]) -> str:
    """SVG: NDCG@10 inside the category by number of events, one line per method."""
    found: dict[str, list[tuple[float, float, float, float]]] = {}
    for row in rows:
        if row["metric"] == "ndcg":
            shots = float(row["slice"].removeprefix("shots_"))
            found.setdefault(row["model"], []).append((shots, row["value"], *interval_of(row)))
    everywhere = sorted({point[0] for points in found.values() for point in points})
    lines = []
    for method, points in found.items():
        flat = [(shots, *points[0][1:]) for shots in everywhere] if method == FALLBACK else sorted(points)
        lines.append(Line(method.replace("_", " "), flat))
    return curve_svg(
        lines, title="The first events of a cold category", x="events of the category", y="NDCG@10"
    )
