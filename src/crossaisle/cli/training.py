"""Commands that train a text encoder: `pretrain`, `train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossaisle.cli.output import AsJson, show_json
from crossaisle.cli.pipeline import Overrides, Root, say, say_what_was_set_aside

if TYPE_CHECKING:
    from crossaisle.config import RunConfig
    from crossaisle.data.dataset import Dataset

Source = Annotated[str, typer.Argument(help="CONFIG.toml or a known data set.", metavar="SOURCE")]
Resume = Annotated[bool, typer.Option("--resume", help="Continue from the checkpoint of an interrupted run.")]


def train(
    source: Source,
    out: Annotated[Path, typer.Option(help="Folder for the model.", metavar="DIR")],
    overrides: Overrides = None,
    resume: Resume = False,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.", metavar="DEVICE")] = "auto",
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a text encoder on a shop's training events; needs crossaisle[train].

    \b
    crossaisle train shop.toml --out models/encoder
    crossaisle train shop.toml --out models/encoder --set train.moves=full --set train.epochs=3
    crossaisle train s3rec-beauty --out models/encoder --resume
    torchrun --nproc-per-node 2 -m crossaisle train shop.toml --out models/encoder
    """
    from crossaisle.pipeline.fine_tune import fine_tune

    settings, dataset = source_of(source, overrides or [], root)
    summary = fine_tune(
        dataset, settings.split, settings.train, out, resume=resume, device=device, progress=True, say=say
    )
    if summary is None:  # another process speaks for all
        return
    if as_json:
        show_json(summary)
        return
    print(
        f"validation NDCG@10 (sample) {summary['ndcg_before']:.4f} before, {summary['ndcg_after']:.4f} after "
        f"step {summary['best_step']} of {summary['steps']}"
    )
    print(summary["guard"]["statement"])
    if summary["serves"] != summary["guard"]["serves"]:
        print("kept nevertheless: train.guard = false")
    print(f"{summary['model']}  {summary['seconds']:.0f} s, {summary['peak_mb']:,.0f} MB")


def pretrain(
    source: Source,
    out: Annotated[Path, typer.Option(help="Folder for the checkpoint.", metavar="DIR")],
    overrides: Overrides = None,
    resume: Resume = False,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Continue pretraining a language model on the catalogue's texts; needs crossaisle[train].

    \b
    crossaisle pretrain shop.toml --out models/reader
    crossaisle train shop.toml --out models/encoder --set train.backbone=models/reader
    """
    from crossaisle.pipeline.fine_tune import read_catalogue

    settings, dataset = source_of(source, overrides or [], root)
    summary = read_catalogue(dataset, settings.pretrain, out, resume=resume, progress=True, say=say)
    if as_json:
        show_json(summary)
        return
    head = "" if summary["head"] is None else f", {summary['head']:.1f} with a trained head"
    print(f"held-out perplexity {summary['before']:.1f}{head}, {summary['after']:.1f} after pretraining")
    print(f"{summary['model']}  {summary['seconds']:.0f} s, {summary['peak_mb']:,.0f} MB")


def source_of(source: str, overrides: list[str], root: Path | None) -> tuple[RunConfig, Dataset]:
    """Settings and data of a configuration file or of a known data set."""
    from crossaisle.config import load_config, overridden
    from crossaisle.data.datasets import find_catalogue, is_known, load_catalogue
    from crossaisle.data.ingest.importer import import_dataset

    if is_known(source):
        settings = overridden(source, overrides, split=find_catalogue(source).split)
        return settings, load_catalogue(source, root=root, progress=True).dataset
    settings = load_config(source, overrides)
    imported = import_dataset(settings.data, progress=True)
    say_what_was_set_aside(imported.report)
    return settings, imported.dataset
