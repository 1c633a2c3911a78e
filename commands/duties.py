"""Commands beside `check`: duties by date, targets by area, rules over rows, readings, the text's figures.

`add_commands` hangs them onto the command line's groups. Each imports what it needs when it runs, so
that the other commands start as fast as before. They stand here, and not in the engine, because they
read files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from commands.asked import asked_day, asked_pack
from commands.results import form_of, report_problems, result_options, write_result
from engine.errors import FactError, Lang, Problem

F = TypeVar("F", bound=Callable[..., Any])


@click.command()
@click.option("--from", "first", required=True, metavar="DATE", help="First due date / 到期日自.")
@click.option("--to", "last", required=True, metavar="DATE", help="Last due date / 到期日至.")
@click.option("--bureau", metavar="NAME", help="Only duties of bodies so called / 只列某单位.")
@click.option(
    "--ledger",
    "ledgers",
    multiple=True,
    type=click.Path(path_type=Path),
    help="What was done: matter, period, body, done on / 履职台账.",
)
@click.option("--as-of", metavar="DATE", help="Day of judgement / 基准日 (default: today, which is printed).")
@result_options
@click.pass_context
def due(
    ctx: click.Context,
    first: str,
    last: str,
    bureau: str | None,
    ledgers: tuple[Path, ...],
    as_of: str | None,
    form: str | None,
    output: Path | None,
) -> None:
    """What each bureau must have done by when / 职责日历."""
    from engine.duties import LATE, list_duties
    from engine.duty_report import duty_data, duty_table
    from engine.inputs import read_as_of
    from engine.schedule import ledger_facts, load_schedule

    lang: Lang = ctx.obj["lang"]
    form = form_of(form, output, lang, ledgers)
    start, end = read_as_of(first), read_as_of(last)
    assert start is not None
    assert end is not None
    if end < start:
        raise FactError(Problem("bad-window", fields={"start": start, "end": end}))
    pack = asked_pack(ctx).load_all()
    schedule = load_schedule(pack)
    entries = None
    problems: list[Problem] = []
    if ledgers:
        from facts.from_ledger import read_ledger

        entries, submission = read_ledger(ledgers, ledger_facts(pack))
        problems += submission.problems
    day = asked_day(lang, as_of) if ledgers or as_of else start
    duties = list_duties(pack, schedule, start, end, day, entries, bureau)
    write_result(form, output, lang, lambda: [duty_table(pack, duties, lang)], lambda: duty_data(pack, duties))
    problems += duties.problems
    report_problems(problems, lang)
    if any(problem.severity == "error" for problem in problems):
        ctx.exit(2)
    ctx.exit(1 if any(line.status in LATE for line in duties.lines) else 0)


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--period", required=True, help="Period the figures are for, as 2019Q1 / 考核期.")
@click.option("--as-of", metavar="DATE", help="Day of judgement / 基准日 (default: today, which is printed).")
@click.option("--long", "one_by_one", is_flag=True, help="One line a figure / 逐项列出.")
@result_options
@click.pass_context
def targets(
    ctx: click.Context,
    files: tuple[Path, ...],
    period: str,
    as_of: str | None,
    one_by_one: bool,
    form: str | None,
    output: Path | None,
) -> None:
    """Figures reached against plan, by area and indicator / 目标完成情况 (xlsx, csv)."""
    from engine.target_table import judge_targets, lines_table, load_plan, period_end, target_data, target_tables
    from facts.from_matrix import read_target_sheets

    lang: Lang = ctx.obj["lang"]
    form = form_of(form, output, lang, files)
    pack = asked_pack(ctx).load_all()
    ends = period_end(pack, period)
    plan = load_plan(pack)
    sheets = read_target_sheets(files, plan)
    day = asked_day(lang, as_of)
    lines, problems = judge_targets(pack, plan, sheets.figures, ends, day)
    if one_by_one or form == "csv":
        tables = [lines_table(pack, lines, lang)]
    else:
        tables = target_tables(pack, plan, lines, lang)
        if form == "xlsx":
            tables.append(lines_table(pack, lines, lang, "明细" if lang == "zh" else "Figures"))
    write_result(form, output, lang, lambda: tables, lambda: target_data(lines, ends, day))
    problems = [*sheets.problems, *problems]
    report_problems(problems, lang)
    kinds = {"accepted": ("采用", "accepted"), "rejected": ("退回", "rejected"), "skipped": ("略过", "skipped")}
    counts = [f"{words[lang == 'en']} {sheets.rows.get(kind, 0)}" for kind, words in kinds.items()]
    head = f"读入 {len(sheets.figures)} 个数；行：" if lang == "zh" else f"{len(sheets.figures)} figures read; rows: "
    click.echo(head + ("，" if lang == "zh" else ", ").join(counts), err=True)
    if any(problem.severity == "error" for problem in problems):
        ctx.exit(2)
    ctx.exit(1 if any(line.status == "missed" for line in lines) else 0)


@click.command()
@click.argument("rule", metavar="RULE")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--as-of", metavar="DATE", help="Day of assessment / 基准日 (default: today, which is printed).")
@result_options
@click.pass_context
def allot(
    ctx: click.Context, rule: str, files: tuple[Path, ...], as_of: str | None, form: str | None, output: Path | None
) -> None:
    """A rule over many rows: ceilings on totals, once a year, averages / 多行规则 (xlsx, csv)."""
    from engine.allotment import allot as assess_rows
    from engine.allotment import allotment_data, allotment_table, load_allotments
    from facts.reading import read_facts

    lang: Lang = ctx.obj["lang"]
    form = form_of(form, output, lang, files)
    pack = asked_pack(ctx)
    known = load_allotments(pack)
    allotment = known.get(rule)
    if allotment is None:
        raise FactError(Problem("unknown-allotment", fields={"name": rule, "known": list(known)}))
    dossier = allotment.dossier
    submission = read_facts(files, dossiers={dossier.id: dossier}, record=dossier.subject)
    day = asked_day(lang, as_of)
    lines = assess_rows(pack, allotment, [case.subject for case in submission.cases], day)
    write_result(form, output, lang, lambda: [allotment_table(pack, allotment, lines, lang)],
                 lambda: allotment_data(allotment, lines))
    report_problems(submission.problems, lang)
    ctx.exit(2 if submission.errors else 0)


@click.command()
@click.argument("prefix", default="", metavar="[ID-PREFIX]")
@result_options
@click.pass_context
def readings(ctx: click.Context, prefix: str, form: str | None, output: Path | None) -> None:
    """Where the text admits several readings, the one chosen and why / 全部读法."""
    from engine.reading_list import readings_data, readings_table

    lang: Lang = ctx.obj["lang"]
    form = form_of(form, output, lang)
    pack = asked_pack(ctx).load_all()
    write_result(form, output, lang, lambda: [readings_table(pack, lang, prefix)], lambda: readings_data(pack, prefix))


@click.command("trace-source")
@click.option(
    "--text", "source", required=True, type=click.Path(path_type=Path), help="Your copy of the document / 政策原文."
)
@result_options
@click.pass_context
def trace_source(ctx: click.Context, source: Path, form: str | None, output: Path | None) -> None:
    """Check every heading path and figure against the document's text / 与原文核对."""
    from engine.trace_source import load_source_notes, trace_data, trace_table
    from engine.trace_source import trace_source as trace
    from facts.text import decode, read_bytes

    lang: Lang = ctx.obj["lang"]
    form = form_of(form, output, lang, [source])
    pack = asked_pack(ctx).load_all()
    result = trace(pack, decode(read_bytes(source, str(source)), str(source)), load_source_notes(pack))
    write_result(form, output, lang, lambda: [trace_table(pack, result, lang)], lambda: trace_data(result))
    report_problems(result.problems, lang)
    if any(problem.severity == "error" for problem in result.problems):
        ctx.exit(2)
    ctx.exit(1 if result.missing else 0)
