"""All known exports by name."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from crossaisle.data.exports import research, shops
from crossaisle.data.exports.files import Draft, Files
from crossaisle.data.exports.guess import fill_in
from crossaisle.errors import ConfigError, DataError, nearest

Export = Callable[[Files], Draft]
EXPORTS: dict[str, Export] = {
    "shopify": shops.shopify,
    "woocommerce": shops.woocommerce,
    "magento": shops.magento,
    "google-merchant": shops.google_merchant,
    "ga4": shops.ga4,
    "retailrocket": research.retailrocket,
    "instacart": research.instacart,
    "olist": research.olist,
    "movielens": research.movielens,
    "recbole": research.recbole,
    "otto": research.otto,
    "amazon-reviews": research.amazon_reviews,
}
SHOPS = ("shopify", "woocommerce", "magento", "google-merchant")
"""Shop systems whose products can be recognized; orders may come from elsewhere."""


def draft_of(name: str, paths: Sequence[Path]) -> Draft:
    """The settings for files of a known export. Tables it does not cover are searched for as in `guess`."""
    if name not in EXPORTS:
        raise ConfigError(f"unknown export {name!r}{nearest(name, EXPORTS)}")
    files = Files(paths)
    draft = EXPORTS[name](files)
    if not draft.tables:
        seen = "; ".join(
            [*(f"{f.path}: {', '.join(f.names[:6])}" for f in files.left[:3]), *files.unread[:3]]
        )
        raise DataError(
            f"none of these files is a {name} export ({seen}); expected: {_first_line(EXPORTS[name])}"
        )
    draft.remarks.insert(0, f"From {name}. {_first_line(EXPORTS[name])}")
    fill_in(draft, files)
    return draft


def draft_of_folder(folder: Path) -> Draft:
    """The settings for a folder of files, as far as they can be inferred; the remarks say what is
    uncertain."""
    found = Files([folder])
    best, best_name, left = Draft(), "", found
    for name, export in EXPORTS.items():
        files = found.copy()
        draft = export(files)
        enough = "events" in draft.tables or name in SHOPS
        if enough and len(draft.tables) > len(best.tables):
            best, best_name, left = draft, name, files
    if best.tables:
        best.remarks.insert(0, f"These look like files of {best_name}. {_first_line(EXPORTS[best_name])}")
        fill_in(best, left)
        return best
    draft = Draft()
    fill_in(draft, found)
    return draft


def _first_line(export: Export) -> str:
    return (export.__doc__ or "").strip().splitlines()[0]
