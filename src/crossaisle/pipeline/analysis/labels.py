"""`export_labels`: both tables of labels as parquet files with provenance, people's labels merged in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from crossaisle import __version__
from crossaisle.data.dataset import Dataset
from crossaisle.data.labels.negatives import PairLabels, Scheme, label_pairs
from crossaisle.data.labels.people import EVENTS, About, PeopleLabels, merge_people, read_people
from crossaisle.data.labels.together import FDR, LEAST, label_together
from crossaisle.data.profile.fingerprint import fingerprint
from crossaisle.data.provenance import write_table
from crossaisle.errors import ConfigError, DataError

PAIRS, TOGETHER, SUMMARY = "pairs.parquet", "together.parquet", "labels.json"


def pair_frame(labels: PairLabels, dataset: Dataset) -> pl.DataFrame:
    """`user_id`, `item_id` (String), `label` (Int8)."""
    users, items = (np.array(v.all, dtype=object) for v in (dataset.user_ids, dataset.item_ids))
    columns = {"user_id": users[labels.user].tolist(), "item_id": items[labels.item].tolist()}
    types = {"user_id": pl.String, "item_id": pl.String, "label": pl.Int8}
    return pl.DataFrame({**columns, "label": labels.label}, schema=types)


def export_labels(
    dataset: Dataset,
    out: str | Path,
    *,
    scheme: Scheme = "popularity",
    per_positive: int = 4,
    seed: int = 0,
    least: int = LEAST,
    fdr: float = FDR,
    people: Sequence[str | Path] = (),
) -> dict[str, Any]:
    """Writes `pairs.parquet`, `together.parquet` and `labels.json` into `out`; returns what the last holds.

    `ConfigError` where `out` is a file or named like one. `people`: CSV files of `read_people`. A shop in
    which no two items meet often enough has no `together.parquet`, and `labels.json` says why.
    """
    out = Path(out)
    if out.suffix in (".parquet", ".csv", ".json") or (out.exists() and not out.is_dir()):
        raise ConfigError(f"{out}: name a folder: there are several tables")
    given = read_people(*people)
    made = {"version": __version__, "data": fingerprint(dataset), "shop": dataset.name}
    labels = label_pairs(dataset, scheme=scheme, per_positive=per_positive, seed=seed)
    facts: dict[str, Any] = made | {"scheme": scheme, "per_positive": per_positive, "seed": seed}
    about: dict[str, Any] = {"pairs": facts | {"missing_negatives": labels.missing}}
    frame, said = _with_people(pair_frame(labels, dataset), "user_item", given)
    about["pairs"] |= said | _counts(frame)
    write_table(frame, out / PAIRS, about["pairs"])
    facts = made | {"least": least, "fdr": fdr}
    (out / TOGETHER).unlink(missing_ok=True)
    try:
        frame = label_together(dataset, least=least, fdr=fdr)
    except DataError as error:
        about["together"] = facts | {"left_out": str(error)}
    else:
        frame, said = _with_people(frame, "item_item", given)
        about["together"] = facts | said | _counts(frame)
        write_table(frame, out / TOGETHER, about["together"])
    text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
    (out / SUMMARY).write_text(text, encoding="utf-8")
    return about


def _counts(frame: pl.DataFrame) -> dict[str, int]:
    label = frame["label"]
    return {
        "rows": frame.height,
        "positive": int((label == 1).sum()),
        "negative": int((label == 0).sum()),
        "undecided": label.null_count(),
    }


def _with_people(
    frame: pl.DataFrame, about: About, given: Sequence[PeopleLabels]
) -> tuple[pl.DataFrame, dict[str, Any]]:
    mine = next((one for one in given if one.about == about), None)
    if mine is None:
        return frame.with_columns(pl.lit(EVENTS).alias("source")), {}
    merged = merge_people(frame, mine)
    agreement = {"kappa": merged.kappa, "pairs": merged.shared}
    said = {"replaced": merged.replaced, "added": merged.added, "ties": mine.ties, "with_events": agreement}
    return merged.pairs, {"people": said | {"annotators": _agreement(mine)}}


def _agreement(given: PeopleLabels) -> list[dict[str, Any]]:
    return [{"who": list(who), "kappa": kappa, "pairs": pairs} for who, (kappa, pairs) in given.kappa.items()]
