"""What lies in deploy/ says what is so: options and metrics that exist, files that are there."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import yaml
from typer.main import get_command

from crossaisle.cli.app import app
from crossaisle.serve.metrics import Metrics

ROOT = Path(__file__).parent.parent
DEPLOY = ROOT / "deploy"
SERVICE_GAUGES = {"items", "ranking_hits", "ranking_misses", "store_up", "up_seconds"}


def options_of_serve() -> set[str]:
    serve: Any = get_command(app)
    return {option for parameter in serve.commands["serve"].params for option in parameter.opts}


def served_with(words: list[str]) -> set[str]:
    assert words[0] == "serve"
    return {word for word in words if word.startswith("--")}


def test_the_options_exist() -> None:
    docker = (DEPLOY / "Dockerfile").read_text()
    (default,) = re.findall(r"^CMD (\[.*\])$", docker, re.MULTILINE)
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    (started,) = re.findall(r"^ExecStart=(.*)$", (DEPLOY / "crossaisle.service").read_text(), re.MULTILINE)
    for words in (
        json.loads(default),
        compose["services"]["crossaisle"]["command"],
        shlex.split(started)[1:],
    ):
        assert served_with(words) <= options_of_serve()


def test_files_that_are_mounted_or_copied_are_there() -> None:
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for service in compose["services"].values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./") and source != "./key":  # the operator's own
                assert (DEPLOY / source).is_file(), source
    for line in re.findall(r"^COPY (?!--from)(.*)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source


def test_the_board_shows_metrics_that_exist() -> None:
    metrics = Metrics()
    metrics.observe("/api/trending", 200, 0.01)
    board = (DEPLOY / "grafana" / "crossaisle.json").read_text()
    asked = set(re.findall(r"crossaisle_([a-z_]+)", board)) - {"json"}
    exposed = set(re.findall(r"crossaisle_([a-z_]+)", metrics.prometheus({})))
    counted = {"events_total", "duplicate_events_total", "forgotten_events_total"}
    assert asked <= exposed | SERVICE_GAUGES | counted
    for panel in json.loads(board)["panels"]:
        assert panel["targets"], panel["title"]
