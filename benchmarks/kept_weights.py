"""Measures what the saved completejourney model gives up for its size, and how fast it loads.

    python benchmarks/kept_weights.py [--out DIR]

Compares NDCG@10 on the test of the model as saved (leading dimensions, best neighbours, float16) with the
same blend whose parts keep everything, and times saving and loading it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from crossaisle.config import ModelConfig
from crossaisle.data.datasets import find_catalogue, load_catalogue
from crossaisle.evaluate.results import evaluate
from crossaisle.models.blend import Blend
from crossaisle.pipeline.fit import fit, fit_parts
from crossaisle.recommend.recommender import Recommender


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="also write results.json to this folder")
    options = parser.parse_args()
    dataset = load_catalogue("completejourney").dataset
    split_config = find_catalogue("completejourney").split
    fitted = fit(dataset, split_config=split_config, model_config=ModelConfig())
    kept = fitted.past
    parts = dict(kept.blend.parts)
    parts["ease"] = replace(parts["ease"], dimensions=100_000)  # type: ignore[type-var]
    parts["item_knn"] = replace(parts["item_knn"], neighbours=100_000)  # type: ignore[type-var]
    fit_parts({name: parts[name] for name in ("ease", "item_knn")}, fitted.split.past)
    whole = kept.replaced(blend=Blend(parts=parts, weights=kept.blend.weights))
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "model"
        kept.save(model, half=True)
        megabytes = sum(f.stat().st_size for f in model.rglob("*") if f.is_file()) / 1e6
        start = time.perf_counter()
        loaded = Recommender.load(model)
        seconds = time.perf_counter() - start
    rows = []
    for placement in ("for_you", "unseen", "discover"):
        scorers = {
            name: lambda h, r=r, p=placement: r.score_batch(h, p)
            for name, r in (("saved", loaded), ("everything", whole))
        }
        found = evaluate(scorers, fitted.split, dataset, ks=(10,))
        slice_ = {"for_you": "all", "unseen": "new_item", "discover": "new_category"}[placement]
        ratio = found.compare("saved", ["everything"], slices=[slice_])[0]
        rows.append({"slice": slice_, **{k: ratio[k] for k in ("value", "baseline_value", "ratio")}})
        print(
            f"{slice_:14} NDCG@10 saved {ratio['value']:.4f}, everything {ratio['baseline_value']:.4f}, "
            f"ratio {ratio['ratio']:.4f} [{ratio['ratio_low']:.4f}, {ratio['ratio_high']:.4f}]"
        )
    print(f"saved model: {megabytes:.0f} MB, loads in {seconds:.2f} s")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        result = {"megabytes": megabytes, "load_seconds": seconds, "slices": rows}
        (options.out / "results.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
