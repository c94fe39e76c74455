"""No command repeats what is secret in an address that it is given."""

from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from crossaisle import cli
from crossaisle.cli.app import app
from crossaisle.cli.service import streams
from crossaisle.errors import HOSTS, cleaned, shorten, shown
from crossaisle.models.blend import Blend
from crossaisle.models.scorers.popularity import Popularity
from crossaisle.recommend.recommender import Recommender
from tests.cli.test_main import leaves
from tests.models.shops import tiny_shop

LEFT, RIGHT = "qw7xjv", "zk9yhp"
SECRET = LEFT + RIGHT
SHAPES = (
    f"user:{SECRET}@127.0.0.1:1/0",
    f":{SECRET}@127.0.0.1:1",
    f"user:{LEFT}/{RIGHT}@127.0.0.1:1/0",
    f"user:{LEFT}#{RIGHT}@127.0.0.1:1/0",
    f"user:{LEFT}?{RIGHT}@127.0.0.1:1/0",
    f"user:{LEFT}@{RIGHT}@127.0.0.1:1/0",
    f"user:{LEFT} {RIGHT}@127.0.0.1:1/0",
    f"user:{LEFT}%2F{RIGHT}@127.0.0.1:1/0",
    f"user:{LEFT}%zz{RIGHT}@127.0.0.1:1/0",
    f"user:{SECRET}@[::1/0",
    f"user:{SECRET}@127.0.0.1:1,user:{SECRET}@127.0.0.1:2/0",
    f"user:{SECRET}@127.0.0.1:port/0",
    f"127.0.0.1:{SECRET}/0",
    f"127.0.0.1:1/0?password={SECRET}&token={SECRET}",
    f"127.0.0.1:1/0?password={LEFT}@{RIGHT}",
    f"127.0.0.1:1/0#{SECRET}",
)
COMMANDS = dict(leaves(get_command(app)))
SCHEMES = {
    "consume": ("redis", "rediss", "unix", "kafka", "amqp"),
    "replay": ("http", "ftp"),
    "keys add": ("postgresql", "mysql"),
    "keys list": ("postgresql", "mysql"),
    "keys revoke": ("postgresql", "mysql"),
}


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Commands that wait are told to stop; what they write lands in a folder of their own."""
    stopped = threading.Event()
    stopped.set()
    monkeypatch.setattr(streams, "_on_signals", lambda: stopped)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tells_nothing(
    arguments: list[str], capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> str:
    """What a command says, which holds no secret."""
    caplog.clear()
    with caplog.at_level(logging.DEBUG):
        cli.run(arguments)
    said = capsys.readouterr()
    text = said.out + said.err + caplog.text
    assert LEFT not in text.lower(), (arguments, text)
    assert RIGHT not in text.lower(), (arguments, text)
    assert "this is a bug" not in said.err, (arguments, said.err)
    return said.err


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in ("consume", "replay", "compress") else ())
        for name in COMMANDS
        if name != "demo"
    ],
)
def test_no_command_repeats_a_password(
    name: str, quiet: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for scheme in SCHEMES.get(name, ("http",)):
        for shape in SHAPES if name in SCHEMES else SHAPES[::6]:
            address = f"{scheme}://{shape}"
            for arguments in calls(COMMANDS[name], address):
                tells_nothing([*name.split(), *arguments], capsys, caplog)


def calls(command: Any, address: str) -> list[list[str]]:
    """The address as every argument, and as each option in turn."""
    options = [p for p in command.params if p.opts[0].startswith("-") and not p.is_flag]
    alone = [address for p in command.params if not p.opts[0].startswith("-")]
    alone += [text for p in options if p.required for text in (p.opts[0], "x")]
    return [alone, *([*alone, p.opts[0], address] for p in options)]


def test_stores_of_a_service_are_shown_without_passwords(
    quiet: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("fastapi", reason="needs pip install 'crossaisle[serve]'")
    shop = tiny_shop()
    Recommender(shop, Blend(parts={"popularity": Popularity()}).fit(shop)).save("model")
    for shape in SHAPES:
        store = f"postgresql://{shape}"
        tells_nothing(["serve", "model", "--store", store], capsys, caplog)
        Path("shops.toml").write_text(
            f"[a]\nmodel = 'model'\nstore = '{store}'\n[b]\nmodel = 'model'\nstore = '{store}'\n"
        )
        for command in (["serve", "--shops", "shops.toml"], ["keys", "list", "shops.toml#a"]):
            assert "have the same store" in tells_nothing(command, capsys, caplog)
        Path("shops.toml").write_text(f"[a]\nmodel = 'model'\nstore = '{store}'\nrate = '{store}'\n")
        tells_nothing(["serve", "--shops", "shops.toml"], capsys, caplog)
        Path("shops.toml").write_text(f"[a]\nmodel = 'model'\nstore = '{store}'\n")
        tells_nothing(["serve", "--shops", "shops.toml"], capsys, caplog)


def test_where_events_go_is_shown_without_passwords(
    quiet: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    Path("events.csv").write_text("user_id,item_id,time\nu,i,2024-01-01\n")
    for shape in SHAPES[::4]:
        for scheme in SCHEMES["consume"]:
            tells_nothing(["consume", f"{scheme}://{shape}", "--stream", "s"], capsys, caplog)
    for shape in SHAPES:
        to = f"http://{shape}"
        tells_nothing(["replay", "events.csv", "--to", to, "--patience", "0"], capsys, caplog)
        tells_nothing(["consume", "kafka://127.0.0.1:1", "--stream", "s", "--to", to], capsys, caplog)
    for key in (SECRET + "\n", f"{SECRET} ü"):
        to = "http://127.0.0.1:1"
        tells_nothing(["replay", "events.csv", "--to", to, "--patience", "0", "--key", key], capsys, caplog)


def test_a_consumer_that_is_stopped_while_it_waits_for_its_broker_ends_quietly(
    quiet: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("redis", reason="needs pip install 'crossaisle[streams]'")
    assert cli.run(["consume", "redis://127.0.0.1:1", "--stream", "s", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out) == {"read": 0, "accepted": 0, "duplicates": 0, "forgotten": 0, "dead": 0}
    assert said.err == ""


def test_data_sources_of_a_configuration_are_shown_without_passwords(
    quiet: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    for shape in SHAPES:
        for scheme in ("http", "ftp"):
            url = f"{scheme}://{shape}"
            Path("shop.toml").write_text(
                f"[data]\n[data.events]\nurl = '{url}'\nsha256 = '00'\n[model]\nencoder = '{url}'\n"
            )
            tells_nothing(["run", "shop.toml", "--out", "out"], capsys, caplog)
            Path("shop.toml").write_text(f"[data]\n[data.events]\nurl = '{url}'\nsha256 = '00'\n")
            tells_nothing(["run", "shop.toml", "--out", "out"], capsys, caplog)


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("postgresql://shop:s3cret@db:5433/main?password=s3cret", "postgresql://db:5433/main"),
        ("postgresql://user:s3/cret@host/db", "postgresql://host/db"),
        ("postgresql://user:s3#cret@host/db", "postgresql://host/db"),
        ("postgresql://user:s3@cret@host/db", "postgresql://host/db"),
        ("postgresql://u:p@[::1/db", "postgresql://…"),
        ("postgresql://u:p@[::1]:5432/db", "postgresql://[::1]:5432/db"),
        ("postgresql:///db", "postgresql:///db"),
        ("kafka://one:9092,two:9093", "kafka://one:9092,two:9093"),
        ("redis://:s3cret", "redis://…"),
        ("http://host/?token=a@s3cret", "http://…"),
        ("http://host:80/a?b#c", "http://host:80/a"),
        ("host=db password=s3cret", "…"),
        ("http:/user:s3cret@host", "…"),
        ("shop.sqlite", "shop.sqlite"),
        ("a@b.sqlite", "a@b.sqlite"),
    ],
)
def test_an_address_is_shown_as_scheme_host_port_and_path(address: str, text: str) -> None:
    assert shown(address) == text


def test_what_libraries_say_is_cleaned() -> None:
    url = "redis://:s3%2Fcret@127.0.0.1:1/0"
    assert cleaned(f"{url}: no\n answer", url) == "redis://127.0.0.1:1/0: no answer"
    assert cleaned("bad port 's3/cret'", url) == "bad port '…'"
    assert cleaned("connecting to 127.0.0.1:1.", url) == "connecting to 127.0.0.1:1."
    assert cleaned("no user shop", "postgresql://shop:s3cret@h/d") == "no user shop"
    assert cleaned("see http://u:p@mirror.example/simple?x=1") == "see http://mirror.example/simple"
    assert cleaned("header b'Bearer tok3n'", secrets=["tok3n"]) == "header b'Bearer …'"
    assert shorten("postgresql://u:s3cret@h/d") == "'postgresql://h/d'"
    assert HOSTS.fullmatch("a:1,b")
    assert not HOSTS.fullmatch("a:b")
