"""`fine_tune`: a language model learns a shop from the events before validation, and becomes an encoder."""

from __future__ import annotations

import shutil
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.artifact import may_replace
from crossaisle.config import SplitConfig
from crossaisle.data.dataset import Dataset
from crossaisle.errors import ConfigError
from crossaisle.evaluate.acceptance import guard
from crossaisle.pipeline.fit import peak_mb, split_of
from crossaisle.progress import Say, silent
from crossaisle.train_config import PretrainConfig, TrainConfig

TRAINED, UNTRAINED = "trained", "untrained"
CHECKED = 500
"""Texts on which the exported file is compared with the checkpoint."""


def checkpoint_folder(out: Path) -> Path:
    """Where an unfinished training keeps its state."""
    return out.with_name(out.name + ".checkpoint")


def fine_tune(
    dataset: Dataset,
    split_config: SplitConfig,
    config: TrainConfig,
    out: str | Path,
    *,
    resume: bool = False,
    device: str = "auto",
    progress: bool = False,
    say: Say = silent,
) -> dict[str, Any] | None:
    """Trains on the split's train events only, stops by its validation, writes the folder `out`.

    What was trained is kept only if it is provably better than what there was before, on validation
    cases that did not decide when to stop; otherwise `out` holds the untrained model.
    The checkpoint lies beside `out` until that is whole. Without `resume`, an old checkpoint is removed.
    `device`: "auto", "cpu" or "cuda". Processes that `torchrun` or Ray Train started train together, and the
    first one does the rest. Returns a summary, None in the others. Raises `MissingDependencyError` without
    the training libraries.
    """
    from crossaisle.training.torch_library import require

    require(exports=True)
    from crossaisle.training.export.saving import keep
    from crossaisle.training.parallel import device_of, joined
    from crossaisle.training.text.backbone import Backbone
    from crossaisle.training.text.trainer import Trainer
    from crossaisle.training.text.validate import Held, apart

    out, start = Path(out), time.perf_counter()
    split = split_of(dataset, split_config)
    stopping, judging = apart(split.validation, config.seed)
    with joined(device_of(device)) as world:
        state = _checkpoint(out, resume) if world.first else checkpoint_folder(out)
        world.wait()
        if not world.first:
            progress, say = False, silent
        trainer = Trainer(split.train, config, validation=stopping, world=world, device=device, say=say)
        together = "" if world.alone else f", {world.size} processes"
        say(
            f"{len(trainer.examples):,} examples, {trainer.steps:,} steps, "
            f"{sum(p.numel() for p in trainer.moving.values()):,} parameters move{together}"
        )
        trained = trainer.run(state, resume=resume, progress=progress)
    if not world.first:
        return None
    trained.towers.to("cpu")
    untrained = Backbone.load(config.backbone, prefix=config.prefix, max_tokens=config.max_tokens)
    say(f"comparing with the untrained model on {len(judging):,} other validation cases")
    held = Held.of(judging, dataset.n_items, length=config.history, seed=config.seed)
    after, before = (held.served(model, dataset.item_texts) for model in (trained.backbone, untrained))
    verdict = guard(TRAINED, after, UNTRAINED, before)
    say(verdict.statement)
    texts = [text for text in dict.fromkeys(dataset.item_texts) if text.strip()]
    sample = np.random.default_rng([config.seed, 5]).permutation(len(texts))[:CHECKED]
    facts = {
        "dataset": dataset.name,
        "split": split.protocol,
        "train": asdict(config),
        "examples": len(trainer.examples),
        "seconds": time.perf_counter() - start,
        "peak_mb": peak_mb(),
        "guard": verdict.to_dict() | {"asked": config.guard},
    }
    say("writing the model")
    fallback = untrained if config.guard and not verdict.accepted else None
    keep(trained, out, facts, [texts[i] for i in np.sort(sample)], fallback=fallback, say=say)
    shutil.rmtree(state, ignore_errors=True)
    first = trained.progress.validations[0][1] if trained.progress.validations else float("nan")
    return {
        "model": out,
        "steps": trained.progress.step,
        "best_step": trained.progress.best_step,
        "ndcg_before": first,
        "ndcg_after": trained.progress.best,
        "seconds": facts["seconds"],
        "peak_mb": facts["peak_mb"],
        "guard": verdict.to_dict(),
        "serves": TRAINED if fallback is None else UNTRAINED,
        "notes": trained.notes,
    }


def fine_tune_on_ray(
    dataset: Dataset,
    split_config: SplitConfig,
    config: TrainConfig,
    out: str | Path,
    *,
    processes: int | None = None,
    resume: bool = False,
    device: str = "auto",
    say: Say = silent,
) -> dict[str, Any]:
    """`fine_tune` in several processes of a Ray cluster, by Ray Train; the same losses and weights.

    Needs a connection (`execution.on_ray.connected`). All machines must see the folder of `out`. If a process
    is lost, training goes on from the last checkpoint. `processes`: by default one for each GPU of the
    cluster, or for each of its processors where `device` is "cpu" or there is no GPU. Raises what `fine_tune`
    raises, `ConfigError` where the cluster has no room, and `WorkerError` where processes keep being lost.
    """
    from crossaisle.execution.ray_train import has_gpus, together
    from crossaisle.training.torch_library import require

    require(exports=True)
    gpus = device == "cuda" or (device == "auto" and has_gpus())

    def work(again: bool, say: Say) -> dict[str, Any] | None:
        return fine_tune(
            dataset, split_config, config, folder, resume=resume or again, device=device, say=say
        )

    folder = Path(out).resolve()
    summary: dict[str, Any] = together(work, processes, gpus=gpus, say=say)
    return summary | {"model": Path(out)}


def read_catalogue(
    dataset: Dataset,
    config: PretrainConfig,
    out: str | Path,
    *,
    resume: bool = False,
    progress: bool = False,
    say: Say = silent,
) -> dict[str, Any]:
    """Pre-trains on the catalogue's texts, which hold no behaviour; writes the checkpoint folder `out`.

    Returns a summary. Raises `MissingDependencyError` without the training libraries.
    """
    from crossaisle.training.torch_library import require

    require("pre-training")
    from crossaisle.training.export.saving import keep_pretrained
    from crossaisle.training.text.pretrain import Pretraining

    out, start = Path(out), time.perf_counter()
    state = _checkpoint(out, resume)
    reading = Pretraining(dataset.item_texts, config, say=say)
    say(f"{len(reading.read):,} texts, {reading.steps:,} steps")
    found = reading.run(state, resume=resume, progress=progress)
    perplexity = {"before": found.before, "head": found.head, "after": found.after}
    facts = {
        "dataset": dataset.name,
        "pretrain": asdict(config),
        "texts": found.texts,
        "perplexity": perplexity,
        "seconds": time.perf_counter() - start,
        "peak_mb": peak_mb(),
    }
    keep_pretrained(found, out, facts)
    shutil.rmtree(state, ignore_errors=True)
    return {
        "model": out,
        "steps": found.progress.step,
        "best_step": found.progress.best_step,
        **perplexity,
        "seconds": facts["seconds"],
        "peak_mb": facts["peak_mb"],
        "notes": found.notes,
    }


def _checkpoint(out: Path, resume: bool) -> Path:
    """The folder of the unfinished state, emptied unless it is to be resumed."""
    if not out.name:
        raise ConfigError(f"{out}: name a folder for the model")
    may_replace(out.resolve())
    out.parent.mkdir(parents=True, exist_ok=True)
    state = checkpoint_folder(out)
    if not resume:
        may_replace(state.resolve())
        shutil.rmtree(state, ignore_errors=True)
    return state
