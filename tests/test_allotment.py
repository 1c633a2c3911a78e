"""Rules over many rows: ceilings on totals, once a year, once ever, averages, pools."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from engine import load_pack
from engine.allotment import Allotment, AllotmentLine, allot, allotment_data, allotment_table, load_allotments
from engine.errors import PackError
from engine.model import Row
from engine.report import Money
from engine.values import Value
from facts.reading import read_facts

PACK = load_pack("chuxiong_2019")
RULES = load_allotments(PACK)
YUAN = 100


def run(rule: str, rows: list[dict[str, Value | None]]) -> list[AllotmentLine]:
    return allot(PACK, RULES[rule], [Row("row", row) for row in rows], date(2019, 12, 31))


def paid(lines: list[AllotmentLine]) -> list[int | None]:
    return [None if line.paid is None else line.paid // YUAN for line in lines]


def relief(person: str, day: str, amount: int, **more: Value | None) -> dict[str, Value | None]:
    return {
        "person_name": person, "year": 2019, "applied_on": date.fromisoformat(day), "qualifies": True,
        "annual_standard": 4000 * YUAN, "special_hardship": False, "proposed_amount": amount * YUAN, **more,
    }  # fmt: skip


def test_two_payments_a_year_and_six_times_the_standard() -> None:
    lines = run("relief_payments", [
        relief("甲", "2019-09-01", 1000), relief("甲", "2019-01-01", 12000), relief("乙", "2019-02-01", 3000),
        relief("甲", "2019-05-01", 12000),
    ])  # fmt: skip
    assert paid(lines) == [0, 12000, 3000, 12000]
    assert lines[0].compared == ("甲（2019-01-01）", "甲（2019-05-01）")
    assert lines[0].outcome is not None
    assert lines[0].outcome.status == "exceeds_general_limit"


def test_what_was_paid_before_counts() -> None:
    before = {"person_name": "甲", "year": 2019, "applied_on": date(2019, 1, 1), "paid_already": 13000 * YUAN}
    lines = run("relief_payments", [before, relief("甲", "2019-02-01", 11001), relief("甲", "2019-03-01", 11000)])
    assert paid(lines) == [13000, 0, 11000]


def test_another_year_is_another_group() -> None:
    lines = run("relief_payments", [relief("甲", f"2019-0{month}-01", 100) for month in (1, 2, 3)]
                + [relief("甲", "2020-01-05", 100, year=2020)])  # fmt: skip
    assert paid(lines) == [100, 100, 0, 100]


def test_an_undetermined_row_leaves_the_later_ones_open() -> None:
    lines = run("relief_payments", [relief("甲", "2019-01-01", 100, qualifies=None), relief("甲", "2019-02-01", 100)])
    assert paid(lines) == [None, None]


@pytest.mark.parametrize("day", ["2019-01-01", None])
def test_an_order_that_is_not_known_is_not_guessed(day: str | None) -> None:
    second = relief("甲", "2019-01-01", 100)
    second["applied_on"] = date.fromisoformat(day) if day else None
    assert paid(run("relief_payments", [relief("甲", "2019-01-01", 100), second])) == [None, None]


def test_a_person_nobody_names_is_alone() -> None:
    unnamed = relief("", "2019-01-01", 100)
    unnamed["person_name"] = None
    assert paid(run("relief_payments", [dict(unnamed), dict(unnamed), dict(unnamed)])) == [100, 100, 100]


def test_once_a_person_and_year() -> None:
    def training(person: str, year: int, month: int) -> dict[str, Value | None]:
        return {
            "person_name": person, "year": year, "receiving_insurance_treatment": True, "category": "hard_to_employ",
            "training_start": date(year, month, 1), "training_end": date(year, month, 10), "training_days": 10,
            "benefit_paid_same_days": False,
        }  # fmt: skip

    lines = run("living_allowance", [training("甲", 2019, 5), training("甲", 2019, 3), training("甲", 2020, 3)])
    assert paid(lines) == [0, 2000, 2000]


def test_once_a_person_ever() -> None:
    def claim(day: str) -> dict[str, Value | None]:
        return {
            "person_name": "甲", "applied_on": date.fromisoformat(day), "laid_off_unemployed": True,
            "in_hardship": True, "proposed_amount": 5000 * YUAN,
        }  # fmt: skip

    assert paid(run("laid_off_subsidy", [claim("2020-01-01"), claim("2019-01-01")])) == [0, 3000]


def test_a_total_over_all_towns() -> None:
    rows: list[dict[str, Value | None]] = [
        {"town": f"T{rank}", "rank": rank, "listed_town": True, "rated_excellent": rank != 2} for rank in range(1, 14)
    ]
    lines = run("town_awards", rows)
    assert paid(lines) == [10**7, 0, *[10**7] * 9, 0, 0]
    assert sum(line.paid or 0 for line in lines) == 10**8 * YUAN
    assert len(lines[-1].compared) == 12


def test_fifteen_towns_get_preparatory_money() -> None:
    rows: list[dict[str, Value | None]] = [
        {
            "town": f"T{place}",
            "listed_as": place,
            "town_level": "prefecture",
            "newly_listed": True,
            "already_paid": False,
        }
        for place in range(1, 17)
    ]
    assert paid(run("town_preparation", rows)) == [2_000_000] * 15 + [0]


def test_each_county_against_the_average_of_all() -> None:
    from fractions import Fraction

    def county(name: str, last: int, now: int, met: bool = True) -> dict[str, Value | None]:
        return {
            "county": name, "revenue_target_met": met, "tax_share_last_year": Fraction(last, 100),
            "tax_share_this_year": Fraction(now, 100), "one_off_already_received": False,
        }  # fmt: skip

    lines = run("tax_share_rewards", [county("甲", 68, 71), county("乙", 62, 64), county("丙", 69, 72, met=False)])
    assert lines[0].inputs["county_average_share"] == 69 / Fraction(100)
    # 甲: 500 + 3 × 50 + 2 × 50; 乙: 2 × 50 − 5 × 50 is nothing to pay; 丙 missed its target but counts in the average.
    assert paid(lines) == [7_500_000, 0, 0]
    assert lines[0].compared == ("乙", "丙")
    unknown = run("tax_share_rewards", [county("甲", 68, 71), county("乙", 62, 64) | {"tax_share_this_year": None}])
    assert paid(unknown)[0] is None


def test_the_pool_of_shortfalls() -> None:
    def county(name: str, base: int, now: int) -> dict[str, Value | None]:
        return {"county": name, "year": 2019, "shared_base_2017": base * YUAN, "shared_current": now * YUAN}

    rule = RULES["shortfall_pool"]
    lines = run("shortfall_pool", [county("甲", 1000, 800), county("乙", 500, 600), county("丙", 300, 299)])
    footer = allotment_table(PACK, rule, lines, "zh").footer
    assert footer is not None
    assert [cell.fen / YUAN for cell in footer if isinstance(cell, Money)] == [0, 100.5, 100.5, 201]


def test_the_example() -> None:
    rule: Allotment = RULES["relief_payments"]
    path = PACK.folder / "examples" / "relief_payments.xlsx"
    read = read_facts([path], dossiers={rule.id: rule.dossier}, record="row")
    assert not read.problems
    lines = allot(PACK, rule, [case.subject for case in read.cases], date(2019, 12, 31))
    assert paid(lines) == [12000, 12000, 0, 9000, 0, None, None]
    data = allotment_data(rule, lines)
    assert (data["total"], data["undetermined"]) == ("33000.00", 2)
    assert len(allotment_table(PACK, rule, lines, "en").rows) == 7


def test_a_rule_names_its_faults(tmp_path: Path) -> None:
    import shutil

    shutil.copytree(PACK.folder.parent / "yunling_talent_2026", tmp_path / "p")
    (tmp_path / "p" / "allotments").mkdir()
    (tmp_path / "p" / "allotments" / "a.yaml").write_text(
        "id: a\nprovision: talent.rent.allowance\nname: person_name\nfields: [person_name, persn]\nwithin: [nobody]\n"
        "inputs: {months_paid_before: {total: earlier}, nothing: {any: earlier}}\n",
        encoding="utf-8",
    )
    with pytest.raises(PackError) as caught:
        load_allotments(load_pack(tmp_path / "p"))
    assert sorted(problem.code for problem in caught.value.problems) == [
        "bad-aggregate", "unknown-name", "unknown-name", "unknown-name"]  # fmt: skip
