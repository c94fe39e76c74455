import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from crossaisle import cli
from crossaisle.cli.analysis.user import _when
from crossaisle.data.history import Histories
from crossaisle.errors import UnknownIdError
from crossaisle.evaluate.report.examples import examples_html
from crossaisle.evaluate.results import Evaluation
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.content import TfidfSimilarity
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.pipeline.analysis.examples import examples_of
from crossaisle.pipeline.analysis.portrait import interests_of, portrait
from crossaisle.recommend.recommender import Recommender
from tests.models.shops import tiny_shop


@pytest.fixture(scope="module")
def recommender() -> Recommender:
    data = tiny_shop()
    parts = {"popularity": Popularity(), "tfidf": TfidfSimilarity()}
    return Recommender(data, Blend(parts=parts, weights={"for_you": {"popularity": 1.0}}).fit(data))


def test_a_user_in_words(recommender: Recommender):
    found = portrait(recommender, "u1")
    assert found.events == 8
    assert {one.label.partition(":")[0] for one in found.interests} <= {
        "Tools",
        "Paint",
        "Hardware",
        "Garden",
    }
    assert found.interests[0].typical[0].startswith("fresh ")
    assert sum(share for _, share in found.categories) == pytest.approx(1.0)
    assert {name for name, _ in found.categories} == {"Garden", "Hardware"}
    assert found.tempo == 7.0
    assert found.gap_days == 1.0
    assert found.repeats == pytest.approx(1 / 8)
    assert found.days_since == 0.0
    json.dumps(found.to_dict(), allow_nan=False)


def test_an_unknown_user_is_told(recommender: Recommender):
    with pytest.raises(UnknownIdError, match="unknown user 'nobody'"):
        portrait(recommender, "nobody")


def test_the_report_shows_interest_points(recommender: Recommender):
    (points,) = interests_of(recommender, recommender.history_of("u1"))
    example = {"user": "u1", "interests": [{"label": f"<{p.label}>", "share": p.share} for p in points]}
    page = examples_html([example])
    assert "Interested in" in page
    assert f"&lt;{points[0].label}&gt; {points[0].share:.0%}".replace("%", "") in page.replace(
        "\u202f", ""
    ).replace(" %", "")
    assert "Interested in" not in examples_html([{"user": "u2"}])


def test_the_report_shows_customers_with_a_history(recommender: Recommender) -> None:
    """Most visitors of an open shop are new: three of them would be shown one list three times."""
    known = [[row] for row in (1, 2, 3)]
    evaluation = cast(
        Evaluation, SimpleNamespace(cases=SimpleNamespace(histories=Histories.of([[]] * 9 + known)))
    )
    assert [len(example["history"]) for example in examples_of(recommender, evaluation)] == [1, 1, 1]
    nobody = cast(Evaluation, SimpleNamespace(cases=SimpleNamespace(histories=Histories.of([[]] * 9))))
    assert [example["history"] for example in examples_of(recommender, nobody)] == [[], [], []]


def test_the_command(recommender: Recommender, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    recommender.save(tmp_path / "model")
    assert cli.run(["user", str(tmp_path / "model"), "u1"]) == 0
    out = capsys.readouterr().out
    assert "interested in" in out
    assert "8 events, on 7.0 days a week" in out
    assert "on 1.0 days a year" in _when(replace(portrait(recommender, "u1"), tempo=0.02))
    assert "price level" in out
    assert cli.run(["user", str(tmp_path / "model"), "u1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["user"] == "u1"
    assert cli.run(["user", str(tmp_path / "model"), "u11x"]) == 1
    assert "unknown user 'u11x'" in capsys.readouterr().err
