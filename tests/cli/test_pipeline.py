"""`run`, `fit`, `evaluate`: a shop in files becomes a report and a model that answers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crossaisle import cli


@pytest.fixture(scope="module")
def done(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "corner"
    assert cli.run(["run", str(shop), "--out", str(out)]) == 0
    return out


def test_a_run_leaves_everything(done: Path) -> None:
    assert {p.name for p in done.iterdir()} == {"report.html", "metrics.json", "run.json", "model", "import"}
    assert {p.name for p in (done / "import").iterdir()} == {"report.json", "rejected.parquet"}
    metrics = json.loads((done / "metrics.json").read_text())
    assert metrics["dataset"] == "corner shop"


def test_its_model_answers(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = str(done / "model")
    assert cli.run(["recommend", model, "--user", "c0", "-n", "3", "--placement", "discover"]) == 0
    assert cli.run(["goes-with", model, "--item", "milk1", "-n", "3", "--explain"]) == 0
    assert cli.run(["similar", model, "--item", "milk1", "-n", "3"]) == 0
    assert cli.run(["explain", model, "--user", "c0", "--item", "bread1"]) == 0
    assert cli.run(["describe", model]) == 0
    assert "Traceback" not in capsys.readouterr().err


def test_a_run_says_what_it_found(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["run", str(shop), "--out", str(tmp_path / "a"), "--json"]) == 0
    out, err = capsys.readouterr()
    result = json.loads(out)
    assert result["set_aside"] == 1
    assert "importing corner shop" in err
    assert "events: 1,200 of 1,201 rows kept; set aside: unknown_item 1" in err
    assert cli.run(["run", str(shop), "--out", str(tmp_path / "a")]) == 0
    out, _ = capsys.readouterr()
    assert "For customer " in out
    assert "report.html" in out


def test_fit_saves_a_model_only(shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["fit", str(shop), "--out", str(tmp_path / "model"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["items"] == 24
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    assert cli.run(["recommend", str(tmp_path / "model"), "--user", "c1"]) == 0


def test_fit_incremental_fits_first_and_then_only_adds(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tmp_path / "model"
    fit = ["fit", str(shop), "--out", str(model), "--incremental"]
    lines = (shop.parent / "orders.csv").read_text().splitlines()
    early = tmp_path / "early.csv"
    early.write_text("\n".join(line for line in lines if not line.endswith("-20")) + "\n")
    assert cli.run([*fit, "--set", f"data.events.path={early}"]) == 0
    assert (tmp_path / "model.counts").is_dir()
    capsys.readouterr()
    assert cli.run(fit) == 0
    told = capsys.readouterr().err
    assert "60 new events of 60 users" in told
    assert "unchanged since the last full fit" in told
    assert cli.run(["describe", str(model)]) == 0
    assert "60 of 1,200 events came after the last full fit (5.0%)" in capsys.readouterr().out
    assert cli.run([*fit, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["since_fit"] == {"fitted_on": 1140, "events": 60, "updates": 1}
    assert answer["events_added"] == 0


def test_a_file_of_new_events_is_not_spoken_of_as_a_shop(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    items = "".join(f"i{n},Thing {n}\n" for n in range(30))
    rows = "".join(f"u{n % 9},i{n % 30},2024-01-{n % 28 + 1:02}\n" for n in range(120))
    new = "u1,i2,2024-03-01\nu77,i3,2024-03-02\n"
    for name, text in (("items", "item_id,title\n" + items), ("events", rows), ("new", new)):
        head = "" if name == "items" else "user_id,item_id,time\n"
        (tmp_path / f"{name}.csv").write_text(head + text, encoding="utf-8")
    toml = '[data.items]\npath = "items.csv"\n[data.events]\npath = "events.csv"\n'
    (tmp_path / "shop.toml").write_text(toml + '[model]\nencoder = "none"\n', encoding="utf-8")
    fit = ["fit", str(tmp_path / "shop.toml"), "--out", str(tmp_path / "model"), "--incremental"]
    assert cli.run(fit) == 0
    assert "items have no categories" in capsys.readouterr().err
    assert cli.run([*fit, "--set", f"data.events.path={tmp_path / 'new.csv'}"]) == 0
    told = capsys.readouterr().err
    assert "2 new events of 2 users" in told
    assert "single event" not in told
    assert "categories" not in told
    returns = "user_id,item_id,time,kind\nu1,i2,2024-03-03,return\n"
    (tmp_path / "returns.csv").write_text(returns, encoding="utf-8")
    assert cli.run([*fit, "--set", f"data.events.path={tmp_path / 'returns.csv'}"]) == 0
    assert "1 new events" in capsys.readouterr().err


def test_fit_incremental_says_what_is_in_its_way_before_it_reads_tables(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model.counts").write_text("mine")
    fit = ["fit", str(shop), "--out", str(tmp_path / "model"), "--incremental"]
    assert cli.run([*fit, "--set", "data.events.path=no.csv"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{tmp_path / 'model.counts'}: exists and is not a saved crossaisle folder" in line


def test_a_demo_shop_without_its_data_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["demo", "--shop", "fashion", "--root", str(tmp_path)]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("crossaisle: fashion: fashion/products.parquet is not below ")
    assert "ashraq/fashion-product-images-small" in line
    assert not list(tmp_path.iterdir())


def test_evaluate_measures_every_model(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["evaluate", str(shop), "--out", str(tmp_path), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {"crossaisle", "popularity"} <= {row["model"] for row in rows}
    assert {row["split"] for row in rows} == {"test"}
    assert (tmp_path / "metrics.json").is_file()
    assert cli.run(["evaluate", str(shop), "--on", "validation"]) == 0
    assert "recall@10" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["run", "{shop}"], 2, "Missing option '--out'"),
        (["run", "{shop}", "--out", "{out}", "--set", "model.kep=1"], 2, "did you mean 'keep'?"),
        (["run", "{shop}", "--out", "{out}", "--set", "data.events.path=no.csv"], 1, "no.csv"),
        (["run", "{shop}", "--out", "{shop}"], 2, "shop.toml: is a file; name a folder for the results"),
        (["run", "{shop}", "--out", "{out}", "--set", "split.test=2030-01-01"], 2, "test (from 2030-01-01)"),
        (["fit", "{shop}", "--out", "{shop}"], 1, "shop.toml"),
        (["evaluate", "{shop}", "--on", "train"], 2, "--on must be test or validation"),
        (["benchmark", "instacrt", "--out", "{out}"], 2, "did you mean 'instacart'?"),
    ],
)
def test_mistakes(
    arguments: list[str],
    code: int,
    message: str,
    shop: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [a.format(shop=shop, out=tmp_path / "out") for a in arguments]
    assert cli.run(given) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err.splitlines()[-1]
    assert "Traceback" not in err


def test_an_interrupt_amid_the_making_of_a_class_has_the_same_exit_code(tmp_path: Path) -> None:
    (tmp_path / "interrupted.py").write_text(
        "from crossaisle import cli\n"
        "def run(arguments):\n    exec('raise KeyboardInterrupt')\n"
        "cli.run = run\ncli.main([])\n"
    )
    command = [sys.executable, "-m", "interrupted"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (130, "crossaisle: interrupted\n")


def test_an_interrupted_run_ends_cleanly_and_can_be_repeated(shop: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "crossaisle", "run", str(shop), "--out", str(out)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("fitting"):
                break
        process.send_signal(signal.SIGINT)
        printed, said = process.communicate(timeout=60)
    assert (process.returncode, printed) == (130, "")
    assert said.splitlines()[-1] == "crossaisle: interrupted"
    assert "Traceback" not in said
    assert not (out / "report.html").exists()
    assert not (out / "model").exists()
    assert cli.run(["run", str(shop), "--out", str(out)]) == 0
    assert {p.name for p in out.iterdir()} == {"report.html", "metrics.json", "run.json", "model", "import"}
