"""Commands that query a saved model: `recommend`, `goes-with`, `similar`, `rank`, `explain`."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossaisle.cli.controls import Controls, query, with_controls, with_rank_controls
from crossaisle.cli.output import AsJson, show_json, show_table, tell, text_of
from crossaisle.data.text.ids import same_id, tidy_id

if TYPE_CHECKING:
    from crossaisle.data.dataset import Dataset
    from crossaisle.data.query import Query
    from crossaisle.recommend.answer import RecommendationList
    from crossaisle.recommend.explain import Explanation
    from crossaisle.recommend.recommender import Recommender

Model = Annotated[Path, typer.Argument(help="Folder of a saved model.", metavar="MODEL")]
User = Annotated[str | None, typer.Option("--user", help="User id.", metavar="ID", parser=same_id)]
History = Annotated[
    list[str] | None,
    typer.Option(
        "--history",
        help="Item of a history to use instead of a user's, oldest first (repeatable).",
        metavar="ID",
        parser=same_id,
    ),
]
InView = Annotated[
    list[str],
    typer.Option(
        "--item", help="Item in view, or each item of a cart (repeatable).", metavar="ID", parser=same_id
    ),
]
Rules = Annotated[
    Path | None,
    typer.Option(
        "--rules", help="File of merchandising rules to use instead of the model's own.", metavar="FILE.toml"
    ),
]


def ids_in(file: Path) -> list[str]:
    """The ids of a text file, one a line, empty lines left out; `ConfigError` unless it is in UTF-8."""
    from crossaisle.errors import ConfigError

    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file}: not UTF-8 text ({error}): save it as UTF-8, with one id per line"
        ) from None
    return [found for line in lines if (found := tidy_id(line))]


@with_controls
def recommend(
    model: Model,
    controls: Controls,
    user: User = None,
    history: History = None,
    placement: Annotated[
        str, typer.Option(help="for_you, discover, buy_again or trending.", metavar="PLACE")
    ] = "for_you",
    rules: Rules = None,
    as_json: AsJson = False,
) -> None:
    """Recommend items for a user, or for a history given item by item.

    \b
    crossaisle recommend demo/model --user 1609 -n 10 --explain
    crossaisle recommend demo/model --user 1609 --placement discover --quota 2
    crossaisle recommend demo/model --history 834103 --history 866211 --cross-share 0.5
    """
    if user is not None and history:
        raise typer.BadParameter("give either --user or --history")
    session = tuple(history) if history else None
    _answer(model, query(placement, controls, user=user, history=session), rules, as_json)


@with_controls
def goes_with(
    model: Model,
    controls: Controls,
    item: InView,
    user: User = None,
    rules: Rules = None,
    as_json: AsJson = False,
) -> None:
    """Recommend what goes with an item or a cart, from other categories only.

    \b
    crossaisle goes-with demo/model --item 834103
    crossaisle goes-with demo/model --item 834103 --item 866211 --max-price 5
    """
    _answer(model, query("goes_with", controls, items=tuple(item), user=user), rules, as_json)


@with_controls
def similar(
    model: Model,
    controls: Controls,
    item: InView,
    user: User = None,
    rules: Rules = None,
    as_json: AsJson = False,
) -> None:
    """Recommend substitutes for an item.

    \b
    crossaisle similar demo/model --item 834103 -n 5
    """
    _answer(model, query("similar", controls, items=tuple(item), user=user), rules, as_json)


@with_rank_controls
def rank(
    model: Model,
    controls: Controls,
    item: Annotated[
        list[str] | None,
        typer.Option("--item", help="An item of the list (repeatable).", metavar="ID", parser=same_id),
    ] = None,
    items: Annotated[
        Path | None, typer.Option(help="Text file with an item id per line.", metavar="FILE")
    ] = None,
    user: User = None,
    history: History = None,
    rules: Rules = None,
    as_json: AsJson = False,
) -> None:
    """Rank items that another system found. Those that get no place come last, with the reason.

    \b
    crossaisle rank demo/model --user 1609 --item 1082185 --item 834103 --item 866211
    crossaisle rank demo/model --user 1609 --items found.txt --quota 2 --json
    """
    if (user is None) == (not history):
        raise typer.BadParameter("give either --user or --history")
    wanted = [*(item or ()), *(ids_in(items) if items is not None else ())]
    if not wanted:
        raise typer.BadParameter("give the items to rank with --item or --items")
    own = tuple(history) if history else None
    found = _loaded(model, rules).rank(wanted, user=user, history=own, **controls)
    placed = found.placed
    if as_json:
        show_json({**placed.to_dict(), "unplaced": [asdict(one) for one in found.unplaced]})
        return
    for notice in placed.notices:
        tell(f"note: {notice}", on_the_side=True)
    columns = ["", "item", "title", "score"]
    rows: list[list[Any]] = [[r.rank, r.item_id, r.title, r.score] for r in placed]
    rows += [["", one.item_id, one.why, None] for one in found.unplaced]
    show_table(columns, rows)


def explain(
    model: Model,
    item: Annotated[str, typer.Option("--item", help="The recommended item.", metavar="ID", parser=same_id)],
    user: User = None,
    history: History = None,
    placement: Annotated[
        str,
        typer.Option(
            help="Placement of the list. For goes_with and similar, --history names the items in "
            "view; goes_with takes --user as well.",
            metavar="PLACE",
        ),
    ] = "for_you",
    as_json: AsJson = False,
) -> None:
    """Break the score of an item down into amounts that add up to it.

    \b
    crossaisle explain demo/model --user 1609 --item 834103
    crossaisle explain demo/model --history 834103 --item 866211 --placement goes_with
    crossaisle explain demo/model --user 1609 --history 834103 --item 866211 --placement goes_with
    """
    asked = query(placement, {}, user=user, items=tuple(history or ())).placement
    beside = user is not None and bool(history) and asked == "goes_with"
    if (user is None) == (not history) and not beside:
        raise typer.BadParameter("give either --user or --history")
    from crossaisle.recommend.recommender import Recommender

    of = list(history) if history else str(user)
    whose = user if beside else None
    explanation = Recommender.load(model).explain(of, item, placement=asked, user=whose)
    if as_json:
        show_json(explanation.to_dict())
    else:
        _show_explanation(explanation)


def _loaded(model: Path, rules: Path | None) -> Recommender:
    """The saved model, under other rules where they are given."""
    from crossaisle.data.merchandising.rules import read_rule_file
    from crossaisle.recommend.recommender import Recommender

    shop = Recommender.load(model)
    return shop if rules is None else shop.with_rules(read_rule_file(rules), str(rules))


def _answer(model: Path, asked: Query, rules: Path | None, as_json: bool) -> None:
    shop = _loaded(model, rules)
    answer = shop.recommend(asked)
    if as_json:
        show_json(answer.to_dict())
        return
    for notice in answer.notices:
        tell(f"note: {notice}", on_the_side=True)
    _show_list(answer, shop.dataset)
    if asked.explain:
        _show_rules(answer)


def _show_rules(answer: RecommendationList) -> None:
    """What a merchandiser's rules did to the list, and what they cost."""
    for rule in answer.rules:
        why = f" ({rule.reason})" if rule.reason else ""
        tell(f"rule {rule.id}, {rule.action}: {', '.join(rule.items)}{why}")
    if answer.rules_cost is not None:
        tell(f"rules cost {answer.rules_cost:.1%} of the list's scores")


def _titles(answer: RecommendationList, dataset: Dataset) -> list[str]:
    """Names of items, with the brand where the list has one of the same title of another brand, too."""
    from crossaisle.recommend.wording.names import item_name

    times = Counter(r.title for r in answer)
    rows = dataset.item_ids.rows(answer.ids)
    brands = dataset.items["brand"].fill_null("").gather(rows)
    return [
        f"{r.title}, {brand}" if r.title and times[r.title] > 1 and brand else item_name(dataset, row)
        for r, row, brand in zip(answer, rows.tolist(), brands, strict=True)
    ]


def _show_list(answer: RecommendationList, dataset: Dataset) -> None:
    titles = _titles(answer, dataset)
    explained = any(r.evidence for r in answer)
    columns = ["", "item", "title", "category", "price", "score", *(["why"] if explained else [])]
    rows = [
        [
            r.rank,
            r.item_id,
            f"{title} (and {r.more_like_it} more)" if r.more_like_it else title,
            r.category,
            None if r.price is None else f"{r.price:.2f}",
            r.score,
            *([r.evidence.text if r.evidence else ""] if explained else []),
        ]
        for r, title in zip(answer, titles, strict=True)
    ]
    if rows:
        show_table(columns, rows)
    if answer.cross_share is not None:
        print(f"outside the usual categories: {answer.cross_share:.0%} of the list")


def _show_explanation(explanation: Explanation) -> None:
    tell(explanation.text or "No reason to show: nothing that can be named accounts for enough of the score.")
    rows = [
        [
            c.name,
            c.amount,
            ", ".join(f"{name} {text_of(v)}" for name, v in c.reasons.items()),
            ", ".join(c.words),
        ]
        for c in explanation.contributions
    ]
    rows += [["the rest of the history", explanation.other, "", ""], ["score", explanation.score, "", ""]]
    columns = ["", "amount", "of which", "shared words"]
    shown = len(columns) if any(row[-1] for row in rows) else len(columns) - 1
    show_table(columns[:shown], [row[:shown] for row in rows])
