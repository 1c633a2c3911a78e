"""A ledger of what was done → entries: one line a matter, its period, whose it is and when it was done.

The sheet is read like any other table, so messy dates, titles, totals and cell problems are treated alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path

from engine.duties import Entry
from engine.model import Dossier, Field, RecordType, Row, Text
from engine.types import BOOLEAN, DATE, TEXT, Type
from facts.reading import Submission, read_facts


def _field(name: str, of: Type, zh: str, en: str, *aliases: str) -> Field:
    return Field(name, of, Text(zh, en), required=False, aliases=aliases)


FIELDS = (
    _field("matter", TEXT, "事项", "matter", "条款", "条款号", "条款名称", "职责", "工作事项", "任务", "provision"),
    _field("occasion", TEXT, "期间", "occasion", "步骤", "时段", "报告期", "所属期", "月份", "季度", "阶段", "period"),
    _field("body", TEXT, "单位", "body", "责任单位", "牵头部门", "牵头单位", "部门", "报送单位", "bureau"),
    _field("about", TEXT, "说明", "about", "备注", "文号", "项目", "办件", "对象"),
    _field("triggered_on", DATE, "起算日期", "runs from", "触发日期", "起算日"),
    _field("done", BOOLEAN, "已完成", "done", "是否完成", "完成情况", "是否已完成"),
    _field("done_on", DATE, "完成日期", "done on", "完成时间", "办结日期", "报送日期", "下达日期", "召开日期"),
)
OWN = frozenset(field.name for field in FIELDS)


def ledger_dossier(extra: Sequence[Field] = ()) -> Dossier:
    """The shape of a ledger; `extra` are facts that provisions need to know from when they run."""
    fields = {field.name: field for field in FIELDS}
    spellings = {name for field in FIELDS for name in (field.label.zh, *field.aliases)}
    for field in extra:
        aliases = tuple(alias for alias in field.aliases if alias not in spellings)
        fields.setdefault(field.name, Field(field.name, field.type, field.label, field.unit, False, aliases=aliases))
    record = RecordType("ledger", Text("台账", "ledger"), fields, aliases=("履职台账", "工作台账", "完成情况"))
    return Dossier("ledger", Text("台账", "ledger"), "ledger", {"ledger": record}, ())


def read_ledger(paths: Iterable[str | Path], extra: Sequence[Field] = ()) -> tuple[list[Entry], Submission]:
    """The entries of some files, and the account of every row with all problems found."""
    dossier = ledger_dossier(extra)
    submission = read_facts(paths, dossiers={dossier.id: dossier}, record="ledger")
    return [_entry(case.subject) for case in submission.cases if case.subject.values.get("matter")], submission


def _entry(row: Row) -> Entry:
    values = row.values

    def text(name: str) -> str | None:
        found = values.get(name)
        return str(found) if found is not None else None

    def day(name: str) -> date | None:
        found = values.get(name)
        return found if isinstance(found, date) else None

    done = values.get("done")
    facts: Mapping[str, object] = {name: value for name, value in values.items() if name not in OWN}
    return Entry(
        text("matter") or "",
        text("occasion"),
        text("body"),
        text("about") or "",
        day("triggered_on"),
        done if isinstance(done, bool) else None,
        day("done_on"),
        facts,  # type: ignore[arg-type]
        row.at,
    )
