"""What holds for every command: exit codes, one-line errors, clean stdout."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from crossaisle import __version__, cli
from crossaisle.cli.app import SECTIONS, app
from crossaisle.encoders import weights
from crossaisle.errors import ConfigError, CrossaisleError, DataError


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out == f"crossaisle {__version__}\n"
    assert cli.run(["--help"]) == 0
    assert "crossaisle run CONFIG.toml" in capsys.readouterr().out
    assert cli.run([]) == 2
    assert "Language models:" in capsys.readouterr().err
    assert cli.run(["recommend", "-h"]) == 0
    assert "-n, --n N " in capsys.readouterr().out


def test_each_command_stands_in_one_section_of_the_help() -> None:
    command: Any = get_command(app)
    listed = [name for names in SECTIONS.values() for name in names]
    assert sorted(listed) == sorted(command.commands)


def test_a_closed_pipe_ends_a_command_quietly() -> None:
    command = f"{sys.executable} -m crossaisle models list | head -0; exit ${{PIPESTATUS[0]}}"
    said = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (said.returncode, said.stderr) == (0, "")


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every command that does something, with its name."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield " ".join(path), command
    for name, one in (inner or {}).items():
        yield from leaves(one, (*path, name))


@pytest.mark.parametrize(("name", "command"), [*leaves(get_command(app))])
def test_every_command_has_an_example_and_json(name: str, command: Any) -> None:
    assert f"crossaisle {name}" in command.help
    options = {option for parameter in command.params for option in parameter.opts}
    assert "--json" in options or name == "serve"  # which answers over HTTP, in JSON


@pytest.mark.parametrize(("name", "command"), [*leaves(get_command(app))])
def test_help_is_in_words(name: str, command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """No types of Python, and an argument is called what the usage line calls it."""
    assert cli.run([*name.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert not re.search(r"<(int|str|float|path|bool|list)\b", shown)
    usage, _, rest = shown.partition("\n\n")
    assert not re.search(r"[{}]|\[\[", usage)
    for argument in (one for one in command.params if one.param_type_name == "argument"):
        assert argument.metavar in usage
        assert re.search(rf"^  \[?{re.escape(argument.metavar)}", rest, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["modls"], "crossaisle: No such command 'modls'. Did you mean 'models'?"),
        (["models", "pull"], "crossaisle: Missing argument 'NAME'."),
        (["models", "list", "--jsn"], "crossaisle: No such option: --jsn"),
        (["keys", "add", "none.sqlite", "web"], "crossaisle: none.sqlite: no such store; start the service"),
        (["recommend", "m", "--user", "1", "--history", "2"], "crossaisle: give either --user or --history"),
        (["recommend", "m", "--max-price", "abc"], "crossaisle: --max-price must be a number (found 'abc')"),
        (["recommend", "m", "--quota=x"], "crossaisle: --quota must be a whole number (found 'x')"),
        (["recommend", "m", "--offset", "1.5"], "crossaisle: --offset must be a whole number (found 1.5)"),
        (["serve", "m", "--port", "99999"], "crossaisle: --port must be at most 65535 (found 99999)"),
        (["serve", "m", "--workers", "0"], "crossaisle: --workers must be at least 1 (found 0)"),
        (
            ["recommend", "m", "--max-price", "nan"],
            "crossaisle: --max-price must be a finite number (found nan)",
        ),
        (["models", "pull", "minlm"], "crossaisle: unknown model 'minlm' (did you mean 'minilm'?)"),
    ],
)
def test_wrong_usage_is_one_line_and_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith(message)


def failing(error: BaseException) -> Callable[[str], object]:
    def fail(_name: str) -> object:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (DataError("must be a number", file="a.csv", row=3, column="price", value="x"), 1, "a.csv, row 3,"),
        (ConfigError("k must be at least 1"), 2, "k must be at least 1"),
        (CrossaisleError("two\nlines"), 1, "two lines"),
        (PermissionError(13, "Permission denied", "out"), 1, "out: Permission denied"),
        (MemoryError(), 1, "out of memory"),
        (KeyError("x"), 1, "unexpected KeyError: 'x'; this is a bug"),
    ],
)
def test_errors_are_one_line_without_traceback(
    error: Exception,
    code: int,
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(weights, "local_folder", failing(error))
    assert cli.run(["models", "pull", "minilm"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("crossaisle: ")
    assert message in err
    assert err.count("\n") == 1
    with pytest.raises(type(error)):
        cli.run(["--debug", "models", "pull", "minilm"])


def test_an_interrupt_ends_with_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(weights, "local_folder", failing(KeyboardInterrupt()))
    with pytest.raises(SystemExit, match="130"):
        cli.main(["models", "pull", "minilm"])
    assert capsys.readouterr().err == "crossaisle: interrupted\n"


def test_models_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["models", "list", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert [model["name"] for model in listed] == list(weights.REGISTRY)
    assert cli.run(["models", "list"]) == 0
    assert "minilm" in capsys.readouterr().out


def test_the_command_runs_as_a_process() -> None:
    command = [sys.executable, "-m", "crossaisle", "models", "pull", "no-such-model"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines()[-1].startswith("crossaisle: unknown model 'no-such-model'")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("knowledge draft m --out r.csv --min-lift inf", "--min-lift must be a finite number (found inf)"),
        ("knowledge draft m --out r.csv --min-lift nan", "--min-lift must be at least 1 (found nan)"),
        ("improve shop.toml --out o --minutes nan", "--minutes must be a finite number (found nan)"),
        ("recommend m --user u --min-price inf", "--min-price must be a finite number (found inf)"),
        ("recommend m --user u -n 99999999999", "-n must be at most 2147483647 in size"),
        ("serve m --rate nan", "--rate must be at least 0.001"),
        ("serve m --rate 0", "--rate must be at least 0.001"),
        ("refit m --store s --seed -1", "--seed must be at least 0 (found -1)"),
        ("fit shop.toml --out m --set split.test=nan", "[split]: test: must be at least 0.0 and at most 0.9"),
        ("fit shop.toml --out m --set train.clip=inf", "[train]: clip: must be a finite number (found inf)"),
        ("fit shop.toml --out m --set model.seed=-1", "[model]: seed: must be at least 0"),
        (
            "fit shop.toml --out m --set model.seed=99999999999",
            "[model]: seed: must be at least 0 and at most",
        ),
        ("fit shop.toml --out m --set evaluate.k=[0]", "[evaluate]: k: must be at least 1"),
    ],
)
def test_numbers_out_of_range_are_one_line(
    command: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.toml").write_text('[data.events]\npath = "e.csv"\n')
    assert cli.run(command.split()) == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1
