"""Text of a rule expression → tree. The only importer of `ast`.

The text is Python's expression syntax with the policy's literals: `500万元`, `1.2亿元`, `85%`,
`2‰`, `2019-03-22`. Nodes are translated from a list of what is allowed; everything else is
refused at its place. Nothing is ever compiled or run from here.
"""

from __future__ import annotations

import ast
import re
import warnings
from fractions import Fraction
from functools import lru_cache

from engine.errors import PackError, Problem
from engine.expr import Arithmetic, Call, Compare, Expr, IfElse, Literal, Logic, Name, Not
from engine.source import NOWHERE, Location
from engine.types import BOOLEAN, DATE, MONEY, NUMBER, RATIO, TEXT
from engine.values import Unreadable, read_date, read_money, shrink

MAX_LENGTH = 4000
MAX_DEPTH = 60

ALLOWED = "and or not, comparisons, + - * /, `x if c else y`, `in`, names, numbers, 500万元, 85%, 2019-03-22, functions"

_LITERAL = re.compile(
    r"(?<!\w)(?P<text>'[^'\n]*'|\"[^\"\n]*\")"
    r"|(?<![\w.])(?P<date>\d{4}-\d{2}-\d{2})(?![\w.-])"
    r"|(?<![\w.])(?P<money>\d[\d_]*(?:\.\d+)?(?:万亿|亿|千万|百万|万|千|百)?元)(?!\w)"
    r"|(?<![\w.])(?P<ratio>\d[\d_]*(?:\.\d+)?\s*[%％‰])"
    r"|(?<![\w.])(?P<number>\d[\d_]*(?:\.\d+)?)(?![\w.])"
)
_STAND_IN = 0x20000
"""First of the characters that stand in for literals while Python's parser reads the text:
valid identifiers from a block of rare ideographs, which a rule may not use itself."""

_COMPARE = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
_ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_REFUSED = {
    ast.Attribute: "an attribute", ast.Lambda: "a lambda", ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension", ast.DictComp: "a comprehension", ast.GeneratorExp: "a comprehension",
    ast.Subscript: "a subscript", ast.Await: "await", ast.Yield: "yield", ast.YieldFrom: "yield",
    ast.NamedExpr: "an assignment", ast.JoinedStr: "a formatted string", ast.Dict: "a dictionary",
    ast.Starred: "an unpacking", ast.Set: "a set", ast.Slice: "a slice",
}  # fmt: skip


@lru_cache(maxsize=4096)
def parse_expression(text: str, at: Location = NOWHERE) -> Expr:
    """An untyped tree. `at` is where the text begins; each reading of a provision has most of them again.

    Errors: `expression-too-long`, `expression-too-deep`, `expression-syntax`, `expression-not-allowed`.
    """
    at = at if at.text is not None else Location(at.file, at.line, at.column or 1, text=text.split("\n")[0][:400])
    return _Parser(text, at).parse()


class _Parser:
    def __init__(self, text: str, at: Location) -> None:
        self.text, self.start = text, at
        self.literals: dict[str, Literal] = {}

    def place(self, offset: int, width: int = 1) -> Location:
        """A place in the text; a text that was folded over lines points to its first line."""
        return self.start.at(offset, max(1, width))

    def refuse(self, code: str, offset: int, width: int = 1, **fields: object) -> PackError:
        return PackError(Problem(code, self.place(offset, width), fields))

    def parse(self) -> Expr:
        if len(self.text) > MAX_LENGTH:
            raise self.refuse("expression-too-long", 0, length=len(self.text), limit=MAX_LENGTH)
        depth = 0
        for offset, char in enumerate(self.text):
            depth += (char in "([{") - (char in ")]}")
            if depth > MAX_DEPTH:
                raise self.refuse("expression-too-deep", offset, limit=MAX_DEPTH)
            if ord(char) >= _STAND_IN or char in "\0\f\\#;" or (ord(char) < 32 and char not in "\n\t\r"):
                raise self.refuse("expression-not-allowed", offset, what=f"the character {char!r}", allowed=ALLOWED)
        plain = re.sub(r"[\n\r\t]", " ", self.text)
        stripped = plain.lstrip()
        lead = len(plain) - len(stripped)
        source = _LITERAL.sub(self._stand_in, stripped)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SyntaxWarning)  # `1if x`: refused below, not warned about
                tree = ast.parse(source, mode="eval").body
        except SyntaxError as error:
            offset = lead + max(0, (error.offset or 1) - 1)
            reason = re.sub(r"[\U00020000-\U0002ffff] *", "literal ", error.msg or "invalid syntax")
            raise self.refuse("expression-syntax", min(offset, len(self.text)), reason=reason) from None
        except (RecursionError, MemoryError, ValueError):
            raise self.refuse("expression-too-deep", 0, limit=MAX_DEPTH) from None
        self.bytes_before = [0]
        for char in source:
            self.bytes_before.append(self.bytes_before[-1] + len(char.encode()))
        self.lead = lead
        return self.translate(tree, 0)

    def _stand_in(self, match: re.Match[str]) -> str:
        """One identifier as long as the literal it stands for, so that columns stay true."""
        token = match[0]
        at = self.place(match.start() + len(self.text) - len(self.text.lstrip()), len(token))
        name = chr(_STAND_IN + len(self.literals))
        try:
            if match["text"]:
                literal = Literal(token[1:-1], TEXT, at)
            elif match["date"]:
                literal = Literal(read_date(token), DATE, at)
            elif match["money"]:
                literal = Literal(read_money(token.replace("_", "")), MONEY, at)
            elif match["ratio"]:
                divisor = 1000 if token.endswith("‰") else 100
                literal = Literal(shrink(_fraction(token[:-1]) / divisor), RATIO, at)
            else:
                literal = Literal(shrink(_fraction(token)), NUMBER, at)
        except Unreadable as error:
            raise PackError(
                Problem(
                    "bad-value",
                    at,
                    {
                        "value": token,
                        "expected": f"可用的写法（{error.zh}）",
                        "expected_en": f"a literal ({error.en})",
                    },
                )
            ) from None
        self.literals[name] = literal
        return name.ljust(len(token))

    def offset(self, node: ast.expr) -> tuple[int, int]:
        """Characters from the start of the text, and width, of a node."""
        import bisect

        begin = bisect.bisect_left(self.bytes_before, node.col_offset)
        end = bisect.bisect_left(self.bytes_before, node.end_col_offset or node.col_offset)
        return begin + self.lead, max(1, end - begin)

    def translate(self, node: ast.expr, depth: int) -> Expr:
        offset, width = self.offset(node)
        at = self.place(offset, width)
        if depth > MAX_DEPTH:
            raise self.refuse("expression-too-deep", offset, limit=MAX_DEPTH)

        def inner(part: ast.expr) -> Expr:
            return self.translate(part, depth + 1)

        match node:
            case ast.Name(id=name) if name in self.literals:
                return self.literals[name]
            case ast.Name(id="true" | "false" as word):
                return Literal(word == "true", BOOLEAN, at)
            case ast.Constant(value=bool() as value):
                return Literal(value, BOOLEAN, at)
            case ast.Name(id=name) if not name.startswith("_"):
                return Name(name, at)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return Not(inner(operand), at)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                negated = inner(operand)
                if isinstance(negated, Literal) and isinstance(negated.value, (int, Fraction)):
                    return Literal(-negated.value, negated.type, at)
                return Arithmetic("*", Literal(-1, NUMBER, at), negated, at)
            case ast.BoolOp(op=op, values=parts):
                return Logic("and" if isinstance(op, ast.And) else "or", tuple(map(inner, parts)), at)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
                return Arithmetic(_ARITHMETIC[type(op)], inner(left), inner(right), at)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return IfElse(inner(test), inner(body), inner(orelse), at)
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                return self._comparison(left, ops, comparators, depth, at)
            case ast.Call(func=ast.Name(id=function), args=arguments, keywords=[]) if function not in self.literals:
                if not function.startswith("_") and not any(isinstance(part, ast.Starred) for part in arguments):
                    return Call(function, tuple(map(inner, arguments)), at)
        what = _REFUSED.get(type(node)) or self._describe(node)
        raise self.refuse("expression-not-allowed", offset, width, what=what, allowed=ALLOWED)

    def _comparison(
        self, left: ast.expr, ops: list[ast.cmpop], comparators: list[ast.expr], depth: int, at: Location
    ) -> Expr:
        links: list[Expr] = []
        for op, right in zip(ops, comparators, strict=True):
            if isinstance(op, (ast.In, ast.NotIn)):
                links.append(self._membership(left, right, isinstance(op, ast.NotIn), depth, at))
            elif type(op) in _COMPARE:
                links.append(
                    Compare(_COMPARE[type(op)], self.translate(left, depth + 1), self.translate(right, depth + 1), at)
                )
            else:
                raise self.refuse("expression-not-allowed", *self.offset(right), what="`is`", allowed=ALLOWED)
            left = right
        return links[0] if len(links) == 1 else Logic("and", tuple(links), at)

    def _membership(self, left: ast.expr, right: ast.expr, negated: bool, depth: int, at: Location) -> Expr:
        """`x in (a, b)` is `x == a or x == b`."""
        if not isinstance(right, (ast.Tuple, ast.List)) or not right.elts:
            raise self.refuse(
                "expression-not-allowed",
                *self.offset(right),
                what="`in` without a list of values",
                allowed="x in (a, b, c)",
            )
        item = self.translate(left, depth + 1)
        tests: tuple[Expr, ...] = tuple(Compare("==", item, self.translate(part, depth + 1), at) for part in right.elts)
        found: Expr = tests[0] if len(tests) == 1 else Logic("or", tests, at)
        return Not(found, at) if negated else found

    @staticmethod
    def _describe(node: ast.expr) -> str:
        match node:
            case ast.Name(id=name):
                return f"the name `{name}`"
            case ast.Call(func=ast.Name(id=name)):
                return f"this call of `{name}`"
            case ast.Call():
                return "a call of something that is not a function's name"
            case ast.BinOp(op=op) | ast.UnaryOp(op=op):
                return f"the operator {type(op).__name__}"
            case ast.Tuple() | ast.List():
                return "a list outside `in`"
            case ast.Constant(value=value):
                return f"the literal {value!r}"
        return type(node).__name__


def _fraction(digits: str) -> Fraction:
    return Fraction(digits.replace("_", "").strip())
