"""The report holds what it was given, escaped, and asks nothing of the network."""

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from crossaisle.data.splits.split import basket_split, temporal_split
from crossaisle.drift.windows import drift
from crossaisle.errors import ConfigError
from crossaisle.evaluate.beyond_accuracy import category_flow
from crossaisle.evaluate.probabilities.reliability import reliability
from crossaisle.evaluate.report.charts import heat
from crossaisle.evaluate.report.page import facts, number, percent, text
from crossaisle.evaluate.report.report import write_report
from crossaisle.evaluate.report.verdicts import verdicts
from crossaisle.evaluate.results import Evaluation, evaluate
from tests.evaluate.shops import random_shop, shop

EVIL = "<script>alert(1)</script>\"'&\x00\x1b[31m\u202egnp.exe"
VOID = {"meta", "br"}


class Checker(HTMLParser):
    """Balanced tags, unique ids, links that lead somewhere, no script, nothing loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag not in ("script", "link", "img", "iframe")
        for name, value in attrs:
            assert not name.startswith("on")
            assert name != "src"
            if name == "id":
                self.ids.append(value or "")
            if name == "href":
                self.links.append(value or "")
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.words.append(data)


def checked(path: Path) -> str:
    source = path.read_text(encoding="utf-8")
    checker = Checker()
    checker.feed(source)
    assert checker.open == []
    assert len(set(checker.ids)) == len(checker.ids)
    assert all(link.startswith("#") and link[1:] in checker.ids for link in checker.links)
    assert "http:" not in source
    assert "https:" not in source
    assert not any(ord(c) < 32 and c != "\n" for c in source)
    return " ".join(checker.words)


def made(models: tuple[str, ...] = ("popularity", "crossaisle")) -> tuple[Evaluation, dict]:
    data = random_shop(1)
    split = temporal_split(data)
    scores = {
        "popularity": split.past.item_counts.astype(np.float32),
        "crossaisle": np.random.default_rng(0).random(30).astype(np.float32),
        EVIL: np.zeros(30, np.float32),
    }
    chosen = {m: (lambda h, s=scores[m]: np.tile(s, (len(h), 1))) for m in models}
    evaluation = evaluate(chosen, split, data, resamples=100, costs={"crossaisle": {"fit_seconds": 1.0}})
    flow = category_flow(evaluation.lists["crossaisle"], evaluation.cases.histories, data.taxonomy)
    return evaluation, {"heatmap": flow, "drift": drift(data, split)}


def test_everything_at_once_and_escaped(tmp_path: Path):
    evaluation, more = made(("popularity", "crossaisle", EVIL))
    item = {"title": EVIL, "category": EVIL, "score": 1.0, "reasons": [EVIL]}
    write_report(
        tmp_path / "report.html",
        title=EVIL,
        evaluation=evaluation,
        describe={"shop": EVIL, "items": 30, EVIL: {"a": [1, 2.5]}, "rows": [{"x": 1, "y": EVIL}]},
        import_report={
            "tables": {EVIL: {"rows_read": 9, "rows_kept": 5, "set_aside": {EVIL: 4}, "repaired": {}}},
            "warnings": [EVIL],
        },
        examples=[{"user": EVIL, "history": [item] * 12, "items": [item]}, {"user": "new", "items": [item]}],
        notes=[EVIL],
        **more,
    )
    words = checked(tmp_path / "report.html")
    assert "\u202e" not in words
    for expected in (
        "latest 8 of 12",
        "nothing yet",
        "Reasons",
        "Has the shop changed?",
        "Across categories",
    ):
        assert expected in words, expected


def test_only_what_is_given_is_shown(tmp_path: Path):
    evaluation, _ = made(("crossaisle",))
    write_report(tmp_path / "r.html", title="Alone", evaluation=evaluation)
    words = checked(tmp_path / "r.html")
    assert "Has the shop changed?" not in words
    assert "What some customers would see" not in words
    assert "better" not in words


def test_baskets(tmp_path: Path):
    data = shop(
        [(b, i, None) for b in range(60) for i in (0, 1, 2, 3)],
        ["A>x", "B>y", "A>z", "C"],
        users_are_baskets=True,
    )
    flat = np.array([1, 4, 2, 3], np.float32)
    models = {
        "crossaisle": lambda h: np.tile(flat, (len(h), 1)),
        "other": lambda h: np.tile(-flat, (len(h), 1)),
    }
    evaluation = evaluate(models, basket_split(data), data, resamples=50)
    assert evaluation.slices == ("all", "cross_limited")
    write_report(tmp_path / "r.html", title="Baskets", evaluation=evaluation)
    assert "Whole baskets were held out" in checked(tmp_path / "r.html")


def test_a_clear_loss_is_said(tmp_path: Path):
    data = random_shop(3, n_users=200, n_events=4000)
    split = temporal_split(data)
    truth = {int(u): split.test.targets_of(i) for i, u in enumerate(split.test.histories.user)}

    def oracle(histories):
        out = np.zeros((len(histories), 30), np.float32)
        for row, user in enumerate(histories.user.tolist()):
            out[row, truth.get(user, [])] = 1.0
        return out

    models = {"crossaisle": lambda h: -oracle(h), "oracle": oracle}
    evaluation = evaluate(models, split, data, resamples=50)
    write_report(tmp_path / "r.html", title="Bad", evaluation=evaluation)
    words = checked(tmp_path / "r.html")
    assert "▼ worse -100%" in words
    assert "worse than oracle; keep using that model there" in words
    assert "▼ worse" in words
    assert "▲ better" not in words


def test_the_first_sentence_counts_and_few_cases_are_a_warning(tmp_path: Path) -> None:
    evaluation, _ = made()
    write_report(tmp_path / "r.html", title="t", evaluation=evaluation)
    words = checked(tmp_path / "r.html")
    mean = evaluation.row("crossaisle", "all", "precision")
    assert mean is not None
    assert f"Of ten recommendations, {10 * mean['value']:.1f} were bought" in " ".join(words.split())
    write_report(tmp_path / "looked.html", title="t", evaluation=replace(evaluation, bought=False))
    looked = " ".join(checked(tmp_path / "looked.html").split())
    assert f"Of ten recommendations, {10 * mean['value']:.1f} were chosen" in looked
    rows = [
        {**r, "value": 0.0114, "low": 0.0091, "high": 0.0132}
        if (r["model"], r["metric"]) == ("crossaisle", "precision")
        else r
        for r in evaluation.rows
    ]
    write_report(tmp_path / "rare.html", title="t", evaluation=replace(evaluation, rows=rows))
    rare = " ".join(checked(tmp_path / "rare.html").split())
    assert "Of 100 recommendations, 1.1 were bought" in rare  # not "0.1 of ten, 0.1 to 0.1"
    assert "(95 % interval 0.9 to 1.3)" in rare
    hits = 10 * np.nansum(evaluation.per_case("crossaisle", "all", "precision"))
    assert f"ten recommendations hold {percent(hits / len(evaluation.cases.target))} of everything" in words
    assert ("Only" in words) == (len(evaluation.cases) < 100)
    assert len(evaluation.cases) < 100, "this shop is small on purpose"
    assert "Collect more events before deciding anything" in words


def test_no_slice_and_no_note_stands_there_twice(tmp_path: Path) -> None:
    data = random_shop(3, n_users=200, n_events=1000)
    models = {"crossaisle": lambda h: np.tile(np.arange(30, dtype=np.float32), (len(h), 1))}
    evaluation = evaluate(models, temporal_split(data), data, resamples=50)
    assert {"novel_limited", "new_category"} <= set(evaluation.slices)
    write_report(tmp_path / "r.html", title="t", evaluation=evaluation, notes=[*evaluation.notes, "once"])
    source = (tmp_path / "r.html").read_text()
    assert "<code>novel_limited</code>" in source
    assert "<code>new_category</code>" not in source, "the same figures under another name"
    for note in (*evaluation.notes, "once"):
        assert source.count(f"<li>{text(note, 600)}</li>") == 1


def test_what_is_called_clear_is_clear_in_the_interval_that_is_shown() -> None:
    data = random_shop(3, n_users=300, n_events=6000)
    split = temporal_split(data)
    noise = np.random.default_rng(0).random((2, 30)).astype(np.float32)
    models = {"crossaisle": lambda h: np.tile(noise[0], (len(h), 1))}
    models["popularity"] = lambda h: np.tile(noise[1], (len(h), 1))
    evaluation = evaluate(models, split, data, resamples=200)
    slices = ["all", "cross_limited", "novel_limited", "new_item"]
    together = verdicts(evaluation, "crossaisle", ["popularity"], slices, metric="recall", k=10)
    alone = {row["slice"]: row for row in evaluation.compare("crossaisle", slices=slices, metric="recall")}
    for name, verdict in together.items():
        assert verdict.high - verdict.low >= alone[name]["high"] - alone[name]["low"]
        expected = "better" if verdict.low > 0 else "worse" if verdict.high < 0 else "no clear difference"
        assert verdict.word == expected


def test_without_recall_at_ten_it_says_so(tmp_path: Path):
    data = random_shop(1)
    evaluation = evaluate({"a": lambda h: np.zeros((len(h), 30))}, temporal_split(data), data, ks=(5,))
    with pytest.raises(ConfigError, match="recall at 10"):
        write_report(tmp_path / "r.html", title="x", evaluation=evaluation)


def test_text_is_short_and_clean():
    assert text("a" * 10_000_000) == "a" * 160 + "…"
    assert text('<b a="1">') == "&lt;b a=&quot;1&quot;&gt;"
    assert text("跑步鞋 émoi") == "跑步鞋 émoi"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "–"), (float("nan"), "–"), (12345, "12,345"), (0.12345, "0.1235"), (1234.5, "1,234.5"), (0, "0")],
)
def test_numbers(value: float | None, shown: str):
    assert number(value) == shown


def test_facts_of_plain_data():
    assert facts({"a_b": True}) == "<dl><dt>A b</dt><dd>yes</dd></dl>"
    nested = facts([{"level": 1, "events": {"min": 1.0, "95%": 5642.499999999996}}])
    assert "min 1, 95% 5,642.5" in nested
    assert "{" not in nested
    assert facts([]) == facts({}) == facts(None) == "–"


def test_the_heat_map_keeps_the_busiest_categories():
    counts = np.zeros((30, 30), np.int64)
    counts[3, 3], counts[3, 7] = 30, 10
    made = heat(counts, [f"Root > c{i}" for i in range(30)], caption="x")
    assert ">75<" in made
    assert ">25<" in made
    assert made.count("<tr>") == 3  # the head and two categories
    assert heat(np.zeros((2, 2), np.int64), ["a", "b"], caption="x") == ""


def test_probabilities_of_a_ranker_stand_beside_what_came_true(tmp_path: Path) -> None:
    said, right = np.linspace(0.0, 0.5, 1500), np.arange(1500) % 4 == 0
    figures = {"for_you": {"calibration": reliability(said, right).to_dict()}}
    evaluation, rest = made()
    write_report(tmp_path / "report.html", title="t", evaluation=evaluation, rankers=figures, **rest)
    words = checked(tmp_path / "report.html")
    assert f"for_you {reliability(said, right).error:.4f}" in words
    assert "How reliable the probabilities are" in words
    surest = reliability(said, right).chance[-1]
    assert percent(surest, 2) in words
    write_report(tmp_path / "report.html", title="t", evaluation=evaluation, **rest)
    assert "How reliable the probabilities are" not in checked(tmp_path / "report.html")
