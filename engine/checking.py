"""The main job: submitted facts in, outcomes out, with the agenda of each case from the chaining engine.

The forward-chaining engine says which provisions arise and what they come to; the reference
evaluator recomputes every one. Where the engine is absent, gives up or a case lies outside what it
can be trusted with, the reference builds the agenda and the result says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING, Protocol

from engine.assessing import assess_case, choose_reading
from engine.dataclass import dataclass
from engine.errors import EvaluationError, Problem
from engine.load import Pack
from engine.model import Case, Dossier, Text
from engine.outcome import Outcome
from engine.source import Location
from engine.values import Value

if TYPE_CHECKING:
    from engine.dossier import AgendaEntry, DossierOutcome, Submitted


@dataclass(frozen=True, slots=True)
class Checked:
    """What a submission came to, facts of single provisions with their outcome; `agenda`: who built the agendas."""

    dossiers: Mapping[str, tuple[DossierOutcome, ...]]
    flat: tuple[tuple[FlatLike, Outcome], ...]
    agenda: Text
    problems: tuple[Problem, ...] = ()

    @property
    def outcomes(self) -> list[Outcome]:
        return [outcome for _, outcome in self.flat] + [
            item.outcome for outcomes in self.dossiers.values() for outcome in outcomes for item in outcome.items
        ]


REFERENCE = Text("案卷清单由参考求值器生成", "agendas built by the reference evaluator")


class TableLike(Protocol):
    """A table that was read: its record and the fields it had."""

    @property
    def record(self) -> str | None: ...
    @property
    def dossier(self) -> str | None: ...
    @property
    def fields(self) -> frozenset[str]: ...


class FlatLike(Protocol):
    """One case of a single provision."""

    @property
    def provision(self) -> str: ...
    @property
    def inputs(self) -> Mapping[str, Value | None]: ...
    @property
    def as_of(self) -> date | None: ...
    @property
    def label(self) -> str: ...
    @property
    def at(self) -> Location: ...


class SubmissionLike(Protocol):
    """What was read from files, as `facts.reading` gives it."""

    @property
    def cases(self) -> tuple[Case, ...]: ...
    @property
    def flat(self) -> Sequence[FlatLike]: ...
    @property
    def tables(self) -> Sequence[TableLike]: ...


Readings = Mapping[str, Mapping[str, int]]
"""Per provision the readings chosen: `{provision: {reading: number}}`."""


def check_submission(
    pack: Pack,
    submission: SubmissionLike,
    as_of: date | None = None,
    engine: str = "auto",
    readings: Readings | None = None,
) -> Checked:
    """Everything that was submitted, assessed.

    `engine`: `auto` (chaining where it can be had), `chaining` (the same, but its absence is a
    problem), `reference`. Errors: `EvaluationError` (`evaluators-disagree`), `FactError`
    (`unknown-reading`). A case that cannot be evaluated (`calendar-gap`) is a problem at its place;
    the others go on.
    """
    problems: list[Problem] = []
    flat: list[tuple[FlatLike, Outcome]] = []
    for given in submission.flat:
        try:
            provision = choose_reading(pack.provision(given.provision), (readings or {}).get(given.provision))
            outcome = assess_case(pack, provision, given.inputs, given.as_of or as_of, subject=given.label)
        except EvaluationError as error:
            problems += [replace(problem, location=given.at) for problem in error.problems]
            continue
        flat.append((given, outcome))
    submitted: dict[str, dict[str, set[str]]] = {}
    for table in submission.tables:
        if table.dossier is not None and table.record is not None:
            submitted.setdefault(table.dossier, {}).setdefault(table.record, set()).update(table.fields)
    found: dict[str, list[DossierOutcome]] = {}
    described = REFERENCE
    if submission.cases:
        with _agenda_builder(pack, engine) as builder:
            for case in submission.cases:
                fields = {record: frozenset(names) for record, names in submitted.get(case.dossier, {}).items()}
                try:
                    outcome_of = _assess(pack, case, fields, as_of, builder, readings)
                except EvaluationError as error:
                    problems += [replace(problem, location=case.subject.at) for problem in error.problems]
                    if any(problem.code == "evaluators-disagree" for problem in error.problems):
                        raise EvaluationError(problems) from None
                    continue
                found.setdefault(case.dossier, []).append(outcome_of)
            described = builder.described()
    return Checked({name: tuple(outcomes) for name, outcomes in found.items()}, tuple(flat), described, tuple(problems))


def _assess(
    pack: Pack, case: Case, submitted: Submitted, as_of: date | None, builder: AgendaBuilder, readings: Readings | None
) -> DossierOutcome:
    from engine.dossier import assess_dossier, assumed_absent, derive_case, reference_agenda, skipped_matters

    dossier = pack.dossiers[case.dossier]
    provisions = {matter.provision: pack.provision(matter.provision) for matter in dossier.matters}
    derived = derive_case(dossier, case)
    skipped = skipped_matters(dossier, provisions, submitted)
    agenda = reference_agenda(dossier, derived, skipped)
    outcome = assess_dossier(pack, dossier, derived, agenda, as_of, skipped, readings=readings)
    outcome = replace(outcome, assumptions=assumed_absent(dossier, submitted, derived.related))
    if not readings:
        builder.compare(dossier, derived, agenda, outcome, as_of)
    return outcome


class AgendaBuilder(Protocol):
    """The engine that says which provisions arise; `compare` raises where it and the reference differ."""

    def __enter__(self) -> AgendaBuilder: ...
    def __exit__(self, *_: object) -> None: ...
    def compare(
        self, dossier: Dossier, case: Case, agenda: Sequence[AgendaEntry], outcome: DossierOutcome, as_of: date | None
    ) -> None: ...
    def described(self) -> Text: ...


class _ReferenceOnly:
    """No second engine: the reference's own agenda stands."""

    def __init__(self, reason: str = "") -> None:
        self.reason = reason

    def __enter__(self) -> _ReferenceOnly:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def compare(self, *_: object) -> None:
        return None

    def described(self) -> Text:
        if not self.reason:
            return REFERENCE
        return Text(
            f"{REFERENCE.zh}（前向链接引擎不可用：{self.reason}）",
            f"{REFERENCE.en} (forward chaining is not available: {self.reason})",
        )


def _agenda_builder(pack: Pack, engine: str) -> AgendaBuilder:
    if engine == "reference":
        return _ReferenceOnly()
    from engine.evaluate.chaining import ChainingAgenda

    return ChainingAgenda(pack)
