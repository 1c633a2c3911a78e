"""Forward chaining over facts that refer to each other, on the C module of durable-rules.

The module `durable_rules_engine` is fast, and outside a narrow subset it crashes, loops, leaks or answers
wrongly without a word. This file is the only way in. It compiles plain records into that subset, refuses
what does not fit (`OutsideSubset`), and gives no answer at all once the engine has complained (`NoVerdict`).

What keeps a rule base safe, each point for a defect of version 2.0.28:

- Six calls of the C module are used (`_Engine`): no host, thread, event, retraction, timer or priority, one
  fact a call, one case at a time, and the state deleted after each case.
- Values are integers. A property is always present in a message; an optional one travels with a flag, and
  every comparison tests the flags first, because the engine reads stale memory for a missing property.
- The names the engine sees are ours and fixed (`v0`, `h0`, …), as are the fact numbers: it tells names and
  ids apart by 32-bit hashes alone, and these are known not to collide.
- "Or" becomes alternatives, each a rule of its own; "not" comes last, over shadow copies of the facts, all
  asserted before any fact that could fire a rule; rules are fed one stratum of negation at a time.
- Every later pattern ends with a join test that is always true: a false last one reads past its list.
- A sentinel fact fires before anything else, so that the state is complete before it is ever deleted.
- Rule sets past the engine's table sizes are split over several networks.

The answer does not depend on the engine's order of work: rounds are synchronous, and what a round finds is
sorted before derived facts are numbered. Nothing here guards against a crash of the C code; run it in a
process that may die (`worker.py`). This module imports nothing of ours but its records.
"""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

from engine.dataclass import dataclass
from engine.evaluate.durable_records import (
    Absent,
    AllOf,
    AnyOf,
    Atom,
    Condition,
    Fact,
    Inference,
    OutsideSubset,
    Own,
    Pattern,
    Present,
    Ref,
    Rule,
    Schema,
    Test,
    checked_value,
    rule_from_data,
    rule_to_data,
)

MAX_PROPERTIES = 96
"""Properties a fact type may have: two names each and a few of the engine's own, of 255 in a message."""
MAX_ALTERNATIVES = 64
"""Alternatives one rule may expand to, over all its patterns."""
MAX_PATTERNS = 8
"""Positive patterns in one rule, and likewise negative alternatives."""
MAX_JOIN_TESTS = 29
"""Join tests in one pattern; the engine's expression list holds 32, three of them spoken for."""
MAX_DEPTH = 32
"""Nesting of one condition."""
MAX_FACTS = 20_000
"""Facts in one case, derived ones included; ids stay far below the first collision, at 797,186."""
MAX_FIRINGS = 200_000
"""Firings in one case."""

# Per fact type and network: the engine's stack holds 64 nodes, a list of patterns 256, a hash table 512.
_MAX_TESTS_PER_TYPE = 56
_MAX_PATTERNS_PER_TYPE = 200
_MAX_TYPES_PER_NETWORK = 400

_OPERATORS = {"==": None, "!=": "$neq", "<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}
_SENTINEL_RULE = "s"
_SENTINEL_MESSAGE = '{"id":"0","t":0}'
_SID = "0"


class NoVerdict(RuntimeError):
    """The engine reported an error and was thrown away; what it had found is not to be trusted."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class RuleBase:
    """A checked and compiled set of rules.

    Making one is pure Python: the C module is imported by the first `infer` that needs it. Not for use by
    several threads at once.

    Errors: `OutsideSubset` if the rules name unknown things, are not stratified or are too big.
    """

    __slots__ = ("_handles", "_layout", "_networks", "abandoned", "digest", "rules", "schema")

    def __init__(self, schema: Schema, rules: Iterable[Rule]) -> None:
        self.schema: Schema = {fact_type: dict(props) for fact_type, props in schema.items()}
        self.rules = tuple(rules)
        self._layout = _Layout(self.schema)
        self._networks = _compile(self._layout, self.rules)
        self._handles: dict[int, int] = {}
        canonical = json.dumps(self.to_data(), sort_keys=True, separators=(",", ":"))
        self.digest = hashlib.sha256(canonical.encode()).hexdigest()
        self.abandoned = False
        """Whether an engine had to be thrown away; its memory is lost until the process ends."""

    @property
    def definitions(self) -> tuple[Mapping[str, Any], ...]:
        """The networks as the engine reads them, to look at."""
        return tuple(network.definition for network in self._networks)

    def infer(self, facts: Sequence[Fact]) -> Inference:
        """Every firing and every derived fact of one case.

        A derived fact equal in content to a known one is that one; a new one is numbered after all others
        and can fire further rules. Numbers follow the facts given, then strata, rounds, rule names and the
        numbers of the facts chosen.

        Errors: `OutsideSubset` if the case does not fit the schema or grows too big, `NoVerdict` if the
        engine fails. Both leave the rule base fit for the next case.
        """
        case = _Case(self._layout, self.rules, facts)
        touched: set[int] = set()
        try:
            for _, numbered in itertools.groupby(enumerate(self._networks), lambda n: n[1].stratum):
                networks = [number for number, _ in numbered]
                start, end = 0, len(case.facts)
                while start < end:
                    found: set[tuple[str, tuple[int, ...]]] = set()
                    for number in networks:
                        self._feed(number, case, start, end, touched, found)
                    case.record(found)
                    start, end = end, len(case.facts)
            for number in touched:
                _engine().delete_state(self._handles[number], _SID)
        except BaseException as error:
            # an engine that failed, or was left in the middle of a case, is never touched again
            self.abandoned = True
            self._handles.clear()
            if isinstance(error, Exception) and not isinstance(error, OutsideSubset | NoVerdict):
                raise NoVerdict(f"the chaining engine failed: {error!r}") from error
            raise
        firings = sorted((rule, chosen, derived) for (rule, chosen), derived in case.fired.items())
        return Inference(tuple(case.facts), tuple(firings))

    def check(self, facts: Sequence[Fact]) -> None:
        """Raise `OutsideSubset` if the case does not fit the schema."""
        _Case(self._layout, self.rules, facts)

    def close(self) -> None:
        """Give the engine's memory back. The rule base can be used again afterwards."""
        while self._handles:
            _engine().delete_ruleset(self._handles.popitem()[1])

    def to_data(self) -> dict[str, Any]:
        """Plain data that JSON can carry."""
        return {"schema": self.schema, "rules": [rule_to_data(rule) for rule in self.rules]}

    @classmethod
    def from_data(cls, data: Any) -> RuleBase:
        """The rule base that `to_data` described."""
        return cls(data["schema"], map(rule_from_data, data["rules"]))

    def _feed(
        self,
        number: int,
        case: _Case,
        start: int,
        end: int,
        touched: set[int],
        found: set[tuple[str, tuple[int, ...]]],
    ) -> None:
        """Assert facts `start` to `end` in one network and add what fires to `found`."""
        network = self._networks[number]
        codes = self._layout.codes
        news = [i for i in range(start, end) if codes[case.facts[i].fact_type] in network.patterns]
        if not news:
            return
        engine = _engine()
        if number not in self._handles:
            self._handles[number] = engine.create_ruleset("e", json.dumps(network.definition))
        handle = self._handles[number]
        if number not in touched:
            touched.add(number)
            state = _assert(engine, handle, _SENTINEL_MESSAGE, must_match=True)
            if [name for name, _ in _drain(engine, handle, state)] != [_SENTINEL_RULE]:
                raise NoVerdict("the chaining engine did not fire its sentinel rule first")
            # no fact of a negated type can come later: all were derived in earlier strata
            for i in range(len(case.facts)):
                if codes[case.facts[i].fact_type] + 1 in network.patterns:
                    _assert(engine, handle, case.message(i, shadow=1))
        for i in news:
            state = _assert(engine, handle, case.message(i, shadow=0))
        for name, bound in _drain(engine, handle, state):
            rule = self.rules[int(name[1:].partition("_")[0])]
            found.add((rule.name, tuple(int(bound[f"a{j}"]["id"]) // 2 - 1 for j in range(len(rule.when)))))
            if len(case.fired) + len(found) > MAX_FIRINGS:
                raise OutsideSubset(f"the case has more than {MAX_FIRINGS:,} firings")


class _Engine(Protocol):
    """The calls of the C module that are safe; no other is reachable from here."""

    def create_ruleset(self, name: str, definition: str, /) -> int: ...
    def assert_fact(self, handle: int, message: str, /) -> tuple[int, int]: ...
    def start_action_for_state(self, handle: int, state: int, /) -> tuple[str, str] | None: ...
    def complete_and_start_action(self, handle: int, state: int, /) -> str | None: ...
    def delete_state(self, handle: int, sid: str, /) -> None: ...
    def delete_ruleset(self, handle: int, /) -> None: ...


def _engine() -> _Engine:
    return cast(_Engine, importlib.import_module("durable_rules_engine"))


def _assert(engine: _Engine, handle: int, message: str, must_match: bool = False) -> int:
    """Add one fact and return the state it lies in. Codes: 0 stored, 1 meets no pattern; the rest are bad."""
    code, state = engine.assert_fact(handle, message)
    if code != 0 and (must_match or code != 1):
        raise NoVerdict(f"the chaining engine answered code {code} to a fact")
    return state


def _drain(engine: _Engine, handle: int, state: int) -> Iterable[tuple[str, dict[str, dict[str, Any]]]]:
    """Each pending firing: the rule's name in the network and the facts its patterns bound."""
    first = engine.start_action_for_state(handle, state)
    pending = first[1] if first else None
    while pending:
        yield from json.loads(pending).items()
        pending = engine.complete_and_start_action(handle, state)


class _Layout:
    """How facts look to the engine: a number for each type, a name and a flag for each property."""

    __slots__ = ("codes", "places", "schema")

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        # even: the fact itself; the odd number after it: its shadow, read by negative patterns; 0: sentinel
        self.codes = {fact_type: 2 * i + 2 for i, fact_type in enumerate(schema)}
        self.places = {fact_type: {p: i for i, p in enumerate(props)} for fact_type, props in schema.items()}
        for fact_type, props in schema.items():
            if len(props) > MAX_PROPERTIES:
                raise OutsideSubset(f"fact type `{fact_type}` has more than {MAX_PROPERTIES} properties")

    def code(self, fact_type: str) -> int:
        if fact_type not in self.codes:
            raise OutsideSubset(f"`{fact_type}` is not a fact type of the schema")
        return self.codes[fact_type]

    def name(self, fact_type: str, prop: str) -> str:
        self.code(fact_type)
        if prop not in self.places[fact_type]:
            raise OutsideSubset(f"`{prop}` is not a property of fact type `{fact_type}`")
        return f"v{self.places[fact_type][prop]}"

    def flag(self, fact_type: str, prop: str) -> str | None:
        """The flag that says whether the property has a value, if it is optional."""
        name = self.name(fact_type, prop)
        return f"h{name[1:]}" if self.schema[fact_type][prop] else None

    def encode(self, fact: Fact) -> str:
        """The properties of a fact as the inside of a JSON object, equal for facts of equal content."""
        self.code(fact.fact_type)
        for prop in fact.values:
            self.name(fact.fact_type, prop)
        inside = []
        for i, (prop, optional) in enumerate(self.schema[fact.fact_type].items()):
            value = fact.values.get(prop)
            if value is None and not optional:
                raise OutsideSubset(f"a `{fact.fact_type}` fact lacks `{prop}`, which is not optional")
            inside.append(f',"v{i}":{0 if value is None else checked_value(value)}')
            if optional:
                inside.append(f',"h{i}":{int(value is not None)}')
        return "".join(inside)


class _Case:
    """The facts known so far in one case, and what has fired."""

    __slots__ = ("facts", "fired", "insides", "known", "layout", "rules")

    def __init__(self, layout: _Layout, rules: tuple[Rule, ...], facts: Sequence[Fact]) -> None:
        self.layout = layout
        self.rules = {rule.name: rule for rule in rules}
        self.facts: list[Fact] = []
        self.insides: list[str] = []
        self.known: dict[tuple[str, str], int] = {}
        self.fired: dict[tuple[str, tuple[int, ...]], int | None] = {}
        for fact in facts:
            self._add(fact, layout.encode(fact))

    def message(self, i: int, shadow: int) -> str:
        code = self.layout.codes[self.facts[i].fact_type] + shadow
        return f'{{"id":"{2 * i + 2 + shadow}","t":{code},"o":1{self.insides[i]}}}'

    def record(self, found: set[tuple[str, tuple[int, ...]]]) -> None:
        """Note the new firings of a round, in sorted order, with the facts they derive."""
        for name, chosen in sorted(found - self.fired.keys()):
            self.fired[name, chosen] = self._derive(self.rules[name], chosen)

    def _derive(self, rule: Rule, chosen: tuple[int, ...]) -> int | None:
        if rule.derive is None:
            return None
        bound = {pattern.alias: self.facts[i].values for pattern, i in zip(rule.when, chosen, strict=True)}
        values = {
            prop: bound[source.alias].get(source.prop) if isinstance(source, Ref) else source
            for prop, source in rule.derive.values.items()
        }
        fact = Fact(rule.derive.fact_type, {prop: v for prop, v in values.items() if v is not None})
        inside = self.layout.encode(fact)
        index = self.known.get((fact.fact_type, inside))
        return self._add(fact, inside) if index is None else index

    def _add(self, fact: Fact, inside: str) -> int:
        index = len(self.facts)
        if index >= MAX_FACTS:
            raise OutsideSubset(f"the case has more than {MAX_FACTS:,} facts")
        self.facts.append(fact)
        self.insides.append(inside)
        self.known.setdefault((fact.fact_type, inside), index)
        return index


@dataclass(slots=True)
class _Network:
    """One rule set of the engine: rules of one stratum, within the sizes of its tables."""

    stratum: int
    definition: dict[str, Any]
    patterns: Counter[int]
    tests: Counter[int]

    def has_room(self, patterns: Counter[int], tests: Counter[int]) -> bool:
        return (
            max((self.patterns + patterns).values(), default=0) <= _MAX_PATTERNS_PER_TYPE
            and max((self.tests + tests).values(), default=0) <= _MAX_TESTS_PER_TYPE
            and len(self.patterns.keys() | patterns.keys()) <= _MAX_TYPES_PER_NETWORK
        )


def _compile(layout: _Layout, rules: tuple[Rule, ...]) -> tuple[_Network, ...]:
    """Check the rules and lay them out in networks, lower strata first."""
    if len({rule.name for rule in rules}) < len(rules):
        raise OutsideSubset("two rules have the same name")
    bodies = []
    for rule in rules:
        try:
            bodies.append(_bodies(layout, rule))
            _check_derive(layout, rule)
        except OutsideSubset as error:
            raise OutsideSubset(f"rule `{rule.name}`: {error.reason}") from None
    strata = _strata(layout.schema, rules)
    networks: list[_Network] = []
    latest: dict[int, _Network] = {}
    for i, rule in enumerate(rules):
        stratum = _stratum_of(rule, strata)
        for j, body in enumerate(bodies[i]):
            groups = [group["$and"] for pattern in body for group in pattern.values()]
            patterns = Counter(group[0]["t"] for group in groups)
            tests: Counter[int] = Counter()
            for head, *rest in groups:
                tests[head["t"]] += len(rest)
            network = latest.get(stratum)
            if network is None or not network.has_room(patterns, tests):
                sentinel = {_SENTINEL_RULE: {"all": [{"z": {"$and": [{"t": 0}]}}]}}
                network = latest[stratum] = _Network(stratum, sentinel, Counter(), Counter())
                networks.append(network)
                if not network.has_room(patterns, tests):
                    raise OutsideSubset(f"rule `{rule.name}`: too many tests on one fact type")
            network.definition[f"r{i}_{j}"] = {"all": body, "dist": int(rule.distinct)}
            network.patterns.update(patterns)
            network.tests.update(tests)
    return tuple(sorted(networks, key=lambda network: network.stratum))


def _stratum_of(rule: Rule, strata: Mapping[str, int]) -> int:
    positive = [strata[pattern.fact_type] for pattern in rule.when]
    return max(positive + [strata[pattern.fact_type] + 1 for pattern in rule.unless])


def _strata(schema: Schema, rules: tuple[Rule, ...]) -> dict[str, int]:
    """How many negations lie below each fact type: facts of a stratum are complete before the next begins."""
    strata = dict.fromkeys(schema, 0)
    for _ in range(len(schema) + 1):
        changed = False
        for rule in rules:
            if rule.derive and _stratum_of(rule, strata) > strata[rule.derive.fact_type]:
                strata[rule.derive.fact_type] = _stratum_of(rule, strata)
                changed = True
        if not changed:
            return strata
    raise OutsideSubset("a fact type depends on its own absence, so the rules are not stratified")


def _bodies(layout: _Layout, rule: Rule) -> list[list[dict[str, Any]]]:
    """The rule's patterns as the engine reads them, once for each combination of alternatives."""
    aliases = [pattern.alias for pattern in rule.when]
    if not 0 < len(aliases) <= MAX_PATTERNS:
        raise OutsideSubset(f"`when` needs one to {MAX_PATTERNS} patterns")
    if len(set(aliases)) < len(aliases) or any(pattern.alias in aliases for pattern in rule.unless):
        raise OutsideSubset("one alias stands for two patterns")
    bound: dict[str, tuple[str, str]] = {}
    positive: list[list[dict[str, Any]]] = []
    for j, pattern in enumerate(rule.when):
        positive.append([{f"a{j}": group} for group in _groups(layout, pattern, 0, bound)])
        bound[pattern.alias] = (f"a{j}", pattern.fact_type)
    negative = [group for pattern in rule.unless for group in _groups(layout, pattern, 1, bound)]
    if len(negative) > MAX_PATTERNS:
        raise OutsideSubset(f"`unless` has more than {MAX_PATTERNS} alternatives")
    if math.prod(map(len, positive)) > MAX_ALTERNATIVES:
        raise OutsideSubset(f"the patterns have more than {MAX_ALTERNATIVES} alternatives together")
    last = [{f"b{j}$not": group} for j, group in enumerate(negative)]
    return [[*combination, *last] for combination in itertools.product(*positive)]


def _groups(
    layout: _Layout, pattern: Pattern, shadow: int, bound: Mapping[str, tuple[str, str]]
) -> list[dict[str, Any]]:
    """The alternatives of a pattern as the engine reads them, without those that can never hold."""
    head = {"t": layout.code(pattern.fact_type) + shadow}
    groups = []
    for atoms in _alternatives(pattern.condition):
        tests: list[dict[str, Any]] = []
        can_hold = True
        for atom in atoms:
            flag = layout.flag(pattern.fact_type, atom.prop)
            if isinstance(atom, Absent):
                can_hold = can_hold and flag is not None
                tests.append({flag or "o": 0})
            elif flag:
                tests.append({flag: 1})
            if isinstance(atom, Test):
                tests += _comparison(layout, pattern, atom, bound)
        tests = [test for i, test in enumerate(tests) if test not in tests[:i]]
        if bound:
            tests.append({"o": {"a0": "o"}})
        if sum(map(_is_join, tests)) > MAX_JOIN_TESTS:
            raise OutsideSubset(f"a pattern has more than {MAX_JOIN_TESTS - 1} join tests")
        if can_hold:
            groups.append({"$and": [head, *tests]})
    return groups


def _alternatives(condition: Condition | None, depth: int = 0) -> list[tuple[Atom, ...]]:
    """The condition as alternatives, each a conjunction, without repeats."""
    if depth > MAX_DEPTH:
        raise OutsideSubset(f"a condition is nested deeper than {MAX_DEPTH}")
    if condition is None:
        return [()]
    if isinstance(condition, AllOf | AnyOf):
        parts = [_alternatives(part, depth + 1) for part in condition.parts]
        combined: Callable[[Iterable[int]], int] = math.prod if isinstance(condition, AllOf) else sum
        if combined(map(len, parts)) > MAX_ALTERNATIVES:
            raise OutsideSubset(f"a condition has more than {MAX_ALTERNATIVES} alternatives")
        flat = itertools.chain.from_iterable
        if isinstance(condition, AnyOf):
            return list(dict.fromkeys(flat(parts)))
        return list(dict.fromkeys(tuple(dict.fromkeys(flat(c))) for c in itertools.product(*parts)))
    if isinstance(condition, Test) and not isinstance(condition.operand, Ref | Own):
        checked_value(condition.operand)
    elif not isinstance(condition, Test | Present | Absent):
        raise OutsideSubset(f"{condition!r} is not a condition")
    return [(condition,)]


def _comparison(
    layout: _Layout, pattern: Pattern, test: Test, bound: Mapping[str, tuple[str, str]]
) -> list[dict[str, Any]]:
    """A comparison, after the flag of its right side if that can be missing."""
    if test.op not in _OPERATORS:
        raise OutsideSubset(f"`{test.op}` is not one of the operators {' '.join(_OPERATORS)}")
    flags: list[dict[str, Any]] = []
    right: int | dict[str, str]
    match test.operand:
        case Own(prop):
            right = {"$m": layout.name(pattern.fact_type, prop)}
            if flag := layout.flag(pattern.fact_type, prop):
                flags.append({flag: 1})
        case Ref(alias, prop):
            if alias not in bound:
                raise OutsideSubset(f"`{alias}` is not the alias of an earlier pattern")
            engine_alias, fact_type = bound[alias]
            right = {engine_alias: layout.name(fact_type, prop)}
            if flag := layout.flag(fact_type, prop):
                flags.append({"o": {engine_alias: flag}})
        case literal:
            right = literal
    operator = _OPERATORS[test.op]
    comparison: dict[str, Any] = {layout.name(pattern.fact_type, test.prop): right}
    return [*flags, {operator: comparison} if operator else comparison]


def _is_join(test: Mapping[str, Any]) -> bool:
    ((key, right),) = test.items()
    if key.startswith("$"):
        (right,) = right.values()
    return isinstance(right, dict) and "$m" not in right


def _check_derive(layout: _Layout, rule: Rule) -> None:
    """A derived fact has every property that is not optional, whatever the firing."""
    if rule.derive is None:
        return
    layout.code(rule.derive.fact_type)
    types = {pattern.alias: pattern.fact_type for pattern in rule.when}
    for prop, source in rule.derive.values.items():
        flag = layout.flag(rule.derive.fact_type, prop)
        if not isinstance(source, Ref):
            checked_value(source)
        elif source.alias not in types:
            raise OutsideSubset(f"`{source.alias}` is not the alias of a pattern in `when`")
        elif layout.flag(types[source.alias], source.prop) and not flag:
            raise OutsideSubset(f"`{source.prop}` can be missing, but `{prop}`, its copy, is not optional")
    for prop, optional in layout.schema[rule.derive.fact_type].items():
        if not optional and prop not in rule.derive.values:
            raise OutsideSubset(f"the derived fact lacks `{prop}`, which is not optional")
