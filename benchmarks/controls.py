"""Measures what a shop's lists owe to order, history, texts and the start of the sequence model.

    python benchmarks/controls.py s3rec-beauty --root DATA --out DIR

Fits the shop three times: as it is; with the words of every product (title, brand, attributes, description)
given to another product, categories unchanged because the slices are made of them; and with a sequence model
that starts at random. The first is also asked with shuffled histories, and with the newest product of each
history alone.

Prints NDCG@10 on the test by slice, and the difference to the shop as it is with its paired 95 % interval. If
taking something away does not lower the figure, the lists do not use it. Each fit takes about as long as
`crossaisle benchmark`; finished fits are kept in DIR and used again.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from seeds import SLICES
from sequence import in_no_order

from crossaisle.config import ModelConfig
from crossaisle.data.dataset import Dataset
from crossaisle.data.datasets import find_catalogue, load_catalogue
from crossaisle.data.history import Floats, Histories
from crossaisle.evaluate.files import write_json
from crossaisle.evaluate.significance import Bootstrap
from crossaisle.pipeline.fit import Fitted, fit
from crossaisle.pipeline.measure import MODEL, SERVED_BY, measure

AS_IT_IS = "as it is"
WORDS = ("title", "brand", "attributes", "description")
Asked = Callable[[Histories], Histories]
Values = Mapping[str, Floats]
"""Slice -> float32 (customers,): NDCG@10, NaN where a customer is not in the slice."""


def newest_alone(histories: Histories) -> Histories:
    """The newest event of each history, as if of an unknown customer."""
    kept = histories.keep(histories.age == 0)
    return replace(kept, user=np.full(len(kept), -1, np.int32))


ASKED: dict[str, Asked] = {
    "asked with histories in no order": in_no_order,
    "asked with the newest product alone": newest_alone,
}


def with_other_words(dataset: Dataset) -> Dataset:
    """Every item gets the words of another one and keeps its categories."""
    order = np.random.default_rng(0).permutation(dataset.n_items)
    words = [dataset.items[name].gather(order) for name in WORDS]
    return replace(dataset, items=dataset.items.with_columns(words))


def fits(dataset: Dataset) -> dict[str, tuple[Dataset, ModelConfig]]:
    config = ModelConfig(encoder="minilm")
    at_random = replace(config, parts={"sequence": {"encoder": "random"}})
    return {
        AS_IT_IS: (dataset, config),
        "words of other products": (with_other_words(dataset), config),
        "sequence model begun at random": (dataset, at_random),
    }


def measured(fitted: Fitted, cases: int | None, *, asked: Mapping[str, Asked]) -> dict[str, Values]:
    """Control -> slice -> NDCG@10; what is served comes first."""
    serve = fitted.past.ruled_batch
    open_list, limited = partial(serve, placement="for_you"), partial(serve, placement="discover")
    others = {
        f"{name}{kind}": lambda histories, change=change, answer=answer: answer(change(histories))
        for name, change in asked.items()
        for kind, answer in (("", open_list), (" (discover)", limited))
    }
    found = measure(fitted, max_cases=cases, others=others, resamples=0)
    slices = [one for one in SLICES if one in found.slices]
    return {
        label: {
            one: found.per_case(
                f"{name} (discover)" if asks and one in SERVED_BY["discover"] else name, one, "ndcg"
            )
            for one in slices
        }
        for label, name, asks in ((AS_IT_IS, MODEL, False), *((name, name, True) for name in asked))
    }


def kept(file: Path, made: Callable[[], dict[str, Values]]) -> dict[str, Values]:
    """Loads the file of an earlier run, or makes it."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        table = {f"{name}/{one}": v for name, values in made().items() for one, v in values.items()}
        np.savez(file, allow_pickle=False, **table)
    out: dict[str, dict[str, Floats]] = {}
    with np.load(file) as stored:
        for key in stored.files:
            name, one = key.split("/")
            out.setdefault(name, {})[one] = stored[key]
    return dict(out)


def compared(values: Mapping[str, Values]) -> list[dict[str, Any]]:
    """One row per control and slice."""
    rows = []
    for name, found in values.items():
        for one, base in values[AS_IT_IS].items():
            known = ~np.isnan(base)
            gap, p = Bootstrap(n=int(known.sum())).difference(
                found[one][known][:, None], base[known][:, None]
            )
            value, low, high = gap.of(0)
            row = {
                "control": name,
                "slice": one,
                "n": int(known.sum()),
                "ndcg": float(np.nanmean(found[one])),
            }
            rows.append(row | {"difference": value, "low": low, "high": high, "p": float(p[0])})
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "name", choices=["s3rec-beauty", "s3rec-sports", "s3rec-toys"], help="the known data set"
    )
    parser.add_argument("--root", type=Path, help="folder of the data sets, see docs/data.md")
    parser.add_argument("--cases", type=int, help="test customers, drawn with a seed (default: all)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the results")
    given = parser.parse_args()
    split = find_catalogue(given.name).split
    values: dict[str, Values] = {}
    for number, (name, (dataset, config)) in enumerate(
        fits(load_catalogue(given.name, root=given.root).dataset).items()
    ):

        def made(dataset: Dataset = dataset, config: ModelConfig = config, first: bool = not number) -> Any:
            fitted = fit(dataset, split_config=split, model_config=config)
            return measured(fitted, given.cases, asked=ASKED if first else {})

        found = kept(given.out / f"fit-{number}.npz", made)
        values |= found if not number else {name: found[AS_IT_IS]}
        print(f"fitted and measured: {name}", flush=True)
    rows = compared(values)
    write_json(given.out / "controls.json", rows)
    print("| | " + " | ".join(values[AS_IT_IS]) + " |\n|---|" + "---:|" * len(values[AS_IT_IS]))
    for name in values:
        cells = [
            f"{row['ndcg']:.4f}"
            + (
                f" ({row['difference']:+.4f} [{row['low']:+.4f}, {row['high']:+.4f}])"
                if name != AS_IT_IS
                else ""
            )
            for row in rows
            if row["control"] == name
        ]
        print("| " + " | ".join([name, *cells]) + " |")


if __name__ == "__main__":
    main()
