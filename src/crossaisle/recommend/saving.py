"""A `Recommender` as one folder: what is written, and what is read to make it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from crossaisle import artifact
from crossaisle.data.dataset import Dataset
from crossaisle.data.merchandising.rules import NO_RULES, RuleSet
from crossaisle.data.storage import load_dataset, save_dataset
from crossaisle.drift.since_fit import SinceFit
from crossaisle.drift.summary import Summary
from crossaisle.models.blend import Blend
from crossaisle.models.index_beside import attach
from crossaisle.models.newcomers import Newcomers
from crossaisle.models.persistence import load_blend, save_blend
from crossaisle.models.ranking.ranker import LearnedRanker
from crossaisle.models.ranking.reranker import load_rankers, save_rankers

KIND = "recommender"
REFERENCE = "drift"
"""Folder of the summary that later events are compared with; models saved before there was one lack it."""
RULES = "rules.json"


class Fields(Protocol):
    """What is kept of a `Recommender`."""

    dataset: Dataset
    blend: Blend
    repeats: bool
    tuned: bool
    newcomers: Newcomers | None
    lasting: tuple[int, ...]
    rankers: dict[str, LearnedRanker]
    reference: Summary | None
    rules: RuleSet
    since_fit: SinceFit | None


def save_fields(
    fields: Fields, folder: str | Path, category_mapping: list[dict[str, Any]], *, half: bool
) -> None:
    """See `Recommender.save`. `category_mapping`: for people, what categories of another shop meant."""
    with artifact.writing(folder, KIND) as fresh:
        save_dataset(fields.dataset, fresh / "catalogue")
        blend = save_blend(fields.blend, fresh / "parts", half=half)
        config: dict[str, Any] = {"repeats": fields.repeats, "blend": blend}
        if fields.lasting:
            config["lasting"] = list(fields.lasting)
        if not fields.tuned:
            config["tuned"] = False
        if fields.since_fit:
            config["since_fit"] = fields.since_fit._asdict()
        if fields.rules:
            artifact.write_json(fresh / RULES, fields.rules.to_list())
        if fields.rankers:
            config["rankers"] = save_rankers(fields.rankers, fresh / "rankers")
        artifact.write_json(fresh / "config.json", config)
        if fields.newcomers is not None:
            artifact.write_arrays(fresh / "newcomers", fields.newcomers.arrays())
        if fields.reference is not None:
            fields.reference.save(fresh / REFERENCE)
        if category_mapping:
            artifact.write_json(fresh / "category-mapping.json", category_mapping)


def load_fields(folder: str | Path) -> dict[str, Any]:
    """What a `Recommender` is made of; see `Recommender.load`."""
    path = artifact.check(folder, KIND)
    with artifact.reading(path):
        dataset = load_dataset(path / "catalogue")
        with artifact.reading(path / "config.json"):
            config = artifact.read_object(path / "config.json")
            described, repeats = config["blend"], config["repeats"]
            tuned, lasting = config.get("tuned", True), config.get("lasting", ())
            since = SinceFit(**config["since_fit"]) if "since_fit" in config else None
        blend = load_blend(described, path / "parts", dataset.item_ids)
        attach(path, blend.parts)
        newcomers = None
        if (path / "newcomers").is_dir():
            newcomers = Newcomers.from_arrays(artifact.read_arrays(path / "newcomers"))
        rankers = load_rankers(config.get("rankers", {}), path / "rankers", blend)
        reference = Summary.load(path / REFERENCE) if (path / REFERENCE).is_dir() else None
        rules = NO_RULES
        if (path / RULES).is_file():
            with artifact.reading(path / RULES):
                rules = RuleSet.of(artifact.read_json(path / RULES), str(path / RULES))
        return {
            "dataset": dataset,
            "blend": blend,
            "repeats": repeats,
            "tuned": tuned,
            "newcomers": newcomers,
            "lasting": lasting,
            "rankers": rankers,
            "reference": reference,
            "rules": rules,
            "since_fit": since,
            "folder": path,
        }
