"""The commands about run records: `hegui audit list|show|verify`, `hegui replay`, and the options that keep a record.

Exit codes: `audit verify` 0 nothing found, 1 something found; `replay` 0 the same, 1 something differs;
2 where the records cannot be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import click

from commands.results import form_of, result_options, write_result
from engine.errors import Lang

F = TypeVar("F", bound=Callable[..., Any])


def audit_options(command: F) -> F:
    """`--keep` and `--audit URL` for a command whose runs can be recorded."""
    command = click.option(
        "--audit", "audit_url", metavar="URL",
        help="Keep a record in this SQLite file or postgresql:// database / 运行记录库.",
    )(command)  # fmt: skip
    return click.option(
        "--keep", is_flag=True, help="Keep a record of this run, by default in the user's data folder / 留存运行记录."
    )(command)


def keep_check(
    pack: Any,
    submission: Any,
    checked: Any,
    day: date | None,
    readings: Any,
    *,
    files: Sequence[Path],
    options: Mapping[str, Any],
    keep: bool,
    url: str | None,
    lang: Lang,
) -> None:
    """Record a check where that was asked for, and say its number and hash on stderr.

    Errors (`AuditError`): `audit-database`, `audit-extra`.
    """
    if not keep and url is None:
        return
    from engine.audit import record_of

    given = {name: value for name, value in options.items() if value is not None}
    keep_run(record_of(pack, submission, checked, day, readings, files=files, options=given), url, lang)


def keep_run(run: Any, url: str | None, lang: Lang) -> None:
    """Add a record and say its number and hash on stderr."""
    from engine.audit import AuditLog

    with AuditLog(url) as log:
        recorded = log.add(run)
        click.echo(
            f"已留存运行记录 {recorded.number}:{recorded.hash}（{log.store.shown}）"
            if lang == "zh"
            else f"kept as run record {recorded.number}:{recorded.hash} ({log.store.shown})",
            err=True,
        )


def _run_name(_: click.Context, __: click.Parameter, text: str) -> tuple[int, str]:
    """A record's number, or number and hash as they are printed where a run is kept; the hash may be cut short."""
    found = re.fullmatch(r"\s*(-?\d+)(?::([0-9a-fA-F]{4,64}))?\s*", text)
    if found is None:
        raise click.BadParameter(f"{text}: NUMBER, NUMBER:HASH")
    return int(found[1]), found[2] or ""


def _log(url: str | None) -> Any:
    from engine.audit import AuditLog

    return AuditLog(url, create=False)


_where = click.option("--audit", "url", metavar="URL", help="SQLite file or postgresql:// database / 运行记录库.")


@click.group("audit")
def audit_group() -> None:
    """Run records: list, show, verify / 运行记录."""


@audit_group.command("list")
@_where
@result_options
@click.pass_context
def audit_list(ctx: click.Context, url: str | None, form: str | None, output: Path | None) -> None:
    """Every record: when, which pack and program, which files, what came out / 全部记录."""
    from engine.report import Table

    lang: Lang = ctx.obj["lang"]
    form = form_of(form, output, lang)
    with _log(url) as log:
        runs = list(log.runs())
    headers = (
        ("记录", "时间 (UTC)", "命令", "规则包", "基准日", "文件", "结论", "哈希")
        if lang == "zh"
        else ("run", "at (UTC)", "command", "pack", "assessed on", "files", "outcomes", "hash")
    )
    rows = [
        (
            str(item.number),
            item.run.at.removesuffix("+00:00"),
            item.run.kind,
            f"{item.run.pack['id']} {item.run.pack['version']} {item.run.pack['digest'][:8]}",
            str(item.run.as_of or ""),
            ", ".join(Path(found.name).name for found in item.run.inputs),
            _outcome_counts(item.run.head["counts"], lang),
            item.hash[:12],
        )
        for item in runs
    ]
    data = [{"number": item.number, "hash": item.hash, **item.run.head} for item in runs]
    write_result(form, output, lang, lambda: [Table("", headers, tuple(rows))], lambda: data)


def _outcome_counts(counts: Mapping[str, Any], lang: Lang) -> str:
    from engine.kinds import LABELS

    found = counts.get("outcomes")
    if not isinstance(found, Mapping):
        return ", ".join(f"{name} {value}" for name, value in counts.items())
    separator = "，" if lang == "zh" else ", "
    return separator.join(f"{LABELS[name].get(lang)} {number}" for name, number in found.items())


@audit_group.command("show")
@click.argument("run", callback=_run_name)
@_where
def audit_show(run: tuple[int, str], url: str | None) -> None:
    """One record whole, as JSON: facts, outcomes, problems / 一条记录."""
    with _log(url) as log:
        found = log.run(*run)
    data = {"number": found.number, "hash": found.hash, **found.run.head, "content": found.run.content}
    click.echo(json.dumps(data, ensure_ascii=False, indent=2))


@audit_group.command("verify")
@_where
@click.option(
    "--head", "heads", multiple=True, metavar="NUMBER:HASH",
    help="A record's number and hash as they were printed and kept elsewhere / 另存的编号与哈希.",
)  # fmt: skip
@click.pass_context
def audit_verify(ctx: click.Context, url: str | None, heads: tuple[str, ...]) -> None:
    """Whether every record is as it was written / 核对全部记录未被改动."""
    lang: Lang = ctx.obj["lang"]
    with _log(url) as log:
        findings = log.verify([_head(text) for text in heads])
        number, hash_ = max(log.store.heads(), default=(0, ""))
        shown = log.store.shown
    for finding in findings:
        click.echo(finding.problem.render(lang))
    if findings:
        ctx.exit(1)
    last = f"{number}:{hash_}" if number else "—"
    click.echo(
        f"{shown}：{number} 条记录完好，最后一条 {last}"
        if lang == "zh"
        else f"{shown}: {number} records intact, {last}"
    )


def _head(text: str) -> tuple[int, str]:
    number, _, hash_ = text.partition(":")
    if not number.isdecimal() or not hash_:
        raise click.BadParameter(f"{text}: NUMBER:HASH", param_hint="--head")
    return int(number), hash_


@click.command("replay")
@click.argument("run", callback=_run_name)
@_where
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def replay_command(ctx: click.Context, run: tuple[int, str], url: str | None, form: str) -> None:
    """Compute a recorded run again with the present program and pack, and compare / 重算并比较."""
    from engine.audit_replay import replay

    lang: Lang = ctx.obj["lang"]
    with _log(url) as log:
        report = replay(log, run[0], _loader(ctx), _read_again, hash_=run[1])
    if form == "json":
        click.echo(json.dumps(report.to_dict(), ensure_ascii=False, indent=2))
    else:
        click.echo("\n".join(report_lines(report, lang)))
    ctx.exit(0 if report.same else 1)


def _loader(ctx: click.Context) -> Callable[[str], Any]:
    """The pack of the record's id; `--pack`, where it was given, names the one to use."""
    from engine.load import load_pack

    root = ctx.find_root()
    given = root.get_parameter_source("pack_name") not in (None, click.core.ParameterSource.DEFAULT)

    def load(identity: str) -> Any:
        return load_pack(ctx.obj["pack"] if given else identity)

    return load


def _read_again(pack: Any, paths: Sequence[Path], run: Any) -> Any:
    from facts.reading import read_facts

    return read_facts(
        paths, dossiers=pack.dossiers, provision=pack.find, record=run.head.get("options", {}).get("record")
    )


_CAUSES = {
    "pack": ("规则包改了", "the pack changed"),
    "engine": ("程序改了", "the program changed"),
    "engine or pack": ("规则包或程序改了", "the pack or the program changed"),
    "reader": ("文件读法改了", "the files are read otherwise"),
    "unexplained": ("规则包与程序都没有变，原因不明", "neither pack nor program changed: not explained"),
}


def report_lines(report: Any, lang: Lang) -> list[str]:
    """A replay's report in sentences."""
    zh = lang == "zh"
    lines = []
    for name, was, now, changed in (
        ("规则包" if zh else "pack", report.pack_was, report.pack_now, report.pack_changed),
        ("程序" if zh else "program", report.engine_was, report.engine_now, report.engine_changed),
    ):
        old, new = (f"{item['version']} ({item['digest'][:12]})" for item in (was, now))
        if changed:
            lines.append(f"{name}：当时 {old}，现在 {new}" if zh else f"{name}: {old} then, {new} now")
        else:
            lines.append(f"{name}：{new}，没有变" if zh else f"{name}: {new}, unchanged")
    for item in report.differences:
        cause = _CAUSES[item.cause][0 if zh else 1]
        about = f"{item.about}: {item.what}"
        lines.append(
            f"{about}：当时 {_shown(item.was)}，现在 {_shown(item.now)}（{cause}）"
            if zh
            else f"{about}: {_shown(item.was)} then, {_shown(item.now)} now ({cause})"
        )
    facts = ("，文件重读无异" if zh else ", files read again") if report.facts_read_again else ""
    if report.same:
        lines.append(
            f"第 {report.number} 号记录：{report.compared} 项全部一致{facts}"
            if zh
            else f"run {report.number}: all {report.compared} results are the same{facts}"
        )
    else:
        number = len(report.differences)
        lines.append(
            f"第 {report.number} 号记录：{report.compared} 项中 {number} 项不同"
            if zh
            else f"run {report.number}: {number} of {report.compared} results differ"
        )
    return lines


def _shown(value: Any) -> str:
    if value is None:
        return "—"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
