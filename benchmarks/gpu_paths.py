"""Compares every path that may run on a GPU with the CPU, in one table.

    python benchmarks/gpu_paths.py [--weights FOLDER] [--titles 20000] [--only encode,train,sequence,parallel]

Measures encoding in float32 and bfloat16; steps of LoRA and of full fine-tuning; a fit of the sequence model;
and the losses of one process, of one under NCCL, and of two that share the GPU under gloo. A path that fails
becomes a line of the table, and the exit status is 1. Without a GPU, the CPU half of the table is made. Takes
about three minutes on a large GPU with 16 cores.

FOLDER holds a BERT-like checkpoint: `config.json`, `tokenizer.json` and `*.safetensors`; `crossaisle models
pull minilm-torch` prints one. If the safetensors are missing, random weights of that shape are used, which
cost the same; without FOLDER, shape and vocabulary are made up like MiniLM's. Nothing is downloaded.

Needs torch, transformers, peft, safetensors, tokenizers, scipy and polars; sentence-transformers is measured
if installed. From a checkout that is not installed: PYTHONPATH=src python benchmarks/gpu_paths.py
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

from crossaisle.data.dataset import Dataset
from crossaisle.data.ingest.importer import import_frames
from crossaisle.models.scorers.sequence import SequenceTransformer
from crossaisle.train_config import TrainConfig
from crossaisle.training.parallel import World, device_of, joined
from crossaisle.training.text.backbone import Backbone
from crossaisle.training.text.trainer import Trainer

WORDS, TOPICS = 4000, 200
CUDA = torch.cuda.is_available()
DEVICES = ("cpu", "cuda") if CUDA else ("cpu",)
BATCH = {"cpu": 32, "cuda": 256}
STEPS = {"cpu": 4, "cuda": 40}
"""Steps that are measured; the first of them warms up."""
READ = {"cpu": 400, "cuda": 1_000_000}
"""Titles to read, at most."""


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    what: str
    where: str
    figure: float
    unit: str
    beside: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", type=Path, help="folder with a checkpoint (default: synthetic weights)")
    parser.add_argument("--titles", type=int, default=20_000, help="titles to encode (default: %(default)s)")
    parser.add_argument(
        "--only",
        default="encode,train,sequence,parallel",
        help="paths to measure, separated by commas (default: %(default)s)",
    )
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        losses_to(options.worker, options.weights, options.titles)
        return
    card = torch.cuda.get_device_name(0) if CUDA else "no GPU"
    print(f"{card}; {platform.machine()}, {os.cpu_count()} cores; torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as scratch:
        folder, real = checkpoint(options.weights, Path(scratch) / "checkpoint")
        print(f"weights: {'as given' if real else 'random'}; {options.titles:,} titles", flush=True)
        shop = made_up(options.titles)
        paths: dict[str, Callable[[], Iterator[Line]]] = {
            "encode": lambda: encoding(folder, list(shop.item_texts), Path(scratch)),
            "train": lambda: training(folder, shop),
            "sequence": lambda: sequence(shop),
            "parallel": lambda: parallel(folder, options.titles, Path(scratch)),
        }
        print(f"{'path':<26}{'where':<22}{'figure':>10} {'unit':<14}beside")
        broken = False
        for name in options.only.split(","):
            for line in told(name, paths[name]):
                print(
                    f"{line.what:<26}{line.where:<22}{line.figure:>10,.4g} {line.unit:<14}{line.beside}",
                    flush=True,
                )
                broken |= line.figure != line.figure
    sys.exit(broken)


def told(name: str, path: Callable[[], Iterator[Line]]) -> Iterator[Line]:
    """The lines of one path. A failure becomes a line, so that the other paths are still measured."""
    try:
        yield from path()
    except Exception as error:
        yield Line(name, "FAILED", float("nan"), "", f"{type(error).__name__}: {str(error)[:300]}")


# What is measured


def encoding(folder: Path, texts: list[str], scratch: Path) -> Iterator[Line]:
    """Titles a second, and how far vectors are from the CPU's in float32."""
    backbone, reference = Backbone.load(folder), None
    some = texts[: READ["cpu"]]
    for device in DEVICES:
        backbone.to(device)
        for half in (False, True):
            read = texts[: READ[device]]
            with torch.autocast(device, torch.bfloat16, enabled=half):
                backbone.encode(read[:128], batch_tokens=32_768)
                seconds, vectors = timed(lambda read=read: backbone.encode(read, batch_tokens=32_768))
            reference = vectors if reference is None else reference
            cosine = float((vectors[: len(some)] * reference).sum(axis=1).mean())
            name = "bfloat16" if half else "float32"
            yield Line("encode", f"{device} {name}", len(read) / seconds, "titles/s", f"cosine {cosine:.5f}")
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError:
        return
    backbone.to("cpu").save(scratch / "saved")
    for device in DEVICES:
        other = SentenceTransformer(str(scratch / "saved"), device=device)
        read = texts[: READ[device]]
        other.encode(read[:128], batch_size=256)
        seconds, vectors = timed(lambda: other.encode(read, batch_size=256, normalize_embeddings=True))  # noqa: B023
        cosine = float((vectors[: len(some)] * reference).sum(axis=1).mean())
        yield Line(
            "sentence-transformers",
            f"{device} float32",
            len(read) / seconds,
            "titles/s",
            f"cosine {cosine:.5f}",
        )


def training(folder: Path, shop: Dataset) -> Iterator[Line]:
    """Examples a second, and the mean loss of the last steps."""
    for moves in ("lora", "full"):
        for device in DEVICES:
            for precision in ("float32", "bfloat16") if device == "cuda" else ("float32",):
                trainer = trainer_of(folder, shop, device, moves=moves, precision=precision)
                losses, seconds = steps_of(trainer, STEPS[device])
                memory = f", {torch.cuda.max_memory_allocated() / 1e9:.1f} GB" if device == "cuda" else ""
                yield Line(
                    f"train, {moves}", f"{device} {precision}", BATCH[device] / seconds, "examples/s",
                    f"loss {losses[0]:.3f} to {np.mean(losses[-3:]):.3f} in {len(losses)} steps{memory}",
                )  # fmt: skip
                if device == "cuda":
                    del trainer
                    torch.cuda.empty_cache()
                    torch.cuda.reset_peak_memory_stats()


def sequence(shop: Dataset) -> Iterator[Line]:
    """Seconds of a fit of two passes; the vectors start at random, so that no text encoder is needed."""
    from crossaisle.training.sequence import learner

    chosen = learner.device_of
    found: dict[str, Any] = {}
    try:
        for device in DEVICES:
            learner.device_of = lambda _, device=device: device_of(device)
            model = SequenceTransformer(encoder="random", epochs=2, stop=2, max_events=20_000, dropout=0.0)
            seconds, _ = timed(lambda model=model: model.fit(shop))
            scores = model.score_rows(shop.histories().take(slice(0, 200)))
            found[device] = scores
            gap = float(np.nanmax(np.abs(scores - found["cpu"])))
            yield Line(
                "sequence, two passes", f"{device} float32", seconds, "s", f"scores within {gap:.2g} of cpu"
            )
    finally:
        learner.device_of = chosen


def parallel(folder: Path, titles: int, scratch: Path) -> Iterator[Line]:
    """Losses of the same steps in one process and in several, as `torchrun` starts them."""
    device = DEVICES[-1]
    alone: np.ndarray | None = None
    for name, processes in (
        ("alone", 1),
        (f"{'nccl' if CUDA else 'gloo'}, 1 process", 1),
        ("gloo, 2 processes", 2),
    ):
        out = scratch / name.replace(" ", "-")
        out.mkdir()
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        script = [
            str(Path(__file__).resolve()),
            "--weights",
            str(folder),
            "--titles",
            str(titles),
            "--worker",
            str(out),
        ]
        environment = {**os.environ, "CROSSAISLE_BENCHMARK_ALONE": str(int(name == "alone"))}
        command = [sys.executable, *([] if name == "alone" else launch), *script]
        ran = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=240
        )
        if ran.returncode:
            yield Line("data-parallel", f"{name}: FAILED", float("nan"), "", ran.stderr.strip()[-300:])
            continue
        said = json.loads((out / "0.json").read_text())
        losses = np.array(said["losses"])
        alone = losses if alone is None else alone
        gap = float(np.abs(losses - alone).max())
        yield Line(
            "data-parallel", f"{device} {name}", BATCH[device] / said["seconds"], "examples/s",
            f"loss within {gap:.2g} of one process in {len(losses)} steps ({said['backend']})",
        )  # fmt: skip


class _Exchanging(World):
    """A world of one that exchanges with itself, so that one GPU can run NCCL."""

    alone = False


def losses_to(out: Path, folder: Path, titles: int) -> None:
    """The work of one process of `parallel`."""
    import torch.distributed as dist

    device = device_of(DEVICES[-1][:4])
    backend = "none"
    with joined(device) as world:
        if world.alone and os.environ["CROSSAISLE_BENCHMARK_ALONE"] == "0":
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
            world = _Exchanging()
        if dist.is_initialized():
            backend = dist.get_backend()
        trainer = trainer_of(
            folder, made_up(titles), device.type, world=world, moves="lora", precision="float32"
        )
        losses, seconds = steps_of(trainer, STEPS[device.type])
    said = {"losses": losses, "seconds": seconds, "backend": backend}
    (out / f"{world.rank}.json").write_text(json.dumps(said))


# What it is measured on


def trainer_of(folder: Path, shop: Dataset, device: str, world: World = World(), **settings: Any) -> Trainer:
    config = TrainConfig(
        backbone=str(folder),
        batch=BATCH[device],
        epochs=100,
        warm_up=0.0,
        schedule="constant",
        dropout=0.0,
        max_pairs=20_000,
        **settings,
    )
    return Trainer(shop, config, world=world, device=device)


def steps_of(trainer: Trainer, steps: int) -> tuple[list[float], float]:
    """Losses of some steps, and the seconds of one after the first."""
    from crossaisle.training.text.checkpoint import Progress

    state, losses = Progress(), []
    trainer.towers.warm()
    start = 0.0
    for _ in range(steps):
        losses.append(trainer._step(state))
        state.step += 1
        if state.step == 1:
            start = now()
    return losses, (now() - start) / (steps - 1)


def now() -> float:
    if CUDA:
        torch.cuda.synchronize()
    return time.perf_counter()


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = now()
    found = work()
    return now() - start, found


def made_up(titles: int) -> Dataset:
    """A synthetic shop whose customers stay within a few topics, named in the titles."""
    rng = np.random.default_rng(0)
    topic = rng.integers(TOPICS, size=titles)
    words = np.hstack(
        [20 * topic[:, None] + rng.integers(20, size=(titles, 4)), rng.integers(WORDS, size=(titles, 6))]
    )
    items = pl.DataFrame(
        {
            "item_id": [f"i{n}" for n in range(titles)],
            "title": [" ".join(f"word{w}" for w in row) for row in words.tolist()],
            "category": [f"topic {t}" for t in topic.tolist()],
        }
    )
    users, each = titles // 2, 10
    liked = rng.integers(TOPICS, size=users)
    order = np.argsort(topic, kind="stable")
    first, count = np.searchsorted(topic[order], np.arange(TOPICS)), np.bincount(topic, minlength=TOPICS)
    place = (
        first[liked][:, None] + rng.integers(2**31, size=(users, each)) % np.maximum(count[liked], 1)[:, None]
    )
    bought = order[np.minimum(place, titles - 1)].ravel()
    events = pl.DataFrame(
        {
            "user_id": [f"u{u}" for u in np.repeat(np.arange(users), each).tolist()],
            "item_id": [f"i{i}" for i in bought.tolist()],
            "time": np.tile(np.arange(each), users) * 86_400 + 1_700_000_000,
        }
    )
    return import_frames(items, events).dataset


def checkpoint(given: Path | None, made: Path) -> tuple[Path, bool]:
    """A folder with weights, and whether these are the given ones."""
    if given is not None and list(given.glob("*.safetensors")):
        return given, True
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import AutoConfig, AutoModel, BertConfig

    torch.manual_seed(0)
    made.mkdir()
    if given is not None:
        config = AutoConfig.from_pretrained(given, local_files_only=True)
        tokenizer = Tokenizer.from_file(str(given / "tokenizer.json"))
    else:
        config = BertConfig(
            vocab_size=30_522,
            hidden_size=384,
            num_hidden_layers=6,
            num_attention_heads=12,
            intermediate_size=1536,
        )
        special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
        vocabulary = {word: n for n, word in enumerate([*special, *(f"word{n}" for n in range(WORDS))])}
        tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    AutoModel.from_config(config).save_pretrained(made)
    tokenizer.save(str(made / "tokenizer.json"))
    return made, False


if __name__ == "__main__":
    main()
