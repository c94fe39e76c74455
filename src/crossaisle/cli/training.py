"""Commands that train: `pretrain`, `train` (a text encoder), `federate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossaisle.cli.output import AsJson, On, show_json, show_table
from crossaisle.cli.pipeline import Overrides, Root, say, say_what_was_set_aside
from crossaisle.execution.opening import LOCAL, opened

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
    on: On = LOCAL,
    processes: Annotated[
        int | None,
        typer.Option(
            help="Training processes on the Ray cluster. Default: one per GPU, or per CPU where there "
            "are none.",
            min=1,
            metavar="N",
        ),
    ] = None,
    root: Root = None,
    as_json: AsJson = False,
) -> None:
    """Fine-tune a text encoder on a shop's training events; needs crossaisle[train].

    \b
    crossaisle train shop.toml --out models/encoder
    crossaisle train shop.toml --out models/encoder --set train.moves=full --set train.epochs=3
    crossaisle train s3rec-beauty --out models/encoder --resume
    torchrun --nproc-per-node 2 -m crossaisle train shop.toml --out models/encoder
    crossaisle train shop.toml --out models/encoder --on ray --processes 2
    """
    from crossaisle.pipeline.fine_tune import fine_tune, fine_tune_on_ray

    if on == LOCAL and processes is not None:
        raise typer.BadParameter("--processes needs --on ray; on this machine, use torchrun --nproc-per-node")
    settings, dataset = source_of(source, overrides or [], root)
    what = dataset, settings.split, settings.train, out
    if on == LOCAL:
        summary = fine_tune(*what, resume=resume, device=device, progress=True, say=say)
    else:
        with opened(on):
            summary = fine_tune_on_ray(*what, processes=processes, resume=resume, device=device, say=say)
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
        print("kept anyway, because train.guard = false")
    print(f"{summary['model']}  {summary['seconds']:.0f} s, at most {summary['peak_mb']:,.0f} MB of memory")


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
    print(f"{summary['model']}  {summary['seconds']:.0f} s, at most {summary['peak_mb']:,.0f} MB of memory")


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


def federate(
    configs: Annotated[
        list[Path],
        typer.Argument(
            help="One CONFIG.toml per shop; the file name is the shop's name.", metavar="CONFIG.toml"
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the adapters and federate.json.", metavar="DIR")],
    encoder: Annotated[
        str, typer.Option(help="Text encoder for all shops: a name, a folder or owner/name.")
    ] = "minilm",
    rounds: Annotated[
        int, typer.Option(help="Rounds in which shops exchange updates.", min=1, max=10_000, metavar="N")
    ] = 20,
    rule: Annotated[
        str, typer.Option(help="How updates are combined: mean, trimmed_mean or median.", metavar="RULE")
    ] = "mean",
    cases: Annotated[
        int, typer.Option(help="Cases per shop, both for choosing and for measuring.", min=1, metavar="N")
    ] = 2000,
    as_json: AsJson = False,
) -> None:
    """Simulate shops that train one adapter together but exchange only updates, never events.

    Compares it with training alone and with pooling the data. Writes the shared adapter to DIR/shared, and
    each shop's own, chosen on its validation cases, to DIR/NAME. Load them from Python.

    \b
    crossaisle federate north.toml south.toml west.toml --out runs/together
    """
    from crossaisle.config import load_config
    from crossaisle.data.ingest.importer import import_dataset
    from crossaisle.encoders.cache import pretrained
    from crossaisle.evaluate.files import write_json
    from crossaisle.pipeline.fit import split_of
    from crossaisle.training.federated import comparison as work
    from crossaisle.training.federated.config import FederatedConfig, Rule

    rules: dict[str, Rule] = {"mean": "mean", "trimmed_mean": "trimmed_mean", "median": "median"}
    if rule not in rules:
        raise typer.BadParameter(f"--rule must be {', '.join(rules)} (found {rule!r})")
    shops = []
    for path in configs:
        settings = load_config(path, [])
        imported = import_dataset(settings.data, progress=True)
        say_what_was_set_aside(imported.report)
        shops.append((path.stem, imported.dataset, split_of(imported.dataset, settings.split)))
    if len({name for name, _, _ in shops} | {"shared"}) <= len(shops):
        raise typer.BadParameter(
            "each CONFIG.toml is named after its shop: give files with different names, none of "
            "them shared.toml"
        )
    members, whitening = work.in_one_space(shops, pretrained(encoder).encode)
    config = FederatedConfig(rounds=rounds, rule=rules[rule])
    found = work.compare(members, config, cases=cases, say=say)
    for name, adapter in zip(("shared", *(m.name for m in members)), (found.shared, *found.own), strict=True):
        work.save_adapter(adapter, whitening, encoder, out / name)
    rows = work.described(found)
    write_json(out / "federate.json", {"rate": found.rate, "rounds": rounds, "rule": rule, "shops": rows})
    if as_json:
        show_json(rows)
        return
    show_table(
        ["NDCG@10 on test", *work.WAYS, "over alone", "of pooled"],
        [
            [
                row.shop,
                *row.ndcg.values(),
                "{:+.4f} [{:+.4f}, {:+.4f}]".format(*row.over_alone["personal"]),
                row.ndcg["personal"] / max(row.ndcg["pooled"], 1e-12),
            ]
            for row in found.rows
        ],
    )
    print(out)
