"""How far around one value of a fact a provision keeps the form it has there.

From the value the expressions are walked as they hold there: only the branch taken, only the side that
settles an `and`. Each part narrows the stretch to where it stays as it is: a comparison to where its
sides do not meet, a division to where it divides, a step (a rounding, a count of working days) to where
it does not come to the next value that matters. A step held against a number is taken back to the
argument at which it reaches that number, so that days or cents between do not count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction

from engine.errors import EvaluationError, Problem
from engine.evaluate.python import Facts, Result, Unknown, evaluate
from engine.expr import Arithmetic, Call, Compare, Expr, IfElse, Logic, Name, children
from engine.kinds import UNDETERMINED, WITH_MEASURES
from engine.model import Provision
from engine.outcome import Outcome, assess, names_of
from engine.types import Kind, Type
from engine.values import Value
from web.steps import NOWHERE, STEPS, turn
from web.terms import LAST_DAY, Term, X, combine, number_of, roots, value_of

FIGURES = ("amount", "amount_max", "rate")
"""The outputs that are followed along the fact; an outcome's figure is the first it has."""

_ZERO = Fraction(0)


class Moving:
    """A provision with one fact that moves and the others as given."""

    def __init__(self, provision: Provision, values: Mapping[str, Value | None], name: str, on: date | None) -> None:
        self.provision, self.values, self.name, self.on = provision, dict(values), name, on
        self.field = provision.facts[name]
        self.lets = {let.name: let.expr for let in provision.lets}
        kind = self.field.type.kind
        whole = kind in (Kind.MONEY, Kind.DATE) or self.field.type.integer
        self.step: Fraction | None = Fraction(1) if whole else None
        """The least difference between two values of the fact: a fen, a day, one; None for a ratio."""
        self.is_solved = True
        """Whether every part met so far could be solved."""
        self._moves: dict[int, bool] = {}
        self._operands: dict[int, tuple[Expr, Expr]] = {}

    def moves(self, expr: Expr) -> bool:
        """Whether the fact has any part in an expression."""
        key = id(expr)
        if key not in self._moves:
            match expr:
                case Name(name):
                    found = name == self.name or (name in self.lets and self.moves(self.lets[name]))
                case _:
                    found = any(self.moves(part) for part in children(expr))
            self._moves[key] = found
        return self._moves[key]

    def steps(self, expr: Expr) -> bool:
        """Whether a step that the fact moves has part in an expression."""
        match expr:
            case Name(name):
                return name in self.lets and self.steps(self.lets[name])
            case Call(function, _) if function in STEPS and self.moves(expr):
                return True
        return any(self.steps(part) for part in children(expr))

    def operands(self, expr: Arithmetic) -> tuple[Expr, Expr]:
        """Both sides; what is added to a date counts in whole days."""
        key = id(expr)
        if key not in self._operands:
            left, right = expr.left, expr.right
            if left.type.kind is Kind.DATE and right.type.kind is not Kind.DATE and not right.type.integer:
                right = Call("truncate", (right,), right.at, Type(Kind.QUANTITY, right.type.unit, integer=True))
            self._operands[key] = left, right
        return self._operands[key]

    def at(self, x: Fraction) -> dict[str, Value | None]:
        return {**self.values, self.name: value_of(x, self.field)}

    def outcome(self, x: Fraction) -> Outcome | Problem:
        """The outcome at a value of the fact, or why there is none."""
        try:
            return assess(self.provision, self.at(x), self.on)
        except EvaluationError as error:
            return error.problems[0]


class Stretch:
    """Where around `x` the provision keeps its form: between `low` and `high`, or at `x` alone."""

    def __init__(self, moving: Moving, x: Fraction) -> None:
        self.moving, self.x = moving, x
        self.low: Fraction | None = None
        self.high: Fraction | None = None
        self.outcome = moving.outcome(x)
        self.figures: dict[str, Term] = {}
        """The figures of the outcome as terms of the fact, before rounding."""
        self._names: Facts = names_of(moving.provision, moving.at(x), moving.on)
        self._values: dict[int, Result | None] = {}
        self._forms: dict[str, Term | None] = {}
        self._held: set[tuple[int, Fraction | None]] = set()
        self._hold_provision()

    @property
    def is_point(self) -> bool:
        return self.low == self.high == self.x

    def _hold_provision(self) -> None:
        provision, outcome = self.moving.provision, self.outcome
        status = UNDETERMINED if isinstance(outcome, Problem) else outcome.status
        self._hold(provision.status)
        for output in provision.outputs:
            if not (output.statuses is None or status in output.statuses or status == UNDETERMINED):
                continue
            if output.name in FIGURES and status != UNDETERMINED:
                term = self._form(output.expr)
                if term is not None:
                    self.figures[output.name] = term
            elif output.required:
                self._hold(output.expr)
        if status in (*WITH_MEASURES, UNDETERMINED):
            for measure in provision.measures:
                if measure.condition is not None:
                    self._hold(measure.condition)
        if status == UNDETERMINED:
            for field in provision.facts.values():
                if field.asked_when is not None:
                    self._hold(field.asked_when)

    # Values here

    def _value(self, expr: Expr) -> Result | None:
        """The value at `x`; None where there is none (a day beyond the calendar)."""
        key = id(expr)
        if key not in self._values:
            try:
                self._values[key] = evaluate(expr, self._names)
            except EvaluationError:
                self._values[key] = None
        return self._values[key]

    def _known(self, exprs: Sequence[Expr]) -> list[Value]:
        values = [self._value(expr) for expr in exprs]
        return [value for value in values if value is not None and not isinstance(value, Unknown)]

    def _number(self, expr: Expr) -> Fraction | None:
        value = self._value(expr)
        return None if value is None or isinstance(value, (Unknown, str, bool)) else number_of(value)

    # Narrowing

    def _cut(self, root: Fraction) -> None:
        if root == self.x:
            self.low = self.high = root
        elif root < self.x:
            self.low = root if self.low is None else max(self.low, root)
        else:
            self.high = root if self.high is None else min(self.high, root)

    def _apart(self, p: Term, q: Term) -> None:
        """Narrows to where two terms do not meet, or are the same all along."""
        if p.is_same(q):
            return
        for root, is_exact in roots(p, q):
            if not is_exact and self.moving.step is None:
                self.moving.is_solved = False
            self._cut(root)

    def _alone(self) -> None:
        """Narrows to the value itself: nothing is known of its neighbours."""
        if self.moving.step is None:
            self.moving.is_solved = False
        else:
            self._cut(self.x - self.moving.step)
            self._cut(self.x + self.moving.step)

    def _hold(self, expr: Expr, bound: Fraction | None = None) -> None:
        """Narrows to where an expression stays true or false, known, unknown or impossible as it is at `x`.

        A number also stays on its side of `bound`, where one is given.
        """
        if not self.moving.moves(expr):
            return
        if self._number(expr) is None and not (expr.type.kind is Kind.DATE and isinstance(expr, Arithmetic)):
            bound = None
        if (id(expr), bound) in self._held:
            return
        self._held.add((id(expr), bound))
        match expr:
            case Name(name) if name == self.moving.name:
                if bound is not None:
                    self._apart(X, Term.constant(bound))
            case Name(name):
                self._hold(self.moving.lets[name], bound)
            case IfElse():
                for part in self._branches(expr):
                    self._hold(part, bound)
            case Logic():
                self._hold_logic(expr)
            case Compare(_, left, right):
                self._hold_comparison(left, right)
            case Arithmetic():
                self._hold_arithmetic(expr, bound)
            case Call("abs", (inner,)) if bound is not None:
                self._hold(inner, bound)
                self._hold(inner, -bound)
            case Call(function, arguments) if function in STEPS:
                self._hold_step(function, arguments, expr, bound)
            case _:
                for part in children(expr):
                    self._hold(part, bound)

    def _branches(self, expr: IfElse) -> tuple[Expr, ...]:
        """What an `if … else` may come to at `x` and all along."""
        self._hold(expr.condition)
        test = self._value(expr.condition)
        if isinstance(test, bool):
            return (expr.then if test else expr.other,)
        first, second = self._number(expr.then), self._number(expr.other)
        if first is not None and second is not None:  # known where the two are equal
            self._hold_comparison(expr.then, expr.other)
        return expr.then, expr.other

    def _hold_logic(self, expr: Logic) -> None:
        settles = expr.op == "or"
        settling = next((part for part in expr.operands if self._value(part) is settles), None)
        for part in expr.operands if settling is None else (settling,):
            self._hold(part)

    def _hold_comparison(self, left: Expr, right: Expr) -> None:
        a, b = self._number(left), self._number(right)
        if a is None or b is None:
            self._hold(left)
            self._hold(right)
        elif not self.moving.moves(right):
            self._hold(left, b)
        elif not self.moving.moves(left):
            self._hold(right, a)
        elif a != b and self.moving.step is not None and (self.moving.steps(left) or self.moving.steps(right)):
            self._hold(left, (a + b) / 2)  # as long as both keep to their side of it they do not meet
            self._hold(right, (a + b) / 2)
        else:
            p, q = self._form(left), self._form(right)
            if p is not None and q is not None:
                self._apart(p, q)

    def _hold_arithmetic(self, expr: Arithmetic, bound: Fraction | None) -> None:
        left, right = self.moving.operands(expr)
        if expr.op == "/":
            self._hold(right, _ZERO)
        bounds = [bound]
        if expr.type.kind is Kind.DATE:  # days there are
            bounds += [_ZERO, LAST_DAY]
        for limit in bounds:
            self._hold_side(expr.op, left, right, limit, expr)

    def _hold_side(self, op: str, left: Expr, right: Expr, bound: Fraction | None, expr: Arithmetic) -> None:
        """Takes a bound of `left op right` back to the side that moves."""
        if bound is None:
            self._hold(left)
            self._hold(right)
            return
        moving, other = (left, right) if not self.moving.moves(right) else (right, left)
        number = self._number(other)
        if self.moving.moves(other) or number is None:
            term = self._form(expr)
            if term is not None:
                self._apart(term, Term.constant(bound))
            return
        is_left = moving is left
        match op:
            case "+":
                self._hold(moving, bound - number)
            case "-":
                self._hold(moving, bound + number if is_left else number - bound)
            case "*":
                self._hold(moving, bound / number if number else None)
            case "/" if is_left:
                self._hold(moving, bound * number)
            case _:  # number / moving; where that is zero was held apart before
                self._hold(moving, number / bound if bound else None)

    def _hold_step(self, function: str, arguments: tuple[Expr, ...], expr: Call, bound: Fraction | None) -> None:
        """Takes a bound of a step back to its argument, which also stays where the function is defined."""
        places = [place for place, part in enumerate(arguments) if self.moving.moves(part)]
        known = self._known(arguments)
        if len(known) < len(arguments):
            for part in arguments:
                self._hold(part)
            return
        place = places[0]
        step, argument = STEPS[function][place], arguments[place]
        if self._is_kept(function, arguments, known):
            self._hold(argument, bound)
            return
        if len(places) > 1 or (step.reach is None and not self._is_whole(argument)):
            for part in arguments:
                self._hold(part)
            self._alone()
            return
        within = step.domain(known)
        self._hold(argument)
        if within == NOWHERE:
            return
        for edge in within:
            if edge is not None:
                self._hold(argument, edge)
        if bound is None:
            return
        unit = step.unit(known)
        for reached in (bound, (bound // unit + 1) * unit):
            edge = turn(function, place, known, reached, within)
            if edge is not None:
                self._hold(argument, edge)

    def _is_kept(self, function: str, arguments: tuple[Expr, ...], known: Sequence[Value]) -> bool:
        """Whether a rounding changes nothing, because it is of whole numbers."""
        step = STEPS[function][0]
        return step.reach is not None and step.unit(known) <= 1 and self._is_whole(arguments[0])

    def _is_whole(self, expr: Expr) -> bool:
        """Whether an expression is a whole number at every value of the fact."""
        if expr.type.kind is Kind.DATE or expr.type.integer:
            return True
        term = self._form(expr) if self.moving.step is not None else None
        line = term.line if term is not None else None
        return line is not None and all(part.denominator == 1 for part in line)

    # Forms

    def _form(self, expr: Expr) -> Term | None:
        """A number as a term that holds all along the stretch, which is narrowed to that; None where it is none."""
        number = self._number(expr)
        if not self.moving.moves(expr):
            return None if number is None else Term.constant(number)
        if number is None:
            self._hold(expr)
            return None
        match expr:
            case Name(name) if name == self.moving.name:
                return X
            case Name(name):
                if name not in self._forms:
                    self._forms[name] = self._form(self.moving.lets[name])
                return self._forms[name]
            case IfElse():
                terms = [self._form(part) for part in self._branches(expr)]
                return terms[0]  # where both sides are open they are equal all along
            case Arithmetic():
                return self._form_arithmetic(expr)
            case Call("min" | "max", arguments):
                taken = next(part for part in arguments if self._number(part) == number)
                for part in arguments:
                    if part is not taken:
                        self._hold_comparison(taken, part)
                return self._form(taken)
            case Call("abs", (inner,)):
                term = self._form(inner)
                if term is None:
                    return None
                self._apart(term, Term.constant(_ZERO))
                return term if term.at(self.x) >= 0 else Term(-term.a, -term.b, term.c, term.d)
            case Call(function, arguments):
                if self._is_kept(function, arguments, self._known(arguments)):
                    return self._form(arguments[0])
        self._hold(expr, number)
        return Term.constant(number)

    def _form_arithmetic(self, expr: Arithmetic) -> Term | None:
        left, right = self.moving.operands(expr)
        p, q = self._form(left), self._form(right)
        if expr.op == "/":
            self._hold(right, _ZERO)
        if p is None or q is None:
            return None
        found = combine(expr.op, p, q)
        if found is None:
            self.moving.is_solved = False
        elif expr.type.kind is Kind.DATE:
            for edge in (_ZERO, LAST_DAY):
                self._apart(found, Term.constant(edge))
        return found


def figure_of(outcome: Outcome) -> Fraction | None:
    """The money of an outcome before rounding, in fen; its rate where it has no money."""
    for name in FIGURES:
        value = outcome.unrounded.get(name, outcome.values.get(name))
        if value is not None and not isinstance(value, (str, date)):
            return Fraction(value)
    return None


__all__ = ["FIGURES", "Moving", "Stretch", "figure_of"]
