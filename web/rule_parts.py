"""A provision for a page: its conditions, formulas, tables, figures and worked cases in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from engine.cases import CaseResult, WorkedCase, run_cases
from engine.errors import Lang
from engine.explain import Wording
from engine.expr import Literal, Name, show, walk
from engine.kinds import LABELS, STATUSES
from engine.load import Pack
from engine.model import DecisionTable, Field, Provision, Text
from engine.trace import OUTPUT_LABELS
from engine.types import Kind
from engine.values import value_text

MAX_CASES = 60


@dataclass(frozen=True, slots=True)
class TableView:
    """A decision table with its headings in words."""

    hit: str
    headers: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class CaseView:
    label: str
    inputs: tuple[tuple[str, str], ...]
    expected: str
    why: str
    passed: bool
    differences: tuple[str, ...]
    reading: str
    query: dict[str, str]


def name_labels(provision: Provision, lang: Lang) -> dict[str, str]:
    labels = {name: parameter.label.get(lang) for name, parameter in provision.parameters.items()}
    labels |= {name: field.label.get(lang) for name, field in provision.facts.items()}
    labels |= {
        let.name: (let.label or OUTPUT_LABELS.get(let.name, Text(let.name, let.name))).get(lang)
        for let in provision.lets
    }
    return labels


def conditions(provision: Provision, lang: Lang) -> list[tuple[str, str]]:
    """When it applies, what it requires, how its values are worked out."""
    words, labels, zh = Wording(provision, lang), name_labels(provision, lang), lang == "zh"
    rows: list[tuple[str, str]] = []
    if provision.applies is not None:
        rows.append(("适用条件" if zh else "applies when", words.formula(provision.applies, labels)))
    rows += [
        (
            "条件" if zh else "condition",
            requirement.label.get(lang)
            if requirement.label is not None and requirement.label.get(lang)
            else words.formula(requirement.condition, labels),
        )
        for requirement in provision.requirements
    ]
    rows += [
        (labels[let.name], words.formula(let.expr, labels))
        for let in provision.lets
        if let.table is None and let.label is not None
    ]
    seen: set[str] = set()
    for output in provision.outputs:
        if isinstance(output.expr, Literal) or output.name in seen:
            continue
        if isinstance(output.expr, Name) and output.expr.role == "let":
            continue
        seen.add(output.name)
        label = output.label or OUTPUT_LABELS.get(output.name, Text(output.name, output.name))
        rows.append((label.get(lang), words.formula(output.expr, labels)))
    for measure in provision.measures:
        text = measure.text.get(lang)
        if measure.condition is not None:
            text += (
                f"（{words.formula(measure.condition, labels)}）"
                if zh
                else f" ({words.formula(measure.condition, labels)})"
            )
        rows.append(("措施" if zh else "measure", text))
    return rows


def tables(provision: Provision) -> list[DecisionTable]:
    found: dict[int, DecisionTable] = {}
    for let in provision.lets:
        if let.table is not None:
            found.setdefault(id(let.table), let.table)
    return list(found.values())


def table_view(table: DecisionTable, provision: Provision, lang: Lang) -> TableView:
    words, labels = Wording(provision, lang), name_labels(provision, lang)
    truths = {"true": "是", "false": "否"} if lang == "zh" else {"true": "yes", "false": "no"}
    headers = [words.formula(column, labels) for column in table.columns]
    headers += [labels.get(name, name) for name in table.outputs]
    if table.default is None:  # a column in which nothing stands is not shown
        headers = headers[: max(len(table.columns), *(len(row.texts) for row in table.rows))]
    rows = []
    for row in table.rows:
        cells = []
        for place, text in enumerate(row.texts):
            column = table.columns[place] if place < len(table.columns) else None
            field = provision.facts.get(column.name) if isinstance(column, Name) else None
            if field is not None and field.type.kind is Kind.ENUM:
                cells.append(field.choice_label(text, lang))
            else:
                cells.append(truths.get(text.strip()) or _readable(text))
        cells += [""] * (len(headers) - len(cells))
        rows.append(tuple(cells))
    if table.default is not None:
        rest = ["其他" if lang == "zh" else "otherwise"] + [""] * (len(table.columns) - 1)
        rows.append((*rest, *(show(value) for value in table.default)))
    return TableView(table.hit, tuple(headers), tuple(rows))


def _readable(text: str) -> str:
    """`[85%..90%)` as people write it: 85% ≤ … < 90%."""
    plain = text.strip()
    if len(plain) > 2 and plain[0] in "[(" and plain[-1] in "])" and ".." in plain:
        low, _, high = plain[1:-1].partition("..")
        return f"{low} {'≤' if plain[0] == '[' else '<'} … {'≤' if plain[-1] == ']' else '<'} {high}"
    return plain.replace(">=", "≥").replace("<=", "≤")


def figures(provision: Provision) -> list[str]:
    """Every figure the rule carries, as written."""
    found: dict[str, None] = {}
    exprs = [provision.status, *(output.expr for output in provision.outputs), *(let.expr for let in provision.lets)]
    for expr in exprs:
        for node in walk(expr):
            if (
                isinstance(node, Literal)
                and node.value not in (None, 0, 1, True, False)
                and not isinstance(node.value, str)
            ):
                found.setdefault(show(node))
    return list(found)[:40]


def fact_rows(provision: Provision, lang: Lang) -> list[tuple[str, str, str, str]]:
    """Name, label, type with unit, and values or remarks of each fact."""
    return [
        (field.name, field.label.get(lang), _type(field, lang), _remarks(field, lang))
        for field in provision.facts.values()
    ]


def _type(field: Field, lang: Lang) -> str:
    zh = lang == "zh"
    if field.type.kind is Kind.ENUM:
        return "选项" if zh else "choice"
    text = field.type.zh if zh else str(field.type)
    if field.type.kind in (Kind.MONEY, Kind.RATIO) and field.unit:
        text += f"（{field.unit}）" if zh else f" ({field.unit})"
    return text


def _remarks(field: Field, lang: Lang) -> str:
    zh = lang == "zh"
    parts = ["、".join(choice.label.get(lang) for choice in field.choices)] if field.choices else []
    if field.default is not None:
        parts.append(("默认 " if zh else "default ") + value_text(field.default, field.type, lang))
    if not field.required:
        parts.append("可不填" if zh else "optional")
    if field.note is not None:
        parts.append(field.note.get(lang))
    return "；".join(part for part in parts if part)


def outcomes(provision: Provision, lang: Lang) -> list[str]:
    written = {
        node.value for node in walk(provision.status) if isinstance(node, Literal) and isinstance(node.value, str)
    }
    return [LABELS[status].get(lang) for status in STATUSES[provision.kind] if status in written]


def case_views(pack: Pack, provision: Provision, cases: list[WorkedCase], lang: Lang) -> list[CaseView]:
    """The worked cases, run now."""
    return [_case_view(provision, result, lang) for result in run_cases(pack, cases[:MAX_CASES])]


def _case_view(provision: Provision, result: CaseResult, lang: Lang) -> CaseView:
    case = result.case
    expected = [
        LABELS[text].get(lang)
        if key == "status" and (text := str(value)) in LABELS
        else _expected(provision, key, value, lang)
        for key, value in case.expect.items()
    ]
    inputs = tuple(
        (_input_label(provision, name, lang), _input_text(provision, name, value, lang))
        for name, value in case.inputs.items()
    )
    query = {name: str(value) for name, value in case.inputs.items() if value is not None}
    if case.as_of:
        query["day"] = case.as_of
    chosen = "、".join(f"{name}.{number}" for name, number in (case.reading or {}).items() if number != 1)
    reading = (f"按读法 {chosen}" if lang == "zh" else f"reading {chosen}") if chosen else ""
    return CaseView(
        case.label,
        inputs,
        "，".join(expected) if lang == "zh" else ", ".join(expected),
        case.why,
        not result.differences,
        result.differences,
        reading,
        query,
    )


_EXPECTED = {
    "amount": Text("金额 {}元", "amount {} yuan"),
    "amount_max": Text("最高 {}元", "at most {} yuan"),
    "rate_percent": Text("比例 {}%", "rate {}%"),
    "due_date": Text("到期日 {}", "due {}"),
    "missing": Text("缺少 {}", "missing {}"),
    "measures": Text("措施 {}", "measures {}"),
}


def _expected(provision: Provision, key: str, value: Any, lang: Lang) -> str:
    """What a case expects beside the status, in words: an amount, the facts still missing, any other output."""
    listed = [str(part) for part in value] if isinstance(value, list) else [str(value)]
    if key == "missing":
        listed = [_input_label(provision, name, lang) for name in listed]
    text = ("、" if lang == "zh" else ", ").join(listed)
    if key in _EXPECTED:
        return _EXPECTED[key].get(lang).format(text)
    output = next((output for output in provision.outputs if output.name == key), None)
    if output is None:
        return f"{key} {text}"
    if output.expr.type.kind is Kind.BOOLEAN:
        text = _truth(text, lang)
    return f"{(output.label or OUTPUT_LABELS.get(key, Text(key, key))).get(lang)} {text}"


def _truth(text: str, lang: Lang) -> str:
    true = text.lower() in ("true", "是", "yes")
    return ("是" if true else "否") if lang == "zh" else ("yes" if true else "no")


def _input_label(provision: Provision, name: str, lang: Lang) -> str:
    return provision.facts[name].label.get(lang) if name in provision.facts else name


def _input_text(provision: Provision, name: str, value: Any, lang: Lang) -> str:
    if value is None:
        return "未知" if lang == "zh" else "unknown"
    field = provision.facts.get(name)
    if field is not None and field.choices:
        return field.choice_label(str(value), lang)
    if field is not None and field.type.kind is Kind.BOOLEAN:
        return _truth(str(value), lang)
    return str(value)
