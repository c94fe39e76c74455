"""`labels`: what users chose and did not, and what goes together, as tables to train on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossaisle.cli.output import AsJson, show_json, show_table, tell
from crossaisle.cli.pipeline import Overrides, dataset_of, say

if TYPE_CHECKING:
    from crossaisle.data.dataset import Dataset
    from crossaisle.data.labels.negatives import Scheme

SHOWN = 5
MOST_NEGATIVES = 100
"""Per positive: a table of 100 times as many rows teaches nothing more, and soon fills the memory."""
Source = Annotated[
    str, typer.Argument(help="CONFIG.toml, a known data set, or a model folder.", metavar="SOURCE")
]
Negatives = Annotated[
    str,
    typer.Option(
        help="How to sample negatives: uniform, popularity, category (hard negatives) or seen "
        "(but not bought).",
        metavar="SCHEME",
    ),
]
PerPositive = Annotated[int, typer.Option(help="Negatives per positive.", min=1, max=MOST_NEGATIVES)]
Seed = Annotated[int, typer.Option(help="Random seed.", min=0)]


def labels(
    source: Source,
    out: Annotated[Path, typer.Option(help="Folder for the tables.", metavar="DIR")],
    negatives: Negatives = "popularity",
    per_positive: PerPositive = 4,
    seed: Seed = 0,
    least: Annotated[
        int, typer.Option(help="Fewest shopping trips that a pair of items must share.", min=1)
    ] = 5,
    fdr: Annotated[float, typer.Option(help="False discovery rate for item pairs.")] = 0.05,
    people: Annotated[
        list[Path] | None,
        typer.Option(
            help="CSV file of human labels, which override all others (repeatable).", metavar="FILE"
        ),
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Write labelled user-item pairs and item pairs to parquet files, with provenance.

    \b
    crossaisle labels shop.toml --out labels
    crossaisle labels completejourney --out labels --negatives category --people annotated.csv
    """
    from crossaisle.pipeline.analysis.labels import export_labels

    dataset = dataset_of(source, overrides or [])
    about = export_labels(
        dataset,
        out,
        scheme=scheme_of(negatives),
        per_positive=per_positive,
        seed=seed,
        least=least,
        fdr=fdr,
        people=people or (),
    )
    if as_json:
        show_json(about)
        return
    rows = [
        [name, *(facts.get(column) for column in ("rows", "positive", "negative", "undecided"))]
        for name, facts in about.items()
    ]
    show_table(["table", "rows", "positive", "negative", "undecided"], rows)
    if about["together"].get("positive"):
        _show_pairs(dataset, out)
    for name, facts in about.items():
        _say_more(name, facts)
    print(out)


def scheme_of(text: str) -> Scheme:
    """The scheme of negatives of that name; a usage error for another name."""
    from crossaisle.data.labels.negatives import SCHEMES

    for scheme in SCHEMES:
        if scheme == text:
            return scheme
    raise typer.BadParameter(f"--negatives must be one of {', '.join(SCHEMES)} (found {text!r})")


def _show_pairs(dataset: Dataset, out: Path) -> None:
    """The surest pairs, by their titles."""
    import polars as pl

    from crossaisle.pipeline.analysis.labels import TOGETHER

    frame = pl.read_parquet(out / TOGETHER).filter(pl.col("label") == 1)
    once = frame.unique("q", keep="first", maintain_order=True) if frame.height > 2 * SHOWN else frame
    title = dict(zip(dataset.item_ids.all, dataset.items["title"], strict=True))
    rows = [
        [
            title.get(row["item_a"]) or row["item_a"],
            title.get(row["item_b"]) or row["item_b"],
            row["together"],
            row["lift"],
            row["confidence"],
        ]
        for row in once.head(SHOWN).iter_rows(named=True)
    ]
    show_table(["bought", "together with", "trips", "lift", "confidence"], rows)


def _say_more(name: str, facts: dict[str, Any]) -> None:
    if short := facts.get("missing_negatives"):
        say(f"{name}: {short:,} negatives could not be drawn: no items are left for their users")
    if facts.get("rows") == 0:
        say(f"{name}: no two items share {facts['least']} trips: lower --least")
    if why := facts.get("left_out"):
        say(f"{name}: left out: {why}")
    people = facts.get("people")
    if not people:
        return
    tell(
        f"{name}: people changed {people['replaced']:,} labels and added {people['added']:,}; "
        f"{people['ties']:,} ties left out"
    )
    for one in people["annotators"]:
        tell(f"  {' and '.join(one['who'])}: kappa {one['kappa']:.2f} over {one['pairs']:,} pairs")
    events = people["with_events"]
    if events["kappa"] is not None:
        tell(f"  people and events: kappa {events['kappa']:.2f} over {events['pairs']:,} pairs")
