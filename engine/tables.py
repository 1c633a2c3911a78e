"""Decision tables: cell tests and hit policies → plain expressions, and the check that a table is whole.

A cell holds a unary test as in DMN: `-` (anything), a value, a list `a, b`, `< 85%`, `>= 10人`,
an interval `[85%..90%)`, or `not(…)`. A table becomes one `if … else` per output, so that no
evaluator needs to know tables. When it is loaded, every cell of the grid that its bounds draw is
tried: no gap without a default, no overlap that the hit policy forbids.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from typing import Any

from engine.check import Scope, check
from engine.errors import PackError, Problem
from engine.evaluate.python import Facts, evaluate
from engine.expr import (
    Arithmetic,
    Call,
    Compare,
    Expr,
    IfElse,
    Literal,
    Logic,
    Name,
    Not,
    Reason,
    always,
    conjunction,
    show,
    walk,
)  # fmt: skip
from engine.model import DecisionTable, TableRow
from engine.parse import parse_expression
from engine.source import Location
from engine.types import Kind, Type
from engine.values import Value, value_text

HIT_POLICIES = ("unique", "any", "first", "priority", "sum", "min", "max", "count")
MAX_GRID = 20_000

_INTERVAL = re.compile(r"([\[\](])(.+?)\.\.(.+)([\])\[])", re.DOTALL)
_OPERATOR = re.compile(r"(<=|>=|==|!=|<|>|=)(.+)", re.DOTALL)


def parse_test(text: str, subject: Expr, scope: Scope, at: Location) -> Expr | None:
    """The condition a cell puts on its column, or None where anything will do."""
    text = text.strip()
    if text in ("-", ""):
        return None
    if match := re.fullmatch(r"not\s*\((.*)\)", text, re.DOTALL):
        inner = parse_test(match[1], subject, scope, at)
        return None if inner is None else Not(inner, at)
    tests = tuple(_single(part.strip(), subject, scope, at) for part in _split(text))
    return tests[0] if len(tests) == 1 else Logic("or", tests, at)


def _split(text: str) -> list[str]:
    """At commas outside brackets and quotes."""
    parts, depth, quote, start = [], 0, "", 0
    for place, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "'\"":
            quote = char
        elif char in "([":
            depth += 1
        elif char in ")]":
            depth -= 1
        elif char in ",，" and depth <= 0:
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def _single(text: str, subject: Expr, scope: Scope, at: Location) -> Expr:
    if match := _INTERVAL.fullmatch(text):
        low = Compare(">=" if match[1] == "[" else ">", subject, parse_expression(match[2].strip(), at), at)
        high = Compare("<=" if match[4] == "]" else "<", subject, parse_expression(match[3].strip(), at), at)
        checked = check(Logic("and", (low, high), at), scope)
        ends = [
            part.right.value
            for part in checked.operands  # type: ignore[union-attr]
            if isinstance(part, Compare) and isinstance(part.right, Literal)
        ]
        if len(ends) == 2 and ends[0] > ends[1]:  # type: ignore[operator]
            raise PackError(
                Problem(
                    "bad-value",
                    at,
                    {"value": text, "expected": "从小到大的区间", "expected_en": "an interval from low to high"},
                )
            )
        return checked
    if match := _OPERATOR.fullmatch(text):
        op = "==" if match[1] == "=" else match[1]
        return check(Compare(op, subject, parse_expression(match[2].strip(), at), at), scope)
    if subject.type.kind is Kind.BOOLEAN and text in ("true", "false", "是", "否"):
        return subject if text in ("true", "是") else Not(subject, at)
    return check(Compare("==", subject, parse_expression(text, at), at), scope)


def table_outputs(table: DecisionTable, priorities: tuple[Value, ...] = ()) -> list[Expr]:
    """One expression per output of the table."""
    rows = list(table.rows)
    if table.hit == "priority":
        rows.sort(key=lambda row: priorities.index(_constant(row.outputs[0])))
    guards = [conjunction([test for test in row.tests if test is not None]) for row in rows]
    found: list[Expr] = []
    for place in range(len(table.outputs)):
        of = rows[0].outputs[place].type
        values = [row.outputs[place] for row in rows]
        if table.hit in ("sum", "count"):
            zero: Expr = Literal(0, of)
            total: Expr = zero
            for guard, value in zip(guards, values, strict=True):
                part: Expr = IfElse(guard, value if table.hit == "sum" else Literal(1, of), zero, type=of)
                total = part if total is zero else Arithmetic("+", total, part, type=of)
            found.append(total)
            continue
        if table.default is not None:
            rest: Expr = table.default[place]
        else:
            rest = Literal(None, of, reason=Reason("决策表没有一行符合", "no row of the decision table matches"))
        if table.hit in ("min", "max"):
            found.append(_extreme(table.hit, guards, values, rest, of))
            continue
        for guard, value in reversed(list(zip(guards, values, strict=True))):
            rest = IfElse(guard, value, rest, type=of) if guard != always(True) else value
        found.append(rest)
    return found


def _extreme(hit: str, guards: list[Expr], values: list[Expr], rest: Expr, of: Type) -> Expr:
    """The least or greatest output of the rows that match: rows sorted, then the first that matches."""
    ordered = sorted(zip(guards, values, strict=True), key=lambda pair: _constant(pair[1]), reverse=hit == "min")
    for guard, value in ordered:
        rest = IfElse(guard, value, rest, type=of)
    return rest


Domains = Mapping[str, tuple[Value | None, Value | None]]
"""Least and greatest value of a fact that is a column by itself."""


def _constant(expr: Expr) -> Any:
    """The value of an output that a hit policy compares: such a table's outputs are literals."""
    assert isinstance(expr, Literal), "a table that compares its outputs has literals"
    return expr.value


def check_table(table: DecisionTable, domains: Domains) -> list[Problem]:
    """Gaps and forbidden overlaps over the grid that the table's own bounds draw.

    Columns are taken as independent, so a clean answer holds for every combination of values. A
    table whose bounds are not literals cannot be checked so; only `first` may be used for it.
    """
    tests = [
        [test for row in table.rows if (test := row.tests[place]) is not None] for place in range(len(table.columns))
    ]
    points: list[list[Value]] = []
    for column, column_tests in zip(table.columns, tests, strict=True):
        found = _points(column, column_tests)
        if found is None:
            if table.hit == "first" and table.default is not None:
                return []
            return [
                Problem(
                    "table-overlap",
                    table.at,
                    {
                        "policy": table.hit,
                        "first": "?",
                        "second": "?",
                        "case": f"`{show(column)}`: bounds are not literals",
                    },
                )
            ]
        low, high = domains.get(column.name, (None, None)) if isinstance(column, Name) else (None, None)
        points.append([point for point in found if (low is None or point >= low) and (high is None or point <= high)])  # type: ignore[operator]
    size = 1
    for column_points in points:
        size *= len(column_points)
    if size > MAX_GRID:
        return [Problem("table-too-large", table.at, {"cases": size})]
    matches = [
        [
            _at_points(test, column, column_points)
            for column, test, column_points in zip(table.columns, row.tests, points, strict=True)
        ]
        for row in table.rows
    ]
    problems: list[Problem] = []
    clashes: set[tuple[int, int]] = set()
    gap_reported = False
    for cell in itertools.product(*(range(len(column_points)) for column_points in points)):
        hits = [
            number for number, row in enumerate(matches) if all(row[place][index] for place, index in enumerate(cell))
        ]
        if not hits and table.default is None and table.hit not in ("sum", "count") and not gap_reported:
            gap_reported = True
            problems.append(Problem("table-gap", table.at, {"case": _case(table, points, cell)}))
        if len(hits) > 1 and table.hit in ("unique", "any"):
            first, second = hits[0], hits[1]
            if table.hit == "any" and table.rows[first].outputs == table.rows[second].outputs:
                continue
            if (first, second) not in clashes:
                clashes.add((first, second))
                problems.append(
                    Problem(
                        "table-overlap",
                        table.rows[second].at,
                        {
                            "policy": table.hit,
                            "first": first + 1,
                            "second": second + 1,
                            "case": _case(table, points, cell),
                        },
                    )
                )
    reached = {
        hit
        for cell in itertools.product(*(range(len(p)) for p in points))
        for hit in [
            next(
                (n for n, row in enumerate(matches) if all(row[place][index] for place, index in enumerate(cell))), None
            )
        ]
        if hit is not None
    }
    if table.hit == "first":
        problems += [
            Problem("table-row-unreachable", row.at, {"row": number + 1})
            for number, row in enumerate(table.rows)
            if number not in reached
        ]
    return problems


def _case(table: DecisionTable, points: list[list[Value]], cell: tuple[int, ...]) -> str:
    return ", ".join(
        f"{show(column)} = {value_text(points[place][index], column.type)}"
        for place, (column, index) in enumerate(zip(table.columns, cell, strict=True))
    )


def _at_points(test: Expr | None, column: Expr, points: Sequence[Value]) -> list[bool]:
    """Whether a cell's test holds where its column has each of some values; one without a test always does."""
    if test is None:
        return [True] * len(points)
    of_point = _substitute(test, column)
    return [bool(evaluate(of_point, Facts({"·": point}))) for point in points]


def _substitute(expr: Expr, column: Expr) -> Expr:
    """The test with its column replaced by a name, so that a point can stand for the column."""
    if expr == column:
        return Name("·", type=column.type)
    match expr:
        case Not(operand):
            return replace(expr, operand=_substitute(operand, column))
        case Logic(_, operands):
            return replace(expr, operands=tuple(_substitute(part, column) for part in operands))
        case Compare(_, left, right):
            return replace(expr, left=_substitute(left, column), right=_substitute(right, column))
    return expr


def _points(column: Expr, tests: list[Expr]) -> list[Value] | None:
    """Values of the column that stand for all others: each bound, and one between and beyond them."""
    of = column.type
    if of.kind is Kind.BOOLEAN:
        return [True, False]
    if of.kind is Kind.ENUM and of.values is not None:
        return list(of.values)
    bounds: set[Value] = set()
    for test in tests:
        for node in walk(_substitute(test, column)):
            if isinstance(node, Literal) and node.value is not None:
                bounds.add(node.value)
            elif (isinstance(node, Name) and node.name != "·") or isinstance(node, (Arithmetic, Call, IfElse)):
                return None
    if of.kind is Kind.TEXT:
        return [*bounds, "\0"]
    if not bounds:
        return [date(2000, 1, 1)] if of.kind is Kind.DATE else [0]
    ordered = sorted(bounds)
    if of.kind is Kind.DATE:
        return sorted({day + timedelta(days=step) for day in ordered for step in (-1, 0, 1)})  # type: ignore[operator]
    if of.integer:
        return sorted({n + step for n in ordered for step in (-1, 0, 1)})  # type: ignore[operator]
    points: list[Value] = [ordered[0] - 1, ordered[-1] + 1]  # type: ignore[operator]
    for low, high in itertools.pairwise(ordered):
        points.append(Fraction(low + high) / 2)  # type: ignore[operator, arg-type]
    return sorted([*points, *ordered])


def shown_row(row: TableRow) -> str:
    """A row as its author wrote it."""
    return " | ".join(row.texts)
