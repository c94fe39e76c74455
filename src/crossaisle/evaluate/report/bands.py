"""A chart of lines with shaded intervals as SVG; the curves of a training are in `curves`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 640, 380
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 40, 56
COLOURS = ("#2563a8", "#b4521e", "#2f7d4f", "#7b4ba0", "#555555")


@dataclass(frozen=True)
class Line:
    """One line: (x, value, low, high) from left to right; the band from low to high is shaded."""

    name: str
    points: Sequence[tuple[float, float, float, float]]


def curve_svg(lines: Sequence[Line], *, title: str, x: str, y: str) -> str:
    """SVG text. Every x stands at the same distance from the next one, whatever its value; y starts at 0."""
    places = sorted({point[0] for line in lines for point in line.points})
    top = max((point[3] for line in lines for point in line.points), default=1.0) * 1.05 or 1.0

    def across(value: float) -> float:
        return LEFT + places.index(value) * (WIDTH - LEFT - RIGHT) / max(len(places) - 1, 1)

    def up(value: float) -> float:
        return HEIGHT - BOTTOM - max(value, 0.0) / top * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'font-family="sans-serif" font-size="13"><title>{escape(title)}</title>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="22" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for step in range(5):
        value = top * step / 4
        parts.append(
            f'<path d="M{LEFT},{up(value):.1f} H{WIDTH - RIGHT}" stroke="#ddd"/>'
            f'<text x="{LEFT - 8}" y="{up(value) + 4:.1f}" text-anchor="end">{value:.2f}</text>'
        )
    for place in places:
        parts.append(
            f'<text x="{across(place):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{place:g}</text>'
        )
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        upper = [f"{across(p[0]):.1f},{up(p[3]):.1f}" for p in line.points]
        lower = [f"{across(p[0]):.1f},{up(p[2]):.1f}" for p in reversed(line.points)]
        middle = [f"{across(p[0]):.1f},{up(p[1]):.1f}" for p in line.points]
        parts.append(f'<polygon points="{" ".join(upper + lower)}" fill="{colour}" opacity="0.15"/>')
        parts.append(
            f'<polyline points="{" ".join(middle)}" fill="none" stroke="{colour}" stroke-width="2"/>'
        )
        parts += [
            f'<circle cx="{m.split(",")[0]}" cy="{m.split(",")[1]}" r="3" fill="{colour}"/>' for m in middle
        ]
        parts.append(
            f'<text x="{WIDTH - RIGHT}" y="{TOP + 4 + 18 * number}" text-anchor="end" fill="{colour}">'
            f"{escape(line.name)}</text>"
        )
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 14}" text-anchor="middle">{escape(x)}</text>'
        f'<text transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(y)}</text></svg>"
    )
    return "\n".join(parts) + "\n"
