"""The public names: few, importable, documented, and only those."""

from __future__ import annotations

import subprocess
import sys

import pytest

import crossaisle


@pytest.mark.parametrize("name", crossaisle.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    found = getattr(crossaisle, name)
    assert found.__name__ == name
    assert found.__doc__
    assert found.__module__ == crossaisle._HOME[name]


def test_there_are_a_dozen_at_most_and_dir_knows_them() -> None:
    assert crossaisle.__all__ == sorted(crossaisle._HOME)
    assert len(crossaisle.__all__) <= 14
    assert set(crossaisle.__all__) <= set(dir(crossaisle))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Recomender'"):
        assert crossaisle.Recomender


def test_a_star_import_works_in_a_fresh_process() -> None:
    code = "from crossaisle import *; print(Query(user='u', n=3).n, Recommender.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "3 Recommender\n", done.stderr
