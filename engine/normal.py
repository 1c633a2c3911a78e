"""The normal form: division-free integers and explicit unknowns, shared by every fast evaluator.

A checked expression becomes terms and conditions (`terms`), with null for what is unknown. Money is fen, a
ratio or decimal fact is an integer at a fixed scale, a date its day number (`stored`). A rational value is
carried as numerator and denominator; quotients are compared by cross-multiplying, so nothing is divided but
where the rule itself rounds.

Source of the exact comparison: for d, e > 0, n/d < m/e iff n*e < m*d.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from math import gcd

from engine.builtins import FUNCTIONS
from engine.calendar import day_number, day_of
from engine.dataclass import dataclass
from engine.errors import EvaluationError, PackError, Problem
from engine.expr import Arithmetic, Call, Compare, Expr, IfElse, Literal, Logic, Name, Not, show
from engine.intervals import Interval, interval_of_call, product, quotient_floor
from engine.kinds import WITH_MEASURES
from engine.model import Field, Let, Provision
from engine.stored import SCALES, stored_scale
from engine.terms import (
    ONE,
    ZERO,
    All,
    AnyOf,
    Choose,
    Column,
    Condition,
    Const,
    DateCall,
    Flag,
    Known,
    Negate,
    Null,
    Operation,
    Term,
    Test,
    Truth,
    Word,
    all_of,
    any_of,
    choose_term,
    compare_terms,
    divided,
    factor_of,
    negate,
    operate,
)
from engine.types import BOOLEAN, Kind, Type
from engine.values import Value


@dataclass(frozen=True, slots=True)
class Rational:
    """A number as a quotient of terms; the denominator is positive wherever the numerator is known."""

    numerator: Term
    denominator: Term = ONE


@dataclass(frozen=True, slots=True)
class PlanOutput:
    """One output: a whole number at `scale` (fen for money), a day number, a word, or a condition."""

    name: str
    kind: Kind
    statuses: frozenset[str] | None
    required: bool
    value: Term | Condition
    denominator: Term = ONE
    hidden: bool = False
    """Not shown, but an outcome does not stand while it is unknown: whether a measure applies."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A provision in normal form: its columns, its status as a word, and its outputs."""

    provision: str
    columns: Mapping[str, Field]
    status: Term
    outputs: tuple[PlanOutput, ...]
    widest: int


def normal_form(provision: Provision, parameters: Mapping[str, Value | None], bits: int = 64) -> Plan:
    """The plan of a provision, with its parameters as they stand on the day of assessment.

    Errors (`PackError`): `too-wide` with the expression and its range where an intermediate may not
    fit `bits`; `divisor-may-be-negative`.
    """
    return _Lowering(provision.facts, parameters, provision.lets, bits).plan(provision)


def lower_condition(condition: Expr, fields: Mapping[str, Field]) -> Condition:
    """A condition over a record's fields in normal form. Errors as `normal_form`."""
    return _Lowering(fields, {}, (), 64).condition(condition)


class _Lowering:
    def __init__(
        self, fields: Mapping[str, Field], parameters: Mapping[str, Value | None], lets: Sequence[Let], bits: int
    ) -> None:
        self.fields, self.parameters, self.limit, self.bits = fields, parameters, 2 ** (bits - 1) - 1, bits
        self.lets: dict[str, Rational | Term | Condition] = {}
        self.lowered: dict[int, tuple[Expr, Rational | Term | Condition]] = {}
        self.ranges: dict[str, Interval] = {}
        """Of each column."""
        self.intervals: dict[int, tuple[Term, Interval]] = {}
        """Of each term by its id, as `lowered`: telling equal terms would go through all of each."""
        self.negated: dict[int, tuple[Condition, Condition]] = {}
        self.widest = 0
        self.context: Expr = Literal(True, BOOLEAN)
        for let in lets:
            self.context = let.expr
            self.lets[let.name] = self.lower(let.expr)

    def plan(self, provision: Provision) -> Plan:
        self.context = provision.status
        status = self.lower(provision.status)
        assert isinstance(status, (Word, Choose, Null, Column)), "a status is a word"
        outputs = []
        for output in provision.outputs:
            self.context = output.expr
            value = self.lower(output.expr)
            denominator: Term = ONE
            if isinstance(value, Rational):
                if output.expr.type.kind is Kind.MONEY:
                    value = self.half_up(value, 1)
                denominator, value = value.denominator, value.numerator
            outputs.append(
                PlanOutput(output.name, output.expr.type.kind, output.statuses, output.required, value, denominator)
            )
        for number, measure in enumerate(provision.measures):
            if measure.condition is not None:
                self.context = measure.condition
                outputs.append(
                    PlanOutput(
                        f"measure {number}",
                        Kind.BOOLEAN,
                        WITH_MEASURES,
                        True,
                        self.condition(measure.condition),
                        hidden=True,
                    )
                )
        return Plan(provision.id, provision.facts, status, tuple(outputs), self.widest)

    # Expressions

    def lower(self, expr: Expr) -> Rational | Term | Condition:
        """The normal form of an expression; one that occurs again is lowered once."""
        found = self.lowered.get(id(expr))
        if found is None:
            found = self.lowered[id(expr)] = expr, self._lower(expr)  # the expression is kept: its id stays its own
        return found[1]

    def _lower(self, expr: Expr) -> Rational | Term | Condition:
        match expr:
            case Literal(value):
                return self.constant(value, expr.type)
            case Name():
                return self.name(expr)
            case Not(operand):
                return negate(self.condition(operand), self.negated)
            case Logic(op, operands):
                parts = tuple(self.condition(part) for part in operands)
                return all_of(parts) if op == "and" else any_of(parts)
            case Compare(op, left, right):
                return self.compare(op, self.lower(left), self.lower(right))
            case Arithmetic():
                return self.arithmetic(expr)
            case IfElse(condition, then, other):
                return self.choose(self.condition(condition), self.lower(then), self.lower(other))
            case Call():
                return self.call(expr)

    def constant(self, value: Value | None, of: Type) -> Rational | Term | Condition:
        if value is None:
            if of.kind is Kind.BOOLEAN:
                return Truth(None)
            return Rational(Null()) if of.kind in SCALES else Null()
        if isinstance(value, bool):
            return Truth(value)
        if isinstance(value, str):
            return Word(value)
        if isinstance(value, date):
            return Const(day_number(value))
        exact = Fraction(value)
        return Rational(Const(exact.numerator), Const(exact.denominator))

    def name(self, expr: Name) -> Rational | Term | Condition:
        if expr.role == "let":
            return self.lets[expr.name]
        if expr.role == "parameter":
            return self.constant(self.parameters.get(expr.name), expr.type)
        field = self.fields[expr.name]
        if field.type.kind is Kind.BOOLEAN:
            return Flag(expr.name)
        column = Column(expr.name)
        if field.type.kind in (Kind.ENUM, Kind.TEXT):
            return column
        if field.type.kind is Kind.DATE:
            self.ranges[column.name] = Interval(-100_000, 100_000)
            return column
        scale = stored_scale(field.type)
        self.ranges[column.name] = Interval(
            None if field.minimum is None else _scaled(field.minimum, scale),
            None if field.maximum is None else _scaled(field.maximum, scale),
        )
        return Rational(column, Const(scale))

    def condition(self, expr: Expr) -> Condition:
        found = self.lower(expr)
        assert isinstance(found, (Truth, Flag, Test, All, AnyOf, Negate, Known)), f"not a condition: {show(expr)}"
        return found

    def rational(self, expr: Expr) -> Rational:
        found = self.lower(expr)
        assert isinstance(found, Rational), f"not a number: {show(expr)}"
        return found

    def term(self, expr: Expr) -> Term:
        found = self.lower(expr)
        assert not isinstance(found, (Rational, Truth, Flag, Test, All, AnyOf, Negate, Known)), (
            f"not a term: {show(expr)}"
        )
        return found

    # Arithmetic over rationals

    def arithmetic(self, expr: Arithmetic) -> Rational | Term:
        left, right = self.lower(expr.left), self.lower(expr.right)
        if not isinstance(left, Rational):  # a date and a number of days, or two dates
            day = self.term(expr.left)
            if isinstance(right, Rational):
                return self.operate(expr.op, day, self.whole(right))
            return Rational(self.operate("-", day, self.term(expr.right)))
        assert isinstance(right, Rational)
        if expr.op == "*":
            return self.reduce(
                self.operate("*", left.numerator, right.numerator),
                self.operate("*", left.denominator, right.denominator),
            )
        if expr.op == "/":
            return self.divide(left, right, expr)
        a, b, denominator = self.common(left, right)
        return self.reduce(self.operate(expr.op, a, b), denominator)

    def divide(self, left: Rational, right: Rational, expr: Arithmetic) -> Rational:
        divisor = right.numerator
        low = self.interval(divisor).low
        if isinstance(divisor, Const) and divisor.value < 0:
            left, divisor = (
                Rational(self.operate("*", Const(-1), left.numerator), left.denominator),
                Const(-divisor.value),
            )
        elif low is None or low < 0:
            raise PackError(
                Problem(
                    "divisor-may-be-negative",
                    expr.right.at,
                    {"expression": show(expr.right), "low": "-∞" if low is None else low},
                )
            )
        if divisor == ZERO:
            return Rational(Null())
        numerator = self.operate("*", left.numerator, right.denominator)
        if not isinstance(divisor, Const):
            # A quotient is unknown where its divisor is unknown or zero, and its numerator says so.
            numerator = choose_term(compare_terms(">", divisor, ZERO), numerator, Null())
            self.note(numerator)
        return self.reduce(numerator, self.operate("*", left.denominator, divisor))

    def common(self, left: Rational, right: Rational) -> tuple[Term, Term, Term]:
        """Both numerators over one denominator."""
        if left.denominator == right.denominator:
            return left.numerator, right.numerator, left.denominator
        if isinstance(left.denominator, Const) and isinstance(right.denominator, Const):
            d, e = left.denominator.value, right.denominator.value
            multiple = d * e // gcd(d, e)
            return (
                self.operate("*", left.numerator, Const(multiple // d)),
                self.operate("*", right.numerator, Const(multiple // e)),
                Const(multiple),
            )
        return (
            self.operate("*", left.numerator, right.denominator),
            self.operate("*", right.numerator, left.denominator),
            self.operate("*", left.denominator, right.denominator),
        )

    def reduce(self, numerator: Term, denominator: Term) -> Rational:
        """A common constant factor taken out, so that products stay small."""
        if isinstance(denominator, Const) and denominator.value > 1:
            factor = factor_of(numerator, denominator.value)
            if factor > 1:
                return Rational(divided(numerator, factor), Const(denominator.value // factor))
        return Rational(numerator, denominator)

    def compare(self, op: str, left: Rational | Term | Condition, right: Rational | Term | Condition) -> Condition:
        if isinstance(left, Rational) and isinstance(right, Rational):
            left, right, _ = self.common(left, right)
            factor = factor_of(left, factor_of(right, 0)) if factor_of(left, 0) and factor_of(right, 0) else 0
            if factor:
                left, right = divided(left, factor), divided(right, factor)
                self.note(left)
                self.note(right)
        return compare_terms(op, left, right)  # type: ignore[arg-type]

    def choose(
        self, condition: Condition, then: Rational | Term | Condition, other: Rational | Term | Condition
    ) -> Rational | Term | Condition:
        if isinstance(then, Rational) and isinstance(other, Rational):
            a, b, denominator = self.common(then, other)
            if isinstance(denominator, Const):
                chosen = choose_term(condition, a, b)
                self.note(chosen)
                return self.reduce(chosen, denominator)
            # Each side keeps its own divisor: the one not chosen may be unknown. Where the condition is open,
            # equal quotients are one value.
            equal = all_of((negate(Known(condition)), compare_terms("==", a, b)))
            settled = any_of((condition, equal))
            top = choose_term(settled, then.numerator, other.numerator)
            bottom = choose_term(settled, then.denominator, other.denominator)
            self.note(top)
            self.note(bottom)
            return Rational(top, bottom)
        if isinstance(then, (Truth, Flag, Test, All, AnyOf, Negate, Known)):
            # c ? a : b with the same three-valued meaning: where c is null, a and b must agree.
            assert isinstance(other, (Truth, Flag, Test, All, AnyOf, Negate, Known))
            otherwise = negate(condition, self.negated)
            return any_of((all_of((condition, then)), all_of((otherwise, other)), all_of((then, other))))
        chosen = choose_term(condition, then, other)  # type: ignore[arg-type]
        self.note(chosen)
        return chosen

    def whole(self, value: Rational) -> Term:
        """A number used as a count of days or months: whole by its type."""
        if value.denominator == ONE:
            return value.numerator
        found = self.floor(value)
        return found.numerator

    def floor(self, value: Rational) -> Rational:
        return Rational(self.operate("//", value.numerator, value.denominator))

    def half_up(self, value: Rational, unit: int) -> Rational:
        """Half away from zero to whole multiples of 1/unit."""
        n = self.operate("*", value.numerator, Const(unit))
        d = value.denominator
        if d == ONE:
            return Rational(n, Const(unit))
        twice = self.operate("*", Const(2), d)
        low = self.interval(n).low

        def rounded(magnitude: Term) -> Term:
            return self.operate("//", self.operate("+", self.operate("*", Const(2), magnitude), d), twice)

        if low is not None and low >= 0:
            return Rational(rounded(n), Const(unit))
        minus = self.operate("*", Const(-1), n)
        result = choose_term(compare_terms(">=", n, ZERO), rounded(n), self.operate("*", Const(-1), rounded(minus)))
        self.note(result)
        return Rational(result, Const(unit))

    def call(self, expr: Call) -> Rational | Term | Condition:
        arguments = expr.arguments
        match expr.function:
            case "min" | "max":
                found = self.lower(arguments[0])
                for part in arguments[1:]:
                    other = self.lower(part)
                    if isinstance(found, Rational) and isinstance(other, Rational):
                        a, b, denominator = self.common(found, other)
                        found = Rational(self.operate(expr.function, a, b), denominator)
                    else:
                        found = self.operate(expr.function, found, other)  # type: ignore[arg-type]
                return found
            case "abs":
                value = self.rational(arguments[0])
                minus = self.operate("*", Const(-1), value.numerator)
                return Rational(self.operate("max", value.numerator, minus), value.denominator)
            case "floor":
                return self.floor(self.rational(arguments[0]))
            case "truncate":
                value = self.rational(arguments[0])
                opposite = Rational(self.operate("*", Const(-1), value.numerator), value.denominator)
                down, up = self.floor(value), self.operate("*", Const(-1), self.floor(opposite).numerator)
                result = choose_term(compare_terms(">=", value.numerator, ZERO), down.numerator, up)
                self.note(result)
                return Rational(result)
            case "round_half_up":
                places = arguments[1].value if len(arguments) == 2 else 0  # type: ignore[union-attr]
                value = self.half_up(self.rational(arguments[0]), 10 ** int(places))  # type: ignore[arg-type]
                return self.reduce(value.numerator, value.denominator)
            case "is_known":
                found = self.lower(arguments[0])
                if isinstance(found, Rational):
                    parts = (Known(found.numerator), Known(found.denominator))
                    return parts[0] if isinstance(found.denominator, Const) else all_of(parts)
                return Known(found)
        terms: list[Term] = []
        for part in arguments:
            value_of = self.lower(part)
            terms.append(self.whole(value_of) if isinstance(value_of, Rational) else self.term(part))
        folded = _folded_call(expr.function, terms)
        if folded is not None:
            self.note(folded)
            return folded if expr.type.kind is Kind.DATE else Rational(folded)
        call = DateCall(expr.function, tuple(terms))
        self.note(call)
        return call if expr.type.kind is Kind.DATE else Rational(call)

    # Ranges

    def operate(self, op: str, left: Term, right: Term) -> Term:
        found = operate(op, left, right)
        self.note(found)
        return found

    def interval(self, term: Term) -> Interval:
        found = self.intervals.get(id(term))
        if found is None:
            found = self.intervals[id(term)] = term, self._interval(term)
        return found[1]

    def _interval(self, term: Term) -> Interval:
        match term:
            case Const(value):
                return Interval(value, value)
            case Word() | Null():
                return Interval(0, 0)
            case Column(name):
                return self.ranges.get(name, Interval(None, None))
            case Choose(_, then, other):
                return self.interval(then).join(self.interval(other))
            case DateCall(function, arguments):
                return interval_of_call(function, [self.interval(part) for part in arguments])
            case Operation(op, left, right):
                a, b = self.interval(left), self.interval(right)
                match op:
                    case "+":
                        return a.plus(b)
                    case "-":
                        return a.plus(b.negated())
                    case "*":
                        return product(a, b)
                    case "//":
                        return quotient_floor(a, b)
                    case "min":
                        return a.least(b)
                    case _:
                        return a.least(b, greatest=True)

    def note(self, term: Term) -> None:
        """Record how wide a term can get. Errors: `too-wide`."""
        if isinstance(term, (Word, Null)) or (isinstance(term, Choose) and _is_word(term)):
            return
        found = self.interval(term)
        if found.low is None or found.high is None or max(-found.low, found.high) > self.limit:
            raise PackError(
                Problem(
                    "too-wide",
                    self.context.at,
                    {
                        "expression": show(self.context),
                        "bits": self.bits,
                        "low": "-∞" if found.low is None else found.low,
                        "high": "∞" if found.high is None else found.high,
                    },
                )
            )
        self.widest = max(self.widest, -found.low, found.high)


def _folded_call(function: str, terms: Sequence[Term]) -> Const | None:
    """A calendar function of constants, worked out; None where it is not one or cannot be."""
    if not all(isinstance(term, Const) for term in terms):
        return None
    takes = FUNCTIONS[function].takes
    assert takes is not None
    values = [term.value for term in terms if isinstance(term, Const)]
    try:
        found = FUNCTIONS[function].meaning(
            *(day_of(value) if Kind.DATE in kinds else value for value, kinds in zip(values, takes, strict=True))
        )
    except (EvaluationError, ValueError, OverflowError):
        return None
    return Const(day_number(found) if isinstance(found, date) else int(found))


def _is_word(term: Term) -> bool:
    """Whether what is chosen are words: any of them or of numbers tells, as all are of one kind."""
    waiting, seen = [term], set()
    while waiting:
        part = waiting.pop()
        if isinstance(part, Choose):
            if id(part) not in seen:
                seen.add(id(part))
                waiting += (part.other, part.then)
        elif not isinstance(part, (Null, Column)):
            return isinstance(part, Word)
    return False


def _scaled(value: Value, scale: int) -> int:
    return int(Fraction(value) * scale)  # type: ignore[arg-type]
