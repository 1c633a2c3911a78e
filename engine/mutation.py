"""Mutation testing of a pack: a small wrong change in a rule must be noticed by one of its worked cases.

On the checked trees each figure is moved by one smallest unit, each comparison made strict, inclusive or
turned round, `and` and `or` exchanged, a requirement, condition or cell dropped. A mutant that no case
tells from the rule is put to the solver: either it is proved to mean the same (and does not count), or the
solver names the case that is lacking.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from engine.assessing import given_values
from engine.cases import WorkedCase, differences
from engine.dataclass import dataclass
from engine.errors import EvaluationError, FactError, PackError
from engine.evaluate.python import evaluate
from engine.expr import (
    Arithmetic,
    Call,
    Compare,
    Expr,
    IfElse,
    Literal,
    Logic,
    Not,
    always,
    children,
    conjunction,
    literal_text,
    show,
)  # fmt: skip
from engine.inputs import read_as_of, read_inputs
from engine.load import Pack
from engine.model import DecisionTable, Let, Parameter, Provision, TableRow
from engine.outcome import Outcome, assess, names_of
from engine.pack_diff import difference
from engine.parts import expressions, parameters_of
from engine.solver import Undecided, require_solver
from engine.source import Location
from engine.tables import table_outputs
from engine.types import Kind, Type
from engine.values import Value, shrink, value_text
from engine.witness import Witness

KILLED, EQUIVALENT, SURVIVED, OPEN = "killed", "equivalent", "survived", "open"
HUNDREDTH = Fraction(1, 100)
_STRICT = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
_TURNED = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
_COUNTED = frozenset(("workdays_after", "months_after", "date_of", "round_half_up"))
"""Functions whose whole-number arguments count something and are not below zero."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One wrong version of a provision: what was written, what stands there instead, and where.

    `kind`: `figure`, `comparison`, `connective`, `dropped`, `parameter`, `target`.
    """

    provision: str
    kind: str
    at: Location
    before: str
    after: str
    changed: Provision = field(repr=False, compare=False)
    row: TableRow | None = field(default=None, repr=False, compare=False)
    """The row of planned figures it is about: only cases of that row can notice it."""


@dataclass(frozen=True, slots=True)
class MutantResult:
    """What became of a mutant: `case` killed it, or is `lacking` and would. `open` mutants could not be settled."""

    mutant: Mutant
    verdict: str
    case: str = ""
    lacking: Witness | None = None


@dataclass(frozen=True, slots=True)
class MutationReport:
    results: tuple[MutantResult, ...]
    untested: tuple[str, ...]
    """Provisions without a worked case of their own reading."""

    def count(self, verdict: str) -> int:
        return sum(result.verdict == verdict for result in self.results)

    @property
    def survivors(self) -> tuple[MutantResult, ...]:
        return tuple(result for result in self.results if result.verdict in (SURVIVED, OPEN))

    @property
    def score(self) -> Fraction:
        """Killed mutants among those that mean something else; 1 where there are none."""
        counted = len(self.results) - self.count(EQUIVALENT)
        return Fraction(self.count(KILLED), counted) if counted else Fraction(1)


def smallest_unit(of: Type) -> Fraction:
    """What a figure is moved by: one fen, 0.0001 %, one of a count, a hundredth of any other number."""
    match of.kind:
        case Kind.RATIO:
            return Fraction(1, 10**6)
        case Kind.QUANTITY if not of.integer:
            return HUNDREDTH
    return Fraction(1)


def moved(value: Value, unit: Fraction) -> Value:
    """A figure moved by a unit; a date by days."""
    if isinstance(value, date):
        return value + timedelta(days=int(unit))
    assert isinstance(value, (int, Fraction)), "only figures and dates can be moved"
    return shrink(Fraction(value) + unit)


# Mutants of expressions


def mutants(provision: Provision, on: date | None) -> Iterator[Mutant]:
    """Every mutant of a provision; `on` is the day whose parameters are changed."""
    seen: set[tuple[Any, ...]] = set()
    for root in expressions(provision):
        for parent, node in _with_parents(root):
            if not node.at.file:
                continue
            key = (str(node.at), node.at.width, type(node), node, _context(parent))
            if key in seen:
                continue
            seen.add(key)
            for kind, replacement in _replacements(node, parent):
                yield Mutant(
                    provision.id, kind, node.at, show(node), show(replacement), rewritten(provision, node, replacement)
                )
    yield from _dropped(provision)
    yield from _parameters(provision, on)
    yield from _targets(provision)


def _context(parent: Expr | None) -> Any:
    """What besides the node itself says how it may be moved: the other side of its comparison."""
    return (type(parent), parent.left.type, parent.right.type) if isinstance(parent, Compare) else type(parent)


def _with_parents(root: Expr) -> Iterator[tuple[Expr | None, Expr]]:
    stack: list[tuple[Expr | None, Expr]] = [(None, root)]
    while stack:
        parent, node = stack.pop()
        yield parent, node
        stack.extend((node, part) for part in reversed(children(node)))


def _replacements(node: Expr, parent: Expr | None) -> Iterator[tuple[str, Expr]]:
    match node:
        case Literal(value) if isinstance(value, (int, Fraction, date)) and not isinstance(value, bool):
            unit = _unit(node, parent)
            for step in (unit, -unit):
                if (
                    isinstance(parent, Call)
                    and parent.function in _COUNTED
                    and not isinstance(value, date)
                    and value + step < 0
                ):
                    continue
                yield "figure", replace(node, value=moved(value, step))
        case Compare(op):
            if op in _STRICT:
                yield "comparison", replace(node, op=_STRICT[op])
            yield "comparison", replace(node, op=_TURNED[op])
        case Logic(op, operands):
            if node.at != operands[0].at:  # written as such, not put together from requirements, cells or a list
                yield "connective", replace(node, op="or" if op == "and" else "and")
            for place in range(len(operands)):
                rest = operands[:place] + operands[place + 1 :]
                yield "dropped", rest[0] if len(rest) == 1 else replace(node, operands=rest)
        case Call("min" | "max" as function):
            yield "connective", replace(node, function="max" if function == "min" else "min")


def _unit(literal: Literal, parent: Expr | None) -> Fraction:
    if literal.type.kind is not Kind.QUANTITY:
        return smallest_unit(literal.type)
    if isinstance(parent, Compare):
        other = parent.right if parent.left is literal else parent.left
        if isinstance(other, Literal) or other.type.kind is not Kind.QUANTITY:
            return Fraction(1)
        return smallest_unit(other.type)
    return Fraction(1) if isinstance(literal.value, int) else HUNDREDTH


def rewritten(provision: Provision, node: Expr, replacement: Expr) -> Provision:
    """The provision with a node replaced wherever it stands (a condition of a table stands in each of its outputs)."""

    def change(expr: Expr) -> Expr:
        return _rewrite(expr, node, replacement)

    return replace(
        provision,
        status=change(provision.status),
        outputs=tuple(replace(output, expr=change(output.expr)) for output in provision.outputs),
        lets=tuple(replace(let, expr=change(let.expr)) for let in provision.lets),
        measures=tuple(
            measure if measure.condition is None else replace(measure, condition=change(measure.condition))
            for measure in provision.measures
        ),
    )


def _rewrite(expr: Expr, node: Expr, replacement: Expr) -> Expr:
    if expr == node and expr.at == node.at:
        return replacement
    match expr:
        case Not(operand):
            inner = _rewrite(operand, node, replacement)
            return expr if inner is operand else replace(expr, operand=inner)
        case Logic(_, operands):
            parts = tuple(_rewrite(part, node, replacement) for part in operands)
            return expr if _all_same(parts, operands) else replace(expr, operands=parts)
        case Compare(_, left, right) | Arithmetic(_, left, right):
            a, b = _rewrite(left, node, replacement), _rewrite(right, node, replacement)
            return expr if a is left and b is right else replace(expr, left=a, right=b)
        case IfElse(condition, then, other):
            test, a, b = (_rewrite(part, node, replacement) for part in (condition, then, other))
            return (
                expr
                if test is condition and a is then and b is other
                else replace(expr, condition=test, then=a, other=b)
            )
        case Call(_, arguments):
            parts = tuple(_rewrite(part, node, replacement) for part in arguments)
            return expr if _all_same(parts, arguments) else replace(expr, arguments=parts)
    return expr


def _all_same(left: Sequence[Expr], right: Sequence[Expr]) -> bool:
    return all(a is b for a, b in zip(left, right, strict=True))


def _dropped(provision: Provision) -> Iterator[Mutant]:
    """The only requirement dropped, and the condition on which the provision applies at all."""
    roots = [conjunction([provision.requirements[0].condition])] if len(provision.requirements) == 1 else []
    if provision.applies is not None:
        roots.append(provision.applies)
    for root in roots:
        kept = root.operand if isinstance(root, Not) else root  # what stands in the status where it is negated twice
        changed = rewritten(provision, kept, always(not isinstance(root, Not)))
        if kept.at.file and changed.status != provision.status:
            yield Mutant(provision.id, "dropped", kept.at, show(root), "true", changed)


def _parameters(provision: Provision, on: date | None) -> Iterator[Mutant]:
    for name in sorted(parameters_of(provision)):
        parameter = provision.parameters[name]
        value = parameter.on(on) if on is not None else None
        if value is None or isinstance(value, (bool, str)):
            continue
        unit = smallest_unit(parameter.type)
        for step in (unit, -unit):
            changed = moved(value, step)
            altered = {**provision.parameters, name: _with_value(parameter, on, changed)}
            yield Mutant(
                provision.id,
                "parameter",
                parameter.at,
                f"{name} = {value_text(value, parameter.type)}",
                f"{name} = {value_text(changed, parameter.type)}",
                replace(provision, parameters=altered),
            )


def _with_value(parameter: Parameter, on: date | None, value: Value) -> Parameter:
    last = max(start for start, _ in parameter.values if on is None or start <= on)
    return replace(parameter, values=tuple((start, value if start == last else old) for start, old in parameter.values))


def _targets(provision: Provision) -> Iterator[Mutant]:
    """Figures and comparisons of planned targets, which stand in rows rather than in expressions."""
    for table in {id(let.table): let.table for let in provision.lets if let.table is not None}.values():
        if any(output.at.file for row in table.rows for output in row.outputs):
            continue
        for place, row in enumerate(table.rows):
            for column, output in enumerate(row.outputs):
                for changed in _target_values(output):
                    yield Mutant(
                        provision.id,
                        "target",
                        row.at,
                        " ".join(row.texts),
                        _literal(changed),
                        _with_row(provision, table, place, column, changed),
                        row,
                    )


def _literal(expr: Expr) -> str:
    if not isinstance(expr, Literal):
        return show(expr)
    return expr.value if isinstance(expr.value, str) else literal_text(expr)


def _target_values(output: Expr) -> Iterator[Expr]:
    if not isinstance(output, Literal):
        return
    if output.type.kind is Kind.QUANTITY and isinstance(output.value, (int, Fraction)):
        for step in (HUNDREDTH, -HUNDREDTH):
            yield replace(output, value=moved(output.value, step))
    elif output.value in _STRICT:
        yield replace(output, value=_STRICT[str(output.value)])
        yield replace(output, value=_TURNED[str(output.value)])


def _with_row(provision: Provision, table: DecisionTable, place: int, column: int, value: Expr) -> Provision:
    row = table.rows[place]
    outputs = (*row.outputs[:column], value, *row.outputs[column + 1 :])
    changed: TableRow = replace(row, outputs=outputs)
    mutated = replace(table, rows=(*table.rows[:place], changed, *table.rows[place + 1 :]))
    name = table.outputs[column]
    expr = table_outputs(mutated)[column]
    lets: tuple[Let, ...] = tuple(
        replace(let, expr=expr) if let.table is table and let.name == name else let for let in provision.lets
    )
    return replace(provision, lets=lets)


# Running the cases


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A worked case with its values read, and what the rule itself makes of it."""

    case: WorkedCase
    values: Mapping[str, Value | None]
    on: date | None
    outcome: Outcome | None


def prepared_cases(pack: Pack, provision: Provision, cases: Sequence[WorkedCase]) -> list[_Prepared]:
    """The provision's cases of its chosen reading that pass."""
    found = []
    for case in cases:
        if case.provision != provision.id or any(number != 1 for number in (case.reading or {}).values()):
            continue
        try:
            as_of = read_as_of(case.as_of)
            values = given_values(pack, provision, read_inputs(provision, case.inputs), as_of)
        except FactError:
            continue
        on = as_of or pack.reference_date
        outcome = _assess(provision, values, on)
        if outcome is not None and not list(differences(pack, case, outcome)):
            found.append(_Prepared(case, values, on, outcome))
    return found


def _assess(provision: Provision, values: Mapping[str, Value | None], on: date | None) -> Outcome | None:
    try:
        return assess(provision, values, on)
    except (EvaluationError, ValueError, OverflowError, ZeroDivisionError):
        return None


def mutate(
    pack: Pack,
    cases: Sequence[WorkedCase],
    only: Sequence[str] = (),
    progress: Callable[[str], None] | None = None,
    settle: bool = True,
) -> MutationReport:
    """Every mutant of the chosen provisions and its verdict; with `settle` survivors are put to the solver.

    Errors (`PackError`): `solver-absent` (where survivors are to be settled).
    """
    if settle:
        require_solver()
    by_provision: dict[str, list[WorkedCase]] = {}
    for case in cases:
        by_provision.setdefault(case.provision, []).append(case)
    results: list[MutantResult] = []
    untested: list[str] = []
    for identity, provision in pack.provisions.items():
        if only and not identity.startswith(tuple(only)):
            continue
        if progress is not None:
            progress(identity)
        ready = prepared_cases(pack, provision, by_provision.get(identity, []))
        if not ready:
            untested.append(identity)
        of_row = _CasesOfRows(provision, ready)
        for mutant in mutants(provision, pack.reference_date):
            chosen = ready if mutant.row is None else of_row.find(mutant.row)
            killer = next((item for item in chosen if _kills(pack, mutant, item)), None)
            if killer is not None:
                ready.remove(killer)
                ready.insert(0, killer)  # neighbouring mutants often die by the same case
                results.append(MutantResult(mutant, KILLED, killer.case.label.zh))
            else:
                results.append(
                    settled(provision, mutant, pack.reference_date) if settle else MutantResult(mutant, SURVIVED)
                )
    return MutationReport(tuple(results), tuple(untested))


class _CasesOfRows:
    """The cases in which a row of a table matches."""

    def __init__(self, provision: Provision, ready: Sequence[_Prepared]) -> None:
        self.names = [(item, names_of(provision, item.values, item.on)) for item in ready]
        self.found: dict[int, list[_Prepared]] = {}

    def find(self, row: TableRow) -> list[_Prepared]:
        if id(row) not in self.found:
            tests = [test for test in row.tests if test is not None]
            self.found[id(row)] = [
                item for item, names in self.names if all(evaluate(test, names) is True for test in tests)
            ]
        return self.found[id(row)]


def _kills(pack: Pack, mutant: Mutant, item: _Prepared) -> bool:
    outcome = _assess(mutant.changed, item.values, item.on)
    if outcome is None or item.outcome is None:
        return outcome is not item.outcome
    if outcome.same_as(item.outcome) and outcome.missing == item.outcome.missing:
        return False
    return next(differences(pack, item.case, outcome), None) is not None


def settled(provision: Provision, mutant: Mutant, on: date | None) -> MutantResult:
    """A survivor proved to mean the same, or with the case that would kill it."""
    try:
        found = difference(provision, mutant.changed, on, on)
    except (Undecided, PackError):
        return MutantResult(mutant, OPEN)
    if found is None:
        return MutantResult(mutant, EQUIVALENT)
    return MutantResult(mutant, SURVIVED, lacking=replace(found[0], on=None))
