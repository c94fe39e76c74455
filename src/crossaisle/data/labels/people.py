"""Human labels in CSV files: reading, merging over labels derived from events, inter-annotator agreement."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Literal

import polars as pl

from crossaisle.errors import DataError, MissingDependencyError, shorten

About = Literal["user_item", "item_item"]
COLUMNS: dict[About, tuple[str, str]] = {
    "user_item": ("user_id", "item_id"),
    "item_item": ("item_a", "item_b"),
}
WORDS = {"1": 1, "yes": 1, "true": 1, "0": 0, "no": 0, "false": 0}
EVENTS, PEOPLE = "events", "people"
"""The origin of a label: the column `source` after merging."""


@dataclass(frozen=True)
class PeopleLabels:
    """Each pair once, with its majority label."""

    about: About
    pairs: pl.DataFrame
    """The two id columns and `label` (Int8)."""
    ties: int
    """Number of pairs left out because votes were tied."""
    kappa: Mapping[tuple[str, str], tuple[float, int]]
    """Two annotators -> Cohen's kappa over the pairs that both labelled, and the number of those pairs."""


Votes = dict[tuple[str, str], dict[str, int]]
"""Pair of ids -> annotator -> 1 or 0."""


def read_people(*paths: str | Path) -> tuple[PeopleLabels, ...]:
    """Reads files with columns `user_id, item_id` or `item_a, item_b`, and `label` and `annotator`.

    Labels are 1, 0, yes, no, true or false; there is one row per pair and annotator; other columns are
    ignored. Files with the same kind of pair are pooled, so each annotator may have their own file. Returns
    one result per kind of pair; `DataError` names the line that breaks a rule.
    """
    given: dict[About, Votes] = {}
    for path in map(Path, paths):
        about, rows = _rows(path)
        _count(path, rows, COLUMNS[about], given.setdefault(about, {}))
    return tuple(_settled(about, votes) for about, votes in given.items())


def _rows(path: Path) -> tuple[About, Iterator[tuple[int, dict[str, str]]]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 ({error.reason}); save it as UTF-8") from None
    reader = csv.DictReader(io.StringIO(text))
    names = [name.strip() for name in reader.fieldnames or ()]
    about = next((a for a, pair in COLUMNS.items() if set(pair) <= set(names)), None)
    if about is None or not {"label", "annotator"} <= set(names):
        raise DataError(
            f"{path}: needs the columns label and annotator, and either user_id and item_id or "
            f"item_a and item_b (found {', '.join(names) or 'none'})"
        )

    def cells() -> Iterator[tuple[int, dict[str, str]]]:
        for row in reader:
            # DictReader fills the missing cells of a short line with None.
            named = {key.strip(): value or "" for key, value in row.items() if isinstance(key, str)}
            yield reader.line_num, {key: value.strip() for key, value in named.items()}

    return about, cells()


def _count(
    path: Path, rows: Iterator[tuple[int, dict[str, str]]], names: tuple[str, str], given: Votes
) -> None:
    for number, cells in rows:
        pair, who, word = (cells[names[0]], cells[names[1]]), cells["annotator"], cells["label"].lower()
        if word not in WORDS:
            raise DataError(f"{path}, line {number}: label must be 1 or 0, yes or no (found {shorten(word)})")
        if not all(pair) or not who:
            raise DataError(f"{path}, line {number}: an id or the annotator is empty")
        votes = given.setdefault(pair, {})
        if votes.get(who, WORDS[word]) != WORDS[word]:
            raise DataError(f"{path}, line {number}: {shorten(who)} labels {', '.join(pair)} both yes and no")
        votes[who] = WORDS[word]


def _settled(about: About, given: Votes) -> PeopleLabels:
    rows, ties = [], 0
    for pair, votes in given.items():
        yes = sum(votes.values())
        if 2 * yes == len(votes):
            ties += 1
        else:
            rows.append((*pair, int(2 * yes > len(votes))))
    schema = {COLUMNS[about][0]: pl.String, COLUMNS[about][1]: pl.String, "label": pl.Int8}
    frame = pl.DataFrame(rows, schema=schema, orient="row")
    annotators = sorted({who for votes in given.values() for who in votes})
    kappa = {}
    for one, other in combinations(annotators, 2):
        both = [(v[one], v[other]) for v in given.values() if one in v and other in v]
        if both:
            kappa[one, other] = (cohen_kappa([x for x, _ in both], [y for _, y in both]), len(both))
    return PeopleLabels(about, frame, ties, kappa)


def cohen_kappa(one: Sequence[int], other: Sequence[int]) -> float:
    """Agreement beyond chance, at most 1 (Cohen 1960); 1 if both gave all pairs the same label."""
    if list(one) == list(other):
        return 1.0
    try:
        from sklearn.metrics import cohen_kappa_score
    except ModuleNotFoundError:
        raise MissingDependencyError("scikit-learn", "features", "Cohen's kappa") from None
    return float(cohen_kappa_score(one, other))


@dataclass(frozen=True)
class Merged:
    """Labels from events, overridden by human ones."""

    pairs: pl.DataFrame
    """All columns of the labels from events, and `source`."""
    replaced: int
    """Number of labels from events that human ones changed."""
    added: int
    """Number of pairs with only a human label."""
    kappa: float | None
    """Agreement of humans and events over the pairs with both labels; None if there are none."""
    shared: int


def merge_people(pairs: pl.DataFrame, people: PeopleLabels) -> Merged:
    """Human labels override those from events. For item pairs, a label applies in both directions."""
    keys = list(COLUMNS[people.about])
    theirs = people.pairs.rename({"label": "given"})
    if people.about == "item_item":
        turned = theirs.select(pl.col(keys[1]).alias(keys[0]), pl.col(keys[0]).alias(keys[1]), "given")
        theirs = pl.concat([theirs, turned]).unique(keys, keep="first", maintain_order=True)
    joined = pairs.join(theirs, on=keys, how="left", maintain_order="left")
    both = joined.filter(pl.col("given").is_not_null() & pl.col("label").is_not_null())
    kappa = cohen_kappa(both["label"].to_list(), both["given"].to_list()) if both.height else None
    source = pl.when(pl.col("given").is_null()).then(pl.lit(EVENTS)).otherwise(pl.lit(PEOPLE))
    kept = joined.with_columns(
        pl.coalesce("given", "label").cast(pl.Int8).alias("label"), source.alias("source")
    )
    new = theirs.join(pairs, on=keys, how="anti", maintain_order="left").select(
        *keys, pl.col("given").alias("label"), pl.lit(PEOPLE).alias("source")
    )
    everything = pl.concat([kept.drop("given"), new], how="diagonal")
    changed = int((both["label"] != both["given"]).sum())
    return Merged(everything, changed, new.height, kappa, both.height)
