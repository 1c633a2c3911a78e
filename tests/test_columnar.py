"""Every columnar engine says what the reference says: status, values, and what is missing, row by row."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from itertools import compress
from typing import Any

import polars as pl
import pytest

import needs
from engine.calendar import day_number, day_of
from engine.errors import EvaluationError, PackError, Problem
from engine.evaluate.columnar import ColumnPlan, OutputColumn, calendar_tables, column_plan, words_of
from engine.evaluate.graph import SETTLED, Graph
from engine.evaluate.integers import term_value
from engine.evaluate.naming import ERROR, STATUS, denominator_column, missing_column, value_column
from engine.evaluate.polars_backend import PolarsPlan, column_type
from engine.evaluate.sql_run import DuckDbEngine, Engine, PolarsEngine, SparkEngine
from engine.expr import Literal, walk
from engine.kinds import UNDETERMINED
from engine.listings import Listings
from engine.load import Pack, load_pack
from engine.model import Field, Provision, Text
from engine.outcome import assess
from engine.stored import encode, stored_scale
from engine.terms import Choose, Column, Const, DateCall, Flag, Operation, Truth, Word
from engine.terms import Test as Comparison
from engine.types import BOOLEAN, COUNT, Kind
from engine.values import Value

DATES = [date(2019, 12, 31), date(2019, 4, 30), date(2019, 2, 1), date(2020, 2, 29), date(2018, 1, 31)]
BEYOND = [date(2003, 5, 1), date(2004, 1, 1), date(2026, 12, 30), date(2027, 1, 3)]


@pytest.fixture(scope="module")
def pack() -> Pack:
    return load_pack("chuxiong_2019").load_all()


# Rows on the boundaries


def figures(provision: Provision) -> dict[Kind, list[Value]]:
    """The numbers a provision is made of, by kind: its thresholds among them."""
    found: dict[Kind, set[Value]] = {}
    exprs = [provision.status, *(output.expr for output in provision.outputs), *(let.expr for let in provision.lets)]
    for expr in exprs:
        for node in walk(expr):
            if isinstance(node, Literal) and node.value is not None and not isinstance(node.value, (bool, str)):
                found.setdefault(node.type.kind, set()).add(node.value)
    for parameter in provision.parameters.values():
        found.setdefault(parameter.type.kind, set()).update(
            value for _, value in parameter.values if not isinstance(value, (bool, str)))
    return {kind: sorted(values) for kind, values in found.items()}  # type: ignore[type-var]


def random_rows(provision: Provision, count: int, chance: random.Random) -> Iterator[dict[str, Value | None]]:
    """Rows whose numbers lie on, just below and just above a provision's figures and each other's shares."""
    own = figures(provision)
    for _ in range(count):
        unknown = chance.choice([0.0, 0.0, 0.1, 0.3])
        row: dict[str, Value | None] = {}
        last: dict[Kind, Value] = {}
        for name, field in provision.facts.items():
            if chance.random() < unknown:
                row[name] = None
                continue
            value = random_value(field, own.get(field.type.kind, []), last.get(field.type.kind), chance)
            row[name] = last[field.type.kind] = value
        yield row


def random_value(field: Field, near: Sequence[Value], last: Value | None, chance: random.Random) -> Value:
    match field.type.kind:
        case Kind.BOOLEAN:
            return chance.random() < 0.7
        case Kind.ENUM:
            return chance.choice(field.type.values or ("",))
        case Kind.TEXT:
            return chance.choice(["甲", "乙", "a", "b c"])
        case Kind.DATE:
            if chance.random() < 0.02:
                return chance.choice(BEYOND)
            if isinstance(last, date) and chance.random() < 0.4:
                return last + timedelta(days=chance.choice([0, 1, 5, 15, 7, 21, 30, 60, -1]))
            return chance.choice([*DATES, date(2019, 1, 1) + timedelta(days=chance.randint(0, 800))])
    scale = stored_scale(field.type)
    step = Fraction(chance.choice([-1, 0, 0, 1]), scale)
    pick = chance.random()
    if pick < 0.45:
        value = Fraction(chance.choice(near or [1])) + step  # type: ignore[arg-type]
    elif pick < 0.65 and last is not None:
        share = Fraction(chance.choice([85, 90, 95, 100, 115, 50, 99, 200]), 100)
        value = Fraction(last) * share + step  # type: ignore[arg-type]
    elif pick < 0.7:
        value = Fraction(chance.choice([x for x in (field.minimum, field.maximum) if x is not None] or [0]))  # type: ignore[arg-type]
    elif pick < 0.8:
        value = Fraction(chance.choice([0, 1, 2, 3, 10]))
    else:
        value = Fraction(chance.randint(0, 10 ** chance.randint(1, 12)), chance.choice([1, scale]))
    value = Fraction(round(value * scale), scale)
    if field.type.integer or field.type.kind is Kind.MONEY:
        value = Fraction(round(value))
    if field.minimum is not None:
        value = max(value, Fraction(field.minimum))  # type: ignore[arg-type]
    if field.maximum is not None:
        value = min(value, Fraction(field.maximum))  # type: ignore[arg-type]
    return value.numerator if value.denominator == 1 else value


# Comparing


def frame_of(plan: ColumnPlan, words: Sequence[str], rows: Sequence[Mapping[str, Value | None]]) -> pl.DataFrame:
    places = {word: place for place, word in enumerate(words)}
    columns = []
    for name, field in plan.facts.items():
        values = [encode(row.get(name), field.type) for row in rows]
        if field.type.kind is Kind.ENUM:
            values = [None if value is None else places[str(value)] for value in values]
        columns.append(pl.Series(name, values, dtype=column_type(field, plan.bits)))
    return pl.DataFrame(columns) if columns else pl.DataFrame({"#": [0] * len(rows)})


def typed(row: Mapping[str, Any], plan: ColumnPlan, words: Sequence[str]) -> dict[str, Value]:
    """The outputs of one result row as the reference states them."""
    found: dict[str, Value] = {}
    for output in plan.outputs:
        value = row[value_column(output.name)]
        if value is None:
            continue
        match output.kind:
            case Kind.DATE:
                found[output.name] = date.fromordinal(date(1970, 1, 1).toordinal() + value)
            case Kind.BOOLEAN:
                found[output.name] = bool(value)
            case Kind.ENUM | Kind.TEXT:
                found[output.name] = words[value] if isinstance(value, int) else value
            case _:
                scale = row.get(denominator_column(output.name)) or output.denominator.value  # type: ignore[union-attr]
                exact = Fraction(value, scale)
                found[output.name] = exact.numerator if exact.denominator == 1 else exact
    return found


def disagreements(pack: Pack, provision: Provision, engine: Engine, rows: Sequence[Mapping[str, Value | None]]) -> list[str]:
    """Every row on which an engine differs from the reference, in words."""
    plan = column_plan(provision, pack.reference_date)
    words = words_of(plan)
    evaluator = engine.ready(plan, words)
    frame = frame_of(plan, words, rows)
    outcomes = evaluator.outcomes(frame).to_dicts()
    flags = evaluator.missing(frame).to_dicts() if plan.missing else None
    throughout = evaluator.missing_throughout(frame) if plan.missing else None
    found = []
    for place, row in enumerate(rows):
        got = outcomes[place]
        try:
            wanted = assess(provision, row, pack.reference_date)
        except EvaluationError:
            if got.get("error") is not True:
                found.append(f"{provision.id} {row}: the calendar's end was not noticed")
            continue
        status = UNDETERMINED if got["status"] is None else words[got["status"]]
        values = typed(got, plan, words)
        if got.get("error") or status != wanted.status or values != dict(wanted.values):
            found.append(f"{provision.id} {row}: {status} {values}, reference {wanted.status} {dict(wanted.values)}")
        elif status == UNDETERMINED and plan.missing is not None:
            missing = tuple(sorted(name for name in plan.missing if flags[place][missing_column(name)])) if flags else ()
            if missing != wanted.missing:
                found.append(f"{provision.id} {row}: missing {missing}, reference {wanted.missing}")
            if throughout is not None and tuple(sorted(throughout)) != wanted.missing:
                found.append(f"{provision.id} {row}: missing throughout {throughout}, reference {wanted.missing}")
    return found


def sweep(pack: Pack, engine: Engine, count: int, seed: str, only: str = "") -> list[str]:
    found: list[str] = []
    for identity, provision in pack.provisions.items():
        if only in identity:
            rows = list(random_rows(provision, count, random.Random(seed + identity)))
            found += disagreements(pack, provision, engine, rows)
    return found


def test_polars_agrees_with_the_reference_on_every_provision(pack: Pack) -> None:
    assert sweep(pack, PolarsEngine(), 20, "a") == []


def test_where_one_column_has_blanks_that_is_what_is_missing(pack: Pack) -> None:
    """A table in which one fact alone is unknown here and there: what its undetermined rows lack is told at once."""
    chance, told = random.Random(7), 0
    for provision in pack.provisions.values():
        plan = column_plan(provision, pack.reference_date)
        rows = [row for row in random_rows(provision, 30, chance) if None not in row.values()][:6]
        for name in provision.facts if len(rows) > 2 else ():
            some = [row if place % 3 else {**row, name: None} for place, row in enumerate(rows)]
            assert disagreements(pack, provision, PolarsEngine(), some) == []
            polars = PolarsPlan(plan)
            told += polars._lacking_alone(polars._kind(frame_of(plan, polars.words, some))) == name
    assert told > 300


def test_duckdb_agrees_with_the_reference(pack: Pack) -> None:
    pytest.importorskip("duckdb")
    engine = DuckDbEngine()
    for only in ("budget_cut", "special_fund", "sales_promotion", "construction.grade", "upward_quarterly"):
        assert sweep(pack, engine, 60, "b", only) == []
    engine.close()


@pytest.mark.long
def test_polars_agrees_on_twenty_thousand_rows_a_provision(pack: Pack) -> None:
    assert sweep(pack, PolarsEngine(), 20_000, "c") == []


@pytest.mark.long
def test_duckdb_agrees_on_twenty_thousand_rows_a_provision(pack: Pack) -> None:
    pytest.importorskip("duckdb")
    engine = DuckDbEngine()
    assert sweep(pack, engine, 20_000, "d") == []
    engine.close()


@pytest.mark.long
def test_spark_agrees_on_twenty_thousand_rows_a_provision(pack: Pack) -> None:
    needs.spark()
    engine = SparkEngine("local[2]")
    assert sweep(pack, engine, 20_000, "e") == []
    engine.close()


# What columns mean


def provision_of(pack: Pack, identity: str) -> Provision:
    return pack.provision(identity)


def test_rows_keep_their_order(pack: Pack) -> None:
    plan = column_plan(provision_of(pack, "fiscal.budget_cut.fundraising_shortfall"), pack.reference_date)
    polars = PolarsPlan(plan)
    rows = [{"has_task": True, "task_amount": 100, "raised_amount": raised, "next_year_public_funds": 1000}
            for raised in (0, 100, 85, 84, 99)]
    found = polars.outcomes(frame_of(plan, polars.words, rows))
    assert found[value_column("amount")].to_list() == [100, 0, 80, 100, 30]


def test_a_null_condition_counts_only_where_the_branches_differ() -> None:
    graph = Graph({}, frozenset())
    flag = graph.add(Flag("x"))
    assert graph.choose(flag, graph.add(Const(1)), graph.add(Const(1))) == graph.add(Const(1))
    differing = graph.choose(flag, graph.add(Const(1)), graph.add(Const(2)))
    assert graph.choose_form(graph[differing]) == "strict"


def test_floor_holds_below_zero_in_every_engine() -> None:
    field = Field("x", COUNT, Text("x"), minimum=-(10**17), maximum=10**17)
    values = [-7, -6, -1, 0, 1, 7, -(10**17), 10**17 - 1]
    term = Operation("//", Column("x"), Const(7))
    plan = ColumnPlan("p", {"x": field}, Choose(Truth(True), Const(0), Const(0)),
                      (OutputColumn("y", Kind.QUANTITY, term),), {}, Truth(False), 64)
    frame = pl.DataFrame({"x": values})
    for engine in (PolarsEngine(), DuckDbEngine()):
        found = engine.ready(plan, ["a"]).outcomes(frame)
        assert found[value_column("y")].to_list() == [value // 7 for value in values]


def test_the_calendar_ends_in_a_flag_not_a_guess(pack: Pack) -> None:
    provision = provision_of(pack, "fiscal.special_fund.specified_5wd")
    plan = column_plan(provision, pack.reference_date)
    polars = PolarsPlan(plan)
    received = next(name for name, field in plan.facts.items() if field.type.kind is Kind.DATE)
    rows = [{received: day} for day in (date(2019, 4, 30), date(2026, 12, 31), date(2003, 1, 1))]
    found = polars.outcomes(frame_of(plan, polars.words, rows))
    assert found["error"].to_list() == [False, True, True]
    assert found[value_column("due_date")][0] == day_number(date(2019, 5, 9))


def test_settled_days_need_no_watch_on_the_calendars_end(pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where all days of a block lie well within the calendar its functions always have an answer."""
    monkeypatch.setattr(sys.modules[__name__], "BEYOND", DATES)
    assert sweep(pack, PolarsEngine(), 60, "settled") == []
    provision = provision_of(pack, "fiscal.special_fund.specified_5wd")
    polars = PolarsPlan(column_plan(provision, pack.reference_date))
    rows = [dict.fromkeys((name for name, field in provision.facts.items() if field.type.kind is Kind.DATE), day)
            for day in DATES]
    assert ERROR not in polars.outcomes(frame_of(polars.plan, polars.words, rows)).columns


def told(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a result row says; whether a column of nothing is there depends on the block."""
    return {name: value for name, value in row.items() if value is not None and value is not False}


@pytest.mark.parametrize("most", [0, 1, 64])
@pytest.mark.parametrize("identity", [
    "fiscal.budget_cut.fundraising_shortfall", "fiscal.special_fund.specified_5wd", "enterprise.sales_promotion.subsidy",
    "construction.grade.promotion_reward"])  # fmt: skip
def test_blocks_of_many_kinds_by_one_plan(
        pack: Pack, identity: str, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A block with a column of nulls, without nulls or with days of every kind says what all rows together say."""
    monkeypatch.setattr("engine.evaluate.polars_backend.MAX_WRITTEN", most)
    provision = provision_of(pack, identity)
    plan = column_plan(provision, pack.reference_date)
    polars = PolarsPlan(plan)
    rows = list(random_rows(provision, 60, random.Random(identity)))
    whole = frame_of(plan, polars.words, rows)
    undetermined = PolarsPlan(plan).outcomes(whole)[STATUS].is_null().to_list()
    assert any(undetermined)
    for evaluate, asked in ((PolarsPlan.outcomes, [True] * len(rows)), (PolarsPlan.missing, undetermined)):
        together = evaluate(PolarsPlan(plan), whole).to_dicts()
        for size in (1, 1, 3):
            alone = [row for part in whole.iter_slices(size) for row in evaluate(polars, part).to_dicts()]
            assert [told(row) for row in compress(alone, asked)] == [told(row) for row in compress(together, asked)]


@pytest.mark.parametrize("identity", ["fiscal.special_fund.specified_5wd", "fiscal.special_fund.unspecified_15wd"])
def test_every_day_beside_the_last_settled_one(pack: Pack, identity: str) -> None:
    provision = provision_of(pack, identity)
    tables = calendar_tables()
    end = tables.first + len(tables.passed) - 1
    edges = [tables.first, end - SETTLED, end]
    days = [day_of(edge + by) for edge in edges for by in (-2, -1, 0, 1, 2)] + [day_of(end - by) for by in range(40)]
    names = [name for name, field in provision.facts.items() if field.type.kind is Kind.DATE]
    for day in days:  # a frame for each, so that each is settled or not on its own
        for submitted in (True, False, None):
            row: dict[str, Value | None] = {**dict.fromkeys(names, day), "submitted": submitted}
            assert disagreements(pack, provision, PolarsEngine(), [row]) == []


def test_a_fact_without_a_column_takes_its_default_or_is_unknown(pack: Pack) -> None:
    provision = provision_of(pack, "fiscal.budget_cut.fundraising_shortfall")
    plan = column_plan(provision, pack.reference_date, {"raised_amount": None, "has_task": True})
    assert set(plan.facts) == {"task_amount", "next_year_public_funds"}
    polars = PolarsPlan(plan)
    found = polars.outcomes(frame_of(plan, polars.words, [{"task_amount": 100, "next_year_public_funds": 5}]))
    assert found["status"].to_list() == [None]


def test_a_plan_too_wide_for_spark_is_refused(pack: Pack) -> None:
    sql = pytest.importorskip("engine.evaluate.sql_backend")
    provision = provision_of(pack, "fiscal.budget_cut.fundraising_shortfall")
    plan = column_plan(provision, pack.reference_date)
    wide = ColumnPlan(plan.provision, plan.facts, plan.status, plan.outputs, plan.missing, plan.error, 128)
    with pytest.raises(PackError) as caught:
        sql.SqlPlan(wide, "spark")
    assert caught.value.problems[0].code == "too-wide"
    assert isinstance(caught.value.problems[0], Problem)


def test_wide_numbers_are_computed_in_128_bits(pack: Pack) -> None:
    provision = provision_of(pack, "fiscal.budget_cut.fundraising_shortfall")
    plan = column_plan(provision, pack.reference_date)
    wide = ColumnPlan(plan.provision, plan.facts, plan.status, plan.outputs, plan.missing, plan.error, 128)
    rows = [{"has_task": True, "task_amount": 9 * 10**17, "raised_amount": 9 * 10**17 * 85 // 100 - 1,
             "next_year_public_funds": 9 * 10**17}]
    for engine in (PolarsEngine(), DuckDbEngine()):
        words = words_of(wide)
        found = engine.ready(wide, words).outcomes(frame_of(wide, words, rows)).to_dicts()[0]
        assert words[found["status"]] == "triggered"
        assert found[value_column("amount")] == 9 * 10**16


@pytest.mark.parametrize("bits", [64, 128])
@pytest.mark.parametrize(("first", "second"), [(127, -127), (128, 5), (5, -128), (0, 10**4)])
def test_a_choice_of_small_constants_is_computed_with_like_all_numbers(bits: int, first: int, second: int) -> None:
    """A rate is held in few bits; what is worked out of it is not."""
    facts = {"x": Field("x", COUNT, Text("x")), "f": Field("f", BOOLEAN, Text("f"))}
    rate = Choose(Flag("f"), Const(first), Const(second))
    values = {"rate": rate, "product": Operation("*", Column("x"), rate), "sum": Operation("+", rate, rate),
              "month": DateCall("months_after", (Const(18_000), rate)),
              "either": Choose(Comparison("<", rate, Column("x")), rate, Column("x")),
              "least": Operation("min", rate, Const(300))}
    plan = ColumnPlan("p", facts, Choose(Comparison(">", rate, Const(first - 1)), Word("x"), Word("y")),
                      tuple(OutputColumn(name, Kind.DATE if name == "month" else Kind.QUANTITY, value)
                            for name, value in values.items()), {}, Truth(False), bits)
    polars = PolarsPlan(plan)
    rows = [{"x": x, "f": flag} for x in (-(10**12), 0, 10**12) for flag in (True, False, None)]
    frame = pl.DataFrame(rows, schema={"x": pl.Int64(), "f": pl.Boolean()})
    found = polars.outcomes(frame).to_dicts()
    for row, got in zip(rows, found, strict=True):
        for name, value in values.items():
            assert got[value_column(name)] == term_value(value, row), (name, row)


@pytest.mark.parametrize("many", [4, 1 << 12])
def test_lists_of_missing_facts_by_place(monkeypatch: pytest.MonkeyPatch, many: int) -> None:
    """Also where there are more facts than lists of them can be told apart at once."""
    monkeypatch.setattr("engine.listings.MANY", many)
    chance = random.Random(7)
    names = [f"fact_{number}" for number in range(40)]
    rows = [{name: chance.random() < share for name, share in zip(names, [0, 1, *[0.1] * 38], strict=True)}
            for _ in range(300)]
    rows[0] = dict.fromkeys(names)  # type: ignore[misc]  # an unknown flag is not set
    flags = pl.DataFrame({missing_column(name): [row[name] for row in rows] for name in names},
                         schema={missing_column(name): pl.Boolean() for name in names})
    listings = Listings()
    wanted = [" ".join(sorted(name for name in names if row[name])) for row in rows]
    for part in (flags, flags.head(1), flags.clear()):
        found = listings.of(part, names)
        assert listings.texts(found).to_list() == wanted[: part.height]
    assert listings.texts(found.extend_constant(None, 2)).to_list() == [None, None]
    assert sorted(listings.all) == sorted({*wanted})
    again = listings.places(pl.Series(["new", wanted[1], "new"]))
    assert again[0] == again[2] == len(listings.all) - 1
    assert listings.texts(again, "、")[1] == wanted[1].replace(" ", "、")
