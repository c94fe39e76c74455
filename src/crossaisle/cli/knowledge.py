"""Commands for a shop's own rules: `knowledge draft`, `knowledge ask`, `knowledge check`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from crossaisle.cli.output import AsJson, show_json, tell
from crossaisle.errors import ConflictError

if TYPE_CHECKING:
    from crossaisle.pipeline.knowledge.check import Coverage

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
Model = Annotated[Path, typer.Argument(help="Folder of a saved model.", metavar="MODEL")]
Out = Annotated[Path, typer.Option(help="The file to write.", metavar="FILE.csv")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file.")]
SHOWN = 10
"""Lines of each kind that `check` names."""


@app.command("draft")
def draft_file(
    model: Model,
    out: Out,
    level: Annotated[
        int | None,
        typer.Option(
            help="Category level: 0 is the top, -1 the leaf. Default: the shop's.",
            show_default=False,
        ),
    ] = None,
    most: Annotated[
        int, typer.Option(help="Most directed pairs to write, the most certain first.", min=1, metavar="N")
    ] = 500,
    min_lift: Annotated[
        float,
        typer.Option(
            help="Lowest lift of a pair: how many times likelier than by chance.", min=1.0, metavar="NUMBER"
        ),
    ] = 1.2,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Draft a knowledge file from what is bought in the same trip, for you to edit.

    \b
    crossaisle knowledge draft demo/model --out knowledge.csv
    """
    refuse_to_overwrite(out, force)
    from crossaisle.data.knowledge.rules import write_rules
    from crossaisle.pipeline.knowledge.draft import draft
    from crossaisle.recommend.recommender import Recommender

    found = draft(Recommender.load(model).dataset, level=level, most=most, min_lift=min_lift)
    write_rules(out, found.rules, found.comments)
    if as_json:
        counts = {"trips": found.trips, "pairs": found.pairs, "held": found.held}
        show_json({"file": out, "rules": len(found.rules), **counts})
        return
    tell(
        f"{found.held:,} of {found.pairs:,} directed pairs of categories passed, from {found.trips:,} trips",
        on_the_side=True,
    )
    print(f"{out}: {len(found.rules)} lines")


@app.command("ask")
def ask_model(
    model: Model,
    llm: Annotated[
        str,
        typer.Option(
            help="Address of an OpenAI-compatible API (key in OPENAI_API_KEY), or a GGUF file.",
            metavar="URL-or-GGUF",
        ),
    ],
    out: Out,
    llm_model: Annotated[
        str | None,
        typer.Option(help="Model to use from the API. Default: the first that it lists.", show_default=False),
    ] = None,
    categories: Annotated[
        int, typer.Option(help="Categories to ask about, the largest first.", min=2, metavar="N")
    ] = 20,
    level: Annotated[
        int | None,
        typer.Option(
            help="Category level: 0 is the top, -1 the leaf. Default: the shop's.",
            show_default=False,
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    force: Force = False,
    as_json: AsJson = False,
) -> None:
    """Ask a language model which categories go together, each pair in both orders, for you to edit.

    Answers are cached: an interrupted run resumes from there, and nothing is asked twice.

    \b
    crossaisle knowledge ask demo/model --llm http://127.0.0.1:8080/v1 --out knowledge.csv
    crossaisle knowledge ask demo/model --llm models/qwen2.5-7b.gguf --categories 40 --out knowledge.csv
    """
    refuse_to_overwrite(out, force)
    from crossaisle.data.knowledge.rules import write_rules
    from crossaisle.fetch import cache_dir
    from crossaisle.pipeline.knowledge import ask as asking
    from crossaisle.pipeline.knowledge.generators import open_generator
    from crossaisle.progress import bar
    from crossaisle.recommend.recommender import Recommender

    dataset = Recommender.load(model).dataset
    asked = asking.questions(dataset, categories, level=level)
    answers = asking.Answers(cache_dir() / "knowledge" / "answers.jsonl")
    generator = open_generator(llm, llm_model)
    try:
        new = sum(answers.get(generator.name, question.text) is None for question in asked)
        cost = f"{new:,} questions to {generator.name}; {len(asked) - new:,} were answered before"
        tell(cost, on_the_side=True)
        if new and not yes:
            typer.confirm("ask them?", abort=True, err=True)
        with bar("asking", len(asked), show=True) as advance:
            replies = asking.ask(asked, generator, answers, advance)
    finally:
        generator.close()
    rules, unclear = asking.rules_from(replies, dataset), [reply for reply in replies if reply.number is None]
    write_rules(out, rules, [f"Asked of {generator.name}: {len(asked)} questions. Edit before you use it."])
    if as_json:
        show_json({"file": out, "rules": len(rules), "questions": len(asked), "unclear": len(unclear)})
        return
    for rule in rules:
        tell(f"{rule.strength:.2f}  {rule.said}")
    unreadable = [f"{r.question.source}, {r.question.target}: {r.words[:80]!r}" for r in unclear]
    _some("answers without a number from 0 to 10, left out", unreadable)
    print(f"{out}: {len(rules)} lines: edit them before use")


@app.command("check")
def check_file(
    file: Annotated[Path, typer.Argument(help="The knowledge file.", metavar="FILE.csv")],
    model: Annotated[Path, typer.Option(help="Folder of a saved model.", metavar="MODEL")],
    rejected: Annotated[
        Path | None,
        typer.Option(help="Write the lines with unknown names to this file.", metavar="FILE.csv"),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check a knowledge file: what it covers, what is wrong or unknown. Exits with 1 if anything is.

    \b
    crossaisle knowledge check knowledge.csv --model demo/model
    """
    from crossaisle.data.knowledge.naming import write_rejected
    from crossaisle.pipeline.knowledge.check import check
    from crossaisle.recommend.recommender import Recommender

    found = check(file, Recommender.load(model).dataset)
    if rejected is not None:
        write_rejected(rejected, found.rejected)
    if as_json:
        show_json(found.to_dict())
    else:
        _show(found)
    if found.wrong or found.rejected:
        raise typer.Exit(1)


def refuse_to_overwrite(out: Path, force: bool) -> None:
    """`ConflictError` for a file that is there: somebody may have edited it."""
    if out.exists() and not force:
        raise ConflictError(
            f"{out}: already exists, perhaps with your edits: name another file, or add --force"
        )


def _show(found: Coverage) -> None:
    usable = ", ".join(f"{count} {kind}" for kind, count in found.rules.items())
    tell(f"usable lines: {usable}")
    tell(
        f"items with something known to go with them: {found.items_spoken_of:.0%} "
        f"({found.events_spoken_of:.0%} of the events); items known to go with something "
        f"else: {found.items_named:.0%}"
    )
    _some("wrong, so the file is refused", found.wrong)
    _some("unknown, left out", [f"line {one.rule.line}: {one.why}" for one in found.rejected])
    _some("no effect in goes_with, because both sides are of one kind", found.without_effect)
    _some("categories about which the file says nothing", found.categories_missing)


def _some(title: str, lines: list[str] | tuple[str, ...]) -> None:
    if lines:
        tell(f"{title}: {len(lines)}")
        for line in lines[:SHOWN]:
            tell(f"  {line}")
        if len(lines) > SHOWN:
            tell(f"  … and {len(lines) - SHOWN} more (--json shows all)")
