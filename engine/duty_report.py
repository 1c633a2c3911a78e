"""A list of duties for people and programs: one line an occasion, with its day, its clause and what became of it."""

from __future__ import annotations

from typing import Any

from engine.duties import DutyLine, DutyList
from engine.errors import Lang
from engine.kinds import LABELS
from engine.load import Pack
from engine.model import Provision, Text
from engine.report import Cell, Table


def duty_table(pack: Pack, duties: DutyList, lang: Lang) -> Table:
    """One line an occasion, in the order of the days."""
    zh = lang == "zh"
    headers = ["到期日", "单位", "事项", "期间"] if zh else ["due", "body", "matter", "occasion"]
    if duties.has_ledger:
        headers += ["结论", "完成日期"] if zh else ["result", "done on"]
    headers += ["依据", "备注"] if zh else ["clause", "remarks"]
    rows: list[tuple[Cell, ...]] = []
    for line in duties.lines:
        provision = pack.provision(line.occasion.provision)
        cells: list[Cell] = [
            line.occasion.due,
            line.occasion.body,
            provision.label.get(lang),
            line.occasion.label.get(lang),
        ]
        if duties.has_ledger:
            cells += [LABELS[line.status].get(lang), line.done_on if line.done_on else ""]
        cells += [_clause(provision), "；".join(_remarks(line, lang))]
        rows.append(tuple(cells))
    return Table("", tuple(headers), tuple(rows), notes=tuple(_notes(pack, duties, lang)))


def _clause(provision: Provision) -> str:
    return f"{provision.citation.plan.split('（')[0]} {provision.citation.path}".strip()


def _remarks(line: DutyLine, lang: Lang) -> list[str]:
    found = [remark.get(lang) for remark in line.remarks]
    if line.about and line.about != line.occasion.label.zh:
        found.insert(0, line.about)
    if line.times is not None and (line.times or line.status != "pending"):
        found.insert(0, f"已完成 {line.times} 次" if lang == "zh" else f"done {line.times} times")
    return found


def _notes(pack: Pack, duties: DutyList, lang: Lang) -> list[str]:
    zh = lang == "zh"
    count = len(duties.lines)
    notes = [f"{duties.start} 至 {duties.end} 共 {count} 项" if zh else f"{count} from {duties.start} to {duties.end}"]
    if duties.has_ledger:
        by = {status: sum(line.status == status for line in duties.lines) for status in LABELS}
        shown = [f"{LABELS[status].get(lang)} {number}" for status, number in by.items() if number]
        notes[0] += ("：" if zh else ": ") + ("，" if zh else ", ").join(shown)
    for identity, label in duties.waiting:
        title = pack.provision(identity).label.get(lang)
        notes.append(
            f"“{title}”自“{label.zh}”起算，登记后才有到期日"
            if zh
            else f"{title}: runs from {label.get('en')}, so it has no due date until that is entered"
        )
    return notes


def duty_data(pack: Pack, duties: DutyList) -> dict[str, Any]:
    """The list as plain data."""

    def words(text: Text) -> dict[str, str]:
        return {"zh": text.zh, "en": text.en}

    return {
        "from": duties.start.isoformat(),
        "to": duties.end.isoformat(),
        "as_of": duties.as_of.isoformat(),
        "duties": [
            {
                "provision": line.occasion.provision,
                "label": words(pack.provision(line.occasion.provision).label),
                "clause": _clause(pack.provision(line.occasion.provision)),
                "body": line.occasion.body,
                "occasion": words(line.occasion.label),
                "due": line.occasion.due.isoformat(),
                "status": line.status or None,
                "done_on": line.done_on.isoformat() if line.done_on else None,
                "times": line.times,
                "about": line.about,
                "remarks": [words(remark) for remark in line.remarks],
            }
            for line in duties.lines
        ],
        "runs_from_an_event": [{"provision": identity, "fact": words(label)} for identity, label in duties.waiting],
        "problems": [problem.to_dict() for problem in duties.problems],
    }
