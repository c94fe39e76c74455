"""Two charts made of HTML tables.

So they follow the page's colours, fit a phone, and can be read aloud and copied.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from crossaisle.data.taxonomy import SEPARATOR
from crossaisle.evaluate.report.model_names import model_title
from crossaisle.evaluate.report.page import percent, scroll, text
from crossaisle.evaluate.results import Row, interval_of


def dots(rows: Sequence[Row], main: str, *, label: str) -> str:
    """Models by value, best first, each a dot with its 95 % interval, on a scale that starts at 0.

    `rows` are result rows of one slice and one metric; `main` is the model to point out.
    """
    ranked = sorted(rows, key=lambda r: -r["value"])
    spans = [interval_of(row) for row in ranked]
    top = max((high for _, high in spans), default=0.0) or 1.0

    def at(value: float) -> str:
        return f"{100 * max(value, 0.0) / top:.2f}%"

    lines = "".join(
        f'<tr{_mine(r["model"] == main)}><th scope="row">{text(model_title(r["model"]), 40)}</th>'
        f'<td class="track"><div aria-hidden="true"><span class="bar" style="left:{at(low)};'
        f'width:{at(high - low)}"></span>'
        f'<span class="dot" style="left:{at(r["value"])}"></span></div></td>'
        f'<td class="n" title="95 % interval {percent(low, 2)} to {percent(high, 2)}">'
        f"{percent(r['value'])}</td></tr>"
        for r, (low, high) in zip(ranked, spans, strict=True)
    )
    scale = f'<td></td><td class="track"><div><span>0</span><span>{percent(top)}</span></div></td><td></td>'
    return (
        f'<table class="dots" aria-label="{text(label)}"><tbody>{lines}</tbody>'
        f'<tfoot aria-hidden="true"><tr>{scale}</tr></tfoot></table>'
    )


def heat(counts: npt.NDArray[np.integer], names: Sequence[str], *, caption: str, top: int = 20) -> str:
    """From which category (rows) to which (columns): shares of each row's recommendations.

    The `top` categories with the most recommendations from or to them; shares are of all categories,
    so that a row need not add up to 100 %.
    """
    weight = counts.sum(axis=0) + counts.sum(axis=1)
    chosen = np.argsort(-weight, kind="stable")[:top]
    chosen = chosen[weight[chosen] > 0]
    if not len(chosen):
        return ""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    short = [names[c].rsplit(SEPARATOR, 1)[-1] for c in chosen]
    full = [text(names[c]) for c in chosen]
    head = "".join(
        f'<th scope="col" title="{long}"><span>{text(name, 40)}</span></th>'
        for name, long in zip(short, full, strict=True)
    )
    body = "".join(
        f'<tr><th scope="row" title="{full[i]}">{text(short[i], 40)}</th>'
        + "".join(_cell(float(shares[row, column]), row == column) for column in chosen)
        + "</tr>"
        for i, row in enumerate(chosen)
    )
    corner = '<td aria-hidden="true"></td>'
    return f'<p class="soft">{text(caption, 400)}</p>' + scroll(
        f'<table class="heat"><thead><tr>{corner}{head}</tr></thead><tbody>{body}</tbody></table>',
        "Heat map of categories",
    )


def _cell(share: float, same: bool) -> str:
    # The square root keeps small shares visible; text stays readable because the tint stops at 70 %.
    tint = f"background:rgb(var(--heat) / {0.7 * share**0.5:.2f})"
    shown = f"{100 * share:.0f}" if share >= 0.005 else "·" if share > 0 else ""
    return f'<td{" class=self" if same else ""} style="{tint}">{shown}</td>'


def _mine(yes: bool) -> str:
    return ' class="mine"' if yes else ""
