"""One provision: YAML → a checked `Provision`, with its readings as variants of itself."""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from dataclasses import replace
from datetime import date
from typing import TypeAlias

from engine.check import Scope, check
from engine.dataclass import dataclass
from engine.errors import PackError, Problem, nearest
from engine.expr import Expr, Literal, always, conjunction
from engine.kinds import (
    DUE,
    STATUSES,
    Branch,
    DeadlineFacts,
    deadline,
    duty,
    entitlement,
    not_applicable,
    sanction,
    status_expression,
    status_type,
)
from engine.model import (
    Alternative,
    Citation,
    DecisionTable,
    Field,
    Let,
    Measure,
    Output,
    Parameter,
    Provision,
    ProvisionKind,
    Reading,
    Requirement,
    TableRow,
    Text,
)  # fmt: skip
from engine.read_fields import FIELD_TYPES, check_asked_when, read_field, read_typed
from engine.reader import Reader, expression_place
from engine.source import Location
from engine.tables import HIT_POLICIES, check_table, parse_test, table_outputs
from engine.targets import TargetFacts, has_target, judgement, read_planned, target_fields, target_lets, target_outputs
from engine.types import BOOLEAN, DATE, MONEY, RATIO, Kind, Type
from engine.values import Value
from engine.yamltree import Mapping, Node, Scalar
from engine.yamltree import Sequence as NodeSequence

COMMON_KEYS = (
    "id", "kind", "label", "plan", "at", "also_at", "summary", "facts", "let", "tables", "applies", "in_force",
    "applies_to", "decided_by", "paid_by", "stacking", "notes", "readings", "outputs", "figures",
    "monotone", "at_most", "exclusive",
)  # fmt: skip
KIND_KEYS: dict[ProvisionKind, tuple[str, ...]] = {
    ProvisionKind.ENTITLEMENT: ("require", "amount", "exceptions"),
    ProvisionKind.SANCTION: ("triggers", "rate", "amount", "amount_max", "measures", "exceptions"),
    ProvisionKind.DEADLINE: ("due",),
    ProvisionKind.OBLIGATION: ("duty",),
    ProvisionKind.PROHIBITION: ("forbids",),
    ProvisionKind.TARGET: ("indicators", "targets", "exceptions"),
    ProvisionKind.PARAMETER: (),
}
CONDITION_KEYS: dict[ProvisionKind, str] = {
    ProvisionKind.ENTITLEMENT: "require", ProvisionKind.OBLIGATION: "duty", ProvisionKind.SANCTION: "triggers",
    ProvisionKind.PROHIBITION: "forbids",
}  # fmt: skip
"""The key that holds the conditions (all of them together) on which each kind turns."""
READING_KEYS = ("id", "point", "chosen", "why", "others")


@dataclass(frozen=True, slots=True)
class PackContext:
    """What a provision may refer to in its pack."""

    document: str
    plans: MappingType[str, str]
    fields: MappingType[str, Field]
    parameters: MappingType[str, Parameter]
    deadline: DeadlineFacts
    target: TargetFacts
    periods: MappingType[str, date]


def read_provision(node: Node, context: PackContext, problems: list[Problem]) -> Provision | None:
    """The provision, or None where it is too broken to go on; every fault is added to `problems`."""
    if not isinstance(node, Mapping):
        Reader(Mapping((), node.at), "a provision", problems).shape(node, "键值表", "a mapping")
        return None
    reader = _ProvisionReader(node, context, problems, {})
    provision = reader.read()
    if provision is None:
        return None
    return replace(provision, readings=_readings(reader))


@dataclass(frozen=True, slots=True)
class _ReadTable:
    """A table that was read without a problem: the names it could refer to, and what it added to them."""

    scope: Scope
    facts: MappingType[str, Field]
    lets: list[Let]
    scope_after: Scope


_Tables: TypeAlias = dict[int, _ReadTable]
"""A provision's tables by the id of their node: where another reading leaves one as it is, it is not read again."""


class _ProvisionReader:
    def __init__(self, node: Mapping, context: PackContext, problems: list[Problem], tables: _Tables) -> None:
        self.node, self.context, self.problems, self.tables = node, context, problems, tables
        self.plain = Reader(node, "a provision", problems)
        self.id = self.plain.text("id")
        self.where = f"provision {self.id}"

    def read(self) -> Provision | None:
        self.plain.need("id")
        word = self.plain.text("kind")
        kind = next((kind for kind in ProvisionKind if kind.value == word), None)
        if kind is None:
            kinds = [kind.value for kind in ProvisionKind]
            self.plain.report(
                "bad-value",
                self.plain.at("kind"),
                value=word,
                expected=f"条款种类（{'、'.join(kinds)}）",
                expected_en=f"a kind of provision ({', '.join(kinds)})",
            )
            return None
        self.reader = reader = Reader(self.plain.node, self.where, self.problems, COMMON_KEYS + KIND_KEYS[kind])
        self.planned = read_planned(reader, self.context.periods) if kind is ProvisionKind.TARGET else []
        self.facts = self._facts()
        if self.planned:
            self.facts = {**target_fields(self.context.target, reader, self.planned), **self.facts}
        self.scope = Scope(
            {
                **{name: parameter.type for name, parameter in self.context.parameters.items()},
                **{name: field.type for name, field in self.facts.items()},
            },
            {**dict.fromkeys(self.context.parameters, "parameter"), **dict.fromkeys(self.facts, "fact")},
        )
        lets = self._lets() + self._tables()
        if kind is ProvisionKind.DEADLINE:
            due = self.checked(reader.need("due"), DATE, "due")
            lets.append(Let(DUE.name, due, Text("到期日", "due date"), at=reader.at("due")))
        if self.planned:
            lets += target_lets(self.context.target, self.facts, self.planned, self.context.periods, reader.node.at)
        applies = self.condition("applies") if reader.has("applies") else None
        requirements = self._requirements(CONDITION_KEYS.get(kind, ""))
        before = len(self.problems)
        status, outputs = self._outcome(kind, applies, requirements)
        outputs = [*outputs, *self._extra_outputs(kind)]
        if len(self.problems) > before and status is None:
            return None
        in_force = (
            Reader(found, self.where, self.problems, ("from", "to"))
            if isinstance(found := reader.node.get("in_force"), Mapping)
            else None
        )
        plan = self.reader.text("plan")
        if plan and plan not in self.context.plans:
            reader.report(
                "bad-value",
                reader.at("plan"),
                value=plan,
                expected="pack.yaml 里的方案号",
                expected_en="a plan of pack.yaml",
            )
        return Provision(
            self.id,
            kind,
            reader.words("label", self.id),
            reader.words("summary"),
            Citation(
                self.context.document, self.context.plans.get(plan, plan), reader.text("at"), reader.texts("also_at")
            ),
            self.facts,
            status,
            tuple(outputs),
            tuple(lets),
            tuple(requirements),
            applies,
            parameters=self._used_parameters(),
            measures=self._measures() if kind is ProvisionKind.SANCTION else (),
            in_force=(in_force.day("from"), in_force.day("to")) if in_force else (None, None),
            applies_to=reader.text("applies_to"),
            decided_by=reader.text("decided_by"),
            paid_by=reader.text("paid_by"),
            stacking=reader.words("stacking") if reader.has("stacking") else None,
            notes=tuple(reader.as_words(item) for item in reader.items("notes")),
            figures=reader.texts("figures"),
            at=reader.node.at,
        )

    # Facts and names

    def _facts(self) -> dict[str, Field]:
        """Names of the pack's shared facts, and facts of the provision's own."""
        found: dict[str, Field] = {}
        for item in self.reader.items("facts"):
            if isinstance(item, Scalar):
                shared = self.context.fields.get(item.text)
                if shared is None:
                    self.reader.report(
                        "unknown-name",
                        item.at,
                        name=item.text,
                        known=sorted(self.context.fields)[:20],
                        suggestion=nearest(item.text, self.context.fields) or "",
                    )
                else:
                    found[item.text] = shared
            elif isinstance(item, Mapping):
                for key, value in item:
                    found[key.text] = read_field(key.text, value, self.problems)
            else:
                self.reader.shape(item, "事实名或 {名: 定义}", "a fact's name or {name: definition}")
        return check_asked_when(found, self.problems)

    def _used_parameters(self) -> dict[str, Parameter]:
        return {name: parameter for name, parameter in self.context.parameters.items() if name in self.scope.types}

    def checked(self, node: Node | None, expected: Type | None, what: str) -> Expr:
        before = len(self.problems)
        expr = self.reader.expression(node)
        if len(self.problems) > before:
            return _stand_in(expected)
        try:
            return check(expr, self.scope, expected, what)
        except PackError as error:
            self.problems.extend(error.problems)
            return _stand_in(expected)

    def condition(self, key: str) -> Expr:
        return self.checked(self.reader.node.get(key), BOOLEAN, key)

    def _requirements(self, key: str) -> list[Requirement]:
        found = []
        for item in self.reader.items(key) if key else ():
            if isinstance(item, Mapping):
                inner = Reader(item, f"{self.where} {key}", self.problems, ("if", "zh", "en"))
                label = Text(inner.text("zh"), inner.text("en")) if inner.has("zh") else None
                found.append(Requirement(self.checked(inner.need("if"), BOOLEAN, key), label))
            else:
                found.append(Requirement(self.checked(item, BOOLEAN, key)))
        return found

    def _define(self, name: Scalar, of: Type) -> None:
        if name.text in self.scope.types and self.scope.roles[name.text] != "parameter":
            self.reader.report("duplicate-key", name.at, key=name.text, first=name.at.line or 0)
        self.scope = self.scope.with_name(name.text, of, "let")

    def _lets(self) -> list[Let]:
        found = []
        for key, value in self.reader.mapping("let"):
            label = None
            if isinstance(value, Mapping):
                inner = Reader(value, f"{self.where} let {key.text}", self.problems, ("is", "zh", "en"))
                label = Text(inner.text("zh", key.text), inner.text("en", key.text.replace("_", " ")))
                expr = self.checked(inner.need("is"), None, f"let {key.text}")
            else:
                expr = self.checked(value, None, f"let {key.text}")
            self._define(key, expr.type)
            found.append(Let(key.text, expr, label, at=key.at))
        return found

    # Tables

    def _tables(self) -> list[Let]:
        return [let for item in self.reader.items("tables") for let in self._table_once(item)]

    def _table_once(self, node: Node) -> list[Let]:
        scope, before = self.scope, len(self.problems)
        known = self.tables.get(id(node))
        if known is not None and known.scope == scope and known.facts == self.facts:
            self.scope = known.scope_after
            return known.lets
        found = self._table(node)
        if len(self.problems) == before:
            self.tables[id(node)] = _ReadTable(scope, self.facts, found, self.scope)
        return found

    def _table(self, node: Node) -> list[Let]:
        if not isinstance(node, Mapping):
            self.reader.shape(node, "决策表", "a decision table")
            return []
        reader = Reader(
            node, f"{self.where} table", self.problems, ("hit", "on", "gives", "rows", "default", "priority")
        )
        hit = reader.text("hit", "unique")
        if hit not in HIT_POLICIES:
            reader.report(
                "bad-value",
                reader.at("hit"),
                value=hit,
                expected=f"命中策略（{'、'.join(HIT_POLICIES)}）",
                expected_en=f"a hit policy ({', '.join(HIT_POLICIES)})",
            )
            return []
        before = len(self.problems)
        columns = tuple(self.checked(item, None, "a column") for item in reader.items("on"))
        gives: list[tuple[Scalar, Type, Text | None]] = []
        for key, value in reader.mapping("gives"):
            gives.append((key, *self._output_type(key, value)))
        rows = [row for item in reader.items("rows") if (row := self._row(reader, item, columns, gives))]
        default = self._default(reader, gives)
        if len(self.problems) > before or not rows or not gives:
            if not rows or not gives:
                reader.need("rows"), reader.need("gives")
            for key, of, _ in gives:
                self._define(key, of)
            return [Let(key.text, _stand_in(of), label, at=key.at) for key, of, label in gives]
        table = DecisionTable(hit, columns, tuple(key.text for key, _, _ in gives), tuple(rows), default, node.at)
        priorities: tuple[Value, ...] = ()
        if hit == "priority":
            priorities = tuple(
                ranked
                for item in reader.items("priority")
                if (ranked := read_typed(reader, "priority", reader.scalar(item), gives[0][1], None)) is not None
            )
            missing = [
                row.outputs[0]
                for row in rows
                if not isinstance(row.outputs[0], Literal) or row.outputs[0].value not in priorities
            ]
            if missing:
                reader.report("missing-key", node.at, where="table", key="priority")
                return []
        self.problems.extend(check_table(table, self._domains()))
        found = []
        for (key, of, label), expr in zip(gives, table_outputs(table, priorities), strict=True):
            self._define(key, of)
            found.append(Let(key.text, expr, label, table, key.at))
        return found

    def _domains(self) -> dict[str, tuple[Value | None, Value | None]]:
        return {name: (field.minimum, field.maximum) for name, field in self.facts.items()}

    def _output_type(self, key: Scalar, value: Node) -> tuple[Type, Text | None]:
        label = None
        if isinstance(value, Mapping):
            inner = Reader(value, f"{self.where} table", self.problems, ("type", "zh", "en", "unit", "values"))
            word, unit = inner.text("type"), inner.text("unit") or None
            label = Text(inner.text("zh", key.text), inner.text("en", key.text.replace("_", " ")))
            values: tuple[str, ...] | None = inner.texts("values") or None
        else:
            word, unit, values = self.reader.scalar(value), None, None
        of = FIELD_TYPES.get(word)
        if of is None:
            self.reader.report(
                "bad-value",
                value.at,
                value=word,
                expected=f"类型（{'、'.join(FIELD_TYPES)}）",
                expected_en=f"a type ({', '.join(FIELD_TYPES)})",
            )
            of = MONEY
        return Type(of.kind, unit if of.kind is Kind.QUANTITY else None, of.integer, values), label

    def _row(
        self, reader: Reader, node: Node, columns: tuple[Expr, ...], gives: list[tuple[Scalar, Type, Text | None]]
    ) -> TableRow | None:
        width = len(columns) + len(gives)
        if not isinstance(node, NodeSequence) or len(node.items) != width:
            reader.report(
                "wrong-shape",
                node.at,
                what=reader.where,
                expected=f"有 {width} 格的一行",
                expected_en=f"a row of {width} cells",
            )
            return None
        tests: list[Expr | None] = []
        for item, column in zip(node.items, columns, strict=False):
            text = reader.scalar(item)
            try:
                tests.append(parse_test(text, column, self.scope, _cell_place(item)))
            except PackError as error:
                self.problems.extend(error.problems)
                return None
        outputs = [
            self.checked(item, of, "a cell") for item, (_, of, _) in zip(node.items[len(columns) :], gives, strict=True)
        ]
        texts = tuple(reader.scalar(item) for item in node.items)
        return TableRow(tuple(tests), tuple(outputs), texts, node.at)

    def _default(self, reader: Reader, gives: list[tuple[Scalar, Type, Text | None]]) -> tuple[Expr, ...] | None:
        if not reader.has("default"):
            return None
        items = reader.items("default")
        if len(items) != len(gives):
            reader.report(
                "wrong-shape",
                reader.at("default"),
                what=reader.where,
                expected=f"{len(gives)} 个值",
                expected_en=f"{len(gives)} values",
            )
            return None
        return tuple(self.checked(item, of, "the default") for item, (_, of, _) in zip(items, gives, strict=True))

    # Outcomes

    def _outcome(
        self, kind: ProvisionKind, applies: Expr | None, requirements: list[Requirement]
    ) -> tuple[Expr, list[Output]]:
        reader = self.reader
        conditions = [requirement.condition for requirement in requirements]
        match kind:
            case ProvisionKind.ENTITLEMENT:
                unspecified = reader.text("amount") == "unspecified"
                amount = self.optional("amount", MONEY) if not unspecified else None
                return entitlement(applies, conditions, self._exceptions(kind), amount, unspecified)
            case ProvisionKind.SANCTION:
                reader.need("triggers")
                return sanction(
                    applies,
                    conjunction(conditions),
                    self._exceptions(kind),
                    self.optional("rate", RATIO),
                    self.optional("amount", MONEY),
                    self.optional("amount_max", MONEY),
                )
            case ProvisionKind.DEADLINE:
                for name in (self.context.deadline.done, self.context.deadline.done_on, self.context.deadline.as_of):
                    if name not in self.facts:
                        reader.report("missing-key", reader.node.at, where=f"{self.where} facts", key=name)
                return deadline(applies, self.context.deadline)
            case ProvisionKind.OBLIGATION:
                reader.need("duty")
                return duty(kind, applies, conjunction(conditions))
            case ProvisionKind.PROHIBITION:
                reader.need("forbids")
                return duty(kind, applies, conjunction(conditions))
            case ProvisionKind.TARGET:
                reader.need("targets")
                branches = not_applicable(applies)
                if self.planned:
                    branches += not_applicable(has_target(self.facts, self.context.target, self.planned))
                branches += self._exceptions(kind)
                return (
                    status_expression(kind, branches, judgement(self.context.target)),
                    target_outputs(self.context.target),
                )
            case ProvisionKind.PARAMETER:
                return status_expression(kind, not_applicable(applies), Literal("stated", status_type(kind))), []

    def optional(self, key: str, of: Type) -> Expr | None:
        return self.checked(self.reader.node.get(key), of, key) if self.reader.has(key) else None

    def _exceptions(self, kind: ProvisionKind) -> list[Branch]:
        found = []
        for item in self.reader.items("exceptions"):
            if not isinstance(item, Mapping):
                self.reader.shape(item, "{when, status}", "{when, status}")
                continue
            inner = Reader(item, f"{self.where} exception", self.problems, ("when", "status", "amount", "amount_max"))
            status = inner.text("status")
            if status not in STATUSES[kind]:
                inner.report(
                    "bad-value",
                    inner.at("status"),
                    value=status,
                    expected=f"结论（{'、'.join(STATUSES[kind])}）",
                    expected_en=f"a status ({', '.join(STATUSES[kind])})",
                )
                continue
            outputs = tuple(
                Output(name, self.checked(item.get(name), MONEY, name), frozenset((status,)))
                for name in ("amount", "amount_max")
                if inner.has(name)
            )
            found.append(Branch(self.checked(inner.need("when"), BOOLEAN, "when"), status, outputs))
        return found

    def _extra_outputs(self, kind: ProvisionKind) -> list[Output]:
        """Values the outcome also carries; by default with the statuses that grant or trigger."""
        main = {
            ProvisionKind.ENTITLEMENT: ("eligible", "eligible_amount_unspecified"),
            ProvisionKind.SANCTION: ("triggered", "triggered_discretionary"),
            ProvisionKind.PARAMETER: ("stated",),
        }.get(kind)
        found = []
        for key, value in self.reader.mapping("outputs"):
            label, statuses, required = None, frozenset(main) if main else None, main is not None
            if isinstance(value, Mapping):
                inner = Reader(value, f"{self.where} output", self.problems, ("is", "zh", "en", "with", "optional"))
                label = Text(inner.text("zh", key.text), inner.text("en", key.text.replace("_", " ")))
                if inner.has("with"):
                    words = inner.texts("with")
                    statuses = None if words == ("any",) else frozenset(words)
                required = required and inner.text("optional") != "true"
                expr = self.checked(inner.need("is"), None, key.text)
            else:
                expr = self.checked(value, None, key.text)
            found.append(Output(key.text, expr, statuses, required, label))
        return found

    def _measures(self) -> tuple[Measure, ...]:
        found = []
        for item in self.reader.items("measures"):
            if isinstance(item, Mapping) and item.get("if") is not None:
                inner = Reader(item, f"{self.where} measure", self.problems, ("zh", "en", "if"))
                found.append(
                    Measure(Text(inner.text("zh"), inner.text("en")), self.checked(item.get("if"), BOOLEAN, "measure"))
                )
            else:
                found.append(Measure(self.reader.as_words(item)))
        return tuple(found)


def _cell_place(item: Node) -> Location:
    return expression_place(item) if isinstance(item, Scalar) else item.at


def _stand_in(of: Type | None) -> Expr:
    """A harmless expression in place of a broken one, so that reading can go on."""
    if of is None or of.kind is Kind.BOOLEAN:
        return always(True)
    return Literal(None, of)


# Readings


def _readings(base: _ProvisionReader) -> tuple[Reading, ...]:
    problems = base.problems
    reader = Reader(base.node, base.where, problems)
    found = []
    for number, item in enumerate(reader.items("readings"), 1):
        if not isinstance(item, Mapping):
            reader.shape(item, "{point, chosen, why, others}", "{point, chosen, why, others}")
            continue
        inner = Reader(item, f"{base.where} reading {number}", problems, READING_KEYS)
        for key in ("point", "chosen"):
            inner.need(key)
        alternatives = tuple(_alternative(other, inner, base) for other in inner.items("others"))
        found.append(
            Reading(
                inner.text("id") or str(number),
                inner.words("point"),
                inner.words("chosen"),
                inner.words("why"),
                alternatives,
            )
        )
    return tuple(found)


def _alternative(node: Node, reader: Reader, base: _ProvisionReader) -> Alternative:
    """Plain text, or `{zh, en, with: {keys of the provision that read otherwise}}`."""
    if not isinstance(node, Mapping):
        return Alternative(reader.as_words(node))
    inner = Reader(node, reader.where, base.problems, ("zh", "en", "with"))
    text = Text(inner.text("zh", inner.text("en")), inner.text("en"))
    changes = node.get("with")
    if changes is None:
        return Alternative(text)
    if not isinstance(changes, Mapping):
        inner.shape(changes, "键值表", "a mapping")
        return Alternative(text)
    found: list[Problem] = []
    variant = _ProvisionReader(merge(base.node, changes), base.context, found, base.tables).read()
    base.problems.extend(problem for problem in found if problem not in base.problems)
    if variant is None:
        return Alternative(text)
    point = reader.words("point")
    read_as = Text(f"{point.zh}：{text.zh}", f"{point.get('en')}: {text.get('en')}")
    return Alternative(text, replace(variant, read_as=read_as))


def merge(base: Mapping, changes: Mapping) -> Mapping:
    """The base with keys replaced; `let` is merged name by name, `targets` by indicator; a null removes a key."""
    entries: list[tuple[Scalar, Node]] = []
    for key, value in base:
        change = changes.get(key.text)
        if key.text == "readings" or (isinstance(change, Scalar) and change.is_null):
            continue
        if key.text == "let" and isinstance(change, Mapping) and isinstance(value, Mapping):
            kept = tuple((name, change.get(name.text) or inner) for name, inner in value)
            added = tuple(pair for pair in change if value.get(pair[0].text) is None)
            entries.append((key, Mapping(kept + added, value.at)))
        elif key.text == "targets" and isinstance(change, NodeSequence) and isinstance(value, NodeSequence):
            named = {_indicator(block) for block in change.items}
            blocks = tuple(block for block in value.items if _indicator(block) not in named)
            entries.append((key, NodeSequence(blocks + change.items, value.at)))
        else:
            entries.append((key, value if change is None else change))
    entries += [pair for pair in changes if base.get(pair[0].text) is None]
    return Mapping(tuple(entries), base.at)


def _indicator(block: Node) -> str | None:
    """The indicator a block of targets is about."""
    found = block.get("indicator") if isinstance(block, Mapping) else None
    return found.text if isinstance(found, Scalar) else None
