"""Cases as variables of the z3 solver, and questions about them.

A `Space` holds one variable for each fact and, where the fact may be unknown, one that tells whether
it is known; `encoding` puts provisions over such a space, `Questions` asks for a case in which formulas hold.

Calendar functions are unknown functions to the solver. When it names dates, the true value is looked
up and, where the solver assumed another, the true one is added for the whole stretch of days on which
it moves alike; the question is then asked again. Cases outside the published calendar are left out.

What is left open: a number finer than a column's scale (a millionth), a date outside the published
years, and products of facts on which the solver gives up (`Undecided`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from functools import lru_cache
from math import ceil, floor
from typing import Any

from engine.builtins import FUNCTIONS
from engine.calendar import day_number, day_of, published_years
from engine.dataclass import dataclass
from engine.errors import EvaluationError, PackError, Problem, Wording, register
from engine.model import Field
from engine.stored import stored_scale
from engine.types import Kind
from engine.values import Value, shrink

try:
    import z3
except ImportError:  # the extra `verify` is not installed
    z3 = None

TIMEOUT_MS = 4_000
MAX_ROUNDS = 400
REPAIRS = 4

register({
    "solver-disagrees": Wording(
        "{where}：求解器给出的案例未被参考求值器证实（{about}）",
        "{where}: the reference evaluator does not confirm the solver's case ({about})",
        "请报告此问题并保留案例",
        "report this and keep the case"),
    "solver-absent": Wording(
        "验证需要 z3-solver，当前环境没有安装", "verification needs z3-solver, which is not installed",
        "pip install 'hegui[verify]'", "pip install 'hegui[verify]'"),
})  # fmt: skip


class Undecided(Exception):
    """The solver gave up on a question: neither a case nor a proof."""


def has_solver() -> bool:
    return z3 is not None


def require_solver() -> None:
    """Errors (`PackError`): `solver-absent`."""
    if z3 is None:
        raise PackError(Problem("solver-absent"))


Formula = Any
"""A z3 boolean, or a Python one where it is already settled."""
Number = Any
"""A z3 integer."""


@dataclass(frozen=True, slots=True)
class Maybe:
    """A term: its value, and when it has one."""

    known: Formula
    value: Number


@dataclass(frozen=True, slots=True)
class Three:
    """A condition: when it is true and when it is false; neither is unknown."""

    yes: Formula
    no: Formula


def both(*parts: Formula) -> Formula:
    """The conjunction, folded."""
    kept = []
    for part in parts:
        if part is False:
            return False
        if part is not True:
            kept.append(part)
    return True if not kept else kept[0] if len(kept) == 1 else z3.And(*kept)


def either(*parts: Formula) -> Formula:
    """The disjunction, folded."""
    kept = []
    for part in parts:
        if part is True:
            return True
        if part is not False:
            kept.append(part)
    return False if not kept else kept[0] if len(kept) == 1 else z3.Or(*kept)


def negation(part: Formula) -> Formula:
    return (not part) if isinstance(part, bool) else z3.Not(part)


def implies(condition: Formula, then: Formula) -> Formula:
    return either(negation(condition), then)


def pick(condition: Formula, then: Any, other: Any) -> Any:
    """`then` where the condition holds, else `other`; numbers or formulas."""
    if isinstance(condition, bool):
        return then if condition else other
    if isinstance(then, bool) and isinstance(other, bool):
        return then if then == other else (condition if then else z3.Not(condition))
    return z3.If(condition, then, other)


def differs(left: Formula, right: Formula) -> Formula:
    if isinstance(left, bool):
        return negation(right) if left else right
    if isinstance(right, bool):
        return negation(left) if right else left
    return z3.Xor(left, right)


@dataclass(frozen=True, slots=True)
class _Application:
    """A calendar function of terms; `known` tells when its arguments have values."""

    function: str
    arguments: tuple[Number, ...]
    result: Number
    known: Formula


class Space:
    """The facts of a question as variables within their declared bounds.

    `open_facts` tells which facts may be unknown (None: any of them); `near` is a day that dates are
    wished to be close to. A second value of one fact in the same case goes by another variable name.
    """

    def __init__(self, open_facts: Iterable[str] | None = (), near: date | None = None) -> None:
        require_solver()
        self.near = near
        self.open_facts = None if open_facts is None else frozenset(open_facts)
        self.fields: dict[str, Field] = {}
        self.variables: dict[str, Maybe] = {}
        self.domain: list[Formula] = []
        self.words: dict[str, int] = {}
        self.applications: dict[tuple[str, tuple[int, ...]], _Application] = {}
        self.lemmas: list[Formula] = []

    def word(self, text: str) -> int:
        return self.words.setdefault(text, len(self.words))

    def variable(self, name: str, field: Field) -> Maybe:
        """The variable of a fact, made on first use; a second field of the name narrows its bounds."""
        if name in self.variables:
            found = self.variables[name]
            if field is not self.fields[name]:
                self._bound(found, field)
            return found
        is_open = self.open_facts is None or field.name in self.open_facts
        known: Formula = z3.Bool(f"{name}?") if is_open else True
        value = z3.Bool(name) if field.type.kind is Kind.BOOLEAN else z3.Int(name)
        found = self.variables[name] = Maybe(known, value)
        self.fields[name] = field
        self._bound(found, field)
        return found

    def _bound(self, variable: Maybe, field: Field) -> None:
        kind, value = field.type.kind, variable.value
        if kind is Kind.ENUM:
            self.domain.append(either(*(value == self.word(choice) for choice in field.type.values or ())))
        elif kind is Kind.DATE:
            first, last = published_years()
            low = field.minimum if isinstance(field.minimum, date) else date(first, 1, 1)
            high = field.maximum if isinstance(field.maximum, date) else date(last, 12, 31)
            self.domain += [value >= day_number(low), value <= day_number(high)]
        elif kind not in (Kind.BOOLEAN, Kind.TEXT):
            scale = stored_scale(field.type)
            if field.minimum is not None:
                self.domain.append(value >= ceil(Fraction(field.minimum) * scale))  # type: ignore[arg-type]
            if field.maximum is not None:
                self.domain.append(value <= floor(Fraction(field.maximum) * scale))  # type: ignore[arg-type]

    # Calendar functions

    def apply(self, function: str, arguments: tuple[Number, ...], known: Formula) -> Number:
        if function == "date_of":
            self.lemmas.append(
                implies(
                    known,
                    z3.And(
                        arguments[0] >= 1,
                        arguments[0] <= 9999,
                        arguments[1] >= 1,
                        arguments[1] <= 12,
                        arguments[2] >= 1,
                    ),
                )
            )
            return _date_of(*arguments)
        key = (function, tuple(argument.get_id() for argument in arguments))
        old = self.applications.get(key)
        if old is not None:
            self.applications[key] = replace(old, known=either(old.known, known))
            return old.result
        symbol = z3.Function(function, *(z3.IntSort() for _ in arguments), z3.IntSort())
        result = symbol(*arguments)
        self.applications[key] = _Application(function, arguments, result, known)
        if function == "month_of":
            self.lemmas.append(z3.And(result >= 1, result <= 12))
        elif function == "workdays_between":
            self.lemmas.append(result >= 0)
        elif function in ("workdays_after", "next_workday", "months_after"):
            fixed = arguments[1:]
            if all(z3.is_int_value(argument) for argument in fixed):
                low, high = _distance(function, *(argument.as_long() for argument in fixed))
                self.lemmas.append(implies(known, z3.And(result >= arguments[0] + low, result <= arguments[0] + high)))
        return result

    def corrections(self, model: Any) -> list[Formula]:
        """What the model has wrong about the calendar, as facts to add; none where it is right."""
        found: list[Formula] = []
        for call in self.applications.values():
            if not holds(model, call.known):
                continue
            values = tuple(integer_of(model, argument) for argument in call.arguments)
            assumed = integer_of(model, call.result)
            real = calendar_value(call.function, values)
            if real is None:
                found.append(implies(call.known, _outside(call.function, call.arguments, values)))
            elif real != assumed:
                found.append(_stretch(call.function, call.arguments, values, call.result, real))
        return found

    # Reading a model

    def values(self, model: Any, names: Iterable[str] | None = None) -> dict[str, Value | None]:
        """The case a model stands for: each fact's value in engine units; None is unknown."""
        texts = {code: text for text, code in self.words.items()}
        found: dict[str, Value | None] = {}
        for name in names if names is not None else self.variables:
            variable, field = self.variables[name], self.fields[name]
            if not holds(model, variable.known):
                found[name] = None
            elif field.type.kind is Kind.BOOLEAN:
                found[name] = holds(model, variable.value)
            else:
                found[name] = self._decoded(field, integer_of(model, variable.value), texts)
        return found

    @staticmethod
    def _decoded(field: Field, stored: int, texts: Mapping[int, str]) -> Value:
        match field.type.kind:
            case Kind.ENUM:
                return texts[stored]
            case Kind.TEXT:
                return texts.get(stored, f"其他文字{abs(stored)}")
            case Kind.DATE:
                return day_of(stored)
        return shrink(Fraction(stored, stored_scale(field.type)))


def integer_of(model: Any, number: Number) -> int:
    return int(model.eval(number, model_completion=True).as_long())


def holds(model: Any, formula: Formula) -> bool:
    return formula if isinstance(formula, bool) else z3.is_true(model.eval(formula, model_completion=True))


def _date_of(year: Number, month: Number, day: Number) -> Number:
    """The day number of a date, exactly: no days of a month beyond its last.

    Source: Howard Hinnant, chrono-compatible low-level date algorithms, `days_from_civil`.
    """
    leap = z3.And(year % 4 == 0, z3.Or(year % 100 != 0, year % 400 == 0))
    last = z3.If(
        month == 2,
        z3.If(leap, z3.IntVal(29), z3.IntVal(28)),
        z3.If(z3.Or(month == 4, month == 6, month == 9, month == 11), z3.IntVal(30), z3.IntVal(31)),
    )
    within = z3.If(day < last, day, last)
    counted = z3.If(month <= 2, year - 1, year)  # years that begin in March
    from_march = z3.If(month > 2, month - 3, month + 9)
    day_of_year = (153 * from_march + 2) / 5 + within - 1
    return 365 * counted + counted / 4 - counted / 100 + counted / 400 + day_of_year - 719468


def calendar_value(function: str, values: Sequence[int]) -> int | None:
    """A calendar function over day numbers; None where it has no value (outside the published years)."""
    takes = FUNCTIONS[function].takes
    assert takes is not None
    try:
        given = [day_of(value) if Kind.DATE in kinds else value for value, kinds in zip(values, takes, strict=False)]
        found = FUNCTIONS[function].meaning(*given)
    except (EvaluationError, ValueError, OverflowError):
        return None
    return day_number(found) if isinstance(found, date) else int(found)


@lru_cache(maxsize=256)
def _distance(function: str, *fixed: int) -> tuple[int, int]:
    """Least and greatest number of days by which a calendar function moves a published day."""
    first, last = published_years()
    days = range(day_number(date(first, 1, 1)), day_number(date(last, 12, 31)) + 1)
    moved = [found - day for day in days if (found := calendar_value(function, (day, *fixed))) is not None]
    return (min(moved), max(moved)) if moved else (0, 0)


def _outside(function: str, arguments: Sequence[Number], values: Sequence[int]) -> Formula:
    """The dates beyond the calendar that a model named, and those further out, are left out of every case."""
    first, last = published_years()
    if function == "workdays_after" and values[1] >= 0 and day_of(values[0]).year in range(first, last + 1):
        return z3.Not(z3.And(arguments[0] >= values[0], arguments[1] >= values[1]))
    return z3.Not(z3.And(*(argument == value for argument, value in zip(arguments, values, strict=True))))


def _stretch(function: str, arguments: Sequence[Number], values: Sequence[int], result: Number, real: int) -> Formula:
    """The true value, for all first arguments around this one for which the function moves alike."""
    others = [argument == value for argument, value in itertools.islice(zip(arguments, values, strict=True), 1, None)]
    first, rest = values[0], tuple(values[1:])

    def run(step: int, moves: bool) -> int:
        place = first
        while abs(place - first) < 400:
            found = calendar_value(function, (place + step, *rest))
            if found is None or found != real + (place + step - first if moves else 0):
                return place
            place += step
        return place

    low, high = run(-1, False), run(1, False)
    moving_low, moving_high = run(-1, True), run(1, True)
    if moving_high - moving_low > high - low:
        return implies(
            both(arguments[0] >= moving_low, arguments[0] <= moving_high, *others),
            result == arguments[0] + (real - first),
        )
    return implies(both(arguments[0] >= low, arguments[0] <= high, *others), result == real)


class Questions:
    """A solver over a space: asks for a case in which formulas hold, and makes it simple."""

    def __init__(self, space: Space, timeout_ms: int = TIMEOUT_MS) -> None:
        self.space = space
        self.solver = z3.Solver()
        self.solver.set("timeout", timeout_ms)
        self._domain = self._lemmas = 0

    def _sync(self) -> None:
        for formula in (*self.space.domain[self._domain :], *self.space.lemmas[self._lemmas :]):
            if formula is not True:
                self.solver.add(formula)
        self._domain, self._lemmas = len(self.space.domain), len(self.space.lemmas)

    def case(self, *formulas: Formula) -> Any | None:
        """A model in which all formulas hold, or None: there is none, proved.

        Errors: `Undecided` where the solver gave up.
        """
        asked = both(*formulas)
        if asked is False:
            return None
        for _ in range(MAX_ROUNDS):
            model = self._check(asked)
            if model is None:
                return None
            corrections = self.space.corrections(model)
            if not corrections:
                return model
            # Often the very case will do once the calendar is right: its facts are kept for a few rounds.
            kept = both(
                asked,
                *(
                    variable.value == model.eval(variable.value, model_completion=True)
                    for variable in self.space.variables.values()
                ),
            )
            for _ in range(REPAIRS):
                self.space.lemmas += corrections
                repaired = self._check(kept)
                if repaired is None:
                    break
                corrections = self.space.corrections(repaired)
                if not corrections:
                    return repaired
        raise Undecided

    def _check(self, asked: Formula) -> Any | None:
        self._sync()
        self.solver.push()
        try:
            if asked is not True:
                self.solver.add(asked)
            answer = self.solver.check()
            if answer == z3.unsat:
                return None
            if answer != z3.sat:
                raise Undecided
            return self.solver.model()
        finally:
            self.solver.pop()

    def simple_case(self, *formulas: Formula) -> Any | None:
        """As `case`, with plain values: few facts known where they may be unknown, zeros, round figures."""
        model = self.case(*formulas)
        if model is None:
            return None
        kept = list(formulas)
        for name, variable in self.space.variables.items():
            for wish in self._wishes(name, variable, model):
                try:
                    better = self.case(*kept, wish)
                except Undecided:
                    continue
                if better is not None:
                    model = better
                    kept.append(wish)
                    break
            else:
                kept.append(self._as_is(variable, model))
        return model

    def _wishes(self, name: str, variable: Maybe, model: Any) -> list[Formula]:
        field = self.space.fields[name]
        if field.type.kind in (Kind.BOOLEAN, Kind.ENUM, Kind.TEXT):
            return []
        current, scale = integer_of(model, variable.value), stored_scale(field.type)
        low = ceil(Fraction(field.minimum) * scale) if isinstance(field.minimum, (int, Fraction)) else 0
        if field.type.kind is Kind.MONEY:
            plain = [0, 10**8, 10**6, 10**10, 10**4, 100, 1]
        elif field.type.kind is Kind.DATE:
            near = self.space.near
            plain = [] if near is None else [day_number(near) + step for step in (0, 1, -1, 30)]
        else:
            plain = [0, scale, low, 10 * scale, 100 * scale, scale // 2, scale // 10]
        wishes = [variable.value == value for value in dict.fromkeys(plain) if value != current]
        if field.type.kind is not Kind.DATE:
            wishes += [variable.value % unit == 0 for unit in (10**6, 10**4, 100) if current % unit]
        return wishes

    @staticmethod
    def _as_is(variable: Maybe, model: Any) -> Formula:
        return variable.value == model.eval(variable.value, model_completion=True)

    def smallest(self, number: Number, *formulas: Formula) -> Any | None:
        """A model with the least value of a number of at least zero, by halving."""
        best = self.case(*formulas)
        if best is None:
            return None
        high, low = integer_of(best, number), 0
        while low < high:
            middle = (low + high) // 2
            try:
                found = self.case(*formulas, number <= middle, number >= 0)
            except Undecided:
                return best
            if found is None:
                low = middle + 1
            else:
                best, high = found, integer_of(found, number)
        return best

    def reach(self, goals: Mapping[str, Formula], *context: Formula) -> dict[str, Any]:
        """For each goal a model in which it holds with the context; None: there is none; `Undecided`: not known."""
        found: dict[str, Any] = {}
        pending = {name: goal for name, goal in goals.items() if goal is not False}
        found.update({name: None for name in goals if name not in pending})
        while pending:
            name, goal = next(iter(pending.items()))
            del pending[name]
            try:
                model = self.case(*context, goal)
            except Undecided:
                found[name] = Undecided
                continue
            found[name] = model
            if model is None:
                continue
            for other, formula in list(pending.items()):
                if holds(model, formula):
                    found[other] = model
                    del pending[other]
        return found
