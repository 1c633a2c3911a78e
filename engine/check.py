"""Names, types and units: an untyped tree → a checked one.

Money plus a ratio, a date compared with an amount, an unknown enumeration value, a bare number
where 元 or % is meant: problems when the pack loads, not when it pays. No evaluation here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from engine.builtins import DAYS, FUNCTIONS
from engine.dataclass import dataclass
from engine.errors import PackError, Problem, nearest
from engine.expr import Arithmetic, Call, Compare, Expr, IfElse, Literal, Logic, Name, Not, show
from engine.types import BOOLEAN, DATE, MONEY, NUMBER, RATIO, Kind, Type


@dataclass(frozen=True, slots=True)
class Scope:
    """The names an expression may read: each with its type and its role (`fact`, `let`, `parameter`)."""

    types: Mapping[str, Type]
    roles: Mapping[str, str]

    def with_name(self, name: str, of: Type, role: str) -> Scope:
        return Scope({**self.types, name: of}, {**self.roles, name: role})


def check(expr: Expr, scope: Scope, expected: Type | None = None, what: str = "the expression") -> Expr:
    """The tree with names resolved and every type set.

    Errors (`PackError`, one problem: the first found in reading order): `unknown-name`,
    `unknown-enum-value`, `type-mismatch`, `wrong-type`, `unknown-function`, `wrong-arguments`.
    """
    checked = _Checker(scope).visit(expr, expected)
    if expected is not None and not _fits(checked.type, expected):
        raise PackError(
            Problem(
                "wrong-type",
                expr.at,
                {
                    "what": what,
                    "expected": str(expected),
                    "found": str(checked.type),
                    "hint": _hint(checked.type, expected),
                },
            )
        )
    return checked


def _fits(found: Type, wanted: Type) -> bool:
    if found.kind is not wanted.kind:
        return False
    if wanted.kind is Kind.ENUM and wanted.values is not None and found.values is not None:
        return set(found.values) <= set(wanted.values)
    return not (found.unit and wanted.unit and found.unit != wanted.unit)


def _hint(left: Type, right: Type) -> str:
    kinds = {left.kind, right.kind}
    if kinds == {Kind.MONEY, Kind.QUANTITY}:
        return "write an amount with its unit, as in 500万元 or 0元"
    if kinds == {Kind.RATIO, Kind.QUANTITY}:
        return "write a ratio with its sign, as in 85% or 2‰"
    if left.kind is right.kind is Kind.QUANTITY:
        return f"the units differ: {left.unit} and {right.unit}"
    return "compare and add like with like"


class _Checker:
    def __init__(self, scope: Scope) -> None:
        self.scope = scope

    def visit(self, expr: Expr, expected: Type | None = None) -> Expr:
        match expr:
            case Literal(str() as value, type=of) if of.kind is Kind.TEXT and expected and expected.kind is Kind.ENUM:
                return self.enum_value(value, expected, expr)
            case Literal():
                return expr
            case Name():
                return self.name(expr, expected)
            case Not(operand):
                return replace(expr, operand=self.condition(operand, "what follows `not`"))
            case Logic(op, operands):
                return replace(expr, operands=tuple(self.condition(part, f"each side of `{op}`") for part in operands))
            case Compare():
                return self.comparison(expr)
            case Arithmetic():
                return self.arithmetic(expr)
            case IfElse(condition, then, other):
                test = self.condition(condition, "what follows `if`")
                first, second = self.alike(then, other, expected)
                of = self.join(first, second, expr, "the two sides of `if … else`")
                return replace(expr, condition=test, then=first, other=second, type=of)
            case Call():
                return self.call(expr, expected)

    def name(self, expr: Name, expected: Type | None) -> Expr:
        of = self.scope.types.get(expr.name)
        if of is not None:
            return replace(expr, type=of, role=self.scope.roles[expr.name])
        if expected is not None and expected.kind is Kind.ENUM and expected.values is not None:
            return self.enum_value(expr.name, expected, expr)
        known = sorted(self.scope.types)
        raise PackError(
            Problem(
                "unknown-name",
                expr.at,
                {
                    "name": expr.name,
                    "known": known,
                    "suggestion": nearest(expr.name, known) or "",
                },
            )
        )

    @staticmethod
    def enum_value(value: str, of: Type, expr: Expr) -> Literal:
        values = of.values or ()
        if of.values is not None and value not in values:
            raise PackError(
                Problem(
                    "unknown-enum-value",
                    expr.at,
                    {
                        "value": value,
                        "known": values,
                        "suggestion": nearest(value, values) or "",
                    },
                )
            )
        return Literal(value, of, expr.at)

    def condition(self, expr: Expr, what: str) -> Expr:
        checked = self.visit(expr, BOOLEAN)
        if checked.type.kind is not Kind.BOOLEAN:
            raise PackError(
                Problem(
                    "wrong-type",
                    expr.at,
                    {
                        "what": what,
                        "expected": "a yes/no condition",
                        "found": str(checked.type),
                        "hint": "",
                    },
                )
            )
        return checked

    def alike(self, left: Expr, right: Expr, expected: Type | None) -> tuple[Expr, Expr]:
        """Both sides, each helping to read an enumeration's value on the other."""

        def is_bare(expr: Expr) -> bool:
            return (isinstance(expr, Name) and expr.name not in self.scope.types) or (
                isinstance(expr, Literal) and expr.type.kind is Kind.TEXT
            )

        if is_bare(left) and not is_bare(right):
            second = self.visit(right, expected)
            return self.visit(left, second.type), second
        first = self.visit(left, expected)
        return first, self.visit(right, expected if is_bare(left) else first.type)

    def join(self, left: Expr, right: Expr, expr: Expr, operation: str) -> Type:
        """The type of two values that stand for one another."""
        a, b = left.type, right.type
        if _is_unknown(left):
            return b
        if _is_unknown(right):
            return a
        if a.kind is not b.kind or (a.kind is Kind.QUANTITY and a.unit and b.unit and a.unit != b.unit):
            raise self.mismatch(operation, a, b, expr)
        if a.kind is Kind.ENUM and a.values != b.values:
            return Type(Kind.ENUM, values=tuple(dict.fromkeys((a.values or ()) + (b.values or ()))))
        if a.kind is Kind.QUANTITY:
            return Type(Kind.QUANTITY, a.unit or b.unit, a.integer and b.integer)
        return a

    @staticmethod
    def mismatch(operation: str, left: Type, right: Type, expr: Expr) -> PackError:
        return PackError(
            Problem(
                "type-mismatch",
                expr.at,
                {
                    "operation": operation,
                    "left": str(left),
                    "right": str(right),
                    "hint": _hint(left, right),
                },
            )
        )

    def comparison(self, expr: Compare) -> Expr:
        left, right = self.alike(expr.left, expr.right, None)
        kind = self.join(left, right, expr, f"`{expr.op}`").kind
        if expr.op not in ("==", "!=") and kind in (Kind.ENUM, Kind.TEXT, Kind.BOOLEAN):
            raise PackError(
                Problem(
                    "wrong-type",
                    expr.at,
                    {
                        "what": f"each side of `{expr.op}`",
                        "expected": "an amount, a number or a date",
                        "found": kind.value,
                        "hint": "use == or !=",
                    },
                )
            )
        if kind is Kind.BOOLEAN:  # a == true is a, and so on: one form of each condition
            both = Logic("and", (left, right), expr.at), Logic("and", (Not(left), Not(right)), expr.at)
            same: Expr = Logic("or", both, expr.at)
            return same if expr.op == "==" else Not(same, expr.at)
        return replace(expr, left=left, right=right)

    def arithmetic(self, expr: Arithmetic) -> Expr:
        left, right = self.visit(expr.left), self.visit(expr.right)
        if expr.op == "/" and isinstance(right, Literal) and right.value == 0:
            raise PackError(Problem("division-by-zero", expr.right.at, {"expression": show(expr)}))
        of = _arithmetic_type(expr.op, left, right)
        if of is None:
            raise self.mismatch(f"`{expr.op}`", left.type, right.type, expr)
        return replace(expr, left=left, right=right, type=of)

    def call(self, expr: Call, expected: Type | None) -> Expr:
        function = FUNCTIONS.get(expr.function)
        if function is None:
            raise PackError(
                Problem(
                    "unknown-function",
                    expr.at,
                    {
                        "name": expr.function,
                        "known": sorted(FUNCTIONS),
                        "suggestion": nearest(expr.function, FUNCTIONS) or "",
                    },
                )
            )
        if function.takes is None:
            arguments = [self.visit(part, expected) for part in expr.arguments]
            if len(arguments) < 2:
                raise self.wrong_arguments(function.signature, expr)
            of = arguments[0].type
            for part in arguments[1:]:
                of = self.join(replace(arguments[0], type=of), part, expr, f"`{expr.function}`")
            if of.kind not in (Kind.MONEY, Kind.RATIO, Kind.QUANTITY, Kind.DATE):
                raise self.wrong_arguments(function.signature, expr)
            return replace(expr, arguments=tuple(arguments), type=of)
        most = len(function.takes)
        if not most - function.optional <= len(expr.arguments) <= most:
            raise self.wrong_arguments(function.signature, expr)
        arguments = [self.visit(part) for part in expr.arguments]
        for part, kinds in zip(arguments, function.takes, strict=False):
            if part.type.kind not in kinds:
                raise self.wrong_arguments(function.signature, expr, str(part.type))
        if function.name == "is_known" and not isinstance(arguments[0], Name):
            raise self.wrong_arguments("is_known(a fact or a let)", expr)
        if function.name == "round_half_up" and len(arguments) == 2 and not isinstance(arguments[1], Literal):
            raise self.wrong_arguments("round_half_up(x, a literal number of places)", expr)
        return replace(expr, arguments=tuple(arguments), type=function.gives(tuple(part.type for part in arguments)))

    @staticmethod
    def wrong_arguments(signature: str, expr: Call, found: str | None = None) -> PackError:
        return PackError(
            Problem(
                "wrong-arguments",
                expr.at,
                {
                    "name": expr.function,
                    "expected": signature,
                    "found": found or show(expr),
                },
            )
        )


def _is_unknown(expr: Expr) -> bool:
    return isinstance(expr, Literal) and expr.value is None


def _arithmetic_type(op: str, left: Expr, right: Expr) -> Type | None:
    """The type of `left op right`, or None where the units do not go together."""
    a, b = left.type, right.type
    quantity = Kind.QUANTITY
    match op, a.kind, b.kind:
        case ("+" | "-", Kind.MONEY, Kind.MONEY):
            return MONEY
        case ("+" | "-", Kind.RATIO, Kind.RATIO):
            return RATIO
        case ("+" | "-", Kind.QUANTITY, Kind.QUANTITY):
            if a.unit and b.unit and a.unit != b.unit:
                return None
            return Type(quantity, a.unit or b.unit, a.integer and b.integer)
        case ("+" | "-", Kind.DATE, Kind.QUANTITY) if b.unit in (None, "天", "日"):
            return DATE
        case ("-", Kind.DATE, Kind.DATE):
            return DAYS
        case ("*", Kind.MONEY, Kind.RATIO | Kind.QUANTITY) | ("*", Kind.RATIO | Kind.QUANTITY, Kind.MONEY):
            return MONEY
        case ("/", Kind.MONEY, Kind.RATIO | Kind.QUANTITY):
            return MONEY
        case ("/", Kind.MONEY, Kind.MONEY) | ("*", Kind.RATIO, Kind.RATIO):
            return RATIO
        case ("/", Kind.RATIO, Kind.RATIO):
            return NUMBER
        case ("*", Kind.RATIO, Kind.QUANTITY) | ("*", Kind.QUANTITY, Kind.RATIO):
            unit = a.unit or b.unit
            return Type(quantity, unit) if unit else RATIO
        case ("/", Kind.RATIO, Kind.QUANTITY):
            return RATIO
        case ("/", Kind.QUANTITY, Kind.RATIO):
            return Type(quantity, a.unit)
        case ("*", Kind.QUANTITY, Kind.QUANTITY):
            return Type(quantity, a.unit if not b.unit else b.unit if not a.unit else None, a.integer and b.integer)
        case ("/", Kind.QUANTITY, Kind.QUANTITY):
            if a.unit and a.unit == b.unit:
                return RATIO
            return Type(quantity, a.unit if not b.unit else None)
    return None
