"""Random provisions and facts, well-typed by construction. No assertions here.

Everything is made from one stream of small choices, so the same generator serves three masters:
hypothesis (`provisions`, `cases`), a seeded run of many thousands (`from_seed`), and the shrinking of
what such a run found (`Replayed`). The first alternative of every choice is the simplest one.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from fractions import Fraction
from typing import Any, Protocol, TypeVar

from hypothesis import strategies as st

from engine.errors import PackError, Problem
from engine.expr import Literal, walk
from engine.kinds import STATUSES, DeadlineFacts
from engine.model import Field, Parameter, Provision, ProvisionKind
from engine.read_fields import read_parameter
from engine.read_provision import PackContext, read_provision
from engine.targets import TargetFacts
from engine.types import Kind
from engine.values import Value
from engine.yamltree import Mapping, parse_yaml

T = TypeVar("T")

# Choices


class Chooser(Protocol):
    """A stream of choices."""

    def below(self, limit: int) -> int:
        """A whole number from 0 up to, not including, `limit`."""


@dataclass
class Seeded:
    """Choices from a seed, recorded so that they can be shrunk."""

    random: random.Random
    made: list[int] = field(default_factory=list)

    def below(self, limit: int) -> int:
        found = self.random.randrange(limit)
        self.made.append(found)
        return found


@dataclass
class Replayed:
    """Choices given beforehand; past their end, and where one is too large, the simplest."""

    given: Sequence[int]
    place: int = 0

    def below(self, limit: int) -> int:
        found = self.given[self.place] if self.place < len(self.given) else 0
        self.place += 1
        return found if found < limit else limit - 1


@dataclass
class Drawn:
    """Choices that hypothesis makes."""

    draw: st.DrawFn

    def below(self, limit: int) -> int:
        return self.draw(st.integers(0, limit - 1))


def from_seed(seed: int) -> Seeded:
    return Seeded(random.Random(seed))


# Packs around a single provision

PARAMETERS_YAML = """
cap: {type: money, values: {2019-01-01: 50元, 2020-01-01: 80元}}
share: {type: percent, values: {2019-01-01: 30%, 2020-01-01: 2‰}}
times: {type: integer, values: {2019-01-01: 2, 2020-01-01: 3}}
start: {type: date, values: {2019-01-01: 2019-04-30}}
"""
DAYS = (date(2019, 6, 30), date(2020, 1, 1), date(2018, 12, 31))
"""Days of assessment: the parameters' first values, their second, none yet."""


def _parameters() -> dict[str, Parameter]:
    node = parse_yaml(PARAMETERS_YAML)
    assert isinstance(node, Mapping)
    problems: list[Problem] = []
    found = {key.text: read_parameter(key.text, value, problems) for key, value in node}
    assert not problems
    return found


CONTEXT = PackContext(
    "测〔2019〕1号",
    {"1": "方案一"},
    {},
    _parameters(),
    DeadlineFacts("submitted", "submitted_on", "as_of"),
    TargetFacts("indicator", "area", "period", "actual", "as_of"),
    {"2019Q1": date(2019, 3, 31), "2019": date(2019, 12, 31)},
)


def load_provision(data: dict[str, Any] | str) -> Provision:
    """A provision from plain data or its JSON. Errors (`PackError`): every problem the loader finds."""
    text = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    problems: list[Problem] = []
    provision = read_provision(parse_yaml(text), CONTEXT, problems)
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        raise PackError(errors)
    assert provision is not None, "a provision without problems is read"
    return provision


# Expressions

MONEY_LITERALS = ("0元", "1元", "100元", "0.01元", "99.99元", "50元", "3万元")
RATIO_LITERALS = ("0%", "100%", "85%", "50%", "2‰", "33.3333%")
NUMBER_LITERALS = ("0", "1", "2", "3", "12", "0.5", "2.5")
DATE_LITERALS = ("2019-04-30", "2019-05-01", "2019-12-31", "2020-02-29", "2019-01-31")
COMPARISONS = (">=", ">", "<", "<=", "==", "!=")


@dataclass
class Scope:
    """Names by type as they become known."""

    names: dict[str, list[str]] = field(
        default_factory=lambda: {kind: [] for kind in ("money", "percent", "number", "date", "boolean", "enum", "text")}
    )
    values: dict[str, tuple[str, ...]] = field(default_factory=dict)
    facts: set[str] = field(default_factory=set)
    counts: list[str] = field(default_factory=list)
    """Facts that are whole numbers from 0 to 12: fit to count days or months by."""

    def add(self, kind: str, name: str) -> None:
        self.names[kind].append(name)


class Maker:
    """Makes texts of expressions of a wanted type."""

    def __init__(self, chooser: Chooser, scope: Scope) -> None:
        self.chooser, self.scope = chooser, scope

    def pick(self, items: Sequence[T]) -> T:
        return items[self.chooser.below(len(items))]

    def chance(self, percent: int) -> bool:
        """True in about `percent` of a hundred; the simplest choice is False."""
        return self.chooser.below(100) >= 100 - percent

    def leaf(self, kind: str, literals: Sequence[str]) -> str:
        names = self.scope.names[kind]
        if names and not self.chance(30):
            return self.pick(names)
        return self.pick(literals)

    def expression(self, kind: str, depth: int) -> str:
        makers: dict[str, Callable[[int], str]] = {
            "money": self.money,
            "percent": self.percent,
            "number": self.number,
            "date": self.date,
            "boolean": self.boolean,
        }
        if kind in makers:
            return makers[kind](depth)
        return self.word(kind, depth)

    def either(self, kind: str, depth: int) -> str:
        make = self.expression
        return f"({make(kind, depth)} if {self.boolean(depth)} else {make(kind, depth)})"

    def extreme(self, kind: str, depth: int) -> str:
        parts = [self.expression(kind, depth) for _ in range(2 + self.chooser.below(2))]
        return f"{self.pick(('min', 'max'))}({', '.join(parts)})"

    def money(self, depth: int) -> str:
        if depth <= 0:
            return self.leaf("money", MONEY_LITERALS)
        d = depth - 1
        match self.chooser.below(11):
            case 0 | 1:
                return self.leaf("money", MONEY_LITERALS)
            case 2:
                return f"({self.money(d)} + {self.money(d)})"
            case 3:
                return f"({self.money(d)} - {self.money(d)})"
            case 4:
                return f"({self.money(d)} * {self.percent(d)})"
            case 5:
                return f"({self.number(d)} * {self.money(d)})"
            case 6:
                return f"({self.money(d)} / {self.divisor(d)})"
            case 7:
                return self.either("money", d)
            case 8:
                return self.extreme("money", d)
            case 9:
                return f"{self.pick(('floor', 'truncate', 'abs', 'round_half_up'))}({self.money(d)})"
            case _:
                return f"(-{self.money(d)})"

    def divisor(self, depth: int) -> str:
        """A number or ratio that is rarely negative: one that may be is refused."""
        match self.chooser.below(4):
            case 0:
                return self.pick(("2", "3", "7", "0.5", "30%", "-2"))
            case 1:
                return self.leaf("number", NUMBER_LITERALS[1:])
            case 2:
                return self.leaf("percent", RATIO_LITERALS[1:])
            case _:
                return f"abs({self.number(depth)})"

    def percent(self, depth: int) -> str:
        if depth <= 0:
            return self.leaf("percent", RATIO_LITERALS)
        d = depth - 1
        match self.chooser.below(10):
            case 0 | 1:
                return self.leaf("percent", RATIO_LITERALS)
            case 2:
                return f"({self.leaf('money', MONEY_LITERALS)} / {self.leaf('money', MONEY_LITERALS[1:])})"
            case 3:
                return f"({self.percent(d)} + {self.percent(d)})"
            case 4:
                return f"({self.percent(d)} - {self.percent(d)})"
            case 5:
                return f"({self.percent(d)} * {self.percent(d)})"
            case 6:
                return f"({self.percent(d)} / {self.pick(('3', '2', '7', '-2', f'abs({self.number(d)})'))})"
            case 7:
                return self.either("percent", d)
            case 8:
                return self.extreme("percent", d)
            case _:
                return f"round_half_up({self.percent(d)}, {self.pick(('2', '4', '0'))})"

    def number(self, depth: int) -> str:
        if depth <= 0:
            return self.leaf("number", NUMBER_LITERALS)
        d = depth - 1
        match self.chooser.below(11):
            case 0 | 1:
                return self.leaf("number", NUMBER_LITERALS)
            case 2:
                return f"({self.number(d)} + {self.number(d)})"
            case 3:
                return f"({self.number(d)} - {self.number(d)})"
            case 4:
                return f"({self.number(d)} * {self.number(d)})"
            case 5:
                return f"({self.number(d)} * 1 / {self.pick(('3', '7', '0.3'))})"
            case 6:
                return f"({self.percent(d)} / 1%)"
            case 7:
                return f"{self.pick(('floor', 'truncate', 'abs'))}({self.number(d)})"
            case 8:
                return f"round_half_up({self.number(d)}, {self.pick(('0', '1', '2'))})"
            case 9:
                return self.either("number", d)
            case _:
                return self.extreme("number", d)

    def dated(self, depth: int) -> str:
        """A whole number with a unit of its own (年, 月, 天, 工作日), fit for a comparison with a plain number."""
        if self.chance(40):
            return f"{self.pick(('year_of', 'month_of'))}({self.date(depth)})"
        return self.days_between(depth)

    def days_between(self, depth: int) -> str:
        if self.chance(50):
            return f"workdays_between({self.date(depth)}, {self.date(depth)})"
        return f"({self.date(depth)} - {self.date(depth)})"

    def count(self) -> str:
        """A small whole number of days or months."""
        if self.scope.counts and self.chance(40):
            return self.pick(self.scope.counts)
        return self.pick(("1", "5", "0", "10", "30"))

    def date(self, depth: int) -> str:
        if depth <= 0:
            return self.leaf("date", DATE_LITERALS)
        d = depth - 1
        match self.chooser.below(9):
            case 0 | 1:
                return self.leaf("date", DATE_LITERALS)
            case 2:
                return f"({self.date(d)} + {self.count()})"
            case 3:
                return f"({self.date(d)} - {self.count()})"
            case 4:
                return f"workdays_after({self.date(d)}, {self.count()})"
            case 5:
                return f"next_workday({self.date(d)})"
            case 6:
                return f"months_after({self.date(d)}, {self.count()})"
            case 7:
                return self.either("date", d)
            case _:
                return self.extreme("date", d)

    def word(self, kind: str, depth: int) -> str:
        if kind == "enum":
            return self.pick(self.scope.names["enum"])
        return self.leaf("text", ("'a'", "'甲'"))

    def boolean(self, depth: int) -> str:
        if depth <= 0:
            return self.test(0) if not self.scope.names["boolean"] else self.leaf("boolean", ("true", "false"))
        d = depth - 1
        match self.chooser.below(12):
            case 0 | 1 | 2 | 3:
                return self.test(d)
            case 4:
                return self.leaf("boolean", ("true", "false"))
            case 5:
                return f"({self.boolean(d)} and {self.boolean(d)})"
            case 6:
                return f"({self.boolean(d)} or {self.boolean(d)})"
            case 7:
                return f"(not {self.boolean(d)})"
            case 8:
                return self.either("boolean", d)
            case 9:
                known = [name for names in self.scope.names.values() for name in names]
                return f"is_known({self.pick(known)})" if known else "true"
            case 10:
                return f"({self.boolean(d)} {self.pick(('==', '!='))} {self.boolean(d)})"
            case _:
                kind = self.pick(("money", "percent", "number", "date"))
                low, middle, high = (self.expression(kind, d) for _ in range(3))
                return f"({low} {self.pick(('<=', '<'))} {middle} {self.pick(('<', '<='))} {high})"

    def test(self, depth: int) -> str:
        words = [name for name in self.scope.names["enum"] if name in self.scope.values]
        kinds = ["money", "percent", "number", "date", "dated"] + (["enum"] if words else [])
        kinds += ["text"] if self.scope.names["text"] else []
        kind = self.pick(kinds)
        if kind == "enum":
            name = self.pick(words)
            values = self.scope.values[name]
            if self.chance(30):
                return f"({name} {self.pick(('in', 'not in'))} ({self.pick(values)}, {self.pick(values)}))"
            return f"({name} {self.pick(('==', '!='))} {self.pick(values)})"
        if kind == "dated":
            return f"({self.dated(depth)} {self.pick(COMPARISONS)} {self.pick(('2019', '5', '12', '0', '10', '2020'))})"
        if kind == "text":
            return f"({self.word('text', 0)} {self.pick(('==', '!='))} {self.word('text', 0)})"
        return f"({self.expression(kind, depth)} {self.pick(COMPARISONS)} {self.expression(kind, depth)})"


# Provisions

FIELD_KINDS = ("money", "boolean", "percent", "integer", "date", "enum", "decimal", "text")
_BOUNDS: dict[str, tuple[dict[str, str], ...]] = {
    "money": ({"max": "100元"}, {"max": "1亿元"}, {"min": "-100元", "max": "100元"}, {}),
    "percent": ({"max": "100%"}, {"max": "1000%"}, {"min": "-100%", "max": "100%"}),
    "integer": ({"max": "12"}, {"max": "1000"}, {"min": "-5", "max": "5"}),
    "decimal": ({"max": "10"}, {"min": "-10", "max": "1000"}),
    "date": ({"min": "2015-01-01", "max": "2024-12-31"}, {}),
    "boolean": ({},), "enum": ({},), "text": ({},),
}  # fmt: skip
_DEFAULTS = {
    "money": "1元", "percent": "50%", "integer": "1", "decimal": "0.5", "date": "2019-05-01", "boolean": "false",
    "enum": "x", "text": "a",
}  # fmt: skip
KINDS = ("obligation", "entitlement", "sanction", "deadline", "prohibition", "parameter", "target")


class ProvisionMaker(Maker):
    """Makes a whole provision as plain data."""

    def __init__(self, chooser: Chooser) -> None:
        super().__init__(chooser, Scope())
        self.facts: list[dict[str, Any]] = []

    def fact(self, name: str, kind: str) -> None:
        data: dict[str, Any] = {"type": kind, **self.pick(_BOUNDS[kind])}
        scope_kind = "number" if kind in ("integer", "decimal") else kind
        if kind == "enum":
            data["values"] = ["x", "y", "z"][: 2 + self.chooser.below(2)]
            self.scope.values[name] = tuple(data["values"])
        if kind == "integer" and data.get("max") == "12":
            self.scope.counts.append(name)
        if self.chance(10):
            data["default"] = _DEFAULTS[kind]
        if self.chance(10) and self.scope.facts and self.scope.names["boolean"]:
            asked = [fact for fact in self.scope.names["boolean"] if fact in self.scope.facts]
            if asked:
                data["asked_when"] = self.pick(asked)
        self.facts.append({name: data})
        self.scope.add(scope_kind, name)
        self.scope.facts.add(name)

    def provision(self) -> dict[str, Any]:
        kind = self.pick(KINDS)
        data: dict[str, Any] = {
            "id": "tiny.one", "kind": kind, "label": "一", "plan": "1", "at": "一", "summary": "概括",
        }  # fmt: skip
        for number in range(1 + self.chooser.below(5)):
            fact_kind = self.pick(FIELD_KINDS)
            self.fact(f"{fact_kind[0]}{number}", fact_kind)
        if kind == "deadline":
            for name, fact_kind in (("submitted", "boolean"), ("submitted_on", "date"), ("as_of", "date")):
                self.facts.append({name: {"type": fact_kind}})
                self.scope.add(fact_kind, name)
                self.scope.facts.add(name)
        data["facts"] = self.facts
        if self.chance(40):
            for name, of in (("cap", "money"), ("share", "percent"), ("times", "number"), ("start", "date")):
                self.scope.add(of, name)
        lets: dict[str, str] = {}
        for number in range(self.chooser.below(3)):
            of = self.pick(("money", "percent", "number", "boolean", "date"))
            lets[f"let{number}"] = self.expression(of, 2)
            self.scope.add(of, f"let{number}")
        if lets:
            data["let"] = lets
        if self.chance(40):
            data["tables"] = [self.table()]
        if self.chance(30):
            data["applies"] = self.boolean(1)
        getattr(self, kind)(data)
        if kind in ("entitlement", "sanction", "parameter", "obligation") and self.chance(40):
            data["outputs"] = self.outputs(ProvisionKind(kind))
        return data

    def outputs(self, kind: ProvisionKind) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for number in range(1 + self.chooser.below(2)):
            of = self.pick(("money", "percent", "number", "date", "boolean", "enum"))
            if of == "enum" and not self.scope.names["enum"]:
                of = "money"
            expr = self.expression(of, 2)
            match self.chooser.below(4):
                case 0 | 1:
                    found[f"out{number}"] = expr
                case 2:
                    found[f"out{number}"] = {"is": expr, "with": [self.pick(STATUSES[kind])]}
                case _:
                    optional = {"optional": "true"} if self.chance(50) else {}
                    found[f"out{number}"] = {"is": expr, "with": ["any"], **optional}
        return found

    def conditions(self) -> list[str]:
        return [self.boolean(2) for _ in range(1 + self.chooser.below(2))]

    def exceptions(self, kind: ProvisionKind) -> list[dict[str, str]]:
        found = []
        for _ in range(1 + self.chooser.below(2)):
            item = {"when": self.boolean(2), "status": self.pick(STATUSES[kind])}
            if self.chance(40):
                item[self.pick(("amount", "amount_max"))] = self.money(1)
            found.append(item)
        return found

    def obligation(self, data: dict[str, Any]) -> None:
        data["duty"] = self.conditions()

    def prohibition(self, data: dict[str, Any]) -> None:
        data["forbids"] = self.conditions()

    def entitlement(self, data: dict[str, Any]) -> None:
        if not self.chance(20):
            data["require"] = self.conditions()
        if self.chance(30):
            data["exceptions"] = self.exceptions(ProvisionKind.ENTITLEMENT)
        data["amount"] = "unspecified" if self.chance(10) else self.money(3)

    def sanction(self, data: dict[str, Any]) -> None:
        data["triggers"] = self.conditions()
        if self.chance(30):
            data["exceptions"] = self.exceptions(ProvisionKind.SANCTION)
        if self.chance(50):
            data["rate"] = self.percent(2)
        match self.chooser.below(3):
            case 0:
                data["amount"] = self.money(3)
            case 1:
                data["amount_max"] = self.money(2)
        if self.chance(30):
            data["measures"] = [{"zh": "通报", "if": self.boolean(1)}, "约谈"]

    def deadline(self, data: dict[str, Any]) -> None:
        data["due"] = self.date(2)

    def parameter(self, data: dict[str, Any]) -> None:
        data["outputs"] = self.outputs(ProvisionKind.PARAMETER)

    def target(self, data: dict[str, Any]) -> None:
        data["indicators"] = {"growth": "增速", "income": "收入"}
        plan = {}
        for period in ("2019", "2019Q1")[: 1 + self.chooser.below(2)]:
            sign = self.pick((">=", ">", "<=", "<", "=", "~"))
            plan[period] = f"{sign} {self.pick(('12', '8.5', '0', '-3'))}"
        data["targets"] = [{"indicator": "growth", "area": "全州", "unit": "%", "plan": plan}]
        if self.chance(50):
            data["targets"].append({"indicator": "income", "period": "2019", "plan": {"楚雄市": "> 3"}})
        data["facts"] = [fact for fact in self.facts if not {*fact} & {"actual", "as_of"}]

    # Tables

    def table(self) -> dict[str, Any]:
        hit = self.pick(("unique", "first", "any", "priority", "sum", "min", "max", "count"))
        columns, cells = [], []
        for _ in range(1 + self.chooser.below(2)):
            column, tests = self.column()
            columns.append(column)
            cells.append(tests)
        output = "number" if hit == "count" else self.pick(("money", "percent", "integer"))
        literals = {"money": MONEY_LITERALS, "percent": RATIO_LITERALS, "integer": ("0", "1", "2", "3"),
                    "number": ("1", "1")}[output]  # fmt: skip
        of = {"number": "integer"}.get(output, output)
        compares = hit in ("priority", "min", "max")

        def value() -> str:
            if compares or hit == "count" or self.chance(70):
                return self.pick(literals)
            return self.expression({"integer": "number"}.get(of, of), 1) if of == "money" else self.pick(literals)

        rows: list[list[str]] = []
        if hit in ("unique", "any"):
            combined = [[first] for first in cells[0]]
            for tests in cells[1:]:
                combined = [[*row, test] for row in combined for test in tests]
            rows = [[*row, value()] for row in combined]
            if hit == "any":
                rows.append(list(self.pick(rows)))
        else:
            for _ in range(1 + self.chooser.below(4)):
                rows.append([*(self.pick([*tests, "-"]) for tests in cells), value()])
        data: dict[str, Any] = {"hit": hit, "on": columns, "gives": {"chosen": of}, "rows": rows}
        if hit in ("first", "priority", "min", "max"):
            data["default"] = [self.pick(literals)]
        if hit == "priority":
            data["priority"] = list(dict.fromkeys([*(row[-1] for row in rows), *literals]))
            if self.chance(50):
                data["priority"].reverse()
        self.scope.add({"integer": "number"}.get(of, of), "chosen")
        return data

    def column(self) -> tuple[str, list[str]]:
        """A column, and tests that split its values without gap or overlap."""
        kinds = [kind for kind in ("money", "percent", "number", "boolean", "enum", "date") if self.scope.names[kind]]
        kind = self.pick(kinds or ["money"])
        if kind == "boolean":
            return self.pick(self.scope.names["boolean"]), ["true", "false"]
        if kind == "enum":
            name = self.pick(self.scope.names["enum"])
            first, *rest = self.scope.values[name]
            return name, [first, ", ".join(rest)] if self.chance(50) else [first, *rest]
        literals = {"money": MONEY_LITERALS, "percent": RATIO_LITERALS, "number": NUMBER_LITERALS,
                    "date": DATE_LITERALS}[kind]  # fmt: skip
        column = self.pick(self.scope.names[kind]) if self.scope.names[kind] else self.expression(kind, 1)
        bounds = sorted({self.pick(literals) for _ in range(1 + self.chooser.below(3))}, key=_ORDER[kind])
        upper = [self.chance(70) for _ in bounds]  # whether each bound belongs to the upper part
        tests = [f"{'<' if upper[0] else '<='} {bounds[0]}"]
        for place in range(len(bounds) - 1):
            left, right = "[" if upper[place] else "(", ")" if upper[place + 1] else "]"
            tests.append(f"{left}{bounds[place]}..{bounds[place + 1]}{right}")
        tests.append(f"{'>=' if upper[-1] else '>'} {bounds[-1]}")
        return column, tests


def _literal(text: str) -> Any:
    from engine.parse import parse_expression

    found = parse_expression(text)
    assert isinstance(found, Literal)
    return found.value


_ORDER: dict[str, Callable[[str], Any]] = dict.fromkeys(("money", "percent", "number", "date"), _literal)


def make_provision(chooser: Chooser) -> dict[str, Any]:
    """A provision as plain data; rarely the loader refuses it (a row of a table that is never reached)."""
    return ProvisionMaker(chooser).provision()


# Facts

_STEPS: dict[Kind, Fraction] = {
    Kind.MONEY: Fraction(1),
    Kind.RATIO: Fraction(1, 10**6),
    Kind.QUANTITY: Fraction(1, 100),
}
_CALENDAR_EDGES = (
    date(2019, 1, 30), date(2019, 4, 30), date(2019, 5, 4), date(2020, 2, 29), date(2004, 1, 1), date(2026, 12, 31),
    date(2003, 12, 31), date(2027, 1, 1),
)  # fmt: skip


class FactMaker:
    """Values for a provision's facts: on its bounds and thresholds, beside them, unknown, anything."""

    def __init__(self, provision: Provision) -> None:
        self.provision = provision
        self.pools = {name: self.pool(of) for name, of in provision.facts.items()}

    def pool(self, of: Field) -> list[Value]:
        kind = of.type.kind
        if kind is Kind.BOOLEAN:
            return [True, False]
        if kind is Kind.ENUM:
            return list(of.type.values or ())
        if kind is Kind.TEXT:
            return ["a", "甲", "b", ""]
        constants = {literal.value for literal in _literals(self.provision)
                     if literal.type.kind is kind and literal.value is not None}  # fmt: skip
        found: list[Value] = []
        if kind is Kind.DATE:
            for value in sorted(constants):  # type: ignore[type-var]
                assert isinstance(value, date)
                found += [value, value - timedelta(days=1), value + timedelta(days=1)]
            found += [*_CALENDAR_EDGES, *(bound for bound in (of.minimum, of.maximum) if bound is not None)]
        else:
            step = Fraction(1) if of.type.integer else _STEPS[kind]
            for value in sorted({*constants, 0, *(b for b in (of.minimum, of.maximum) if b is not None)}):  # type: ignore[type-var]
                assert isinstance(value, (int, Fraction))
                found += [_whole(value + part * step) for part in (0, 1, -1)]
            if of.type.integer or kind is Kind.MONEY:
                found = [value for value in found if isinstance(value, int)]
        low, high = of.minimum, of.maximum
        return [v for v in found if (low is None or v >= low) and (high is None or v <= high)]  # type: ignore[operator]

    def values(self, chooser: Chooser) -> dict[str, Value | None]:
        return {name: self.value(chooser, name, of) for name, of in self.provision.facts.items()}

    def value(self, chooser: Chooser, name: str, of: Field) -> Value | None:
        roll = chooser.below(20)
        if roll >= 17:
            return None
        pool = self.pools[name]
        kind = of.type.kind
        if (roll < 11 and pool) or kind in (Kind.BOOLEAN, Kind.ENUM, Kind.TEXT):
            return pool[chooser.below(len(pool))]
        if kind is Kind.DATE:
            low, high = of.minimum or date(2016, 1, 1), of.maximum or date(2023, 12, 31)
            return low + timedelta(days=chooser.below((high - low).days + 1))  # type: ignore[operator, return-value]
        low_number, high_number = Fraction(of.minimum or 0), Fraction(of.maximum or 0)  # type: ignore[arg-type]
        step = Fraction(1) if of.type.integer else _STEPS[kind]
        if roll == 16 and kind in (Kind.RATIO, Kind.QUANTITY) and not of.type.integer:
            step = Fraction(1, 3)  # finer than any column holds
        steps = int((high_number - low_number) / step)
        return _whole(low_number + chooser.below(steps + 1) * step)


def _literals(provision: Provision) -> list[Literal]:
    roots = [provision.status, *(let.expr for let in provision.lets), *(out.expr for out in provision.outputs),
             *(measure.condition for measure in provision.measures if measure.condition is not None)]  # fmt: skip
    return [node for root in roots for node in walk(root) if isinstance(node, Literal)]


def _whole(value: int | Fraction) -> Value:
    return int(value) if Fraction(value).denominator == 1 else Fraction(value)


# Hypothesis


@st.composite
def provisions(draw: st.DrawFn) -> dict[str, Any]:
    """A provision as plain data."""
    return make_provision(Drawn(draw))


@st.composite
def cases(draw: st.DrawFn, rows: int = 3) -> tuple[dict[str, Any], date, list[dict[str, Value | None]]]:
    """A provision, a day of assessment, and a few rows of facts."""
    chooser = Drawn(draw)
    while True:
        data = make_provision(chooser)
        day = DAYS[chooser.below(len(DAYS))]
        try:
            maker = FactMaker(load_provision(data))
        except PackError:
            from hypothesis import reject

            reject()
        return data, day, [maker.values(chooser) for _ in range(rows)]


@st.composite
def expressions(draw: st.DrawFn, kind: str = "boolean", depth: int = 3) -> str:
    """A well-typed expression over `SAMPLE_NAMES`."""
    scope = Scope()
    for of, name in SAMPLE_NAMES:
        scope.add(of, name)
    return Maker(Drawn(draw), scope).expression(kind, depth)


SAMPLE_NAMES = (("money", "m"), ("percent", "r"), ("number", "n"), ("date", "d"), ("boolean", "b"))
