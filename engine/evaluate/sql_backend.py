"""A column plan as SQL, built as SQLGlot trees for DuckDB and Spark.

Columns are those of `polars_backend`: whole numbers, day numbers, yes/no, places of words, text. What
is used more than once is worked out in a subquery of its own, layer by layer. A row number travels
along, because SQL engines may lose the order of rows. Whole numbers are divided by the integer
operators only, never through doubles, with the floor put right where a numerator may be negative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Literal

from sqlglot import exp

from engine.errors import PackError, Problem
from engine.evaluate.columnar import CalendarTables, ColumnPlan, calendar_tables, words_of
from engine.evaluate.graph import Graph, Staging, Vertex, stage
from engine.evaluate.simplify import missing_vertices, outcome_vertices
from engine.types import Kind

Dialect = Literal["duckdb", "spark"]


class SqlPlan:
    """A plan as one SELECT over a table of stored columns.

    `without_nulls` are columns in which no row is null, where that is known. `required` are columns
    whose nulls a large decision table cannot bear in SQL (its CASE would nest row by row): the SELECT
    leaves those rows out, and the caller has them evaluated by another engine. Dates need the
    `calendar_arrays`. Errors (`PackError`): `too-wide` for Spark where a number may exceed 64 bits.
    """

    def __init__(self, plan: ColumnPlan, dialect: Dialect, words: Sequence[str] | None = None,
                 without_nulls: frozenset[str] = frozenset()) -> None:
        if plan.bits > 64 and dialect == "spark":
            raise PackError(Problem("too-wide", fields={
                "expression": plan.provision, "bits": 64, "low": "?", "high": "?"}))
        self.plan, self.dialect = plan, dialect
        self.words = tuple(words) if words is not None else words_of(plan)
        large = plan.missing is None
        self.required = frozenset(name for name, field in plan.facts.items()
                                  if large and field.type.kind in (Kind.ENUM, Kind.TEXT, Kind.BOOLEAN)) & plan.read
        self.graph = Graph(plan.facts, without_nulls | self.required)

    def outcomes(self, table: str | exp.Expr, keep: Sequence[str] = ()) -> exp.Select:
        """Status and outputs of each row, as `PolarsPlan.outcomes`; `keep` are columns to pass on."""
        return self.select(table, outcome_vertices(self.graph, self.plan), keep)

    def missing(self, table: str | exp.Expr, keep: Sequence[str] = ()) -> exp.Select:
        """For undetermined rows: a flag for each fact that would decide them."""
        return self.select(table, missing_vertices(self.graph, self.plan), keep)

    def select(self, table: str | exp.Expr, wanted: Mapping[str, int], keep: Sequence[str]) -> exp.Select:
        """The SELECT of some vertices, layers as nested subqueries."""
        staging = stage(self.graph, wanted.values())
        writer = _Writer(self.graph, staging, self.words, self.plan.bits, self.dialect)
        source: exp.Expr = exp.to_table(table) if isinstance(table, str) else table
        if self.required:
            known = [exp.Not(this=exp.Paren(this=_is_null(_name(name)))) for name in sorted(self.required)]
            source = exp.select(exp.Star()).from_(source).where(*known).subquery("known_rows")
        for number, layer in enumerate(staging.layers):
            own = [writer.write(vertex).as_(_aside(vertex), quoted=True) for vertex in layer]
            source = exp.select(exp.Star(), *own, copy=False).from_(source, copy=False).subquery(
                f"layer{number}", copy=False)
        columns: list[exp.Expr] = [_name(name) for name in keep]
        columns += [writer.typed(number).as_(name, quoted=True, copy=False) for name, number in wanted.items()]
        return exp.select(*columns, copy=False).from_(source, copy=False)


def _aside(number: int) -> str:
    return f"#{number}"


def _name(name: str) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=True))


def _number(value: int) -> exp.Expr:
    return exp.Literal.number(value) if value >= 0 else exp.Neg(this=exp.Literal.number(-value))


def _case(*branches: tuple[exp.Expr, exp.Expr], other: exp.Expr | None = None) -> exp.Case:
    """A CASE; one that is the other branch of another is written as its further branches."""
    ifs = [exp.If(this=condition, true=value) for condition, value in branches]
    if isinstance(other, exp.Case):
        return exp.Case(ifs=[*ifs, *other.args["ifs"]], default=other.args.get("default"))
    return exp.Case(ifs=ifs, default=other)


def _is_null(what: exp.Expr) -> exp.Expr:
    return exp.Is(this=_closed(what), expression=exp.Null())


def _closed(what: exp.Expr) -> exp.Expr:
    """An operand in brackets where it is not a single thing."""
    return what if isinstance(what, (exp.Column, exp.Literal, exp.Paren, exp.Null, exp.Case)) else exp.Paren(this=what)


def _chain(of: type[exp.Connector], parts: Sequence[exp.Expr]) -> exp.Expr:
    """`and` or `or` of some conditions, as a balanced tree: engines limit how deep one may nest."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return of(this=exp.Paren(this=_chain(of, parts[:half])), expression=exp.Paren(this=_chain(of, parts[half:])))


_BINARY: dict[str, type[exp.Binary]] = {
    "+": exp.Add, "-": exp.Sub, "*": exp.Mul, "==": exp.EQ, "!=": exp.NEQ, "<": exp.LT, "<=": exp.LTE, ">": exp.GT,
    ">=": exp.GTE,
}  # fmt: skip


class _Writer:
    def __init__(self, graph: Graph, staging: Staging, words: Sequence[str], bits: int, dialect: Dialect) -> None:
        self.graph, self.aside, self.words, self.dialect = graph, staging.aside, words, dialect
        self.codes = {word: place for place, word in enumerate(words)}
        self.wide = bits > 64
        self.integer = exp.DataType.build("int128" if self.wide else "bigint")

    def named(self, number: int) -> exp.Expr:
        """A vertex where it is used: the column set aside for it, or its expression."""
        return _name(_aside(number)) if number in self.aside else self.write(number)

    def typed(self, number: int) -> exp.Expr:
        """A wanted vertex; one that is always null still has a type."""
        found = self.named(number)
        vertex = self.graph[number]
        if self.wide and not self.graph.is_condition(number) and not self.graph.is_word(number):
            return exp.Cast(this=found, to=exp.DataType.build("decimal(38, 0)"))  # how wide numbers leave the engine
        return exp.Cast(this=found, to=self.integer) if vertex.kind in ("null", "const") else found

    def write(self, number: int) -> exp.Expr:
        """The expression of a vertex, from its parts."""
        vertex = self.graph[number]
        value = vertex.value
        match vertex.kind:
            case "const":
                assert isinstance(value, int), "a constant is a whole number"
                return exp.Cast(this=_number(value), to=self.integer)
            case "word":
                return _number(self.codes[str(value)])
            case "null":
                return exp.Null()
            case "column":
                return self.column(str(value))
            case "flag":
                return _name(str(value))
            case "truth":
                if value is None:  # Spark takes no null without a type for a condition
                    return exp.Cast(this=exp.Null(), to=exp.DataType.build("boolean"))
                return exp.Boolean(this=bool(value))
            case "operation":
                return self.operation(number, vertex)
            case "call":
                return self.call(vertex)
            case "choose":
                return self.choose(vertex, self.graph.is_text(number))
            case "test":
                return self.test(vertex)
            case "all" | "any":
                joined = [_closed(self.named(part)) for part in vertex.parts]
                return _chain(exp.And if vertex.kind == "all" else exp.Or, joined)
            case "not":
                return exp.Not(this=_closed(self.named(vertex.parts[0])))
            case _:
                return exp.Not(this=exp.Paren(this=_is_null(self.named(vertex.parts[0]))))

    def column(self, name: str) -> exp.Expr:
        kind = self.graph.facts[name].type.kind
        if kind in (Kind.ENUM, Kind.TEXT):
            return _name(name)
        return exp.Cast(this=_name(name), to=self.integer)

    def operation(self, number: int, vertex: Vertex) -> exp.Expr:
        left, right = (_closed(self.named(part)) for part in vertex.parts)
        if vertex.value == "//":
            quotient = self.quotient(left, right)
            if self.graph.never_negative(vertex.parts[0]):
                return quotient
            below = exp.LT(this=exp.Mod(this=left.copy(), expression=right.copy()), expression=_number(0))
            return _case((below, exp.Sub(this=exp.Paren(this=quotient), expression=_number(1))), other=quotient.copy())
        if vertex.value in ("min", "max"):
            first = (exp.LTE if vertex.value == "min" else exp.GTE)(this=left, expression=right)
            if self.graph.never_null(number):
                return _case((first, left.copy()), other=right.copy())
            return _case((first, left.copy()), (exp.Not(this=exp.Paren(this=first.copy())), right.copy()))
        return _BINARY[str(vertex.value)](this=left, expression=right)

    def quotient(self, left: exp.Expr, right: exp.Expr) -> exp.Expr:
        """Division of whole numbers that truncates."""
        return exp.IntDiv(this=left, expression=right)

    def choose(self, vertex: Vertex, as_text: bool) -> exp.Expr:
        condition, then, other = vertex.parts
        test = _closed(self.named(condition))
        a, b = (self.text(part) if as_text else self.named(part) for part in (then, other))
        match self.graph.choose_form(vertex):
            case "plain":
                return _case((test, a), other=b)
            case "flipped":
                return _case((exp.Not(this=test), b), other=a)
            case "strict":
                return _case((test, a), (_is_null(test.copy()), exp.Null()), other=b)
        same = exp.EQ(this=_closed(a.copy()), expression=_closed(b.copy()))
        return _case((test, a), (exp.Not(this=test.copy()), b), (same, a.copy()))

    def test(self, vertex: Vertex) -> exp.Expr:
        first, second = vertex.parts
        if self.graph.is_text(first) or self.graph.is_text(second):
            left, right = self.text(first), self.text(second)
        else:
            left, right = self.named(first), self.named(second)
        return _BINARY[str(vertex.value)](this=_closed(left), expression=_closed(right))

    def text(self, number: int) -> exp.Expr:
        """A word or text as text."""
        vertex = self.graph[number]
        if vertex.kind == "word":
            return exp.Literal.string(str(vertex.value))
        if vertex.kind == "null" or self.graph.is_text(number):
            return self.named(number)
        code = self.named(number)
        return _case(*((exp.EQ(this=_closed(code.copy()), expression=_number(place)), exp.Literal.string(word))
                       for place, word in enumerate(self.words)))

    # Dates

    def call(self, vertex: Vertex) -> exp.Expr:
        arguments = [self.named(part) for part in vertex.parts]
        match vertex.value:
            case "workdays_after":
                return self.workdays_after(*arguments)
            case "workdays_until":
                return exp.Cast(to=self.integer, this=self.passed(arguments[0]))
            case "next_workday":
                return exp.Cast(to=self.integer, this=self.entry("following", self.place(arguments[0])))
            case "year_of" | "month_of":
                part = exp.Anonymous(this=str(vertex.value).removesuffix("_of"), expressions=[self.date(arguments[0])])
                return exp.Cast(this=part, to=self.integer)
            case "months_after":
                return self.months_after(*arguments)
            case "date_of":
                year, month, day = (_closed(part) for part in arguments)
                total = exp.Sub(this=exp.Add(this=exp.Mul(this=year, expression=_number(12)), expression=month),
                                expression=_number(1))
                is_month = exp.And(this=exp.Between(this=month.copy(), low=_number(1), high=_number(12)),
                                   expression=exp.GTE(this=day.copy(), expression=_number(1)))
                return self.day_in_month(_case((is_month, total)), day)
        raise AssertionError(f"no such function: {vertex.value}")

    def place(self, day: exp.Expr) -> exp.Expr:
        """The place of a day in the calendar's arrays, from 1; null outside the published years."""
        calendar = _calendar()
        first, days = calendar.first, len(calendar.passed)
        inside = exp.Between(this=_closed(day), low=_number(first), high=_number(first + days - 1))
        return _case((inside, exp.Sub(this=_closed(day.copy()), expression=_number(first - 1))))

    def entry(self, table: str, place: exp.Expr) -> exp.Expr:
        """A calendar table's entry at a place counted from 1; null at a null place."""
        if self.dialect == "duckdb":
            array: exp.Expr = exp.Anonymous(this="getvariable", expressions=[exp.Literal.string(f"hegui_{table}")])
            return exp.Anonymous(this="list_extract", expressions=[
                array, exp.Cast(this=place, to=exp.DataType.build("bigint"))])
        array = exp.Subquery(this=exp.select(exp.column(table)).from_("hegui_calendar"))
        return exp.Anonymous(this="element_at", expressions=[
            array, exp.Cast(this=place, to=exp.DataType.build("int"))])

    def passed(self, day: exp.Expr) -> exp.Expr:
        return self.entry("passed", self.place(day))

    def workdays_after(self, day: exp.Expr, count: exp.Expr) -> exp.Expr:
        calendar = _calendar()
        place = exp.Add(this=self.passed(day), expression=_closed(count))
        inside = exp.Between(this=exp.Paren(this=place), low=_number(1), high=_number(len(calendar.working)))
        positive = exp.GT(this=_closed(count.copy()), expression=_number(0))
        found = self.entry("working", _case((exp.And(this=positive, expression=exp.Paren(this=inside)), place.copy())))
        same_day = exp.EQ(this=_closed(count.copy()), expression=_number(0))
        known = exp.Not(this=exp.Paren(this=_is_null(self.place(day.copy()))))
        none = _case((known, day.copy()))
        if isinstance(count, exp.Cast) and isinstance(count.this, exp.Literal):
            return exp.Cast(this=none if count.this.name == "0" else found, to=self.integer)
        return exp.Cast(this=_case((same_day, none), other=found), to=self.integer)

    def date(self, day: exp.Expr) -> exp.Expr:
        """A day number as a date."""
        epoch = exp.Cast(this=exp.Literal.string("1970-01-01"), to=exp.DataType.build("date"))
        whole = exp.Cast(this=_closed(day), to=exp.DataType.build("int"))
        if self.dialect == "duckdb":
            return exp.Paren(this=exp.Add(this=epoch, expression=whole))
        return exp.Anonymous(this="date_add", expressions=[epoch, whole])

    def number(self, day: exp.Expr) -> exp.Expr:
        """A date as a day number."""
        epoch = exp.Cast(this=exp.Literal.string("1970-01-01"), to=exp.DataType.build("date"))
        if self.dialect == "duckdb":
            return exp.Paren(this=exp.Sub(this=day, expression=epoch))
        return exp.Anonymous(this="datediff", expressions=[day, epoch])

    def months_after(self, day: exp.Expr, months: exp.Expr) -> exp.Expr:
        start = self.date(day)

        def part(name: str) -> exp.Expr:
            return exp.Anonymous(this=name, expressions=[start.copy()])

        total = exp.Add(
            this=exp.Sub(this=exp.Add(this=exp.Mul(this=part("year"), expression=_number(12)),
                                      expression=part("month")), expression=_number(1)),
            expression=_closed(months))
        return self.day_in_month(total, part("day"))

    def day_in_month(self, total: exp.Expr, day: exp.Expr) -> exp.Expr:
        """The day number of a day, or of the month's last where it has none such; months counted from year 0."""
        small = exp.DataType.build("int")
        years = exp.Between(this=_closed(total), low=_number(12), high=_number(119_999))  # 1 to 9999
        total = _case((years, total.copy()))
        year = self.quotient(exp.Paren(this=total), _number(12))
        month = exp.Add(this=exp.Mod(this=exp.Paren(this=total.copy()), expression=_number(12)), expression=_number(1))
        first = exp.Anonymous(this="make_date", expressions=[
            exp.Cast(this=year, to=small), exp.Cast(this=exp.Paren(this=month), to=small), _number(1)])
        last = exp.Anonymous(this="day", expressions=[exp.Anonymous(this="last_day", expressions=[first.copy()])])
        in_month = exp.LTE(this=_closed(day), expression=last)
        offset = _case((in_month, day.copy()), (exp.Not(this=exp.Paren(this=in_month.copy())), last.copy()))
        return exp.Cast(to=self.integer, this=exp.Sub(
            this=exp.Add(this=self.number(first), expression=offset), expression=_number(1)))


@lru_cache(maxsize=1)
def _calendar() -> CalendarTables:
    return calendar_tables()


def calendar_arrays() -> dict[str, list[int | None]]:
    """The calendar's arrays by name: the variables `hegui_<name>` of DuckDB, the view `hegui_calendar` of Spark."""
    calendar = calendar_tables()
    return {"passed": list(calendar.passed), "working": list(calendar.working), "following": list(calendar.following)}


def calendar_setup() -> list[str]:
    """The statements that give a DuckDB session the calendar's arrays, for plans with working days."""
    def numbers(values: Sequence[int | None]) -> str:
        return ", ".join("NULL" if value is None else str(value) for value in values)

    return [f"SET VARIABLE hegui_{name} = [{numbers(values)}]" for name, values in calendar_arrays().items()]
