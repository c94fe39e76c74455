"""What the data holds, what was set aside, and what has changed since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossaisle.evaluate.report.page import facts, percent, table, text


def data_html(describe: Mapping[str, Any] | None, imported: Mapping[str, Any] | None) -> str:
    """What the data holds, and what was read and set aside."""
    out = facts(dict(describe)) if describe else ""
    tables = (imported or {}).get("tables", {})
    if tables:
        out += table(
            ["Table", "Rows read", "Kept", "Set aside", "Repaired"],
            [
                [
                    name,
                    t.get("rows_read"),
                    t.get("rows_kept"),
                    sum(t.get("set_aside", {}).values()),
                    sum(t.get("repaired", {}).values()),
                ]
                for name, t in tables.items()
            ],
            caption="What was read. Nothing is dropped silently: rows set aside are saved to a file.",
            numeric=(1, 2, 3, 4),
        )
        reasons = [
            [name, "set aside" if action == "set_aside" else action, rule, count]
            for name, t in tables.items()
            for action in ("set_aside", "repaired")
            for rule, count in t.get(action, {}).items()
        ]
        if reasons:
            out += table(["Table", "What", "Why", "Rows"], reasons, caption="Reasons", numeric=(3,))
    warnings = "".join(f"<li>{text(w, 400)}</li>" for w in (imported or {}).get("warnings", ()))
    return out + (f"<h3>Warnings</h3><ul>{warnings}</ul>" if warnings else "")


def drift_html(found: Mapping[str, Any] | None) -> str:
    if not found:
        return ""
    rows = [
        [
            f"{what} in {part}",
            p["verdict"],
            f"{p['psi']:.3f}",
            "; ".join(f"{m['name']}: {percent(m['train'])} → {percent(m['now'])}" for m in p["movers"]),
        ]
        for what, parts in found.items()
        if isinstance(parts, Mapping)
        for part, p in parts.items()
    ]
    caption = "Population stability index against training; below 0.1 stable, from 0.25 on drift"
    head = ["What", "Verdict", "PSI", "Changed most (share in training → now)"]
    lead = f'<p class="lead">{text(found.get("statement", ""), 1000)}</p>'
    return lead + (table(head, rows, caption=caption, numeric=(2,)) if rows else "")
