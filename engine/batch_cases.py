"""Whole dossiers assessed by columns: sums over related rows, exclusivity groups.

Each record of a dossier is a frame whose rows carry the number of their case (`CASE`). What a matter
takes from other rows becomes a column of its own before the record's program runs; of each exclusivity
group the highest amount counts. Nulls mean here what they mean to `dossier`: a row that may belong
makes a sum unknown, and a group with an unknown key is a group of one row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeGuard

import polars as pl

from engine.batch import (
    CASE,
    COUNTED,
    ROW,
    SUBJECT,
    Assessment,
    Program,
    Step,
)  # fmt: skip
from engine.dataclass import dataclass
from engine.evaluate.naming import STATUS, value_column
from engine.evaluate.polars_backend import column_type
from engine.evaluate.sql_run import Engine
from engine.exclusivity import highest_only
from engine.model import (
    Brought,
    Dossier,
    Field,
    FromAny,
    FromField,
    FromOutcome,
    FromSum,
    Matter,
    Provision,
    Source,
    Text,
)  # fmt: skip
from engine.values import Value

_PLACE = "#place"


@dataclass(frozen=True)
class RecordOutcomes:
    """What came of one record's rows: the rows themselves and each step's outcomes beside them."""

    record: str
    program: Program
    frame: pl.DataFrame
    done: Mapping[str, pl.DataFrame]


class CasesRefused(Exception):
    """A dossier that takes an outcome of one record into the matters of another: only case by case."""


class CaseProgram:
    """A dossier's matters, one program for each record that has any.

    `present` tells for each record which fields were submitted. Errors: `CasesRefused`.
    """

    def __init__(
        self,
        dossier: Dossier,
        provisions: Mapping[str, Provision],
        skipped: Mapping[int, Text],
        present: Mapping[str, frozenset[str]],
        assessment: Assessment,
        engine: Engine,
    ) -> None:
        self.dossier = dossier
        matters = [matter for number, matter in enumerate(dossier.matters) if number not in skipped]
        by_provision = {matter.provision: matter for matter in matters}
        self.programs: dict[str, Program] = {}
        # One vocabulary, so that the keys of one record can be compared with those of another.
        vocabulary = [
            word
            for record in dossier.records.values()
            for field in record.fields.values()
            for word in field.type.values or ()
        ]
        self.matters = matters
        for name, record in dossier.records.items():
            own = [matter for matter in matters if matter.each == name]
            fields: dict[str, Field] = dict(record.fields)
            steps = []
            for matter in own:
                for source in matter.inputs.values():
                    if (
                        isinstance(source, FromOutcome)
                        and source.provision in by_provision
                        and (by_provision[source.provision].each != name or name != dossier.subject)
                    ):
                        raise CasesRefused(matter.provision)
                inputs = {fact: self._local(matter, fact, source) for fact, source in matter.inputs.items()}
                steps.append(Step(provisions[matter.provision], inputs, matter.when, matter))
            self.programs[name] = Program(
                steps,
                fields,
                present.get(name, frozenset()),
                assessment,
                record.derived,
                engine,
                dossier.total is not None,
                vocabulary,
            )

    @staticmethod
    def _local(matter: Matter, fact: str, source: Source) -> Source | pl.Expr:
        """A source as its own row has it; what lies elsewhere is brought into a column first."""
        return pl.col(_brought(matter, fact)) if _is_brought(source, matter.each) else source

    def brought(self, record: str) -> dict[str, Brought]:
        """The columns of a record's rows that come from other rows, and what is in them."""
        return {
            _brought(matter, fact): source
            for prepared in self.programs[record].steps
            if (matter := prepared.step.matter) is not None
            for fact, source in matter.inputs.items()
            if _is_brought(source, record)
        }

    def stored(self, record: str, name: str, value: Value | None) -> int | str | bool | None:
        """A value of a record's field as its column stores it."""
        return self.programs[record].words.stored(value, self.dossier.records[record].fields[name].type)

    def schema(self, record: str) -> dict[str, pl.DataType]:
        """The types of a record's columns: those it has once it is filled in, and those that are brought."""
        fields = self.dossier.records[record].fields
        found = {name: column_type(fields[name]) for name in fields if name in self.programs[record].present}
        for name, source in self.brought(record).items():
            if isinstance(source, FromField):
                found[name] = column_type(self.dossier.records[source.record].fields[source.field])
            else:
                found[name] = pl.Int64() if isinstance(source, FromSum) else pl.Boolean()
        return found

    def run(self, frames: Mapping[str, pl.DataFrame]) -> list[RecordOutcomes]:
        """The outcomes of some whole cases; every frame has `CASE` beside its program's columns."""
        filled = {name: self.programs[name].fill(frame) for name, frame in frames.items()}
        found = []
        for name, program in self.programs.items():
            frame = filled.get(name)
            if frame is None or not program.steps or not frame.height:
                continue
            frame = self._bring(name, frame, filled)
            _, done = program.run(frame)
            for prepared in program.steps:
                identity = prepared.provision.id
                if COUNTED in done[identity].columns:
                    done[identity] = highest_only(prepared, frame, done[identity])
            found.append(RecordOutcomes(name, program, frame, done))
        return found

    def _bring(self, name: str, frame: pl.DataFrame, frames: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """The rows with a column for each input that comes from other rows."""
        for column, source in self.brought(name).items():
            if isinstance(source, FromField):
                found = self._elsewhere(source, frame, frames)
            else:
                found = self._over(source, name, frame, frames.get(source.record))
            frame = frame.with_columns(found.alias(column))
            if isinstance(source, FromField) and source.choices is not None:
                choice = self.programs[name]._choice(pl.col(column), source)
                frame = frame.with_columns(choice.alias(column))
        return frame

    def _elsewhere(self, source: FromField, frame: pl.DataFrame, frames: Mapping[str, pl.DataFrame]) -> pl.Series:
        """A field of another record of the case, known where that has exactly one row."""
        other = frames.get(source.record)
        if other is None or source.field not in other.columns:
            return pl.Series([None]).new_from_index(0, frame.height)
        single = other.group_by(CASE).agg(pl.len().alias("#n"), pl.col(source.field).first().alias("#x"))
        joined = frame.select(CASE).join(single, on=CASE, how="left", maintain_order="left")
        return joined.select(pl.when(pl.col("#n") == 1).then(pl.col("#x"))).to_series()

    # Over related rows

    def _over(
        self, source: FromSum | FromAny, name: str, frame: pl.DataFrame, related: pl.DataFrame | None
    ) -> pl.Series:
        """A sum over the related rows that belong, or whether there is one; null where that is not known."""
        of_sum = isinstance(source, FromSum)
        nothing = pl.lit(0, dtype=pl.Int64) if of_sum else pl.lit(False)
        if related is None:
            return frame.select(nothing.alias("x")).to_series().new_from_index(0, frame.height)
        keys = [(field, target) for field, target in source.where if isinstance(target, FromField)]
        assert all(target.record == name for _, target in keys), "a sum compares with the row it is for"
        fixed = [(field, target) for field, target in source.where if not isinstance(target, FromField)]
        value: pl.Expr = pl.lit(1, dtype=pl.Int64)
        if isinstance(source, FromSum):
            value = self._column(source.record, related, source.field)
        words = self.programs[source.record].words
        fields = self.dossier.records[source.record].fields
        constants = [(field, words.stored(target, fields[field].type)) for field, target in fixed]
        certain = [self._column(source.record, related, field) == pl.lit(value_of) for field, value_of in constants]
        holds = pl.all_horizontal(certain) if certain else pl.lit(True)
        right = related.select(
            pl.col(CASE),
            holds.alias("#holds"),
            value.alias("#value"),
            *(self._column(source.record, related, field).alias(f"#r{place}") for place, (field, _) in enumerate(keys)),
        ).filter(pl.col("#holds").fill_null(True))
        left = frame.select(
            pl.col(CASE),
            pl.int_range(frame.height).alias(_PLACE),
            *(self._column(name, frame, target.field).alias(f"#l{place}") for place, (_, target) in enumerate(keys)),
        )
        left = left.with_columns(pl.col(f"#l{place}").cast(right.schema[f"#r{place}"]) for place in range(len(keys)))
        full_right = pl.all_horizontal(
            [pl.col("#holds").fill_null(False), *(pl.col(f"#r{place}").is_not_null() for place in range(len(keys)))]
        )
        full_left = (
            pl.all_horizontal([pl.col(f"#l{place}").is_not_null() for place in range(len(keys))])
            if keys
            else pl.lit(True)
        )
        sums = (
            right.filter(full_right)
            .group_by([CASE, *(f"#r{place}" for place in range(len(keys)))])
            .agg(pl.col("#value").cast(pl.Int128).sum().alias("#sum"), pl.col("#value").null_count().alias("#open"))
        )
        joined = left.join(
            sums,
            left_on=[CASE, *(f"#l{place}" for place in range(len(keys)))],
            right_on=[CASE, *(f"#r{place}" for place in range(len(keys)))],
            how="left",
            maintain_order="left",
        )
        result: pl.Expr
        if of_sum:
            result = pl.when(pl.col("#open").fill_null(0) == 0).then(pl.col("#sum").fill_null(0).cast(pl.Int64))
        else:
            result = pl.col("#sum").is_not_null()
        doubtful = self._doubtful(left, right, full_left, full_right, len(keys), of_sum)
        found = joined.select(_PLACE, result.alias("x"))
        if not doubtful.len():
            return found.get_column("x")
        open_row = pl.col(_PLACE).is_in(doubtful.to_list())
        if of_sum:
            return found.select(pl.when(~open_row).then("x")).to_series()
        return found.select(pl.when(pl.col("x")).then(True).when(~open_row).then(False)).to_series()

    @staticmethod
    def _doubtful(
        left: pl.DataFrame, right: pl.DataFrame, full_left: pl.Expr, full_right: pl.Expr, keys: int, of_sum: bool
    ) -> pl.Series:
        """The rows to which some related row may belong: a key of one or the other is not known."""
        agree = pl.all_horizontal(
            [pl.lit(True), *((pl.col(f"#l{place}") == pl.col(f"#r{place}")).fill_null(True) for place in range(keys))]
        )
        places = []
        for one, other in ((left, right.filter(~full_right)), (left.filter(~full_left), right)):
            if one.height and other.height:
                places.append(one.join(other, on=CASE, how="inner").filter(agree).get_column(_PLACE))
        return pl.concat(places).unique() if places else pl.Series([], dtype=pl.Int64)

    def _column(self, record: str, frame: pl.DataFrame, name: str) -> pl.Expr:
        """A field's column; one that was not submitted is unknown throughout."""
        if name in frame.columns:
            return pl.col(name)
        return pl.lit(None, dtype=column_type(self.dossier.records[record].fields[name]))


def _is_brought(source: Source, record: str) -> TypeGuard[Brought]:
    """Whether an input of a record's row comes from other rows."""
    return isinstance(source, (FromSum, FromAny)) or (isinstance(source, FromField) and source.record != record)


def _brought(matter: Matter, fact: str) -> str:
    return f"#from {matter.provision} {fact}"


def related_frames(
    cases: Sequence[tuple[str, int, int, str | None, Mapping[str, Value | None]]], program: CaseProgram
) -> Iterator[tuple[str, pl.DataFrame]]:
    """Rows of cases as frames by record: each row with its record, case, number, subject and typed values.

    Errors: `ValueError` where a value is finer than its column's scale.
    """
    for name, own in program.programs.items():
        schema = {CASE: pl.Int64(), **own.schema}
        stored: dict[str, list[object]] = {column: [] for column in schema}
        for record, case, number, subject, values in cases:
            if record != name:
                continue
            stored[CASE].append(case)
            stored[ROW].append(number)
            stored[SUBJECT].append(subject)
            for column in own.schema:
                if column not in (ROW, SUBJECT):
                    stored[column].append(own.words.stored(values.get(column), own.fields[column].type))
        yield name, pl.DataFrame([pl.Series(column, values, dtype=schema[column]) for column, values in stored.items()])


__all__ = [
    "CASE",
    "STATUS",
    "CaseProgram",
    "CasesRefused",
    "RecordOutcomes",
    "related_frames",
    "value_column",
]
