"""What the normal form is made of: terms and conditions, built with what is known folded in.

A term is a whole number, a word, or null; a condition is true, false or null. Null is unknown: arithmetic
and comparisons pass it on, `All` and `AnyOf` are three-valued, and `Choose` with a null condition is null
unless both sides are equal. What occurs in several places stays one object, so that it is gone through once.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import TypeAlias, get_args

from engine.dataclass import dataclass
from engine.expr import distinct

# Terms


@dataclass(frozen=True, slots=True)
class Const:
    value: int


@dataclass(frozen=True, slots=True)
class Word:
    """A text or an enumeration's value."""

    value: str


@dataclass(frozen=True, slots=True)
class Null:
    """A term that is unknown whatever the facts are."""


@dataclass(frozen=True, slots=True)
class Column:
    """A fact as stored: a whole number at its scale, a day number, or a word."""

    name: str


@dataclass(frozen=True, slots=True)
class Operation:
    """`+ - * // min max` of two terms; a divisor of `//` is positive."""

    op: str
    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class DateCall:
    """A calendar function of day numbers and whole numbers."""

    function: str
    arguments: tuple[Term, ...]


@dataclass(frozen=True, slots=True)
class Choose:
    """`then` where the condition is true, `other` where it is false."""

    condition: Condition
    then: Term
    other: Term


Term: TypeAlias = Const | Word | Null | Column | Operation | DateCall | Choose


# Conditions


@dataclass(frozen=True, slots=True)
class Truth:
    """A condition that is always true, always false, or (None) never known."""

    value: bool | None


@dataclass(frozen=True, slots=True)
class Flag:
    """A yes/no fact."""

    name: str


@dataclass(frozen=True, slots=True)
class Test:
    """A comparison of two terms."""

    op: str
    left: Term
    right: Term


@dataclass(frozen=True, slots=True)
class All:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Negate:
    part: Condition


@dataclass(frozen=True, slots=True)
class Known:
    """Whether a term or condition has a value; itself never null."""

    what: Term | Condition


Condition: TypeAlias = Truth | Flag | Test | All | AnyOf | Negate | Known
Node: TypeAlias = Term | Condition
_NODES = frozenset(get_args(Node))

ZERO, ONE = Const(0), Const(1)


# Building with what is known folded in


def operate(op: str, left: Term, right: Term) -> Term:
    """`left op right`, folded where both are constants or one changes nothing.

    A side that may fail (a day beyond the calendar) stays, though the other is unknown.
    """
    if isinstance(left, Null) or isinstance(right, Null):
        return Operation(op, left, right) if has_call(left) or has_call(right) else Null()
    if isinstance(left, Const) and isinstance(right, Const):
        a, b = left.value, right.value
        results = {"+": a + b, "-": a - b, "*": a * b, "min": min(a, b), "max": max(a, b)}
        return Const(a // b if op == "//" else results[op])
    if op == "*":
        if isinstance(right, Const):
            left, right = right, left
        if left == ONE:
            return right
        if (
            isinstance(left, Const)
            and isinstance(right, Operation)
            and right.op == "*"
            and isinstance(right.left, Const)
        ):
            return operate("*", Const(left.value * right.left.value), right.right)
    if (op in "+-" and right == ZERO) or (op == "//" and right == ONE):
        return left
    if op == "+" and left == ZERO:
        return right
    return Operation(op, left, right)


INVERSE = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}
"""The comparison that holds where another does not."""
MIRRORED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}
"""The same comparison with its sides exchanged."""
_HOLDS = {"<": int.__lt__, "<=": int.__le__, ">": int.__gt__, ">=": int.__ge__, "==": int.__eq__, "!=": int.__ne__}


def compare_terms(op: str, left: Term, right: Term) -> Condition:
    """`left op right`, folded as `operate` is."""
    if isinstance(left, Null) or isinstance(right, Null):
        return Test(op, left, right) if has_call(left) or has_call(right) else Truth(None)
    if isinstance(left, Const) and isinstance(right, Const):
        return Truth(bool(_HOLDS[op](left.value, right.value)))
    if isinstance(left, Word) and isinstance(right, Word):
        return Truth((left == right) is (op == "=="))
    return Test(op, left, right)


def negate(part: Condition, done: dict[int, tuple[Condition, Condition]] | None = None) -> Condition:
    """What holds where the condition does not. `done`: conditions by their id and what each was turned into."""
    done = {} if done is None else done
    if id(part) not in done:
        found = _negated(part, done)
        done[id(part)] = part, found
        done.setdefault(id(found), (found, part))
    return done[id(part)][1]


def _negated(part: Condition, done: dict[int, tuple[Condition, Condition]]) -> Condition:
    match part:
        case Truth(value):
            return Truth(None if value is None else not value)
        case Negate(inner):
            return inner
        case Test(op, left, right):
            return Test(INVERSE[op], left, right)
        case All(parts):
            return any_of(tuple(negate(inner, done) for inner in parts))
        case AnyOf(parts):
            return all_of(tuple(negate(inner, done) for inner in parts))
    return Negate(part)


def all_of(parts: tuple[Condition, ...]) -> Condition:
    flat = tuple(
        distinct(
            inner
            for part in parts
            for inner in (part.parts if isinstance(part, All) else (part,))
            if inner != Truth(True)
        )
    )
    if Truth(False) in flat:
        return Truth(False)
    if not flat:
        return Truth(True)
    return flat[0] if len(flat) == 1 else All(flat)


def any_of(parts: tuple[Condition, ...]) -> Condition:
    flat = tuple(
        distinct(
            inner
            for part in parts
            for inner in (part.parts if isinstance(part, AnyOf) else (part,))
            if inner != Truth(False)
        )
    )
    if Truth(True) in flat:
        return Truth(True)
    if not flat:
        return Truth(False)
    return flat[0] if len(flat) == 1 else AnyOf(flat)


def choose_term(condition: Condition, then: Term, other: Term) -> Term:
    """`then if condition else other`; a condition that may fail stays, though both sides are the same."""
    if condition == Truth(True) or (then == other and not isinstance(then, Null) and not has_call(condition)):
        return then
    if condition == Truth(False):
        return other
    if condition == Truth(None) and (isinstance(then, Null) or isinstance(other, Null)):
        return Null()
    return Choose(condition, then, other)


def nodes(*roots: Node) -> Iterator[Node]:
    """Some nodes and everything in them, from the outside in and from left to right; each object once."""
    waiting: list[Node] = list(reversed(roots))
    seen: set[int] = set()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        yield node
        for name in reversed(node.__match_args__):
            held = getattr(node, name)
            parts = reversed(held) if isinstance(held, tuple) else (held,)
            waiting += [part for part in parts if part.__class__ in _NODES]


def has_call(node: Node) -> bool:
    """Whether a calendar function is in it, which may have no answer."""
    return any(isinstance(part, DateCall) for part in nodes(node))


def factor_of(term: Term, seed: int) -> int:
    """The greatest constant known to divide a term, together with `seed`."""
    found, waiting, seen = seed, [term], set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        match part:
            case Const(value) | Operation("*", Const(value), _):
                found = gcd(found, value)
            case Operation("+" | "-" | "min" | "max", left, right) | Choose(_, left, right):
                waiting += (left, right)
            case Null():
                pass
            case _:
                return 1
    return found


def divided(term: Term, factor: int) -> Term:
    """The term by a constant that divides it; parts that occur in several places stay one."""
    if factor == 1:
        return term
    done: dict[int, Term] = {}

    def of(part: Term) -> Term:
        found = done.get(id(part))
        if found is None:
            match part:
                case Const(value):
                    found = Const(value // factor)
                case Operation("*", Const(value), right):
                    found = operate("*", Const(value // factor), right)
                case Operation(op, left, right) if op in ("+", "-", "min", "max"):
                    found = operate(op, of(left), of(right))
                case Choose(condition, then, other):
                    found = choose_term(condition, of(then), of(other))
                case _:
                    found = part
            done[id(part)] = found
        return found

    return of(term)
