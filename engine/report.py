"""Outcomes → the rows of a table: one line per subject, or one per matter. No printing here.

Cells are either text for people or values with a kind (money in fen, a date), so that a terminal,
a workbook and a CSV can each write them in their own way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, TypeAlias

from engine.dataclass import dataclass
from engine.errors import Lang, Problem
from engine.explain import explain, missing_labels, why
from engine.kinds import ADVERSE, LABELS, UNDETERMINED
from engine.load import Pack
from engine.model import Dossier, FromField, Text
from engine.outcome import Outcome
from engine.source import Location
from engine.types import Kind, Type
from engine.values import Value, decimal_text, money_text, percent_text

if TYPE_CHECKING:
    from engine.dossier import DossierOutcome, Item


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in fen."""

    fen: int


@dataclass(frozen=True, slots=True)
class Percent:
    """A ratio where 1 is 100 %."""

    ratio: Value


Cell: TypeAlias = str | Money | Percent | date | int | None


@dataclass(frozen=True, slots=True)
class Table:
    """A titled table; `footer` is its total line, `notes` what stands below it."""

    title: str
    headers: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    footer: tuple[Cell, ...] | None = None
    notes: tuple[str, ...] = ()


def cell_text(cell: Cell) -> str:
    """A cell for a terminal; a ratio is cut after four decimals and marked where digits follow."""
    match cell:
        case None:
            return "—"
        case Money(fen):
            return money_text(fen)
        case Percent(ratio):
            return _short_percent(ratio)
        case date():
            return cell.isoformat()
    return str(cell)


def _short_percent(ratio: Value) -> str:
    assert not isinstance(ratio, (str, date))
    exact = percent_text(ratio)
    whole, _, digits = exact.partition(".")
    if len(digits.rstrip("…")) <= 4 and not exact.endswith("…"):
        return exact + "%"
    return f"{whole}.{digits[:4]}…%"


def typed_cell(value: Value | None, of: Type) -> Cell:
    if value is None or (isinstance(value, (str, date)) and not isinstance(value, bool)):
        return value
    if of.kind is Kind.MONEY and isinstance(value, int):
        return Money(value)
    if of.kind is Kind.RATIO:
        return Percent(value)
    return decimal_text(value)


_WORDS = {
    "case": Text("案例", "case"), "provision": Text("条款", "provision"), "status": Text("结论", "result"),
    "amount": Text("金额", "amount"), "counted": Text("计入合计", "counted"), "due": Text("到期日", "due"),
    "why": Text("理由", "reason"), "clause": Text("依据", "clause"), "matter": Text("事项", "matter"),
    "total": Text("合计", "total"), "detail": Text("对象", "about"), "rate": Text("比例", "rate"),
}  # fmt: skip


def _words(*names: str, lang: Lang) -> list[str]:
    return [_WORDS[name].get(lang) for name in names]


def clause(outcome: Outcome) -> str:
    """The clause as short as it can be cited: plan and heading path."""
    plan = outcome.citation.plan.split("（")[0].split("(")[0]
    return f"{plan} {outcome.citation.path}".strip()


def _clauses(outcomes: Sequence[Outcome]) -> str:
    """Several clauses, a plan named once before its headings."""
    plans: dict[str, list[str]] = {}
    for outcome in outcomes:
        plan, _, path = clause(outcome).partition(" ")
        plans.setdefault(plan, []).append(path)
    return "；".join(f"{plan} {'；'.join(dict.fromkeys(paths))}" for plan, paths in plans.items())


def row_name(label: str, at: Location, lang: Lang) -> str:
    """What a row's facts are called: by their label, else by the number of the row."""
    return label or (f"第{at.row}行" if lang == "zh" else f"row {at.row}")


def flat_table(pack: Pack, outcomes: Sequence[Outcome], labels: Sequence[str], lang: Lang) -> Table:
    """One line per outcome of a single provision each."""
    rows = []
    for outcome, label in zip(outcomes, labels, strict=True):
        provision = pack.provision(outcome.provision)
        rows.append(
            (
                label,
                provision.label.get(lang),
                LABELS[outcome.status].get(lang),
                _result(outcome),
                _reason(pack, outcome, lang),
                clause(outcome),
            )
        )
    headers = _words("case", "matter", "status", "amount", "why", "clause", lang=lang)
    if any(outcome.values.get("due_date") for outcome in outcomes):
        headers[3] = headers[3] + "/" + _WORDS["due"].get(lang)
    return Table("", tuple(headers), tuple(rows))


def _result(outcome: Outcome) -> Cell:
    for name in ("amount", "amount_max", "due_date"):
        value = outcome.values.get(name)
        if isinstance(value, date):
            return value
        if isinstance(value, int):
            return f"≤ {money_text(value)}" if name == "amount_max" else Money(value)
    return None


def _reason(pack: Pack, outcome: Outcome, lang: Lang) -> str:
    text = why(outcome, pack.provision(outcome.provision), lang)
    if outcome.read_as is not None:
        text += "（按另一读法）" if lang == "zh" else " (under another reading)"
    if outcome.readings:
        text += "（另有读法）" if lang == "zh" else " (another reading differs)"
    return text


def is_one_line(dossier: Dossier) -> bool:
    """Whether every matter is about the subject itself, so that a subject fits one line."""
    return all(matter.each == dossier.subject for matter in dossier.matters)


def dossier_table(pack: Pack, dossier: Dossier, outcomes: Sequence[DossierOutcome], lang: Lang) -> Table:
    """Subjects by line, or matter by matter with a total for each subject."""
    table = _subject_lines if is_one_line(dossier) else _matter_lines
    return table(pack, dossier, outcomes, lang)


def problem_table(problems: Sequence[Problem], lang: Lang) -> Table:
    """Every problem with its place, for a sheet of its own."""
    headers = ("位置", "代码", "问题", "建议") if lang == "zh" else ("place", "code", "problem", "help")
    rows = tuple(
        (str(problem.location), problem.code, problem.message(lang), problem.help(lang)) for problem in problems
    )
    return Table("问题" if lang == "zh" else "Problems", headers, rows)


def _subject_lines(pack: Pack, dossier: Dossier, outcomes: Sequence[DossierOutcome], lang: Lang) -> Table:
    record = dossier.records[dossier.subject]
    headers = [record.fields[record.key].label.get(lang) if record.key else _WORDS["case"].get(lang)]
    headers += [_column_label(pack, dossier, column, lang) for column in dossier.columns]
    has_money = dossier.total is not None
    headers += _words("status", *(("rate",) if has_money else ()), lang=lang)
    headers.append(dossier.total.get(lang) if dossier.total is not None else _WORDS["due"].get(lang))
    headers += _words("why", "clause", lang=lang)
    rows: list[tuple[Cell, ...]] = []
    for outcome in outcomes:
        shown = [item for item in outcome.items if item.outcome.status != "not_applicable"]
        main = next((item for item in reversed(shown) if item.matter.replaces), shown[-1] if shown else None)
        cells: list[Cell] = [outcome.subject]
        cells += [_column(pack, outcome, column, lang) for column in dossier.columns]
        cells.append(_subject_status(outcome, shown, main, lang))
        if has_money:
            rate = main.outcome.values.get("rate") if main is not None and not outcome.undetermined else None
            cells.append(Percent(rate) if rate is not None else None)
            cells.append(Money(outcome.total) if outcome.total is not None and shown else None)
        else:
            cells.append(main.outcome.values.get("due_date") if main is not None else None)  # type: ignore[arg-type]
        cells.append(_subject_reason(pack, outcome, shown, lang))
        named = _telling(shown) or [item for item in shown if not item.matter.replaces][:1] or outcome.items[:1]
        cells.append(_clauses([item.outcome for item in named]))
        rows.append(tuple(cells))
    footer: tuple[Cell, ...] | None = None
    if has_money:
        blanks: list[Cell] = [""] * len(headers)
        blanks[0] = _WORDS["total"].get(lang)
        blanks[-3] = Money(sum(outcome.known_total for outcome in outcomes if outcome.total is not None))
        open_subjects = sum(outcome.total is None for outcome in outcomes)
        if open_subjects:
            blanks[-2] = (
                f"另有 {open_subjects} 个无法判定，未计入"
                if lang == "zh"
                else f"{open_subjects} more undetermined, not counted"
            )
        footer = tuple(blanks)
    return Table(dossier.label.get(lang), tuple(headers), tuple(rows), footer, _said(notes(pack, outcomes), lang))


def _telling(shown: Sequence[Item]) -> list[Item]:
    """The items a reader must know of: what was cut, missed or left open; parts rather than their sum."""
    return [
        item
        for item in shown
        if not item.matter.replaces and (item.outcome.status in ADVERSE or item.outcome.status == UNDETERMINED)
    ]


def _subject_status(outcome: DossierOutcome, shown: Sequence[Item], main: Item | None, lang: Lang) -> str:
    if not shown or main is None:
        return LABELS["not_applicable"].get(lang)
    if outcome.undetermined:
        return LABELS[UNDETERMINED].get(lang)
    adverse = [item for item in shown if item.outcome.status in ADVERSE]
    return LABELS[(adverse[-1] if adverse else main).outcome.status].get(lang)


def _subject_reason(pack: Pack, outcome: DossierOutcome, shown: Sequence[Item], lang: Lang) -> str:
    """Why, in a few words: what is missing first, then what was cut or missed, else the first matter."""
    if not shown:
        return _item_reason(pack, outcome.items[0], lang) if outcome.items else ""
    telling = _telling(shown) or [item for item in shown if not item.matter.replaces][:1]
    undetermined = [item for item in telling if item.outcome.status == UNDETERMINED]
    labels = dict.fromkeys(label for item in undetermined for label in missing_labels(
        item.outcome, pack.provision(item.matter.provision), lang))  # fmt: skip
    parts = []
    if labels:
        parts.append(("缺少：" + "、".join(labels)) if lang == "zh" else "missing: " + ", ".join(labels))
        telling = [item for item in telling if item not in undetermined]
    parts += [_item_reason(pack, item, lang) for item in telling]
    for item in shown:  # a matter that is not worth a word as it was read may be one as read otherwise
        if item.outcome.readings and item not in telling and not item.matter.replaces:
            label = pack.provision(item.matter.provision).label.get(lang)
            parts.append(f"“{label}”另有读法" if lang == "zh" else f"another reading of '{label}' differs")
    return "；".join(part for part in parts if part)


def _item_reason(pack: Pack, item: Item, lang: Lang) -> str:
    text = _reason(pack, item.outcome, lang)
    if item.outcome.status == "overdue" and "workdays_over" in item.outcome.values:
        days = item.outcome.values["workdays_over"]
        text = (f"逾期{days}个工作日，" if lang == "zh" else f"{days} working days overdue, ") + text
    if item.outcome.rate is not None and item.outcome.status in ADVERSE:
        text += f" → {item.outcome.rate}%"
    if item.outcome.status == "triggered_discretionary" and item.outcome.amount_max is not None:
        text += f" ≤ {money_text(item.outcome.values['amount_max'])}"  # type: ignore[arg-type]
    return text


def _column_label(pack: Pack, dossier: Dossier, column: object, lang: Lang) -> str:
    if isinstance(column, FromField):
        return dossier.records[column.record].fields[column.field].label.get(lang)
    provision, name = column.provision, column.output  # type: ignore[attr-defined]
    for let in pack.provision(provision).lets:
        if let.name == name and let.label is not None:
            return let.label.get(lang)
    return str(name)


def _column(pack: Pack, outcome: DossierOutcome, column: object, lang: Lang) -> Cell:
    if isinstance(column, FromField):
        assert outcome.case is not None
        record = pack.dossiers[outcome.dossier].records[column.record]
        field, value = record.fields[column.field], outcome.case.subject.values.get(column.field)
        if isinstance(value, str) and field.choices:
            return field.choice_label(value, lang)
        if isinstance(value, bool):
            return ("是" if value else "否") if lang == "zh" else ("yes" if value else "no")
        return typed_cell(value, field.type)
    for item in outcome.items:
        if item.matter.provision == column.provision:  # type: ignore[attr-defined]
            name = column.output  # type: ignore[attr-defined]
            if name in item.outcome.values:
                value = item.outcome.values[name]
                return value if isinstance(value, (str, date)) else Percent(value)
            for step in item.outcome.trace.steps if item.outcome.trace else ():
                if step.name == name:
                    return typed_cell(step.value, step.type)
    return None


def _matter_lines(pack: Pack, dossier: Dossier, outcomes: Sequence[DossierOutcome], lang: Lang) -> Table:
    record = dossier.records[dossier.subject]
    headers = [
        record.fields[record.key].label.get(lang) if record.key else _WORDS["case"].get(lang),
        *_words("matter", "detail", "status", "amount", "counted", "why", "clause", lang=lang),
    ]
    rows: list[tuple[Cell, ...]] = []
    grand = 0
    for outcome in outcomes:
        for item in outcome.items:
            if item.outcome.status == "not_applicable":
                continue
            rows.append(
                (
                    outcome.subject,
                    pack.provision(item.matter.provision).label.get(lang),
                    _detail(dossier, item, lang),
                    LABELS[item.outcome.status].get(lang),
                    _result(item.outcome),
                    Money(item.paid) if item.paid is not None else None,
                    _matter_reason(pack, dossier, outcome, item, lang),
                    clause(item.outcome),
                )
            )
        if len(outcomes) > 1:
            open_items = len(outcome.undetermined)
            note = (
                (f"另有 {open_items} 项无法判定" if lang == "zh" else f"{open_items} more undetermined")
                if open_items
                else ""
            )
            rows.append(
                (outcome.subject, _WORDS["total"].get(lang), "", "", None, Money(outcome.known_total), note, "")
            )
        grand += outcome.known_total
    label = dossier.total.get(lang) if dossier.total else _WORDS["total"].get(lang)
    open_items = sum(len(outcome.undetermined) for outcome in outcomes)
    note = (
        (f"另有 {open_items} 项无法判定，未计入" if lang == "zh" else f"{open_items} undetermined, not counted")
        if open_items
        else ""
    )
    footer: tuple[Cell, ...] = (label, "", "", "", None, Money(grand), note, "")
    return Table(dossier.label.get(lang), tuple(headers), tuple(rows), footer, _said(notes(pack, outcomes), lang))


def _detail(dossier: Dossier, item: Item, lang: Lang) -> str:
    """What tells the row from its neighbours: its texts and choices, the subject's key left out."""
    if item.matter.each == dossier.subject:
        return ""
    key = dossier.records[dossier.subject].key
    words = []
    for name, field in dossier.records[item.matter.each].fields.items():
        value = item.row.values.get(name)
        if name == key or value is None or isinstance(value, bool):
            continue
        if field.type.kind in (Kind.ENUM, Kind.TEXT):
            words.append(field.choice_label(str(value), lang))
        elif field.type.unit == "年":
            words.append(str(value))
    return " ".join(words[:4])


def _matter_reason(pack: Pack, dossier: Dossier, outcome: DossierOutcome, item: Item, lang: Lang) -> str:
    if item.yields_to is not None:
        other = outcome.items[item.yields_to]
        about = _detail(dossier, other, lang)
        return f"就高不重复，按“{about}”计" if lang == "zh" else f"only the highest is paid: {about}"
    return _item_reason(pack, item, lang)


def notes(pack: Pack, outcomes: Sequence[DossierOutcome]) -> list[Text]:
    """What has to be said beside some outcomes, each once."""
    seen: dict[Text, None] = {}
    for outcome in outcomes:
        seen.update(dict.fromkeys(remarks(pack, outcome.assumptions, outcome.skipped)))
    return list(seen)


def _said(texts: Iterable[Text], lang: Lang) -> tuple[str, ...]:
    return tuple(text.get(lang) for text in texts)


def remarks(pack: Pack, assumptions: Iterable[Text], skipped: Iterable[tuple[str, Text]]) -> Iterator[Text]:
    """What has to be said beside a result: what was taken as none, and which provision was not assessed and why."""
    for text in assumptions:
        yield Text(f"注意：{text.zh}", f"note: {text.get('en')}")
    for identity, reason in skipped:
        label = pack.provision(identity).label
        yield Text(f"未评“{label.zh}”：{reason.zh}", f"not assessed, {label.get('en')}: {reason.get('en')}")


def explain_dossier(pack: Pack, dossier: Dossier, outcome: DossierOutcome, lang: Lang) -> list[str]:
    """The reasoning of every matter of a subject, and how the total came about."""
    lines: list[str] = []
    for item in outcome.items:
        if item.outcome.status == "not_applicable":
            continue
        lines += explain(item.outcome, pack.provision(item.matter.provision), lang)
        if item.yields_to is not None:
            other = outcome.items[item.yields_to]
            label = _detail(dossier, other, lang)
            lines.append(
                f"此项与“{label}”属同一范围，就高不重复，不另计。"
                if lang == "zh"
                else f"This one and '{label}' exclude each other: only the higher is paid."
            )
        lines.append("")
    lines += [("注意：" if lang == "zh" else "Note: ") + text.get(lang) for text in outcome.assumptions]
    if dossier.total is not None:
        parts = [money_text(item.paid) for item in outcome.items if item.paid]
        label = dossier.total.get(lang)
        total = money_text(outcome.known_total)
        if len(parts) > 1:
            lines.append(
                f"{label}：{' + '.join(parts)} = {total}元。"
                if lang == "zh"
                else f"{label}: {' + '.join(parts)} = {total} yuan."
            )
        else:
            lines.append(f"{label}：{total}元。" if lang == "zh" else f"{label}: {total} yuan.")
        if outcome.undetermined:
            lines.append(
                f"其中 {len(outcome.undetermined)} 项尚无法判定，未计入。"
                if lang == "zh"
                else f"{len(outcome.undetermined)} matters are undetermined and not counted."
            )
    return lines
