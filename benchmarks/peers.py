"""Compares crossaisle with implicit, LensKit, RecTools and RecBole on the same data, split and metrics.

    python benchmarks/peers.py s3rec-beauty --out DIR [--minutes 5] [--cases 10000] [--peers implicit-als ...]

Each library is installed in an environment of its own below `--environments` (several GB: RecTools, LensKit
and RecBole bring torch) and gets the events of train and validation as numbers. Settings are tried on
validation for `--minutes` of CPU time per model (wall time on a GPU). The model is then fitted on train and
validation and scores the users of the test, whose answers it never sees. One thread each.

Prints NDCG@10 by slice and writes `results.json` (rows like those of `crossaisle benchmark`) and `peers.json`
(settings, seconds, memory). Scores already in `--out` for the same minutes and cases are used again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from crossaisle.config import ModelConfig, SplitConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.datasets import find_catalogue, load_catalogue
from crossaisle.data.history import Floats, Histories
from crossaisle.data.splits.cases import EvalCases, Split
from crossaisle.evaluate.files import write_json
from crossaisle.evaluate.results import Evaluation, evaluate
from crossaisle.pipeline.fit import fit, split_of
from crossaisle.pipeline.measure import MODEL, measure

PACKAGES: dict[str, tuple[str, ...]] = {
    "implicit": ("implicit==0.7.3", "scipy"),
    "lenskit": ("lenskit==2025.8.1",),
    "rectools": ("rectools[torch]==0.19.0",),
    "recbole": ("recbole==1.2.1", "setuptools<80", "pandas<3", "numpy<2", "scipy<1.13"),
}
MODELS: dict[str, tuple[str, ...]] = {
    "implicit": ("als", "bm25", "cosine"),
    "lenskit": ("item_knn", "ease", "als"),
    "rectools": ("sasrec", "ease"),
    "recbole": ("sasrec", "lightgcn"),
}
SLICES = ("all", "same_open", "cross_open", "cross_limited", "novel_open", "novel_limited", "new_category")
HERE = Path(__file__).resolve().parent / "peer_models"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    every = [f"{library}-{model}" for library, models in MODELS.items() for model in models]
    parser.add_argument("dataset", help="a known data set, such as s3rec-beauty")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="tuning per model, in CPU minutes (wall minutes on a GPU)"
    )
    parser.add_argument("--cases", type=int, default=10_000, help="test queries, drawn with a seed")
    parser.add_argument(
        "--peers",
        nargs="+",
        default=every,
        choices=every,
        metavar="LIBRARY-MODEL",
        help="models to compare with",
    )
    parser.add_argument("--root", type=Path, help="folder of data sets that cannot be downloaded")
    parser.add_argument(
        "--environments",
        type=Path,
        default=Path("runs/peers"),
        help="folder for the environments of the libraries",
    )
    parser.add_argument(
        "--device", choices=("cpu", "cuda"), default="cpu", help="device of the peers that use torch"
    )
    parser.add_argument(
        "--python",
        type=Path,
        help="an interpreter with all the libraries, instead of environments",
    )
    parser.add_argument("--alone", action="store_true", help="measure the peers only, without crossaisle")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    dataset = load_catalogue(options.dataset, root=options.root).dataset
    config = find_catalogue(options.dataset).split
    split = _sampled(split_of(dataset, config), options.cases)
    _write(split, options.out)
    peers: dict[str, Any] = {}
    for name in options.peers:
        library = name.split("-", 1)[0]
        if options.python is None:
            os.environ.pop("PYTHONPATH", None)  # not for the environments of the libraries
        python = options.python or _environment(library, options.environments)
        asked = {"minutes": options.minutes, "cases": options.cases, "device": options.device}
        about = _score(name, python, options.out, asked)
        if about is not None:
            peers[name] = about
    costs = {name: {"fit_seconds": a["fit_seconds"], "peak_mb": a["peak_mb"]} for name, a in peers.items()}
    scores = {name: FromFile(options.out / f"{name}.npy", split.test) for name in peers}
    if options.alone:
        evaluation = evaluate(scores, split, dataset, costs=costs)
    else:
        evaluation = _beside_ours(dataset, config, options.cases, costs, scores)
    write_json(options.out / "results.json", evaluation.rows)
    write_json(options.out / "peers.json", peers)
    print(table(evaluation, list(peers)))


def _beside_ours(
    dataset: Dataset,
    config: SplitConfig,
    cases: int,
    costs: dict[str, dict[str, float]],
    scores: dict[str, FromFile],
) -> Evaluation:
    print(f"fitting crossaisle on {dataset.name}", flush=True)
    fitted = fit(dataset, split_config=config, model_config=ModelConfig())
    fitted = replace(fitted, split=_sampled(fitted.split, cases))
    return measure(replace(fitted, costs=fitted.costs | costs), others=scores)


class FromFile:
    """Scores that a library wrote for the users, or baskets, of some cases."""

    def __init__(self, file: Path, cases: EvalCases) -> None:
        self._scores = np.load(file, mmap_mode="r")
        histories = cases.take(_asked(cases)).histories
        self._place = {_key(histories, at): at for at in range(len(histories))}

    def __call__(self, histories: Histories) -> Floats:
        out = np.full((len(histories), self._scores.shape[1]), np.nan, np.float32)
        for at in range(len(histories)):
            place = self._place.get(_key(histories, at))
            if place is not None:
                out[at] = self._scores[place]
        return out


def _key(histories: Histories, at: int) -> int | bytes:
    """A user, or the items of an anonymous basket."""
    user = int(histories.user[at])
    return user if user >= 0 else histories.items_of(at).tobytes()


def _asked(cases: EvalCases) -> np.ndarray:
    """int64: the cases peers are asked about: known users, or all baskets where all are anonymous."""
    known = np.flatnonzero(cases.histories.user >= 0)
    return known if len(known) else np.arange(len(cases))


def _sampled(split: Split, most: int) -> Split:
    rows = np.sort(np.random.default_rng(0).permutation(len(split.test))[:most])
    return replace(split, test=split.test.take(rows))


def _write(split: Split, folder: Path) -> None:
    """Writes what the peers get, as numbers."""
    for name, part in (("train", split.train), ("past", split.past)):
        np.savez(folder / f"{name}.npz", **_events(part), counts=not split.validation.mask_seen)
    asked = split.validation.take(_asked(split.validation))
    np.savez(
        folder / "validation.npz",
        owner=np.repeat(np.arange(len(asked)), np.diff(asked.target_indptr)),
        target=asked.target,
        mask_seen=asked.mask_seen,
        **_queries(asked, split.train),
    )
    test = split.test.take(_asked(split.test))
    np.savez(folder / "test.npz", **_queries(test, split.past))


def _queries(cases: EvalCases, dataset: Dataset) -> dict[str, Any]:
    histories = cases.histories
    if np.all(histories.user >= 0):
        return {"user": histories.user}
    out = {"user": histories.user, "indptr": histories.indptr, "item": histories.item}
    if cases.other_categories_only:
        codes = dataset.taxonomy.codes()
        out |= {"code": codes, "asked": codes[histories.last_item]}
    return out


def _events(dataset: Dataset) -> dict[str, Any]:
    histories = dataset.histories()
    user = np.repeat(np.arange(len(histories), dtype=np.int32), histories.lengths)
    order = np.argsort(histories.day, kind="stable")
    sizes = {"n_users": dataset.n_users, "n_items": dataset.n_items}
    return {"user": user[order], "item": histories.item[order], **sizes}


def _environment(library: str, folder: Path) -> Path:
    """The interpreter of the library's environment, which is made once."""
    place = folder / library
    python = place / ("Scripts" if os.name == "nt" else "bin") / "python"
    if not (place / "ready").exists():
        print(f"installing {', '.join(PACKAGES[library])} in {place}", flush=True)
        venv.create(place, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES[library]], check=True)
        (place / "ready").touch()
    return python.absolute()


def _score(name: str, python: Path, folder: Path, asked: dict[str, Any]) -> dict[str, Any] | None:
    """What a script reports about its model; None if it failed, after printing why."""
    library, model = name.split("-", 1)
    out = folder / f"{name}.npy"
    record = out.with_suffix(".json")
    if record.exists():
        about: dict[str, Any] = json.loads(record.read_text())
        if about.items() >= asked.items():
            return about
    print(name, flush=True)
    single = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    script, minutes = HERE / f"from_{library}.py", str(asked["minutes"])
    done = subprocess.run(
        [python, script, folder.absolute(), model, minutes, out.absolute()],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | single | {"PEERS_DEVICE": asked["device"]},
        check=False,
    )
    if done.returncode:
        print(f"{name} failed: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    about = json.loads(record.read_text()) | asked
    record.write_text(json.dumps(about))
    return about


def table(evaluation: Evaluation, peers: Sequence[str]) -> str:
    """A Markdown table: NDCG@10 by slice, and how far the best peer is behind crossaisle."""
    slices = [name for name in SLICES if name in evaluation.slices]
    lines = [
        "| N@10 | " + " | ".join(slices) + " | fit |",
        "|---|" + "---:|" * (len(slices) + 1),
    ]
    for name in (*peers, *((MODEL,) if MODEL in evaluation.models else ())):
        rows = [evaluation.row(name, one, "ndcg") for one in slices]
        cells = [f"{row['value']:.4f} [{row['low']:.4f}, {row['high']:.4f}]" if row else "–" for row in rows]
        cost = rows[0]["fit_seconds"] if rows[0] else None
        lines.append(f"| {name} | " + " | ".join(cells) + (f" | {cost:.0f} s |" if cost else " | – |"))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
