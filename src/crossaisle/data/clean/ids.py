"""Item ids that events and catalogue spell differently: matched by normal form, by typo, and by
elimination."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from crossaisle.data.clean.libraries import library
from crossaisle.data.clean.report import Proposal

SHORTEST = 6
"""Minimum length of an id in which one wrong letter is a typo; in numeric codes it is another product."""
AGREE = 0.95
"""Share of the events' items that must be known before the only two leftover ids are matched to each
other."""


def matched(unknown: Mapping[str, int], known: Sequence[str], used: set[str]) -> list[Proposal]:
    """For ids in events that are missing in the catalogue, the catalogue id they probably stand for.

    `unknown`: id -> number of events; `known`: ids of the catalogue; `used`: those of them that occur in
    events. Confidence: .99 if only case, width, accents or white space differ; .97 for leading zeros; .9 for
    one wrong letter in a name; .9 if at least `AGREE` of all items match and one id is left on either side.
    """
    forms: dict[str, list[str]] = {}
    for name in known:
        forms.setdefault(_form(name), []).append(name)
    zeros: dict[str, list[str]] = {}
    for name in known:
        zeros.setdefault(_form(name).lstrip("0"), []).append(name)
    free = [name for name in known if name not in used]
    out: dict[str, Proposal] = {}
    for name, n in unknown.items():
        form = _form(name)
        for table, key, sure, why in (
            (forms, form, 0.99, "the same except for case, width, accents and blanks"),
            (zeros, form.lstrip("0"), 0.97, "the same except for leading zeros"),
        ):
            if name not in out and key and len(table.get(key, ())) == 1:
                out[name] = Proposal(before=name, after=table[key][0], confidence=sure, rows=n, why=why)
    taken = {proposal.after for proposal in out.values()}
    free = [name for name in free if name not in taken]
    left = [name for name in unknown if name not in out]
    for name in left:
        near = _slips(name, free)
        if len(near) == 1:
            out[name] = Proposal(
                before=name,
                after=near[0],
                confidence=0.9,
                rows=unknown[name],
                why="one letter apart, and no other candidate",
            )
    taken |= {proposal.after for proposal in out.values()}
    free = [name for name in free if name not in taken]
    left = [name for name in left if name not in out]
    agree = len(used) / max(len(used) + len(unknown), 1)
    if len(left) == len(free) == 1 and agree >= AGREE:
        out[left[0]] = Proposal(
            before=left[0],
            after=free[0],
            confidence=0.9,
            rows=unknown[left[0]],
            why=f"the only one left on both sides, where {len(used):,} agree",
        )
    return list(out.values())


def _form(name: str) -> str:
    text = unicodedata.normalize("NFKD", name).casefold()
    return "".join(c for c in text if not unicodedata.combining(c) and not c.isspace())


def _slips(name: str, known: Sequence[str]) -> list[str]:
    if len(name) < SHORTEST or not any(map(str.isalpha, name)):
        return []
    distance = library("rapidfuzz.distance", "the step ids").OSA.distance
    form, digits = _form(name), [c for c in name if c.isdigit()]
    return [
        other
        for other in known
        if abs(len(other) - len(name)) <= 1
        and digits == [c for c in other if c.isdigit()]
        and distance(form, _form(other), score_cutoff=1) == 1
    ]
