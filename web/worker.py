"""The process that assesses one batch: `python -m web.worker JOB.json`.

It reads the file, assesses it and writes its results; it says how far it is, one JSON object a
line. Limits on memory, time and file size are set before anything of the file is looked at. What
it finds wrong with a file is a result, not a failure, unless nothing at all could be used.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import date
from itertools import zip_longest
from pathlib import Path
from typing import Any

from engine.checking import Checked, check_submission
from engine.errors import FactError, HeguiError, Lang, Problem
from engine.kinds import ADVERSE, UNDETERMINED
from engine.load import Pack, load_pack
from engine.model import Case, Text
from engine.output import csv_text, write_xlsx
from engine.report import Table, dossier_table, explain_dossier, flat_table, is_one_line, notes, row_name
from engine.safe_text import safe_text
from engine.source import Location
from engine.values import yuan_text
from facts.batch import Options
from facts.batch_files import BLOCKS
from facts.columns import Given
from facts.reading import Submission, read_facts
from facts.text import TEXT_NAMES, WORKBOOK_NAMES
from web.annotate import Verdicts, text_excerpts, write_annotated
from web.grid import Origin, rows_of, write_rows
from web.kept import FactStore
from web.large import refused, run_large, tables_data
from web.ledger_batch import RECORD, Ledger, read_duties
from web.mapping import from_data
from web.target_batch import read_targets

MAX_PROBLEMS = 2_000
"""Problems listed one by one; the counts cover all."""
LARGE_FROM = 150_000
"""Bytes from which a table is assessed by columns; a row is explained when somebody asks."""
LARGE_KINDS = (*(name for name, kind in TEXT_NAMES.items() if kind == "csv"), *WORKBOOK_NAMES)
CURABLE = frozenset(
    (
        "sheet-unrecognised",
        "table-ambiguous",
        "duplicate-column",
        "unit-does-not-fit",
        "sheet-units-conflict",
        "key-column-missing",
        "nothing-to-assess",
    )
)
"""What is wrong with the columns of a file, and may be put right on the page."""
MAX_EXPLAINED = 300
"""Subjects whose reasoning goes into the workbook."""

Tell = Callable[[str, int, int], None]


def main(job_path: Path) -> int:
    job = json.loads(job_path.read_text(encoding="utf-8"))
    _limit(job["memory"], job["seconds"])
    source, out = Path(job["file"]), Path(job["out"])
    os.chdir(source.parent)  # places are told by the file's own name

    def tell(stage: str, done: int = 0, total: int = 0) -> None:
        print(json.dumps({"stage": stage, "done": done, "total": total}), flush=True)

    try:
        mapping = from_data(job["mapping"])
        order = Order(date.fromisoformat(job["as_of"]), job["lang"], job["record"], mapping, job["period"])
        run(load_pack(job["pack"]), Path(source.name), out, order, tell)
    except HeguiError as error:
        problem = error.problems[0]
        line = problem.location.line
        zh, en = (f"第 {line} 行：", f"line {line}: ") if line is not None else ("", "")
        _fail(f"{zh}{problem.message('zh')} {problem.help('zh')}", f"{en}{problem.message('en')} {problem.help('en')}")
    except MemoryError:
        _fail("文件展开后太大，已停止处理", "the file is too large once unpacked; it was not processed")
    return 0


def _limit(memory: int, seconds: int) -> None:
    """Limits of the operating system, where it has them; the server stops a slow worker everywhere."""
    try:
        import resource
    except ImportError:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000_000, 1_000_000_000))


def _fail(zh: str, en: str) -> None:
    print(json.dumps({"stage": "failed", "zh": zh.strip(), "en": en.strip()}), flush=True)


@dataclass(frozen=True)
class Order:
    """How a batch is to be assessed; `period` is what a table of targets reports on."""

    as_of: date
    lang: Lang = "zh"
    record: str = ""
    mapping: Mapping[str, Mapping[str, Given]] = field(default_factory=dict)
    period: str = ""


def run(pack: Pack, source: Path, out: Path, order: Order, tell: Tell) -> None:
    """One batch from the file to its results. Errors: `HeguiError` where nothing of the file can be used."""
    tell("reading", 0, 0)
    summary, problems, verdicts = _assessed(pack, source, out, order, tell)
    shown = [problem.to_dict() | _cell(problem) for problem in problems[:MAX_PROBLEMS]]
    (out / "problems.json").write_text(json.dumps(shown, ensure_ascii=False), encoding="utf-8")
    excerpts = None
    if source.suffix in WORKBOOK_NAMES:
        excerpts = write_annotated(out / "annotated.xlsx", source, problems, verdicts, order.lang)
    elif source.suffix in LARGE_KINDS:
        headings = [column["heading"] for table in summary["tables"] for column in table["columns"]]
        excerpts = text_excerpts(source, problems, headings)
    if excerpts is not None:
        (out / "excerpts.json").write_text(json.dumps(excerpts, ensure_ascii=False), encoding="utf-8")
    (out / "summary.json").write_text(json.dumps(summary, ensure_ascii=False), encoding="utf-8")
    tell("done", 1, 1)


def _assessed(
    pack: Pack, source: Path, out: Path, order: Order, tell: Tell
) -> tuple[dict[str, Any], list[Problem], Verdicts]:
    """The file by columns where it is large, else case by case, which also tells what is wrong with a large one."""
    in_blocks = source.suffix in BLOCKS  # read in blocks only, whatever their size
    large = in_blocks or (source.suffix in LARGE_KINDS and source.stat().st_size > LARGE_FROM)
    if large and order.record != RECORD:
        options = Options(record=order.record or None, as_of=order.as_of, lang=order.lang, given=order.mapping)
        try:
            return run_large(pack, source, out, options, tell)
        except FactError as error:
            (out / "facts.db").unlink(missing_ok=True)
            if in_blocks and CURABLE.intersection(problem.code for problem in error.problems):
                return refused(pack, source, out, options, error)
            if in_blocks:
                raise
    return run_cases(pack, source, out, order, tell)


def run_cases(
    pack: Pack, source: Path, out: Path, order: Order, tell: Tell
) -> tuple[dict[str, Any], list[Problem], Verdicts]:
    """The file case by case, each with its reasoning: the summary, the problems and the result of each row."""
    lang = order.lang
    ledger: Ledger | None = None
    if order.record == RECORD:
        ledger = read_duties(pack, source, order.as_of)
    submission = (
        ledger.submission
        if ledger is not None
        else read_facts(
            [source],
            dossiers=pack.dossiers,
            provision=pack.find,
            record=None if order.record == RECORD else order.record or None,
            given=order.mapping,
        )
    )
    if not submission.tables and submission.errors:
        raise HeguiError(list(submission.errors))
    day = submission.as_of or order.as_of
    targets = None
    if not submission.cases and not submission.flat and not order.record:
        targets = read_targets(pack, source, order.period, day)
        ledger = read_duties(pack, source, day) if targets is None else None
        submission = ledger.submission if ledger is not None else submission
    if ledger is None and targets is None and not any(table.rows_in or table.columns for table in submission.tables):
        raise FactError(Problem("file-empty", Location(source.name)))
    checked = _assess(pack, submission, day, tell) if ledger is None else Checked({}, (), Text("", ""), ())
    tell("writing", 0, 0)
    origins: list[list[Origin | None]] = []
    if ledger is not None:
        problems, tables = ledger.problems, ledger.tables(pack, lang)
    elif targets is not None:
        problems, tables = targets.problems, targets.tables(pack, lang)
    else:
        problems, tables = [*submission.problems, *checked.problems], tables_of(pack, checked, lang)
        origins = _keep(pack, checked, out / "facts.db")
    write_rows(out / "rows.db", [rows_of(table, of or ()) for table, of in zip_longest(tables, origins)])
    write_xlsx(out / "results.xlsx", tables, _reasons(pack, checked, lang), lang)
    (out / "results.csv").write_text(csv_text(tables), encoding="utf-8-sig")
    (out / "results.json").write_text(json.dumps(_data(checked, day), ensure_ascii=False, indent=1), encoding="utf-8")
    (out / "problems.csv").write_text(_problems_csv(problems, lang), encoding="utf-8-sig")
    summary = _summary(pack, submission, checked, tables, problems, day)
    if targets is not None:
        summary |= targets.summary(pack)
    if ledger is not None:
        summary |= ledger.summary()
    return summary, problems, _verdicts(pack, checked, lang)


# Assessing in portions, so that progress shows


@dataclass(frozen=True)
class _Portion:
    cases: tuple[Case, ...]
    flat: Sequence[Any]
    tables: Sequence[Any]


def _assess(pack: Pack, submission: Submission, day: date, tell: Tell) -> Checked:
    total = len(submission.cases) + len(submission.flat)
    dossiers: dict[str, list[Any]] = {}
    flat: list[Any] = []
    problems: list[Problem] = []
    agenda = Text("", "")
    done = 0
    for portion in _portions(submission):
        tell("assessing", done, total)
        checked = check_submission(pack, portion, day)
        agenda = checked.agenda
        flat += checked.flat
        problems += checked.problems
        for name, outcomes in checked.dossiers.items():
            dossiers.setdefault(name, []).extend(outcomes)
        done += len(portion.cases) + len(portion.flat)
    tell("assessing", done, total)
    return Checked({name: tuple(found) for name, found in dossiers.items()}, tuple(flat), agenda, tuple(problems))


def _portions(submission: Submission) -> Iterator[_Portion]:
    size = max(100, (len(submission.cases) + len(submission.flat)) // 20)
    for start in range(0, len(submission.cases), size):
        yield _Portion(submission.cases[start : start + size], (), submission.tables)
    for start in range(0, len(submission.flat), size):
        yield _Portion((), submission.flat[start : start + size], submission.tables)


def tables_of(pack: Pack, checked: Checked, lang: Lang) -> list[Table]:
    """The result tables, the same that `hegui check` prints; a row without a name goes by its number."""
    tables = [dossier_table(pack, pack.dossiers[name], outcomes, lang) for name, outcomes in checked.dossiers.items()]
    if checked.flat:
        labels = [row_name(given.label, given.at, lang) for given, _ in checked.flat]
        tables.append(flat_table(pack, [outcome for _, outcome in checked.flat], labels, lang))
    return tables


def _keep(pack: Pack, checked: Checked, path: Path) -> list[list[Origin | None]]:
    """Keeps the facts of every case; for each result table the origins of its rows."""
    found: list[list[Origin | None]] = []
    with closing(FactStore(path)) as store:
        for name, outcomes in checked.dossiers.items():
            origins: list[Origin | None] = []
            one_line = is_one_line(pack.dossiers[name])
            for outcome in outcomes:
                assert outcome.case is not None, "an outcome assessed here holds its case"
                number = store.add_case(outcome.case)
                places = {id(row): place for place, row in enumerate((outcome.case.subject, *outcome.case.related))}
                for item in () if one_line else outcome.items:
                    told = item.outcome
                    if told.status != "not_applicable":
                        origins.append(
                            Origin(number, places[id(item.row)], told.provision, told.status, told.amount or "")
                        )
                if one_line or len(outcomes) > 1:
                    origins.append(Origin(number))
            found.append(origins)
        if checked.flat:
            origins = []
            for given, told in checked.flat:
                origins.append(Origin(store.add_flat(given), 0, told.provision, told.status, told.amount or ""))
            found.append(origins)
    return found


def _reasons(pack: Pack, checked: Checked, lang: Lang) -> list[str]:
    lines: list[str] = []
    for name, outcomes in checked.dossiers.items():
        for outcome in outcomes[:MAX_EXPLAINED]:
            lines += [*explain_dossier(pack, pack.dossiers[name], outcome, lang), ""]
    return lines


def _data(checked: Checked, day: date) -> dict[str, Any]:
    return {
        "as_of": day.isoformat(),
        "outcomes": [_brief(outcome) for _, outcome in checked.flat],
        "dossiers": [
            {
                "dossier": name,
                "subject": outcome.subject,
                "total": None if outcome.total is None else yuan_text(outcome.total),
                "items": [_brief(item.outcome) for item in outcome.items],
            }
            for name, outcomes in checked.dossiers.items()
            for outcome in outcomes
        ],
    }


def _brief(outcome: Any) -> dict[str, Any]:
    data: dict[str, Any] = outcome.to_dict()
    data.pop("trace")
    return data


# Problems and the summary


def _cell(problem: Problem) -> dict[str, Any]:
    place = problem.location
    return {"sheet": place.sheet, "cell": place.cell, "line": place.line}


def _problems_csv(problems: Sequence[Problem], lang: Lang) -> str:
    zh = lang == "zh"
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        ("位置", "程度", "代码", "问题", "建议") if zh else ("place", "severity", "code", "problem", "help")
    )
    for problem in problems:
        severity = {"error": "错误", "warning": "提示"}[problem.severity] if zh else problem.severity
        row = (str(problem.location), severity, problem.code, problem.message(lang), problem.help(lang))
        writer.writerow([safe_text(cell) for cell in row])
    return out.getvalue()


def _verdicts(pack: Pack, checked: Checked, lang: Lang) -> dict[tuple[str, int], tuple[str, str, str]]:
    """For each subject's row (sheet, row): result, amount and reason, for the annotated copy."""
    zh = lang == "zh"
    found: dict[tuple[str, int], tuple[str, str, str]] = {}
    for name, outcomes in checked.dossiers.items():
        dossier = pack.dossiers[name]
        for outcome in outcomes:
            place = outcome.case.subject.at if outcome.case is not None else None
            row = place.row if place is not None and place.cell else None
            if place is None or row is None:
                continue
            if outcome.undetermined:
                status = (
                    f"{len(outcome.undetermined)} 项无法判定" if zh else f"{len(outcome.undetermined)} undetermined"
                )
            elif any(item.outcome.status in ADVERSE for item in outcome.items):
                status = "应予处理" if zh else "action needed"
            else:
                status = "已核算" if zh else "assessed"
            amount = yuan_text(outcome.known_total) if dossier.total is not None else ""
            line = dossier_table(pack, dossier, [outcome], lang)
            reasons = [str(cells[-2]) for cells in line.rows if isinstance(cells[-2], str) and cells[-2]]
            found[place.sheet or "", row] = (status, amount, "；".join(dict.fromkeys(reasons)))
    return found


def _summary(
    pack: Pack,
    submission: Submission,
    checked: Checked,
    tables: Sequence[Table],
    problems: Sequence[Problem],
    day: date,
) -> dict[str, Any]:
    counts = submission.counts
    outcomes = checked.outcomes
    return {
        "as_of": day.isoformat(),
        "agenda": {"zh": checked.agenda.zh, "en": checked.agenda.en},
        "pack": {"id": pack.id, "version": pack.version, "digest": pack.digest},
        "counts": {
            "rows_in": counts.rows_in,
            "accepted": counts.accepted,
            "rejected": counts.rejected,
            "skipped": counts.skipped,
            "rejected_by": dict(counts.rejected_by),
            "skipped_by": dict(counts.skipped_by),
        },
        "tables": tables_data(submission.tables),
        "remarks": [asdict(text) for found in checked.dossiers.values() for text in notes(pack, found)],
        "results": [{"title": table.title, "rows": len(table.rows)} for table in tables],
        "dossiers": sorted(checked.dossiers),
        "problems": len(problems),
        "errors": sum(problem.severity == "error" for problem in problems),
        "outcomes": len(outcomes),
        "adverse": sum(outcome.status in ADVERSE for outcome in outcomes),
        "undetermined": sum(outcome.status == UNDETERMINED for outcome in outcomes),
        "subjects": [
            {
                "dossier": name,
                "subject": outcome.subject,
                "total": None if outcome.total is None else yuan_text(outcome.total),
                "rate": next((item.outcome.rate for item in reversed(outcome.items) if item.outcome.rate), None),
            }
            for name, found in checked.dossiers.items()
            if pack.dossiers[name].total is not None
            for outcome in found
        ][:5_000],
        "targets": [
            {"provision": outcome.provision, "status": outcome.status, "inputs": _target_facts(outcome)}
            for _, outcome in checked.flat
            if pack.provision(outcome.provision).kind.value == "target"
        ][:5_000],
        "due": [
            {
                "subject": outcome.subject,
                "provision": outcome.provision,
                "status": outcome.status,
                "due_date": outcome.due_date,
            }
            for outcome in outcomes
            if outcome.due_date is not None and outcome.status != "not_applicable"
        ][:5_000],
    }


def _target_facts(outcome: Any) -> dict[str, str]:
    """The facts of a target as text, from its trace."""
    steps = outcome.trace.steps if outcome.trace is not None else ()
    return {step.name: str(step.value) for step in steps if step.kind == "fact" and step.value is not None}


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
