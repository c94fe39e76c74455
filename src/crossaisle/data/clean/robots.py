"""Detects users that are not people (crawlers, price watchers, scripts) by tempo, breadth and regularity."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer]
Floats = npt.NDArray[np.float64]

FEWEST = 100
"""Minimum number of a user's moments for any verdict."""
HOUR, DAY = 3_600_000_000, 86_400_000_000
PAUSE = 30 * 60_000_000
"""Gap in microseconds that ends a session."""
PER_HOUR = 240
"""Moments in the busiest hour that a person does not sustain, whatever other users do."""
AT_A_STRETCH = 500
"""Moments in one session that nobody reaches by hand."""
AROUND_THE_CLOCK = 20
"""Hours of one day with events from which on a user evidently does not sleep."""
EVEN = 0.25
"""Dispersion of the gaps between events (interquartile range over median) below which they are machine-like.
People's is above 1."""
COVERED = 0.2
"""Share of a catalogue of 500 items or more that nobody views by chance."""
FRESH = 0.97
"""Share of a user's events on items not seen before; people come back to some."""


@dataclass(frozen=True)
class Tempo:
    """Statistics that distinguish robots, one value per user row; NaN if there are too few events."""

    moments: npt.NDArray[np.int64]
    """Number of distinct times with an event; a basket is one."""
    busiest_hour: Floats
    """Moments in the busiest clock hour."""
    longest_session: Floats
    """Moments in the longest session, that is, without a gap of half an hour."""
    hours_of_day: Floats
    """Hours with an event on the day with the most such hours, 0 to 24."""
    evenness: Floats
    """Interquartile range of the gaps between events of one session, over their median."""
    covered: Floats
    """Share of the catalogue's items that the user has an event with."""
    fresh: Floats
    """Share of events on items not seen before."""


def tempo_of(user: Ints, item: Ints, micros: Ints, n_users: int, n_items: int) -> Tempo:
    """Tempo, breadth and regularity of all users, from (n,) events: user rows, item rows, microseconds."""
    order = np.lexsort((micros, user))
    user, item, micros = user[order].astype(np.int64), item[order].astype(np.int64), micros[order]
    events = np.bincount(user, minlength=n_users)
    pairs = np.unique(user * max(n_items, 1) + item)
    distinct = np.bincount(pairs // max(n_items, 1), minlength=n_users)
    new = np.ones(len(user), bool)
    new[1:] = (user[1:] != user[:-1]) | (micros[1:] != micros[:-1])
    user, micros = user[new], micros[new]
    moments = np.bincount(user, minlength=n_users)
    some = moments >= FEWEST
    with np.errstate(invalid="ignore", divide="ignore"):
        covered = np.where(events >= FEWEST, distinct / max(n_items, 1), np.nan)
        fresh = np.where(events >= FEWEST, distinct / events, np.nan)
    busy = np.flatnonzero(some[user])
    user, micros = user[busy], micros[busy]
    return Tempo(
        moments=moments,
        busiest_hour=_most(user, micros // HOUR, n_users, some),
        longest_session=_longest(user, micros, n_users, some),
        hours_of_day=_hours(user, micros, n_users, some),
        evenness=_evenness(user, micros, n_users, some),
        covered=covered,
        fresh=fresh,
    )


def robots(tempo: Tempo) -> dict[int, str]:
    """User row -> why it is not a person. Requires two of tempo, breadth and regularity.

    Tempo: `PER_HOUR` moments in the busiest hour, `AT_A_STRETCH` in a session, or events in
    `AROUND_THE_CLOCK` hours of one day. If the shop's 95th percentile comes close to the first two, twice as
    many are required. Breadth: `COVERED` of the catalogue, or hardly any item twice (`FRESH`) if 95 % of
    users come back more often. Regularity: gaps with a dispersion below `EVEN`.
    """
    out: dict[int, str] = {}
    usual_hour, usual_fresh = _usual(tempo.busiest_hour), _usual(tempo.fresh)
    usual_covered, usual_session = _usual(tempo.covered), _usual(tempo.longest_session)
    candidates = np.flatnonzero(~np.isnan(tempo.fresh))
    for row in candidates.tolist():
        signs = {}
        hour, hours = tempo.busiest_hour[row], tempo.hours_of_day[row]
        session = tempo.longest_session[row]
        if session >= max(AT_A_STRETCH, 2 * min(usual_session, AT_A_STRETCH)):
            signs["tempo"] = f"{session:,.0f} events without a pause"
        if hour >= max(PER_HOUR, 2 * min(usual_hour, PER_HOUR)):
            signs["tempo"] = f"{hour:,.0f} events in an hour"
        if hours >= AROUND_THE_CLOCK:
            signs["tempo"] = f"events in {hours:.0f} hours of a day"
        covered, fresh = tempo.covered[row], tempo.fresh[row]
        if covered >= COVERED and covered >= 2 * min(usual_covered, COVERED):
            signs["breadth"] = f"{100 * covered:.0f} % of all items"
        elif fresh >= FRESH and fresh > usual_fresh and tempo.moments[row] >= 5 * FEWEST:
            signs["breadth"] = f"{100 * fresh:.0f} % of the events on new items"
        if tempo.evenness[row] < EVEN:
            signs["regularity"] = f"times between events differ by {100 * tempo.evenness[row]:.0f} %"
        if len(signs) >= 2:
            out[row] = "; ".join(f"{sign}: {what}" for sign, what in signs.items())
    return out


def _usual(values: Floats) -> float:
    """The 95th percentile of users."""
    known = values[~np.isnan(values)]
    return float(np.quantile(known, 0.95)) if len(known) else 0.0


def _most(user: Ints, slot: Ints, n_users: int, some: npt.NDArray[np.bool_]) -> Floats:
    """Maximum number of events in one time slot of each user; sorted by user, then slot."""
    out = np.full(n_users, np.nan)
    out[some] = 0.0
    if len(user):
        start = np.flatnonzero(np.append(True, (user[1:] != user[:-1]) | (slot[1:] != slot[:-1])))
        size = np.diff(np.append(start, len(user))).astype(np.float64)
        np.fmax.at(out, user[start], size)
    return out


def _longest(user: Ints, micros: Ints, n_users: int, some: npt.NDArray[np.bool_]) -> Floats:
    pause = np.append(True, (user[1:] != user[:-1]) | (np.diff(micros) > PAUSE))[: len(user)]
    return _most(user, np.cumsum(pause), n_users, some)


def _hours(user: Ints, micros: Ints, n_users: int, some: npt.NDArray[np.bool_]) -> Floats:
    slot = micros // HOUR
    if not len(user):
        return _most(user, slot, n_users, some)
    first = np.append(True, (user[1:] != user[:-1]) | (slot[1:] != slot[:-1]))
    return _most(user[first], slot[first] // (DAY // HOUR), n_users, some)


def _evenness(user: Ints, micros: Ints, n_users: int, some: npt.NDArray[np.bool_]) -> Floats:
    out = np.full(n_users, np.nan)
    gap = np.diff(micros)
    inside = (user[1:] == user[:-1]) & (gap <= PAUSE)
    owner, gap = user[1:][inside], gap[inside].astype(np.float64)
    order = np.lexsort((gap, owner))
    owner, gap = owner[order], gap[order]
    start = np.flatnonzero(np.append(True, owner[1:] != owner[:-1])) if len(owner) else np.zeros(0, np.int64)
    size = np.diff(np.append(start, len(owner)))
    enough = size >= FEWEST // 2
    start, size = start[enough], size[enough]
    low, middle, high = (gap[start + (size * q).astype(np.int64)] for q in (0.25, 0.5, 0.75))
    out[owner[start]] = (high - low) / np.maximum(middle, 1.0)
    out[~some] = np.nan
    return out
