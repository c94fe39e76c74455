"""`rules check`, `--rules`, and a run with rules: what they say, and that lists obey."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from crossaisle import cli
from crossaisle.data.dataset import Dataset
from crossaisle.data.datasets import load_catalogue
from crossaisle.data.merchandising.rules import shipped
from crossaisle.data.merchandising.shown import check
from crossaisle.errors import FetchError
from crossaisle.pipeline.knowledge.check import check as coverage
from crossaisle.recommend.recommender import Recommender

RULES = """
[[rule]]
id = "no-milk"
action = "never"
items = ["item:milk1", "words:nothing at all"]
reason = "recalled"

[[rule]]
id = "bread-first"
action = "pin"
items = ["item:bread1"]
position = 1
placements = ["for_you"]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rules.toml"
    path.write_text(RULES)
    return path


@pytest.fixture(scope="module")
def model(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("rules") / "model"
    assert cli.run(["fit", str(shop), "--out", str(out)]) == 0
    return out


def test_check_says_what_rules_match(model: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["rules", "check", str(file), str(model)]) == 0
    out = capsys.readouterr().out
    assert "no-milk" in out
    assert re.search(r"no-milk +never +holds", out)
    assert "rule 'no-milk': words:nothing at all: no title has these words" in out
    file.write_text(RULES.replace("item:bread1", "item:braed1"))
    assert cli.run(["rules", "check", str(file), str(model)]) == 1
    assert "rule 'bread-first': unknown item 'braed1'" in capsys.readouterr().out
    assert cli.run(["rules", "check", str(file), str(model), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [rule["matches"] for rule in found["rules"]] == [0, 1]
    file.write_text(RULES.replace('"pin"', '"pni"'))
    assert cli.run(["rules", "check", str(file), str(model)]) == 2
    err = capsys.readouterr().err.strip()
    assert err.endswith("rules.toml, rule 'bread-first': action: unknown value 'pni' (did you mean 'pin'?)")


def test_a_list_obeys_a_file_and_says_what_it_did(
    model: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["recommend", str(model), "--history", "milk2", "-n", "5", "--rules", str(file)]
    assert cli.run([*asked, "--explain"]) == 0
    out = capsys.readouterr().out
    assert "rule bread-first, pin: bread1" in out
    assert "of the list's scores" in out
    assert cli.run([*asked, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    ids = [item["item_id"] for item in answer["items"]]
    assert ids[0] == "bread1"
    assert "milk1" not in ids
    for command in ("goes-with", "similar"):
        assert cli.run([command, str(model), "--item", "bread2", "--rules", str(file), "--json"]) == 0
        answer = json.loads(capsys.readouterr().out)
        assert "milk1" not in [item["item_id"] for item in answer["items"]]
    file.write_text(RULES.replace("item:bread1", "item:braed1"))
    assert cli.run(asked) == 2
    assert "rules.toml, rule 'bread-first': unknown item 'braed1'" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_keeps_the_rules_and_says_that_they_were_on(
    shop: Path, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "with-rules.toml"
    config.write_text(shop.read_text() + '\n[rules]\nfile = "rules.toml"\n')
    for table in shop.parent.iterdir():
        if table.is_file() and table.suffix != ".toml":
            (tmp_path / table.name).write_bytes(table.read_bytes())
    assert cli.run(["run", str(config), "--out", str(tmp_path / "out")]) == 0
    served = Recommender.load(tmp_path / "out" / "model")
    assert [rule.id for rule in served.rules.rules] == ["bread-first", "no-milk"]
    report = (tmp_path / "out" / "report.html").read_text()
    assert "merchandising rules were on (2: bread-first, no-milk)" in report
    assert cli.run(["evaluate", str(config)]) == 0
    assert "rules were on (2: bread-first, no-milk)" in capsys.readouterr().err
    file.write_text(RULES.replace("item:bread1", "item:braed1"))
    assert cli.run(["run", str(config), "--out", str(tmp_path / "out")]) == 2
    assert "rule 'bread-first': unknown item 'braed1'" in capsys.readouterr().err


@pytest.fixture(scope="module")
def demo() -> Dataset:
    """The shop of the demo."""
    try:
        return load_catalogue("completejourney").dataset
    except FetchError as error:
        pytest.skip(f"needs completejourney ({error})")


@pytest.mark.slow
@pytest.mark.parametrize(("page", "language"), [("rules", "toml"), ("knowledge", "csv")])
def test_the_first_example_of_the_docs_fits_the_demo(
    page: str, language: str, demo: Dataset, tmp_path: Path
) -> None:
    text = (Path(__file__).resolve().parents[2] / "docs" / f"{page}.md").read_text()
    block = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert block is not None
    file = tmp_path / f"{page}.{language}"
    file.write_text(block[1])
    if page == "rules":
        assert check(file, demo).unknown == ()
    else:
        covered = coverage(file, demo)
        assert (covered.wrong, covered.rejected) == ((), ())


@pytest.mark.slow
def test_the_rules_of_the_demo_fit_its_shop(demo: Dataset) -> None:
    found = check(shipped("completejourney"), demo)
    assert (found.unknown, found.contradictions) == ((), ())
    assert all(rule["matches"] and not rule["notices"] for rule in found.rules)
