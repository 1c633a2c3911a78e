"""Forward chaining written to be obviously right, and random rule bases to hold the engine against it.

Every rule is tried on every choice of facts in every round. Nothing is shared with `engine.evaluate.durable`
but the records.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Iterator, Mapping, Sequence

from engine.evaluate.durable_records import (
    Absent,
    AllOf,
    AnyOf,
    Condition,
    Derive,
    Fact,
    Inference,
    Own,
    Pattern,
    Present,
    Ref,
    Rule,
    Schema,
    Test,
)

COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}

# where doubles and 64-bit integers lose digits
VALUES = (-1, 3, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 2, 2**63 - 1, -(2**63 - 1))

Bound = Mapping[str, Fact]


def infer_naively(rules: Sequence[Rule], facts: Sequence[Fact]) -> Inference:
    """What `RuleBase.infer` should answer for rules that it does not refuse."""
    known = list(facts)
    fired: dict[tuple[str, tuple[int, ...]], int | None] = {}
    for layer in _layers(rules):
        while True:
            found = [
                (rule.name, chosen, rule, bound)
                for rule in layer
                for chosen, bound in _choices(rule, known, 0, (), {})
                if (rule.name, chosen) not in fired
                and not any(
                    fact.fact_type == pattern.fact_type and holds(pattern.condition, fact, bound)
                    for pattern in rule.unless
                    for fact in known
                )
            ]
            if not found:
                break
            for name, chosen, rule, bound in sorted(found, key=lambda firing: firing[:2]):
                fired[name, chosen] = _derive(rule.derive, bound, known)
    firings = sorted((name, chosen, derived) for (name, chosen), derived in fired.items())
    return Inference(tuple(known), tuple(firings))


def holds(condition: Condition | None, fact: Fact, bound: Bound) -> bool:
    """Whether a fact meets a condition, given the facts of earlier patterns."""
    match condition:
        case None:
            return True
        case AllOf(parts):
            return all(holds(part, fact, bound) for part in parts)
        case AnyOf(parts):
            return any(holds(part, fact, bound) for part in parts)
        case Present(prop):
            return fact.values.get(prop) is not None
        case Absent(prop):
            return fact.values.get(prop) is None
        case Test(op, prop, operand):
            left = fact.values.get(prop)
            match operand:
                case Ref(alias, other):
                    right = bound[alias].values.get(other)
                case Own(other):
                    right = fact.values.get(other)
                case literal:
                    right = literal
            return left is not None and right is not None and bool(COMPARE[op](left, right))


def content(fact: Fact) -> tuple[str, frozenset[tuple[str, int]]]:
    """What makes two facts the same."""
    return fact.fact_type, frozenset((prop, v) for prop, v in fact.values.items() if v is not None)


def _layers(rules: Sequence[Rule]) -> list[list[Rule]]:
    """The rules by stratum: one that negates a type comes after all that derive it, and after the first."""
    level = {rule.name: int(bool(rule.unless)) for rule in rules}
    before: dict[str, int] = {}
    while before != level:
        before = dict(level)
        if max(level.values(), default=0) > len(rules):
            raise ValueError("not stratified")
        for rule in rules:
            for other in rules:
                if other.derive is None:
                    continue
                if any(pattern.fact_type == other.derive.fact_type for pattern in rule.when):
                    level[rule.name] = max(level[rule.name], level[other.name])
                if any(pattern.fact_type == other.derive.fact_type for pattern in rule.unless):
                    level[rule.name] = max(level[rule.name], level[other.name] + 1)
    return [[rule for rule in rules if level[rule.name] == n] for n in sorted(set(level.values()))]


def _choices(
    rule: Rule, known: Sequence[Fact], depth: int, chosen: tuple[int, ...], bound: Bound
) -> Iterator[tuple[tuple[int, ...], Bound]]:
    if depth == len(rule.when):
        yield chosen, bound
        return
    pattern = rule.when[depth]
    for i, fact in enumerate(known):
        if fact.fact_type != pattern.fact_type or (rule.distinct and i in chosen):
            continue
        if holds(pattern.condition, fact, bound):
            yield from _choices(rule, known, depth + 1, (*chosen, i), {**bound, pattern.alias: fact})


def _derive(derive: Derive | None, bound: Bound, known: list[Fact]) -> int | None:
    if derive is None:
        return None
    values = {
        prop: bound[source.alias].values.get(source.prop) if isinstance(source, Ref) else source
        for prop, source in derive.values.items()
    }
    fact = Fact(derive.fact_type, {prop: value for prop, value in values.items() if value is not None})
    for i, other in enumerate(known):
        if content(other) == content(fact):
            return i
    known.append(fact)
    return len(known) - 1


def random_rules(source: random.Random) -> tuple[Schema, list[Rule]]:
    """A schema and rules over it; some negate what they derive, and are not stratified."""
    types = ["firm", "award", "check", "cut", "group", "total"][: source.randint(2, 6)]
    properties = ["amount", "owner", "year", "grade", "本年收入"]
    schema = {
        fact_type: {p: source.random() < 0.5 for p in source.sample(properties, source.randint(1, 4))}
        for fact_type in types
    }
    names = [f"rule {n}" for n in range(source.choice((1, 2, 4, 8, 25)))]
    # a few rules derive: with many, each round multiplies the facts of the last
    return schema, [_random_rule(source, schema, name, n < 5) for n, name in enumerate(names)]


def random_case(source: random.Random, schema: Schema) -> list[Fact]:
    """Facts of the schema, some values missing, either named as `None` or left out."""
    facts = []
    for _ in range(source.choice((0, 1, 3, 6, 10))):
        fact_type = source.choice(list(schema))
        values: dict[str, int | None] = {}
        for prop, optional in schema[fact_type].items():
            if not optional or source.random() < 0.7:
                values[prop] = random_value(source)
            elif source.random() < 0.5:
                values[prop] = None
        facts.append(Fact(fact_type, values))
    return facts


def random_value(source: random.Random) -> int:
    kind = source.random()
    if kind < 0.5:
        return source.randint(0, 2)
    return source.choice(VALUES) if kind < 0.9 else source.randint(-(2**63) + 1, 2**63 - 1)


def _random_rule(source: random.Random, schema: Schema, name: str, derives: bool) -> Rule:
    types = list(schema)
    bound: dict[str, str] = {}
    when = []
    for alias in source.sample("xyzabm", source.choice((1, 1, 2, 2, 3))):
        fact_type = source.choice(types)
        condition = _random_condition(source, schema, fact_type, bound, 2) if source.random() < 0.85 else None
        if len(bound) == 2 or (bound and source.random() < 0.5):
            # most joins are on equality; without one, three patterns over derived facts fire by the million
            alias_before = source.choice(list(bound))
            ref = Ref(alias_before, source.choice(list(schema[bound[alias_before]])))
            join = Test("==", source.choice(list(schema[fact_type])), ref)
            condition = join if condition is None else AllOf((join, condition))
        when.append(Pattern(alias, fact_type, condition))
        bound[alias] = fact_type
    unless = []
    for _ in range(source.choice((0, 0, 0, 1, 2))):
        # mostly types that are seldom derived, or too few rule bases would be stratified
        fact_type = source.choice(types[:2] if source.random() < 0.8 else types)
        condition = _random_condition(source, schema, fact_type, bound, 1) if source.random() < 0.9 else None
        unless.append(Pattern("n", fact_type, condition))
    derive = _random_derive(source, schema, bound) if derives and source.random() < 0.7 else None
    return Rule(name, tuple(when), tuple(unless), derive, source.random() < 0.5)


def _random_derive(source: random.Random, schema: Schema, bound: Mapping[str, str]) -> Derive:
    fact_type = source.choice(list(schema)[2:] or list(schema)[1:])
    values: dict[str, int | Ref] = {}
    for prop, optional in schema[fact_type].items():
        refs = [
            Ref(alias, other)
            for alias, other_type in bound.items()
            for other, other_optional in schema[other_type].items()
            if optional or not other_optional
        ]
        if refs and source.random() < 0.7:
            values[prop] = source.choice(refs)
        elif not optional or source.random() < 0.7:
            values[prop] = random_value(source)
    return Derive(fact_type, values)


def _random_condition(
    source: random.Random, schema: Schema, fact_type: str, bound: Mapping[str, str], depth: int
) -> Condition:
    if depth and source.random() < 0.45:
        count = source.choice((0, 1, 1, 2, 2, 2, 3, 3))
        parts = tuple(_random_condition(source, schema, fact_type, bound, depth - 1) for _ in range(count))
        return source.choice((AllOf, AnyOf))(parts)
    prop = source.choice(list(schema[fact_type]))
    if source.random() < 0.15:
        return source.choice((Present, Absent))(prop)
    op = source.choice(("==", *COMPARE))
    if bound and source.random() < 0.6:
        alias = source.choice(list(bound))
        return Test(op, prop, Ref(alias, source.choice(list(schema[bound[alias]]))))
    if source.random() < 0.2:
        return Test(op, prop, Own(source.choice(list(schema[fact_type]))))
    return Test(op, prop, random_value(source))
