"""A trace: what was read, tested and chosen on the way to an outcome. No wording here (see `explain`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from engine.dataclass import dataclass
from engine.errors import EvaluationError
from engine.evaluate.python import Facts, Result, Unknown, evaluate
from engine.expr import Expr, Literal, Name, names, show, walk
from engine.model import Let, Provision, Text
from engine.outcome import Outcome, names_of, plain_value
from engine.types import Type
from engine.values import Value


@dataclass(frozen=True, slots=True)
class Operand:
    """A name an expression reads, with its value (None: unknown)."""

    name: str
    label: Text
    type: Type
    value: Value | None


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was worked out.

    `kind`: `fact` (given), `parameter`, `let` (a formula), `table` (the row that matched: `row` from 1,
    None where none did), `applies`, `requirement` (a condition and how it came out), `output` (a value of the
    outcome, with `exact` where it was rounded).
    """

    kind: str
    label: Text
    type: Type
    value: Value | None
    expr: Expr | None = None
    operands: tuple[Operand, ...] = ()
    row: int | None = None
    row_texts: tuple[str, ...] = ()
    exact: Value | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    steps: tuple[Step, ...]


def trace_outcome(provision: Provision, values: Mapping[str, Value | None], on: date | None, outcome: Outcome) -> Trace:
    """The steps behind an outcome, in the order a person would check them."""
    return _Tracer(provision, names_of(provision, values, on), outcome).trace()


class _Tracer:
    def __init__(self, provision: Provision, env: Facts, outcome: Outcome) -> None:
        self.provision, self.env, self.outcome = provision, env, outcome
        self.lets = {let.name: let for let in provision.lets}

    def value(self, expr: Expr) -> Value | None:
        try:
            found: Result = evaluate(expr, self.env)
        except EvaluationError:
            return None
        return None if isinstance(found, Unknown) else found

    def trace(self) -> Trace:
        steps = [
            Step("fact", field.label, field.type, self.value(Name(name, type=field.type)), name=name)
            for name, field in self.provision.facts.items()
        ]
        read = {
            node.name
            for expr in self._expressions()
            for node in walk(expr)
            if isinstance(node, Name) and node.role == "parameter"
        }
        steps += [
            Step("parameter", parameter.label, parameter.type, self.value(Name(name, type=parameter.type)), name=name)
            for name, parameter in self.provision.parameters.items()
            if name in read
        ]
        if self.provision.applies is not None:
            steps.append(self.condition("applies", self.provision.applies, None))
        steps += [
            self.condition("requirement", requirement.condition, requirement.label)
            for requirement in self.provision.requirements
        ]
        seen_tables: list[int] = []
        for let in self.provision.lets:
            if let.table is not None:
                if id(let.table) not in seen_tables:
                    seen_tables.append(id(let.table))
                    shown = [other for other in self.provision.lets if other.table is let.table and other.label]
                    steps.append(self.table(shown[0] if shown else let))
            elif let.label is not None:
                steps.append(self.formula("let", let.label, let.expr, let.name))
        for output in self.provision.outputs:
            if output.name not in self.outcome.values:
                continue
            if output.statuses is not None and self.outcome.status not in output.statuses:
                continue
            if isinstance(output.expr, Literal):
                continue
            label = output.label or OUTPUT_LABELS.get(output.name, Text(output.name, output.name))
            step = self.formula("output", label, output.expr, output.name)
            steps.append(
                Step(
                    "output",
                    label,
                    step.type,
                    self.outcome.values[output.name],
                    output.expr,
                    step.operands,
                    exact=self.outcome.unrounded.get(output.name),
                    name=output.name,
                )
            )
        return Trace(tuple(steps))

    def _expressions(self) -> list[Expr]:
        return [
            self.provision.status,
            *(output.expr for output in self.provision.outputs),
            *(let.expr for let in self.provision.lets),
        ]

    def operands(self, expr: Expr) -> tuple[Operand, ...]:
        found: list[Operand] = []
        for node in walk(expr):
            if isinstance(node, Name) and all(operand.name != node.name for operand in found):
                found.append(Operand(node.name, self.label(node.name), node.type, self.value(node)))
        return tuple(found)

    def label(self, name: str) -> Text:
        if name in self.provision.facts:
            return self.provision.facts[name].label
        if name in self.lets:
            return self.lets[name].label or OUTPUT_LABELS.get(name, Text(name, name.replace("_", " ")))
        return self.provision.parameters[name].label

    def condition(self, kind: str, expr: Expr, label: Text | None) -> Step:
        return Step(kind, label or Text("", ""), expr.type, self.value(expr), expr, self.operands(expr))

    def formula(self, kind: str, label: Text, expr: Expr, name: str) -> Step:
        return Step(kind, label, expr.type, self.value(expr), expr, self.operands(expr), name=name)

    def table(self, let: Let) -> Step:
        table = let.table
        assert table is not None
        row = None
        undecided = False
        for number, candidate in enumerate(table.rows, 1):
            results = [self.value(test) for test in candidate.tests if test is not None]
            if all(result is True for result in results):
                row = number
                break
            undecided = undecided or (None in results and False not in results)
        operands = tuple(operand for column in table.columns for operand in self.operands(column))
        texts = table.rows[row - 1].texts if row is not None and not undecided else ()
        return Step(
            "table",
            let.label or OUTPUT_LABELS.get(let.name, Text(let.name, let.name)),
            let.expr.type,
            self.value(let.expr),
            None,
            operands,
            None if undecided else row,
            texts,
            name=let.name,
        )


OUTPUT_LABELS: dict[str, Text] = {
    "amount": Text("金额", "amount"),
    "amount_max": Text("最高金额", "highest amount"),
    "rate": Text("比例", "rate"),
    "cap": Text("上限", "cap"),
    "due_date": Text("到期日", "due date"),
    "due": Text("到期日", "due date"),
    "workdays_over": Text("已逾期", "overdue by"),
    "op": Text("比较", "comparison"),
}


def trace_dict(trace: Trace) -> list[dict[str, Any]]:
    """The trace as plain data."""
    found = []
    for step in trace.steps:
        entry: dict[str, Any] = {
            "kind": step.kind,
            "name": step.name,
            "label": {"zh": step.label.zh, "en": step.label.en},
            "value": None if step.value is None else plain_value(step.value),
        }
        if step.expr is not None:
            entry["expression"] = show(step.expr)
            entry["reads"] = sorted(names(step.expr))
        if step.kind == "table":
            entry["row"] = step.row
            entry["row_texts"] = list(step.row_texts)
        if step.exact is not None:
            entry["exact"] = str(step.exact)
        found.append(entry)
    return found
