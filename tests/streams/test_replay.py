"""A log played into the service: order, pace, resuming, and what is refused."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path

import polars as pl
import pytest

from crossaisle.cli.service.streams import speed_of
from crossaisle.errors import ConfigError, DataError
from crossaisle.serve.service import ShopService
from crossaisle.streams.replay import read_log, replay
from crossaisle.streams.sender import Sender
from tests.serve.conftest import events_of

NOON = 1_700_000_000


def frame(n: int = 20, gap: float = 1.0) -> pl.DataFrame:
    """Events of two users in turn, newest first."""
    return pl.DataFrame(
        {
            "user_id": ["zoe" if i % 2 else "yan" for i in range(n)],
            "item_id": [("bread", "jam", "butter", "soap")[i % 4] for i in range(n)],
            "time": [NOON + i * gap for i in range(n)],
            "kind": ["View"] * n,
            "value": [i + 0.1 for i in range(n)],
        }
    ).reverse()


@pytest.mark.parametrize("suffix", ["csv", "parquet", "jsonl"])
def test_every_format_arrives_in_order_of_time(
    suffix: str, tmp_path: Path, service: ShopService, address: str
) -> None:
    file = tmp_path / f"log.{suffix}"
    write = {"csv": "write_csv", "parquet": "write_parquet", "jsonl": "write_ndjson"}[suffix]
    getattr(frame(), write)(file)
    with closing(Sender(address)) as sender:
        total = replay(read_log(file), sender, speed=None)
    assert (total.events, total.sent, total.accepted, total.duplicates) == (20, 20, 20, 0)
    assert total.finished
    kept = events_of(service.store, "zoe")
    assert [e.time for e in kept] == [NOON + i for i in range(1, 20, 2)]
    assert [e.item for _, e in service.store.events()] == ["bread", "jam", "butter", "soap"] * 5
    assert (kept[0].kind, kept[0].value, kept[0].quantity) == ("view", 1.1, None)


def test_gaps_between_events_are_kept_at_the_given_speed(
    tmp_path: Path, service: ShopService, address: str
) -> None:
    """Measured by when events are sent, on a clock that only waiting advances."""
    file = tmp_path / "log.csv"
    times = [0.0, 0.0, 10.0, 30.0, 31.0, 500.0]
    frame(6).with_columns(pl.Series("time", [NOON + t for t in times])).write_csv(file)
    now, sent_at = [100.0], []

    class Waiting(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            now[0] += timeout or 0.0
            return False

    with closing(Sender(address, stop=Waiting())) as sender:
        send = sender.send

        def noted(events: object) -> object:
            sent_at.extend([now[0] - 100.0] * len(events))  # type: ignore[arg-type]
            return send(events)  # type: ignore[arg-type]

        sender.send = noted  # type: ignore[method-assign, assignment]
        total = replay(read_log(file), sender, speed=10.0, longest_gap=5.0, clock=lambda: now[0])
    assert sent_at == pytest.approx([0.0, 0.0, 1.0, 3.0, 3.1, 8.1])
    assert total.behind_seconds == pytest.approx(0.0, abs=1e-6)


def test_a_stopped_replay_goes_on_without_waiting_again(
    tmp_path: Path, service: ShopService, address: str
) -> None:
    file = tmp_path / "log.csv"
    frame(2000, gap=3600.0).write_csv(file)
    log = read_log(file)
    stop = threading.Event()
    with closing(Sender(address, stop=stop)) as sender:

        def stop_after_some(n: int) -> None:
            if len(events_of(service.store, "zoe")) >= 350:
                stop.set()

        first = replay(log, sender, speed=3600 * 400.0, advance=stop_after_some)
    assert not first.finished
    assert 700 <= first.accepted < 2000
    start = time.monotonic()
    with closing(Sender(address)) as sender:
        second = replay(read_log(file), sender, speed=3600 * 4000.0)
    assert second.finished
    assert second.sent == 2000
    assert second.duplicates == first.accepted
    assert second.accepted == 2000 - first.accepted
    assert time.monotonic() - start < 60
    items = [e.item for _, e in service.store.events()]
    assert items == ["bread", "jam", "butter", "soap"] * 500


def test_reasons_are_counted(tmp_path: Path, service: ShopService, address: str) -> None:
    file = tmp_path / "log.csv"
    long = "x" * 300
    frame(4).with_columns(pl.Series("item_id", ["jam", long, "jam", ""])).write_csv(file)
    with closing(Sender(address)) as sender:
        total = replay(read_log(file), sender, speed=None)
    assert (total.events, total.accepted, total.refused) == (3, 2, 1)
    assert total.set_aside == {"missing_item_id": 1}
    ((reason, n),) = total.reasons.items()
    assert n == 1
    assert "column 'item': must be text of 1 to 256 characters" in reason
    assert long not in reason


def test_columns_with_other_names_and_logs_without_times(
    tmp_path: Path, service: ShopService, address: str
) -> None:
    file = tmp_path / "log.csv"
    file.write_text("who,what\nzoe,bread\nzoe,jam\n")
    with pytest.raises(DataError, match="item_id"):
        read_log(file)
    with pytest.raises(ConfigError, match="must be one of"):
        read_log(file, columns={"thing": "what"})
    log = read_log(file, columns={"user_id": "who", "item_id": "what"})
    with closing(Sender(address)) as sender:
        with pytest.raises(ConfigError, match="--speed max"):
            replay(log, sender, speed=1.0)
        assert replay(log, sender, speed=None).accepted == 2
    assert service.live.of("zoe").items == ("bread", "jam")


def test_speeds_are_read() -> None:
    assert (speed_of("10x"), speed_of("0.5"), speed_of("max")) == (10.0, 0.5, None)
    for text in ("0", "-1x", "fast", "nan", "inf"):
        with pytest.raises(ConfigError, match="10x"):
            speed_of(text)


def test_the_command_stops_and_goes_on(tmp_path: Path, service: ShopService, address: str) -> None:
    file = tmp_path / "log.csv"
    frame(30, gap=1000.0).write_csv(file)
    command = [sys.executable, "-m", "crossaisle", "replay", str(file), "--to", address, "--json"]
    process = subprocess.Popen([*command, "--speed", "1x"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    end = time.monotonic() + 60
    while not service.live.of("yan").items:
        assert time.monotonic() < end
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, said = process.communicate(timeout=30)
    assert process.returncode == 0, said
    first = json.loads(out)
    assert (first["accepted"], first["finished"]) == (1, False)
    done = subprocess.run([*command, "--speed", "max"], capture_output=True, check=True)
    assert json.loads(done.stdout)["accepted"] == 29


def test_the_command_accounts_for_events_of_who_was_deleted(
    tmp_path: Path, service: ShopService, address: str
) -> None:
    file = tmp_path / "log.csv"
    frame(4).write_csv(file)
    command = [sys.executable, "-m", "crossaisle", "replay", str(file), "--to", address, "--speed", "max"]
    subprocess.run(command, capture_output=True, check=True)
    service.store.forget("zoe").result()
    done = subprocess.run(command, capture_output=True, check=True, text=True, encoding="utf-8")
    names, row = done.stdout.strip().splitlines()
    assert dict(zip(names.split()[:6], row.split()[:6], strict=True)) == {
        **{"events": "4", "sent": "4", "accepted": "0"},
        **{"duplicates": "2", "forgotten": "2", "refused": "0"},
    }
