"""Curves as an SVG picture: no plotting library, readable on light and dark paper."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from crossaisle.evaluate.report.page import text

_WIDTH, _HEIGHT = 380, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 40, 34
_STYLE = """
svg { --ink: #1d2327; --soft: #5a646b; --line: #e3e0d8; --main: #0b6b5d; --paper: #fbfaf7;
  font: 12px system-ui, sans-serif; }
@media (prefers-color-scheme: dark) { svg { --ink: #e6e8e6; --soft: #a3adb1; --line: #323a3e;
  --main: #5cc7b2; --paper: #14181a; } }
text { fill: var(--soft); } .title { fill: var(--ink); font-weight: 600; font-size: 13px; }
.grid { stroke: var(--line); } .curve { fill: none; stroke: var(--main); stroke-width: 2; }
.dot { fill: var(--main); } .paper { fill: var(--paper); }
"""


@dataclass(frozen=True)
class Curve:
    """One panel of a picture."""

    title: str
    points: Sequence[tuple[float, float]]
    """(x, y), x ascending; points that are not finite are left out."""
    mark: float | None = None
    """An x to point out, such as the best step."""
    x: str = "step"


def curves(panels: Sequence[Curve]) -> str:
    """SVG text with one panel per curve, side by side."""
    width = _WIDTH * len(panels)
    label = "; ".join(panel.title for panel in panels)
    body = "".join(
        f'<g transform="translate({_WIDTH * place} 0)">{_panel(panel)}</g>'
        for place, panel in enumerate(panels)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {_HEIGHT}" width="{width}" '
        f'height="{_HEIGHT}" role="img" aria-label="{text(label, 200)}"><style>{_STYLE}</style>'
        f'<rect class="paper" width="{width}" height="{_HEIGHT}"/>{body}</svg>\n'
    )


def _panel(panel: Curve) -> str:
    title = f'<text class="title" x="{_LEFT}" y="22">{text(panel.title, 60)}</text>'
    points = [(x, y) for x, y in panel.points if math.isfinite(x) and math.isfinite(y)]
    if not points:
        return title + f'<text x="{_LEFT}" y="{_HEIGHT / 2}">nothing measured</text>'
    left, right = points[0][0], points[-1][0]
    low, high = _range([y for _, y in points])

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - left) / (right - left) if right > left else 0.5
        up = (y - low) / (high - low)
        return (
            _LEFT + across * (_WIDTH - _LEFT - _RIGHT),
            _HEIGHT - _BOTTOM - up * (_HEIGHT - _TOP - _BOTTOM),
        )

    lines = []
    for share in (0.0, 0.5, 1.0):
        value = low + share * (high - low)
        height = at(left, value)[1]
        lines.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{height:.1f}" y2="{height:.1f}"/>'
            f'<text x="{_LEFT - 6}" y="{height + 4:.1f}" text-anchor="end">{value:.4g}</text>'
        )
    foot = f'y="{_HEIGHT - 12}"'
    ends = (
        f'<text x="{_LEFT}" {foot}>{left:g}</text>'
        f'<text x="{_WIDTH - _RIGHT}" {foot} text-anchor="end">{text(panel.x, 20)} {right:g}</text>'
    )
    path = " ".join("{:.1f},{:.1f}".format(*at(x, y)) for x, y in points)
    drawn = f'<polyline class="curve" points="{path}"/>'
    marked = [at(x, y) for x, y in points if x == panel.mark or len(points) == 1]
    dots = "".join(f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in marked[:1])
    return title + "".join(lines) + ends + drawn + dots


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    margin = 0.05 * (high - low) or abs(high) * 0.05 or 1.0
    return low - margin, high + margin
