"""Outcome frames of a batch → the columns of a result, and its sums. Values stay exact; no files here.

Long: one row a submission and provision. Wide: one row a submission, a group of columns a provision.
Money is yuan with two decimals, ratios are percentage points; a value that no decimal states
exactly (a third) is rounded half up to the last place shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field
from datetime import date
from fractions import Fraction

import polars as pl

from engine.batch import ARISES, COUNTED, MISSING, ROW, SUBJECT, YIELDS, Prepared, Program
from engine.dataclass import dataclass
from engine.errors import Lang
from engine.evaluate.naming import STATUS, denominator_column, value_column
from engine.kinds import LABELS, UNDETERMINED
from engine.outcome import Outcome
from engine.terms import Const
from engine.types import Kind
from engine.values import Value, round_half_up

PERCENT_PLACES, NUMBER_PLACES = 4, 6
"""Decimals of ratios (in percentage points) and of other numbers whose digits never end."""
_FIRST = ("amount", "amount_max", "rate", "due_date")


@dataclass(frozen=True, slots=True)
class ResultColumn:
    """One output as a column of the result: `places` are its decimals, where it is a number."""

    output: str
    name: str
    kind: Kind
    places: int = 0

    @property
    def type(self) -> pl.DataType:
        match self.kind:
            case Kind.DATE:
                return pl.Date()
            case Kind.BOOLEAN:
                return pl.Boolean()
            case Kind.ENUM | Kind.TEXT:
                return pl.String()
        return pl.Decimal(38, self.places) if self.places else pl.Int64()

    def value(self, value: Value | None) -> object:
        """An outcome's value as this column shows it."""
        if value is None or isinstance(value, (bool, str, date)):
            return value
        number = Fraction(value) * _PER_UNIT.get(self.kind, Fraction(1))
        rounded = Fraction(round_half_up(number, self.places))
        if not self.places:
            return int(rounded)
        from decimal import Decimal

        return Decimal(int(rounded * 10**self.places)).scaleb(-self.places)


_PER_UNIT = {Kind.MONEY: Fraction(1, 100), Kind.RATIO: Fraction(100)}


class Results:
    """How a program's outcomes are laid out as columns; `steps` are those of other programs in the same result too."""

    def __init__(self, program: Program, lang: Lang, shape: str = "long", counted: bool = False,
                 steps: Sequence[Prepared] | None = None) -> None:
        self.program, self.lang, self.shape, self.counted = program, lang, shape, counted
        self.steps = list(steps if steps is not None else program.steps)
        self.columns = list(_result_columns(self.steps))
        self.yields = any(one.step.matter is not None and one.step.matter.highest_of is not None for one in self.steps)
        self.words = pl.Series(program.words.all)
        self.statuses = pl.Series(list(LABELS))
        self.labels = pl.Series([label.get(lang) for label in LABELS.values()])
        known = {status: place for place, status in enumerate(LABELS)}
        self.status_of = pl.Series([known.get(word) for word in program.words.all], dtype=pl.UInt32)
        """The place of a status by the place of its word."""
        self.places = {one.provision.id: place for place, one in enumerate(self.steps)}
        self.provisions = pl.Series(list(self.places), dtype=pl.String)

    @property
    def schema(self) -> dict[str, pl.DataType]:
        """The columns of the result and their types."""
        found: dict[str, pl.DataType] = {"row": pl.Int64(), "subject": pl.String()}
        if self.shape == "long":
            found |= {"provision": pl.String(), "status": pl.String(), "status_label": pl.String()}
            found |= {column.name: column.type for column in self.columns}
            if self.counted:
                found[COUNTED] = pl.Decimal(38, 2)
            if self.yields:
                found[YIELDS] = pl.Int64()
            return found | {MISSING: pl.String()}
        for prepared in self.program.steps:
            own = {output.name for output in prepared.plan.outputs}
            identity = prepared.provision.id
            found[f"{identity}:status"] = pl.String()
            found |= {f"{identity}:{column.name}": column.type for column in self.columns if column.output in own}
            if self.counted:
                found[f"{identity}:{COUNTED}"] = pl.Decimal(38, 2)
            found[f"{identity}:{MISSING}"] = pl.String()
        return found

    @property
    def coded_schema(self) -> dict[str, pl.DataType]:
        """The columns of `coded`: in a long result `provision` and `status` are places, and labels are left out."""
        found = self.schema
        if self.shape == "long":
            del found["status_label"]
            found |= {"provision": pl.UInt32(), "status": pl.UInt32()}
        return found

    def spelled(self, coded: pl.DataFrame) -> pl.DataFrame:
        """Result rows with words where there are places in `provisions` and `statuses`."""
        if self.shape != "long":
            return coded
        status = pl.col("status")
        return coded.with_columns(
            pl.lit(self.provisions).gather(pl.col("provision")).alias("provision"),
            pl.lit(self.statuses).gather(status).alias("status"),
            pl.lit(self.labels).gather(status).alias("status_label")).select(list(self.schema))

    def coded(self, frame: pl.DataFrame, done: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        """The outcomes of some rows as result rows (`coded_schema`), in the order of the rows."""
        if self.shape == "long":
            return self._long(frame, done)
        parts = [frame.select(pl.col(ROW).alias("row"), pl.col(SUBJECT).alias("subject"))]
        for prepared in self.program.steps:
            identity, found = prepared.provision.id, done[prepared.provision.id]
            own = {output.name for output in prepared.plan.outputs}
            wanted = [pl.lit(self.words).gather(self._status(found).cast(pl.UInt32)).alias(f"{identity}:status")]
            wanted += [self._value(prepared, column, found).alias(f"{identity}:{column.name}")
                       for column in self.columns if column.output in own]
            if self.counted:
                wanted.append(self._counted(found).alias(f"{identity}:{COUNTED}"))
            wanted.append(pl.lit(self._listed(found)).alias(f"{identity}:{MISSING}"))
            parts.append(found.select(wanted))
        return pl.concat(parts, how="horizontal")

    def _long(self, frame: pl.DataFrame, done: Mapping[str, pl.DataFrame]) -> pl.DataFrame:
        parts = []
        for place, prepared in enumerate(self.program.steps):
            found = done[prepared.provision.id]
            table = found.select_seq(
                frame.get_column(ROW).alias("row"), frame.get_column(SUBJECT).alias("subject"),
                pl.lit(self.places[prepared.provision.id], dtype=pl.UInt32).alias("provision"),
                pl.lit(self.status_of).gather(self._status(found).cast(pl.UInt32)).alias("status"),
                *(self._value(prepared, column, found).alias(column.name) for column in self.columns),
                *((self._counted(found).alias(COUNTED),) if self.counted else ()),
                *((self._yields(found),) if self.yields else ()),
                self._listed(found),
                *((pl.col(ARISES).fill_null(True).alias("#here"),) if ARISES in found.columns else ()),
                *((pl.lit(place).alias("#place"),) if len(self.program.steps) > 1 else ()))
            if ARISES in found.columns:
                table = table.filter("#here").drop("#here")
            parts.append(table)
        if len(parts) == 1:
            return parts[0]
        return pl.concat(parts).sort("row", "#place").drop("#place")

    def _status(self, found: pl.DataFrame) -> pl.Expr:
        """The place of the status, `undetermined` where it is open, null where the matter does not arise."""
        undetermined = self.program.words.places[UNDETERMINED]
        status = pl.col(STATUS).fill_null(undetermined)
        if ARISES in found.columns:
            return pl.when(pl.col(ARISES).fill_null(True)).then(status)
        return status

    def _counted(self, found: pl.DataFrame) -> pl.Expr:
        return pl.col(COUNTED).cast(pl.Int128).reinterpret(dtype=pl.Decimal(38, 2))

    @staticmethod
    def _yields(found: pl.DataFrame) -> pl.Expr:
        return (pl.col(YIELDS) if YIELDS in found.columns else pl.lit(None)).cast(pl.Int64).alias(YIELDS)

    def _listed(self, found: pl.DataFrame) -> pl.Series:
        """The missing facts as the result shows them."""
        return self.program.listings.texts(found.get_column(MISSING), "、")

    def _value(self, prepared: Prepared, column: ResultColumn, found: pl.DataFrame) -> pl.Expr:
        output = next((one for one in prepared.plan.outputs if one.name == column.output), None)
        if output is None:
            return pl.lit(None, dtype=column.type)
        value = pl.col(value_column(output.name))
        match column.kind:
            case Kind.DATE:
                return value.cast(pl.Int32).cast(pl.Date)
            case Kind.BOOLEAN:
                return value.cast(pl.Boolean)
            case Kind.ENUM | Kind.TEXT:
                if found.schema[value_column(output.name)] == pl.String():
                    return value
                return pl.lit(self.words).gather(value.cast(pl.UInt32))
        denominator = output.denominator
        divisor: int | pl.Expr = (denominator.value if isinstance(denominator, Const)
                                  else pl.col(denominator_column(output.name)).cast(pl.Int128))
        return _decimal(value, divisor, column)

    def rows(self, line: int, subject: str | None, outcomes: Mapping[str, Outcome],
             counted: Mapping[str, int | None]) -> pl.DataFrame:
        """The outcomes of one row by the reference evaluator as result rows, with the columns of `coded_schema`.

        `counted` is in fen.
        """
        from decimal import Decimal

        found: list[dict[str, object]] = []
        wide: dict[str, object] = {"row": line, "subject": subject}
        for identity, outcome in outcomes.items():
            own = {column.name: column.value(outcome.values.get(column.output)) for column in self.columns}
            missing = "、".join(outcome.missing) if outcome.status == UNDETERMINED else None
            paid = counted.get(identity)
            own |= {COUNTED: None if paid is None else Decimal(paid).scaleb(-2)} if self.counted else {}
            if self.shape == "long":
                found.append({"row": line, "subject": subject, "provision": self.places[identity],
                              "status": list(LABELS).index(outcome.status), **own, MISSING: missing})
                continue
            wide |= {f"{identity}:{name}": value for name, value in own.items()}
            wide |= {f"{identity}:status": outcome.status, f"{identity}:{MISSING}": missing}
        schema = self.coded_schema
        rows = found if self.shape == "long" else [wide]
        return pl.DataFrame([{name: row.get(name) for name in schema} for row in rows], schema=schema)


def _result_columns(steps: Sequence[Prepared]) -> Iterator[ResultColumn]:
    """The outputs of all steps: the usual ones first, then in the order in which they appear."""
    kinds: dict[str, Kind] = {}
    scales: dict[str, set[int | None]] = {}
    for prepared in steps:
        for output in prepared.plan.outputs:
            kind = kinds.setdefault(output.name, output.kind)
            if kind is not output.kind:
                kinds[output.name] = Kind.TEXT if Kind.TEXT in (kind, output.kind) else kind
            denominator = output.denominator
            scales.setdefault(output.name, set()).add(denominator.value if isinstance(denominator, Const) else None)
    ordered = [name for name in _FIRST if name in kinds] + [name for name in kinds if name not in _FIRST]
    for name in ordered:
        kind = kinds[name]
        yield ResultColumn(name, f"{name}_percent" if kind is Kind.RATIO else name, kind, _places(kind, scales[name]))


def _places(kind: Kind, scales: set[int | None]) -> int:
    """The fewest decimals that show every value exactly, or the customary number where none do."""
    if kind is Kind.MONEY:
        return 2
    if kind not in (Kind.RATIO, Kind.QUANTITY):
        return 0
    per_unit = 100 if kind is Kind.RATIO else 1
    for places in range(NUMBER_PLACES + 1):
        if all(scale is not None and per_unit * 10**places % scale == 0 for scale in scales):
            return places
    return PERCENT_PLACES if kind is Kind.RATIO else NUMBER_PLACES


def _decimal(value: pl.Expr, divisor: int | pl.Expr, column: ResultColumn) -> pl.Expr:
    """A quotient as a decimal of fixed places, exact where it can be, else rounded half away from zero."""
    if column.kind is Kind.MONEY:
        return value.cast(pl.Int128).reinterpret(dtype=pl.Decimal(38, 2))
    factor = (100 if column.kind is Kind.RATIO else 1) * 10**column.places
    if factor == divisor and not column.places:
        return value.cast(pl.Int64)
    if isinstance(divisor, int) and factor % divisor == 0:
        scaled = value.cast(pl.Int128) * (factor // divisor) if factor != divisor else value.cast(pl.Int128)
    else:
        twice = value.cast(pl.Int128) * (2 * factor)
        whole = (twice.abs() + divisor) // (2 * divisor)
        scaled = pl.when(twice < 0).then(-whole).otherwise(whole)
    return scaled.reinterpret(dtype=pl.Decimal(38, column.places)) if column.places else scaled.cast(pl.Int64)


# Sums


def _sum(amounts: pl.Series) -> int:
    """The exact sum; in 64 bits where no sum of so many such amounts exceeds them."""
    least, most = amounts.min(), amounts.max()
    if least is None or most is None:
        return 0
    if max(abs(int(least)), abs(int(most))) * amounts.len() >= 2**63:  # type: ignore[arg-type]  # whole numbers
        amounts = amounts.cast(pl.Int128)
    return int(amounts.sum())


@dataclass
class Sums:
    """What a batch came to: statuses by provision, and money in fen."""

    statuses: dict[str, Counter[str]] = field(default_factory=dict)
    money: dict[str, dict[str, int]] = field(default_factory=dict)
    counted: dict[str, int] = field(default_factory=dict)

    def add(self, program: Program, done: Mapping[str, pl.DataFrame]) -> None:
        """The outcomes of some rows."""
        for prepared in program.steps:
            found = done[prepared.provision.id]
            if ARISES in found.columns:
                found = found.filter(pl.col(ARISES).fill_null(True))
            counts = self.statuses.setdefault(prepared.provision.id, Counter())
            status = found.get_column(STATUS)
            if status.null_count():
                counts[UNDETERMINED] += status.null_count()
            for word, place in program.words.places.items():
                if word in LABELS and (count := int((status == place).sum())):
                    counts[word] += count
            for output in prepared.plan.outputs:
                if output.kind is Kind.MONEY:
                    amounts = found.get_column(value_column(output.name))
                    self._add_money(prepared.provision.id, output.name, _sum(amounts))
            if COUNTED in found.columns:
                own = _sum(found.get_column(COUNTED))
                self.counted[prepared.provision.id] = self.counted.get(prepared.provision.id, 0) + own

    def add_outcomes(self, outcomes: Mapping[str, Outcome], counted: Mapping[str, int | None]) -> None:
        """The outcomes of one row by the reference evaluator; `counted` is in fen."""
        for identity, paid in counted.items():
            self.counted[identity] = self.counted.get(identity, 0) + (paid or 0)
        for identity, outcome in outcomes.items():
            self.statuses.setdefault(identity, Counter())[outcome.status] += 1
            for name in ("amount", "amount_max"):
                value = outcome.values.get(name)
                if isinstance(value, int):
                    self._add_money(identity, name, value)

    def merge(self, other: Sums) -> None:
        """The sums of another part of the batch added to these."""
        for identity, counts in other.statuses.items():
            self.statuses.setdefault(identity, Counter()).update(counts)
        for identity, amounts in other.money.items():
            for name, value in amounts.items():
                self._add_money(identity, name, value)
        for identity, value in other.counted.items():
            self.counted[identity] = self.counted.get(identity, 0) + value

    def _add_money(self, identity: str, name: str, fen: int) -> None:
        own = self.money.setdefault(identity, {})
        own[name] = own.get(name, 0) + fen
