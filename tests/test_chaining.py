"""Forward chaining over dossiers: it agrees with the reference, its loss costs nothing, it stops on a difference."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from engine import EvaluationError, load_pack
from engine.checking import check_submission
from engine.dossier import assess_dossier, derive_case, reference_agenda
from engine.evaluate import chaining, worker
from engine.evaluate.chaining import ChainingAgenda
from engine.evaluate.worker import Worker, unavailable_reason
from engine.model import Case, Dossier, Field, Row
from engine.types import Kind
from facts.reading import read_facts

PACK = load_pack()
DAY = date(2019, 12, 31)
needs_engine = pytest.mark.skipif(unavailable_reason() is not None, reason=f"no chaining engine: {unavailable_reason()}")


def any_value(rng: random.Random, field: Field) -> object:
    if rng.random() < 0.1:
        return None
    match field.type.kind:
        case Kind.BOOLEAN:
            return rng.random() < 0.7
        case Kind.ENUM:
            return rng.choice(field.type.values or ("",))
        case Kind.TEXT:
            return rng.choice(["甲", "乙", "丙"])
        case Kind.MONEY:
            return rng.choice([0, 1, 85, 100, 5_000_000, 10_000_000, 20_000_000, rng.randint(0, 10**9)])
        case Kind.DATE:
            return date(2019, rng.randint(1, 12), rng.randint(1, 28))
        case Kind.RATIO:
            return rng.choice([0, 1])
    return rng.choice([2018, 2019])


def any_case(rng: random.Random, dossier: Dossier) -> Case:
    def row(record: str) -> Row:
        fields = dossier.records[record].fields
        return Row(record, {name: any_value(rng, field) for name, field in fields.items()})  # type: ignore[misc]

    related = [row(name) for name in dossier.records if name != dossier.subject for _ in range(rng.choice([0, 1, 2, 4]))]
    subject = row(dossier.subject)
    key = dossier.records[dossier.subject].key
    return Case(dossier.id, replace(subject, values={**subject.values, key or "": "甲"}), tuple(related))


def agree(dossier: Dossier, builder: ChainingAgenda, count: int, seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(count):
        case = derive_case(dossier, any_case(rng, dossier))
        agenda = reference_agenda(dossier, case, {})
        outcome = assess_dossier(PACK, dossier, case, agenda, DAY, explained=False)
        builder.compare(dossier, case, agenda, outcome, DAY)


@needs_engine
@pytest.mark.parametrize("name", PACK.dossiers)
def test_random_dossiers_agree_with_the_reference(name: str) -> None:
    with ChainingAgenda(PACK) as builder:
        agree(PACK.dossiers[name], builder, 60, seed=5)
        assert (builder.chained, builder.left) == (60, 0), builder.reason


@needs_engine
@pytest.mark.long
@pytest.mark.parametrize("name", PACK.dossiers)
def test_many_random_dossiers_agree(name: str) -> None:
    with ChainingAgenda(PACK) as builder:
        agree(PACK.dossiers[name], builder, 1500, seed=6)
        assert (builder.chained, builder.left) == (1500, 0), builder.reason


@needs_engine
def test_a_difference_stops_with_both_results(monkeypatch: pytest.MonkeyPatch) -> None:
    dossier = PACK.dossiers["departments"]
    values = {"department_name": "甲", "has_task": True, "task_amount": 100, "raised_amount": 90,
              "next_year_public_funds": 10000}  # fmt: skip
    case = derive_case(dossier, Case(dossier.id, Row("department", values)))
    agenda = reference_agenda(dossier, case, {})
    outcome = assess_dossier(PACK, dossier, case, agenda, DAY)
    first = outcome.items[0]
    wrong = replace(first, outcome=replace(first.outcome, values={**first.outcome.values, "amount": 1}))
    with ChainingAgenda(PACK) as builder, pytest.raises(EvaluationError) as caught:
        builder.compare(dossier, case, agenda, replace(outcome, items=(wrong, *outcome.items[1:])), DAY)
    problem = caught.value.problems[0]
    assert problem.code == "evaluators-disagree"
    assert "500" in problem.message("zh")
    assert "1" in problem.message("zh")


FIRM = """
dossier: construction_firms
firm: {firm_name: 甲公司, registered_in_prefecture: 是}
award:
- {family: 工法, level: 国家级, matter: 甲工法}
"""


def submission(tmp_path: Path) -> object:
    path = tmp_path / "firm.yaml"
    path.write_text(FIRM, encoding="utf-8")
    return read_facts([path], dossiers=PACK.dossiers, provision=PACK.find)


class Dying(Worker):
    """A worker whose child is dead each time it is asked."""

    def infer(self, *arguments: object, **named: object) -> object:  # type: ignore[override]
        raise worker.WorkerDied("killed by signal 9")


def test_a_dead_worker_loses_nothing_and_is_told(tmp_path: Path) -> None:
    builder = ChainingAgenda(PACK, Dying())
    dossier = PACK.dossiers["construction_firms"]
    case = derive_case(dossier, submission(tmp_path).cases[0])  # type: ignore[attr-defined]
    agenda = reference_agenda(dossier, case, {})
    outcome = assess_dossier(PACK, dossier, case, agenda, DAY)
    builder.compare(dossier, case, agenda, outcome, DAY)
    assert outcome.total == 30_000_000
    assert "killed by signal 9" in builder.described().zh


def test_an_absent_engine_leaves_the_reference_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chaining, "unavailable_reason", lambda: "no module named durable_rules_engine")
    checked = check_submission(PACK, submission(tmp_path), DAY)  # type: ignore[arg-type]
    assert checked.dossiers["construction_firms"][0].total == 30_000_000
    assert "no module named durable_rules_engine" in checked.agenda.zh
    assert "参考求值器" in checked.agenda.zh


HOSTILE = [
    {"matter": "x" * 200_000},  # strings are compared as codes, never by the engine
    {"matter": "1"},
    {"matter": "true"},
    {"matter": "\u0000$not\u0000"},
    {"family": "工法", "matter": "costarring"},  # pairs that collide in 32-bit FNV-1a
    {"family": "工法", "matter": "liquid"},
    {"matter": "$s"},
    {"matter": None},
]


@needs_engine
def test_hostile_texts_in_a_case_cannot_reach_the_engines_faults(tmp_path: Path) -> None:
    """Texts, ids, names and counts that upset the engine stay outside: it only sees our numbers."""
    dossier = PACK.dossiers["construction_firms"]
    subject = Row("firm", {"firm_name": "'; $and []", "registered_in_prefecture": True, "head_office_moved": None})
    rows = [Row("award", {"firm_name": subject.values["firm_name"], "family": "method", "level": "national",
                          "role": None, **{key: value for key, value in extra.items() if key == "matter"}})
            for extra in HOSTILE for _ in range(3)]
    case = derive_case(dossier, Case(dossier.id, subject, tuple(rows)))
    agenda = reference_agenda(dossier, case, {})
    outcome = assess_dossier(PACK, dossier, case, agenda, DAY, explained=False)
    with ChainingAgenda(PACK) as builder:
        builder.compare(dossier, case, agenda, outcome, DAY)
        assert builder.chained == 1, builder.reason


@needs_engine
def test_hundreds_of_rows_and_cases_keep_one_child() -> None:
    dossier = PACK.dossiers["construction_firms"]
    subject = Row("firm", {"firm_name": "甲", "registered_in_prefecture": True})
    rows = tuple(Row("award", {"firm_name": "甲", "family": "site_standard", "level": "prefecture", "matter": str(number)})
                 for number in range(600))
    case = derive_case(dossier, Case(dossier.id, subject, rows))
    agenda = reference_agenda(dossier, case, {})
    outcome = assess_dossier(PACK, dossier, case, agenda, DAY, explained=False)
    assert outcome.total == 600 * 2_000_000
    with ChainingAgenda(PACK, timeout=120) as builder:
        builder.compare(dossier, case, agenda, outcome, DAY)
        assert builder.chained == 1, builder.reason
