"""The reference meaning as a Python function, for speed where no trace is wanted.

From a plan in normal form, one function is generated for each pattern of unknown facts that turns
up: with the unknowns folded in, what is left is straight integer code without a test for null. A
pattern whose code would still have to carry unknowns is left to the reference evaluator, as is a
value finer than its column's scale. What several places need (a rate, for the status and for the
amount) is worked out once. The text that is compiled is written here from the plan's
nodes only; no text of a pack reaches it other than as quoted constants.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import is_dataclass
from datetime import date
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

from engine.builtins import FUNCTIONS
from engine.calendar import day_number, day_of
from engine.errors import EvaluationError
from engine.model import Provision
from engine.normal import Plan, PlanOutput, normal_form
from engine.outcome import assess
from engine.stored import encode
from engine.terms import (
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
    Node,
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
    has_call,
    negate,
    operate,
)
from engine.types import Kind
from engine.values import Value, shrink

Decision = tuple[str, dict[str, Value]]
"""A status and the values that go with it, as in `Outcome`."""

MAX_PATTERNS = 512
"""Patterns of unknown facts that get a function of their own; later ones go to the reference."""


class CannotCompile(Exception):
    """The code for this pattern would have to carry unknowns."""


# Folding in what is unknown


def fold_unknown(node: Any, unknown: frozenset[str]) -> Any:
    """The node where the named columns are null, simplified.

    Errors: `CannotCompile` where a calendar function would fall away beside an unknown value: it may
    have no answer, and that is then the outcome.
    """
    match node:
        case Column(name):
            return Null() if name in unknown else node
        case Flag(name):
            return Truth(None) if name in unknown else node
        case Operation(op, left, right):
            return operate(op, *_kept(fold_unknown(left, unknown), fold_unknown(right, unknown)))
        case DateCall(function, arguments):
            parts = _kept(*(fold_unknown(part, unknown) for part in arguments))
            return Null() if Null() in parts else DateCall(function, parts)
        case Choose(condition, then, other):
            return choose_term(
                fold_unknown(condition, unknown), fold_unknown(then, unknown), fold_unknown(other, unknown)
            )
        case Test(op, left, right):
            return compare_terms(op, *_kept(fold_unknown(left, unknown), fold_unknown(right, unknown)))
        case All(parts):
            return all_of(tuple(fold_unknown(part, unknown) for part in parts))
        case AnyOf(parts):
            return any_of(tuple(fold_unknown(part, unknown) for part in parts))
        case Negate(part):
            return negate(fold_unknown(part, unknown))
        case Known(what):
            found = fold_unknown(what, unknown)
            if isinstance(found, Null) or found == Truth(None):
                return Truth(False)
            return Truth(True) if _never_null(found) and not has_call(found) else Known(found)
    return node


def _kept(*parts: Any) -> tuple[Any, ...]:
    """The parts of a strict node, none of which may fail unseen where another is null."""
    if Null() in parts and any(map(has_call, parts)):
        raise CannotCompile
    return parts


def _never_null(node: Node) -> bool:
    """Whether a node has a value whatever its columns hold (all of them known)."""
    match node:
        case Null() | Truth(value=None):
            return False
        case Operation(_, left, right) | Test(_, left, right):
            return _never_null(left) and _never_null(right)
        case DateCall(_, arguments):
            return all(map(_never_null, arguments))
        case Choose(condition, then, other):
            return _never_null(condition) and _never_null(then) and _never_null(other)
        case All(parts) | AnyOf(parts):
            return all(map(_never_null, parts))
        case Negate(part):
            return _never_null(part)
    return True


def is_true(condition: Condition) -> Condition:
    """When a three-valued condition is true, as a two-valued one."""
    match condition:
        case Truth(value):
            return Truth(value is True)
        case All(parts):
            return all_of(tuple(is_true(part) for part in parts))
        case AnyOf(parts):
            return any_of(tuple(is_true(part) for part in parts))
        case Negate(part):
            return is_false(part)
    return _two_valued(condition)


def is_false(condition: Condition) -> Condition:
    """When a three-valued condition is false, as a two-valued one."""
    match condition:
        case Truth(value):
            return Truth(value is False)
        case All(parts):
            return any_of(tuple(is_false(part) for part in parts))
        case AnyOf(parts):
            return all_of(tuple(is_false(part) for part in parts))
        case Negate(part):
            return is_true(part)
    return negate(_two_valued(condition))


def _two_valued(condition: Condition) -> Condition:
    """A single test of values that are known, or that a guard makes null at run time (the code stops there)."""
    if isinstance(condition, Known):
        raise CannotCompile
    return condition


# Writing the function

_PYTHON = {"//": "//", "+": "+", "-": "-", "*": "*"}


class _Terms:
    """Numbers for the nodes of some trees, the same for equal nodes, and how many places use each."""

    def __init__(self) -> None:
        self.uses: Counter[int] = Counter()
        self._numbers: dict[int, int] = {}  # by identity: the trees outlive this
        self._shapes: dict[tuple[Any, ...], int] = {}

    def add(self, tree: Node) -> None:
        self.uses[self._number(tree)] += 1

    def repeated(self, node: Term) -> int | None:
        """The number of a term that takes some work and is used in several places."""
        number = self._numbers.get(id(node)) if isinstance(node, (Operation, Choose)) else None
        return number if number is not None and self.uses[number] > 1 else None

    def _number(self, node: Any) -> int:
        found = self._numbers.get(id(node))
        if found is None:
            held = [getattr(node, name) for name in node.__match_args__]
            parts = [part for value in held for part in (value if isinstance(value, tuple) else (value,))]
            inner = [self._number(part) if is_dataclass(part) else part for part in parts]
            shape = (type(node), *inner)
            found = self._shapes.get(shape)
            if found is None:
                found = self._shapes[shape] = len(self._shapes)
                self.uses.update(number for part, number in zip(parts, inner, strict=True) if is_dataclass(part))
            self._numbers[id(node)] = found
        return found


class _Writer:
    def __init__(self, plan: Plan, unknown: frozenset[str]) -> None:
        self.plan, self.unknown = plan, unknown
        self.known = [name for name in plan.columns if name not in unknown]
        self.names = {name: f"v{number}" for number, name in enumerate(self.known)}
        self.constants: dict[str, Any] = {}
        self.lines: list[str] = []
        self.terms = _Terms()
        self.shared: dict[int, str] = {}
        """Terms worked out wherever the code being written is reached: their numbers, and the names they got."""
        self.shared_names = 0

    def function(self) -> Callable[[Mapping[str, Any]], Any]:
        """The decision from values by name; `_MISSING` where one of the pattern's values is unknown after all.

        It may raise `KeyError` (a value is absent), `ValueError` (finer than its column) and `_Stop`.
        """
        for name, local in self.names.items():
            self.line(1, f"{local} = {self.value(name)}")
        if self.names:
            self.line(1, f"if {' or '.join(f'{local} is None' for local in self.names.values())}:")
            self.line(2, f"return {self.constant(_MISSING)}")
        status = fold_unknown(self.plan.status, self.unknown)
        self.outputs = [
            (output, fold_unknown(output.value, self.unknown), fold_unknown(output.denominator, self.unknown))
            for output in self.plan.outputs
        ]
        for root in (status, *(node for _, *nodes in self.outputs for node in nodes)):
            self.terms.add(root)
        self.status(status, 1)
        source = "def decide(values):\n" + "\n".join(self.lines) + "\n"
        scope: dict[str, Any] = {"__builtins__": {"min": min, "max": max}, **self.constants}
        exec(compile(source, f"<{self.plan.provision}>", "exec"), scope)  # the source is written above, from nodes only
        found: Callable[[Mapping[str, Any]], Any] = scope["decide"]
        return found

    def value(self, name: str) -> str:
        """A column's stored value; a default stands in where the name is absent, not where it is unknown."""
        field = self.plan.columns[name]
        if field.default is None:
            given = f"values[{name!r}]"
        else:
            given = f"values.get({name!r}, {self.constant(field.default)})"
        if field.type.kind in (Kind.BOOLEAN, Kind.MONEY, Kind.ENUM, Kind.TEXT) or field.type.integer:
            return given
        return f"{self.constant(partial(encode, of=field.type))}({given})"

    def line(self, indent: int, text: str) -> None:
        self.lines.append("    " * indent + text)

    def constant(self, value: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    def status(self, node: Term, indent: int) -> None:
        """Statements that return the decision, one branch of the status after the other."""
        if indent > 60:
            raise CannotCompile
        match node:
            case Word(status):
                self.result(status, indent)
            case Null():
                self.line(indent, "return None")
            case Choose(condition, then, other):
                yes, no = is_true(condition), is_false(condition)
                if yes == Truth(False) and no == Truth(False):
                    self.line(indent, "return None")
                    return
                self.line(indent, f"if {self.condition(yes, True)}:")
                self.branch(then, indent + 1)
                if negate(yes) == no:
                    self.branch(other, indent)
                    return
                self.line(indent, f"if {self.condition(no, True)}:")
                self.branch(other, indent + 1)
                self.line(indent, "return None")  # undecided: the reference says which facts are missing
            case _:
                raise CannotCompile

    def branch(self, node: Term, indent: int) -> None:
        """A branch of the status; what is worked out in it is not there for the next one."""
        before = dict(self.shared)
        self.status(node, indent)
        self.shared = before

    def result(self, status: str, indent: int) -> None:
        pairs = []
        for output, value, denominator in self.outputs:
            if output.statuses is not None and status not in output.statuses:
                continue
            if isinstance(value, Null) or value == Truth(None):
                if output.required and output.statuses is not None:
                    self.line(indent, "return None")
                    return
                continue
            if (not output.required and output.statuses is not None) or (output.hidden and has_call(value)):
                # It may fail on its own (a date beyond the calendar); the reference knows how.
                self.line(indent, f"return {self.constant(_stop)}()")
                return
            text = self.output(output, value, denominator)
            if not output.hidden:
                pairs.append(f"{output.name!r}: {text}")
        self.line(indent, f"return {status!r}, {{{', '.join(pairs)}}}")

    def output(self, output: PlanOutput, value: Any, denominator: Term) -> str:
        if output.kind is Kind.BOOLEAN:
            if negate(is_true(value)) != is_false(value):
                raise CannotCompile  # it may stay unknown
            return f"({self.condition(is_true(value), True)})"
        text = self.term(value, True)
        if output.kind is Kind.DATE:
            return f"{self.constant(day_of)}({text})"
        if denominator == Const(1):
            return text
        return f"{self.constant(_quotient)}({text}, {self.term(denominator, True)})"

    # `sure` says that the text is evaluated whenever its statement is, before all that is written after
    # it: only there may a term get a name that later text uses.

    def term(self, node: Term, sure: bool) -> str:
        number = self.terms.repeated(node)
        if number is not None and number in self.shared:
            return self.shared[number]
        text = self.fresh_term(node, sure)
        if number is None or not sure:
            return text
        name = self.shared[number] = f"t{self.shared_names}"
        self.shared_names += 1
        return f"({name} := {text})"

    def fresh_term(self, node: Term, sure: bool) -> str:
        match node:
            case Const(value):
                return f"({value})" if value < 0 else str(value)
            case Word(value):
                return repr(value)
            case Column(name):
                return self.names[name]
            case Operation("min" | "max" as op, left, right):
                return f"{op}({self.term(left, sure)}, {self.term(right, sure)})"
            case Operation(op, left, right):
                return f"({self.term(left, sure)} {_PYTHON[op]} {self.term(right, sure)})"
            case DateCall(function, arguments):
                parts = ", ".join(self.term(part, sure) for part in arguments)
                return f"{self.constant(_day_function(function))}({parts})"
            case Choose(condition, then, other):
                yes = is_true(condition)
                if negate(yes) != is_false(condition):
                    raise CannotCompile
                test = self.condition(yes, sure)  # evaluated, so written, before the two it chooses from
                return f"({self.chosen(then)} if {test} else {self.chosen(other)})"
        raise CannotCompile

    def chosen(self, node: Term) -> str:
        return f"{self.constant(_stop)}()" if isinstance(node, Null) else self.term(node, False)

    def condition(self, node: Condition, sure: bool) -> str:
        match node:
            case Truth(value):
                return str(value)
            case Flag(name):
                return self.names[name]
            case Test(op, left, right):
                return f"{self.term(left, sure)} {op} {self.term(right, sure)}"
            case All(parts):
                return "(" + " and ".join(self.parts(parts, sure)) + ")"
            case AnyOf(parts):
                return "(" + " or ".join(self.parts(parts, sure)) + ")"
            case Negate(part):
                return f"(not {self.condition(part, sure)})"
        raise CannotCompile

    def parts(self, nodes: tuple[Condition, ...], sure: bool) -> list[str]:
        """The parts of an `and` or `or`: none but the first is sure to be evaluated."""
        return [self.condition(node, sure and not number) for number, node in enumerate(nodes)]


class _Stop(Exception):
    """A value turned out to be unknown while running (a division by zero)."""


def _stop() -> None:
    raise _Stop


@lru_cache(maxsize=4096)  # rates are few
def _quotient(numerator: int, denominator: int) -> Value:
    return shrink(Fraction(numerator, denominator))


def _day_function(name: str) -> Callable[..., int]:
    """A calendar function over day numbers."""
    meaning, takes = FUNCTIONS[name].meaning, FUNCTIONS[name].takes
    assert takes is not None
    dates = [Kind.DATE in kinds for kinds in takes]

    def call(*arguments: int) -> int:
        values = [day_of(value) if is_date else value for value, is_date in zip(arguments, dates, strict=True)]
        found = meaning(*values)
        return day_number(found) if isinstance(found, date) else int(found)

    return call


class CompiledProvision:
    """A provision ready to be decided many times, for one day's parameters.

    `decide(values)` takes typed values by name (absent or None: unknown) and gives the status with
    its values, the same as `assess`; `undetermined` comes without the list of missing facts, which
    `assess` gives.
    """

    def __init__(self, provision: Provision, on: date | None = None) -> None:
        self.provision, self.on = provision, on
        parameters = {name: parameter.on(on) if on else None for name, parameter in provision.parameters.items()}
        self.plan = normal_form(provision, parameters)
        self._defaults = {name: field.default for name, field in provision.facts.items()}
        self._functions: dict[frozenset[str], Callable[[Mapping[str, Any]], Any] | None] = {}
        self._all_known: Callable[[Mapping[str, Any]], Any] = self._first

    def decide(self, values: Mapping[str, Value | None]) -> Decision:
        try:
            found = self._all_known(values)
        except (KeyError, ValueError, EvaluationError, _Stop):
            found = _MISSING
        if found is _MISSING:
            found = self._with_unknowns(values)
        return found if found is not None else self._reference(values)  # open, or open branches that agree

    def _first(self, values: Mapping[str, Value | None]) -> Any:
        """Stands in for the function of the usual pattern, nothing unknown, until that is wanted."""
        self._all_known = self._compile(frozenset()) or _no_answer
        return self._all_known(values)

    def _with_unknowns(self, values: Mapping[str, Value | None]) -> Decision | None:
        unknown = frozenset(name for name, default in self._defaults.items() if values.get(name, default) is None)
        function = self._functions.get(unknown, _MISSING)
        if function is _MISSING:
            function = self._compile(unknown)
        try:
            return function(values) if function is not None else None
        except (ValueError, EvaluationError, _Stop):
            return None  # the reference says whether what went wrong matters

    def _compile(self, unknown: frozenset[str]) -> Callable[[Mapping[str, Any]], Any] | None:
        if len(self._functions) >= MAX_PATTERNS:
            return None
        try:
            self._functions[unknown] = _Writer(self.plan, unknown).function()
        except CannotCompile:
            self._functions[unknown] = None
        return self._functions[unknown]

    def _reference(self, values: Mapping[str, Value | None]) -> Decision:
        outcome = assess(self.provision, values, self.on)
        return outcome.status, dict(outcome.values)


_MISSING: Any = object()


def _no_answer(values: Mapping[str, Any]) -> None:
    """In place of a function that could not be compiled: the reference takes the case."""
