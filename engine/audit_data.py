"""Facts and outcomes as plain data, and facts read back: what a run record holds of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from fractions import Fraction
from typing import Any

from engine.checking import Checked, SubmissionLike
from engine.dataclass import dataclass
from engine.dossier import DossierOutcome, Item
from engine.errors import Problem
from engine.model import Case, Row
from engine.outcome import Outcome
from engine.source import Location
from engine.values import Value


def to_plain(value: Value | None) -> Any:
    """A value as JSON that reads back as the same value: dates and fractions are marked as such."""
    if isinstance(value, date):
        return {"date": value.isoformat()}
    if isinstance(value, Fraction):
        return {"ratio": str(value)}
    return value


def from_plain(data: Any) -> Value | None:
    """What `to_plain` wrote."""
    if isinstance(data, dict):
        if "date" in data:
            return date.fromisoformat(data["date"])
        return Fraction(data["ratio"])
    assert data is None or isinstance(data, (bool, int, str)), f"not a recorded value: {data!r}"
    return data


@dataclass(frozen=True, slots=True)
class RecordedCase:
    """One case of a single provision as it was recorded."""

    provision: str
    inputs: Mapping[str, Value | None]
    as_of: date | None
    label: str
    at: Location


@dataclass(frozen=True, slots=True)
class RecordedTable:
    """Which fields a table had: what was not submitted at all is not assessed."""

    dossier: str | None
    record: str | None
    fields: frozenset[str]


@dataclass(frozen=True, slots=True)
class RecordedSubmission:
    """Facts read back from a record; `check_submission` takes them as it takes a file's."""

    cases: tuple[Case, ...]
    flat: tuple[RecordedCase, ...]
    tables: tuple[RecordedTable, ...]


def submission_data(submission: SubmissionLike) -> dict[str, Any]:
    """The facts of a submission as plain data."""
    return {
        "cases": [
            {
                "dossier": case.dossier,
                "subject": _row_data(case.subject),
                "related": [_row_data(row) for row in case.related],
            }
            for case in submission.cases
        ],
        "flat": [
            {
                "provision": item.provision,
                "inputs": {name: to_plain(value) for name, value in item.inputs.items()},
                "as_of": item.as_of.isoformat() if item.as_of else None,
                "label": item.label,
                "at": str(item.at),
            }
            for item in submission.flat
        ],
        "tables": [
            {"dossier": table.dossier, "record": table.record, "fields": sorted(table.fields)}
            for table in submission.tables
            if table.dossier is not None and table.record is not None
        ],
    }


def submission_from(data: Mapping[str, Any]) -> RecordedSubmission:
    """What `submission_data` wrote."""
    return RecordedSubmission(
        tuple(
            Case(item["dossier"], _row_from(item["subject"]), tuple(map(_row_from, item["related"])))
            for item in data["cases"]
        ),
        tuple(
            RecordedCase(
                item["provision"],
                {name: from_plain(value) for name, value in item["inputs"].items()},
                date.fromisoformat(item["as_of"]) if item["as_of"] else None,
                item["label"],
                Location(path=item["at"]),
            )
            for item in data["flat"]
        ),
        tuple(RecordedTable(item["dossier"], item["record"], frozenset(item["fields"])) for item in data["tables"]),
    )


def _row_data(row: Row) -> dict[str, Any]:
    values = {name: to_plain(value) for name, value in row.values.items()}
    return {"record": row.record, "values": values, "at": str(row.at)}


def _row_from(data: Mapping[str, Any]) -> Row:
    values = {name: from_plain(value) for name, value in data["values"].items()}
    return Row(data["record"], values, Location(path=data["at"]))


def outcomes_data(checked: Checked) -> dict[str, Any]:
    """The outcomes of a run as plain data; the reasoning is left out, for the facts give it again."""
    return {
        "flat": [{"label": given.label, **outcome_data(outcome)} for given, outcome in checked.flat],
        "dossiers": [
            _dossier_data(name, outcome) for name, outcomes in checked.dossiers.items() for outcome in outcomes
        ],
    }


def outcome_data(outcome: Outcome) -> dict[str, Any]:
    return {
        "provision": outcome.provision,
        "subject": outcome.subject,
        "status": outcome.status,
        "values": {name: to_plain(value) for name, value in outcome.values.items()},
        "missing": list(outcome.missing),
        "reasons": [reason.zh for reason in outcome.reasons],
        "measures": [measure.zh for measure in outcome.measures],
        "other_readings": [
            {
                "reading": f"{item.reading}={item.number}",
                "status": item.outcome.status,
                "values": {name: to_plain(value) for name, value in item.outcome.values.items()},
            }
            for item in outcome.readings
        ],
    }


def _dossier_data(name: str, outcome: DossierOutcome) -> dict[str, Any]:
    return {
        "dossier": name,
        "subject": outcome.subject,
        "total": outcome.total,
        "known_total": outcome.known_total,
        "skipped": [identity for identity, _ in outcome.skipped],
        "items": [_item_data(item) for item in outcome.items],
    }


def _item_data(item: Item) -> dict[str, Any]:
    counted = {"paid": item.paid, "yields_to": item.yields_to, "contained_in": item.contained_in}
    return {**outcome_data(item.outcome), **counted}


def problem_data(problem: Problem) -> dict[str, str]:
    return {"code": problem.code, "place": str(problem.location), "message": problem.message("zh")}
