"""The reference evaluator: slow, obvious, exact. It is the meaning of an expression.

Values are ints, fractions, dates, booleans and text; an unknown value is an `Unknown` that
says which facts it waits for. `and` and `or` are three-valued: a false side settles an `and`
whatever the other side holds. An undecided condition of `if … else` matters only where the
two sides differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Protocol, TypeAlias

from engine.builtins import FUNCTIONS
from engine.dataclass import dataclass
from engine.errors import EvaluationError, Problem
from engine.expr import Arithmetic, Call, Compare, Expr, IfElse, Literal, Logic, Name, Not, Reason, show
from engine.values import Number, Value, shrink


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that is not known: the facts it waits for, or the reason no fact would help."""

    missing: frozenset[str] = frozenset()
    reasons: frozenset[Reason] = frozenset()

    def __or__(self, other: Unknown) -> Unknown:
        return Unknown(self.missing | other.missing, self.reasons | other.reasons)

    def __bool__(self) -> bool:
        raise AssertionError("an unknown is neither true nor false")


Result: TypeAlias = Value | Unknown


class Environment(Protocol):
    """Where names get their values from."""

    def __getitem__(self, name: str) -> Result: ...


class Facts:
    """The names of one evaluation: facts and parameters as given, each `let` worked out when first read."""

    def __init__(
        self,
        values: Mapping[str, Value | None],
        lets: Mapping[str, Expr] | None = None,
        reasons: Mapping[str, Reason] | None = None,
    ) -> None:
        self._values: dict[str, Result] = {
            name: Unknown(frozenset((name,))) if value is None else value for name, value in values.items()
        }
        for name, reason in (reasons or {}).items():
            self._values[name] = Unknown(reasons=frozenset((reason,)))
        self._lets = lets or {}

    def __getitem__(self, name: str) -> Result:
        if name not in self._values:
            self._values[name] = evaluate(self._lets[name], self)
        return self._values[name]


_ORDER: dict[str, Callable[[Value, Value], bool]] = {
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,  # type: ignore[operator]
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
}  # fmt: skip


def evaluate(expr: Expr, names: Environment) -> Result:
    """The value of a checked expression.

    Errors: `calendar-gap` (`EvaluationError`) where a working day is asked for beyond the published years.
    """
    match expr:
        case Literal(value=None, reason=reason):
            return Unknown(reasons=frozenset((reason,)) if reason else frozenset())
        case Literal(value):
            assert value is not None
            return value
        case Name(name):
            return names[name]
        case Not(operand):
            inner = evaluate(operand, names)
            return inner if isinstance(inner, Unknown) else not inner
        case Logic(op, operands):
            return _logic(op == "or", operands, names)
        case Compare(op, left, right):
            a, b = evaluate(left, names), evaluate(right, names)
            unknown = _unknown_of(a, b)
            return unknown if unknown is not None else _ORDER[op](a, b)  # type: ignore[arg-type]
        case Arithmetic(op, left, right):
            a, b = evaluate(left, names), evaluate(right, names)
            unknown = _unknown_of(a, b)
            return unknown if unknown is not None else _arithmetic(op, a, b, expr)
        case IfElse(condition, then, other):
            try:
                test = evaluate(condition, names)
            except EvaluationError:
                if then == other:
                    return evaluate(then, names)  # whatever the condition would have been
                raise
            if not isinstance(test, Unknown):
                return evaluate(then if test else other, names)
            first, second = evaluate(then, names), evaluate(other, names)
            both = _unknown_of(first, second)
            if both is None:
                return first if first == second else test
            # A branch that may not be taken adds the facts it waits for, not its reasons.
            return Unknown(test.missing | both.missing, test.reasons)
        case Call(function, arguments):
            values = [evaluate(part, names) for part in arguments]
            if function == "is_known":
                return not isinstance(values[0], Unknown)
            unknown = _unknown_of(*values)
            return unknown if unknown is not None else _called(function, values, expr)


def _called(function: str, values: list[Result], expr: Expr) -> Value:
    try:
        return _exact(FUNCTIONS[function].meaning(*values))
    except (ValueError, OverflowError):  # a month 13, a negative number of working days, the year 10000
        raise _impossible(expr, values) from None


def _impossible(expr: Expr, values: Sequence[Result]) -> EvaluationError:
    return EvaluationError(
        Problem("no-such-date", fields={"expression": show(expr), "values": ", ".join(map(str, values))})
    )


def _logic(absorbing: bool, operands: Sequence[Expr], names: Environment) -> Result:
    """`or` (absorbing True) and `and` (absorbing False) over three values.

    A side that settles the whole does so whatever the others hold, even where one of them cannot be
    worked out (a day beyond the calendar): that is an error only where it matters.
    """
    undecided: Unknown | None = None
    failure: EvaluationError | None = None
    for operand in operands:
        try:
            value = evaluate(operand, names)
        except EvaluationError as error:
            failure = failure or error
            continue
        if isinstance(value, Unknown):
            undecided = value if undecided is None else undecided | value
        elif bool(value) is absorbing:
            return absorbing
    if failure is not None:
        raise failure
    return not absorbing if undecided is None else undecided


def _unknown_of(*values: Result) -> Unknown | None:
    found: Unknown | None = None
    for value in values:
        if isinstance(value, Unknown):
            found = value if found is None else found | value
    return found


def _arithmetic(op: str, left: Result, right: Result, expr: Arithmetic) -> Result:
    from datetime import date, timedelta

    if isinstance(left, date):
        if isinstance(right, date):
            return (left - right).days
        try:
            days = timedelta(days=int(_number(right)))
        except OverflowError:
            raise _impossible(expr, [left, right]) from None
        try:
            return left + days if op == "+" else left - days
        except OverflowError:
            raise _impossible(expr, [left, right]) from None
    a, b = _number(left), _number(right)
    if op == "/":
        if b == 0:
            return Unknown(reasons=frozenset((Reason(f"除数为零：{show(expr)}", f"division by zero: {show(expr)}"),)))
        return shrink(Fraction(a) / Fraction(b))
    return _exact(a + b if op == "+" else a - b if op == "-" else a * b)


def _number(value: Result) -> Number:
    assert isinstance(value, (int, Fraction)), f"not a number after checking: {value!r}"
    return value


def _exact(value: Value) -> Value:
    return shrink(value) if isinstance(value, Fraction) else value
