"""The nodes of a rule expression, walking them and printing them back.

Few kinds, all immutable. Positions and types travel along but are left out of equality,
so two spellings of one condition are equal. `parse` builds untyped trees, `check` rebuilds
them with names resolved and types set; only checked trees are evaluated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import field, fields, is_dataclass
from functools import lru_cache
from typing import TypeAlias, TypeVar

from engine.dataclass import dataclass
from engine.source import NOWHERE, Location
from engine.types import BOOLEAN, NUMBER, Kind, Type
from engine.values import FEN_PER_YUAN, Value, decimal_text, percent_text


@dataclass(frozen=True, slots=True, order=True)
class Reason:
    """Why a value is unknown though every fact is given, for people."""

    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written in the rule; None is unknown, with the reason why."""

    value: Value | None
    type: Type
    at: Location = field(default=NOWHERE, compare=False, repr=False)
    reason: Reason | None = None


@dataclass(frozen=True, slots=True)
class Name:
    """A fact, a `let`, or a parameter; before checking it may also be an enumeration's value."""

    name: str
    at: Location = field(default=NOWHERE, compare=False, repr=False)
    type: Type = field(default=NUMBER, compare=False, repr=False)
    role: str = field(default="", compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expr
    at: Location = field(default=NOWHERE, compare=False, repr=False)
    type: Type = field(default=BOOLEAN, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Logic:
    """`and` or `or` over two or more conditions (three-valued)."""

    op: str
    operands: tuple[Expr, ...]
    at: Location = field(default=NOWHERE, compare=False, repr=False)
    type: Type = field(default=BOOLEAN, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Compare:
    """One comparison; a chain `a <= b < c` is an `and` of its links."""

    op: str
    left: Expr
    right: Expr
    at: Location = field(default=NOWHERE, compare=False, repr=False)
    type: Type = field(default=BOOLEAN, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`+ - * /`, exact."""

    op: str
    left: Expr
    right: Expr
    at: Location = field(default=NOWHERE, compare=False, repr=False)
    type: Type = field(default=NUMBER, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class IfElse:
    """`then if condition else other`. An undecided condition matters only where the two differ."""

    condition: Expr
    then: Expr
    other: Expr
    at: Location = field(default=NOWHERE, compare=False, repr=False)
    type: Type = field(default=NUMBER, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Call:
    """A function of `builtins`."""

    function: str
    arguments: tuple[Expr, ...]
    at: Location = field(default=NOWHERE, compare=False, repr=False)
    type: Type = field(default=NUMBER, compare=False, repr=False)


Expr: TypeAlias = Literal | Name | Not | Logic | Compare | Arithmetic | IfElse | Call


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct parts of a node, in the order they are written."""
    match expr:
        case Literal() | Name():
            return ()
        case Not(operand):
            return (operand,)
        case Logic(_, operands):
            return operands
        case Compare(_, left, right) | Arithmetic(_, left, right):
            return (left, right)
        case IfElse(condition, then, other):
            return (condition, then, other)
        case Call(_, arguments):
            return arguments


def walk(expr: Expr) -> Iterator[Expr]:
    """The node and all below it, parents first."""
    stack: list[Expr] = [expr]
    while stack:
        node = stack.pop()
        yield node
        stack.extend(reversed(children(node)))


def names(expr: Expr) -> set[str]:
    """Every name the expression reads."""
    return {node.name for node in walk(expr) if isinstance(node, Name)}


def always(value: bool) -> Literal:
    return Literal(value, BOOLEAN)


def conjunction(parts: list[Expr]) -> Expr:
    """All of the conditions; true where there are none."""
    flat = [
        inner
        for part in parts
        for inner in (part.operands if isinstance(part, Logic) and part.op == "and" else (part,))
    ]
    if not flat:
        return always(True)
    return flat[0] if len(flat) == 1 else Logic("and", tuple(flat), at=flat[0].at)


_PRECEDENCE = {"or": 1, "and": 2, "not": 3, "compare": 4, "+": 5, "-": 5, "*": 6, "/": 6}


def show(expr: Expr) -> str:
    """The expression as text that parses to the same tree."""
    return _show(expr, 0)


def _show(expr: Expr, outer: int) -> str:
    match expr:
        case Literal():
            return literal_text(expr)
        case Name(name):
            return name
        case Not(operand):
            return _wrap(f"not {_show(operand, 3)}", 3, outer)
        case Logic(op, operands):
            own = _PRECEDENCE[op]
            return _wrap(f" {op} ".join(_show(part, own + 1) for part in operands), own, outer)
        case Compare(op, left, right):
            return _wrap(f"{_show(left, 5)} {op} {_show(right, 5)}", 4, outer)
        case Arithmetic(op, left, right):
            own = _PRECEDENCE[op]
            return _wrap(f"{_show(left, own)} {op} {_show(right, own + 1)}", own, outer)
        case IfElse(condition, then, other):
            return _wrap(f"{_show(then, 1)} if {_show(condition, 1)} else {_show(other, 0)}", 0, outer or -1)
        case Call(function, arguments):
            return f"{function}({', '.join(_show(part, 0) for part in arguments)})"


def _wrap(text: str, own: int, outer: int) -> str:
    return f"({text})" if own < outer or (own == 0 and outer > 0) else text


def literal_text(literal: Literal) -> str:
    """A literal as the policy writes it: `500万元`, `85%`, `2019-03-22`."""
    value = literal.value
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return value if value.isidentifier() and literal.type.kind is Kind.ENUM else f"'{value}'"
    if literal.type.kind is Kind.MONEY and not hasattr(value, "year"):
        from fractions import Fraction

        yuan = Fraction(value) / FEN_PER_YUAN
        for scale, word in ((10**8, "亿元"), (10**4, "万元")):
            if yuan and (yuan / scale * 100).denominator == 1 and abs(yuan) >= scale:
                return decimal_text(yuan / scale) + word
        return decimal_text(yuan) + "元"
    if literal.type.kind is Kind.RATIO and not hasattr(value, "year"):
        return percent_text(value) + "%"
    if hasattr(value, "isoformat"):
        return value.isoformat()
    return decimal_text(value)


T = TypeVar("T")


def distinct(parts: Iterable[T]) -> list[T]:
    """The parts without repetitions, in order.

    They are compared with each other, many only with those of the same outline: to hash deep trees takes far
    longer, and where they share what is in them, longer than anybody waits.
    """
    found = list(parts)
    kept: list[T] = []
    alike: dict[object, list[T]] = {}
    for part in found:
        others = alike.setdefault(_outline(part, OUTLINE) if len(found) > FEW else None, [])
        if not any(part is other or part == other for other in others):
            kept.append(part)
            others.append(part)
    return kept


FEW = 16
"""Parts that are all compared with each other."""
OUTLINE = 3
"""Levels of a part by which it is told from most others."""


def _outline(part: object, depth: int) -> object:
    """The outermost levels of a part; those of equal parts are equal."""
    if isinstance(part, tuple):
        return tuple(_outline(one, depth - 1) for one in part) if depth else len(part)
    names = _compared(type(part))  # type: ignore[arg-type]  # a class can be hashed
    if names is None:
        return part
    return (type(part), *(_outline(getattr(part, name), depth - 1) for name in names)) if depth else type(part)


@lru_cache(maxsize=256)
def _compared(of: type) -> tuple[str, ...] | None:
    """The fields by which instances of a dataclass are compared; None where it is none."""
    return tuple(field.name for field in fields(of) if field.compare) if is_dataclass(of) else None
