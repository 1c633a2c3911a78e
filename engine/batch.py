"""Whole tables assessed: which provisions arise for each row, what they come to, and the sums.

A `Program` is what a table's rows go through: facts derived or filled in, then one `Step` for each
provision. It works on frames of stored columns (`normal.encode`) with the columns `ROW` (where the
row was read) and `SUBJECT`, keeps their order, and hands back one frame of outcomes a step. What
columns cannot hold goes to the reference evaluator row by row: a number finer than its column's
scale, a date beyond the calendar, the missing facts of a large decision table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from fractions import Fraction
from functools import cached_property

import polars as pl

from engine.calendar import day_of
from engine.dataclass import dataclass
from engine.errors import EvaluationError, Problem
from engine.evaluate.columnar import ColumnPlan, OutputColumn, column_plan, words_of
from engine.evaluate.naming import ERROR, STATUS, denominator_column, missing_column, value_column
from engine.evaluate.polars_backend import CODE, column_type
from engine.evaluate.sql_run import Engine, Evaluator, PolarsEngine
from engine.expr import Expr, IfElse, Literal
from engine.kinds import UNDETERMINED, status_type
from engine.listings import Listings
from engine.model import (
    Citation,
    Constant,
    Dossier,
    Field,
    FromAny,
    FromField,
    FromOutcome,
    FromSum,
    Matter,
    Output,
    Provision,
    ProvisionKind,
    Source,
    Text,
)
from engine.outcome import Outcome, assess
from engine.stored import SCALES, encode, stored_scale
from engine.terms import Const
from engine.types import Kind, Type
from engine.values import Value, shrink

ROW, SUBJECT, CASE = "#row", "#subject", "#case"
"""Columns beside a row's facts: where it was read, whose it is, and the number all rows of one subject share."""

ARISES = "arises"
"""Result column of a step: whether the matter arises for the row; null where that is not known."""
MISSING, COUNTED, YIELDS = "missing", "counted", "yields"


@dataclass(frozen=True, slots=True)
class Assessment:
    """What a batch is assessed by: the day whose parameters hold, and the day put in for one that is not given."""

    on: date | None
    as_of: date | None = None
    day_fact: str = "as_of"


class Words:
    """Every word of a program, so that one place means the same word in all of its columns."""

    def __init__(self, words: Sequence[str]) -> None:
        self.all = tuple(dict.fromkeys(words))
        self.places = {word: place for place, word in enumerate(self.all)}

    def stored(self, value: Value | None, of: Type) -> int | str | bool | None:
        """A typed value as its column stores it. Errors: `ValueError` where it is finer than the column's scale."""
        if isinstance(value, str) and of.kind is Kind.ENUM:
            return self.places[value]
        return encode(value, of)

    def typed(self, stored: object, of: Type) -> Value | None:
        """A stored value as the engine's own."""
        if stored is None or isinstance(stored, (bool, str)):
            return stored
        assert isinstance(stored, int), "columns hold whole numbers"
        if of.kind is Kind.ENUM:
            return self.all[stored]
        if of.kind is Kind.DATE:
            return day_of(stored)
        return shrink(Fraction(stored, stored_scale(of)))


# Conditions and derived facts as provisions of their own

_NO_CITATION = Citation("", "", "")


def _bare(fields: Mapping[str, Field]) -> dict[str, Field]:
    """Fields that are asked for always: a condition's missing facts are all of them."""
    return {name: replace(field, asked_when=None, default=None) for name, field in fields.items()}


def condition_provision(name: str, condition: Expr, fields: Mapping[str, Field]) -> Provision:
    """A condition over a record's fields as a provision: `stated` where it holds, else `not_applicable`."""
    of = status_type(ProvisionKind.PARAMETER)
    status = IfElse(condition, Literal("stated", of), Literal("not_applicable", of), type=of)
    return Provision(name, ProvisionKind.PARAMETER, Text(name), Text(""), _NO_CITATION, _bare(fields), status, ())


def value_provision(name: str, expr: Expr, fields: Mapping[str, Field]) -> Provision:
    """An expression over a record's fields as a provision with one output, `value`."""
    status = Literal("stated", status_type(ProvisionKind.PARAMETER))
    return Provision(name, ProvisionKind.PARAMETER, Text(name), Text(""), _NO_CITATION, _bare(fields), status,
                     (Output("value", expr, None, False),))


# Steps


@dataclass(frozen=True)
class Step:
    """One provision for each row: where its facts come from, and for which rows it arises."""

    provision: Provision
    inputs: Mapping[str, Source | pl.Expr]
    when: Expr | None = None
    matter: Matter | None = None


class Prepared:
    """A step ready to run over frames that have certain columns."""

    def __init__(self, step: Step, fields: Mapping[str, Field], present: frozenset[str], assessment: Assessment,
                 outcomes: Mapping[str, Provision]) -> None:
        self.step, self.assessment, self.fields = step, assessment, fields
        self.provision = step.provision
        absent: dict[str, Value | None] = {}
        for name, field in self.provision.facts.items():
            source = step.inputs.get(name)
            if source is None:
                absent[name] = field.default
            elif isinstance(source, Constant):
                absent[name] = source.value
            elif isinstance(source, FromField) and source.field not in present:
                absent[name] = None
            elif isinstance(source, FromOutcome) and source.provision not in outcomes:
                absent[name] = source.otherwise
        if absent.get(assessment.day_fact, 0) is None and assessment.as_of is not None:
            absent[assessment.day_fact] = assessment.as_of
        self.absent = absent
        self.plan = column_plan(self.provision, assessment.on, absent)
        self.condition = None
        if step.when is not None:
            whole = condition_provision(f"{self.provision.id} when", step.when, fields)
            self.condition = column_plan(whole, None, {name: None for name in fields if name not in present})

    @property
    def plans(self) -> Iterator[ColumnPlan]:
        yield self.plan
        if self.condition is not None:
            yield self.condition


class Program:
    """The steps of a table, prepared for the columns it has.

    `fields` are the fields of the rows; `present` those for which there is a column; `derived` gives
    facts that a row leaves out; `counts`: outcomes also tell what counts towards a total; `vocabulary`
    are words that come first. Errors (`PackError`): as `column_plan`.
    """

    def __init__(self, steps: Sequence[Step], fields: Mapping[str, Field], present: frozenset[str],
                 assessment: Assessment, derived: Mapping[str, Expr] | None = None,
                 engine: Engine | None = None, counts: bool = False, vocabulary: Sequence[str] = ()) -> None:
        self.fields, self.assessment = dict(fields), assessment
        self.given = present
        self.derived: list[tuple[str, ColumnPlan]] = []
        self.defaults: dict[str, Value] = {}
        for name, expr in (derived or {}).items():
            missing = {other: None for other in fields if other not in present}
            self.derived.append((name, column_plan(value_provision(name, expr, fields), None, missing)))
            present |= {name}
        for name, field in fields.items():
            if name not in present and field.default is not None:
                self.defaults[name] = field.default
                present |= {name}
        self.present = present
        provisions = {step.provision.id: step.provision for step in steps}
        self.steps = [Prepared(step, fields, present, assessment, provisions) for step in steps]
        words = [*vocabulary, *(word for _, plan in self.derived for word in words_of(plan))]
        words += [word for step in self.steps for plan in step.plans for word in words_of(plan)]
        words += [word for field in fields.values() for word in field.type.values or ()]
        words += ["stated", "not_applicable", UNDETERMINED]
        words += [str(value) for step in self.steps for value in step.absent.values() if isinstance(value, str)]
        words += [source.otherwise for step in steps for source in step.inputs.values()
                  if isinstance(source, FromField) and isinstance(source.otherwise, str)]
        self.words = Words(words)
        self.listings = Listings()
        self.engine = engine or PolarsEngine()
        self.counts = counts
        self._plans: dict[int, Evaluator] = {}
        self._asked: dict[tuple[object, ...], str] = {}

    @cached_property
    def schema(self) -> dict[str, pl.DataType]:
        """The stored columns a table has to bring: place, subject, and a column for each field it has."""
        return {ROW: pl.Int64(), SUBJECT: pl.String(),
                **{name: column_type(field) for name, field in self.fields.items() if name in self.given}}

    def ready(self, plan: ColumnPlan) -> Evaluator:
        """One of the program's plans, prepared by its engine."""
        if id(plan) not in self._plans:
            self._plans[id(plan)] = self.engine.ready(plan, self.words.all)
        return self._plans[id(plan)]

    # Rows

    def fill(self, frame: pl.DataFrame) -> pl.DataFrame:
        """The rows with derivable facts worked out where they are unknown, and defaults where no column is."""
        for name, plan in self.derived:
            of = self.fields[name].type
            found = self.ready(plan).outcomes(frame).get_column(value_column("value"))
            if of.kind is Kind.BOOLEAN:
                found = found.cast(pl.Boolean)
            elif of.kind in SCALES and found.null_count() < found.len():
                found = found * _factor(plan.outputs[0], stored_scale(of))
            given = pl.col(name) if name in frame.columns else pl.lit(None)
            frame = frame.with_columns(pl.coalesce(given, found).cast(column_type(self.fields[name])).alias(name))
        if self.defaults:
            frame = frame.with_columns(
                pl.lit(self.words.stored(value, self.fields[name].type)).cast(column_type(field)).alias(name)
                for name, value in self.defaults.items() if (field := self.fields[name]) is not None)
        return frame

    def inputs(self, prepared: Prepared, frame: pl.DataFrame, done: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """The columns of a step's provision, from the rows and from earlier outcomes."""
        columns: list[pl.Expr | pl.Series] = []
        for name, field in prepared.plan.facts.items():
            source = prepared.step.inputs[name]
            if isinstance(source, FromField):
                column = self._choice(pl.col(source.field), source)
            elif isinstance(source, FromOutcome):
                columns.append(self._outcome(source, field, done, frame.height).alias(name))
                continue
            else:
                assert isinstance(source, pl.Expr), "sums over other rows come as columns"
                column = source
            as_of = self.assessment.as_of
            if name == self.assessment.day_fact and as_of is not None:
                column = pl.coalesce(column, pl.lit(encode(as_of, field.type)).cast(pl.Int32))
            columns.append(column.alias(name))
        return frame.select_seq(columns) if columns else frame.select(ROW)

    def _choice(self, column: pl.Expr, source: FromField) -> pl.Expr:
        """A field whose enumeration has values that the provision's has not."""
        if source.choices is None:
            return column
        known = sorted(self.words.places[word] for word in source.choices if word in self.words.places)
        other = None if source.otherwise is None else self.words.places[str(source.otherwise)]
        return pl.when(column.is_in(known) | column.is_null()).then(column).otherwise(pl.lit(other, dtype=CODE))

    def _outcome(self, source: FromOutcome, field: Field, done: Mapping[str, pl.DataFrame], height: int) -> pl.Series:
        """An output of an earlier step as a fact of a later one."""
        other = next(step for step in self.steps if step.provision.id == source.provision)
        frame = done[source.provision]
        column = next((one for one in other.plan.outputs if one.name == source.output), None)
        value = pl.lit(None)
        if column is not None:
            value = pl.col(value_column(source.output))
            if field.type.kind is Kind.BOOLEAN:
                value = value.cast(pl.Boolean)
            elif field.type.kind in SCALES:
                value = value * _factor(column, stored_scale(field.type))
        skipped = (pl.col(STATUS) == self.words.places["not_applicable"]).fill_null(False)
        if ARISES in frame.columns:
            skipped |= ~pl.col(ARISES).fill_null(True)
        otherwise = pl.lit(self.words.stored(source.otherwise, field.type))
        return frame.select(pl.when(skipped).then(otherwise).otherwise(value).cast(column_type(field))).to_series()

    def run(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
        """The rows as filled in, and for each provision its outcomes, row by row.

        An outcome frame has `status` (the place of a word; null: undetermined), the outputs' columns,
        `missing` (facts named, joined by a blank: a place in `listings`) and, where a step has a condition, `arises`;
        `error` is true where the calendar does not reach.
        """
        frame = self.fill(frame)
        done: dict[str, pl.DataFrame] = {}
        for prepared in self.steps:
            done[prepared.provision.id] = self.step(prepared, frame, done)
        if self.counts:
            for identity, counted in self._counted(done).items():
                done[identity] = done[identity].with_columns(counted.alias(COUNTED))
        return frame, done

    def _counted(self, done: Mapping[str, pl.DataFrame]) -> dict[str, pl.Series]:
        """What counts towards a subject's total, in fen: the amount, or zero where another outcome contains it.

        Null where it is not known or the matter does not arise.
        """
        amount = value_column("amount")
        found = {identity: frame.select(pl.when(pl.col(STATUS).is_not_null()).then(
            (pl.col(amount) if amount in frame.columns else pl.lit(0)).fill_null(0).cast(pl.Int64))).to_series()
            for identity, frame in done.items()}
        for prepared in self.steps:
            for other in prepared.step.matter.replaces if prepared.step.matter is not None else ():
                if other in found:
                    here, there = _there(done[prepared.provision.id]), _there(done[other])
                    found[other] = pl.select(pl.when(here & there).then(0).otherwise(found[other])).to_series()
        return found

    def step(self, prepared: Prepared, frame: pl.DataFrame, done: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """One step over rows that are filled in."""
        inputs = self.inputs(prepared, frame, done)
        found = self.ready(prepared.plan).outcomes(inputs)
        arises = self._arises(prepared, frame)
        if arises is not None:
            holds = arises.get_column(ARISES)
            found = found.with_columns(holds.alias(ARISES)).with_columns(
                pl.when(pl.col(ARISES)).then(pl.col(name)).alias(name) for name in found.columns if name != ERROR)
            if ERROR in found.columns:
                found = found.with_columns(pl.col(ERROR) & pl.col(ARISES).fill_null(False))
        missing = self._missing(prepared, inputs, found, done)
        if arises is not None:
            open_ones = arises.get_column(MISSING)
            missing = pl.select(pl.when(holds.is_null()).then(open_ones).otherwise(
                pl.when(holds).then(missing))).to_series()
        return found.hstack([missing.alias(MISSING)])

    def _arises(self, prepared: Prepared, frame: pl.DataFrame) -> pl.DataFrame | None:
        if prepared.condition is None:
            return None
        ready = self.ready(prepared.condition)
        status = ready.outcomes(frame).get_column(STATUS)
        holds = (status == self.words.places["stated"]).alias(ARISES)
        missing = _no_places(frame.height)
        if holds.null_count():
            flags = ready.missing(frame)
            missing = self.listings.of(flags, prepared.condition.missing or {})
        return pl.DataFrame([holds, missing.alias(MISSING)])

    def _missing(self, prepared: Prepared, inputs: pl.DataFrame, found: pl.DataFrame,
                 done: Mapping[str, pl.DataFrame]) -> pl.Series:
        """For undetermined rows the facts that would decide them; null in all others."""
        open_rows = found.get_column(STATUS).is_null()
        if ARISES in found.columns:
            open_rows &= found.get_column(ARISES).fill_null(False)
        if ERROR in found.columns:
            open_rows &= ~found.get_column(ERROR).fill_null(False)
        if not open_rows.any():
            return _no_places(found.height)
        if prepared.plan.missing is not None:
            same = self.ready(prepared.plan).missing_throughout(inputs)
            if same is not None and not self._waiting(prepared, done).keys() & same:
                place = pl.lit(self.listings.place(sorted(same)), dtype=pl.UInt32)
                return pl.select(pl.when(open_rows).then(place)).to_series()
        places = pl.int_range(found.height, dtype=pl.UInt32, eager=True).filter(open_rows)  # sooner than `arg_true`
        rows = inputs[places]
        if prepared.plan.missing is not None:
            flags = self.ready(prepared.plan).missing(rows)
            lists = self._waited_for(prepared, flags, places, done)
        else:
            lists = self.listings.places(self._ask(prepared, rows))
        return _no_places(found.height).scatter(places, lists)

    def _waited_for(self, prepared: Prepared, flags: pl.DataFrame, places: pl.Series,
                    done: Mapping[str, pl.DataFrame]) -> pl.Series:
        """The missing facts of some rows; one taken from another outcome stands for what that one waits for."""
        names, waiting = prepared.plan.missing or {}, self._waiting(prepared, done)
        if not waiting:
            return self.listings.of(flags, names)
        own = self.listings.of(flags, [name for name in names if name not in waiting])
        lists = [self.listings.texts(own).str.split(" ")]
        for name, source in waiting.items():
            theirs = self.listings.texts(done[source.provision].get_column(MISSING).gather(places))
            flag = flags.get_column(missing_column(name)).fill_null(False)
            lists.append(pl.select(pl.when(flag).then(theirs)).to_series().str.split(" "))
        merged = pl.DataFrame([one.alias(str(place)) for place, one in enumerate(lists)])
        return self.listings.places(merged.select(pl.concat_list(
            pl.col(name).fill_null(pl.lit([], dtype=pl.List(pl.String))) for name in merged.columns
        ).list.unique().list.sort().list.eval(pl.element().filter(pl.element() != "")).list.join(" ")).to_series())

    @staticmethod
    def _waiting(prepared: Prepared, done: Mapping[str, pl.DataFrame]) -> dict[str, FromOutcome]:
        """The facts that may be missing and come from outcomes already worked out."""
        names = prepared.plan.missing or {}
        return {name: source for name, source in prepared.step.inputs.items()
                if isinstance(source, FromOutcome) and source.provision in done and name in names}

    def _ask(self, prepared: Prepared, rows: pl.DataFrame) -> pl.Series:
        """The missing facts by the reference, once for rows that are alike."""
        found: list[str] = []
        for row in rows.iter_rows():
            key = (prepared.provision.id, *row)
            if key not in self._asked:
                if len(self._asked) > 200_000:
                    self._asked.clear()
                values = self.typed_inputs(prepared, dict(zip(rows.columns, row, strict=True)))
                self._asked[key] = " ".join(assess(prepared.provision, values, self.assessment.on).missing)
            found.append(self._asked[key])
        return pl.Series(found, dtype=pl.String)

    def typed_inputs(self, prepared: Prepared, stored: Mapping[str, object]) -> dict[str, Value | None]:
        """A step's facts in one row as the engine's own values."""
        values: dict[str, Value | None] = dict(prepared.absent)
        for name, field in prepared.plan.facts.items():
            values[name] = self.words.typed(stored.get(name), field.type)
        return values

    def faults(self, prepared: Prepared, frame: pl.DataFrame,
               done: Mapping[str, pl.DataFrame]) -> list[tuple[int, Problem]]:
        """The rows that reach beyond the calendar, with the reference's own words about each."""
        found = done[prepared.provision.id]
        if ERROR not in found.columns:
            return []
        places = found.get_column(ERROR).fill_null(False).arg_true()
        if not places.len():
            return []
        rows = self.inputs(prepared, frame, done)[places]
        lines = frame.get_column(ROW).gather(places)
        problems: list[tuple[int, Problem]] = []
        for line, row in zip(lines, rows.iter_rows(named=True), strict=True):
            try:
                assess(prepared.provision, self.typed_inputs(prepared, row), self.assessment.on)
            except EvaluationError as error:
                problems.append((line, error.problems[0]))
                continue
            raise AssertionError(f"{prepared.provision.id} row {line}: only the columns met the calendar's end")
        return problems

    def reference(self, values: Mapping[str, Value | None]) -> dict[str, Outcome]:
        """A row by the reference evaluator, for values that no column holds.

        Only for rows that are the facts of provisions themselves. Errors (`EvaluationError`): where the calendar ends.
        """
        found: dict[str, Outcome] = {}
        for prepared in self.steps:
            given: dict[str, Value | None] = dict(prepared.absent)
            for name in prepared.plan.facts:
                source = prepared.step.inputs[name]
                assert isinstance(source, FromField), "a table of facts takes every input from its own row"
                given[name] = values.get(source.field)
            day = self.assessment.day_fact
            if day in prepared.provision.facts and given.get(day) is None:
                given[day] = self.assessment.as_of
            found[prepared.provision.id] = assess(prepared.provision, given, self.assessment.on)
        return found


def _there(frame: pl.DataFrame) -> pl.Series:
    """For which rows a step's matter arises, or may."""
    if ARISES in frame.columns:
        return frame.get_column(ARISES).fill_null(True)
    return pl.Series([True]).new_from_index(0, frame.height)


def _no_places(height: int) -> pl.Series:
    """Missing facts of rows that lack none."""
    return pl.Series(MISSING, [None], dtype=pl.UInt32).new_from_index(0, height)


def _factor(output: OutputColumn, scale: int) -> int:
    """By how much a value's numerator is multiplied to be stored at a scale, which must hold it exactly."""
    assert isinstance(output.denominator, Const), f"{output.name} has no constant scale and fits no column"
    factor, rest = divmod(scale, output.denominator.value)
    assert not rest, f"{output.name} is finer than the column it goes into"
    return factor


# Programs of a provision and of a dossier's subject


def provision_steps(provisions: Sequence[Provision], present: frozenset[str]) -> tuple[list[Step], dict[str, Field]]:
    """Steps for rows that are the facts of some provisions, and their fields taken together.

    A fact that has no column keeps its default. Errors: `ValueError` naming a fact that two of the
    provisions understand differently.
    """
    fields: dict[str, Field] = {}
    for provision in provisions:
        for name, field in provision.facts.items():
            first = fields.setdefault(name, field)
            if first.type != field.type or first.unit != field.unit:
                raise ValueError(name)
    steps = [Step(provision, {name: FromField("", name) for name in provision.facts if name in present})
             for provision in provisions]
    return steps, fields


def subject_steps(dossier: Dossier, provisions: Mapping[str, Provision], skipped: Mapping[int, Text]) -> list[Step]:
    """Steps for the matters of a dossier that are about the subject itself, of which no related row is there."""
    return [Step(provisions[matter.provision],
                 {name: _alone(source, dossier.subject) for name, source in matter.inputs.items()}, matter.when, matter)
            for number, matter in enumerate(dossier.matters)
            if number not in skipped and matter.each == dossier.subject]


def _alone(source: Source, record: str) -> Source:
    """Where an input comes from if a case has no row but this one: nothing related is zero, and no."""
    match source:
        case FromSum():
            return Constant(0)
        case FromAny():
            return Constant(False)
        case FromField(other, field) if other != record:
            return FromField(other, f"{other}.{field}")  # which no row has
    return source


__all__ = ["ARISES", "COUNTED", "MISSING", "ROW", "SUBJECT", "Assessment", "Program", "Step", "Words",
           "denominator_column", "provision_steps", "subject_steps"]
