"""A column plan as Polars expressions.

Columns hold what `encode` stores: whole numbers at their scale, day numbers, yes/no, and for an
enumeration the place of its value in `words`; text stays text. Rows keep their order. Polars wraps
past 64 bits in silence, so a plan that is not proved to fit is computed in 128.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import repeat
from threading import Lock

import polars as pl

from engine.evaluate.columnar import CalendarTables, ColumnPlan, calendar_tables, words_of
from engine.evaluate.graph import Graph, Staging, Vertex, is_settled, stage
from engine.evaluate.naming import STATUS, missing_column, value_column
from engine.evaluate.simplify import missing_vertices, outcome_vertices
from engine.model import Field
from engine.terms import MIRRORED, Column, DateCall, nodes
from engine.types import Kind

LAZY_FROM = 20_000
"""Rows from which on layers are handed over together, which Polars then goes through in parts that fit its caches."""
_PLAIN = pl.QueryOptFlags.none()
MAX_WRITTEN = 64
"""Kinds of blocks (by their nulls) for which a plan is written; beyond it as for a block of which nothing is known."""
NARROW_CALLS = frozenset(("workdays_after", "next_workday", "workdays_until"))
CODE = pl.Int16
"""How the place of a word is held."""


def column_type(field: Field, bits: int = 64) -> pl.DataType:
    """The Polars type of a stored column."""
    kind = field.type.kind
    return pl.Boolean() if kind is Kind.BOOLEAN else value_type(kind, bits)


def value_type(kind: Kind, bits: int = 64) -> pl.DataType:
    """The Polars type of an outcome's value; a yes or no is 1 or 0."""
    match kind:
        case Kind.ENUM:
            return CODE()
        case Kind.TEXT:
            return pl.String()
        case Kind.DATE:
            return pl.Int32()
    return pl.Int64() if bits == 64 else pl.Int128()


class PolarsPlan:
    """A plan ready to be evaluated over frames; the expressions are written once per pattern of columns without nulls.

    `words` gives the places of enumeration values and statuses; the result's `status` and word outputs
    hold such places.
    """

    def __init__(self, plan: ColumnPlan, words: Sequence[str] | None = None) -> None:
        self.plan = plan
        self.words = tuple(words) if words is not None else words_of(plan)
        self.days = sorted({part.name for node in nodes(*plan.nodes()) if isinstance(node, DateCall)
                            for part in node.arguments if isinstance(part, Column)})
        self.read = frozenset(plan.facts) & plan.read
        self._outcomes: _Cache = {}
        self._missing: _Cache = {}
        self._lock = Lock()

    def outcomes(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Status and outputs of each row, in order.

        Columns: `status` (null: undetermined), a value for each output (and its denominator where
        that varies), and `error` where the plan can meet the calendar's end.
        """
        return self._written(self._kind(frame), self._outcomes, outcome_vertices).apply(frame)

    def missing(self, frame: pl.DataFrame) -> pl.DataFrame:
        """For undetermined rows: a flag for each fact that would decide them."""
        return self._written(self._kind(frame), self._missing, missing_vertices).apply(frame)

    def missing_throughout(self, frame: pl.DataFrame) -> tuple[str, ...] | None:
        """The facts that would decide each undetermined row of such a frame; None where they may differ."""
        kind = self._kind(frame)
        lacking = self._lacking_alone(kind)
        if lacking is not None:
            return (lacking,)
        truths = self._written(kind, self._missing, missing_vertices).truths
        if truths is None:
            return None
        return tuple(name for name in self.plan.missing or () if truths[missing_column(name)])

    def lazy_outcomes(self, frame: pl.LazyFrame, without_nulls: frozenset[str],
                      keep: Sequence[str] = ()) -> pl.LazyFrame:
        """The same over a lazy frame whose null-free columns are told; `keep` are columns to pass on."""
        graph = Graph(self.plan.facts, without_nulls)
        return _Written(graph, outcome_vertices(graph, self.plan), self.plan, self.words).lazy(frame, keep)

    def _lacking_alone(self, kind: _Kind) -> str | None:
        """The one fact that an undetermined row of such a frame can lack, where none is so without lacking it."""
        full, _, _ = kind
        found = [name for name in self.plan.missing or () if name not in full]
        if len(found) != 1 or found[0] not in self.read or self.plan.facts[found[0]].asked_when is not None:
            return None
        lacking = self._written(kind, self._outcomes, outcome_vertices).lacking
        return found[0] if lacking == {found[0]} else None

    def _kind(self, frame: pl.DataFrame) -> _Kind:
        nulls = {name: frame.get_column(name).null_count() for name in self.read if name in frame.columns}
        full = frozenset(name for name, count in nulls.items() if not count)
        empty = frozenset(name for name, count in nulls.items() if count == frame.height) - full
        return full, empty, _settled(frame, [name for name in self.days if name in nulls])

    def _written(self, kind: _Kind, cache: _Cache, wanted: Callable[[Graph, ColumnPlan], dict[str, int]]) -> _Written:
        """Some vertices as they were written for columns of this kind."""
        full, empty, settled = kind
        if kind not in cache and len(cache) >= MAX_WRITTEN:
            kind = full, empty, settled = frozenset(), frozenset(), frozenset()
        with self._lock:  # several blocks are the same kind: one of them writes for all
            written = cache.get(kind)
            if written is None:
                graph = Graph(self.plan.facts, full, settled, empty)
                written = cache[kind] = _Written(graph, wanted(graph, self.plan), self.plan, self.words)
        return written


_Kind = tuple[frozenset[str], frozenset[str], frozenset[str]]
"""The columns of a frame without nulls, those of nulls, and those of settled days."""
_Cache = dict[_Kind, "_Written"]


def _settled(frame: pl.DataFrame, names: Sequence[str]) -> frozenset[str]:
    """The columns of days, of some, that all lie in the published calendar, well before its end."""
    if not names:
        return frozenset()
    if frame.height < LAZY_FROM:
        ends = [(frame.get_column(name).min(), frame.get_column(name).max()) for name in names]
    else:  # side by side
        found = frame.select(pl.col(names).min(), pl.col(names).max().name.suffix(" max")).row(0)
        ends = list(zip(found[: len(names)], found[len(names) :], strict=True))
    return frozenset(name for name, (first, last) in zip(names, ends, strict=True)
                     if first is not None and is_settled(first, last))  # type: ignore[arg-type]  # day numbers


class _Written:
    """Expressions for some vertices: layers of columns set aside, then what is wanted.

    `truths`: what is wanted, where each is a condition that holds in every row or in none. `lacking`: columns
    one of which is null wherever the status is; None where it may be null without that.
    """

    def __init__(self, graph: Graph, wanted: Mapping[str, int], plan: ColumnPlan, words: Sequence[str]) -> None:
        settled = {name: graph[number].value for name, number in wanted.items() if graph[number].kind == "truth"}
        self.truths = settled if len(settled) == len(wanted) else None
        columns = graph.lacking(wanted[STATUS]) if STATUS in wanted else None
        self.lacking = None if columns is None else {graph[number].value for number in columns}
        staging = stage(graph, wanted.values())
        writer = _Writer(graph, staging, words, plan.bits)
        types = {STATUS: CODE(), **{value_column(one.name): value_type(one.kind, plan.bits) for one in plan.outputs}}
        self.layers = [[writer.write(number).alias(_aside(number)) for number in layer] for layer in staging.layers]
        self.wanted = [
            (pl.lit(None, dtype=types.get(name, writer.integer)) if graph[number].kind == "null" else
             (writer.named if writer.is_day(number) else writer.wide)(number)).alias(name)
            for name, number in wanted.items()]

    def lazy(self, frame: pl.LazyFrame, keep: Sequence[str] = ()) -> pl.LazyFrame:
        for layer in self.layers:
            frame = frame.with_columns(layer)
        return frame.select(*(pl.col(name) for name in keep), *self.wanted)

    def apply(self, frame: pl.DataFrame) -> pl.DataFrame:
        height = frame.height
        if height >= LAZY_FROM:
            found = self.lazy(frame.lazy()).collect(optimizations=_PLAIN)
        else:
            for layer in self.layers:
                frame = frame.with_columns_seq(layer)
            found = frame.select_seq(self.wanted)
        if found.height == height:
            return found
        # Nothing but constants was selected: one row stands for all.
        return frame.select(pl.int_range(height).alias("#")).join(found, how="cross").drop("#")


def _aside(number: int) -> str:
    return f"#{number}"


class _Writer:
    def __init__(self, graph: Graph, staging: Staging, words: Sequence[str], bits: int) -> None:
        self.graph, self.aside = graph, staging.aside
        self.codes = {word: place for place, word in enumerate(words)}
        self.words = words
        self.integer = pl.Int64() if bits == 64 else pl.Int128()
        self.calendar: CalendarTables | None = None

    def named(self, number: int) -> pl.Expr:
        """A vertex where it is used: the column set aside for it, or its expression."""
        return pl.col(_aside(number)) if number in self.aside else self.write(number)

    def wide(self, number: int) -> pl.Expr:
        """A vertex where it is computed with: what is held in fewer bits like all other numbers."""
        narrow = self.is_narrow(number) or self.is_small(number)
        return self.named(number).cast(self.integer) if narrow else self.named(number)

    def is_small(self, number: int) -> bool:
        """Whether a vertex is written in 8 bits: a choice of constants that they hold, as rates are."""
        constants = self.graph.constants(number) if self.graph[number].kind == "choose" else None
        return bool(constants) and all(map(self.fits_small, constants or ()))

    def fits_small(self, number: int) -> bool:
        """Whether a vertex is a number that 8 bits hold."""
        vertex = self.graph[number]
        return vertex.kind == "const" and abs(int(vertex.value or 0)) < 2**7

    def small(self, number: int) -> pl.Expr:
        """A vertex that is held in 8 bits, or a number beside it."""
        vertex = self.graph[number]
        return pl.lit(vertex.value, dtype=pl.Int8) if vertex.kind == "const" else self.named(number)

    def narrow(self, number: int) -> pl.Expr:
        """A vertex that is held in 32 bits, or a number beside it."""
        vertex = self.graph[number]
        return pl.lit(vertex.value, dtype=pl.Int32) if vertex.kind == "const" else self.named(number)

    def is_narrow(self, number: int) -> bool:
        """Whether a vertex is written in 32 bits: a day, working days, or what lies between two of them."""
        vertex = self.graph[number]
        if vertex.kind == "call":
            return vertex.value in NARROW_CALLS
        if vertex.kind == "choose":
            branches = [part for part in vertex.parts[1:] if self.graph[part].kind != "null"]
            return bool(branches) and all(map(self.is_narrow, branches))
        if vertex.kind != "operation":
            return self.is_day(number)
        if vertex.value == "-":
            return all(self.graph[part].kind != "operation" and self.is_narrow(part) for part in vertex.parts)
        least = self.graph[vertex.parts[1]]
        return (vertex.value in ("min", "max") and self.is_narrow(vertex.parts[0])
                and least.kind == "const" and abs(int(least.value or 0)) < 2**30)

    def is_day(self, number: int) -> bool:
        """Whether a vertex is written as a day in 32 bits."""
        vertex = self.graph[number]
        match vertex.kind:
            case "column":
                return self.graph.facts[str(vertex.value)].type.kind is Kind.DATE
            case "call":
                return vertex.value in ("workdays_after", "next_workday")
            case "choose":
                then, other = vertex.parts[1:]
                return self.is_day(then) and (self.is_day(other) or self.graph[other].kind == "null")
        return False

    def write(self, number: int) -> pl.Expr:
        """The expression of a vertex, from its parts."""
        vertex = self.graph[number]
        value = vertex.value
        match vertex.kind:
            case "const":
                return pl.lit(value, dtype=self.integer)
            case "word":
                return pl.lit(self.codes[str(value)], dtype=CODE)
            case "null":
                return pl.lit(None)
            case "column":
                return self.column(str(value))
            case "flag":
                return pl.col(str(value))
            case "truth":
                return pl.lit(value, dtype=pl.Boolean)
            case "operation":
                return self.operation(number, vertex)
            case "call":
                return self.call(vertex)
            case "choose":
                return self.choose(number, vertex)
            case "test":
                return self.test(vertex)
            case "all":
                return pl.all_horizontal([self.named(part) for part in vertex.parts])
            case "any":
                return pl.any_horizontal([self.named(part) for part in vertex.parts])
            case "not":
                inner = self.graph[vertex.parts[0]]
                if inner.kind == "known" and vertex.parts[0] not in self.aside:
                    return self.named(inner.parts[0]).is_null()
                return ~self.named(vertex.parts[0])
            case _:
                return self.named(vertex.parts[0]).is_not_null()

    def column(self, name: str) -> pl.Expr:
        kind = self.graph.facts[name].type.kind
        if kind in (Kind.ENUM, Kind.TEXT, Kind.DATE) or self.integer == pl.Int64():
            return pl.col(name)
        return pl.col(name).cast(self.integer)

    def operation(self, number: int, vertex: Vertex) -> pl.Expr:
        left, right = map(self.narrow if self.is_narrow(number) else self.wide, vertex.parts)
        match vertex.value:
            case "+":
                return left + right
            case "-":
                return left - right
            case "*":
                return left * right
            case "//":
                return left // right
            case "min" | "max" as op:
                if self.graph.never_null(number) or self.graph[vertex.parts[1]].kind == "const":
                    # A null stays one; `min_horizontal` and `clip` take longer.
                    return pl.when(left > right if op == "min" else left < right).then(right).otherwise(left)
                first = self.compared("<=" if op == "min" else ">=", left, right, vertex.parts[0])
                return pl.when(first).then(left).when(~first).then(right)
        raise AssertionError(f"no such operation: {vertex.value}")

    def choose(self, number: int, vertex: Vertex) -> pl.Expr:
        condition, then, other = vertex.parts
        test = self.named(condition)
        a, b = self.alike(then, other, self.is_small(number), self.graph.is_text(number))
        match self.graph.choose_form(vertex):
            case "plain":
                return pl.when(test).then(a).otherwise(b)
            case "flipped":
                return pl.when(~test).then(b).otherwise(a)
            case "strict":
                return pl.when(test).then(a).when(test.is_null()).then(None).otherwise(b)
        return pl.when(test).then(a).when(~test).then(b).when(self.compared("==", a, b, then)).then(a)

    def test(self, vertex: Vertex) -> pl.Expr:
        first, second = vertex.parts
        left, right = self.alike(first, second, self.is_small(first) and self.fits_small(second),
                                 self.graph.is_text(first) or self.graph.is_text(second))
        return self.compared(str(vertex.value), left, right, first)

    def alike(self, first: int, second: int, small: bool, text: bool) -> tuple[pl.Expr, pl.Expr]:
        """Two vertices in columns of one kind."""
        if text:
            return self.text(first), self.text(second)
        if small:
            return self.small(first), self.small(second)
        one, other = (self.wide(part) if self.is_small(part) else self.named(part) for part in (first, second))
        return one, other

    def compared(self, operator: str, left: pl.Expr, right: pl.Expr, first: int) -> pl.Expr:
        """A comparison; `first` is the vertex on the left.

        Polars makes a single row of a literal compared with an expression that is null throughout, so
        literals stand on the right.
        """
        if self.graph[first].kind in ("const", "word"):
            left, right, operator = right, left, MIRRORED[operator]
        match operator:
            case "==":
                return left == right
            case "!=":
                return left != right
            case "<":
                return left < right
            case "<=":
                return left <= right
            case ">":
                return left > right
        return left >= right

    def text(self, number: int) -> pl.Expr:
        """A word or text as text."""
        vertex = self.graph[number]
        if vertex.kind == "word":
            return pl.lit(str(vertex.value))
        if vertex.kind == "null" or self.graph.is_text(number):
            return self.named(number)
        return _pick(pl.Series(list(self.words), dtype=pl.String), self.named(number))

    # Dates

    def call(self, vertex: Vertex) -> pl.Expr:
        first = self.named(vertex.parts[0])
        match vertex.value:
            case "workdays_after":
                return self.workdays_after(vertex)
            case "workdays_until":
                return self.looked_up(_calendar().passed, vertex)
            case "next_workday":
                return self.looked_up(_calendar().following, vertex)
            case "year_of":
                return _date(first).dt.year().cast(self.integer)
            case "month_of":
                return _date(first).dt.month().cast(self.integer)
            case "months_after":
                return self.months_after(first, self.wide(vertex.parts[1]))
            case "date_of":
                year, month, day = map(self.wide, vertex.parts)
                is_month = month.is_between(1, 12) & (day >= 1)
                return self.day_in_month(pl.when(is_month).then(year * 12 + month - 1), day)
        raise AssertionError(f"no such function: {vertex.value}")

    def looked_up(self, table: pl.Series, vertex: Vertex) -> pl.Expr:
        """A table's entry for a call's day; null before the first and after the last published one."""
        place = self.place(vertex.parts[0])
        if self.graph.is_partial(vertex):
            return pl.lit(table).gather(place, null_on_oob=True)
        return pl.lit(table.fill_null(0)).gather(place)  # no other day is asked for; sooner without nulls

    def place(self, number: int) -> pl.Expr:
        """A day's place in a table."""
        if self.is_narrow(number):  # 32 bits: a day before 1970 wraps round to a place far behind the table
            return self.named(number).cast(pl.UInt32, wrap_numerical=True)
        return self.named(number).cast(pl.UInt32, strict=False)

    def workdays_after(self, vertex: Vertex) -> pl.Expr:
        calendar = _calendar()
        start, wanted = vertex.parts
        if self.graph[wanted].kind == "const":
            return self.looked_up(calendar.after(int(self.graph[wanted].value or 0)), vertex)
        passed, count = pl.lit(calendar.passed).gather(self.place(start), null_on_oob=True), self.wide(wanted)
        place = passed + count - 1
        following = pl.lit(calendar.working).gather(place.clip(0, calendar.working.len()), null_on_oob=True)
        return pl.when((count == 0) & passed.is_not_null()).then(self.named(start)).when(count > 0).then(
            following).cast(pl.Int32)

    def months_after(self, day: pl.Expr, months: pl.Expr) -> pl.Expr:
        start = _date(day)
        total = start.dt.year().cast(self.integer) * 12 + start.dt.month() - 1 + months
        return self.day_in_month(total, start.dt.day())

    def day_in_month(self, total: pl.Expr, day: pl.Expr) -> pl.Expr:
        """The day number of a day, or of the month's last where it has none such; months counted from year 0."""
        total = pl.when(total.is_between(12, 119_999)).then(total)  # the years 1 to 9999
        first = pl.date(total // 12, total % 12 + 1, 1)
        last = first.dt.month_end()
        return pl.when(day.is_not_null()).then(
            first.cast(pl.Int32) + pl.min_horizontal(day.cast(pl.Int32), last.dt.day().cast(pl.Int32)) - 1
        ).cast(self.integer)


def _date(day: pl.Expr) -> pl.Expr:
    return day.cast(pl.Int32).cast(pl.Date)


def _pick(table: pl.Series, place: pl.Expr) -> pl.Expr:
    """The table's entry at a place; null at a null place."""
    return pl.lit(table).gather(place.cast(pl.UInt32))


class _Series:
    """The calendar's arrays as series; those with an entry a day begin with day 0, null before the first published."""

    def __init__(self, tables: CalendarTables) -> None:
        self.tables = tables
        self.working = pl.Series(tables.working, dtype=pl.Int32)
        self.passed, self.following = self._by_day(tables.passed), self._by_day(tables.following)
        self._after: dict[int, pl.Series] = {}

    def _by_day(self, values: Iterable[int | None]) -> pl.Series:
        return pl.Series([*repeat(None, self.tables.first), *values], dtype=pl.Int32)

    def after(self, count: int) -> pl.Series:
        """For each day the working day that many working days later."""
        if count not in self._after:
            first, working = self.tables.first, self.tables.working
            places = [passed + count - 1 for passed in self.tables.passed]
            self._after[count] = self._by_day(range(first, first + len(places)) if count == 0 else (
                working[place] if count > 0 and place < len(working) else None for place in places))
        return self._after[count]


@lru_cache(maxsize=1)
def _calendar() -> _Series:
    return _Series(calendar_tables())
