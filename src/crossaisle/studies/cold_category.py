"""`benchmark cold-category`: a category without any events, and then with a few of them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from crossaisle.data.dataset import Dataset
from crossaisle.data.history import Decay, Floats
from crossaisle.data.splits.cases import EvalCases
from crossaisle.data.splits.cold import last_of, sample
from crossaisle.encoders.cache import pretrained
from crossaisle.encoders.whiten import Whitening
from crossaisle.evaluate.metrics import Relevant, ndcg
from crossaisle.evaluate.report.bands import Line, curve_svg
from crossaisle.evaluate.results import Row, interval_of, result_row
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.models.defaults import buys_again
from crossaisle.models.scorers.cold_start.behaviour_transfer import BehaviourTransfer
from crossaisle.models.scorers.cold_start.cold_prior import opening_popularity
from crossaisle.models.scorers.content import EncoderSimilarity, TfidfSimilarity
from crossaisle.pipeline.fit import peak_mb
from crossaisle.progress import Say, silent
from crossaisle.studies.context import StudyContext

DATASETS: dict[str, tuple[str, str | None, int]] = {
    "amazon14": ("amazon14", "Beauty", 1),
    "completejourney": ("completejourney", None, 0),
}
"""The data sets: catalogue, domain, and depth of the categories that are made cold one at a time."""
SHOTS = (0, 1, 5, 10, 50, 100)
K = 10
FULL = -1
OWN = 3.0
NAMED = {0: "zero_shot", 10: "ten_shot"}
_GRID = {"encoder": (0.0, 0.5), "borrowed": (0.0, 0.5, 1.0), "popular": (0.0, 0.1, 0.3, 1.0, 3.0, 10.0)}
MODELS = ("tfidf", "popularity", "crossaisle")

Mask = npt.NDArray[np.bool_]
Parts = dict[str, Floats]
Setting = tuple[float, float, float]
"""Weights of the encoder, of transferred behaviour and of transferred popularity, relative to TF-IDF's 1."""


def run(context: StudyContext) -> list[Row]:
    """Writes `out/results.json` and `out/few_shot.svg`, the curve; returns the rows."""
    rows: list[Row] = []
    for catalogue, domain, depth in DATASETS.values():
        dataset = context.load(catalogue, domain=domain)
        context.say("reading texts with the encoder as it is")
        raw = pretrained().encode(dataset.item_texts, progress=context.progress)
        study = CategoryStudy(dataset, depth, Whitening.fit(raw).apply(raw), say=context.say)
        study.run()
        rows += study.rows()
        context.write(rows)
    (context.out / "few_shot.svg").write_text(picture(rows), encoding="utf-8")
    return rows


@dataclass
class CategoryStudy:
    """One data set whose categories are made cold in turn.

    A tenth of the users each is used for validation and for test, and never for training. A query consists of
    a user's events in other categories before the last event of the cold one, which is the target. Nobody has
    a history in a category that is new, whether with few shots or full data, so the queries are the same for
    all models. Weights for a category and a number of shots are those that are best on the validation users
    of the *other* categories.
    """

    dataset: Dataset
    depth: int
    vectors: Floats
    """float32 (n_items, d): whitened vectors of the encoder."""
    seed: int = 0
    say: Say = silent
    shots: tuple[int, ...] = SHOTS
    """Numbers of known events of the cold category."""
    seeds: int = 5
    """Number of samples of these events; gains are averaged over them."""
    most_categories: int = 8
    """Number of categories, those with the most events; each is made cold in turn."""
    most_cases: int = 300
    """Maximum cases per category, for validation and for test."""
    least_cases: int = 30
    """Categories with fewer cases, for validation or for test, are left out."""
    values: dict[tuple[int, int, str], dict[Setting, Floats]] = field(default_factory=dict)
    """(category, shots, "validation"/"test" + "/inside" or "/open") -> NDCG per case, averaged over the
    seeds."""
    seconds: float = 0.0

    def run(self) -> None:
        """Fills `values`."""
        start = time.perf_counter()
        data, events = self.dataset, self.dataset.events
        category = data.taxonomy.codes(self.depth)
        role = np.random.default_rng(self.seed).permutation(data.n_users) % 10
        training = role[events.user] > 1
        decay, average = (Decay(), True) if buys_again(data) else (Decay(events=2.0), False)
        self.texts = TfidfSimilarity(decay=decay, average=average).fit(data)
        self.encoder = EncoderSimilarity(decay=decay, average=average)
        self.encoder.vectors_, self.encoder.item_ids_ = self.vectors, data.item_ids
        self.model = BehaviourTransfer(decay=decay, average=average, own=OWN)
        everyone = np.ones(data.n_items, bool)
        self.kernel = self.model.kernel(self.texts.vectors_, everyone)
        self.kernel = self.kernel + self.model.kernel(self.vectors, everyone)
        counts = np.bincount(category[events.item][category[events.item] >= 0])
        self.categories: dict[int, str] = {}
        for cold in np.argsort(-counts, kind="stable").tolist():
            if len(self.categories) == self.most_categories:
                break
            inside, name = category == cold, data.taxonomy.names(self.depth)[cold]
            asked = {
                on: sample(last_of(data, inside, inside, role == number), self.most_cases, self.seed)
                for number, on in enumerate(("validation", "test"))
            }
            if min(map(len, asked.values())) < self.least_cases:
                continue
            self.categories[cold] = name
            self.say(f"{name}: {int(inside.sum()):,} items go cold, {len(asked['test'])} are asked for")
            fixed = {on: self._fixed(cases) for on, cases in asked.items()}
            mine = np.flatnonzero(training & inside[events.item])
            others = training & ~inside[events.item]
            for shots in (*self.shots, FULL):
                for seed in range(self.seeds if shots > 0 else 1):
                    kept = others.copy()
                    order = np.random.default_rng(seed).permutation(mine)
                    kept[order if shots == FULL else order[:shots]] = True
                    self._measure(cold, shots, inside, data.with_events(kept), asked, fixed)
        self.seconds = time.perf_counter() - start

    def _fixed(self, cases: EvalCases) -> Parts:
        """Component scores that use no events."""
        h = cases.histories
        return {"tfidf": _level(self.texts.score_rows(h)), "encoder": _level(self.encoder.score_rows(h))}

    def _measure(
        self,
        cold: int,
        shots: int,
        inside: Mask,
        known: Dataset,
        asked: Mapping[str, EvalCases],
        fixed: Mapping[str, Parts],
    ) -> None:
        """The closed-form update: the same formula, applied to the events known so far."""
        model = self.model.fit_kernels(known, [self.kernel])
        popular = opening_popularity(self.kernel, inside, known.item_counts)
        repeats = self.seeds if shots > 0 else 1
        for on, cases in asked.items():
            borrowed = _level(model.score_rows(cases.histories))
            for setting in settings():
                scores = _sum(setting, fixed[on], borrowed, popular)
                for where, ranked in (("inside", inside), ("open", None)):
                    gain = _gain(scores, cases, ranked) * np.float32(1 / repeats)
                    found = self.values.setdefault((cold, shots, f"{on}/{where}"), {})
                    found[setting] = found[setting] + gain if setting in found else gain

    def chosen(self, cold: int, shots: int, where: str) -> Setting:
        """The weights that are best on the validation users of the other categories."""
        others = [c for c in self.categories if c != cold] or list(self.categories)

        def mean(setting: Setting) -> float:
            figures = [self.values[c, shots, f"validation/{where}"][setting].mean() for c in others]
            return float(np.mean(figures))

        return max((s for s in settings() if s[:3] not in _ALONE.values()), key=mean)

    def gains(self, model: str, shots: int, where: str) -> dict[int, Floats]:
        """NDCG of all test cases per category, float32 (n,)."""
        out = {}
        for cold in self.categories:
            setting = self.chosen(cold, shots, where) if model == "crossaisle" else _ALONE[model]
            out[cold] = self.values[cold, shots, f"test/{where}"][setting]
        return out

    def rows(self) -> list[Row]:
        """`ndcg` and `share_of_full` over all categories, in slices `zero_shot`, `shots_1`, ..., `full`; for
        `crossaisle` inside the category also per category, as `zero_shot of NAME`."""
        out: list[Row] = []
        for model, where, shots in itertools.product(MODELS, ("inside", "open"), (*self.shots, FULL)):
            mine, full = self.gains(model, shots, where), self.gains("crossaisle", FULL, where)
            name = "full" if shots == FULL else NAMED.get(shots, f"shots_{shots}")
            name += "" if where == "inside" else "_open"
            together = (np.concatenate(list(gains.values())) for gains in (mine, full))
            out += self._rows(model, name, *together)
            if where == "inside" and model == "crossaisle":
                for cold, label in self.categories.items():
                    out += self._rows(model, f"{name} of {label}", mine[cold], full[cold])
        return out

    def _rows(self, model: str, slice_: str, mine: Floats, full: Floats) -> list[Row]:
        bootstrap = Bootstrap(n=len(mine))
        figures = {
            "ndcg": bootstrap.interval(mine[:, None]),
            "share_of_full": bootstrap.ratio(mine[:, None], full[:, None]),
        }
        return [
            result_row(
                self.dataset.name,
                "cold_category",
                "test",
                model,
                metric,
                K,
                (found.value[0], found.low[0], found.high[0]),
                len(mine),
                slice_=slice_,
                fit_seconds=self.seconds,
                peak_mb=peak_mb(),
            )
            for metric, found in figures.items()
            if not np.isnan(found.value[0])  # avoids dividing by an undefined full-data result
        ]


_ALONE: dict[str, Setting] = {"tfidf": (0.0, 0.0, 0.0), "popularity": (0.0, 0.0, -1.0)}
"""Baselines; a negative popularity weight means popularity without TF-IDF."""


def settings() -> Iterator[Setting]:
    """All candidate weights, and the baselines."""
    yield _ALONE["popularity"]
    yield from itertools.product(_GRID["encoder"], _GRID["borrowed"], _GRID["popular"])


def _sum(setting: Setting, fixed: Parts, borrowed: Floats, popular: Floats) -> Floats:
    encoder, lent, liked = (np.float32(w) for w in setting)
    if liked < 0:
        return np.repeat(popular[None, :], len(borrowed), axis=0)
    total: Floats = fixed["tfidf"] + encoder * fixed["encoder"] + lent * borrowed + liked * popular
    return total


def _level(scores: Floats) -> Floats:
    """Scores of each query divided by their spread, so that weights mean the same with few and with many
    events."""
    known = np.nan_to_num(scores)
    out: Floats = known / np.maximum(known.std(axis=1, keepdims=True), 1e-9)
    return out


def _gain(scores: Floats, cases: EvalCases, inside: Mask | None) -> Floats:
    """NDCG@10 of one target per case, float32 (n,), within a category or over everything.

    May overwrite the scores of items in the history, which are excluded.
    """
    own = scores[np.arange(len(cases)), cases.target]
    if inside is None:
        scores[cases.histories.owner, cases.histories.item] = -np.inf
        competing = scores
    else:  # the history contains no items of the category
        competing = scores[:, inside]
    return ndcg(Relevant.of_one(competing, own), K).astype(np.float32)


def picture(rows: list[Row]) -> str:
    """The few-shot curve as SVG: share of full-data NDCG inside the category by number of events."""
    names = {NAMED.get(k, f"shots_{k}"): k for k in SHOTS}
    lines = []
    for dataset in dict.fromkeys(row["dataset"] for row in rows):
        found = [
            (names[r["slice"]], r["value"], *interval_of(r))
            for r in rows
            if r["dataset"] == dataset
            and r["model"] == "crossaisle"
            and r["metric"] == "share_of_full"
            and r["slice"] in names
        ]
        lines.append(Line(dataset, sorted(found)))
    return curve_svg(
        lines, title="A cold category", x="events of the category", y="share of full-data NDCG@10"
    )
