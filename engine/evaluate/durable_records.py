"""Rules, facts and inferences of forward chaining as plain records, and as data that JSON can carry."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

from engine.dataclass import dataclass

MAX_VALUE = 2**63 - 1
"""Values lie within ±`MAX_VALUE`: the engine computes in 64 bits, and -2**63 negates to itself."""


class OutsideSubset(ValueError):
    """The rule base or the case lies outside the subset in which the engine is known to be right."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Ref:
    """A property of the fact that an earlier pattern bound."""

    alias: str
    prop: str


@dataclass(frozen=True, slots=True)
class Own:
    """Another property of the fact under test."""

    prop: str


@dataclass(frozen=True, slots=True)
class Test:
    """A comparison; `op` is one of `== != < <= > >=`. False when either side is missing, `!=` too."""

    __test__ = False  # tells pytest that this is no test class

    op: str
    prop: str
    operand: int | Ref | Own


@dataclass(frozen=True, slots=True)
class Present:
    """The property has a value; true of every property that is not optional."""

    prop: str


@dataclass(frozen=True, slots=True)
class Absent:
    """The property has no value; false of every property that is not optional."""

    prop: str


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds; true when there is none."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Some part holds; false when there is none."""

    parts: tuple[Condition, ...]


Atom: TypeAlias = Test | Present | Absent
Condition: TypeAlias = Test | Present | Absent | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class Pattern:
    """A fact of one type that meets a condition; later patterns and `Derive` speak of it by its alias."""

    alias: str
    fact_type: str
    condition: Condition | None = None


@dataclass(frozen=True, slots=True)
class Derive:
    """The fact a firing adds. A property left out, or copied from a missing one, is missing."""

    fact_type: str
    values: Mapping[str, int | Ref]


@dataclass(frozen=True, slots=True)
class Rule:
    """Fires once for each choice of facts that meet `when` in order, if no fact meets any of `unless`.

    `distinct`: one fact cannot stand for two patterns of `when`. A pattern of `unless` may be met by any
    fact, the chosen ones included, and its alias cannot be referred to.
    """

    name: str
    when: tuple[Pattern, ...]
    unless: tuple[Pattern, ...] = ()
    derive: Derive | None = None
    distinct: bool = True


Schema: TypeAlias = Mapping[str, Mapping[str, bool]]
"""Fact type → property → whether it is optional."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact. A missing value is `None` or left out; derived facts leave it out."""

    fact_type: str
    values: Mapping[str, int | None]


Firing: TypeAlias = tuple[str, tuple[int, ...], int | None]
"""Rule name, the number of the fact bound by each pattern of `when`, the number of the derived fact."""


@dataclass(frozen=True, slots=True)
class Inference:
    """The facts of the case followed by the derived ones, and the firings in sorted order."""

    facts: tuple[Fact, ...]
    firings: tuple[Firing, ...]


def checked_value(value: object) -> int:
    # bool is refused with the rest: to the engine 1, true and "1" are sometimes the same, sometimes not
    if type(value) is not int:
        raise OutsideSubset(f"{value!r} is not an integer")
    if abs(value) > MAX_VALUE:
        raise OutsideSubset(f"{value} is beyond ±(2**63 - 1)")
    return value


def rule_to_data(rule: Rule) -> dict[str, Any]:
    """A rule as plain data that JSON can carry."""
    return {
        "name": rule.name,
        "when": [_pattern_to_data(pattern) for pattern in rule.when],
        "unless": [_pattern_to_data(pattern) for pattern in rule.unless],
        "derive": rule.derive
        and {
            "type": rule.derive.fact_type,
            "values": {prop: _operand_to_data(source) for prop, source in rule.derive.values.items()},
        },
        "distinct": rule.distinct,
    }


def rule_from_data(data: Any) -> Rule:
    """The rule that `rule_to_data` described."""
    derive = data["derive"]
    if derive is not None:
        derive = Derive(derive["type"], {prop: _source_from_data(v) for prop, v in derive["values"].items()})
    when, unless = (tuple(map(_pattern_from_data, data[part])) for part in ("when", "unless"))
    return Rule(data["name"], when, unless, derive, data["distinct"])


def fact_to_data(fact: Fact) -> dict[str, Any]:
    """A fact as plain data that JSON can carry."""
    return {"type": fact.fact_type, "values": dict(fact.values)}


def fact_from_data(data: Any) -> Fact:
    """The fact that `fact_to_data` described."""
    return Fact(data["type"], data["values"])


def inference_to_data(inference: Inference) -> dict[str, Any]:
    """An inference as plain data that JSON can carry."""
    return {"facts": [fact_to_data(fact) for fact in inference.facts], "firings": list(inference.firings)}


def inference_from_data(data: Any) -> Inference:
    """The inference that `inference_to_data` described."""
    firings = ((name, tuple(chosen), derived) for name, chosen, derived in data["firings"])
    return Inference(tuple(map(fact_from_data, data["facts"])), tuple(firings))


def _pattern_to_data(pattern: Pattern) -> list[Any]:
    condition = pattern.condition
    return [pattern.alias, pattern.fact_type, None if condition is None else _condition_to_data(condition)]


def _pattern_from_data(data: Any) -> Pattern:
    alias, fact_type, condition = data
    return Pattern(alias, fact_type, None if condition is None else _condition_from_data(condition))


def _condition_to_data(condition: Condition) -> list[Any]:
    match condition:
        case Test(op, prop, operand):
            return [op, prop, _operand_to_data(operand)]
        case Present(prop):
            return ["present", prop]
        case Absent(prop):
            return ["absent", prop]
        case AllOf(parts):
            return ["all", *map(_condition_to_data, parts)]
        case AnyOf(parts):
            return ["any", *map(_condition_to_data, parts)]


def _condition_from_data(data: Any) -> Condition:
    match data:
        case ["present", prop]:
            return Present(prop)
        case ["absent", prop]:
            return Absent(prop)
        case ["all", *parts]:
            return AllOf(tuple(map(_condition_from_data, parts)))
        case ["any", *parts]:
            return AnyOf(tuple(map(_condition_from_data, parts)))
        case [op, prop, ["own", own]]:
            return Test(op, prop, Own(own))
        case [op, prop, operand]:
            return Test(op, prop, _source_from_data(operand))
    raise OutsideSubset(f"{data!r} is not a condition")


def _operand_to_data(operand: int | Ref | Own) -> int | list[str]:
    match operand:
        case Ref(alias, prop):
            return ["ref", alias, prop]
        case Own(prop):
            return ["own", prop]
    return operand


def _source_from_data(data: Any) -> int | Ref:
    match data:
        case ["ref", alias, prop]:
            return Ref(alias, prop)
    return checked_value(data)
