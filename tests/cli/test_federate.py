"""`federate`: shops in files become adapters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossaisle import cli
from crossaisle.training.federated.comparison import load_adapter
from tests.encoders.tiny import write


def test_federate_compares_the_ways_and_keeps_an_adapter_for_each_shop(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    encoder = write(tmp_path / "encoder")
    configs = []
    for name in ("north", "south"):
        config = tmp_path / f"{name}.toml"
        text = shop.read_text()
        for file in ("items.csv", "orders.csv"):
            text = text.replace(f'"{file}"', f'"{shop.parent / file}"')
        config.write_text(text)
        configs.append(str(config))
    out = tmp_path / "together"
    command = [
        "federate",
        *configs,
        "--out",
        str(out),
        "--encoder",
        str(encoder),
        "--rounds",
        "1",
        "--cases",
        "20",
    ]
    assert cli.run([*command, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["shop"] for row in rows] == ["north", "south"]
    assert sorted(path.name for path in out.iterdir()) == ["federate.json", "north", "shared", "south"]
    assert load_adapter(out / "north")[2] == str(encoder)
    assert cli.run(["federate", configs[0], "--out", str(out)]) == 2
    assert "two shops or more" in capsys.readouterr().err
    assert cli.run([*command, "--rule", "best"]) == 2
    assert "--rule must be mean, trimmed_mean, median (found 'best')" in " ".join(
        capsys.readouterr().err.split()
    )
