"""The reference evaluator against the fast ones, over every provision of the shipped packs."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from engine import EvaluationError, Pack, load_pack, pack_names
from engine.evaluate.columnar import column_plan
from engine.evaluate.compiled import CompiledProvision
from engine.evaluate.integers import term_value, truth_value
from engine.expr import Literal, walk
from engine.kinds import UNDETERMINED
from engine.model import Field, Provision
from engine.normal import normal_form
from engine.outcome import assess
from engine.stored import encode
from engine.terms import nodes
from engine.types import Kind
from engine.values import Value
from packs import one

PACKS = {name: load_pack(name).load_all() for name in pack_names()}
ALL = [(pack, identity) for pack in PACKS.values() for identity in pack.ids]


def bounds_of(provision: Provision) -> dict[Kind, list[Value]]:
    """Every literal of the provision, by kind: where outcomes change."""
    found: dict[Kind, list[Value]] = {}
    exprs = [provision.status, *(let.expr for let in provision.lets), *(output.expr for output in provision.outputs)]
    for expr in exprs:
        for node in walk(expr):
            if isinstance(node, Literal) and node.value is not None and not isinstance(node.value, bool):
                found.setdefault(node.type.kind, []).append(node.value)
    return found


def a_value(rng: random.Random, field: Field, near: dict[Kind, list[Value]], others: list[Value]) -> Value | None:
    """A value at, just below or just above a bound, a multiple of another fact's, or anything; sometimes unknown."""
    if rng.random() < 0.12:
        return None
    kind = field.type.kind
    if kind is Kind.BOOLEAN:
        return rng.random() < 0.6
    if kind is Kind.ENUM:
        return rng.choice(field.type.values or ("",))
    if kind is Kind.TEXT:
        return rng.choice(["", "甲", "乙", "示例周期"])
    if kind is Kind.DATE:
        days = [day for day in near.get(kind, []) if isinstance(day, date)] or [date(2019, 3, 1)]
        return rng.choice(days) + timedelta(days=rng.choice([-1, 0, 1, rng.randint(-400, 400)]))
    step = {Kind.MONEY: 1, Kind.RATIO: Fraction(1, 10**6)}.get(kind, 1 if field.type.integer else Fraction(1, 10**6))
    pool = [value for value in near.get(kind, []) if isinstance(value, (int, Fraction))]
    scale = [value for values in (near.get(Kind.RATIO, []), [1]) for value in values if isinstance(value, (int, Fraction))]
    known = [value for value in others if isinstance(value, (int, Fraction)) and not isinstance(value, bool)]
    base = rng.choice([*pool, 0, rng.randint(0, 10**9)])
    if known and rng.random() < 0.5:
        base = rng.choice(known) * rng.choice(scale)
    value = base + step * rng.choice([-1, 0, 0, 1])
    value = Fraction(int(value / step)) * step  # a stored value has the column's grain
    low, high = field.minimum, field.maximum
    if low is not None:
        value = max(value, low)  # type: ignore[type-var]
    if high is not None:
        value = min(value, high)  # type: ignore[type-var]
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


def some_facts(provision: Provision, rng: random.Random, count: int) -> Iterator[dict[str, Value | None]]:
    near = bounds_of(provision)
    for _ in range(count):
        values: dict[str, Value | None] = {}
        for name, field in provision.facts.items():
            if field.required or rng.random() < 0.7:
                values[name] = a_value(rng, field, near, [v for v in values.values() if v is not None])
        yield values


def check_agreement(pack: Pack, provision: Provision, count: int, seed: int) -> int:
    """How many cases were compared; fails on the first difference."""
    on = pack.reference_date
    compiled = CompiledProvision(provision, on)
    compared = 0
    for values in some_facts(provision, random.Random(seed), count):
        try:
            expected = assess(provision, values, on)
        except (EvaluationError, ValueError):
            continue  # a day beyond the calendar, an impossible month
        status, found = compiled.decide(values)
        assert (status, found) == (expected.status, dict(expected.values)), (provision.id, values)
        parameters = {name: item.on(on) if on else None for name, item in provision.parameters.items()}
        plan = normal_form(provision, parameters)
        given = {name: values.get(name, field.default) for name, field in provision.facts.items()}
        row = {name: encode(given[name], field.type) for name, field in provision.facts.items()}
        word = term_value(plan.status, row)
        if expected.status != UNDETERMINED:
            assert word == expected.status, (provision.id, values)
            for output in plan.outputs:
                if output.statuses is not None and word not in output.statuses:
                    continue
                if output.name not in expected.values or not output.required:
                    continue
                wanted = expected.values[output.name]
                if output.kind is Kind.BOOLEAN:
                    assert truth_value(output.value, row) == wanted  # type: ignore[arg-type]
                    continue
                top, bottom = term_value(output.value, row), term_value(output.denominator, row)  # type: ignore[arg-type]
                if isinstance(wanted, date):
                    wanted = encode(wanted, provision.facts[next(iter(provision.facts))].type)
                assert top == wanted if isinstance(wanted, str) else Fraction(top, bottom) == wanted, (  # type: ignore[arg-type]
                    provision.id, output.name, values)  # fmt: skip
                limit = 2**63 - 1
                assert isinstance(top, str) or abs(top) <= limit  # type: ignore[arg-type]
        compared += 1
    return compared


@pytest.mark.parametrize(("pack", "identity"), ALL, ids=[identity for _, identity in ALL])
def test_compiled_and_normal_form_agree_with_the_reference(pack: Pack, identity: str) -> None:
    provision = pack.provision(identity)
    assert check_agreement(pack, provision, 60, seed=len(identity)) > 20


@pytest.mark.parametrize(("pack", "identity"), ALL, ids=[identity for _, identity in ALL])
def test_every_other_reading_agrees_too(pack: Pack, identity: str) -> None:
    for reading in pack.provision(identity).readings:
        for other in reading.alternatives:
            if other.variant is not None:
                assert check_agreement(pack, other.variant, 15, seed=7) > 3


@pytest.mark.parametrize(("pack", "identity"), ALL, ids=[identity for _, identity in ALL])
def test_a_missing_fact_could_decide_and_the_rest_could_not_alone(pack: Pack, identity: str) -> None:
    """An undetermined outcome names facts that are unknown, and giving all of them decides it."""
    provision = pack.provision(identity)
    rng = random.Random(3)
    near = bounds_of(provision)
    on = pack.reference_date
    for values in some_facts(provision, rng, 25):
        try:
            outcome = assess(provision, values, on)
            if outcome.status != UNDETERMINED or not outcome.missing:
                continue
            assert all(values.get(name) is None for name in outcome.missing)
            filled = dict(values)
            for _ in range(8):
                for name in outcome.missing:
                    while filled.get(name) is None:
                        filled[name] = a_value(rng, provision.facts[name], near, [])
                outcome = assess(provision, filled, on)
                if outcome.status != UNDETERMINED or not outcome.missing:
                    break
        except (EvaluationError, ValueError):
            continue
        assert outcome.status != UNDETERMINED or not outcome.missing, (provision.id, values, outcome.missing)


@pytest.mark.long
@pytest.mark.parametrize(("pack", "identity"), ALL, ids=[identity for _, identity in ALL])
def test_agreement_over_many_cases(pack: Pack, identity: str) -> None:
    assert check_agreement(pack, pack.provision(identity), 800, seed=11) > 100


CHAINS = {
    "doubled": "d{before} + d{before}",
    "the greater of two": "max(d{before}, {here}) if d{before} > {here} else d{before} + 1",
    "either way": "(d{before} and b) or (not d{before} and c)",
    "chosen": "b if d{before} else c",
}
"""Names of which each uses the one before several times."""


@pytest.mark.parametrize("chain", CHAINS)
def test_what_is_used_in_several_places_is_gone_through_once(chain: str, tmp_path: Path) -> None:
    """The normal form grows by as much for each name; the longest would never end if names were spelled out."""
    sizes = []
    for length in (4, 8, 12, 48):
        lets = "\n".join(f"  d{here}: {CHAINS[chain].format(before=here - 1, here=here)}" for here in range(1, length + 1))
        first = "a" if chain in ("either way", "chosen") else "n"
        pack = one(tmp_path / str(length), "parameter", "\n".join((
            "facts: [{n: {type: integer, zh: 数, min: 0, max: 100}}, {a: 甲}, {b: 乙}, {c: 丙}]",
            f"let:\n  d0: {first}", lets, f"outputs:\n  last: {{is: d{length}, zh: 末, en: last}}")))
        plan = normal_form(pack.provision("tiny.one"), {})
        sizes.append(sum(1 for _ in nodes(*(output.value for output in plan.outputs))))
        assert sizes[-1] <= 16 * length, sizes
        columns = column_plan(pack.provision("tiny.one"), None)
        assert sum(1 for _ in nodes(*columns.nodes())) <= 48 * length, length
