"""Models and schemas from fields, and the cell readers under random input."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import known_codes
from engine.model import Field
from engine.source import NOWHERE
from engine.types import BOOLEAN, COUNT, DATE, MONEY, RATIO, TEXT
from engine.values import Unreadable, read_money
from facts import problems
from facts.cells import DAYS_1904, Context, reader_for
from facts.expected import problem_for
from facts.models import dossier_schema, field_schema, json_schema, model_for, validate
from facts.numbers import Shown, as_typed
from facts_helpers import DEPARTMENT, DOCUMENTS, FIRMS, make_field

FIELDS = DEPARTMENT.fields
MODEL = model_for("department", FIELDS)


def test_values_come_out_in_engine_units() -> None:
    values, found = validate(MODEL, FIELDS, {
        "department_name": "财政局", "has_task": "有", "task_amount": "1.2亿", "raised_amount": 0.1 + 0.2,
        "progress_june": Decimal("45.5"), "staff": 3.0, "received_on": date(2019, 3, 22), "next_year_public_funds": "—",
    })  # fmt: skip
    assert found == []
    assert values == {
        "department_name": "财政局", "has_task": True, "task_amount": 12 * 10**9, "raised_amount": 30,
        "progress_june": Fraction(91, 200), "staff": 3, "received_on": date(2019, 3, 22),
        "next_year_public_funds": None,
    }  # fmt: skip


def test_an_absent_fact_is_told_from_a_blank_one() -> None:
    values, _ = validate(MODEL, FIELDS, {"staff": None})
    assert values == {"staff": None}


def test_every_problem_is_reported_at_once_with_its_path() -> None:
    values, found = validate(MODEL, FIELDS, {
        "has_task": "嗯", "task_amount": [1], "raised_amount": -1, "progress_june": float("nan"), "staff": 1.5,
        "received_on": {}, "departmnt_name": "x", "任务": 3,
    })  # fmt: skip
    assert values == {}
    assert sorted((problem.location.path, problem.code) for problem in found) == [
        ("departmnt_name", "unknown-field"), ("has_task", "bad-boolean"), ("progress_june", "bad-number"),
        ("raised_amount", "out-of-bounds"), ("received_on", "bad-cell"), ("staff", "bad-integer"),
        ("task_amount", "bad-cell"), ("任务", "unknown-field")]  # fmt: skip
    suggestions = {p.location.path: p.fields.get("suggestion") for p in found if p.code == "unknown-field"}
    assert suggestions["departmnt_name"] == "department_name"
    for problem in found:
        assert problem.render("zh")
        assert problem.render("en")


def test_a_choice_is_read_by_value_label_or_alias() -> None:
    fields = FIRMS.records["promotion"].fields
    model = model_for("promotion", fields)
    for text in ("first", "一级", "壹级", "First", "ＦＩＲＳＴ"):
        assert validate(model, fields, {"grade": text}) == ({"grade": "first"}, [])
    _, found = validate(model, fields, {"grade": "三级"})
    assert found[0].fields["expected_zh"] == "其中之一：特级、一级、二级"


def test_a_fact_may_be_called_like_a_method_of_the_model() -> None:
    fields = {name: make_field(name, BOOLEAN, name) for name in ("copy", "schema", "json", "model_config_x")}
    assert validate(model_for("odd", fields), fields, {"copy": "是", "json": "否"}) == ({"copy": True,
        "json": False}, [])


def test_the_schema_describes_each_field_once() -> None:
    schema = json_schema("department", FIELDS)
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["additionalProperties"] is False
    amount = schema["properties"]["task_amount"]
    assert (amount["title"], amount["description"], amount["x-unit"]) == ("争取资金任务", "Fund task", "元")
    assert amount["anyOf"][0] == {"type": "number", "minimum": 0}
    assert schema["properties"]["received_on"]["anyOf"][0] == {"type": "string", "format": "date"}
    grade = field_schema(FIRMS.records["promotion"].fields["grade"])
    assert grade["enum"] == ["special", "first", "second", "特级", "一级", "壹级", "二级", "贰级", None]
    assert grade["x-choices"]["first"] == {"zh": "一级", "en": "First"}
    share = field_schema(DOCUMENTS.records["document"].fields["share"])
    assert share["anyOf"][0] == {"type": "number", "minimum": 0, "maximum": 100}


def test_a_dossier_schema_holds_every_record() -> None:
    schema = dossier_schema(FIRMS)
    assert set(schema["$defs"]) == {"firm", "promotion", "award", "payment"}
    assert schema["properties"]["award"] == {"type": "array", "items": {"$ref": "#/$defs/award"}}
    assert json.loads(json.dumps(schema)) == schema


def test_reading_files_does_not_import_pydantic_or_a_workbook_writer() -> None:
    heavy = "{'pydantic', 'xlsxwriter', 'python_calamine', 'polars'}"
    code = f"import sys, facts.reading, facts.template; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_every_code_is_registered_with_both_languages() -> None:
    assert set(problems.WORDINGS) <= set(known_codes())
    for code, wording in problems.WORDINGS.items():
        assert code == code.lower().replace("_", "-")
        assert wording.zh, code
        assert wording.en, code


# Readers under random input

ALL = [
    make_field("a", MONEY, "金额", unit="万元", minimum=-(10**20), maximum=10**20), make_field("b", RATIO, "比率",
        unit="%"),
    make_field("c", COUNT, "数量", unit="人"), make_field("d", DATE, "日期"), make_field("e", BOOLEAN, "是否"),
    make_field("f", TEXT, "文字"), FIRMS.records["promotion"].fields["grade"],
]  # fmt: skip
RAW = st.one_of(
    st.text(max_size=30), st.floats(), st.integers(), st.booleans(), st.none(), st.dates(), st.datetimes(), st.times(),
    st.timedeltas(), st.text("0123456789.,，万亿元%-()（）年月日 ", max_size=15), st.decimals(allow_nan=False,
        places=4),
)  # fmt: skip
SHOWN = st.sampled_from([None, Shown(percent=True), Shown(unit="万元"), Shown(unit="%"), Shown(scaled=True),
    Shown(padded=6)])


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ALL), RAW, SHOWN, st.sampled_from([Context(), Context(strict=False), Context(date1904=True)]))
def test_a_reader_gives_a_value_or_says_why_not(field: Field, raw: object, shown: Shown | None,
    context: Context) -> None:
    read = reader_for(field, context)
    try:
        first = read(raw, shown)
    except Unreadable as error:
        problem = problem_for(error, raw, field, NOWHERE)
        assert problem.render("zh")
        assert problem.render("en")
    else:
        assert not isinstance(first, float)
        assert read(raw, shown) == first  # what is remembered is what was read


@settings(max_examples=300, deadline=None)
@given(st.integers(-(10**14), 10**14), st.sampled_from(["元", "万元", "亿元"]))
def test_money_survives_text_and_workbook(fen: int, unit: str) -> None:
    scale = {"元": 100, "万元": 10**6, "亿元": 10**10}[unit]
    exact = Decimal(fen) / scale
    read = reader_for(make_field("a", MONEY, "金额", unit=unit), Context(unit))
    assert read(format(exact, "f"), None) == fen
    assert read(f"{exact:,f}", None) == fen
    assert read(format(exact, "f") + unit, None) == fen
    if len(str(abs(fen))) <= 15:
        assert read(float(exact), None) == fen  # a workbook holds fifteen digits


@settings(max_examples=300, deadline=None)
@given(st.floats(-1e12, 1e12))
def test_the_short_way_for_money_reads_as_the_long_one_does(number: float) -> None:
    read = reader_for(make_field("a", MONEY, "金额", unit="元"))
    try:
        expected = read_money(as_typed(number), "元")
    except Unreadable:
        with pytest.raises(Unreadable):
            read(number, None)
    else:
        assert read(number, None) == expected


@settings(max_examples=100, deadline=None)
@given(st.dates(date(1960, 1, 1), date(2100, 1, 1)))
def test_a_day_survives_every_spelling(day: date) -> None:
    read = reader_for(make_field("d", DATE, "日期"))
    serial = float((day - date(1899, 12, 30)).days)
    for raw in (day, day.isoformat(), f"{day.year}年{day.month}月{day.day}日", f"{day.year}/{day.month}/{day.day}",
                day.strftime("%Y%m%d"), f"{day} 14:30:05", serial, serial + 0.25):  # fmt: skip
        assert read(raw, None) == day
    late = reader_for(make_field("d", DATE, "日期"), Context(date1904=True))
    assert late(serial - DAYS_1904, None) == day
