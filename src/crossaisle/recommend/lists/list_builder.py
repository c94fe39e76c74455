"""`ListBuilder`: from the scores of a query to its list: filters, quotas, share, diversity, explanations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from crossaisle.data.history import Floats, Histories
from crossaisle.data.knowledge.rules import Rule
from crossaisle.data.query import Placement, Query
from crossaisle.data.vocabulary import Rows
from crossaisle.recommend.answer import TOO_FEW, AppliedRule, Recommendation, RecommendationList
from crossaisle.recommend.catalogue_view import CatalogueView
from crossaisle.recommend.explain import Explanation
from crossaisle.recommend.limits import ListLimits
from crossaisle.recommend.lists.caps import list_caps, plain_limit
from crossaisle.recommend.lists.eligible import eligible, least_likeness
from crossaisle.recommend.lists.faces import Faces
from crossaisle.recommend.lists.own_member import members_shown, of_family
from crossaisle.recommend.merchandising.compiled import Merchandising, Ruling
from crossaisle.recommend.merchandising.ruled import Ranked, RuledList, ruled_list
from crossaisle.recommend.ranker import Ranker
from crossaisle.recommend.request import NO_ROWS, CrossShare, ResolvedQuery
from crossaisle.recommend.rerank.arrange import arrange, relevance_kept
from crossaisle.recommend.rerank.beside import NeverWith, Opened
from crossaisle.recommend.rerank.calibrate import Calibration, spread_of
from crossaisle.recommend.rerank.diversify import Similarity
from crossaisle.recommend.rerank.filters import Mask, rows_mask
from crossaisle.recommend.rerank.quota import Index, Room
from crossaisle.recommend.rerank.share import auto_share, home_categories, is_cross
from crossaisle.recommend.wording.names import told


@dataclass(frozen=True)
class Served:
    """What a list was ranked by."""

    placement: Placement
    weights: str
    """Which weights of the blend."""


Tiers = npt.NDArray[np.int8]
Contributions = Callable[[Histories, Served, int], Explanation | None]
"""Why an item row is in the list of a batch of one history; None where nothing can be said."""


class ListBuilder:
    """Makes lists out of one view of the catalogue. It holds nothing but what it read there."""

    def __init__(
        self,
        view: CatalogueView,
        ranker: Ranker,
        similarity: Similarity,
        contributions: Contributions,
        limits: ListLimits,
        never: NeverWith | None = None,
        merchandising: Merchandising | None = None,
        opened: Opened | None = None,
    ) -> None:
        """`never`, `opened`: rules of a knowledge file that keep items out of `goes_with`, and bring in some
        of the category in view. `merchandising`: a merchandiser's rules.
        """
        self.view, self.ranker, self.limits, self.never = view, ranker, limits, never
        self.merchandising, self._opened = merchandising, opened
        self._similarity, self._contributions = similarity, contributions
        self._faces = Faces(view)

    def candidates(self, query: Query, request: ResolvedQuery, rows: Rows | slice = slice(None)) -> Mask:
        """bool (n,): which of some item rows (all by default) the placement, its filters and rules allow."""
        allowed = self.unruled(query, request, rows)
        ruling = self.ruling(query, request)
        if ruling is not None:
            allowed &= ~ruling.banned[rows]
        return allowed

    def unruled(self, query: Query, request: ResolvedQuery, rows: Rows | slice = slice(None)) -> Mask:
        """`candidates` as they were without a merchandiser's rules."""
        allowed = self._unforbidden(query, request, rows)
        for _, banned in self._forbidden(request):
            allowed &= ~rows_mask(banned, self.view.dataset.n_items)[rows]
        return allowed

    def ruling(self, query: Query, request: ResolvedQuery) -> Ruling | None:
        """What a merchandiser's rules say of a request; None where none holds."""
        return None if self.merchandising is None else self.merchandising.ruling(query, request)

    def _forbidden(self, request: ResolvedQuery) -> list[tuple[Rule, Rows]]:
        if self.never is None or request.placement != "goes_with":
            return []
        return self.never.beside(request.view)

    def _kept_apart(self, query: Query, request: ResolvedQuery) -> list[str]:
        """Notices of the rules without which other items could be in the list."""
        forbidden = self._forbidden(request)
        if not forbidden:
            return []
        allowed = self._unforbidden(query, request)
        found = [told(self.view.dataset, rule) for rule, banned in forbidden if allowed[banned].any()]
        return [f"left out: {said}" for said in dict.fromkeys(found)]

    def _unforbidden(self, query: Query, request: ResolvedQuery, rows: Rows | slice = slice(None)) -> Mask:
        """`candidates` as they were without any rules."""
        return eligible(self.view, query, request, rows, self._opened)

    def speaks(self, request: ResolvedQuery, scores: Floats, rows: Rows | slice = slice(None)) -> Mask:
        """bool (n,): which of float32 (n,) scores, of some item rows, may bring these into the list."""
        floor = self.ranker.floor(request.weights)
        if floor == -np.inf:
            return ~np.isnan(scores)
        return scores > least_likeness(self.view, request, floor, rows)

    def finish(
        self,
        query: Query,
        request: ResolvedQuery,
        scores: Floats,
        allowed: Mask | None = None,
        tiers: Tiers | None = None,
    ) -> RecommendationList:
        """The list from float32 (n_items,) scores. `allowed`: the `candidates`, where they are known.

        `tiers` int8 (n_items,): all items of a lower tier come before those of a higher one.
        """
        notices = list(request.notices)
        if allowed is None:
            allowed = self.candidates(query, request)
        served = Served(request.placement, request.weights)
        scored = np.flatnonzero(allowed & self.speaks(request, scores))
        if not len(scored) and allowed.any() and self.ranker.floor(request.weights) == -np.inf:
            served = Served("trending", "trending")
            scores = self.ranker.score_batch(request.context, "trending")[0]
            scored = np.flatnonzero(allowed & ~np.isnan(scores))
            popular = bool((self.view.popularity >= 0).any())
            by = "ranked by popularity" if popular else "in the order of the catalogue"
            notices.append(f"no model can score these candidates: {by}")

        share = self.cross_share(query, request)
        limit = max(self.limits.prefix, 3 * query.depth)
        ruling = self.ruling(query, request)
        if ruling is not None:
            banned = np.flatnonzero(ruling.banned).astype(np.int32)
            unruled = allowed.copy()
            unruled[banned] = self.unruled(query, request, banned)
            found = self._ruled_of_all(
                query, request, share, ruling, scores, (unruled, allowed), limit, tiers
            )
            return self.answer(query, request, served, share, found.ranking, notices, found)
        rows = self.ranked(scored, scores[scored], limit, None if tiers is None else tiers[scored])
        chosen, exact = self.arrange(query, share, rows, scores[rows])
        if not exact and len(rows) < len(scored):
            rows = self.ranked(scored, scores[scored], len(scored))
            chosen, _ = self.arrange(query, share, rows, scores[rows])
        return self.answer(query, request, served, share, (rows, scores[rows], chosen), notices)

    def _ruled_of_all(
        self,
        query: Query,
        request: ResolvedQuery,
        share: CrossShare,
        ruling: Ruling,
        scores: Floats,
        allowed: tuple[Mask, Mask],
        limit: int,
        tiers: npt.NDArray[np.int8] | None,
    ) -> RuledList:
        """The list from float32 (n_items,) scores. `allowed`: without rules, and with them."""
        known = np.flatnonzero(allowed[0] & self.speaks(request, scores))
        pins = ruling.pinned_rows[allowed[1][ruling.pinned_rows]]
        pinned = Ranked(pins, scores[pins], ruling.weighed(scores[pins], pins))
        lifted = ruling.boosted_rows[allowed[1][ruling.boosted_rows]]
        lifted = lifted[self.speaks(request, scores[lifted], lifted)]
        for most in (limit, len(known)):
            rows = self.ranked(known, scores[known], most, None if tiers is None else tiers[known])
            plain = Ranked(rows, scores[rows], scores[rows])
            free = plain.take(~ruling.banned[rows])
            if ruling.active.weighted:
                # What is not among these has a lower score, and nothing lifts it.
                pool = np.union1d(free.rows, lifted)
                keys = ruling.weighed(scores[pool], pool)
                if tiers is None and len(rows) < len(known):
                    sure = keys >= scores[rows[-1]]
                    pool, keys = pool[sure], keys[sure]
                order = self.ranked_places(pool, keys, None if tiers is None else tiers[pool])
                free = Ranked(pool[order], scores[pool[order]], keys[order])
            found = self.ruled(query, share, ruling, plain, free, pinned)
            if found.exact or most >= len(known):
                break
        return found

    def ruled(
        self, query: Query, share: CrossShare, ruling: Ruling, plain: Ranked, free: Ranked, pinned: Ranked
    ) -> RuledList:
        """The list under rules; see `ruled_list`."""

        def arranged(rows: Rows, keys: Floats, placed: Rows) -> tuple[Index, bool]:
            return self.arrange(query, share, rows, keys, placed)

        return ruled_list(ruling, query, arranged, plain, free, pinned)

    def cross_share(self, query: Query, request: ResolvedQuery) -> CrossShare:
        """The share that a list is to keep to, and the user's home categories."""
        at_home = request.history if len(request.history) else request.view
        codes = self.view.codes
        home = home_categories(codes, at_home)
        share = None
        # Without a history, all items that go with others lie outside these categories anyway.
        spread = bool(len(request.history)) or request.placement != "goes_with"
        if query.cross_share is not None and len(home) and spread:
            auto = query.cross_share == "auto"
            share = auto_share(codes, at_home) if auto else float(query.cross_share)
        return CrossShare(home, share, spread_of(codes, at_home) if query.calibration and spread else None)

    def ranked(
        self, rows: npt.NDArray[np.integer], scores: Floats, limit: int, tiers: Tiers | None = None
    ) -> Rows:
        """int32: the best `limit` of some item rows by their scores, and all that score like the last one.

        Equal scores: the popular item first, then the catalogue's order. `tiers` (n,): the lower first, all.
        """
        by_score = tiers is None
        at = self.ranked_at(rows, scores, limit) if by_score else self.ranked_places(rows, scores, tiers)
        return rows[at].astype(np.int32)

    def ranked_at(self, rows: npt.NDArray[np.integer], scores: Floats, limit: int) -> Index:
        """int64: where these stand among the rows."""
        if len(rows) <= limit:
            return self.ranked_places(rows, scores)
        good = np.flatnonzero(scores >= np.partition(scores, -limit)[-limit])
        return good[self.ranked_places(rows[good], scores[good])]

    def ranked_places(
        self, rows: npt.NDArray[np.integer], scores: Floats, tiers: Tiers | None = None
    ) -> Index:
        """int64 (n,): the order of some item rows, as `ranked`."""
        if tiers is not None and tiers.any():
            return np.lexsort((rows, -self.view.popularity[rows], -scores, tiers))
        # Few scores are equal: these are put in order afterwards.
        at = np.argsort(-scores)
        ordered = scores[at]
        equal = ordered[1:] == ordered[:-1]
        if equal.any():
            tied = np.flatnonzero(np.append(False, equal) | np.append(equal, False))
            some = at[tied]
            by = rows[some], -self.view.popularity[rows[some]], -scores[some]
            at[tied] = some[np.lexsort(by)]
        return at

    def arrange(
        self, query: Query, share: CrossShare, rows: Rows, scores: Floats, placed: Rows = NO_ROWS
    ) -> tuple[Index, bool]:
        """Indices into ranked rows of the list up to `query.depth`; whether more rows could not change it.

        `placed`: rows that have a place already, and count against quotas.
        """
        if (of_category := plain_limit(self.view, query, share)) is not None:
            codes = self.view.codes if of_category else None
            chosen = self.view.same_title.first_of_each(rows, query.depth, placed, codes, of_category)
            full = len(chosen) == query.depth
            if full or not of_category:  # which gives way where the page would stay short
                return chosen, full
        hard, soft = list_caps(
            self.view, query, share, np.concatenate([rows, placed]) if len(placed) else rows
        )
        if len(placed):
            there, own = np.arange(len(rows), len(rows) + len(placed)), np.arange(len(rows))
            hard, soft = [cap.after(there).at(own) for cap in hard], [cap.at(own) for cap in soft]
        return arrange(
            scores,
            query.page_length,
            query.depth,
            hard=hard,
            soft=soft,
            diversity=query.diversity or 0.0,
            method=query.diversify_by,
            calibration=self._calibration(query, share, rows),
            similar=lambda left, right: self._similarity(rows[left], rows[right]),
        )

    def _calibration(self, query: Query, share: CrossShare, rows: Rows) -> Calibration | None:
        if not query.calibration or share.spread is None:
            return None
        return Calibration(share.spread, self.view.codes[rows], query.calibration)

    def admission(self, query: Query, ids: Sequence[str]) -> Callable[[str], bool]:
        """For a list that is mixed from others: whether one of some items may join it, which counts it.

        Quotas, brands and titles hold; items that this catalogue does not have are free of them.
        """
        rows = self.view.dataset.item_ids.rows(ids)
        known = np.flatnonzero(rows >= 0)
        hard, _ = list_caps(self.view, query, CrossShare(NO_ROWS, None), rows[known])
        room = Room(hard)
        place = {ids[at]: number for number, at in enumerate(known.tolist())}
        return lambda item: item not in place or room.admits(place[item])

    def answer(
        self,
        query: Query,
        request: ResolvedQuery,
        served: Served,
        share: CrossShare,
        ranking: tuple[Rows, Floats, Index],
        notices: list[str],
        ruled: RuledList | None = None,
    ) -> RecommendationList:
        """The page of the list. `ranking`: ranked rows, their scores, and indices of the list into both.
        `ruled`: what rules did to it.
        """
        rows, scores, chosen = ranking
        if query.cross_share is not None and share.share is None:
            notices.append("cross_share needs a history with known categories, so it is ignored")
        if query.calibration and share.spread is None:
            notices.append("calibration needs a history with known categories, so it is ignored")
        notices += self._kept_apart(query, request)
        shown = chosen[query.offset :]
        if len(shown) < query.n:
            notices.append(f"{len(shown)} of {query.n}{TOO_FEW}")
        best, values = rows[shown], scores[shown]
        picked = self._members_shown(query, request, best, ruled)
        home = share.home
        cross = None
        if len(home) and len(picked):
            cross = np.count_nonzero(is_cross(self.view.codes[picked], home)) / len(picked)
        items = []
        more = self._more_like(query, request, picked)
        ranked = zip(picked.tolist(), best.tolist(), values.tolist(), more, strict=True)
        ids = self.view.dataset.item_ids
        for rank, (row, first, score, others) in enumerate(ranked, query.offset + 1):
            evidence = self._evidence(request, served, row, first) if query.explain else None
            instead = "" if row == first else ids.id(first)
            items.append(Recommendation(rank, *self._faces.of(row), score, evidence, others, instead))
        return RecommendationList(
            placement=query.placement,
            served=served.placement,
            user=query.user,
            items=tuple(items),
            notices=tuple(notices),
            cross_share=cross,
            relevance_kept=relevance_kept(scores, chosen) if ruled is None else ruled.relevance_kept,
            rules=() if ruled is None else self._applied(ruled),
            rules_cost=None if ruled is None else ruled.cost,
        )

    def _members_shown(
        self, query: Query, request: ResolvedQuery, rows: Rows, ruled: RuledList | None
    ) -> Rows:
        """int32 (n,): of each family on a page the product that the user had; pinned ones stay."""

        def fits(own: Rows, best: Rows) -> Mask:
            known = self.ranker.score_at(request.context, [own], request.weights)[0]
            free = True if ruled is None else ~np.isin(best, ruled.pinned)
            return free & self.candidates(query, request, own) & self.speaks(request, known, own)

        return members_shown(self.view, query, request, rows, fits)

    def _evidence(self, request: ResolvedQuery, served: Served, row: int, best: int) -> Explanation | None:
        """`best`: the row whose place and score it has."""
        evidence = self._contributions(request.told, served, best)
        if row == best or evidence is None:
            return evidence
        return of_family(evidence, request, row, served.placement)

    def _applied(self, ruled: RuledList) -> tuple[AppliedRule, ...]:
        ids = self.view.dataset.item_ids
        return tuple(
            AppliedRule(rule.id, rule.action, tuple(ids.ids(rows)), rule.reason)
            for rule, rows in ruled.applied
        )

    def _more_like(self, query: Query, request: ResolvedQuery, rows: Rows) -> list[int]:
        """For each of some item rows: how many others of its title and brand fit."""
        if not query.one_per_title:
            return [0] * len(rows)
        members, owner = self.view.same_title.members(rows)
        if not len(members):
            return [0] * len(rows)
        fits = self.candidates(query, request, members) & (members != rows[owner])
        counts: list[int] = np.bincount(owner[fits], minlength=len(rows)).tolist()
        return counts

    def explained(
        self, request: ResolvedQuery, items: Sequence[Recommendation], placement: Placement
    ) -> list[Recommendation]:
        """Items of a list that was made without explanations, explained. `placement`: what was served."""
        served = Served(placement, request.weights if placement == request.placement else "trending")
        ids = self.view.dataset.item_ids
        out = []
        for item in items:
            row, best = ids.row(item.item_id), ids.row(item.in_place_of or item.item_id)
            out.append(replace(item, evidence=self._evidence(request, served, row, best)))
        return out
