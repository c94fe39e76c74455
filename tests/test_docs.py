"""What the documentation says is so: commands, options, links, examples, the result table.

A fenced block runs when the line before it is `<!-- test -->`: Python in a fresh folder, one name space
per page; each `$ crossaisle ...` line of a console block as a command that must succeed.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from crossaisle import cli
from crossaisle.clean_config import CleanConfig
from crossaisle.cli.app import app
from crossaisle.config import (
    DataConfig,
    EvaluateConfig,
    EventColumns,
    EventsConfig,
    ItemColumns,
    ModelConfig,
    RulesConfig,
    SplitConfig,
    UserColumns,
)
from crossaisle.train_config import TrainConfig

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks" / "README.md"])
FENCE = re.compile(r"^(<!-- test -->\n)?```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def commands(text: str) -> Iterator[str]:
    """Every `crossaisle ...` in fenced blocks and in inline code."""
    for _, language, block in FENCE.findall(text):
        if language in ("console", "sh"):
            joined = block.replace("\\\n", " ")
            yield from re.findall(r"^(?:\$ )?(crossaisle .*)$", joined, re.MULTILINE)
    yield from re.findall(r"`(crossaisle [a-z][^`\n]*)`", FENCE.sub("", text))


ALL_COMMANDS = sorted({(name(page), line) for page in PAGES for line in commands(page.read_text())})


@pytest.mark.parametrize(("page", "line"), ALL_COMMANDS)
def test_commands_and_options_exist(page: str, line: str) -> None:
    words = shlex.split(line.split(" #")[0].split(" | ")[0].split(" > ")[0])[1:]
    command: Any = get_command(app)
    while getattr(command, "commands", None) and words and not words[0].startswith("-"):
        assert words[0] in command.commands, f"{page}: `{line}`: there is no command {words[0]!r}"
        command = command.commands[words.pop(0)]
    options = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    for word in words:
        if word.startswith("-") and not re.fullmatch(r"-\d.*", word):
            assert word.split("=")[0] in options, f"{page}: `{line}`: there is no option {word}"


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text()), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_resolve(page: Path) -> None:
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name(page)}: {link} leads nowhere"
        if anchor:
            assert anchor in anchors(target), f"{name(page)}: {link}: no such heading"


TESTED = [page for page in PAGES if "<!-- test -->" in page.read_text()]


@pytest.mark.parametrize("page", TESTED, ids=name)
def test_examples_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {"__name__": "__main__"}
    for marked, language, block in FENCE.findall(page.read_text()):
        if not marked:
            continue
        if language == "python":
            exec(compile(block, name(page), "exec"), space)
        elif language in ("toml", "csv", "json"):
            file, _, content = block.partition("\n")
            Path(file.strip("# ")).write_text(content)
        else:
            for line in re.findall(r"^\$ crossaisle (.*)$", block.replace("\\\n", " "), re.MULTILINE):
                assert cli.run(shlex.split(line)) == 0, f"{line}: {capsys.readouterr().err}"


def tracked() -> list[Path]:
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip("this is no git clone, so there is no telling which files are tracked")
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


def test_no_file_names_a_machine_or_a_registry_host() -> None:
    hosts = ("pypi" + ".org", "python" + "hosted", "npmjs" + ".org", "find" + "-links")
    paths = ["/" + root + "/" for root in ("work", "root", "home", "tmp", "opt", "Users")]
    allowed = {"tests/test_fetch.py", "tests/test_docs.py"}
    for file in tracked():
        try:
            text = file.read_text()
        except UnicodeDecodeError:
            continue
        for word in (*hosts, *paths):
            found = re.search(r"(?<![\w.~}])" + re.escape(word), text)
            assert not found or name(file) in allowed, f"{name(file)} holds {word!r}"


TRANSLATED = sorted(
    (page, page.with_name(page.name.replace(".zh.md", ".md"))) for page in ROOT.glob("**/*.zh.md")
)


@pytest.mark.parametrize(("chinese", "english"), TRANSLATED, ids=lambda page: name(page))
def test_a_translation_keeps_step(chinese: Path, english: Path) -> None:
    """The same headings, commands, settings and rows; a table of results stands in one place only."""
    first, second = english.read_text(), chinese.read_text()
    results = re.compile(r"<!-- results:start -->.*?<!-- results:end -->", re.DOTALL)
    assert "<!-- results" not in second
    shapes = []
    for text in (results.sub("", first), second):
        blocks = [(language, block) for _, language, block in FENCE.findall(text)]
        commands = [line for _, b in blocks for line in b.splitlines() if line.startswith("$ ")]
        settings = [block for language, block in blocks if language == "toml"]
        rows = re.findall(r"^\| (`[^|]*`) \|", FENCE.sub("", text).replace("、", ", "), re.MULTILINE)
        levels = [len(hashes) for hashes in re.findall(r"^(#+) ", FENCE.sub("", text), re.MULTILINE)]
        shapes.append((levels, commands, settings, rows))
    assert shapes[0] == shapes[1]


def test_the_readme_shows_it_working_before_line_40() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()[:40]
    assert any(line.startswith("$ crossaisle recommend") for line in lines)
    assert any(line.split() == ["item", "title", "category", "price", "score", "why"] for line in lines)
    assert any(line.startswith("1  ") and "  Because you b" in line for line in lines)


def test_other_libraries_have_the_figures_of_their_run() -> None:
    """README and docs/evaluation.md beside docs/results/peers."""
    rows = json.loads((ROOT / "docs" / "results" / "peers" / "s3rec-beauty.json").read_text())
    found = {(r["model"], r["slice"]): r["value"] for r in rows if (r["metric"], r["k"]) == ("ndcg", 10)}
    labels = {
        "implicit-als": "implicit, ALS",
        "implicit-bm25": "implicit, BM25",
        "lenskit-item_knn": "LensKit, item-kNN",
        "lenskit-ease": "LensKit, EASE",
    }
    readme = (ROOT / "README.md").read_text()
    for model, label in labels.items():
        figures = [found[model, one] for one in ("all", "cross_limited", "novel_open", "novel_limited")]
        assert f"| {label} | " + " | ".join(f"{f:.4f}" for f in figures) + " |" in readme


def test_the_result_table_is_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "results_table.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_result_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    from results_table import END, START, filled, keep

    shared = {"dataset": "instacart", "split": "test", "slice": "all", "metric": "recall", "k": 10, "n": 9000}
    rows = [
        shared | {"model": "popularity", "value": 0.077, "low": 0.07, "high": 0.08},
        shared | {"model": "crossaisle", "value": 0.0951, "low": 0.09, "high": 0.1},
        shared | {"model": "crossaisle", "value": 0.5, "low": 0.5, "high": 0.5, "split": "validation"},
        shared | {"model": "crossaisle", "value": 0.5, "low": 0.5, "high": 0.5, "k": 5},
    ]
    (tmp_path / "results.json").write_text(json.dumps(rows))
    kept = keep(tmp_path, tmp_path / "kept")
    assert json.loads(kept.read_text()) == rows[:2]
    text = filled(f"before\n{START}\nold\n{END}\nafter\n", kept.parent)
    assert "| 0.0770 | **0.0951** [0.0900, 0.1000] | 9,000 |" in text
    assert "0.5" not in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")


def test_every_setting_is_described_with_its_default() -> None:
    page = (ROOT / "docs" / "config.md").read_text()
    parts = re.split(r"^## (.*)$", page, flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    tables = {
        "data": DataConfig,
        "data.clean": CleanConfig,
        "split": SplitConfig,
        "evaluate": EvaluateConfig,
        "model": ModelConfig,
        "rules": RulesConfig,
        "train": TrainConfig,
    }
    for title, kind in [*tables.items(), ("data.events, data.items, data.users", EventsConfig)]:
        rows = dict(re.findall(r"^\| `(\w+)` \| ([^|]*?) \|", sections[title], re.MULTILINE))
        expected = {
            f.name: f.default if f.default_factory is MISSING else f.default_factory()
            for f in fields(kind)
            if kind is CleanConfig or f.name not in ("events", "items", "users")
        }
        assert set(rows) == set(expected), title
        for key, default in expected.items():
            if rows[key].startswith("`"):
                value = list(default) if isinstance(default, tuple) else default
                assert json.loads(rows[key].strip("`")) == value, f"{title}: {key}"
            else:
                assert default is None or is_dataclass(default), f"{title}: {key}"
    for table, kind in (("events", EventColumns), ("items", ItemColumns), ("users", UserColumns)):
        [row] = re.findall(rf"^\| `{table}` \| (.*) \|$", sections["columns"], re.MULTILINE)
        assert set(re.findall(r"`(\w+)`", row)) == {f.name for f in fields(kind)}


MODULE = re.compile(r"`((?:[a-z_]+/)*[a-z_]+\.py|(?:[a-z_]+/)+)`")


def test_every_benchmark_is_listed() -> None:
    """All scripts, including parts they share, and nothing that does not exist."""
    scripts = {file.name for file in (ROOT / "benchmarks").glob("*.py")}
    page = (ROOT / "benchmarks" / "README.md").read_text()
    assert set(re.findall(r"`(?:python benchmarks/)?([a-z_]+\.py)\b", page)) == scripts


def test_the_files_of_the_architecture_exist() -> None:
    """Named from the package, from `serve/` or by their last part."""
    files = [
        file
        for folder in ("src", "tests", "benchmarks", "docs")
        for file in [ROOT / folder, *(ROOT / folder).rglob("*")]
    ]
    known = [f"/{file.relative_to(ROOT).as_posix()}{'/' * file.is_dir()}" for file in files]
    mentioned = MODULE.findall((ROOT / "docs" / "architecture.md").read_text())
    assert len(mentioned) > 50
    wrong = [each for each in mentioned if not any(path.endswith(f"/{each}") for path in known)]
    assert wrong == []
