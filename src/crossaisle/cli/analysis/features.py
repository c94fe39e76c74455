"""`features`: what is known of users, items and their pairs as one matrix, and what of it is worth it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from crossaisle.cli.analysis.labels import Negatives, PerPositive, Seed, Source, scheme_of
from crossaisle.cli.output import AsJson, show_json, show_table
from crossaisle.cli.pipeline import Overrides, dataset_of, say

SHOWN = 15


def features(
    source: Source,
    out: Annotated[Path, typer.Option(help="Folder for the tables.", metavar="DIR")],
    negatives: Negatives = "popularity",
    per_positive: PerPositive = 4,
    users: Annotated[int, typer.Option(help="Users to sample for each matrix.", min=10)] = 1000,
    encoder: Annotated[
        str, typer.Option(help="Text encoder: a name, a folder, owner/name, or none.")
    ] = "minilm",
    matrix_only: Annotated[
        bool, typer.Option("--matrix-only", help="Build the matrices only; do not select features.")
    ] = False,
    seed: Seed = 0,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Build feature matrices for training and validation, and select features.

    \b
    crossaisle features shop.toml --out features
    crossaisle features completejourney --out features --users 500 --matrix-only
    """
    from crossaisle.pipeline.analysis.features import export_features

    facts = export_features(
        dataset_of(source, overrides or []),
        split_config_of(source, overrides or []),
        out,
        select=not matrix_only,
        encoder=encoder,
        scheme=scheme_of(negatives),
        per_positive=per_positive,
        seed=seed,
        users=users,
        say=say,
    )
    if as_json:
        show_json(facts)
    else:
        _show(facts, out)


def split_config_of(source: str, overrides: list[str]) -> Any:
    """`[split]` of a configuration file, that of a known data set, or the default for a saved model."""
    from crossaisle.config import SplitConfig, load_config
    from crossaisle.data.datasets import find_catalogue, is_known

    if is_known(source):
        return find_catalogue(source).split
    return SplitConfig() if Path(source).is_dir() else load_config(source, overrides).split


def _show(facts: dict[str, Any], out: Path) -> None:
    import polars as pl

    from crossaisle.pipeline.analysis.features import SELECTION, TRAIN, VALIDATION

    rows = [[name, facts[name]["rows"], facts[name]["positive"]] for name in (TRAIN, VALIDATION)]
    show_table(["matrix", "rows", "positive"], rows)
    chosen = facts.get("selection")
    if chosen is None:
        print(f"{facts['columns']} features\n{out}")
        return
    report = pl.read_csv(out / SELECTION).head(SHOWN)
    shown = report.select("feature", "kept", "permutation", "mutual_information", "folds", "why")
    cells = [
        [r[0], "yes" if r[1] else "no", f"{r[2]:.4f}", f"{r[3]:.4f}", f"{r[4]:.0%}", r[5]]
        for r in shown.rows()
    ]
    show_table(["feature", "kept", "loss of AUC", "mutual inf.", "folds", "why"], cells)
    kept = len(chosen["kept"])
    print(f"kept {kept} of {facts['columns']} features; the reason for each is in {out / SELECTION}")
    if kept:
        print(
            f"AUC on validation: {chosen['auc_kept']:.4f} with these features, "
            f"{chosen['auc_all']:.4f} with all"
        )
    print(out)
