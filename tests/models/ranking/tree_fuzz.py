"""Changes a text of trees in many ways, reads each, and predicts with what is accepted.

Run in a process of its own, by `test_trees.py`, because on a wrong text LightGBM would take the tests along.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from crossaisle.errors import ArtifactError
from crossaisle.models.ranking.trees import Trees

NAMES = ("blend", "part:knn")
WORDS = st.one_of(
    st.integers(-3, 20).map(str),
    st.sampled_from(
        ["", "2147483648", "-2147483649", "9" * 400, "1e999", "nan", "inf", "-", "0x1", "1_0", "٣"]
    ),
    st.floats().map(repr),
    st.text(max_size=4),
)
ODD = st.sampled_from(["\r", "\r\n", "\n", "\0", "\x85", "\t", " ", "=", "Tree=0\n", "\n\nTree=1\n"])


@st.composite
def changed(draw: st.DrawFn, text: str) -> str:
    """The text after one to three changes of a word, a line, or the characters between."""
    for _ in range(draw(st.integers(1, 3))):
        lines = text.split("\n")
        at = draw(st.integers(0, max(lines.index("end of trees") if "end of trees" in lines else 0, 1)))
        how = draw(st.sampled_from(("word", "word", "word", "drop", "twice", "swap", "odd", "cut")))
        at = min(at, len(lines) - 1)
        if how == "word":
            name, equals, value = lines[at].partition("=")
            words = value.split(" ")
            words[draw(st.integers(0, len(words) - 1))] = draw(WORDS)
            lines[at] = name + equals + " ".join(words)
        elif how == "drop":
            del lines[at]
        elif how == "twice":
            lines.insert(draw(st.integers(0, len(lines))), lines[at])
        elif how == "swap":
            other = draw(st.integers(0, len(lines) - 1))
            lines[at], lines[other] = lines[other], lines[at]
        text = "\n".join(lines)
        place = draw(st.integers(0, len(text)))
        if how == "odd":
            text = text[:place] + draw(ODD) + text[place:]
        elif how == "cut":
            text = text[:place]
    return text


def main(text: str, examples: int) -> None:
    """Prints how many were accepted and how many refused."""
    counts = {"accepted": 0, "refused": 0}
    rows = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    rows[::5] = np.nan

    @settings(max_examples=examples, derandomize=True, database=None, deadline=None)
    @given(changed(text))
    def survives(other: str) -> None:
        try:
            trees = Trees.read(other, NAMES)
        except ArtifactError:
            counts["refused"] += 1
            return
        counts["accepted"] += 1
        assert np.isfinite(trees.predict(rows)).all()
        assert sum(trees.gains().values()) < 1.001
        assert Trees.read(trees.text, NAMES).text == trees.text

    survives()
    print(counts["accepted"], counts["refused"])


if __name__ == "__main__":
    main(Path(sys.argv[1]).read_bytes().decode(), int(sys.argv[2]))
