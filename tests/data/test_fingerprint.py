"""The fingerprint of a data set changes with every part of its content, and with nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from crossaisle.data.kinds import Kinds
from crossaisle.data.profile.fingerprint import fingerprint, fingerprint_of_cases
from crossaisle.data.splits.split import leave_last_out
from crossaisle.data.taxonomy import Taxonomy
from tests.models.shops import tiny_shop


def test_equal_content_has_an_equal_fingerprint() -> None:
    assert fingerprint(tiny_shop()) == fingerprint(replace(tiny_shop(), name="another name"))


def test_every_part_of_the_content_counts() -> None:
    shop = tiny_shop()
    events = shop.events
    one_title = shop.items.with_columns(
        pl.when(pl.col("item_id") == "milk0").then(pl.lit("x")).otherwise("title").alias("title")
    )
    variants = [
        replace(shop, items=one_title),
        replace(shop, users=shop.users.with_columns(pl.lit("gold").alias("card"))),
        replace(shop, taxonomy=replace(shop.taxonomy, level=1)),
        replace(shop, taxonomy=Taxonomy(shop.taxonomy.paths[::-1])),
        replace(shop, kinds=("view",)),
        replace(shop, events=replace(events, time=None)),
        replace(shop, events=replace(events, item=np.roll(events.item, 1))),
        replace(shop, events=replace(events, quantity=events.quantity + 1)),
        replace(shop, events=replace(events, weight=np.full(len(events), 0.5, np.float32))),
        replace(shop, against=events.take(np.arange(1))),
        replace(shop, meanings=Kinds(low_rating=4.0)),
        shop.with_events(np.arange(len(events) - 1)),
    ]
    assert len({fingerprint(one) for one in [shop, *variants]}) == len(variants) + 1


def test_cases_differ_by_targets_and_by_what_competes() -> None:
    shop = tiny_shop()
    cases = leave_last_out(shop).test
    same = fingerprint_of_cases(cases, shop)
    assert same == fingerprint_of_cases(leave_last_out(tiny_shop()).test, tiny_shop())
    others = [
        replace(cases, mask_seen=not cases.mask_seen),
        replace(cases, target=np.roll(cases.target, 1)),
        cases.take(np.arange(len(cases) - 1)),
    ]
    assert same not in {fingerprint_of_cases(one, shop) for one in others}
