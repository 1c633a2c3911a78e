"""Every declared reading is listed with its reason, and what the list says can be computed is computed."""

from __future__ import annotations

import pytest

from engine import load_pack
from engine.errors import Lang
from engine.reading_list import declared_readings, readings_data, readings_table

PACK = load_pack("chuxiong_2019")


def test_every_reading_is_listed_with_a_reason() -> None:
    declared = list(declared_readings(PACK))
    assert len(declared) == sum(len(provision.readings) for provision in PACK.provisions.values()) > 200
    for provision, reading in declared:
        place = f"{provision.id} {reading.id}"
        for text in (reading.point, reading.chosen, reading.why):
            assert text.zh, place
            assert text.en, place


@pytest.mark.parametrize("lang", ["zh", "en"])
def test_the_table_has_a_line_each(lang: Lang) -> None:
    table = readings_table(PACK, lang, "fiscal.budget_cut")
    assert len(table.rows) == len(list(declared_readings(PACK, "fiscal.budget_cut")))
    assert {row[0].rsplit(".", 1)[0] for row in table.rows} == {"fiscal.budget_cut"}  # type: ignore[union-attr]
    assert any("[1=2]" in str(row[-1]) for row in table.rows)


def test_a_computed_reading_can_be_chosen() -> None:
    inputs = {
        "has_task": True, "task_amount": "1000", "raised_amount": "900", "next_year_public_funds": "200",
    }  # fmt: skip
    data = next(item for item in readings_data(PACK, "fiscal.budget_cut.fundraising_shortfall"))
    number = next(other["number"] for other in data["others"] if other["computed"])
    ordinary = PACK.evaluate("fiscal.budget_cut.fundraising_shortfall", inputs)
    other = PACK.evaluate("fiscal.budget_cut.fundraising_shortfall", inputs, readings={data["reading"]: number})
    assert (ordinary.amount, other.amount) == ("10.00", "16.00")
