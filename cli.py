"""The command line: options, exit codes, printing. Results go to stdout, everything else to stderr.

Exit codes of `check`: 0 nothing breached or cut, 1 something breached, cut or missed, 2 input that
could not be read.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import locale
import os
import sys
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import click

from commands.asked import asked_day, asked_pack
from commands.results import form_of, report_problems, result_options, width, write_result
from engine.errors import HeguiError, Lang, Problem, system_reason

F = TypeVar("F", bound=Callable[..., Any])


def default_lang() -> Lang:
    """English where the locale says so, else Chinese."""
    for name in ("HEGUI_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(name, "")
        if value:
            return "en" if value.lower().startswith("en") else "zh"
    return "zh"


MANY = 20_000
"""Cases from which on `check` says that `batch` is faster."""
EXTRAS = dict.fromkeys(("polars", "numpy", "openpyxl"), "batch") | dict.fromkeys(
    ("duckdb", "pyarrow", "sqlglot"), "sql") | dict.fromkeys(("fastapi", "uvicorn", "jinja2"), "web") | {
    "pyspark": "spark", "py4j": "spark", "z3": "verify", "sqlalchemy": "audit", "psycopg": "postgres"}
"""The optional part of the package (an extra in pyproject.toml) to which a module belongs."""


def _system_error(error: OSError) -> Problem:
    return Problem("system-error", fields={"path": error.filename or os.curdir, **system_reason(error)})


class Group(click.Group):
    """Turns problems into messages and exit code 2, so that no one sees a traceback.

    `later` names commands that live in `commands` and are loaded when they are asked for, so that
    checking one case starts as fast as it can.
    """

    def __init__(self, *arguments: Any, later: dict[str, str] | None = None, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.later = later or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *self.later})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self.later:
            import importlib

            module, _, name = self.later[cmd_name].partition(":")
            return cast(click.Command, getattr(importlib.import_module(module), name))
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: RET503  # `exit` does not return
        try:
            return super().invoke(ctx)
        except HeguiError as error:
            problems = error.problems
        except ModuleNotFoundError as error:
            extra = EXTRAS.get((error.name or "").partition(".")[0])
            if extra is None:
                raise
            problems = (Problem("part-missing", fields={"module": error.name, "extra": extra}),)
        except OSError as error:
            if error.errno == errno.EPIPE:  # who reads the result has read enough
                raise
            problems = (_system_error(error),)
        lang = cast(Lang, (ctx.find_root().obj or {}).get("lang", default_lang()))
        for problem in problems:
            click.echo(problem.render(lang) + "\n", err=True)
        ctx.exit(2)


@click.group(
    cls=Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    later={
        "due": "commands.duties:due",
        "targets": "commands.duties:targets",
        "allot": "commands.duties:allot",
        "audit": "commands.audit:audit_group",
        "batch": "commands.batch:batch",
        "serve": "web.cli:serve",
        "users": "web.cli:users",
        "replay": "commands.audit:replay_command",
    },
)
@click.option(
    "--lang", type=click.Choice(["zh", "en"]), help="Language of messages / 语言 (default: the locale's, else zh)."
)
@click.option(
    "--pack",
    "pack_name",
    default="chuxiong_2019",
    show_default=True,
    envvar="HEGUI_PACK",
    help="Rule pack: a name or a folder / 规则包.",
)
@click.version_option(package_name="hegui")
@click.pass_context
def main(ctx: click.Context, lang: str | None, pack_name: str) -> None:
    """Hegui (合规): what a policy entitles to, cuts, demands by when, or forbids, and by which clause."""
    with contextlib.suppress(locale.Error):  # a name from elsewhere, which this machine has not
        locale.setlocale(locale.LC_CTYPE, "")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # NumPy makes threads that spin, for matrices
    halved = max(1, (os.cpu_count() or 1) // 2)
    os.environ.setdefault("_RJEM_MALLOC_CONF", f"narenas:{halved}")  # Polars: threads use again what others have freed
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    ctx.obj = {"lang": lang or default_lang(), "pack": pack_name}


def _submitted_day(submission: Any) -> str | None:
    """The day the files themselves name, where they name one."""
    days = {case.as_of for case in submission.flat} if not submission.cases else set()
    days = days or {submission.as_of}
    return max(days).isoformat() if None not in days else None


# check


@main.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--as-of", metavar="DATE", help="Day of assessment / 基准日 (default: today, which is printed).")
@click.option("--explain", is_flag=True, help="Print the reasoning in sentences / 逐项说明理由.")
@result_options
@click.option(
    "--record", help="What the rows are, where that is not to be recognised / 指定表格内容 (a record or provision)."
)
@click.option(
    "--engine",
    type=click.Choice(["auto", "chaining", "reference"]),
    default="auto",
    show_default=True,
    help="Who builds the agenda of related facts / 案卷清单引擎.",
)
@click.option(
    "--reading",
    "readings",
    multiple=True,
    metavar="PROVISION:READING=N",
    help="Assess under another declared reading / 按另一读法计算.",
)
@click.option("--keep", is_flag=True, help="Keep a record of this run / 留存运行记录.")
@click.option("--audit", "audit_url", metavar="URL", help="Keep it in this SQLite file or database / 运行记录库.")
@click.pass_context
def check(
    ctx: click.Context,
    files: tuple[Path, ...],
    as_of: str | None,
    explain: bool,
    form: str | None,
    output: Path | None,
    record: str | None,
    engine: str,
    readings: tuple[str, ...],
    keep: bool,
    audit_url: str | None,
) -> None:
    """Assess cases or small tables / 核算案例或表格 (xlsx, csv, json, yaml)."""
    from engine.checking import check_submission
    from engine.kinds import ADVERSE
    from facts.reading import read_facts

    lang: Lang = ctx.obj["lang"]
    form = form_of(form, output, lang, files)
    if explain and form == "csv":
        raise click.UsageError(
            "--explain: a CSV holds no reasoning, write .md, .txt, .json or .xlsx"
            if lang == "en"
            else "--explain：CSV 里写不了理由，请写 .md、.txt、.json 或 .xlsx"
        )
    pack = asked_pack(ctx)
    chosen = _readings(pack, readings)
    submission = read_facts(files, dossiers=_dossiers(pack, files), provision=pack.find, record=record)
    day = asked_day(lang, as_of or _submitted_day(submission))
    count = len(submission.cases) + len(submission.flat)
    if count >= MANY:
        click.echo(
            f"{count} 个案例逐个核算，每个都可说明理由；只要结果时，hegui batch 快得多"
            if lang == "zh"
            else f"{count} cases, one at a time, each with its reasons; for results alone hegui batch is far faster",
            err=True,
        )
    checked = check_submission(pack, submission, day, engine, chosen)
    problems = [*submission.problems, *checked.problems]
    listed = problems if form == "xlsx" else ()  # elsewhere they are told beside the result
    reasons = _explanations(pack, checked, lang) if explain and form != "json" else []
    write_result(
        form, output, lang, lambda: _tables(pack, checked, lang, listed), lambda: _json(checked, day), reasons
    )
    report_problems(problems, lang)
    _summary(submission, checked, day, lang)
    if keep or audit_url:
        from commands.audit import keep_check

        options = {"record": record, "engine": engine}
        keep_check(
            pack, submission, checked, day, chosen, files=files, options=options, keep=keep, url=audit_url, lang=lang
        )
    if any(problem.severity == "error" for problem in problems):
        ctx.exit(2)
    ctx.exit(1 if any(outcome.status in ADVERSE for outcome in checked.outcomes) else 0)


def _dossiers(pack: Any, files: Sequence[Path]) -> Any:
    """The pack's dossiers; none where every file is a single case of a provision, which needs only that."""

    def names_a_provision(path: Path) -> bool:
        try:
            with path.open("rb") as file:
                head = file.read(2000)
        except OSError:
            return False
        return path.suffix.lower() in (".yaml", ".yml", ".json") and b"provision" in head and b"dossier" not in head

    return {} if all(map(names_a_provision, files)) else pack.dossiers


def _readings(pack: Any, texts: Sequence[str]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for text in texts:
        identity, _, choice = text.partition(":")
        reading, _, number = choice.partition("=")
        if not reading or not number.isdigit():
            raise click.BadParameter(f"{text}: PROVISION:READING=N", param_hint="--reading")
        pack.provision(identity)  # an unknown one is said here
        found.setdefault(identity, {})[reading] = int(number)
    return found


def _tables(pack: Any, checked: Any, lang: Lang, problems: Sequence[Problem]) -> list[Any]:
    """A table for each dossier and one for provisions by themselves; one more for problems, if there are any."""
    from engine.report import dossier_table, flat_table, problem_table, row_name

    tables = [dossier_table(pack, pack.dossiers[name], outcomes, lang) for name, outcomes in checked.dossiers.items()]
    if checked.flat:
        several = len(checked.flat) > 1
        names = [row_name(given.label, given.at, lang) if several else given.label for given, _ in checked.flat]
        tables.append(flat_table(pack, [outcome for _, outcome in checked.flat], names, lang))
    return [*tables, problem_table(problems, lang)] if problems else tables


def _json(checked: Any, day: date) -> dict[str, Any]:
    from engine.values import yuan_text

    return {
        "as_of": day.isoformat(),
        "agenda": {"zh": checked.agenda.zh, "en": checked.agenda.en},
        "outcomes": [outcome.to_dict() for _, outcome in checked.flat],
        "dossiers": [
            {
                "dossier": name,
                "subject": outcome.subject,
                "total": None if outcome.total is None else yuan_text(outcome.total),
                "determined_total": yuan_text(outcome.known_total),
                "not_assessed": [
                    {"provision": identity, "zh": text.zh, "en": text.en} for identity, text in outcome.skipped
                ],
                "items": [
                    item.outcome.to_dict()
                    | {
                        "counted": None if item.paid is None else yuan_text(item.paid),
                        "yields_to": item.yields_to,
                        "contained_in": item.contained_in,
                    }
                    for item in outcome.items
                ],
            }
            for name, outcomes in checked.dossiers.items()
            for outcome in outcomes
        ],
        "problems": [problem.to_dict() for problem in checked.problems],
    }


def _explanations(pack: Any, checked: Any, lang: Lang) -> list[str]:
    from engine.explain import explain
    from engine.report import explain_dossier

    lines: list[str] = []
    for _, outcome in checked.flat:
        lines += [*explain(outcome, pack.provision(outcome.provision), lang), ""]
    for name, outcomes in checked.dossiers.items():
        for outcome in outcomes:
            lines += [*explain_dossier(pack, pack.dossiers[name], outcome, lang), ""]
    return lines


def _summary(submission: Any, checked: Any, day: date, lang: Lang) -> None:
    """What became of every row, on stderr."""
    lines = [_counts(submission, lang)]
    lines.append(f"基准日 {day}" if lang == "zh" else f"assessed on {day}")
    if checked.dossiers:
        lines[-1] += ("；" if lang == "zh" else "; ") + checked.agenda.get(lang)
    click.echo("\n".join(line for line in lines if line), err=True)


def _counts(submission: Any, lang: Lang) -> str:
    """Rows in = accepted + rejected + skipped, with the kinds of each."""
    from facts.tally import kinds_shown

    counts = submission.counts
    rejected, skipped = kinds_shown(counts.rejected_by, lang), kinds_shown(counts.skipped_by, lang)
    if lang == "zh":
        return (
            f"读入 {counts.rows_in} 行 = 采用 {counts.accepted} + 退回 {counts.rejected}{rejected}"
            f" + 略过 {counts.skipped}{skipped}"
        )
    return (
        f"{counts.rows_in} rows in = {counts.accepted} accepted + {counts.rejected} rejected{rejected}"
        f" + {counts.skipped} skipped{skipped}"
    )


# rules


@main.group(
    cls=Group,
    later={
        "readings": "commands.duties:readings",
        "trace-source": "commands.duties:trace_source",
        "test": "commands.rules:test_command",
        "verify": "commands.rules:verify_command",
        "diff": "commands.rules:diff_command",
        "mutate": "commands.rules:mutate_command",
    },
)
def rules() -> None:
    """Look at and test a rule pack / 查看和测试规则包."""


@rules.command("list")
@click.argument("words", nargs=-1, metavar="[WORD]...")
@click.option(
    "--kind",
    type=click.Choice(["entitlement", "sanction", "deadline", "obligation", "prohibition", "target", "parameter"]),
    help="Only this kind / 只列某类.",
)
@click.option("--plan", help="Only this plan / 只列某方案.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv", "md"]), default="table", show_default=True)
@click.pass_context
def rules_list(ctx: click.Context, words: tuple[str, ...], kind: str | None, plan: str | None, form: str) -> None:
    """The provisions by plan and kind, with their clause; those in which all WORDs occur / 全部条款，或含这些词的."""
    from engine.describe import provision_list

    lang: Lang = ctx.obj["lang"]
    pack = asked_pack(ctx).load_all()
    table, entries = provision_list(pack, lang, kind, plan, words)
    write_result(form, None, lang, lambda: [table], lambda: entries)


@rules.command("show")
@click.argument("identity", metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Plain data.")
@click.pass_context
def rules_show(ctx: click.Context, identity: str, as_json: bool) -> None:
    """One provision: clause, facts, figures, readings / 一条条款."""
    import json

    from engine.describe import describe_provision, provision_data

    pack = asked_pack(ctx)
    provision = pack.provision(identity)
    if as_json:
        click.echo(json.dumps(provision_data(provision), ensure_ascii=False, indent=2))
    else:
        click.echo(describe_provision(pack, provision, ctx.obj["lang"], width()))


# facts


@main.group("facts")
def facts_group() -> None:
    """Templates, schemas and validation of facts / 填报模板与校验."""


@facts_group.command("template")
@click.argument("what", metavar="DOSSIER|PROVISION")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path, dir_okay=False))
@click.pass_context
def facts_template(ctx: click.Context, what: str, output: Path) -> None:
    """Write an Excel template / 生成填报模板."""
    from facts.template import write_template

    lang: Lang = ctx.obj["lang"]
    if output.suffix.lower() != ".xlsx":
        raise click.UsageError(
            f"{output.name}: a template is a workbook, .xlsx" if lang == "en" else f"{output.name}：模板是 .xlsx 工作簿"
        )
    pack = asked_pack(ctx)
    source = pack.dossiers.get(what) or pack.provision(what)
    write_template(output, source, lang)
    click.echo(str(output))


@facts_group.command("schema")
@click.argument("what", metavar="DOSSIER|PROVISION")
@click.pass_context
def facts_schema(ctx: click.Context, what: str) -> None:
    """Print the JSON Schema of the facts / 事实的 JSON Schema."""
    import json

    from facts.models import dossier_schema, json_schema

    pack = asked_pack(ctx)
    dossier = pack.dossiers.get(what)
    schema = dossier_schema(dossier) if dossier is not None else json_schema(what, pack.provision(what).facts)
    click.echo(json.dumps(schema, ensure_ascii=False, indent=2))


@facts_group.command("validate")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--record", help="What the rows are / 指定表格内容.")
@click.pass_context
def facts_validate(ctx: click.Context, files: tuple[Path, ...], record: str | None) -> None:
    """Read files and report every problem / 校验文件，列出全部问题."""
    from facts.reading import read_facts

    lang: Lang = ctx.obj["lang"]
    pack = asked_pack(ctx)
    submission = read_facts(files, dossiers=pack.dossiers, provision=pack.find, record=record)
    report_problems(submission.problems, lang)
    click.echo(_counts(submission, lang))
    ctx.exit(2 if submission.errors else 0)


def run() -> NoReturn:
    """The command line as a program: `main`, and the end of the process.

    What ends with the process is not freed piece by piece before, which a short run would wait for.
    """
    code: int | str | None = None
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    except OSError as error:  # help is printed before any command
        sys.stderr.write(_system_error(error).render(default_lang()) + "\n")
        code = 2
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:  # who reads has read enough
        code = code or 1
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


if __name__ == "__main__":
    run()
