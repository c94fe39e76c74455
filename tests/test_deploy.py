"""Files in deploy/ name options, metrics and files that exist."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
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


def manifests() -> list[dict[str, Any]]:
    found = sorted((DEPLOY / "kubernetes").glob("*.yaml"))
    return [one for file in found for one in yaml.safe_load_all(file.read_text())]


def test_manifests_are_what_kubernetes_takes() -> None:
    validator = pytest.importorskip("kubernetes_validate", reason="needs pip install kubernetes-validate")
    for one in manifests():
        validator.validate(one, validator.latest_version(), strict=True)


def test_selectors_find_their_pods() -> None:
    every = manifests()
    kinds = ("Deployment", "StatefulSet")
    pods = [one["spec"]["template"] for one in every if one["kind"] in kinds]
    for one in every:
        if one["kind"] == "Service":
            (pod,) = (p for p in pods if one["spec"]["selector"].items() <= p["metadata"]["labels"].items())
            ports = {port["name"] for each in pod["spec"]["containers"] for port in each["ports"]}
            assert {port["targetPort"] for port in one["spec"]["ports"]} <= ports


def test_the_balancer_knows_the_hosts() -> None:
    hosts = yaml.safe_load((DEPLOY / "hosts.yaml").read_text())["services"]
    named = re.findall(r"server (\w+):8080", (DEPLOY / "balancer.conf").read_text())
    assert named == [name for name, one in hosts.items() if "build" in one]


def test_the_options_exist() -> None:
    docker = (DEPLOY / "Dockerfile").read_text()
    (default,) = re.findall(r"^CMD (\[.*\])$", docker, re.MULTILINE)
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    (started,) = re.findall(r"^ExecStart=(.*)$", (DEPLOY / "crossaisle.service").read_text(), re.MULTILINE)
    hosts = yaml.safe_load((DEPLOY / "hosts.yaml").read_text())["services"]
    (pod,) = (one for one in manifests() if one["kind"] == "Deployment")
    for words in (
        json.loads(default),
        compose["services"]["crossaisle"]["command"],
        *(hosts[name]["command"] for name in ("one", "two", "three")),
        pod["spec"]["template"]["spec"]["containers"][0]["args"],
        shlex.split(started)[1:],
    ):
        assert served_with(words) <= options_of_serve()


def test_files_that_are_mounted_or_copied_are_there() -> None:
    several = (yaml.safe_load((DEPLOY / name).read_text()) for name in ("compose.yaml", "hosts.yaml"))
    for service in (one for compose in several for one in compose["services"].values()):
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
