"""What a rule pack says, as plain records that know where they were written.

Provisions, their facts, parameters, decision tables, readings and citations; the dossiers in
which a bureau submits related facts. No parsing and no evaluation here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import date
from enum import Enum

from engine.dataclass import dataclass
from engine.expr import Expr
from engine.source import NOWHERE, Location
from engine.types import Type
from engine.values import Value, fold


@dataclass(frozen=True, slots=True)
class Text:
    """A label or sentence in both languages."""

    zh: str
    en: str = ""

    def get(self, lang: str) -> str:
        return self.en if lang == "en" and self.en else self.zh


@dataclass(frozen=True, slots=True)
class Choice:
    """One value of an enumeration, with its labels and other accepted spellings."""

    value: str
    label: Text
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """One fact a provision reads or a record holds.

    `unit` is the unit of a bare number (万元, %, 人). `minimum` and `maximum` are inclusive and in
    engine units (fen, fraction). `default` stands in where the fact is not given at all;
    `asked_when` tells when the fact is needed: where that condition does not hold, nobody asks
    for it and it never counts as missing.
    """

    name: str
    type: Type
    label: Text
    unit: str | None = None
    required: bool = True
    default: Value | None = None
    asked_when: Expr | None = None
    choices: tuple[Choice, ...] = ()
    aliases: tuple[str, ...] = ()
    minimum: Value | None = None
    maximum: Value | None = None
    note: Text | None = None
    at: Location = field(default=NOWHERE, compare=False, repr=False)

    def spellings(self) -> dict[str, str]:
        """Every accepted spelling of a choice, folded, to its value."""
        found: dict[str, str] = {}
        for choice in self.choices:
            for spelling in (choice.value, choice.label.zh, choice.label.en, *choice.aliases):
                if spelling:
                    found.setdefault(fold(spelling), choice.value)
        return found

    def choice_label(self, value: str, lang: str) -> str:
        return next((choice.label.get(lang) for choice in self.choices if choice.value == value), value)


class ProvisionKind(Enum):
    ENTITLEMENT = "entitlement"
    SANCTION = "sanction"
    DEADLINE = "deadline"
    OBLIGATION = "obligation"
    PROHIBITION = "prohibition"
    TARGET = "target"
    PARAMETER = "parameter"


@dataclass(frozen=True, slots=True)
class Citation:
    """Where the policy says it: document, plan and heading path; the sentences stay in the document."""

    document: str
    plan: str
    path: str
    also_at: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join(part for part in (self.document, self.plan, self.path) if part)


@dataclass(frozen=True, slots=True)
class Let:
    """A named intermediate value of a provision; labelled ones are shown to people."""

    name: str
    expr: Expr
    label: Text | None = None
    table: DecisionTable | None = None
    at: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class TableRow:
    """`tests` are conditions on the columns, None where any value will do; `outputs` in order."""

    tests: tuple[Expr | None, ...]
    outputs: tuple[Expr, ...]
    texts: tuple[str, ...]
    at: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class DecisionTable:
    """A decision table with a DMN hit policy; `outputs` are the names its rows set."""

    hit: str
    columns: tuple[Expr, ...]
    outputs: tuple[str, ...]
    rows: tuple[TableRow, ...]
    default: tuple[Expr, ...] | None = None
    at: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Requirement:
    """One condition of a grant or a trigger, with its words."""

    condition: Expr
    label: Text | None = None


@dataclass(frozen=True, slots=True)
class Alternative:
    """Another way to read the text; `variant` is the provision so read, or None where it is not computed."""

    text: Text
    variant: Provision | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """A place where the text admits several readings, the one chosen and why."""

    id: str
    point: Text
    chosen: Text
    why: Text
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class Parameter:
    """A figure the policy sets, by the date from which it holds."""

    name: str
    type: Type
    label: Text
    values: tuple[tuple[date, Value], ...]
    citation: str = ""
    unit: str | None = None
    at: Location = field(default=NOWHERE, compare=False, repr=False)

    def on(self, day: date) -> Value | None:
        """The value in force on a day; unknown before the first."""
        current: Value | None = None
        for start, value in self.values:
            if start <= day:
                current = value
        return current


@dataclass(frozen=True, slots=True)
class Output:
    """One value an outcome carries beside its status.

    It belongs to the outcomes whose status is in `statuses` (None: to every outcome, even an
    undetermined one, where it is known). A `required` output that is unknown makes the outcome
    undetermined. Money is rounded half up to the fen.
    """

    name: str
    expr: Expr
    statuses: frozenset[str] | None = None
    required: bool = True
    label: Text | None = None


@dataclass(frozen=True, slots=True)
class Provision:
    """One normative unit: facts in, an outcome out.

    `status` is an expression over the facts whose value is the outcome's status; `outputs` are the
    values that go with it. `requirements` and `lets` keep what the explanation names.
    """

    id: str
    kind: ProvisionKind
    label: Text
    summary: Text
    citation: Citation
    facts: Mapping[str, Field]
    status: Expr
    outputs: tuple[Output, ...]
    lets: tuple[Let, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    applies: Expr | None = None
    readings: tuple[Reading, ...] = ()
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    measures: tuple[Measure, ...] = ()
    in_force: tuple[date | None, date | None] = (None, None)
    applies_to: str = ""
    decided_by: str = ""
    paid_by: str = ""
    stacking: Text | None = None
    notes: tuple[Text, ...] = ()
    figures: tuple[str, ...] = ()
    read_as: Text | None = None
    """For a variant: the point and the other reading under which the provision is so read."""
    at: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Measure:
    """What a sanction brings beside money, where its condition holds."""

    text: Text
    condition: Expr | None = None


# Dossiers: related facts as a bureau submits them


@dataclass(frozen=True, slots=True)
class RecordType:
    """One kind of row a bureau submits: a department, a firm, an award.

    `key` names the rows for people and joins other records to them. `derived` gives a fact that a
    row leaves out from the others of that row (a task above zero means that there is a task).
    """

    name: str
    label: Text
    fields: Mapping[str, Field]
    key: str | None = None
    derived: Mapping[str, Expr] = field(default_factory=dict)
    aliases: tuple[str, ...] = ()
    at: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class FromField:
    """An input taken from a field of the subject, or of the row the matter is about.

    `otherwise` stands in for a value that the provision's own enumeration does not have.
    """

    record: str
    field: str
    choices: frozenset[str] | None = None
    otherwise: Value | None = None


@dataclass(frozen=True, slots=True)
class FromSum:
    """An input that is the total of a money field over the related rows (nothing related: zero).

    `where` pairs a field of those rows with a field of the row the matter is about, or a constant.
    """

    record: str
    field: str
    where: tuple[tuple[str, FromField | Value], ...]


@dataclass(frozen=True, slots=True)
class FromAny:
    """An input that tells whether any related row exists; `where` as in `FromSum`."""

    record: str
    where: tuple[tuple[str, FromField | Value], ...]


@dataclass(frozen=True, slots=True)
class FromOutcome:
    """An input that is an output of another provision's outcome in the same case.

    `otherwise` stands in where that outcome has no such value: it did not apply.
    """

    provision: str
    output: str
    otherwise: Value | None = None


@dataclass(frozen=True, slots=True)
class Constant:
    """An input that is the same for every row."""

    value: Value


Brought = FromSum | FromAny | FromField
"""Where an input may come from other rows."""
Source = Brought | FromOutcome | Constant


@dataclass(frozen=True, slots=True)
class Matter:
    """One provision to be assessed in a dossier: for the subject, or for each row of a record.

    `when` (over the row's fields) tells for which rows; `highest_of` lists the fields that make an
    exclusivity group, of which only the highest amount is paid; `replaces` lists provisions whose
    amounts this one already contains, so that a total does not count them twice.
    """

    provision: str
    each: str
    inputs: Mapping[str, Source]
    when: Expr | None = None
    highest_of: tuple[FromField, ...] | None = None
    replaces: tuple[str, ...] = ()
    at: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Dossier:
    """Related facts assessed together: the record that is the subject, those around it, the matters."""

    id: str
    label: Text
    subject: str
    records: Mapping[str, RecordType]
    matters: tuple[Matter, ...]
    columns: tuple[FromField | FromOutcome, ...] = ()
    total: Text | None = None
    at: Location = field(default=NOWHERE, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Row:
    """One submitted row with its values; unknown facts are None."""

    record: str
    values: Mapping[str, Value | None]
    at: Location = NOWHERE


@dataclass(frozen=True, slots=True)
class Case:
    """One subject and the rows that belong to it."""

    dossier: str
    subject: Row
    related: tuple[Row, ...] = ()

    def rows(self, record: str) -> list[Row]:
        """The rows of a record in the order they were submitted; the subject's own is one row."""
        if record == self.subject.record:
            return [self.subject]
        return [row for row in self.related if row.record == record]
