"""The whole service, killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.test_kills import killed, sound

pytestmark = pytest.mark.slow


def test_the_service_loses_nothing(model: Path, tmp_path: Path) -> None:
    sound(killed(tmp_path, "--kills", "3", "--http", str(model)), 3)
