"""`crossaisle clean`: what cleaning does to a shop, as a report, a review file and the cleaned catalogue."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from crossaisle.clean_config import LEARNED, CleanConfig
from crossaisle.config import RunConfig
from crossaisle.data.clean.catalogue import MAPPED
from crossaisle.data.clean.categories.mapping import SURE, Tree, mapped
from crossaisle.data.clean.report import StepReport, write_review
from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.importer import Imported, import_dataset
from crossaisle.data.ingest.ledger import write_parquet
from crossaisle.encoders.cache import pretrained
from crossaisle.errors import ConfigError
from crossaisle.evaluate.files import write_text
from crossaisle.pipeline.cleaning.page import cleaning_html
from crossaisle.pipeline.languages import chosen_encoder

Say = Callable[[str], None]
LOOKED_AT = ("language", *LEARNED, "groups", "robots", "users")
"""Steps that can report without changing anything."""


def clean(
    config: RunConfig,
    out: Path,
    *,
    taxonomy: Path | None = None,
    progress: bool = False,
    say: Say = lambda _: None,
) -> dict[str, Any]:
    """Imports a shop with `[data.clean]` and writes what every step does, or would do, into a folder.

    Steps that are off are looked at ("report"): nothing is changed by them. `taxonomy`: a CSV file with a
    column `category` of paths, to which the shop's leaf categories are mapped by an encoder; where the
    confidence suffices the review file says yes. Writes `report.html`, `review.csv`, `items.parquet` and
    `import/`.
    """
    if out.exists() and not out.is_dir():
        raise ConfigError(f"{out}: is a file; name a folder for the results")
    out.mkdir(parents=True, exist_ok=True)
    say(f"importing {config.data.name}")
    looked = replace(config.data, clean=all_looked_at(config.data.clean))
    imported = import_dataset(looked, out=out, progress=progress)
    reports = list(imported.cleaning)
    if taxonomy is not None:
        say("mapping categories")
        reports.append(_mapping(imported.dataset, Tree.read(taxonomy), config.model.encoder))
    n_proposals = write_review(out / "review.csv", reports)
    write_parquet(_flat(imported), out / "items.parquet")
    write_text(out / "report.html", cleaning_html(config.data.name, reports, imported.report))
    return {
        "shop": config.data.name,
        "items": imported.dataset.n_items,
        "steps": [report.to_json() for report in reports],
        "proposals": n_proposals,
        "report": str(out / "report.html"),
        "review": str(out / "review.csv"),
        "catalogue": str(out / "items.parquet"),
    }


def all_looked_at(config: CleanConfig) -> CleanConfig:
    """The same with every step that is off and that can report doing so."""
    looked: dict[str, Any] = {name: "report" for name in LOOKED_AT if getattr(config, name) == "off"}
    return replace(config, **looked)


def _mapping(dataset: Dataset, target: Tree, encoder: str) -> StepReport:
    name, said = chosen_encoder(dataset, encoder)
    if name == "none":
        raise ConfigError("mapping categories needs an encoder: [model] encoder is 'none'")
    source = Tree.of(dataset.taxonomy.paths, dataset.items["title"].to_list())
    proposals = mapped(source, target, pretrained(name).encode)
    settled = [(proposal, proposal.confidence >= SURE) for proposal in proposals]
    sure = sum(yes for _, yes in settled)
    return StepReport(
        name=MAPPED,
        setting="report",
        rows_in=len(dataset.items),
        rows_out=len(dataset.items),
        proposals=settled,
        facts={"categories": len(proposals), "sure": sure, "left_to_people": len(proposals) - sure},
        notes=list(said),
    )


def _flat(imported: Imported) -> pl.DataFrame:
    """The catalogue with its categories as one column of JSON."""
    paths = [json.dumps(p, ensure_ascii=False) for p in imported.dataset.taxonomy.paths]
    return imported.dataset.items.with_columns(categories=pl.Series(paths, dtype=pl.String))
