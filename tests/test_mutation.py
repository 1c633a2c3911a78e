"""Mutation testing of packs: wrong changes are made at every place, and only real ones count."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip("z3")

from engine.cases import load_cases
from engine.load import Pack, load_pack
from engine.mutation import EQUIVALENT, KILLED, SURVIVED, MutationReport, mutants, mutate, smallest_unit
from engine.types import COUNT, DATE, MONEY, NUMBER, RATIO
from engine.verify import load_for_verification


@cache
def shipped() -> Pack:
    """The pack that comes with Hegui, read once."""
    return load_pack("chuxiong_2019").load_all()


HEADER = """
id: small
version: "1"
document: 试〔2019〕1号
reference_date: 2019-12-31
"""
AWARD = """
- id: award.growth
  kind: entitlement
  facts:
  - large: 规模以上
  - staff: {type: integer, max: 1000}
  - growth: {type: money, max: 10亿元}
  require: [large, staff >= 10 or growth > 500万元]
  amount: min(growth * reward_rate, 50万元)
"""
CASES = """
- {provision: award.growth, case: at ten, inputs: {large: true, staff: 10, growth: 0}, expect: {status: eligible, amount: "0.00"}}
- {provision: award.growth, case: nine, inputs: {large: true, staff: 9, growth: 500万元}, expect: {status: ineligible}}
- {provision: award.growth, case: a fen more, inputs: {large: true, staff: 9, growth: 5000000.01元}, expect: {status: eligible, amount: "10000.00"}}
- {provision: award.growth, case: small, inputs: {large: false, staff: 10, growth: 600万元}, expect: {status: ineligible}}
- {provision: award.growth, case: both, inputs: {large: true, staff: 10, growth: 600万元}, expect: {status: eligible, amount: "12000.00"}}
- {provision: award.growth, case: above the cap, inputs: {large: true, staff: 10, growth: 3亿元}, expect: {status: eligible, amount: "500000.00"}}
- {provision: award.growth, case: a fen of reward, inputs: {large: true, staff: 10, growth: 2.50元}, expect: {status: eligible, amount: "0.01"}}
- {provision: award.growth, case: less than a fen, inputs: {large: true, staff: 10, growth: 2.49元}, expect: {status: eligible, amount: "0.00"}}
- {provision: award.growth, case: just at the cap, inputs: {large: true, staff: 10, growth: 25000万元}, expect: {status: eligible, amount: "500000.00"}}
- {provision: award.growth, case: just below the cap, inputs: {large: true, staff: 10, growth: 249999997.50元}, expect: {status: eligible, amount: "500000.00"}}
"""


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    return build(tmp_path, CASES)


def build(folder: Path, cases: str, rules: str = AWARD) -> Pack:
    for name, text in {
        "pack.yaml": HEADER,
        "parameters.yaml": "reward_rate: {type: percent, values: {2019-01-01: 2‰}}\n",
        "provisions/rules.yaml": rules,
        "cases/rules.yaml": cases,
    }.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return load_pack(folder).load_all()


def run(pack: Pack) -> MutationReport:
    return mutate(pack, load_cases(pack))


def changes_of(pack: Pack) -> set[tuple[str, str]]:
    provision = pack.provision("award.growth")
    return {(mutant.before, mutant.after) for mutant in mutants(provision, pack.reference_date)}


def test_figures_move_by_one_smallest_unit(pack: Pack) -> None:
    assert {
        ("10", "11"),
        ("10", "9"),
        ("500万元", "5000000.01元"),
        ("500万元", "4999999.99元"),
        ("50万元", "500000.01元"),
        ("50万元", "499999.99元"),
    } <= changes_of(pack)


def test_a_parameter_moves_too(pack: Pack) -> None:
    assert {
        ("reward_rate = 0.2%", "reward_rate = 0.2001%"),
        ("reward_rate = 0.2%", "reward_rate = 0.1999%"),
    } <= changes_of(pack)


def test_comparisons_are_made_strict_and_turned_round(pack: Pack) -> None:
    assert {("staff >= 10", "staff > 10"), ("staff >= 10", "staff < 10")} <= changes_of(pack)


def test_connectives_and_extremes_are_exchanged(pack: Pack) -> None:
    found = changes_of(pack)
    assert ("staff >= 10 or growth > 500万元", "staff >= 10 and growth > 500万元") in found
    assert ("min(growth * reward_rate, 50万元)", "max(growth * reward_rate, 50万元)") in found


def test_each_requirement_is_dropped(pack: Pack) -> None:
    whole = "large and (staff >= 10 or growth > 500万元)"
    assert {(whole, "large"), (whole, "staff >= 10 or growth > 500万元")} <= changes_of(pack)


def test_the_only_requirement_is_dropped_whatever_its_form(tmp_path: Path) -> None:
    for number, requirement in enumerate(("large and staff > 3", "not large", "large", "staff > 3")):
        made = build(
            tmp_path / str(number) if (tmp_path / str(number)).mkdir() is None else tmp_path,
            CASES,
            AWARD.replace("[large, staff >= 10 or growth > 500万元]", f"[{requirement}]"),
        )
        assert (requirement, "true") in changes_of(made)


def test_a_mutant_is_never_the_rule_itself() -> None:
    pack = shipped()
    for provision in pack.provisions.values():
        for mutant in mutants(provision, pack.reference_date):
            changed = mutant.changed
            assert (changed.status, changed.outputs, changed.lets, changed.measures, changed.parameters) != (
                provision.status,
                provision.outputs,
                provision.lets,
                provision.measures,
                provision.parameters,
            ), mutant


def test_cases_at_every_edge_kill_every_mutant(pack: Pack) -> None:
    report = run(pack)
    assert [(item.mutant.before, item.mutant.after) for item in report.survivors] == []
    assert report.score == 1
    assert report.count(KILLED) > 15


def test_a_survivor_comes_with_the_case_that_is_lacking(tmp_path: Path) -> None:
    lines = [line for line in CASES.splitlines() if "case: nine" not in line]
    report = run(build(tmp_path, "\n".join(lines)))
    assert report.score < 1
    survivor = next(item for item in report.survivors if item.mutant.after == "9")
    assert survivor.verdict == SURVIVED
    assert survivor.lacking is not None
    assert survivor.lacking.values["staff"] == 9
    assert survivor.lacking.outcome is not None
    assert survivor.lacking.outcome.status == "ineligible"


def test_an_equivalent_mutant_does_not_count(tmp_path: Path) -> None:
    # A count of at least zero never fails: moving it down to below zero changes nothing.
    report = run(build(tmp_path, CASES, AWARD.replace("staff >= 10 or", "staff >= 0 and staff >= 10 or")))
    moved = next(item for item in report.results if (item.mutant.before, item.mutant.after) == ("0", "-1"))
    assert moved.verdict == EQUIVALENT
    assert report.score == Fraction(report.count(KILLED), len(report.results) - report.count(EQUIVALENT))


def test_a_provision_without_a_case_is_named(tmp_path: Path) -> None:
    assert run(build(tmp_path, "[]")).untested == ("award.growth",)


def test_a_cell_of_a_table_moves_in_every_output_it_guards() -> None:
    pack = load_for_verification(str(Path(__file__).parent / "data" / "faulty_packs" / "not_monotone"))
    found = [mutant for mutant in mutants(pack.provision("cut.completion"), None) if mutant.before == "90%"]
    assert {mutant.after for mutant in found} == {"90.0001%", "89.9999%"}


def test_planned_figures_and_their_comparisons_move() -> None:
    pack = shipped()
    provision = pack.provision("consumption.target.retail_growth")
    found = [mutant for mutant in mutants(provision, pack.reference_date) if mutant.kind == "target"]
    rows = {id(mutant.row) for mutant in found}
    assert len(rows) == len(next(let.table for let in provision.lets if let.table is not None).rows)
    assert {">", "<"} <= {mutant.after for mutant in found}


def test_smallest_units() -> None:
    assert [smallest_unit(of) for of in (MONEY, RATIO, COUNT, DATE, NUMBER)] == [
        1,
        Fraction(1, 10**6),
        1,
        1,
        Fraction(1, 100),
    ]


def test_the_cases_of_the_budget_cuts_kill_nearly_all() -> None:
    pack = shipped()
    report = mutate(pack, load_cases(pack), ("fiscal.budget_cut.",))
    assert report.score >= Fraction(98, 100), [(str(item.mutant.at), item.mutant.after) for item in report.survivors]


@pytest.mark.long
def test_the_cases_of_the_shipped_pack_kill_98_percent() -> None:
    pack = shipped()
    report = mutate(pack, load_cases(pack))
    assert report.score >= Fraction(98, 100), [(str(item.mutant.at), item.mutant.after) for item in report.survivors]
    assert report.untested == ()
