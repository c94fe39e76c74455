"""`user`: what a model knows of one user."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from crossaisle.cli.output import AsJson, show_json, show_table, tell
from crossaisle.cli.recommend import Model

if TYPE_CHECKING:
    from crossaisle.pipeline.analysis.portrait import Portrait


def user(
    model: Model,
    name: Annotated[str, typer.Argument(help="User id.", metavar="ID")],
    as_json: AsJson = False,
) -> None:
    """Describe in words what a user is interested in and how they shop.

    \b
    crossaisle user demo/model 1609
    """
    from crossaisle.pipeline.analysis.portrait import portrait
    from crossaisle.recommend.recommender import Recommender

    found = portrait(Recommender.load(model), name)
    if as_json:
        show_json(found.to_dict())
    else:
        _show(found)


def _show(found: Portrait) -> None:
    if found.interests:
        rows = [[i.label, f"{i.share:.0%}", "; ".join(i.typical)] for i in found.interests]
        show_table(["interested in", "share", "for example"], rows, title=f"User {found.user}")
    else:
        tell(f"User {found.user}")
    tell(f"{found.events:,} events{_when(found)}")
    if found.categories:
        tell("categories: " + ", ".join(f"{name} {share:.0%}" for name, share in found.categories))
    if found.price_level is not None:
        tell(
            f"price level: {found.price_level:.2f} (0: always the cheapest in a category, 1: "
            "always the most expensive)"
        )
    if found.repeats is not None:
        tell(f"items bought before: {found.repeats:.0%} of the events")
    if found.known:
        tell("known: " + ", ".join(f"{key.replace('_', ' ')} {of}" for key, of in found.known.items()))


def _days(number: float) -> str:
    return "1 day" if round(number) == 1 else f"{number:.0f} days"


def _when(found: Portrait) -> str:
    parts = []
    if found.tempo is not None:
        often = (found.tempo, "week") if found.tempo >= 0.1 else (found.tempo * 52, "year")
        parts.append(f"on {often[0]:.1f} days a {often[1]}")
    if found.gap_days is not None:
        parts.append(f"{_days(found.gap_days)} apart (median)")
    if found.days_since is not None:
        parts.append(f"the last one {_days(found.days_since)} before the shop's last event")
    return f", {', '.join(parts)}" if parts else ""
