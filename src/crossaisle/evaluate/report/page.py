"""The HTML page around a report, and text made safe.

No script, no network: the page's own content security policy forbids both.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

from crossaisle.evaluate.files import strict
from crossaisle.evaluate.report.style import CSS

_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)
TEXT_LIMIT = 160


def text(value: object, limit: int = TEXT_LIMIT) -> str:
    """Escaped for HTML text and attributes; control and direction-changing characters out; cut to `limit`."""
    shown = str(value)[: limit + 1]
    cut = shown[:limit] + "…" if len(shown) > limit else shown
    return html.escape(_CONTROL.sub("", cut), quote=True)


def number(value: float | int | None, digits: int = 4) -> str:
    """A figure for a table cell: integers with separators, others with `digits`, nothing as a dash."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "–"
    if isinstance(value, int) or float(value).is_integer():
        return f"{int(value):,}"
    return f"{value:,.{digits}f}" if abs(value) < 100 else f"{value:,.1f}"


def percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f} %"


def table(
    head: Sequence[str], rows: Iterable[Sequence[object]], *, caption: str = "", numeric: Sequence[int] = ()
) -> str:
    """A plain table; cells are escaped here, the first one of each row heads it."""

    def cell(tag: str, value: object, column: int, scope: str = "") -> str:
        shown = number(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
        kind = ' class="n"' if column in numeric else ""
        return f"<{tag}{scope}{kind}>{text(shown)}</{tag}>"

    header = "".join(cell("th", h, i, ' scope="col"') for i, h in enumerate(head))
    body = "".join(
        "<tr>"
        + cell("th", row[0], 0, ' scope="row"')
        + "".join(cell("td", value, i) for i, value in enumerate(row[1:], 1))
        + "</tr>"
        for row in rows
    )
    name = f"<caption>{text(caption)}</caption>" if caption else ""
    return scroll(f"<table>{name}<thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>", caption)


def scroll(inner: str, label: str) -> str:
    """A box that scrolls sideways on a narrow screen, by keyboard too."""
    return (
        f'<div class="scroll" role="group" tabindex="0" aria-label="{text(label or "Table")}">{inner}</div>'
    )


def facts(value: Any) -> str:
    """Whatever was handed over as plain data, as a definition list or a table; nested as deep as it goes."""
    return _facts(strict(value))


def _facts(value: Any) -> str:
    if isinstance(value, dict):
        parts = "".join(f"<dt>{text(_words(k))}</dt><dd>{_facts(v)}</dd>" for k, v in value.items())
        return f"<dl>{parts}</dl>" if parts else "–"
    if isinstance(value, list):
        if value and all(isinstance(v, dict) for v in value):
            head = list(dict.fromkeys(k for v in value for k in v))
            return table([_words(h) for h in head], [[_cell(v.get(h, "")) for h in head] for v in value])
        return ", ".join(_facts(v) for v in value) or "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if value is None or isinstance(value, int | float) else text(value)


def _cell(value: Any) -> Any:
    """A value for one cell of a table: nested data as words."""
    if isinstance(value, dict):
        return ", ".join(f"{_words(k).lower()} {_cell(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(str(_cell(v)) for v in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if value is None or isinstance(value, int | float) else value


def _words(name: object) -> str:
    shown = str(name).replace("_", " ")
    return shown[:1].upper() + shown[1:]


def page(title: str, eyebrow: str, sections: Sequence[tuple[str, str, str]], footer: str) -> str:
    """The whole document from (id, heading, HTML) sections; an empty section is left out."""
    kept = [s for s in sections if s[2]]
    links = "".join(f'<li><a href="#{key}">{text(name)}</a></li>' for key, name, _ in kept)
    body = "".join(
        f'<section id="{key}" aria-labelledby="{key}-h"><h2 id="{key}-h">{text(name)}</h2>{inner}</section>'
        for key, name, inner in kept
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\">"
        f"<title>{text(title)}</title><style>{CSS}</style></head><body>"
        f'<a class="skip" href="#{kept[0][0] if kept else "top"}">Skip to the result</a>'
        f'<header id="top"><p class="eyebrow">{text(eyebrow, 400)}</p><h1>{text(title)}</h1>'
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>'
        f"<main>{body}</main><footer>{text(footer, 400)}</footer></body></html>\n"
    )
