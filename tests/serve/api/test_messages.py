"""What goes wrong around a store is said in one line, with its reason."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import pytest

from crossaisle.errors import ConfigError
from crossaisle.serve.limits.store import StoreLimits
from crossaisle.serve.store.api_keys import Keys
from crossaisle.serve.store.store import Store


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p@[::1/db",
        "postgresql://u:s3/cret@h/db",
        "postgresql://u:s3#cret@h/db",
        "postgresql://u:s3?cret@h/db",
        "postgresql://u:p@h:port/db",
    ],
)
def test_an_address_that_is_none_is_said_to_be_none(url: str) -> None:
    pytest.importorskip("psycopg", reason="needs pip install 'crossaisle[postgres]'")
    rule = r"is not a database address: write postgresql://USER:PASSWORD@HOST/DATABASE, and special char"
    with pytest.raises(ConfigError, match=rf"^postgresql://[^ ]*: {rule}") as caught:
        Store(url)
    assert "cret" not in str(caught.value)


def test_keys_that_are_not_read_in_time_have_a_reason_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(tmp_path / "s.sqlite", limits=StoreLimits(fresh_key_seconds=-1.0, key_wait_seconds=0.01))
    try:
        known = Keys(store)
        monkeypatch.setattr(known, "read", lambda: time.sleep(0.2))
        with caplog.at_level(logging.WARNING):
            asyncio.run(known.fresh())
    finally:
        store.close()
    assert "keys could not be read again: no answer within 0.01 s" in caplog.text
