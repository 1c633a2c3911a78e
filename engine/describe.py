"""A provision for a reader: its clause, facts, tables, figures and readings; the list of a pack."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from engine.errors import Lang, PackError, Problem
from engine.explain import Wording
from engine.expr import Expr, Literal, Name, show, walk
from engine.kinds import LABELS, STATUSES
from engine.load import Pack
from engine.model import DecisionTable, Field, Provision, ProvisionKind, Text
from engine.output import terminal_text
from engine.report import Table
from engine.trace import OUTPUT_LABELS
from engine.types import Kind
from engine.values import fold, value_text

KINDS: dict[ProvisionKind, Text] = {
    ProvisionKind.ENTITLEMENT: Text("奖补", "entitlement"),
    ProvisionKind.SANCTION: Text("惩处", "sanction"),
    ProvisionKind.DEADLINE: Text("期限", "deadline"),
    ProvisionKind.OBLIGATION: Text("义务", "obligation"),
    ProvisionKind.PROHIBITION: Text("禁止", "prohibition"),
    ProvisionKind.TARGET: Text("目标", "target"),
    ProvisionKind.PARAMETER: Text("参数", "parameter"),
}


_CONDITION_WORDS = {
    ProvisionKind.SANCTION: Text("处理情形", "triggered when"), ProvisionKind.PROHIBITION: Text("禁止情形", "forbids"),
    ProvisionKind.OBLIGATION: Text("义务", "duty"),
}  # fmt: skip


def searched_text(provision: Provision) -> str:
    """What a provision is found by: its id, its words in both languages, its clause, whom it concerns, its facts."""
    return fold(
        " ".join(
            (
                provision.id,
                provision.label.zh,
                provision.label.en,
                provision.summary.zh,
                provision.summary.en,
                provision.citation.path,
                provision.applies_to,
                provision.decided_by,
                *(field.label.zh for field in provision.facts.values()),
            )
        )
    )


def in_order(pack: Pack) -> list[Provision]:
    """All provisions by plan, then by kind."""
    places = {label: place for place, label in enumerate(pack.plans.values())}
    kinds = list(ProvisionKind)
    return sorted(
        pack.provisions.values(),
        key=lambda provision: (places.get(provision.citation.plan, 99), kinds.index(provision.kind)),
    )


def provision_list(
    pack: Pack, lang: Lang, kind: str | None = None, plan: str | None = None, words: Sequence[str] = ()
) -> tuple[Table, list[dict[str, Any]]]:
    """The provisions in which all words occur, by plan and kind with their clause, as a table and as plain data."""
    plans = {label: number for number, label in pack.plans.items()}
    if plan is not None and plan not in plans and plan not in plans.values():
        raise PackError(
            Problem(
                "bad-value",
                fields={
                    "value": plan,
                    "expected": f"方案（{'、'.join(plans.values())}）",
                    "expected_en": f"a plan ({', '.join(plans.values())})",
                },
            )
        )
    folded = [fold(word) for word in words]
    chosen = [
        provision
        for provision in in_order(pack)
        if kind in (None, provision.kind.value, KINDS[provision.kind].zh)
        and plan in (None, provision.citation.plan, plans.get(provision.citation.plan))
        and (not folded or all(word in searched_text(provision) for word in folded))
    ]
    headers = ("方案", "种类", "条款号", "名称", "依据") if lang == "zh" else ("plan", "kind", "id", "title", "clause")
    rows = tuple(
        (
            provision.citation.plan,
            KINDS[provision.kind].get(lang),
            provision.id,
            provision.label.get(lang),
            provision.citation.path,
        )
        for provision in chosen
    )
    note = f"共 {len(rows)} 条" if lang == "zh" else f"{len(rows)} provisions"
    entries = [
        {
            "id": provision.id,
            "kind": provision.kind.value,
            "plan": provision.citation.plan,
            "path": provision.citation.path,
            "label": {"zh": provision.label.zh, "en": provision.label.en},
        }
        for provision in chosen
    ]
    return Table("", headers, rows, notes=(note,)), entries


def describe_provision(pack: Pack, provision: Provision, lang: Lang, width: int | None = None) -> str:
    """The provision as tables: what it is, what it asks, how it decides, how else it could be read."""
    zh = lang == "zh"
    words = Wording(provision, lang)
    names = {name: field.label.get(lang) for name, field in provision.facts.items()}
    names |= {let.name: _let_label(let.name, let.label, lang) for let in provision.lets}
    names |= {name: parameter.label.get(lang) for name, parameter in provision.parameters.items()}

    def say(expr: Expr) -> str:
        return words.formula(expr, names)

    about = [
        ("条款号" if zh else "id", provision.id),
        ("名称" if zh else "title", provision.label.get(lang)),
        ("种类" if zh else "kind", KINDS[provision.kind].get(lang)),
        ("依据" if zh else "clause", str(provision.citation)),
        ("内容" if zh else "says", provision.summary.get(lang)),
    ]
    about += [
        (label, text)
        for label, text in (
            ("另见" if zh else "also at", "；".join(provision.citation.also_at)),
            ("适用对象" if zh else "applies to", provision.applies_to),
            ("认定" if zh else "decided by", provision.decided_by),
            ("出资" if zh else "paid by", provision.paid_by),
            ("适用期" if zh else "in force", _span(provision)),
            ("叠加" if zh else "stacking", provision.stacking.get(lang) if provision.stacking else ""),
        )
        if text
    ]
    parts = [terminal_text(Table("", ("", ""), tuple(about)), width, "simple_outline")]
    facts = tuple(_fact_row(field, lang) for field in provision.facts.values())
    headers = ("事实", "名称", "类型", "取值") if zh else ("fact", "label", "type", "values")
    if facts:
        parts.append(terminal_text(Table("事实" if zh else "Facts", headers, facts), width))
    rule: list[tuple[str, str]] = []
    if provision.applies is not None:
        rule.append(("适用条件" if zh else "applies when", say(provision.applies)))
    for requirement in provision.requirements:
        text = say(requirement.condition)
        label = requirement.label.get(lang) if requirement.label else ""
        rule.append(
            (
                _CONDITION_WORDS.get(provision.kind, Text("条件", "requires")).get(lang),
                f"{label}：{text}" if label else text,
            )
        )
    tables: list[DecisionTable] = []
    for let in provision.lets:
        if let.table is None:
            rule.append((_let_label(let.name, let.label, lang), say(let.expr)))
        elif let.table not in tables:
            tables.append(let.table)
    for output in provision.outputs:
        if isinstance(output.expr, Literal) or (isinstance(output.expr, Name) and output.expr.role == "let"):
            continue
        title = output.label or OUTPUT_LABELS.get(output.name, Text(output.name, output.name))
        rule.append((title.get(lang), say(output.expr)))
    rule += [
        (
            "措施" if zh else "measure",
            measure.text.get(lang) + (f"（{say(measure.condition)}）" if measure.condition is not None else ""),
        )
        for measure in provision.measures
    ]
    rule.append(
        ("可能的结论" if zh else "outcomes", "、".join(LABELS[status].get(lang) for status in _reachable(provision)))
    )
    parts.append(terminal_text(Table("规则" if zh else "Rule", ("", ""), tuple(rule)), width))
    parts += [terminal_text(_table(table, provision, names, words, lang), width) for table in tables]
    figures = _figures(provision)
    if figures:
        parts.append(("数字：" if zh else "Figures: ") + "、".join(figures))
    if provision.readings:
        parts.append(terminal_text(_readings(provision, lang), width))
    parts += [("注：" if zh else "Note: ") + note.get(lang) for note in provision.notes]
    return "\n\n".join(parts)


def _span(provision: Provision) -> str:
    start, end = provision.in_force
    return f"{start or '…'} — {end or '…'}" if start or end else ""


def _let_label(name: str, label: Text | None, lang: Lang) -> str:
    return (label or OUTPUT_LABELS.get(name, Text(name, name.replace("_", " ")))).get(lang)


def _fact_row(field: Field, lang: Lang) -> tuple[str, str, str, str]:
    of = field.type.zh if lang == "zh" else str(field.type)
    if field.type.kind is Kind.ENUM:
        of = "枚举" if lang == "zh" else "enum"
    if field.type.kind in (Kind.MONEY, Kind.RATIO) and field.unit:
        of += f"（{field.unit}）" if lang == "zh" else f" ({field.unit})"
    values = "；".join(f"{choice.value} {choice.label.get(lang)}" for choice in field.choices)
    if field.default is not None:
        values += f"{'默认' if lang == 'zh' else 'default'} {value_text(field.default, field.type, lang)}"
    if not field.required:
        values = (values + " " + ("可不填" if lang == "zh" else "optional")).strip()
    return field.name, field.label.get(lang), of, values


def _reachable(provision: Provision) -> list[str]:
    written = {
        node.value for node in walk(provision.status) if isinstance(node, Literal) and isinstance(node.value, str)
    }
    return [status for status in STATUSES[provision.kind] if status in written]


def _table(table: DecisionTable, provision: Provision, names: dict[str, str], words: Wording, lang: Lang) -> Table:
    labels = {let.name: _let_label(let.name, let.label, lang) for let in provision.lets}
    headers = [words.formula(column, names) for column in table.columns] + [labels[name] for name in table.outputs]
    rows = []
    for number, row in enumerate(table.rows, 1):
        cells = []
        for place, text in enumerate(row.texts):
            column = table.columns[place] if place < len(table.columns) else None
            field = provision.facts.get(column.name) if isinstance(column, Name) else None
            cells.append(field.choice_label(text, lang) if field is not None else text)
        rows.append((str(number), *cells))
    if table.default is not None:
        rest = ["其他" if lang == "zh" else "otherwise"] + [""] * (len(table.columns) - 1)
        rows.append(("", *rest, *(show(value) for value in table.default)))
    return Table(f"{'决策表' if lang == 'zh' else 'Decision table'}（{table.hit}）", ("", *headers), tuple(rows))


def _figures(provision: Provision) -> list[str]:
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


def _readings(provision: Provision, lang: Lang) -> Table:
    zh = lang == "zh"
    rows: list[tuple[str, str, str, str]] = []
    for reading in provision.readings:
        rows.append(
            (
                reading.id,
                reading.point.get(lang),
                f"1 {reading.chosen.get(lang)}{'（本包所取）' if zh else ' (chosen)'}",
                reading.why.get(lang),
            )
        )
        for number, other in enumerate(reading.alternatives, 2):
            computed = other.variant is not None
            mark = "" if computed else ("（不计算）" if zh else " (not computed)")
            rows.append(("", "", f"{number} {other.text.get(lang)}{mark}", ""))
    headers = ("", "疑点", "读法", "理由") if zh else ("", "point", "reading", "reason")
    return Table("读法" if zh else "Readings", headers, tuple(rows))


def provision_data(provision: Provision) -> dict[str, Any]:
    """The provision as plain data."""

    def words(text: Text | None) -> dict[str, str] | None:
        return None if text is None else {"zh": text.zh, "en": text.en}

    return {
        "id": provision.id,
        "kind": provision.kind.value,
        "label": words(provision.label),
        "summary": words(provision.summary),
        "citation": {
            "document": provision.citation.document,
            "plan": provision.citation.plan,
            "path": provision.citation.path,
            "also_at": list(provision.citation.also_at),
        },
        "in_force": [day.isoformat() if day else None for day in provision.in_force],
        "facts": [
            {
                "name": field.name,
                "type": field.type.kind.value,
                "unit": field.unit,
                "required": field.required,
                "label": words(field.label),
                "values": [{"value": choice.value, "label": words(choice.label)} for choice in field.choices],
            }
            for field in provision.facts.values()
        ],
        "let": {let.name: show(let.expr) for let in provision.lets if let.table is None},
        "tables": [
            {
                "hit": table.hit,
                "on": [show(column) for column in table.columns],
                "gives": list(table.outputs),
                "rows": [list(row.texts) for row in table.rows],
            }
            for table in {id(let.table): let.table for let in provision.lets if let.table is not None}.values()
        ],
        "applies": show(provision.applies) if provision.applies is not None else None,
        "requires": [show(requirement.condition) for requirement in provision.requirements],
        "status": show(provision.status),
        "outputs": [
            {
                "name": output.name,
                "expression": show(output.expr),
                "with": sorted(output.statuses) if output.statuses is not None else None,
            }
            for output in provision.outputs
        ],
        "measures": [words(measure.text) for measure in provision.measures],
        "readings": [
            {
                "id": reading.id,
                "point": words(reading.point),
                "chosen": words(reading.chosen),
                "why": words(reading.why),
                "others": [
                    {"number": number, "text": words(other.text), "computed": other.variant is not None}
                    for number, other in enumerate(reading.alternatives, 2)
                ],
            }
            for reading in provision.readings
        ],
    }
