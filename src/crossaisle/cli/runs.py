"""`runs`: what was run, and what two runs differ in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from crossaisle.cli.output import AsJson, show_json, show_table, tell

if TYPE_CHECKING:
    from crossaisle.pipeline.record import Run

SHOWN = (("recall", 10), ("ndcg", 10))


def runs(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            help="Folder of runs (default: runs), or diff and the two runs to compare.",
            metavar="[DIR | diff A B]",
        ),
    ] = None,
    full: Annotated[
        bool, typer.Option("--all", help="With diff: show every metric, not only R@10 and N@10.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the folders that `run` wrote, or compare two of them: settings, data, version, metrics.

    \b
    crossaisle runs
    crossaisle runs experiments
    crossaisle runs diff runs/before runs/after
    """
    given = words or ["runs"]
    if given[0] == "diff":
        if len(given) != 3:
            raise typer.BadParameter(
                f"diff compares two runs: crossaisle runs diff RUN RUN (found {len(given) - 1})"
            )
        _diff(Path(given[1]), Path(given[2]), full, as_json)
    elif len(given) > 1:
        raise typer.BadParameter(
            f"give one folder, or  diff RUN RUN  (found {' '.join(given)}); write ./diff for a "
            "folder called diff"
        )
    else:
        _list(Path(given[0]), as_json)


def _list(folder: Path, as_json: bool) -> None:
    from crossaisle.pipeline.measure import MODEL
    from crossaisle.pipeline.record import find_runs

    found = find_runs(folder)
    if as_json:
        show_json([{"folder": run.folder, **run.record, **_headline(run, MODEL)} for run in found])
        return
    if not found:
        tell(f"{folder}: no runs; write one with  crossaisle run CONFIG.toml --out DIR", on_the_side=True)
        return
    rows = [
        [
            run.folder.name,
            run.record["finished"][:16].replace("T", " "),
            run.record["version"],
            run.record["data"]["name"],
            run.record["data"]["fingerprint"][:8],
            str(run.record["seed"]),
            *_headline(run, MODEL).values(),
            float(run.record["seconds"]),
        ]
        for run in found
    ]
    names = [f"{metric}@{k}" for metric, k in SHOWN]
    show_table(["run", "finished (UTC)", "version", "data", "content", "seed", *names, "seconds"], rows)


def _headline(run: Run, model: str) -> dict[str, float | None]:
    rows = {f"{metric}@{k}": run.row(model, "all", metric, k) for metric, k in SHOWN}
    return {name: row["value"] if row else None for name, row in rows.items()}


def _diff(a: Path, b: Path, full: bool, as_json: bool) -> None:
    from crossaisle.evaluate.glossary import slice_title
    from crossaisle.pipeline.measure import MODEL
    from crossaisle.pipeline.record import changed_settings, compared, read_run, same_cases

    before, after = read_run(a), read_run(b)
    changes = list(changed_settings(before, after))
    figures = [f for f in compared(before, after, MODEL) if full or (f.metric, f.k) in SHOWN]
    comparable = same_cases(before, after)
    if as_json:
        show_json(
            {
                "same_cases": comparable,
                "changes": [{"name": name, "before": one, "after": other} for name, one, other in changes],
                "figures": [
                    {
                        "slice": f.slice,
                        "metric": f.metric,
                        "k": f.k,
                        "before": f.before["value"],
                        "after": f.after["value"],
                        "difference": f.difference,
                        "intervals_apart": f.apart,
                    }
                    for f in figures
                ],
            }
        )
        return
    if changes:
        show_table(["what differs", a.name, b.name], [[n, _text(x), _text(y)] for n, x, y in changes])
    else:
        tell("Settings, data and version are the same.")
    rows = [
        [
            slice_title(f.slice),
            f"{f.metric}@{f.k}" if f.k else f.metric,
            f.before["value"],
            f.after["value"],
            f"{f.difference:+.4f}",
            "" if f.apart is None else f.apart,
        ]
        for f in figures
    ]
    show_table(["what is predicted", "metric", a.name, b.name, "difference", "intervals apart"], rows)
    if not comparable:
        tell("The two runs were measured on different test cases, so their figures cannot be compared.")


def _text(value: Any) -> str:
    return "(not set)" if value is None else str(value)
